//! What a Mesos master remembers of frameworks: as whom Ekiden runs its tasks, and what a master that has just taken over
//! does not know yet. A cluster without memory is one that knows nobody by a name, as the one on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use ekiden_model::input::{Found, FoundTask};
use ekiden_model::{AgentId, Condition, FrameworkId, Role, TaskId, Timestamp};

use super::{Cluster, Link};
use crate::timeline::{Happening, Timeline};

/// The memory.
#[derive(Debug, Default)]
pub struct Memory {
    /// As whom Ekiden is connected, or was last.
    pub current: Option<FrameworkId>,
    /// As whose each task was launched.
    pub of: BTreeMap<TaskId, FrameworkId>,
    /// How many frameworks there ever were.
    made: u32,
    /// Whether the present master has read in a registry which agents there are. Without one it calls the tasks of agents
    /// that have not come back unknown; with one it says nothing of them.
    registry: bool,
    /// Nothing is offered before this: a new master waits for its agents.
    offers_from: Timestamp,
}

impl Cluster {
    /// From now on, frameworks have names.
    pub fn remember(&mut self) {
        self.memory = Some(Memory { registry: true, ..Memory::default() });
    }

    /// Ekiden wants to be this framework, or a new one. Says who it is now; nothing in a cluster without memory.
    pub fn become_framework(&mut self, wanted: Option<FrameworkId>) -> Option<FrameworkId> {
        let memory = self.memory.as_mut()?;
        let framework = wanted.unwrap_or_else(|| {
            memory.made += 1;
            FrameworkId::new(format!("framework{}", memory.made))
        });
        memory.current = Some(framework.clone());
        Some(framework)
    }

    /// Whether a task is of the framework that Ekiden is.
    pub fn is_current(&self, task: &TaskId) -> bool {
        self.memory.as_ref().is_none_or(|memory| memory.of.get(task) == memory.current.as_ref())
    }

    /// What the master knows of the framework that we are, if we are a `member`; else of one of our name but `except`: of
    /// several, the one with the most tasks, since a master that was replaced does not know who registered last.
    pub fn survey(&self, member: bool, except: Option<&FrameworkId>) -> Found {
        let Some(memory) = &self.memory else { return Found::default() };
        let seen = |agent: &AgentId| {
            self.agents
                .get(agent)
                .is_some_and(|agent| matches!(agent.link, Link::Up | Link::Cut | Link::Unreachable))
        };
        let mut by_framework: BTreeMap<&FrameworkId, Vec<FoundTask>> = BTreeMap::new();
        for task in self.living().filter(|task| seen(&task.agent)) {
            let (Some(framework), Some(agent)) = (memory.of.get(&task.id), self.agents.get(&task.agent)) else {
                continue;
            };
            let condition = if agent.link == Link::Unreachable { Condition::Unreachable } else { task.reported() };
            by_framework.entry(framework).or_default().push(FoundTask {
                task: task.id.clone(),
                condition,
                since: task.running.unwrap_or(task.launched),
                agent: agent.machine.agent.clone(),
                role: Role::any(),
                host_ports: task.host_ports.iter().copied().map(Some).collect(),
                template: Some(task.declared.fingerprint()),
                healthy: task.said_healthy,
            });
        }
        let counts = |framework: &FrameworkId| {
            if member { memory.current.as_ref() == Some(framework) } else { except != Some(framework) }
        };
        let candidates = by_framework.iter().filter(|(framework, _)| counts(framework));
        let most = candidates.max_by_key(|(_, tasks)| tasks.len()).map(|(framework, _)| (*framework).clone());
        let framework = most.or_else(|| memory.current.clone().filter(|current| counts(current)));
        let tasks = framework.as_ref().and_then(|framework| by_framework.remove(framework)).unwrap_or_default();
        let beside = by_framework.into_values().flatten().map(|found| found.task).collect();
        Found { framework, connected_from: None, tasks, beside }
    }

    /// A new master leads: it knows of no agent until that comes back, and offers nothing for a while. Says which agents
    /// have to come back.
    pub fn fail_over(&mut self, registry: bool, no_offers_for: Duration, line: &mut Timeline) -> Vec<AgentId> {
        if let Some(memory) = &mut self.memory {
            memory.registry = registry;
            memory.offers_from = line.now + no_offers_for;
        }
        let up = self.agents.iter_mut().filter(|(_, agent)| agent.link == Link::Up);
        let ids: Vec<AgentId> = up
            .map(|(id, agent)| {
                agent.link = Link::Unregistered;
                id.clone()
            })
            .collect();
        line.log(format_args!(
            "a new master leads (registry: {registry}); {} agents have to come back",
            ids.len()
        ));
        line.after(no_offers_for, Happening::Allocate);
        ids
    }

    /// An agent comes back to a new master: its updates get through again. Of tasks that have nothing to report the
    /// master learns, and says nothing by itself.
    pub fn registers(&mut self, id: &AgentId, line: &mut Timeline) {
        let Some(agent) = self.agents.get_mut(id).filter(|agent| agent.link == Link::Unregistered) else { return };
        agent.link = Link::Up;
        line.log(format_args!("{id} is back at the new master"));
        let tasks: Vec<TaskId> = agent.tasks.iter().cloned().collect();
        for task in tasks {
            self.send_front(&task, line);
        }
        self.want_allocation(line);
    }

    /// Whether the master says anything at all of a task on an agent that has not come back to it.
    pub(super) fn has_registry(&self) -> bool {
        self.memory.as_ref().is_none_or(|memory| memory.registry)
    }

    /// When offers are made again.
    pub(super) fn offers_from(&self) -> Timestamp {
        self.memory.as_ref().map_or(Timestamp::EPOCH, |memory| memory.offers_from)
    }
}
