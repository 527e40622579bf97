//! Status updates, as the core takes them in: how many in a second, and what one in a turn of its own costs in a large app.
//!
//! `cargo bench --bench updates`. In process, without master and store: a batch of updates is one step, everything that
//! the step wants written is said to be durable at the next one, and what waited for it (acknowledgements) is counted when
//! it leaves. Times of floods are of the processor, to some milliseconds, so that a machine that is busy with other things
//! tells nearly the same.

#[path = "support/processor.rs"]
#[expect(dead_code, reason = "what is measured here is this process")]
mod processor;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ekiden::runtime::snapshot::{AppSnapshot, Publisher};
use ekiden_kit::build;
use ekiden_kit::instant::InstantWorld;
use ekiden_model::input::{Ack, ClusterEvent, TaskStatus};
use ekiden_model::{AgentId, Condition, Effect, Input, TaskId, Timestamp};
use ekiden_reconciler::Reconciler;

use processor::of_this_thread;

type Error = Box<dyn std::error::Error>;

const INSTANCES: u32 = 100_000;
const AGENTS: u32 = 2000;
/// Updates that the loop takes in as one step: as many as wait for it at most.
const BATCH: usize = 1024;
/// Updates that come one per turn.
const SINGLY: usize = 1000;
/// More steps than a settled fleet needs.
const STEPS_MAX: u32 = 1_000_000;

fn main() -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "status updates of {INSTANCES} instances, {BATCH} per step, written and acknowledged")?;
    writeln!(
        out,
        "{:>8} {:>8} {:>24} {:>12} {:>14}",
        "apps", "each", "what they say", "updates/s", "longest step"
    )?;
    for apps in [10_000, 1000, 10] {
        let (mut core, tasks) = Core::running(apps, INSTANCES / apps)?;
        for (say, what) in [
            (Say::Again, "what is known"),
            (Say::Healthy(false), "unhealthy"),
            (Say::Healthy(true), "healthy"),
            (Say::Unreachable, "unreachable"),
            (Say::Again, "running again"),
        ] {
            let (per_second, longest) = core.flood(&tasks, say);
            writeln!(out, "{apps:>8} {:>8} {what:>24} {per_second:>12.0} {longest:>14.1?}", INSTANCES / apps)?;
        }
    }
    writeln!(out, "     aim: 50,000/s")?;
    writeln!(out, "\none update per turn, shown to readers, {SINGLY} times in one app")?;
    for instances in [100, 10_000, 100_000] {
        let (mut core, tasks) = Core::running(1, instances)?;
        let mut turns = core.singly(&tasks[..SINGLY.min(tasks.len())]);
        turns.sort_unstable();
        let at = |percent: usize| turns[(turns.len() * percent).div_ceil(100).max(1) - 1];
        writeln!(
            out,
            "  of {instances:>7} instances   p50 {:>9.1?}  p99 {:>9.1?}  max {:>9.1?}",
            at(50),
            at(99),
            at(100)
        )?;
    }
    writeln!(out, "     aim: 1 ms")?;
    Ok(())
}

/// What updates say.
#[derive(Clone, Copy)]
enum Say {
    /// Running, as before.
    Again,
    /// Running, and what the executor's check says.
    Healthy(bool),
    /// Their agents do not answer.
    Unreachable,
}

/// A reconciler with a fleet that runs, and its readers.
struct Core {
    reconciler: Reconciler,
    publisher: Publisher,
    now: Timestamp,
    updates: u64,
}

impl Core {
    fn running(apps: u32, each: u32) -> Result<(Self, Vec<(TaskId, AgentId)>), Error> {
        let mut world = InstantWorld::new((0..AGENTS).map(|number| {
            let agent = build::agent(&format!("agent-{number:05}"));
            build::offer(&format!("first-{number}"), &agent, 1000.0, 1_000_000.0, 31_000..=32_000)
        }))?;
        world.declare((0..apps).map(|number| {
            build::app(&format!("/prod/team-{}/service-{number}", number % 50))
                .instances(each)
                .cpus(0.01)
                .mem(1.0)
                .command_check("true")
                .arc()
        }));
        world.settle(STEPS_MAX);
        world.pass(Duration::from_secs(600), STEPS_MAX);
        // In no order that the core's own has to do with: as agents tell it.
        let mut tasks: Vec<(TaskId, AgentId)> =
            world.tasks().map(|task| (task.task.clone(), task.agent.id.clone())).collect();
        tasks.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        let now = Timestamp::from_millis(10_000_000);
        let mut core = Self { reconciler: world.reconciler, publisher: Publisher::new().0, now, updates: 0 };
        core.turn(vec![Input::Tick]);
        Ok((core, tasks))
    }

    /// All at once; how many were taken in per second until all were acknowledged, and the longest step.
    fn flood(&mut self, tasks: &[(TaskId, AgentId)], say: Say) -> (f64, Duration) {
        let updates: Vec<Input> = tasks.iter().map(|task| self.update(task, say)).collect();
        let mut updates = updates.into_iter().peekable();
        let (mut acknowledged, mut longest) = (0, Duration::ZERO);
        let (began, mut stored) = (of_this_thread(), None);
        while acknowledged < tasks.len() {
            let mut inputs: Vec<Input> = stored.take().map(Input::Stored).into_iter().collect();
            inputs.extend(updates.by_ref().take(BATCH));
            self.now = self.now + Duration::from_millis(1);
            let step = of_this_thread();
            let effects = self.reconciler.step(self.now, inputs);
            longest = longest.max(of_this_thread().saturating_sub(step));
            for effect in effects {
                match effect {
                    Effect::Persist { seq, .. } => stored = Some(seq),
                    Effect::Acknowledge(_) => acknowledged += 1,
                    _ => {}
                }
            }
        }
        (tasks.len() as f64 / of_this_thread().saturating_sub(began).as_secs_f64(), longest)
    }

    /// One after the other, each in a turn of its own: how long each took.
    fn singly(&mut self, tasks: &[(TaskId, AgentId)]) -> Vec<Duration> {
        let mut turns = Vec::with_capacity(tasks.len());
        for task in tasks {
            let update = self.update(task, Say::Healthy(true));
            // The processor's time is not known so exactly.
            let turn = Instant::now();
            self.turn(vec![update]);
            turns.push(turn.elapsed());
        }
        turns
    }

    /// A turn of the loop, and what follows it; without a store to wait for.
    fn turn(&mut self, inputs: Vec<Input>) {
        let mut inputs = inputs;
        loop {
            self.now = self.now + Duration::from_millis(1);
            let effects = self.reconciler.step(self.now, std::mem::take(&mut inputs));
            inputs.extend(effects.into_iter().filter_map(|effect| match effect {
                Effect::Persist { seq, .. } => Some(Input::Stored(seq)),
                _ => None,
            }));
            for id in self.reconciler.take_touched() {
                let app = self
                    .reconciler
                    .outlook(&id)
                    .map(|(state, report, desired)| AppSnapshot::new(state.clone(), report, desired, None));
                self.publisher.put(&id, app);
            }
            self.publisher.publish(self.now, self.reconciler.settled());
            if inputs.is_empty() && self.reconciler.next_wake().is_none_or(|wake| wake > self.now) {
                return;
            }
        }
    }

    fn update(&mut self, (task, agent): &(TaskId, AgentId), say: Say) -> Input {
        self.updates += 1;
        let mut uuid = [0; 16];
        uuid[8..].copy_from_slice(&self.updates.to_be_bytes());
        let (condition, healthy) = match say {
            Say::Again => (Condition::Running, None),
            Say::Healthy(healthy) => (Condition::Running, Some(healthy)),
            Say::Unreachable => (Condition::Unreachable, None),
        };
        Input::Cluster(ClusterEvent::Status(TaskStatus {
            task: task.clone(),
            condition,
            message: "".into(),
            reason: None,
            healthy,
            ack: Some(Ack { agent: agent.clone(), task: task.clone(), uuid: Arc::from(uuid) }),
        }))
    }
}
