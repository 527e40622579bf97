//! What the master does with what Ekiden tells it, and the check that nothing is used outside an accepted offer (S3).

use std::time::Duration;

use ekiden_model::effect::{Effect, TaskLaunch};
use ekiden_model::input::ClusterEvent;
use ekiden_model::offer::{Bundle, Claim};
use ekiden_model::{AgentId, Condition, OfferId, TaskId};

use super::{Cluster, Link, Spent};
use crate::timeline::Timeline;

/// How long Mesos keeps what an accept left over, when the accept does not say.
const LEFTOVER_FILTER: Duration = Duration::from_secs(5);

impl Cluster {
    /// A call arrives.
    pub fn call(&mut self, effect: Effect, line: &mut Timeline) {
        match effect {
            Effect::Accept { offers, agent, tasks } => self.accept(&offers, &agent, tasks, line),
            Effect::Decline { offers, refuse_for } => self.decline(&offers, refuse_for, line),
            Effect::Revive(role) => {
                // A role that is new is subscribed to first.
                if !self.roles.contains(&role) {
                    self.roles.push(role.clone());
                }
                self.suppressed.remove(&role);
                self.filters.retain(|filter| !filter.is_for(&role));
                self.want_allocation(line);
            }
            Effect::Suppress(role) => {
                self.suppressed.insert(role);
            }
            Effect::Kill { task, agent, grace } => self.kill(&task, agent.as_ref(), grace, line),
            Effect::Acknowledge(ack) => {
                if line.rng.chance(line.knobs.ack_lost) {
                    line.log(format_args!("{}: acknowledgement is lost", ack.task));
                } else {
                    self.acknowledged(&ack, line);
                }
            }
            Effect::Reconcile(tasks) => self.reconcile(&tasks, line),
            // There is one framework here, and it is connected as soon as there is a link.
            Effect::Survey { .. }
            | Effect::Subscribe(_)
            | Effect::Persist { .. }
            | Effect::StartProbe(..)
            | Effect::StopProbe(..)
            | Effect::Notify(_)
            | Effect::Answer(..) => {}
        }
    }

    fn accept(&mut self, offers: &[OfferId], agent: &AgentId, tasks: Vec<TaskLaunch>, line: &mut Timeline) {
        let mut whole = Claim::default();
        let mut valid = true;
        let mut role = None;
        for id in offers {
            let Some(offer) = self.offers.remove(id) else {
                valid = false;
                self.misused(id, "accepted", line);
                continue;
            };
            if offer.agent != *agent {
                line.violate("S3", format!("{id} of {} is accepted as one of {agent}", offer.agent));
            }
            for (whole, part) in [(&mut whole.unreserved, &offer.bundle), (&mut whole.reserved, &offer.reserved)] {
                whole.resources += &part.resources;
                whole.ports.extend(&part.ports);
            }
            if role.replace(offer.role.clone()).is_some_and(|other| other != offer.role) {
                line.violate("S3", format!("{id} to {} is accepted with offers to another role", offer.role));
            }
            self.spent.insert(id.clone(), Spent::Accepted);
        }
        let reach = self.agents.get(agent).map_or(Link::Gone, |agent| agent.link);
        for launch in tasks {
            if !valid {
                let id = launch.task;
                self.tell_status(&id, Condition::Dropped, "the offer is no longer valid", None, None, line);
                continue;
            }
            if role.as_ref().is_some_and(|role| *role != launch.role) {
                let (task, own) = (&launch.task, &launch.role);
                line.violate("S3", format!("{task} of role {own} uses an offer to {role:?}"));
            }
            self.check_claim(&launch, &mut whole, line);
            if reach != Link::Up || line.rng.chance(line.knobs.launch_lost) {
                line.log(format_args!("{}: launch is lost", launch.task));
                continue;
            }
            self.start_task(&launch, line);
        }
        if let Some(role) = role {
            let mut rest = whole.unreserved.resources;
            rest += &whole.reserved.resources;
            self.filter(agent.clone(), role, rest, LEFTOVER_FILTER, line);
        }
        self.want_allocation(line);
    }

    /// S3: a launch takes no more than its offers have, neither of what is everybody's nor of what is reserved; the host ports that it names are among what it takes, and no other live task of the
    /// host has one of them.
    fn check_claim(&mut self, launch: &TaskLaunch, left: &mut Claim, line: &mut Timeline) {
        let (id, claim, needs) = (&launch.task, &launch.claim, &launch.app.template.resources);
        let mut claimed = claim.unreserved.resources;
        claimed += &claim.reserved.resources;
        if !claimed.covers(needs) || !needs.covers(&claimed) {
            line.violate("S3", format!("{id} needs {needs} and claims {claimed}"));
        }
        for (part, left) in [(&claim.unreserved, &mut left.unreserved), (&claim.reserved, &mut left.reserved)] {
            take_part(launch, part, left, line);
        }
        for port in launch.host_ports.iter().flatten() {
            if !claim.unreserved.ports.contains(*port) && !claim.reserved.ports.contains(*port) {
                line.violate("S3", format!("{id} uses port {port} and does not claim it"));
            }
            if let Some(other) = self.holder(&launch.agent.hostname, *port, id) {
                line.violate("S3", format!("{id} gets port {port} of {}, which {} has", other.hostname, other.id));
            }
        }
    }

    fn decline(&mut self, offers: &[OfferId], refuse_for: Duration, line: &mut Timeline) {
        for id in offers {
            match self.offers.remove(id) {
                Some(offer) => {
                    self.spent.insert(id.clone(), Spent::Declined);
                    let mut refused = offer.bundle.resources;
                    refused += &offer.reserved.resources;
                    self.filter(offer.agent, offer.role, refused, refuse_for, line);
                }
                None => self.misused(id, "declined", line),
            }
        }
        self.want_allocation(line);
    }

    /// S3: an offer is used once. One that was taken back meanwhile is nobody's mistake.
    fn misused(&self, id: &OfferId, how: &str, line: &mut Timeline) {
        match self.spent.get(id) {
            Some(Spent::Rescinded) => {}
            Some(spent) => line.violate("S3", format!("{id} is {how} after it was {spent:?}")),
            None => line.violate("S3", format!("{id} is {how} and was never made")),
        }
    }

    fn kill(&mut self, id: &TaskId, agent: Option<&AgentId>, grace: Option<Duration>, line: &mut Timeline) {
        let Some(task) = self.tasks.get(id).filter(|_| self.is_current(id)) else {
            self.answer(id, agent, line);
            return;
        };
        let reachable = self.agents.get(&task.agent).is_some_and(|agent| agent.link == Link::Up);
        if !reachable || line.rng.chance(line.knobs.kill_lost) {
            line.log(format_args!("{id}: kill is lost"));
            return;
        }
        self.terminate(id, grace, line);
    }

    fn reconcile(&mut self, tasks: &[(TaskId, AgentId)], line: &mut Timeline) {
        if line.rng.chance(line.knobs.reconcile_lost) {
            line.log(format_args!("a question about {} tasks is lost", tasks.len()));
            return;
        }
        let mut last = line.now;
        let mut answers = Vec::new();
        if tasks.is_empty() {
            let known = |task: &&super::SimTask| {
                self.agents.get(&task.agent).is_some_and(|agent| matches!(agent.link, Link::Up | Link::Cut))
            };
            let of_us = |task: &&super::SimTask| self.is_current(&task.id);
            answers.extend(self.tasks.values().filter(known).filter(of_us).map(|task| (task.id.clone(), None)));
        } else {
            answers.extend(tasks.iter().map(|(task, agent)| (task.clone(), Some(agent.clone()))));
        }
        for (task, agent) in answers {
            last = last.max(self.answer(&task, agent.as_ref(), line).unwrap_or(last));
        }
        if tasks.is_empty() {
            self.last_event = self.last_event.max(last);
            self.tell(ClusterEvent::Reconciled, line);
        }
    }

    /// How a task is, as the master knows: what it does not know is gone if its agent is there, or was.
    fn answer(
        &mut self,
        id: &TaskId,
        agent: Option<&AgentId>,
        line: &mut Timeline,
    ) -> Option<ekiden_model::Timestamp> {
        let reach = |id: &AgentId| self.agents.get(id).map(|agent| agent.link);
        let on = self.tasks.get(id).map(|task| &task.agent).or(agent);
        let is_silent = on.and_then(reach) == Some(Link::Unregistered);
        if is_silent && self.has_registry() {
            return None;
        }
        let condition = match (self.tasks.get(id).filter(|_| self.is_current(id)), agent) {
            _ if is_silent => Condition::Unknown,
            (Some(task), _) => match reach(&task.agent) {
                Some(Link::Up | Link::Cut) => task.reported(),
                Some(Link::Unreachable | Link::Abandoned) => Condition::Unreachable,
                Some(Link::Unregistered | Link::Gone) | None => Condition::Gone,
            },
            (None, Some(agent)) => match reach(agent) {
                Some(Link::Up | Link::Unregistered | Link::Cut | Link::Gone) => Condition::Gone,
                Some(Link::Unreachable | Link::Abandoned) => Condition::Unreachable,
                None => Condition::Unknown,
            },
            (None, None) => Condition::Unknown,
        };
        // What the master answers for a task that it cannot reach is its own word, and tells of no check.
        let said = self.tasks.get(id).and_then(|task| task.said_healthy);
        let healthy = said.filter(|_| condition != Condition::Unreachable);
        self.tell_status(id, condition, "reconciliation", healthy, None, line)
    }
}

/// S3, for one of the two bundles.
fn take_part(launch: &TaskLaunch, part: &Bundle, left: &mut Bundle, line: &mut Timeline) {
    let id = &launch.task;
    if !left.resources.covers(&part.resources) {
        line.violate("S3", format!("{id} takes {} of {} offered", part.resources, left.resources));
    }
    left.resources -= &part.resources;
    for port in part.ports.iter() {
        if !left.ports.remove(port) {
            line.violate("S3", format!("{id} takes port {port}, which is not offered or taken twice"));
        }
    }
}
