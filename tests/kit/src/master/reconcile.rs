//! What the master says of tasks when it is asked, and when agents come and go.
//!
//! The order of the questions is Mesos' own (`Master::reconcile`), seen on 1.11 with a registry in memory and with a
//! replicated one; the difference matters most where the master says nothing at all.

use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use super::resources::Resources;
use super::tasks::{Progress, has_ended};
use super::world::{Framework, Standing, World, nanoseconds, seconds};

const REASON: &str = "REASON_RECONCILIATION";

impl World {
    /// All tasks of the framework on registered agents.
    pub(super) fn reconcile_all(&mut self, framework: &str) {
        let theirs = self.tasks.values().filter(|task| task.framework == framework);
        let known: Vec<String> = theirs.map(|task| task.id.clone()).filter(|id| self.master_knows(id)).collect();
        for id in &known {
            self.tell_latest(id);
        }
    }

    /// One task.
    pub(super) fn reconcile_one(&mut self, framework: &str, id: &str, agent: Option<&str>) {
        if self.tasks.get(id).is_some_and(|task| task.framework == framework) && self.master_knows(id) {
            return self.tell_latest(id);
        }
        let standing = agent.and_then(|agent| self.agent_of(agent)).map(|agent| self.agents[agent].standing);
        let (state, message) = match (agent, standing) {
            (_, Some(Standing::Registered)) => ("TASK_GONE", "Reconciliation: Task is unknown to the agent"),
            (_, Some(Standing::Unreachable(_))) => ("TASK_UNREACHABLE", "Reconciliation: Task is unreachable"),
            (_, Some(Standing::Gone)) => ("TASK_GONE_BY_OPERATOR", "Reconciliation: Task is gone"),
            (_, Some(Standing::Recovered)) => return,
            // Without an agent to look for, a task may be on any that has not come back.
            (None, _) if self.agents.iter().any(|agent| agent.standing == Standing::Recovered) => return,
            _ => ("TASK_UNKNOWN", "Reconciliation: Task is unknown"),
        };
        let mut status = json!({
            "task_id": {"value": id},
            "state": state,
            "message": message,
            "source": "SOURCE_MASTER",
            "reason": REASON,
        });
        if let Some(agent) = agent {
            status["agent_id"] = json!({"value": agent});
        }
        status["timestamp"] = json!(seconds(SystemTime::now()));
        if let Some(Standing::Unreachable(since)) = standing {
            status["unreachable_time"] = nanoseconds(since);
        }
        self.tell_status(framework, &status);
    }

    /// Whether the leading master has a task in its memory, and not among the unreachable.
    pub(super) fn master_knows(&self, id: &str) -> bool {
        self.tasks.get(id).is_some_and(|task| {
            let agent = &self.agents[task.agent];
            agent.standing == Standing::Registered && agent.id == task.agent_id
        })
    }

    /// An agent does not answer any more.
    pub(super) fn agent_unreachable(&mut self, agent: usize) {
        if self.agents[agent].standing != Standing::Registered {
            return;
        }
        self.agents[agent].standing = Standing::Unreachable(SystemTime::now());
        for id in self.tasks_on(agent) {
            self.tell_of(&id, "TASK_UNREACHABLE", "health check timed out", "REASON_AGENT_REMOVED");
        }
        self.agent_failed(agent);
    }

    /// An agent (re-)registers with the leading master.
    pub(super) fn agent_registers(&mut self, now: Instant, agent: usize) {
        let before = std::mem::replace(&mut self.agents[agent].standing, Standing::Registered);
        let message = match before {
            Standing::Unreachable(_) => Some("Unreachable agent re-reregistered"),
            Standing::Unknown => Some("Unknown agent reregistered"),
            Standing::Gone => {
                // It is told to shut down.
                self.agents[agent].standing = Standing::Gone;
                return;
            }
            Standing::Recovered | Standing::Registered => None,
        };
        for id in self.tasks_on(agent) {
            self.recover_framework_of(&id);
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            if task.progress == Progress::Unheard {
                // It never got there, as the agent can tell now.
                task.progress = Progress::Alive;
                self.update(now, &id, "TASK_DROPPED", "", Some(REASON), None);
            } else if let Some(message) = message.filter(|_| !has_ended(&task.state)) {
                let state = task.state.clone();
                self.tell_of(&id, &state, message, "REASON_AGENT_REREGISTERED");
            }
        }
        self.tell_again(now, Some(agent), None);
        self.unallocated.insert(agent);
    }

    /// An operator has said that an agent will not come back.
    pub(super) fn agent_gone(&mut self, agent: usize) {
        self.agents[agent].standing = Standing::Gone;
        let message = "Agent has been marked gone";
        self.tasks_end_with(agent, "TASK_GONE_BY_OPERATOR", message, "REASON_AGENT_REMOVED_BY_OPERATOR");
        self.agent_failed(agent);
    }

    /// The host begins anew, as another agent: what ran there is gone.
    pub(super) fn agent_begins_anew(&mut self, agent: usize) {
        let message = "Agent removed: a new agent registered at the same address";
        self.tasks_end_with(agent, "TASK_GONE", message, "REASON_AGENT_REMOVED");
        self.agent_failed(agent);
        let serial = self.serial();
        let id = format!("{}-S{}-{serial}", self.masters[self.leader].id, self.agents.len());
        let at = &mut self.agents[agent];
        at.id = id;
        at.standing = Standing::Registered;
        at.used = Resources::default();
        at.draining = false;
        self.unallocated.insert(agent);
    }

    /// A master that has never met a framework learns of it from the agents that run its tasks.
    fn recover_framework_of(&mut self, task: &str) {
        let id = self.tasks[task].framework.clone();
        if let (false, Some(info)) = (self.frameworks.contains_key(&id), self.infos.get(&id)) {
            self.frameworks.insert(id, Framework::recovered(info.clone()));
        }
    }

    fn tasks_end_with(&mut self, agent: usize, state: &str, message: &str, reason: &str) {
        for id in self.tasks_on(agent) {
            self.tell_of(&id, state, message, reason);
            if let Some(mut task) = self.tasks.remove(&id) {
                state.clone_into(&mut task.state);
                self.completed.push(task);
            }
        }
    }

    fn agent_failed(&mut self, agent: usize) {
        self.rescind(|offer| offer.agent == agent);
        let id = self.agents[agent].id.clone();
        let frameworks: Vec<String> = self.frameworks.keys().cloned().collect();
        for framework in frameworks {
            self.tell(&framework, json!({"type": "FAILURE", "failure": {"agent_id": {"value": id}}}));
        }
    }

    fn tell_latest(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        let status = self.status(task, &task.told, "Reconciliation: Latest task state", Some(REASON));
        let mut status = status;
        if let Some(healthy) = task.statuses.iter().rev().find_map(|status| status["healthy"].as_bool()) {
            status["healthy"] = json!(healthy);
        }
        let framework = task.framework.clone();
        self.tell_status(&framework, &status);
    }

    fn tell_status(&mut self, framework: &str, status: &Value) {
        self.tell(framework, json!({"type": "UPDATE", "update": {"status": status}}));
    }
}
