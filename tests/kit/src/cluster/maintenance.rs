//! Agents that go: announced windows of unavailability, and agents that an operator drains.

use std::time::Duration;

use ekiden_model::agent::Window;
use ekiden_model::input::ClusterEvent;
use ekiden_model::{AgentId, TaskId};

use super::{Cluster, Link};
use crate::timeline::{Happening, Timeline};

/// What an operator wants of an agent that he drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Whether the agent is declared gone once it runs nothing any more.
    pub then_gone: bool,
    /// How long its tasks have between SIGTERM and SIGKILL at most, where the operator says.
    pub grace: Option<Duration>,
}

impl Cluster {
    /// A window is put on, or taken off, an agent's schedule. Its offers are made anew with it, and whoever has tasks
    /// there is told.
    pub fn schedule_maintenance(&mut self, id: &AgentId, window: Option<Window>, line: &mut Timeline) {
        let Some(agent) = self.agents.get_mut(id).filter(|agent| agent.link != Link::Gone) else { return };
        if agent.window == window {
            return;
        }
        agent.window = window;
        match window {
            Some((begin, length)) => {
                line.log(format_args!("{id} goes into maintenance at {begin} for {length:?}"));
            }
            None => line.log(format_args!("{id} is not to go into maintenance")),
        }
        self.rescind_agent(id, line);
        self.tell_maintenance(id, line);
        self.want_allocation(line);
    }

    /// The inverse offer, or its end.
    fn tell_maintenance(&mut self, id: &AgentId, line: &mut Timeline) {
        let Some(agent) = self.agents.get(id) else { return };
        if !agent.tasks.is_empty() {
            let window = agent.window;
            self.tell(ClusterEvent::Maintenance(id.clone(), window), line);
        }
    }

    /// What a new connection is told of the schedule.
    pub(super) fn tell_schedule(&mut self, line: &mut Timeline) {
        let planned = self.agents.iter().filter(|(_, agent)| agent.window.is_some() && agent.link == Link::Up);
        let planned: Vec<AgentId> = planned.map(|(id, _)| id.clone()).collect();
        for id in planned {
            self.tell_maintenance(&id, line);
        }
    }

    /// An agent is drained: it offers nothing, and all that it runs is ended by Mesos.
    pub fn drain(&mut self, id: &AgentId, drain: Drain, line: &mut Timeline) {
        let Some(agent) = self.agents.get_mut(id).filter(|agent| agent.link == Link::Up) else { return };
        line.log(format_args!("{id} is drained: {drain:?}"));
        agent.drain = Some(drain);
        let tasks: Vec<TaskId> = agent.tasks.iter().cloned().collect();
        self.rescind_agent(id, line);
        for task in tasks {
            if let Some(task) = self.tasks.get_mut(&task).filter(|task| task.state.is_live()) {
                task.drained = true;
            }
            self.terminate(&task, drain.grace, line);
        }
        self.gone_once_empty(id, line);
    }

    /// A drained agent that runs nothing any more is declared gone, if that was asked for.
    pub(super) fn gone_once_empty(&mut self, id: &AgentId, line: &mut Timeline) {
        let is_empty = |task: &TaskId| self.tasks.get(task).is_none_or(|task| task.state.is_terminal());
        let due = self.agents.get(id).is_some_and(|agent| {
            let then_gone = agent.drain.is_some_and(|drain| drain.then_gone);
            then_gone && agent.link == Link::Up && agent.tasks.iter().all(is_empty)
        });
        if due {
            line.after(Duration::from_secs(1), Happening::DrainedGone(id.clone()));
        }
    }

    /// The time has come.
    pub fn drained_gone(&mut self, id: &AgentId, line: &mut Timeline) {
        let drained = self
            .agents
            .get(id)
            .is_some_and(|agent| agent.link == Link::Up && agent.drain.is_some_and(|drain| drain.then_gone));
        if drained {
            self.kill_agent(id, Link::Gone, line);
        }
    }

    /// A drained agent is put to use again.
    pub fn activate(&mut self, id: &AgentId, line: &mut Timeline) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.drain.take().is_some() {
            line.log(format_args!("{id} is activated"));
            self.want_allocation(line);
        }
    }
}
