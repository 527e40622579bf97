//! Everything that can happen to the reconciler. A closed list: what is not here cannot influence a decision.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::app_state::Source;
use crate::id::{AgentId, AppId, OfferId, TaskId};
use crate::instance::Condition;
use crate::offer::Offer;
use crate::view::Sample;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// What is declared has changed.
    Desired(Desired),
    /// The cluster said something.
    Cluster(ClusterEvent),
    /// A probe came back, for the app named.
    Probe(AppId, Sample),
    /// All writes up to and including this one are durable.
    Stored(WriteSeq),
    /// An operator wants something.
    Command(Command),
    /// Nothing but time has passed.
    Tick,
}

/// Counts the batches of writes; see [`crate::effect::Effect::Persist`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WriteSeq(pub u64);

/// A change of what is declared. One change set, applied at once: dependencies never see half of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desired {
    /// Apps that are new or (perhaps) changed; unchanged ones do no harm.
    pub declare: Vec<(Arc<App>, Source)>,
    /// Apps that are no longer declared.
    pub withdraw: Vec<AppId>,
    /// Whether the source of manifests has now been read in full at least once.
    pub complete: bool,
}

/// What the cluster says.
#[derive(Debug, Clone, PartialEq)]
pub enum ClusterEvent {
    /// We are (again) connected. Offers of before are void; reconciliation is due.
    Connected,
    /// The connection is lost. Tasks run on.
    Disconnected,
    /// Resources are offered.
    Offers(Vec<Offer>),
    /// An offer is taken back.
    Rescinded(OfferId),
    /// A task's state.
    Status(TaskStatus),
    /// An agent does not answer. Its tasks' statuses come apart.
    AgentUnreachable(AgentId),
    /// An agent will not come back.
    AgentGone(AgentId),
    /// The cluster has answered for every task that reconciliation asked about.
    Reconciled,
}

/// A task's state, as the cluster tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStatus {
    /// Which task.
    pub task: TaskId,
    /// Its state.
    pub condition: Condition,
    /// For people.
    pub message: Arc<str>,
    /// The cluster's reason, as it writes it (`REASON_SLAVE_DRAINING`).
    pub reason: Option<Arc<str>>,
    /// What a check made by the executor says.
    pub healthy: Option<bool>,
    /// What must be acknowledged, if anything.
    pub ack: Option<Ack>,
}

/// Names one status update for its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// From which agent.
    pub agent: AgentId,
    /// About which task.
    pub task: TaskId,
    /// Which update.
    pub uuid: Arc<[u8]>,
}

/// What an operator can want, beside declaring.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Forget the wait after failures of this app (`DELETE /v2/queue/{id}/delay`).
    ResetBackoff(AppId),
    /// Replace all instances of this app.
    Restart(AppId),
    /// End this instance; it is replaced.
    Kill(TaskId),
}

/// What the cluster at hand is able to do; given once, when the reconciler is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// Docker containers can run.
    pub docker: bool,
    /// Images can run in Mesos' own containers.
    pub mesos_images: bool,
    /// Networks other than the host's exist.
    pub networks: bool,
    /// Time between SIGTERM and SIGKILL when an app names none.
    pub kill_grace: Duration,
}
