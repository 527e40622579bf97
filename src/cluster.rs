//! Where instances run. A cluster takes [`Call`]s and answers with [`ekiden_model::input::ClusterEvent`]s.
//!
//! `local` is this machine; `mesos` is Apache Mesos. Nothing here decides: what to launch, kill or decline comes
//! from the reconciler, complete.

pub mod environment;
pub mod local;
pub mod mesos;

use std::time::Duration;

use ekiden_model::effect::TaskLaunch;
use ekiden_model::input::Ack;
use ekiden_model::{AgentId, FrameworkId, OfferId, Role, TaskId};

/// What a cluster is told: the cluster's part of [`ekiden_model::Effect`].
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Find out what the cluster runs for a framework of ours.
    Survey {
        /// One that is not ours, whatever its name.
        except: Option<FrameworkId>,
    },
    /// Become this framework, or a new one.
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
    /// Ask for offers to this role again; ends every refusal.
    Revive(Role),
    /// Make no offers to this role.
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
    /// An update has been taken in.
    Acknowledge(Ack),
    /// Tell the state of these tasks or, when there are none, of all.
    Reconcile(Vec<(TaskId, AgentId)>),
}
