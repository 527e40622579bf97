//! What is told to whoever listens: the facts behind Marathon's events (§4.16). Rendering them is the API's work.

use std::sync::Arc;

use crate::app::HealthCheck;
use crate::deployment::{Deployment, Ending, Stage, StepEnd};
use crate::health::Verdict;
use crate::id::{AppId, InstanceKey, RevisionId, TaskId};
use crate::instance::Condition;
use crate::port::Port;
use crate::report::KillCause;
use crate::time::Timestamp;

/// One fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An app was declared, changed or withdrawn.
    DesiredChanged {
        /// Which app.
        app: AppId,
        /// Its version; nothing when it was withdrawn.
        version: Option<Timestamp>,
    },
    /// A change set is on its way (`group_change_success`, `deployment_info`).
    DeploymentStarted(Arc<Deployment>),
    /// All apps of a step have come where a deployment wants them (`deployment_step_success`), or one stands still on the
    /// way (`deployment_step_failure`).
    DeploymentStep(Arc<Deployment>, Stage, StepEnd),
    /// Nothing of it is under way any more (`deployment_success`, `deployment_failed`).
    DeploymentEnded(Arc<Deployment>, Ending),
    /// A rollout began, or turned to another revision.
    RolloutStarted {
        /// Of which app.
        app: AppId,
        /// To which revision.
        to: RevisionId,
        /// The version of the declaration.
        version: Timestamp,
    },
    /// A rollout is complete.
    RolloutComplete {
        /// Of which app.
        app: AppId,
        /// To which revision.
        to: RevisionId,
        /// The version of the declaration.
        version: Timestamp,
    },
    /// A rollout failed.
    RolloutFailed {
        /// Of which app.
        app: AppId,
        /// To which revision.
        to: RevisionId,
        /// The version of the declaration.
        version: Timestamp,
        /// Why.
        reason: Arc<str>,
    },
    /// An instance's condition changed (`instance_changed_event`, `status_update_event`).
    InstanceChanged {
        /// Of which app.
        app: AppId,
        /// Which instance.
        instance: InstanceKey,
        /// What is known of it now.
        condition: Condition,
        /// Of which version it is.
        version: Timestamp,
        /// The id of its agent.
        agent: Arc<str>,
        /// Its host.
        host: Arc<str>,
        /// Its host ports.
        ports: Vec<Port>,
        /// The cluster's words.
        message: Arc<str>,
        /// The task's id.
        task: TaskId,
    },
    /// An instance's verdict changed (`instance_health_changed_event`, `health_status_changed_event`).
    HealthChanged {
        /// Of which app.
        app: AppId,
        /// Which instance.
        instance: InstanceKey,
        /// The new verdict.
        verdict: Verdict,
        /// Of which version it is.
        version: Timestamp,
    },
    /// An instance is being killed by us (`unhealthy_instance_kill_event` where the cause is its health).
    Killing {
        /// Of which app.
        app: AppId,
        /// Which instance.
        instance: InstanceKey,
        /// Why.
        cause: KillCause,
        /// Of which version it is.
        version: Timestamp,
        /// The id of its agent.
        agent: Arc<str>,
        /// Its host.
        host: Arc<str>,
    },
    /// An app has a health check that it had not before (`add_health_check_event`).
    CheckAdded {
        /// Which app.
        app: AppId,
        /// The version of the declaration.
        version: Timestamp,
        /// The check.
        check: Box<HealthCheck>,
    },
    /// An app has a health check no more (`remove_health_check_event`).
    CheckRemoved {
        /// Which app.
        app: AppId,
    },
    /// A health check of an instance has failed, and it counts (`failed_health_check_event`).
    CheckFailed {
        /// Of which app.
        app: AppId,
        /// Of which instance.
        instance: InstanceKey,
        /// The check.
        check: Box<HealthCheck>,
    },
    /// A task has ended that we know nothing of (`unknown_instance_terminated_event`).
    UnknownTerminated {
        /// Which task.
        task: TaskId,
        /// How it ended.
        condition: Condition,
    },
    /// The last instance of a withdrawn app has ended (`app_terminated_event`).
    AppTerminated {
        /// Which app.
        app: AppId,
    },
}
