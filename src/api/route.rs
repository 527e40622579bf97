//! The one table of what there is: what is asked for, by which method, where, and what the caller must be allowed to do.
//! How a request finds its row is in `find`; what the row does is in the handlers.

mod find;

pub use find::{Found, find};

/// One thing that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// What there is, for people who look around.
    Index,
    /// Whether we are there.
    Ping,
    /// Numbers.
    Metrics,
    /// Numbers, for Prometheus.
    MetricsText,
    /// How we are set up.
    Config,
    /// How much we log.
    Logging,
    /// Logging more, or less.
    ChangeLogging,
    /// Who we are.
    Info,
    /// All apps.
    Apps,
    /// An app's tasks.
    AppTasks,
    /// One app, or all apps of a group (`group/*`).
    App,
    /// A new app.
    CreateApp,
    /// Changing apps, or making them.
    PutApps,
    /// Changing apps.
    PatchApps,
    /// Changing an app, or making it.
    PutApp,
    /// Changing an app.
    PatchApp,
    /// Removing an app.
    DeleteApp,
    /// Replacing all instances of an app.
    RestartApp,
    /// An app's versions.
    AppVersions,
    /// One of them.
    AppVersion,
    /// Ending an app's tasks.
    KillAppTasks,
    /// Ending one task of an app.
    KillAppTask,
    /// Ending tasks.
    KillTasks,
    /// All tasks.
    Tasks,
    /// What waits for a place.
    Queue,
    /// An app's wait after failures.
    QueueDelay,
    /// What is under way.
    Deployments,
    /// Turning what is under way round.
    CancelDeployment,
    /// A group, that of everything among them.
    Group,
    /// All apps of a group.
    GroupApps,
    /// A group's versions.
    GroupVersions,
    /// One of them.
    GroupVersion,
    /// A new group.
    CreateGroup,
    /// Changing a group, or making it.
    PutGroup,
    /// Whether a group gives its apps its name for a role.
    PatchGroup,
    /// Removing a group and all that is in it.
    DeleteGroup,
    /// All pods.
    Pods,
    /// How all pods are.
    PodStatuses,
    /// One pod.
    Pod,
    /// How it is.
    PodStatus,
    /// Its versions.
    PodVersions,
    /// One of them.
    PodVersion,
    /// A new pod.
    CreatePod,
    /// Another definition of a pod.
    PutPod,
    /// Removing a pod.
    DeletePod,
    /// Ending instances of a pod.
    KillPodInstances,
    /// Ending one instance of a pod.
    KillPodInstance,
    /// Who leads.
    Leader,
    /// Stepping down.
    Abdicate,
    /// What was plugged in.
    Plugins,
    /// What happens.
    Events,
    /// Addresses that events are sent to.
    Callbacks,
    /// One more of them.
    AddCallback,
    /// One less.
    RemoveCallback,
    /// All apps, in brief.
    OurApps,
    /// Everything about an app: spec, target, observed, and what it waits for.
    OurAppStatus,
    /// The operator's word that an app stays when its file goes.
    KeepApp,
    /// What an app was, and who changed it.
    OurAppHistory,
    /// All apps, and then every change.
    Watch,
    /// What would come of a change.
    Plan,
    /// All instances.
    OurInstances,
    /// How we are: the connection, safe mode, what is known yet.
    OurStatus,
    /// The operator's word that all of this shall go.
    Uninstall,
    /// How the directory of manifests is.
    Directory,
    /// The operator's word that apps whose files vanished may go.
    ConfirmPrune,
    /// Tasks that the store knows nothing of, and what adopting them would do.
    Adoption,
    /// The operator's word that they are ours.
    Adopt,
    /// The operator's word that they are not.
    Disown,
    /// All that is stored.
    State,
    /// A piece of a task's output.
    TaskFile,
    /// What all of this takes and answers, for programs.
    OpenApi,
}

/// The methods we answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET, and HEAD.
    Get,
    /// HEAD alone: whether something is there, where nothing can be read.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// What a caller must be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Nothing: whoever reaches us gets an answer.
    Nothing,
    /// To read.
    Read,
    /// To change things.
    Write,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// What is there.
    pub endpoint: Endpoint,
    /// By which method.
    pub verb: Verb,
    /// Where: `{id*}` stands for one or more segments, `{name}` for exactly one. A part behind `::` is a segment of its
    /// own, whether a slash is before it or not.
    pub path: &'static str,
}

/// Everything there is. Of two rows that match, the first counts.
pub const ROUTES: &[Route] = &[
    Route { endpoint: Endpoint::Index, verb: Verb::Get, path: "/" },
    Route { endpoint: Endpoint::Index, verb: Verb::Get, path: "/help" },
    Route { endpoint: Endpoint::Ping, verb: Verb::Get, path: "/ping" },
    Route { endpoint: Endpoint::Metrics, verb: Verb::Get, path: "/metrics" },
    Route { endpoint: Endpoint::MetricsText, verb: Verb::Get, path: "/metrics/prometheus" },
    Route { endpoint: Endpoint::Config, verb: Verb::Get, path: "/config" },
    Route { endpoint: Endpoint::Logging, verb: Verb::Get, path: "/logging" },
    Route { endpoint: Endpoint::ChangeLogging, verb: Verb::Post, path: "/logging" },
    Route { endpoint: Endpoint::Info, verb: Verb::Get, path: "/v2/info" },
    Route { endpoint: Endpoint::Apps, verb: Verb::Get, path: "/v2/apps" },
    Route { endpoint: Endpoint::CreateApp, verb: Verb::Post, path: "/v2/apps" },
    Route { endpoint: Endpoint::PutApps, verb: Verb::Put, path: "/v2/apps" },
    Route { endpoint: Endpoint::PatchApps, verb: Verb::Patch, path: "/v2/apps" },
    Route { endpoint: Endpoint::AppTasks, verb: Verb::Get, path: "/v2/apps/{id*}/tasks" },
    Route { endpoint: Endpoint::KillAppTasks, verb: Verb::Delete, path: "/v2/apps/{id*}/tasks" },
    Route { endpoint: Endpoint::KillAppTask, verb: Verb::Delete, path: "/v2/apps/{id*}/tasks/{task}" },
    Route { endpoint: Endpoint::AppVersions, verb: Verb::Get, path: "/v2/apps/{id*}/versions" },
    Route { endpoint: Endpoint::AppVersion, verb: Verb::Get, path: "/v2/apps/{id*}/versions/{version}" },
    Route { endpoint: Endpoint::RestartApp, verb: Verb::Post, path: "/v2/apps/{id*}/restart" },
    Route { endpoint: Endpoint::App, verb: Verb::Get, path: "/v2/apps/{id*}" },
    Route { endpoint: Endpoint::PutApp, verb: Verb::Put, path: "/v2/apps/{id*}" },
    Route { endpoint: Endpoint::PatchApp, verb: Verb::Patch, path: "/v2/apps/{id*}" },
    Route { endpoint: Endpoint::DeleteApp, verb: Verb::Delete, path: "/v2/apps/{id*}" },
    Route { endpoint: Endpoint::KillTasks, verb: Verb::Post, path: "/v2/tasks/delete" },
    Route { endpoint: Endpoint::Tasks, verb: Verb::Get, path: "/v2/tasks" },
    Route { endpoint: Endpoint::Queue, verb: Verb::Get, path: "/v2/queue" },
    Route { endpoint: Endpoint::QueueDelay, verb: Verb::Delete, path: "/v2/queue/{id*}/delay" },
    Route { endpoint: Endpoint::Deployments, verb: Verb::Get, path: "/v2/deployments" },
    Route { endpoint: Endpoint::CancelDeployment, verb: Verb::Delete, path: "/v2/deployments/{id}" },
    Route { endpoint: Endpoint::Group, verb: Verb::Get, path: "/v2/groups" },
    Route { endpoint: Endpoint::CreateGroup, verb: Verb::Post, path: "/v2/groups" },
    Route { endpoint: Endpoint::PutGroup, verb: Verb::Put, path: "/v2/groups" },
    Route { endpoint: Endpoint::DeleteGroup, verb: Verb::Delete, path: "/v2/groups" },
    Route { endpoint: Endpoint::GroupApps, verb: Verb::Get, path: "/v2/groups/apps" },
    Route { endpoint: Endpoint::GroupApps, verb: Verb::Get, path: "/v2/groups/{id*}/apps" },
    Route { endpoint: Endpoint::GroupVersions, verb: Verb::Get, path: "/v2/groups/versions" },
    Route { endpoint: Endpoint::GroupVersions, verb: Verb::Get, path: "/v2/groups/{id*}/versions" },
    Route { endpoint: Endpoint::GroupVersion, verb: Verb::Get, path: "/v2/groups/versions/{version}" },
    Route { endpoint: Endpoint::GroupVersion, verb: Verb::Get, path: "/v2/groups/{id*}/versions/{version}" },
    Route { endpoint: Endpoint::Group, verb: Verb::Get, path: "/v2/groups/{id*}" },
    Route { endpoint: Endpoint::CreateGroup, verb: Verb::Post, path: "/v2/groups/{id*}" },
    Route { endpoint: Endpoint::PutGroup, verb: Verb::Put, path: "/v2/groups/{id*}" },
    Route { endpoint: Endpoint::PatchGroup, verb: Verb::Patch, path: "/v2/groups/{id*}" },
    Route { endpoint: Endpoint::DeleteGroup, verb: Verb::Delete, path: "/v2/groups/{id*}" },
    Route { endpoint: Endpoint::Pods, verb: Verb::Get, path: "/v2/pods" },
    Route { endpoint: Endpoint::CreatePod, verb: Verb::Post, path: "/v2/pods" },
    Route { endpoint: Endpoint::PodStatuses, verb: Verb::Get, path: "/v2/pods/::status" },
    Route { endpoint: Endpoint::PodStatus, verb: Verb::Get, path: "/v2/pods/{id*}::status" },
    Route { endpoint: Endpoint::PodVersions, verb: Verb::Get, path: "/v2/pods/{id*}::versions" },
    Route { endpoint: Endpoint::PodVersion, verb: Verb::Get, path: "/v2/pods/{id*}::versions/{version}" },
    Route { endpoint: Endpoint::KillPodInstances, verb: Verb::Delete, path: "/v2/pods/{id*}::instances" },
    Route {
        endpoint: Endpoint::KillPodInstance,
        verb: Verb::Delete,
        path: "/v2/pods/{id*}::instances/{instance}",
    },
    Route { endpoint: Endpoint::Pod, verb: Verb::Get, path: "/v2/pods/{id*}" },
    Route { endpoint: Endpoint::PutPod, verb: Verb::Put, path: "/v2/pods/{id*}" },
    Route { endpoint: Endpoint::DeletePod, verb: Verb::Delete, path: "/v2/pods/{id*}" },
    Route { endpoint: Endpoint::Leader, verb: Verb::Get, path: "/v2/leader" },
    Route { endpoint: Endpoint::Abdicate, verb: Verb::Delete, path: "/v2/leader" },
    Route { endpoint: Endpoint::Plugins, verb: Verb::Get, path: "/v2/plugins" },
    Route { endpoint: Endpoint::Events, verb: Verb::Get, path: "/v2/events" },
    Route { endpoint: Endpoint::Callbacks, verb: Verb::Get, path: "/v2/eventSubscriptions" },
    Route { endpoint: Endpoint::AddCallback, verb: Verb::Post, path: "/v2/eventSubscriptions" },
    Route { endpoint: Endpoint::RemoveCallback, verb: Verb::Delete, path: "/v2/eventSubscriptions" },
    Route { endpoint: Endpoint::OurApps, verb: Verb::Get, path: "/v1/apps" },
    Route { endpoint: Endpoint::OurAppStatus, verb: Verb::Get, path: "/v1/apps/{id*}/status" },
    Route { endpoint: Endpoint::KeepApp, verb: Verb::Post, path: "/v1/apps/{id*}/keep" },
    Route { endpoint: Endpoint::OurAppHistory, verb: Verb::Get, path: "/v1/apps/{id*}/history" },
    Route { endpoint: Endpoint::Watch, verb: Verb::Get, path: "/v1/watch" },
    Route { endpoint: Endpoint::Plan, verb: Verb::Post, path: "/v1/plan" },
    Route { endpoint: Endpoint::OurInstances, verb: Verb::Get, path: "/v1/instances" },
    Route { endpoint: Endpoint::OurStatus, verb: Verb::Get, path: "/v1/status" },
    Route { endpoint: Endpoint::Uninstall, verb: Verb::Post, path: "/v1/uninstall" },
    Route { endpoint: Endpoint::Directory, verb: Verb::Get, path: "/v1/directory" },
    Route { endpoint: Endpoint::ConfirmPrune, verb: Verb::Post, path: "/v1/directory/confirm-prune" },
    Route { endpoint: Endpoint::Adoption, verb: Verb::Get, path: "/v1/adoption" },
    Route { endpoint: Endpoint::Adopt, verb: Verb::Post, path: "/v1/adoption" },
    Route { endpoint: Endpoint::Disown, verb: Verb::Delete, path: "/v1/adoption" },
    Route { endpoint: Endpoint::State, verb: Verb::Get, path: "/v1/state" },
    Route { endpoint: Endpoint::TaskFile, verb: Verb::Get, path: "/v1/tasks/{task}/files/{file}" },
    Route { endpoint: Endpoint::OpenApi, verb: Verb::Get, path: "/v1/openapi.json" },
];

impl Verb {
    /// The methods, as HTTP calls them.
    pub const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Head => &["HEAD"],
            Self::Post => &["POST"],
            Self::Put => &["PUT"],
            Self::Patch => &["PATCH"],
            Self::Delete => &["DELETE"],
        }
    }
}

impl Route {
    /// What a caller must be allowed to do: the verb says it. `/ping` is for load balancers, who have no credentials; a
    /// plan takes a body, and changes nothing.
    pub const fn need(&self) -> Need {
        match (self.endpoint, self.verb) {
            (Endpoint::Ping, _) => Need::Nothing,
            (Endpoint::Plan, _) | (_, Verb::Get | Verb::Head) => Need::Read,
            (_, Verb::Post | Verb::Put | Verb::Patch | Verb::Delete) => Need::Write,
        }
    }
}
