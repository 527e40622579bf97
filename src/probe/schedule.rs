//! When each probe is due: a queue ordered by time from which anything can be taken out again.
//!
//! Knows no sockets and no tasks. Whoever owns it says what time it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::effect::Probe;
use ekiden_model::health::ProbeKind;
use ekiden_model::{AppId, Fingerprint, InstanceKey};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::telemetry::ProbeOutcome;

/// What names a probe.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) app: AppId,
    pub(super) instance: InstanceKey,
    pub(super) kind: ProbeKind,
}

/// Names one start of a probe: what is under way for a start that was replaced or stopped finds nothing under its
/// ticket any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// All probes and when they are due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    tickets: HashMap<Key, Ticket>,
    entries: HashMap<Ticket, Entry>,
    due: BTreeSet<(Instant, Ticket)>,
    issued: u64,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    probe: Arc<Probe>,
    due: Instant,
    eager: Option<Eager>,
    under_way: Option<AbortHandle>,
    /// What was said last, and when.
    said: Option<(ProbeOutcome, Instant)>,
}

/// Impatience before the first success.
#[derive(Debug)]
struct Eager {
    /// Until then; nothing is for ever.
    until: Option<Instant>,
    /// Time to the next probe.
    delay: Duration,
}

/// A probe whose time has come.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) ticket: Ticket,
    pub(super) probe: Arc<Probe>,
    /// How long ago that was.
    pub(super) slip: Duration,
}

/// The shortest time between two probes of one instance, whatever is declared, so that none can make the scheduler run
/// in circles. Declared intervals are whole seconds.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// The first delay of an eager probe: as the first one of all, soon enough for what starts in no time.
const EAGER_DELAY: Duration = Duration::from_millis(100);

impl Schedule {
    /// How many probes there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Plans a probe from `now` on, in place of the one of the same key.
    pub(super) fn start(&mut self, app: AppId, probe: Probe, now: Instant) {
        let key = Key { app, instance: probe.instance, kind: probe.kind };
        self.stop(&key);
        self.issued += 1;
        let ticket = Ticket(self.issued);
        let due = now + probe.first_after.mul_f64(spread(&key));
        let eager = (probe.eager_for > Duration::ZERO)
            .then(|| Eager { until: now.checked_add(probe.eager_for), delay: EAGER_DELAY });
        self.tickets.insert(key.clone(), ticket);
        self.due.insert((due, ticket));
        let entry = Entry { key, probe: Arc::new(probe), due, eager, under_way: None, said: None };
        self.entries.insert(ticket, entry);
    }

    /// Forgets a probe and ends it where it is under way.
    pub(super) fn stop(&mut self, key: &Key) {
        let entry = self.tickets.remove(key).and_then(|ticket| {
            let entry = self.entries.remove(&ticket)?;
            self.due.remove(&(entry.due, ticket));
            Some(entry)
        });
        if let Some(under_way) = entry.and_then(|entry| entry.under_way) {
            under_way.abort();
        }
    }

    /// When the next probe is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The probe that has been due for longest, if any is; it becomes due again an interval later. One that is still
    /// under way is not begun a second time: it misses this turn.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        while let Some(&(due, ticket)) = self.due.first().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, ticket));
            let Some(entry) = self.entries.get_mut(&ticket) else {
                continue;
            };
            entry.due = entry.next_due(now);
            self.due.insert((entry.due, ticket));
            if entry.under_way.as_ref().is_none_or(AbortHandle::is_finished) {
                return Some(Due { ticket, probe: entry.probe.clone(), slip: now - due });
            }
        }
        None
    }

    /// Remembers how to end what `ticket` has under way.
    pub(super) fn begun(&mut self, ticket: Ticket, under_way: AbortHandle) {
        match self.entries.get_mut(&ticket) {
            Some(entry) => entry.under_way = Some(under_way),
            None => under_way.abort(),
        }
    }

    /// Takes in the outcome of a probe that was begun at `begun`; says whose it was, unless it has been stopped.
    pub(super) fn finished(&mut self, ticket: Ticket, outcome: ProbeOutcome, begun: Instant) -> Option<&Key> {
        let entry = self.entries.get_mut(&ticket)?;
        entry.under_way = None;
        if outcome == ProbeOutcome::Success && entry.eager.take().is_some() {
            self.due.remove(&(entry.due, ticket));
            entry.due = begun + entry.interval();
            self.due.insert((entry.due, ticket));
        }
        Some(&entry.key)
    }

    /// Whether an outcome is news: a failure always is, everything else when it differs from what was said last, or
    /// when that was long ago.
    pub(super) fn is_news(&self, ticket: Ticket, outcome: ProbeOutcome, again: Duration, now: Instant) -> bool {
        let said = self.entries.get(&ticket).and_then(|entry| entry.said);
        outcome == ProbeOutcome::Failure
            || said.is_none_or(|(last, at)| last != outcome || now.saturating_duration_since(at) >= again)
    }

    /// Remembers that an outcome was said.
    pub(super) fn said(&mut self, ticket: Ticket, outcome: ProbeOutcome, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&ticket) {
            entry.said = Some((outcome, now));
        }
    }
}

impl Entry {
    fn interval(&self) -> Duration {
        self.probe.interval.max(INTERVAL_MIN)
    }

    /// When it is due after it was due at `self.due` and taken at `now`.
    ///
    /// Eager ones come at growing delays: 100 ms, 150 ms, 225 ms, … so that what took t to start is seen within t/2.
    /// The others keep their beat, also when some were missed: 10 s apart, due at 3 and taken at 24, the next is 33.
    fn next_due(&mut self, now: Instant) -> Instant {
        let interval = self.interval();
        if let Some(eager) = self.eager.take_if(|eager| eager.until.is_none_or(|until| now < until)) {
            let delay = eager.delay.min(interval);
            self.eager = Some(Eager { delay: eager.delay + eager.delay / 2, ..eager });
            return now + delay;
        }
        self.eager = None;
        let missed = now.saturating_duration_since(self.due).as_nanos() / interval.as_nanos();
        self.due + interval * (u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1)
    }
}

/// Where in 0 to 1 the first probe lies: by its name, so that it is the same each time, and evenly over all probes.
fn spread(key: &Key) -> f64 {
    let Key { app, instance, kind } = key;
    let bits = Fingerprint::of(format_args!("{app} {instance} {kind:?}")).as_u64();
    // FNV mixes its last bytes into the low bits only; this multiplication spreads them upwards (2^64 / φ).
    let mixed = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed as f64 / u64::MAX as f64
}
