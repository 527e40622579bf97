//! The types of events, by the names that clients know (§4.16).

/// One type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::api) enum Kind {
    ApiPost,
    PodCreated,
    PodUpdated,
    PodDeleted,
    SchedulerRegistered,
    SchedulerReregistered,
    SchedulerDisconnected,
    Subscribe,
    Unsubscribe,
    Attached,
    Detached,
    AddHealthCheck,
    RemoveHealthCheck,
    FailedHealthCheck,
    HealthStatusChanged,
    UnhealthyInstanceKill,
    InstanceHealthChanged,
    InstanceChanged,
    UnknownInstanceTerminated,
    StatusUpdate,
    FrameworkMessage,
    AppTerminated,
    GroupChangeSuccess,
    GroupChangeFailed,
    DeploymentInfo,
    DeploymentStepSuccess,
    DeploymentStepFailure,
    DeploymentSuccess,
    DeploymentFailed,
}

impl Kind {
    /// All of them.
    pub(in crate::api) const ALL: [Self; 29] = [
        Self::ApiPost,
        Self::PodCreated,
        Self::PodUpdated,
        Self::PodDeleted,
        Self::SchedulerRegistered,
        Self::SchedulerReregistered,
        Self::SchedulerDisconnected,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Attached,
        Self::Detached,
        Self::AddHealthCheck,
        Self::RemoveHealthCheck,
        Self::FailedHealthCheck,
        Self::HealthStatusChanged,
        Self::UnhealthyInstanceKill,
        Self::InstanceHealthChanged,
        Self::InstanceChanged,
        Self::UnknownInstanceTerminated,
        Self::StatusUpdate,
        Self::FrameworkMessage,
        Self::AppTerminated,
        Self::GroupChangeSuccess,
        Self::GroupChangeFailed,
        Self::DeploymentInfo,
        Self::DeploymentStepSuccess,
        Self::DeploymentStepFailure,
        Self::DeploymentSuccess,
        Self::DeploymentFailed,
    ];

    /// Its name.
    pub(in crate::api) const fn name(self) -> &'static str {
        match self {
            Self::ApiPost => "api_post_event",
            Self::PodCreated => "pod_created_event",
            Self::PodUpdated => "pod_updated_event",
            Self::PodDeleted => "pod_deleted_event",
            Self::SchedulerRegistered => "scheduler_registered_event",
            Self::SchedulerReregistered => "scheduler_reregistered_event",
            Self::SchedulerDisconnected => "scheduler_disconnected_event",
            Self::Subscribe => "subscribe_event",
            Self::Unsubscribe => "unsubscribe_event",
            Self::Attached => "event_stream_attached",
            Self::Detached => "event_stream_detached",
            Self::AddHealthCheck => "add_health_check_event",
            Self::RemoveHealthCheck => "remove_health_check_event",
            Self::FailedHealthCheck => "failed_health_check_event",
            Self::HealthStatusChanged => "health_status_changed_event",
            Self::UnhealthyInstanceKill => "unhealthy_instance_kill_event",
            Self::InstanceHealthChanged => "instance_health_changed_event",
            Self::InstanceChanged => "instance_changed_event",
            Self::UnknownInstanceTerminated => "unknown_instance_terminated_event",
            Self::StatusUpdate => "status_update_event",
            Self::FrameworkMessage => "framework_message_event",
            Self::AppTerminated => "app_terminated_event",
            Self::GroupChangeSuccess => "group_change_success",
            Self::GroupChangeFailed => "group_change_failed",
            Self::DeploymentInfo => "deployment_info",
            Self::DeploymentStepSuccess => "deployment_step_success",
            Self::DeploymentStepFailure => "deployment_step_failure",
            Self::DeploymentSuccess => "deployment_success",
            Self::DeploymentFailed => "deployment_failed",
        }
    }

    /// Its bit among all.
    pub(in crate::api) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The types of these names; all, if none is named. Names that nobody has stand for nothing.
    pub(in crate::api) fn bits<'a>(names: impl Iterator<Item = &'a str>) -> u32 {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return u32::MAX;
        }
        let kinds = names.filter_map(|name| Self::ALL.into_iter().find(|kind| kind.name() == name));
        kinds.fold(0, |bits, kind| bits | kind.bit())
    }
}
