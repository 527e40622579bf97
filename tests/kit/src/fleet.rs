//! A settled fleet of any size, and three small things that happen to it: what `tests/work.rs` counts and
//! `benches/work.rs` times.

use std::sync::Arc;

use ekiden_model::{AgentId, App, AppId, Offer};
use ekiden_reconciler::{RestoreError, Work};

use crate::build;
use crate::instant::InstantWorld;

/// Instances of each app.
pub const INSTANCES: u32 = 2;
/// Instances that each agent has room for: the most that one lost agent takes along, however large the fleet is.
pub const PER_AGENT: u32 = 10;
/// More steps than anything here should need.
const STEPS_MAX: u32 = 100_000;

/// Apps that run, all as declared.
#[derive(Debug)]
pub struct Fleet {
    /// The world they run in.
    pub world: InstantWorld,
}

/// Something small that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One app is scaled up by one.
    Edit,
    /// One task fails.
    Status,
    /// One agent is gone, with its [`PER_AGENT`] instances.
    LostAgent,
}

impl Fleet {
    /// `apps` apps of two instances each, on as many agents as they fill, and room for a tenth more.
    pub fn settled(apps: u32) -> Result<Self, RestoreError> {
        let agents = (apps * INSTANCES).div_ceil(PER_AGENT) * 11 / 10 + 2;
        let mut world = InstantWorld::new((0..agents).map(offer_of))?;
        world.declare((0..apps).map(|number| app(number, INSTANCES)));
        world.settle(STEPS_MAX);
        // Whatever waits a while after a start is over by then.
        world.pass(std::time::Duration::from_secs(600), STEPS_MAX);
        Ok(Self { world })
    }

    /// Lets `change` happen and everything that follows from it; says how much was looked at, and how many instances
    /// the change was about.
    pub fn undergo(&mut self, change: Change) -> (Work, u32) {
        let before = self.world.reconciler.work();
        let mut about = 1;
        match change {
            Change::Edit => {
                let now = self.world.reconciler.desired(&app_id(0));
                self.world.declare([app(0, now + 1)]);
            }
            Change::Status => {
                let task = self.world.tasks().find(|task| task.app.id == app_id(1)).map(|task| task.task.clone());
                if let Some(task) = task {
                    self.world.fail(&task);
                }
            }
            Change::LostAgent => {
                if let Some((agent, tasks)) = self.fullest_agent() {
                    about = tasks;
                    self.world.lose(&agent);
                }
            }
        }
        self.world.settle(STEPS_MAX);
        // The wait after a failure is part of what follows.
        self.world.pass(std::time::Duration::from_secs(2), STEPS_MAX);
        let after = self.world.reconciler.work();
        let work = Work {
            apps_visited: after.apps_visited - before.apps_visited,
            instances_visited: after.instances_visited - before.instances_visited,
            actions_refused: after.actions_refused - before.actions_refused,
        };
        (work, about)
    }

    /// How many tasks run.
    pub fn tasks(&self) -> usize {
        self.world.tasks().count()
    }

    fn fullest_agent(&self) -> Option<(AgentId, u32)> {
        let mut counts = std::collections::BTreeMap::<AgentId, u32>::new();
        for task in self.world.tasks() {
            *counts.entry(task.agent.id.clone()).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count)
    }
}

fn app_id(number: u32) -> AppId {
    build::app_id(&format!("/fleet/app-{number}"))
}

fn app(number: u32, instances: u32) -> Arc<App> {
    build::app(&format!("/fleet/app-{number}")).instances(instances).cpus(1.0).mem(32.0).arc()
}

fn offer_of(number: u32) -> Offer {
    let agent = build::agent(&format!("agent-{number}"));
    build::offer(&format!("first-{number}"), &agent, f64::from(PER_AGENT), 4096.0, 31000..=32000)
}
