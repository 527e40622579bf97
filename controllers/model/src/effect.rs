//! Everything the reconciler can want done. A closed list, carried out by `src/runtime` in the order given.
//!
//! **Persist, then act, then acknowledge.** The reconciler holds back every effect that depends on a write until
//! [`crate::input::Input::Stored`] says that it is durable; who carries out effects need not know.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::Agent;
use crate::app::{App, CheckKind};
use crate::edit::{Answer, RequestId};
use crate::event::Event;
use crate::fingerprint::Fingerprint;
use crate::health::ProbeKind;
use crate::id::{AgentId, AppId, FrameworkId, InstanceKey, OfferId, RevisionId, Role, TaskId};
use crate::input::{Ack, WriteSeq};
use crate::offer::Claim;
use crate::port::Port;
use crate::record::Write;
use crate::time::Timestamp;

/// One thing to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make these writes durable, all or none, after those of all earlier batches; then say `Stored(seq)`.
    Persist {
        /// The number of the batch: 1, 2, 3, …
        seq: WriteSeq,
        /// The writes.
        writes: Vec<Write>,
    },
    /// Find out what the cluster runs for a framework of ours, without becoming it; the answer is
    /// [`ClusterEvent::Found`](crate::input::ClusterEvent::Found). Asked before subscribing when no framework id is known,
    /// and when tasks show up that the store knows nothing of.
    Survey {
        /// One that an operator has said is not ours, whatever its name: another may be found beside it.
        except: Option<FrameworkId>,
    },
    /// Become this framework, or a new one, and stay connected from now on.
    Subscribe(Option<FrameworkId>),
    /// Use up these offers, all of one agent, for these tasks. What is left of them goes back.
    Accept {
        /// The offers.
        offers: Vec<OfferId>,
        /// The agent.
        agent: AgentId,
        /// The tasks.
        tasks: Vec<TaskLaunch>,
    },
    /// Give these offers back.
    Decline {
        /// The offers.
        offers: Vec<OfferId>,
        /// How long not to be offered the same again.
        refuse_for: Duration,
    },
    /// Ask for offers to this role again.
    Revive(Role),
    /// Ask for no offers to this role.
    Suppress(Role),
    /// End a task.
    Kill {
        /// Which task.
        task: TaskId,
        /// Where it runs, if known.
        agent: Option<AgentId>,
        /// Time between SIGTERM and SIGKILL.
        grace: Option<Duration>,
    },
    /// Tell the cluster that an update has been taken in.
    Acknowledge(Ack),
    /// Ask the cluster for the state of these tasks (explicit reconciliation), or, when there are none, of all tasks
    /// (implicit).
    Reconcile(Vec<(TaskId, AgentId)>),
    /// Probe an instance from now on. Replaces the probe of the same app, instance and kind.
    StartProbe(AppId, Box<Probe>),
    /// Probe it no more.
    StopProbe(AppId, InstanceKey, ProbeKind),
    /// Tell whoever listens.
    Notify(Event),
    /// Tell whoever asked. Everything that the request changed is durable by now.
    Answer(RequestId, Answer),
}

/// A task to launch, complete: nothing is looked up or chosen after this.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskLaunch {
    /// Its id.
    pub task: TaskId,
    /// Whose task it is.
    pub instance: InstanceKey,
    /// Which revision it runs.
    pub revision: RevisionId,
    /// The version that the task sees as `MARATHON_APP_VERSION`.
    pub version: Timestamp,
    /// The declaration: the template, and the labels and checks of the moment.
    pub app: Arc<App>,
    /// Whether the group at the top that the app is in gives its apps its name for a role.
    pub enforces_group_role: bool,
    /// Where.
    pub agent: Arc<Agent>,
    /// Under which role.
    pub role: Role,
    /// What it takes.
    pub claim: Claim,
    /// The host ports, in the order of the app's ports; `None` for those not mapped to the host.
    pub host_ports: Vec<Option<Port>>,
    /// The service ports, in the order of the app's ports.
    pub service_ports: Vec<Option<Port>>,
}

/// What to ask of an instance, again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Which instance.
    pub instance: InstanceKey,
    /// Which of its checks.
    pub kind: ProbeKind,
    /// Where it runs.
    pub host: Arc<str>,
    /// The port to ask, resolved; `None` for a command.
    pub port: Option<Port>,
    /// What to ask. The address in it is resolved by [`Probe::port`].
    pub check: CheckKind,
    /// The statuses that mean ready (readiness), or empty: 200 to 399 are healthy.
    pub ready_statuses: Vec<u16>,
    /// Whether an answer of 100–199 says nothing.
    pub ignore_http_1xx: bool,
    /// The first probe comes at most this long after the start of probing. When exactly is the prober's choice, so
    /// that probes that start together do not stay together.
    pub first_after: Duration,
    /// For so long, as long as none succeeded, probes come sooner than an interval apart: failures do not count yet,
    /// and the sooner a success is seen, the sooner a rollout goes on.
    pub eager_for: Duration,
    /// Time between two probes.
    pub interval: Duration,
    /// An answer after this is a failure.
    pub timeout: Duration,
}

impl Probe {
    /// What the declaration says about this probe; see [`Probe::mark_of`].
    pub fn mark(&self) -> Fingerprint {
        Self::mark_of(&self.check, &self.ready_statuses, self.ignore_http_1xx, self.interval, self.timeout)
    }

    /// What the declaration says about a probe: the same for all instances of an app, and what decides whether a probe
    /// under way is still the wanted one. Where an instance runs does not change while it lives, and how probing began
    /// does not matter afterwards.
    pub fn mark_of(
        check: &CheckKind,
        ready_statuses: &[u16],
        ignore_http_1xx: bool,
        interval: Duration,
        timeout: Duration,
    ) -> Fingerprint {
        Fingerprint::of(format_args!(
            "{} {ready_statuses:?} {ignore_http_1xx} {interval:?} {timeout:?}",
            check.question()
        ))
    }
}
