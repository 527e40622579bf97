//! Everything that can happen to the reconciler. A closed list: what is not here cannot influence a decision.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::Agent;
use crate::app::App;
use crate::app_state::Source;
use crate::deployment::DeploymentId;
use crate::edit::{Authority, Edit, KillTasks, RequestId};
use crate::fingerprint::Fingerprint;
use crate::history::Commit;
use crate::id::{AgentId, AppId, FrameworkId, GroupId, OfferId, Role, TaskId};
use crate::instance::Condition;
use crate::offer::Offer;
use crate::port::Port;
use crate::time::Timestamp;
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
    /// Somebody wants something. It is answered once with [`Effect::Answer`](crate::Effect::Answer).
    Command(RequestId, Command),
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
    /// The commit that the directory is at, where it is a checkout.
    pub commit: Option<Arc<Commit>>,
}

/// What the cluster says.
#[derive(Debug, Clone, PartialEq)]
pub enum ClusterEvent {
    /// The cluster knows us by this id from now on; comes before [`Self::Connected`]. A cluster that knows nobody by
    /// an id (this machine) does not say it.
    Registered(FrameworkId),
    /// The answer to [`Effect::Survey`](crate::Effect::Survey).
    Found(Found),
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
    /// An agent is to go into maintenance: from when, and for how long (for ever when not given); or it is not any
    /// more. Told of agents that offer nothing, too.
    Maintenance(AgentId, Option<(Timestamp, Option<Duration>)>),
    /// The cluster has told of all tasks that it has, as it was asked to last. Of a task on an agent that has not come
    /// back since the master was replaced it says nothing, so this is no evidence about tasks that were asked for by name.
    Reconciled,
    /// An executor says something. Nothing follows from it but that listeners are told.
    Message(FrameworkMessage),
}

/// What an executor says to its framework. Executors of Mesos' own say nothing; what was launched by others may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameworkMessage {
    /// On which agent.
    pub agent: AgentId,
    /// Which executor.
    pub executor: Arc<str>,
    /// What; nothing that is not the executor's own affair.
    pub data: Arc<[u8]>,
}

/// What the cluster runs for us, or for who was here before us.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// The framework; none, if the cluster knows none of our name or id.
    pub framework: Option<FrameworkId>,
    /// Where the scheduler runs that is connected as this framework at the moment, if one is and it is not us.
    pub connected_from: Option<Arc<str>>,
    /// Its tasks that have not ended.
    pub tasks: Vec<FoundTask>,
    /// Those of other frameworks of its name. They are not to be taken over, nor are their ids to be given again.
    pub beside: Vec<TaskId>,
}

/// A task, as the cluster alone knows it: what taking it over rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundTask {
    /// Which task.
    pub task: TaskId,
    /// Its state.
    pub condition: Condition,
    /// Since when.
    pub since: Timestamp,
    /// Where it runs.
    pub agent: Arc<Agent>,
    /// The role whose resources it uses.
    pub role: Role,
    /// Its host ports, in the order of the app's ports as it was launched; `None` for those not mapped to the host.
    pub host_ports: Vec<Option<Port>>,
    /// What it runs, if its launch said so; see [`App::fingerprint`](crate::App::fingerprint).
    pub template: Option<Fingerprint>,
    /// What a check made by the executor says.
    pub healthy: Option<bool>,
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
    /// Change what is declared.
    Edit(Box<Edit>),
    /// End these tasks. They are replaced, unless their apps are scaled down by them.
    Kill(KillTasks),
    /// Turn this deployment round: of every app of it that was not changed again since, what was declared before holds.
    Cancel(DeploymentId, Authority),
    /// Follow this deployment no longer; what is declared stays as it is.
    Abandon(DeploymentId),
    /// When the file that declares this app does so no longer, the app stays, as one declared by the API.
    Keep(AppId),
    /// The apps of this group shall have its name for a role from now on, or need not any longer. What is declared
    /// already stays as it is, so it is no change set (`PATCH /v2/groups/{id}`).
    EnforceRole(GroupId, bool),
    /// Send events to this address, too.
    Listen(Arc<str>),
    /// Send no more events there.
    Unlisten(Arc<str>),
    /// Ends safe mode: take over the tasks that the cluster runs and the store knows nothing of.
    Adopt,
    /// Ends safe mode: those tasks are somebody else's; leave them alone for ever, and begin beside them.
    Disown,
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
