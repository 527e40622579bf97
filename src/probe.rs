//! The prober: asks instances whether they are well, again and again, over the network, and says what they answered.
//!
//! It owns the timing of probes and the judgement of one answer: success, failure, or nothing learnt. What follows from
//! an answer is decided by the `health` controller, which also says whom to probe. Checks that Mesos' executor makes
//! (MESOS_* and COMMAND) are not made here.
//!
//! ```text
//!   start, stop ──► schedule ──due──► one task per probe under way ──answer──► sample ──► results
//!                      ▲                                                  │
//!                      └───────────── one scheduler task ◄────────────────┘
//! ```
//!
//! **A failure must be the instance's own.** Whatever may be the checker's fault is no result: a probe that began late,
//! a stall of this process while the probe was under way, no file descriptor, no local port, no route, no name server.

mod ask;
mod fault;
mod http;
mod resolve;
mod schedule;
mod scheduler;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ekiden_model::effect::Probe;
use ekiden_model::health::ProbeKind;
use ekiden_model::view::Sample;
use ekiden_model::{AppId, InstanceKey, Timestamp};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::telemetry::Metrics;
use ask::{Ask, Network};
use schedule::Key;
use scheduler::{Scheduler, Shared};

/// Makes probes until it is dropped.
#[derive(Debug)]
pub struct Prober {
    shared: Arc<Shared>,
    metrics: Metrics,
    scheduler: AbortHandle,
}

/// How probes are made.
#[derive(Debug, Clone)]
pub struct ProbeOptions {
    /// Most probes under way at once; see [`ProbeOptions::CONCURRENCY`].
    pub concurrency: usize,
    /// Lateness from which on the checker does not trust itself; see [`ProbeOptions::LATE_AFTER`].
    pub late_after: Duration,
    /// How long an outcome that is the same as the one before is kept to oneself; see [`ProbeOptions::REPEAT_AFTER`].
    pub repeat_after: Duration,
    /// The time of day.
    pub clock: fn() -> Timestamp,
    /// Where probes are counted.
    pub metrics: Metrics,
}

impl ProbeOptions {
    /// Each probe under way holds one file descriptor. The usual soft limit (`RLIMIT_NOFILE`) is 1024, and half of it
    /// is left for the store, the API and its readers. At 20 ms an answer, 512 at once are 25,600 probes a second; when
    /// every one of them waits for a timeout of 20 s they are 25.
    pub const CONCURRENCY: usize = 512;

    /// Half of the shortest timeout that can be declared, 1 s: a checker that is less late than this still leaves an
    /// instance most of its time to answer. Five times the lateness aimed at in the worst hundredth (100 ms).
    pub const LATE_AFTER: Duration = Duration::from_millis(500);

    /// A success after a success tells `health` nothing, and 100,000 healthy instances would say so 10,000 times a
    /// second. Each is nevertheless said again every five minutes, so that nothing rests on one message.
    pub const REPEAT_AFTER: Duration = Duration::from_secs(300);

    /// As many probes at once as half of `open_files` allows, but some always, and no more than pay.
    #[must_use]
    pub fn with_open_files(self, open_files: u64) -> Self {
        let half = usize::try_from(open_files / 2).unwrap_or(usize::MAX);
        Self { concurrency: half.clamp(32, 8192), ..self }
    }
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            concurrency: Self::CONCURRENCY,
            late_after: Self::LATE_AFTER,
            repeat_after: Self::REPEAT_AFTER,
            clock: time_of_day,
            metrics: Metrics::default(),
        }
    }
}

impl Prober {
    /// A prober without probes. Must be called on a tokio runtime, which its task then lives on. When `results` is full
    /// a sample is dropped and counted: the next probe brings another.
    pub fn new(options: ProbeOptions, results: mpsc::Sender<(AppId, Sample)>) -> Self {
        Self::asking(Network::new(), options, results)
    }

    fn asking(ask: impl Ask, options: ProbeOptions, results: mpsc::Sender<(AppId, Sample)>) -> Self {
        let shared = Arc::new(Shared::default());
        let metrics = options.metrics.clone();
        let scheduler = Scheduler::new(shared.clone(), Arc::new(ask), options, results);
        Self { shared, metrics, scheduler: tokio::spawn(scheduler.run()).abort_handle() }
    }

    /// Probes an instance from now on. Replaces the probe of the same app, instance and kind.
    pub fn start(&self, app: AppId, probe: Probe) {
        let active = self.shared.change(|schedule| {
            schedule.start(app, probe, Instant::now());
            schedule.len()
        });
        self.count(active);
    }

    /// Probes it no more: once this returns, no more sample of this probe is sent.
    pub fn stop(&self, app: AppId, instance: InstanceKey, kind: ProbeKind) {
        let active = self.shared.change(|schedule| {
            schedule.stop(&Key { app, instance, kind });
            schedule.len()
        });
        self.count(active);
    }

    fn count(&self, active: usize) {
        self.metrics.probes_active.set(i64::try_from(active).unwrap_or(i64::MAX));
    }
}

impl Drop for Prober {
    /// Ends the scheduler, and with it the probes under way.
    fn drop(&mut self) {
        self.scheduler.abort();
    }
}

fn time_of_day() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH + since_epoch
}
