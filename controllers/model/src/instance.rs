//! Instances: placed copies of a revision, each a Mesos task.

mod nowhere;
mod pages;
mod roll;
mod round;
mod slots;
mod tally;

pub use nowhere::{Nowhere, Question};
pub use roll::{Census, Instances};
pub use round::{LastFailure, Round};
pub use tally::Tally;

use std::sync::Arc;

use crate::agent::Agent;
use crate::health::{Health, Verdict};
use crate::id::{InstanceKey, RevisionId, Role};
use crate::port::Port;
use crate::report::KillCause;
use crate::time::Timestamp;

/// One launch in one slot. It is one-shot: when it ends, the slot gets another incarnation.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Which launch of which slot.
    pub key: InstanceKey,
    /// What it runs.
    pub revision: RevisionId,
    /// What we want of it. Only moves forward.
    pub goal: Goal,
    /// What is known of it. Only moves forward, except between `Running` and `Unreachable`.
    pub condition: Condition,
    /// Since when.
    pub since: Timestamp,
    /// Where it runs.
    pub agent: Arc<Agent>,
    /// The role whose offer it uses.
    pub role: Role,
    /// Its host ports, in the order of the app's ports; `None` for ports that are not mapped to the host.
    pub host_ports: Vec<Option<Port>>,
    /// When it was launched.
    pub staged: Timestamp,
    /// When it first ran.
    pub started: Option<Timestamp>,
    /// What probes found out.
    pub health: Health,
    /// Why it is to end, and since when, once it is.
    pub kill: Option<KillOrder>,
    /// The cluster's last words about it.
    pub message: Option<Arc<str>>,
}

/// An order to end an instance: the recorded permit of the app's disruption budget.
#[derive(Debug, Clone, PartialEq)]
pub struct KillOrder {
    /// Why.
    pub cause: KillCause,
    /// When it was first given.
    pub at: Timestamp,
    /// When it was last sent.
    pub sent: Timestamp,
}

/// What we want of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Goal {
    /// It shall run.
    Running,
    /// It shall end; its slot keeps what is reserved for it (persistent volumes; later work).
    Stopped,
    /// It shall end, and nothing of it stay.
    Decommissioned,
}

/// What is known of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Its launch is decided, recorded and perhaps sent.
    Provisioned,
    /// The agent has it.
    Staging,
    /// Its executor is starting it.
    Starting,
    /// It runs.
    Running,
    /// It was told to end and is ending.
    Killing,
    /// Its agent does not answer. It may run on; nobody knows.
    Unreachable,
    /// It ended by itself, with success.
    Finished,
    /// It ended by itself, with failure.
    Failed,
    /// Mesos refused it: the task is not well-formed.
    Error,
    /// It ended because it was told to.
    Killed,
    /// Its agent is gone for good.
    Gone,
    /// It never started: the launch was lost or the offer no longer valid.
    Dropped,
    /// Mesos does not know it.
    Unknown,
    /// Lost, without a better word (from a Mesos that does not tell more).
    Lost,
}

impl Condition {
    /// Whether it will never run (again).
    pub fn is_terminal(self) -> bool {
        self >= Self::Finished
    }

    /// Whether it does, or may, use its resources.
    pub fn is_live(self) -> bool {
        !self.is_terminal()
    }

    /// On its way to running.
    pub fn is_starting(self) -> bool {
        self < Self::Running
    }

    /// As Mesos writes it: `TASK_RUNNING`. A launch that is not confirmed counts as staging.
    pub fn task_state(self) -> &'static str {
        match self {
            Self::Provisioned | Self::Staging => "TASK_STAGING",
            Self::Starting => "TASK_STARTING",
            Self::Running => "TASK_RUNNING",
            Self::Killing => "TASK_KILLING",
            Self::Unreachable => "TASK_UNREACHABLE",
            Self::Finished => "TASK_FINISHED",
            Self::Failed => "TASK_FAILED",
            Self::Error => "TASK_ERROR",
            Self::Killed => "TASK_KILLED",
            Self::Gone => "TASK_GONE",
            Self::Dropped => "TASK_DROPPED",
            Self::Unknown => "TASK_UNKNOWN",
            Self::Lost => "TASK_LOST",
        }
    }
}

impl Instance {
    /// Whether it counts towards the app's instances: it lives, and shall.
    pub fn is_wanted(&self) -> bool {
        self.goal == Goal::Running && self.condition.is_live()
    }

    /// Whether it serves: wanted, running and healthy.
    pub fn is_healthy(&self) -> bool {
        self.is_wanted() && self.condition == Condition::Running && self.health.verdict == Verdict::Healthy
    }

    /// Whether it takes up its place: it lives, and is not merely waited for on an agent that does not answer
    /// although it shall end.
    pub fn is_placed(&self) -> bool {
        self.condition.is_live() && (self.goal == Goal::Running || self.condition != Condition::Unreachable)
    }
}
