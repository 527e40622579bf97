//! What is sent: launches (S5, S6), kills (S5, S7) and acknowledgements (S5).

use ekiden_model::effect::TaskLaunch;
use ekiden_model::input::Ack;
use ekiden_model::{Goal, Role, TaskId};

use super::{Check, Found};

/// Most kills of one task within the time after which a kill is repeated.
const KILLS_PER_RETRY: usize = 6;

impl Check<'_> {
    /// S5: the record of a launch is durable before the launch is sent. S6: no task id is launched twice. S3: nothing is
    /// taken of what the app excludes (where it did not change its mind between the decision and now).
    pub fn launch(&mut self, launch: &TaskLaunch) -> Found {
        let mut found = Vec::new();
        if !self.ledger.launched.insert(launch.task.clone()) {
            found.push(("S6", format!("{} is launched a second time", launch.task)));
        }
        let declared = self.ledger.declared.get(&launch.app.id);
        if declared.is_some_and(|declared| declared.accepted_roles == launch.app.accepted_roles) {
            let parts = [(&launch.claim.unreserved, Role::any()), (&launch.claim.reserved, launch.role.clone())];
            for (part, owner) in parts {
                let accepted = launch.app.accepted_roles.as_ref().is_none_or(|roles| roles.contains(&owner));
                if !accepted && !part.is_empty() {
                    let taken = format!("{}, ports {}", part.resources, part.ports);
                    found
                        .push(("S3", format!("{} takes {taken} of role {owner}, which it excludes", launch.task)));
                }
            }
        }
        let durable = self.store.durable.instance(&launch.app.id, launch.instance);
        match durable {
            None => found.push(("S5", format!("{} is launched and its record is not durable", launch.task))),
            Some(instance) if instance.agent.id != launch.agent.id => {
                found.push(("S5", format!("{} is recorded on {}", launch.task, instance.agent.id)));
            }
            Some(_) => {}
        }
        if self.ledger.task_id(&launch.app.id, launch.instance).as_ref() != Some(&launch.task) {
            found.push(("S6", format!("{} is not the id of {} {}", launch.task, launch.app.id, launch.instance)));
        }
        found
    }

    /// S7: a task that is killed is ours by its id, and either its durable record says that it shall end (S5: the
    /// order is durable first) or there is no record of it any more. Without such a record nothing is killed before
    /// all is known, unless an operator ordered it.
    pub fn kill(&mut self, task: &TaskId) -> Found {
        let Some((app, key)) = self.ledger.whose(task) else {
            return vec![("S7", format!("{task} is killed and not ours"))];
        };
        let mut found = Vec::new();
        // An app that was deleted, and perhaps declared again since: the task is of its former life.
        let former = self.ledger.task_id(&app, key).as_ref() != Some(task);
        let durable = if former { None } else { self.store.durable.instance(&app, key) };
        // Who was ordered by an operator to end may have ended, and be forgotten, before the order leaves a slow store.
        let is_ordered = self.ledger.operator_kills.contains_key(task);
        if durable.is_none() && !is_ordered && !self.ledger.is_settled() {
            found.push(("S7", format!("{task} is killed before all is known")));
        }
        if former {
            return found;
        }
        if durable.is_some() {
            found.extend(self.repeated(task));
        }
        match durable {
            Some(instance) if instance.goal == Goal::Running && instance.condition.is_live() => {
                // A kill without an order is without a permit, too: it may break the floor.
                found.push(("S2", format!("{task} is killed without a recorded permit")));
            }
            None if self.ledger.announced.instance(&app, key).is_some() => {
                found.push(("S5", format!("{task} is killed and its record is not durable")));
            }
            Some(_) | None => {}
        }
        found
    }

    /// S9: the kill of an instance on record is repeated no more often than its retry says; some more, because an answer
    /// of the cluster may be a reason of its own. (One that is on record no more is ended whenever it reports.)
    fn repeated(&mut self, task: &TaskId) -> Found {
        let (now, window) = (self.now, self.settings.kill_retry);
        let times = self.ledger.kills.entry(task.clone()).or_default();
        times.push_back(now);
        times.retain(|at| now.since(*at) < window);
        if times.len() <= KILLS_PER_RETRY {
            return Vec::new();
        }
        vec![("S9", format!("{task} is killed {} times within {window:?}", times.len()))]
    }

    /// S5: an update is acknowledged only when the durable record shows it: the same condition or a later one, or no
    /// instance any more. Updates of tasks that are not ours need no record.
    pub fn acknowledge(&mut self, ack: &Ack) -> Found {
        let Some((task, condition)) = self.ledger.unacknowledged.get(&ack.uuid).cloned() else {
            return vec![("S5", format!("an update of {} is acknowledged that was not delivered", ack.task))];
        };
        let Some((app, key)) = self.ledger.whose(&task) else { return Vec::new() };
        if self.ledger.task_id(&app, key).as_ref() != Some(&task) {
            return Vec::new();
        }
        let Some(instance) = self.store.durable.instance(&app, key) else { return Vec::new() };
        let shown = instance.condition >= condition || instance.condition.is_terminal();
        let shown = shown && (!condition.is_terminal() || instance.condition.is_terminal());
        if shown {
            return Vec::new();
        }
        let text = format!(
            "{} of {task} is acknowledged and the record says {}",
            condition.task_state(),
            instance.condition.task_state()
        );
        vec![("S5", text)]
    }
}
