//! Tasks, as their agents run them: each goes from `STAGING` to `RUNNING` by itself, and tells every change until it is
//! acknowledged, one at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::resources::Resources;
use super::world::{Due, Standing, World, nanoseconds, seconds};

#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: String,
    /// The `TaskInfo`, as it was launched.
    pub(super) info: Value,
    pub(super) framework: String,
    pub(super) agent: usize,
    /// The id the agent had then: an agent that begins anew has another one.
    pub(super) agent_id: String,
    pub(super) role: String,
    pub(super) resources: Resources,
    pub(super) progress: Progress,
    /// Its state at the agent.
    pub(super) state: String,
    /// Its state in the master's memory.
    pub(super) told: String,
    /// What the master was last told of it.
    pub(super) statuses: Vec<Value>,
    /// Updates that are not acknowledged; the first is the one that is being told.
    pending: VecDeque<Value>,
    /// Whether the first of them was told to this master.
    telling: bool,
    /// Its resources are free again.
    pub(super) freed: bool,
}

/// How far its agent is with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has never heard of it.
    Unheard,
    Alive,
    /// It was told to kill it.
    Dying,
}

/// What a task does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Starting,
    Running,
    Healthy,
    End(&'static str, String),
}

/// Whether a task in this state runs no more.
pub(super) fn has_ended(state: &str) -> bool {
    matches!(
        state,
        "TASK_FINISHED"
            | "TASK_FAILED"
            | "TASK_KILLED"
            | "TASK_ERROR"
            | "TASK_LOST"
            | "TASK_DROPPED"
            | "TASK_GONE"
            | "TASK_GONE_BY_OPERATOR"
    )
}

impl Task {
    pub(super) fn staged(
        info: Value,
        framework: &str,
        agent: (usize, &str),
        role: &str,
        resources: Resources,
    ) -> Self {
        Self {
            id: info["task_id"]["value"].as_str().unwrap_or_default().to_owned(),
            info,
            framework: framework.to_owned(),
            agent: agent.0,
            agent_id: agent.1.to_owned(),
            role: role.to_owned(),
            resources,
            progress: Progress::Alive,
            state: "TASK_STAGING".to_owned(),
            told: "TASK_STAGING".to_owned(),
            statuses: Vec::new(),
            pending: VecDeque::new(),
            telling: false,
            freed: false,
        }
    }

    /// Another master leads, and has heard nothing.
    pub(super) fn forgotten_by_the_master(&mut self) {
        self.telling = false;
        self.told.clone_from(&self.state);
    }
}

impl World {
    /// A task reaches its agent.
    pub(super) fn launch(&mut self, now: Instant, task: Task) {
        let id = task.id.clone();
        self.agents[task.agent].used.add(&task.resources);
        let heard = task.progress != Progress::Unheard;
        self.tasks.insert(id.clone(), task);
        if heard {
            self.at(now + self.options.start_after, Due::Step(id, Step::Starting));
        }
    }

    /// A task that has run for long already; nothing is told of it, nothing is unacknowledged.
    pub(super) fn place_running(&mut self, mut task: Task) {
        "TASK_RUNNING".clone_into(&mut task.state);
        "TASK_RUNNING".clone_into(&mut task.told);
        let status = self.status(&task, "TASK_RUNNING", "", None);
        task.statuses.push(status);
        self.agents[task.agent].used.add(&task.resources);
        self.tasks.insert(task.id.clone(), task);
    }

    pub(super) fn step(&mut self, now: Instant, id: &str, step: Step) {
        let Some(task) = self.tasks.get(id) else { return };
        if has_ended(&task.state) || (task.progress == Progress::Dying && !matches!(step, Step::End(..))) {
            return;
        }
        let command = task.info["command"]["value"].as_str().unwrap_or_default().to_owned();
        let checked = task.info["health_check"].is_object();
        match step {
            Step::Starting => {
                self.update(now, id, "TASK_STARTING", "", None, None);
                self.at(now + self.options.run_after, Due::Step(id.to_owned(), Step::Running));
            }
            Step::Running => {
                self.update(now, id, "TASK_RUNNING", "", None, None);
                if checked {
                    self.at(now + self.options.run_after, Due::Step(id.to_owned(), Step::Healthy));
                }
                if let Some(status) = command.strip_prefix("exit ") {
                    let end = match status.trim() {
                        "0" => Step::End("TASK_FINISHED", "Command exited with status 0".to_owned()),
                        other => Step::End("TASK_FAILED", format!("Command exited with status {other}")),
                    };
                    self.at(now + self.options.run_after, Due::Step(id.to_owned(), end));
                }
            }
            Step::Healthy => self.tell_health(now, id, true),
            Step::End(state, message) => self.update(now, id, state, &message, None, None),
        }
    }

    /// What the executor's health check says from now on.
    pub(super) fn tell_health(&mut self, now: Instant, id: &str, healthy: bool) {
        let reason = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED";
        self.update(now, id, "TASK_RUNNING", "", Some(reason), Some(healthy));
    }

    /// A task changes; its agent tells of it.
    pub(super) fn update(
        &mut self,
        now: Instant,
        id: &str,
        state: &str,
        message: &str,
        reason: Option<&str>,
        healthy: Option<bool>,
    ) {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&u64::from(std::process::id()).to_be_bytes());
        uuid[8..].copy_from_slice(&self.serial().to_be_bytes());
        let Some(task) = self.tasks.get(id) else { return };
        let mut status = self.status(task, state, message, reason);
        status["source"] = json!("SOURCE_EXECUTOR");
        status["executor_id"] = json!({"value": id});
        status["uuid"] = json!(STANDARD.encode(uuid));
        if let Some(healthy) = healthy {
            status["healthy"] = json!(healthy);
        }
        if let Some(task) = self.tasks.get_mut(id) {
            state.clone_into(&mut task.state);
            task.pending.push_back(status);
        }
        self.tell_next(now, id);
    }

    /// The agent tells the first update that is not acknowledged, unless it is telling it already.
    fn tell_next(&mut self, now: Instant, id: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if task.telling || self.agents[task.agent].standing != Standing::Registered {
            return;
        }
        let Some(status) = task.pending.front().cloned() else { return };
        task.telling = true;
        status["state"].as_str().unwrap_or_default().clone_into(&mut task.told);
        task.statuses.push(status.clone());
        let framework = task.framework.clone();
        let uuid = status["uuid"].as_str().unwrap_or_default().to_owned();
        self.free_what_has_ended(id);
        self.tell(&framework, json!({"type": "UPDATE", "update": {"status": status}}));
        self.at(now + self.options.resend_after, Due::Resend(id.to_owned(), uuid));
    }

    /// It was told, and not acknowledged for long.
    pub(super) fn resend(&mut self, now: Instant, id: &str, uuid: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if task.telling && task.pending.front().is_some_and(|status| status["uuid"] == uuid) {
            task.telling = false;
            task.statuses.pop();
            self.tell_next(now, id);
        }
    }

    /// The agent has come back to the master, or the framework to it: what is not acknowledged is told again.
    pub(super) fn tell_again(&mut self, now: Instant, agent: Option<usize>, framework: Option<&str>) {
        let waiting: Vec<String> = self
            .tasks
            .values()
            .filter(|task| agent.is_none_or(|agent| task.agent == agent))
            .filter(|task| framework.is_none_or(|framework| task.framework == framework))
            .filter(|task| !task.pending.is_empty())
            .map(|task| task.id.clone())
            .collect();
        for id in waiting {
            if let Some(task) = self.tasks.get_mut(&id).filter(|task| task.telling) {
                task.telling = false;
                task.statuses.pop();
            }
            self.tell_next(now, &id);
        }
    }

    /// An update was acknowledged; anything else than the one being told is ignored, as agents do.
    pub(super) fn acknowledge(&mut self, now: Instant, id: &str, uuid: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let agent = &self.agents[task.agent];
        let first = task.pending.front().is_some_and(|status| status["uuid"] == uuid);
        if !first || agent.standing != Standing::Registered {
            return;
        }
        task.pending.pop_front();
        task.telling = false;
        if task.pending.is_empty() && has_ended(&task.state) {
            if let Some(task) = self.tasks.remove(id) {
                self.completed.push(task);
            }
        } else {
            self.tell_next(now, id);
        }
    }

    /// The agent is told to kill it.
    pub(super) fn kill(&mut self, now: Instant, id: &str, reason: Option<&str>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if task.progress == Progress::Unheard {
            // The agent knows nothing of it: the master takes that as its end.
            task.progress = Progress::Alive;
            return self.update(
                now,
                id,
                "TASK_DROPPED",
                "Cannot find executor",
                Some("REASON_EXECUTOR_TERMINATED"),
                None,
            );
        }
        if task.progress == Progress::Dying || has_ended(&task.state) {
            return;
        }
        task.progress = Progress::Dying;
        let framework = task.framework.clone();
        if self.frameworks.get(&framework).is_some_and(|framework| framework.can("TASK_KILLING_STATE")) {
            self.update(now, id, "TASK_KILLING", "", reason, None);
        }
        let end = Step::End("TASK_KILLED", "Command terminated with signal Terminated".to_owned());
        self.at(now + self.options.kill_after, Due::Step(id.to_owned(), end));
    }

    /// A status without what only its agent could add.
    pub(super) fn status(&self, task: &Task, state: &str, message: &str, reason: Option<&str>) -> Value {
        let mut status = json!({"task_id": {"value": task.id}, "state": state});
        if !message.is_empty() {
            status["message"] = json!(message);
        }
        status["source"] = json!("SOURCE_MASTER");
        if let Some(reason) = reason {
            status["reason"] = json!(reason);
        }
        status["agent_id"] = json!({"value": task.agent_id});
        status["timestamp"] = json!(seconds(SystemTime::now()));
        let ip = &self.agents[task.agent].spec.ip;
        status["container_status"] = json!({
            "container_id": {"value": format!("container-of-{}", task.id)},
            "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": ip}]}],
        });
        status
    }

    /// The master tells of a task by itself: nothing to acknowledge.
    pub(super) fn tell_of(&mut self, id: &str, state: &str, message: &str, reason: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        state.clone_into(&mut task.told);
        let framework = task.framework.clone();
        let task = &self.tasks[id];
        let mut status = self.status(task, state, message, Some(reason));
        if let (Standing::Unreachable(since), "TASK_UNREACHABLE") = (self.agents[task.agent].standing, state) {
            status["unreachable_time"] = nanoseconds(since);
        }
        self.tell(&framework, json!({"type": "UPDATE", "update": {"status": status}}));
    }

    fn free_what_has_ended(&mut self, id: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if has_ended(&task.state) && !task.freed {
            task.freed = true;
            let agent = &mut self.agents[task.agent];
            agent.used = agent.used.without(&task.resources);
            self.unallocated.insert(task.agent);
        }
    }

    /// The tasks that live, by what their agents would say.
    pub(super) fn running(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().filter(|task| {
            let agent = &self.agents[task.agent];
            task.progress != Progress::Unheard
                && !has_ended(&task.state)
                && agent.standing != Standing::Gone
                && agent.id == task.agent_id
        })
    }

    /// The ids of tasks that an agent has, by the id it has now.
    pub(super) fn tasks_on(&self, agent: usize) -> Vec<String> {
        let id = &self.agents[agent].id;
        self.tasks.values().filter(|task| task.agent_id == *id).map(|task| task.id.clone()).collect()
    }

    /// A task's end comes so late after it is told to end.
    pub(super) fn ends(&mut self, now: Instant, id: &str, state: &'static str, message: &str) {
        self.at(now + Duration::ZERO, Due::Step(id.to_owned(), Step::End(state, message.to_owned())));
    }
}
