//! Tasks: how they start, what becomes of them, how they end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::effect::TaskLaunch;
use ekiden_model::offer::Claim;
use ekiden_model::{AgentId, App, AppId, Condition, InstanceKey, Port, RevisionId, TaskId, Timestamp};

use super::{Cluster, Link, Update};
use crate::behaviour::Behaviour;
use crate::timeline::{Happening, Stage, Timeline};

/// A task, as it is in truth.
#[derive(Debug)]
pub struct SimTask {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub app: AppId,
    /// Which instance.
    pub key: InstanceKey,
    /// What it runs.
    pub revision: RevisionId,
    /// The declaration that it was launched with.
    pub declared: Arc<App>,
    /// Where.
    pub agent: AgentId,
    /// The agent's host.
    pub hostname: Arc<str>,
    /// What it holds.
    pub claim: Claim,
    /// Its host ports.
    pub host_ports: Vec<Port>,
    /// How it is.
    pub state: Condition,
    /// When it was launched.
    pub launched: Timestamp,
    /// When it began to run.
    pub running: Option<Timestamp>,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// It is unhealthy until it is replaced.
    pub wedged: bool,
    /// It was ended because its agent was drained.
    pub drained: bool,
    /// Whether the master ever called it unreachable.
    pub ever_unreachable: bool,
    /// What an executor's check finds, every so often, and after how many failures it ends the task.
    pub executor_check: Option<(Duration, u32)>,
    /// How often in a row that check has failed.
    pub check_failures: u32,
    /// What the executor last said.
    pub said_healthy: Option<bool>,
    /// What the agent has to say and was not acknowledged, oldest first.
    pub updates: VecDeque<Update>,
}

impl SimTask {
    /// How it is, as far as the master tells: by the oldest update that is not acknowledged.
    pub fn reported(&self) -> Condition {
        self.updates.front().map_or(self.state, |update| update.condition)
    }
}

impl Cluster {
    pub(super) fn start_task(&mut self, launch: &TaskLaunch, line: &mut Timeline) {
        let mut behaviour = Behaviour::of(&launch.app.template.command);
        if self.benign {
            behaviour = Behaviour::GOOD;
        }
        let check = launch.app.executor_checks().next();
        let task = SimTask {
            id: launch.task.clone(),
            app: launch.app.id.clone(),
            key: launch.instance,
            revision: launch.revision,
            declared: launch.app.clone(),
            agent: launch.agent.id.clone(),
            hostname: launch.agent.hostname.clone(),
            claim: launch.claim.clone(),
            host_ports: launch.host_ports.iter().flatten().copied().collect(),
            state: Condition::Staging,
            launched: line.now,
            running: None,
            behaviour,
            wedged: false,
            drained: false,
            ever_unreachable: false,
            executor_check: check.map(|check| (check.interval, check.max_failures)),
            check_failures: 0,
            said_healthy: None,
            updates: VecDeque::new(),
        };
        line.log(format_args!("{} starts on {}", task.id, task.agent));
        if let Some(start) = behaviour.start {
            let start = start + line.jitter(0, 1500);
            line.after(start / 2, Happening::Task(task.id.clone(), Stage::Starting));
            line.after(start, Happening::Task(task.id.clone(), Stage::Running));
        }
        if let Some(agent) = self.agents.get_mut(&task.agent) {
            agent.tasks.insert(task.id.clone());
        }
        self.by_instance.insert((task.app.clone(), task.key), task.id.clone());
        if let Some(memory) = &mut self.memory
            && let Some(framework) = memory.current.clone()
        {
            memory.of.insert(task.id.clone(), framework);
        }
        self.tasks.insert(task.id.clone(), task);
    }

    /// A task comes this far, unless something else came first.
    pub fn advance(&mut self, id: &TaskId, stage: Stage, line: &mut Timeline) {
        let benign = self.benign;
        let Some(task) = self.tasks.get_mut(id) else { return };
        match stage {
            Stage::Starting if task.state == Condition::Staging => {
                task.state = Condition::Starting;
                self.report(id, Condition::Starting, "", None, line);
            }
            Stage::Running if task.state.is_starting() => {
                task.state = Condition::Running;
                task.running = Some(line.now);
                let Behaviour { crash, finish, .. } = task.behaviour;
                if let Some((interval, _)) = task.executor_check {
                    line.after(interval, Happening::Task(id.clone(), Stage::Check));
                }
                if let Some(after) = crash {
                    line.after(after, Happening::Task(id.clone(), Stage::Crash));
                }
                if let Some(after) = finish {
                    line.after(after, Happening::Task(id.clone(), Stage::Finish));
                }
                self.report(id, Condition::Running, "", None, line);
            }
            Stage::Crash if task.state.is_live() && !benign => {
                self.end(id, Condition::Failed, "exited with status 1", line);
            }
            Stage::Finish if task.state.is_live() && !benign => {
                self.end(id, Condition::Finished, "exited with status 0", line);
            }
            Stage::Killed if task.state.is_live() => {
                let drained = self.agents.get(&task.agent).and_then(|agent| agent.drain).filter(|_| task.drained);
                let gone = drained.is_some_and(|drain| drain.then_gone);
                let condition = if gone { Condition::Gone } else { Condition::Killed };
                self.end(id, condition, "killed by request", line);
            }
            Stage::Check if task.state == Condition::Running => self.executor_checks(id, line),
            _ => {}
        }
    }

    /// A task ends: what it held is free from now on.
    pub fn end(&mut self, id: &TaskId, condition: Condition, message: &str, line: &mut Timeline) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.state.is_live()) else { return };
        task.state = condition;
        line.log(format_args!("{id} ends: {}", condition.task_state()));
        let agent = task.agent.clone();
        self.report(id, condition, message, None, line);
        self.gone_once_empty(&agent, line);
        self.want_allocation(line);
    }

    /// A task is told to end.
    pub(super) fn terminate(&mut self, id: &TaskId, grace: Option<Duration>, line: &mut Timeline) {
        /// What Mesos' executors wait between SIGTERM and SIGKILL.
        const GRACE: Duration = Duration::from_secs(3);
        let Some(task) = self.tasks.get_mut(id) else { return };
        if task.state == Condition::Killing || task.state.is_terminal() {
            return;
        }
        let grace = grace.unwrap_or(GRACE);
        let takes = task.behaviour.stop.map_or(grace, |stop| stop.min(grace));
        task.state = Condition::Killing;
        self.report(id, Condition::Killing, "", None, line);
        line.after(takes, Happening::Task(id.clone(), Stage::Killed));
    }

    /// A task dies with its agent; nobody is left to say so but the master.
    pub(super) fn lose(&mut self, id: &TaskId, reach: Link, line: &mut Timeline) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let untold = task.reported().is_live();
        task.updates.clear();
        task.state = Condition::Gone;
        line.log(format_args!("{id} dies with its agent"));
        let told = match reach {
            Link::Gone | Link::Up | Link::Unregistered => Condition::Gone,
            Link::Cut | Link::Unreachable | Link::Abandoned => {
                task.ever_unreachable = true;
                Condition::Unreachable
            }
        };
        if untold {
            self.tell_status(id, told, "the agent was lost", None, None, line);
        }
        self.tasks.remove(id);
    }

    /// Whether checks of a task succeed at this moment.
    pub fn is_healthy(&self, task: &SimTask, now: Timestamp) -> bool {
        let Some(running) = task.running.filter(|_| task.state == Condition::Running) else { return false };
        let after = if self.benign { Some(Duration::ZERO) } else { task.behaviour.healthy };
        !task.wedged && !self.sick.contains(&task.app) && after.is_some_and(|after| now >= running + after)
    }

    /// Whether a task is ready at this moment.
    pub fn is_ready(&self, task: &SimTask, now: Timestamp) -> bool {
        let Some(running) = task.running.filter(|_| task.state == Condition::Running) else { return false };
        let after = if self.benign { Some(Duration::ZERO) } else { task.behaviour.ready };
        after.is_some_and(|after| now >= running + after)
    }

    fn executor_checks(&mut self, id: &TaskId, line: &mut Timeline) {
        let Some(task) = self.tasks.get(id) else { return };
        let healthy = self.is_healthy(task, line.now);
        let Some(task) = self.tasks.get_mut(id) else { return };
        let Some((interval, most)) = task.executor_check else { return };
        task.check_failures = if healthy { 0 } else { task.check_failures + 1 };
        if most > 0 && task.check_failures > most {
            self.end(id, Condition::Killed, "killed by its executor: unhealthy", line);
            return;
        }
        let said = task.said_healthy.replace(healthy);
        if said != Some(healthy) {
            self.report(id, Condition::Running, "", Some(healthy), line);
        }
        line.after(interval, Happening::Task(id.clone(), Stage::Check));
    }
}

/// The id of a task that some other framework, or an Ekiden of another store, left behind.
const STRANGER: &str = "legacy.instance-9ac35a56-0e29-11ea-9d3b-70b3d5800001._app.1";

impl Cluster {
    /// A task that is not Ekiden's, on the first agent: it must never be touched.
    pub fn plant_stranger(&mut self, line: &mut Timeline) {
        let Some((id, agent)) = self.agents.iter_mut().next() else { return };
        let app = crate::build::app("/legacy").arc();
        let hostname = agent.machine.agent.hostname.clone();
        let task = SimTask {
            id: TaskId::new(STRANGER),
            app: app.id.clone(),
            key: InstanceKey { slot: ekiden_model::Slot(0), incarnation: ekiden_model::Incarnation::FIRST },
            revision: RevisionId(1),
            declared: app,
            agent: id.clone(),
            hostname,
            claim: Claim::default(),
            host_ports: Vec::new(),
            state: Condition::Running,
            launched: line.now,
            running: Some(line.now),
            behaviour: Behaviour::GOOD,
            wedged: false,
            drained: false,
            ever_unreachable: false,
            executor_check: None,
            check_failures: 0,
            said_healthy: None,
            updates: VecDeque::new(),
        };
        agent.tasks.insert(task.id.clone());
        self.tasks.insert(task.id.clone(), task);
    }
}
