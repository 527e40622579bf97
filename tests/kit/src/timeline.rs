//! What everything in the simulator shares: the virtual time, what is going to happen, chance, the log, and what was
//! found to be wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ekiden_model::effect::Effect;
use ekiden_model::health::ProbeKind;
use ekiden_model::input::ClusterEvent;
use ekiden_model::{AgentId, AppId, FrameworkId, InstanceKey, OfferId, TaskId, Timestamp};

use crate::knobs::Knobs;
use crate::rng::Rng;
use crate::trace::Trace;

/// Something that is going to happen at a point in time.
#[derive(Debug, Clone)]
pub enum Happening {
    /// Ekiden's process takes what has arrived.
    Step,
    /// It takes nothing but the time.
    Wake(u64),
    /// It starts.
    Start,
    /// It is connected to the master.
    Connect(u64),
    /// A message of the master arrives, over this connection.
    Arrive(u64, ClusterEvent),
    /// A call of ours arrives at the master, over this connection.
    Call(u64, Box<Effect>),
    /// The store has made the oldest batch of this process durable.
    Stored(u64),
    /// A probe of this process is due.
    Probe(u64, AppId, InstanceKey, ProbeKind, u64),
    /// A task comes this far in its life.
    Task(TaskId, Stage),
    /// An unacknowledged update is sent again.
    Resend(TaskId, u64),
    /// The master makes offers.
    Allocate,
    /// The master takes an offer back.
    Rescind(OfferId),
    /// The master notices that an agent does not answer.
    Noticed(AgentId, u64),
    /// A cut-off agent is back.
    Returns(AgentId, u64),
    /// Another agent takes a place.
    Joins(Box<crate::cluster::Machine>),
    /// An agent's maintenance is cancelled, or is over.
    Cancelled(AgentId),
    /// An agent is taken down for its maintenance; another, of the same host, joins afterwards.
    TakenDown(AgentId),
    /// A drained agent that runs nothing any more is declared gone.
    DrainedGone(AgentId),
    /// A drained agent is put to use again.
    Activated(AgentId),
    /// Other frameworks leave an agent.
    Unload(AgentId),
    /// An app is well again.
    Well(AppId),
    /// Checkers and store are well again.
    Recover,
    /// Something goes wrong.
    Fault,
    /// Somebody edits a manifest.
    Edit,
    /// The answer to a survey of this process, about all but a framework.
    Survey(u64, Option<FrameworkId>),
    /// An agent comes back to a new master.
    Registers(AgentId),
    /// An operator looks how things are.
    Operator,
}

/// How far a task comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its executor starts.
    Starting,
    /// It runs.
    Running,
    /// It fails by itself.
    Crash,
    /// It finishes by itself.
    Finish,
    /// It has ended because it was told to.
    Killed,
    /// Its executor checks it.
    Check,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one: `S1` to `S11`, `L1` to `L3`, or `X` for what no design could mean (a panic, an unknown offer).
    pub invariant: &'static str,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.found)
    }
}

/// What everything shares.
#[derive(Debug)]
pub struct Timeline {
    /// The time in the world. Ekiden's own clock may differ.
    pub now: Timestamp,
    /// Chance.
    pub rng: Rng,
    /// What goes wrong.
    pub knobs: Knobs,
    /// The log.
    pub trace: Trace,
    /// The first broken invariant.
    pub violation: Option<Violation>,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    counter: u64,
}

impl Timeline {
    /// A timeline that begins at `now`.
    pub fn new(now: Timestamp, rng: Rng, knobs: Knobs, keep: usize) -> Self {
        let trace = Trace::new(now, keep);
        Self { now, rng, knobs, trace, violation: None, queue: BTreeMap::new(), counter: 0 }
    }

    /// Adds something that is going to happen at `at`; what is past happens next.
    pub fn at(&mut self, at: Timestamp, happening: Happening) {
        let seq = self.number();
        self.queue.insert((at.max(self.now), seq), happening);
    }

    /// Adds something that is going to happen after `delay`.
    pub fn after(&mut self, delay: Duration, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    /// What happens next, if it does up to `until`; the time goes there.
    pub fn next_until(&mut self, until: Timestamp) -> Option<Happening> {
        if self.queue.first_key_value()?.0.0 > until {
            return None;
        }
        let ((at, _), happening) = self.queue.pop_first()?;
        self.now = at;
        Some(happening)
    }

    /// A number that is never given twice.
    pub fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Some milliseconds, if messages take varying times; the lower bound otherwise.
    pub fn jitter(&mut self, low: u64, high: u64) -> Duration {
        if self.knobs.jitter { self.rng.millis(low, high) } else { Duration::from_millis(low) }
    }

    /// Adds a line to the log.
    pub fn log(&mut self, text: fmt::Arguments<'_>) {
        self.trace.line(self.now, text);
    }

    /// Notes a broken invariant; only the first one counts, since the others may follow from it.
    pub fn violate(&mut self, invariant: &'static str, found: String) {
        self.trace.line(self.now, format_args!("BROKEN {invariant}: {found}"));
        self.violation.get_or_insert(Violation { invariant, found });
    }
}
