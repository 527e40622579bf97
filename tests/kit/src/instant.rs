//! A world in which everything works at once: writes are durable, tasks run, kills end them, before time moves on.
//!
//! For measuring the reconciler itself, with many apps and agents, where the simulator's faults and delays would only
//! be in the way. It checks nothing; that is the simulator's work.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::effect::TaskLaunch;
use ekiden_model::input::{Abilities, ClusterEvent, Desired, TaskStatus};
use ekiden_model::limits::Settings;
use ekiden_model::record::Installation;
use ekiden_model::{AgentId, App, Condition, Effect, Input, Offer, OfferId, Source, TaskId, Timestamp};
use ekiden_reconciler::{Reconciler, RestoreError};

/// How many agents offer when they are asked to: the last ones, which are the emptiest. A real cluster would make all
/// offer; taking those in costs the same per offer, however many apps there are, and is not what is measured here.
const REVIVED: usize = 16;

/// A reconciler in a world without delay.
#[derive(Debug)]
pub struct InstantWorld {
    /// The reconciler, to be looked at.
    pub reconciler: Reconciler,
    now: Timestamp,
    tasks: BTreeMap<TaskId, TaskLaunch>,
    agents: BTreeMap<AgentId, Offer>,
    offers: u64,
    pending: VecDeque<Input>,
}

impl InstantWorld {
    /// A new installation with these agents; an agent's offer is all that it has, whatever runs on it.
    pub fn new(agents: impl IntoIterator<Item = Offer>) -> Result<Self, RestoreError> {
        let abilities =
            Abilities { docker: true, mesos_images: true, networks: true, kill_grace: Duration::from_secs(3) };
        let fresh = Installation::new(7);
        let reconciler = Reconciler::restore(Settings::default(), abilities, fresh, Vec::new())?;
        let agents = agents.into_iter().map(|offer| (offer.agent.id.clone(), offer)).collect();
        let mut world = Self {
            reconciler,
            now: Timestamp::from_millis(1_000_000),
            tasks: BTreeMap::new(),
            agents,
            offers: 0,
            pending: VecDeque::new(),
        };
        world.pending.push_back(Input::Cluster(ClusterEvent::Connected));
        let all: Vec<AgentId> = world.agents.keys().cloned().collect();
        world.offer(&all);
        Ok(world)
    }

    /// Declares apps.
    pub fn declare(&mut self, apps: impl IntoIterator<Item = Arc<App>>) {
        let declare = apps.into_iter().map(|app| (app, Source::Api)).collect();
        let desired = Desired { declare, withdraw: Vec::new(), complete: true, commit: None };
        self.pending.push_back(Input::Desired(desired));
    }

    /// Something else happens.
    pub fn happen(&mut self, input: Input) {
        self.pending.push_back(input);
    }

    /// A task ends by itself.
    pub fn fail(&mut self, task: &TaskId) {
        if let Some(task) = self.tasks.remove(task) {
            self.happen(status(&task.task, Condition::Failed));
        }
    }

    /// The tasks that run.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskLaunch> {
        self.tasks.values()
    }

    /// An agent is gone for good.
    pub fn lose(&mut self, agent: &AgentId) {
        self.agents.remove(agent);
        self.tasks.retain(|_, task| task.agent.id != *agent);
        self.happen(Input::Cluster(ClusterEvent::AgentGone(agent.clone())));
    }

    /// Lets everything happen that is to happen now, and says how many steps that took. More than `steps_max` is
    /// more than should ever be needed, and ends it.
    pub fn settle(&mut self, steps_max: u32) -> u32 {
        for step in 0..steps_max {
            if self.pending.is_empty() && self.reconciler.next_wake().is_none_or(|wake| wake > self.now) {
                return step;
            }
            let inputs = self.pending.drain(..).collect();
            for effect in self.reconciler.step(self.now, inputs) {
                self.perform(effect);
            }
        }
        steps_max
    }

    /// Time passes, and what is to happen in it happens.
    pub fn pass(&mut self, time: Duration, steps_max: u32) {
        self.now = self.now + time;
        self.pending.push_back(Input::Tick);
        self.settle(steps_max);
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Persist { seq, .. } => self.pending.push_back(Input::Stored(seq)),
            Effect::Accept { agent, tasks, .. } => {
                for task in tasks {
                    self.pending.push_back(status(&task.task, Condition::Running));
                    self.tasks.insert(task.task.clone(), task);
                }
                self.offer(&[agent]);
            }
            Effect::Kill { task, .. } => {
                self.tasks.remove(&task);
                self.pending.push_back(status(&task, Condition::Killed));
            }
            Effect::Revive(_) => {
                let some: Vec<AgentId> = self.agents.keys().rev().take(REVIVED).cloned().collect();
                self.offer(&some);
            }
            Effect::Reconcile(_) => self.pending.push_back(Input::Cluster(ClusterEvent::Reconciled)),
            _ => {}
        }
    }

    /// Every offer is a new one; what was offered before is taken back.
    fn offer(&mut self, agents: &[AgentId]) {
        let mut offers = Vec::new();
        for agent in agents {
            let Some(offer) = self.agents.get_mut(agent) else { continue };
            self.pending.push_back(Input::Cluster(ClusterEvent::Rescinded(offer.id.clone())));
            self.offers += 1;
            offer.id = OfferId::new(format!("offer-{}", self.offers));
            offers.push(offer.clone());
        }
        self.pending.push_back(Input::Cluster(ClusterEvent::Offers(offers)));
    }
}

fn status(task: &TaskId, condition: Condition) -> Input {
    Input::Cluster(ClusterEvent::Status(TaskStatus {
        task: task.clone(),
        condition,
        message: "".into(),
        reason: None,
        healthy: None,
        ack: None,
    }))
}
