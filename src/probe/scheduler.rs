//! The one task that begins probes when they are due and sends on what came of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ekiden_model::AppId;
use ekiden_model::effect::Probe;
use ekiden_model::health::Outcome;
use ekiden_model::view::Sample;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ProbeOptions;
use super::ask::{Answer, Ask};
use super::fault;
use super::schedule::{Due, Schedule, Ticket};
use crate::telemetry::ProbeOutcome;

/// While probes are under way the scheduler wakes at least so often, to see whether it wakes in time.
const PULSE: Duration = Duration::from_millis(100);

/// Time between two warnings of being overloaded: it lasts, and the numbers are in the metrics.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The schedule, shared by those who change it and the task that follows it. No lock is held across an await, and
/// none for longer than a few entries take.
#[derive(Debug, Default)]
pub(super) struct Shared {
    schedule: Mutex<Schedule>,
    changed: Notify,
}

impl Shared {
    /// Changes the schedule and has it looked at.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Schedule) -> T) -> T {
        let changed = self.with(change);
        self.changed.notify_one();
        changed
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Schedule) -> T) -> T {
        // Nothing in a schedule is halfway between two states when somebody panics.
        use_it(&mut self.schedule.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Scheduler {
    shared: Arc<Shared>,
    ask: Arc<dyn Ask>,
    options: ProbeOptions,
    results: mpsc::Sender<(AppId, Sample)>,
    under_way: JoinSet<Ended>,
    /// When this task last noticed that it was woken too late.
    stalled: Option<Instant>,
    /// When it last warned of being late.
    warned: Option<Instant>,
}

/// A probe that was made.
struct Ended {
    ticket: Ticket,
    probe: Arc<Probe>,
    answer: Answer,
    begun: Instant,
    took: Duration,
    slip: Duration,
}

impl Scheduler {
    pub(super) fn new(
        shared: Arc<Shared>,
        ask: Arc<dyn Ask>,
        options: ProbeOptions,
        results: mpsc::Sender<(AppId, Sample)>,
    ) -> Self {
        Self { shared, ask, options, results, under_way: JoinSet::new(), stalled: None, warned: None }
    }

    /// Runs until it is aborted.
    pub(super) async fn run(mut self) {
        loop {
            let now = Instant::now();
            self.begin_due(now);
            let planned = self.next_wake(now);
            let ended = tokio::select! {
                Some(ended) = self.under_way.join_next() => Some(ended),
                () = tokio::time::sleep_until(planned) => None,
                () = self.shared.changed.notified() => None,
            };
            self.note_lateness(planned);
            // One that was stopped meanwhile was aborted, and says nothing.
            if let Some(Ok(ended)) = ended {
                self.conclude(&ended);
            }
        }
    }

    fn begin_due(&mut self, now: Instant) {
        while self.under_way.len() < self.options.concurrency {
            let Some(due) = self.shared.with(|schedule| schedule.take_due(now)) else {
                return;
            };
            if due.slip > self.options.late_after {
                self.warn(now, due.slip);
            }
            let ticket = due.ticket;
            let under_way = self.under_way.spawn(make(self.ask.clone(), due));
            self.shared.with(|schedule| schedule.begun(ticket, under_way));
        }
    }

    /// When to look again if nothing happens before. With all places taken only the end of a probe frees one.
    fn next_wake(&self, now: Instant) -> Instant {
        const IDLE: Duration = Duration::from_secs(3600);
        let pulse = now + if self.under_way.is_empty() { IDLE } else { PULSE };
        if self.under_way.len() >= self.options.concurrency {
            return pulse;
        }
        self.shared.with(|schedule| schedule.next_due()).map_or(pulse, |due| due.min(pulse))
    }

    /// A process that was stopped, swapped out or starved learns of timeouts that were none. What it can know is how
    /// late it wakes itself.
    fn note_lateness(&mut self, planned: Instant) {
        let now = Instant::now();
        let late = now.saturating_duration_since(planned);
        if late > self.options.late_after {
            self.stalled = Some(now);
            self.warn(now, late);
        }
    }

    fn warn(&mut self, now: Instant, late: Duration) {
        if self.warned.is_none_or(|last| now.saturating_duration_since(last) >= WARN_EVERY) {
            self.warned = Some(now);
            let (under_way, limit) = (self.under_way.len(), self.options.concurrency);
            tracing::warn!(
                late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
                under_way,
                limit,
                "probes are late; their failures do not count: this machine has too much to do, or too many \
                 instances do not answer before their timeout"
            );
        }
    }

    fn conclude(&self, ended: &Ended) {
        let &Ended { ticket, ref probe, ref answer, begun, took, slip } = ended;
        let outcome = self.trusted(ended);
        let counted = ProbeOutcome::from(&outcome);
        let metrics = &self.options.metrics;
        metrics.probed(counted, took, slip);

        let at = (self.options.clock)();
        let sample =
            Sample { instance: probe.instance, kind: probe.kind, at, outcome, http_status: answer.http_status };
        let now = Instant::now();
        // Under the lock, so that nothing is sent once `stop` has returned.
        self.shared.with(|schedule| {
            let Some(app) = schedule.finished(ticket, counted, begun).map(|key| key.app.clone()) else {
                return;
            };
            if !schedule.is_news(ticket, counted, self.options.repeat_after, now) {
                return;
            }
            match self.results.try_send((app, sample)) {
                Ok(()) => schedule.said(ticket, counted, now),
                Err(_) => {
                    metrics.probe_results_dropped.inc();
                }
            }
        });
    }

    /// The outcome, or none where a failure may be the checker's own. A success is one however late it was asked for.
    fn trusted(&self, ended: &Ended) -> Outcome {
        match &ended.answer.outcome {
            Outcome::Failure(cause) if ended.slip > self.options.late_after => {
                let late = ended.slip.as_millis();
                let text = format_args!("the checker is overloaded, it asked {late} ms late; then: {cause}");
                Outcome::NoResult(fault::text(text))
            }
            Outcome::Failure(cause) if self.stalled.is_some_and(|stalled| stalled >= ended.begun) => {
                Outcome::NoResult(fault::text(format_args!(
                    "the checker is overloaded, it stalled; then: {cause}"
                )))
            }
            outcome => outcome.clone(),
        }
    }
}

async fn make(ask: Arc<dyn Ask>, due: Due) -> Ended {
    let begun = Instant::now();
    let answer = ask.ask(due.probe.clone()).await;
    Ended { ticket: due.ticket, probe: due.probe, answer, begun, took: begun.elapsed(), slip: due.slip }
}
