//! The one table of what there is, and how a request finds its way in it.
//!
//! Paths are matched as Marathon's clients write them: doubled and trailing slashes do not matter, and an app's id may
//! be any number of segments, recognised as what is left between the fixed ones.

use http::Method;

/// One thing that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Whether we are there.
    Ping,
    /// Numbers.
    Metrics,
    /// Numbers, for Prometheus.
    MetricsText,
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
    /// One pod, its status, its versions (`{id}::status`, `{id}::versions`); how all are (`::status`).
    Pod,
    /// A new pod.
    CreatePod,
    /// Another definition of a pod.
    PutPod,
    /// Removing a pod, or instances of it (`{id}::instances`).
    DeletePod,
    /// What happens.
    Events,
    /// All apps, in brief.
    OurApps,
    /// Everything about an app: spec, target, observed, and what it waits for.
    OurAppStatus,
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
}

/// The methods we answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET, and HEAD.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// What is there.
    pub endpoint: Endpoint,
    /// By which method.
    pub verb: Verb,
    /// Where: `{id*}` stands for one or more segments, `{name}` for exactly one.
    pub path: &'static str,
}

/// Everything there is. Of two rows that match, the first counts.
pub const ROUTES: &[Route] = &[
    Route { endpoint: Endpoint::Ping, verb: Verb::Get, path: "/ping" },
    Route { endpoint: Endpoint::Metrics, verb: Verb::Get, path: "/metrics" },
    Route { endpoint: Endpoint::MetricsText, verb: Verb::Get, path: "/metrics/prometheus" },
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
    Route { endpoint: Endpoint::Pod, verb: Verb::Get, path: "/v2/pods/{id*}" },
    Route { endpoint: Endpoint::PutPod, verb: Verb::Put, path: "/v2/pods/{id*}" },
    Route { endpoint: Endpoint::DeletePod, verb: Verb::Delete, path: "/v2/pods/{id*}" },
    Route { endpoint: Endpoint::Events, verb: Verb::Get, path: "/v2/events" },
    Route { endpoint: Endpoint::OurApps, verb: Verb::Get, path: "/v1/apps" },
    Route { endpoint: Endpoint::OurAppStatus, verb: Verb::Get, path: "/v1/apps/{id*}/status" },
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
];

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// This, with what the braces stand for. Ids come without a leading slash.
    Route(&'static Route, Vec<String>),
    /// Something, but not for this method; the methods it has.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// Finds the row for a request.
pub fn find(method: &Method, path: &str) -> Found {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut others = Vec::new();
    for route in ROUTES {
        let Some(captures) = captures(route.path, &segments) else { continue };
        if route.verb.covers(method) {
            return Found::Route(route, captures);
        }
        others.extend_from_slice(route.verb.names());
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

impl Verb {
    fn covers(self, method: &Method) -> bool {
        self.names().contains(&method.as_str())
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Post => &["POST"],
            Self::Put => &["PUT"],
            Self::Patch => &["PATCH"],
            Self::Delete => &["DELETE"],
        }
    }
}

/// What the braces of `pattern` stand for in `segments`; `None` when it does not match. A pattern has at most one
/// greedy brace, which takes what its neighbours leave.
fn captures(pattern: &str, segments: &[&str]) -> Option<Vec<String>> {
    let pattern: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let greedy = pattern.iter().filter(|part| part.ends_with("*}")).count();
    let spare = segments.len().checked_sub(pattern.len())?;
    if greedy == 0 && spare > 0 {
        return None;
    }
    let mut captures = Vec::new();
    let mut rest = segments;
    for part in pattern {
        let width = if part.ends_with("*}") { spare + 1 } else { 1 };
        let (here, after) = rest.split_at_checked(width)?;
        rest = after;
        if part.starts_with('{') {
            captures.push(here.join("/"));
        } else if here != [part] {
            return None;
        }
    }
    Some(captures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(path: &str) -> Option<(Endpoint, Vec<String>)> {
        match find(&Method::GET, path) {
            Found::Route(route, captures) => Some((route.endpoint, captures)),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }

    #[test]
    fn ids_are_greedy_and_slashes_do_not_matter() {
        let web = || vec!["prod/web".to_owned()];
        for path in ["/v2/apps/prod/web", "/v2/apps//prod/web", "//v2/apps/prod//web/"] {
            assert_eq!(endpoint(path), Some((Endpoint::App, web())), "{path}");
        }
        assert_eq!(endpoint("/v2/apps//prod/web/tasks"), Some((Endpoint::AppTasks, web())));
        assert_eq!(endpoint("/v2/apps/prod/*"), Some((Endpoint::App, vec!["prod/*".to_owned()])));
        assert_eq!(endpoint("/v2/apps/"), Some((Endpoint::Apps, Vec::new())));
        assert_eq!(endpoint("/v1/apps/a/b/status"), Some((Endpoint::OurAppStatus, vec!["a/b".to_owned()])));
        let file = vec!["t.1".to_owned(), "stdout".to_owned()];
        assert_eq!(endpoint("/v1/tasks/t.1/files/stdout"), Some((Endpoint::TaskFile, file)));
    }

    #[test]
    fn what_is_not_there_and_what_is_not_done_are_told_apart() {
        assert_eq!(find(&Method::GET, "/v3/apps"), Found::Nothing);
        assert_eq!(endpoint("/v1/tasks/t.1/files/a/b"), None);
        assert_eq!(find(&Method::PUT, "/v2/queue"), Found::OtherMethods(vec!["GET", "HEAD"]));
        assert_eq!(find(&Method::GET, "/v2/queue/a/delay"), Found::OtherMethods(vec!["DELETE"]));
    }
}
