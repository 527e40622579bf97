//! L1: whether the world is as declared. Compared are the manifests and the tasks that run in truth; what is on record
//! must agree with both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::app::{Constraint, Operator};
use ekiden_model::offer::Bundle;
use ekiden_model::{Agent, AgentId, App, AppId, Condition, Goal, Port, Role};

use super::Check;
use super::constraints::holds;
use crate::cluster::{Link, SimTask};

/// What differs between an app as declared and as it is; nothing, when it matches.
pub type Match = Result<(), String>;

/// Why an app may differ for ever: what was declared cannot be had, or asks for standing still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// No agent can take another instance, in truth, and the report says that offers are waited for.
    NoRoom,
    /// Its rollout is paused, has failed, or went back; and the report says so.
    StandsStill,
    /// It waits for another app, which differs itself.
    Dependency,
}

impl Check<'_> {
    /// L1, for one app: so many tasks as `count`, running, healthy, of the revision that is declared; no others; and
    /// records that agree.
    pub fn matches(&self, app: &App, count: u32, tasks: &[&SimTask]) -> Match {
        if tasks.len() != count as usize {
            let all = tasks.iter().map(|task| format!("{} {}", task.key, task.state.task_state()));
            return Err(format!("{} tasks of {count} ({})", tasks.len(), all.collect::<Vec<_>>().join(", ")));
        }
        for task in tasks {
            if task.state != Condition::Running {
                return Err(format!("{} is {}", task.key, task.state.task_state()));
            }
            if !task.declared.same_revision(app) {
                return Err(format!("{} runs an older revision", task.key));
            }
            if self.ledger.is_left(&task.agent, self.settings.drain_before, true) {
                return Err(format!("{} is still on {}, which is to be left", task.key, task.agent));
            }
            if !app.health_checks.is_empty() && task.wedged {
                return Err(format!("{} is unhealthy", task.key));
            }
            if !task.updates.is_empty() {
                return Err(format!("{} has updates that were not acknowledged", task.key));
            }
            match self.store.durable.instance(&app.id, task.key) {
                None => return Err(format!("{} has no record", task.key)),
                Some(record) if record.goal != Goal::Running || record.condition != Condition::Running => {
                    let state = record.condition.task_state();
                    return Err(format!("{} is recorded as {state}, to be {:?}", task.key, record.goal));
                }
                Some(_) => {}
            }
        }
        let recorded = self.store.durable.slots_of(&app.id).map(|slot| slot.instances.len()).sum::<usize>();
        if recorded != tasks.len() {
            return Err(format!("{recorded} instances on record"));
        }
        Ok(())
    }

    /// Tasks and records of apps that are not declared.
    pub fn left_over(&self, declared: &BTreeMap<AppId, Arc<App>>) -> Match {
        let ours = |task: &&SimTask| self.ledger.whose(&task.id).is_some();
        if let Some(task) = self.cluster.tasks.values().filter(ours).find(|task| !declared.contains_key(&task.app))
        {
            return Err(format!("{} of an app that is not declared", task.id));
        }
        let records = &self.store.durable;
        let apps = records.apps.keys().chain(records.slots.keys().map(|(app, _)| app));
        if let Some(app) = apps.into_iter().find(|app| !declared.contains_key(*app)) {
            return Err(format!("{app} is on record and not declared"));
        }
        if !self.store.in_flight.is_empty() {
            return Err(format!("{} batches are on their way to the store", self.store.in_flight.len()));
        }
        Ok(())
    }

    /// Whether some agent that is to stay could take one more instance of the app, in truth.
    pub fn has_room(&self, app: &App, count: u32) -> bool {
        self.cluster.agents.values().any(|agent| {
            let id = &agent.machine.agent.id;
            let stays = !self.ledger.is_left(id, self.settings.drain_before, false);
            agent.link == Link::Up
                && stays
                && self.room_on(app, count, &agent.machine.agent, &agent.machine.agent.id)
        })
    }

    fn room_on(&self, app: &App, count: u32, agent: &Agent, id: &AgentId) -> bool {
        let Some(free) = self.usable_on(app, id) else { return false };
        let record = self.ledger.announced.apps.get(&app.id);
        let goes_to = record.and_then(|record| record.rollout.as_ref()).map(|rollout| rollout.to);
        let others: Vec<&Agent> = self
            .ledger
            .announced
            .slots_of(&app.id)
            .flat_map(|slot| &slot.instances)
            .filter(|one| one.is_wanted() && goes_to.is_none_or(|to| to == one.revision))
            .map(|one| &*one.agent)
            .collect();
        let wanted: Vec<Option<Port>> = self.fixed_ports(app);
        let fixed = wanted.iter().flatten().all(|port| free.ports.contains(*port));
        free.resources.covers(&app.template.resources)
            && free.ports.len() >= wanted.len()
            && fixed
            && app.constraints.iter().all(|rule| self.admits(rule, agent, &others, count))
            && !(app.is_global() && self.has_one(&app.id, id))
    }

    /// What an app may use of an agent: what is everybody's and what is reserved to its role, as far as it accepts them.
    fn usable_on(&self, app: &App, id: &AgentId) -> Option<Bundle> {
        let role = app.template.role.as_ref().unwrap_or(&self.settings.default_role);
        let accepts = |role: &Role| app.accepted_roles.as_ref().is_none_or(|roles| roles.contains(role));
        let (everybodys, reserved) = (self.cluster.free(id)?, self.cluster.free_reserved(id));
        let mut usable = Bundle::default();
        let mut add = |part: &Bundle| {
            usable.resources += &part.resources;
            usable.ports.extend(&part.ports);
        };
        let offers: Vec<_> = self.cluster.offers.values().filter(|offer| offer.agent == *id).collect();
        if accepts(&Role::any()) {
            add(&everybodys);
            for offer in &offers {
                add(&offer.bundle);
            }
        }
        if let Some((_, reserved)) = reserved.filter(|(owner, _)| owner == role && accepts(role)) {
            add(&reserved);
            for offer in &offers {
                add(&offer.reserved);
            }
        }
        Some(usable)
    }

    /// Whether an app has an instance that shall run on an agent, of any revision.
    fn has_one(&self, app: &AppId, agent: &AgentId) -> bool {
        let slots = self.ledger.announced.slots_of(app);
        slots.flat_map(|slot| &slot.instances).any(|one| one.is_wanted() && one.agent.id == *agent)
    }

    /// As [`holds`], with the number of values there are where a constraint does not say.
    fn admits(&self, rule: &Constraint, agent: &Agent, others: &[&Agent], count: u32) -> bool {
        if rule.operator == Operator::Cluster(None) {
            // The first one's value decides, should one that came back be elsewhere than what had replaced it.
            let first = others.iter().copied().find(|other| other.value(&rule.field).is_some());
            return holds(rule, agent, first.into_iter(), count);
        }
        if rule.operator != Operator::GroupBy(None) {
            return holds(rule, agent, others.iter().copied(), count);
        }
        // Agents that were lost while nobody was connected may still be counted: nobody told.
        let all = self.cluster.agents.values();
        let values: BTreeSet<_> = all.filter_map(|agent| agent.machine.agent.value(&rule.field)).collect();
        let even = Operator::GroupBy(Some(values.len() as u32));
        holds(&Constraint { operator: even, ..rule.clone() }, agent, others.iter().copied(), count)
    }

    fn fixed_ports(&self, app: &App) -> Vec<Option<Port>> {
        use ekiden_model::app::HostPort;
        let leased = self.ledger.announced.apps.get(&app.id).map(|record| record.service_ports.clone());
        let leased = leased.unwrap_or_default();
        let needs = |definition: &&ekiden_model::app::PortDefinition| definition.host_port != HostPort::Unmapped;
        let port = |(index, definition): (usize, &ekiden_model::app::PortDefinition)| match definition.host_port {
            HostPort::Fixed(port) => Some(port),
            HostPort::ServicePort => leased.get(index).copied().flatten(),
            HostPort::Dynamic | HostPort::Unmapped => None,
        };
        app.template.ports.iter().filter(needs).enumerate().map(port).collect()
    }
}
