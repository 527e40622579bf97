//! What programs and people ask for through the API, and the answers. Marathon's rules for it are §4.1 to §4.3.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::app::App;
use crate::deployment::DeploymentId;
use crate::id::{AppId, GroupId, TaskId};
use crate::time::Timestamp;

/// A change set that somebody hands in: followed as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Edit {
    /// Apps that are new or changed; each id at most once.
    pub declare: Vec<Arc<App>>,
    /// Apps that are to go.
    pub withdraw: Vec<AppId>,
    /// Apps all of whose instances are to be replaced.
    pub restart: Vec<AppId>,
    /// Groups of which something is said beside what is in them.
    pub groups: Vec<GroupEdit>,
    /// Pods that are new, changed or to go.
    pub pods: Vec<PodEdit>,
    /// What it was made from: the versions of apps and pods, or that there were none. If one of them is another by now,
    /// nothing is done.
    pub made_from: Vec<(AppId, Option<Timestamp>)>,
    /// By what right.
    pub authority: Authority,
}

/// By what right somebody changes what is declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authority {
    /// Who, for people: the name of a credential, or an address.
    pub by: Option<Arc<str>>,
    /// Change what a file owns all the same, for a while.
    pub over: Option<OverrideAsked>,
    /// Change what is under deployment, too, where deployments lock (`--deployment_locks`).
    pub force: bool,
}

/// What is asked for, to change what a file owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideAsked {
    /// Why, for people.
    pub reason: Arc<str>,
    /// Until when.
    pub until: Timestamp,
}

/// What is changed about a group itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEdit {
    /// It is there, even when nothing is in it, and this is said of it.
    Put {
        /// Its path.
        id: GroupId,
        /// See [`GroupVersion::dependencies`].
        dependencies: BTreeSet<GroupId>,
        /// See [`GroupVersion::enforce_role`].
        enforce_role: bool,
    },
    /// Nothing is said about it any more. Where apps are in it, it is there nevertheless.
    Remove(GroupId),
}

/// What is said about a group, beside what is in it (Marathon §2.8). What follows for its apps is in their declarations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its path.
    pub id: GroupId,
    /// What was said of it, oldest first, at most [`VERSIONS_KEPT`](crate::history::VERSIONS_KEPT); never
    /// empty. The last one holds.
    pub versions: Vec<GroupVersion>,
}

/// What was said of a group at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupVersion {
    /// When.
    pub at: Timestamp,
    /// Paths for which its apps wait; each of its apps has them among its own dependencies, too.
    pub dependencies: BTreeSet<GroupId>,
    /// Whether its apps have its name for a role, unless they were declared with another before.
    pub enforce_role: bool,
}

impl Group {
    /// What holds.
    pub fn last(&self) -> Option<&GroupVersion> {
        self.versions.last()
    }

    /// What held at that time.
    pub fn as_of(&self, at: Timestamp) -> Option<&GroupVersion> {
        self.versions.iter().rev().find(|version| version.at <= at)
    }
}

/// What is changed about a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodEdit {
    /// It is declared so.
    Put {
        /// Its path.
        id: AppId,
        /// Its definition (Marathon §2.7), as JSON; whoever wrote it has checked it.
        definition: Arc<str>,
    },
    /// It goes.
    Remove(AppId),
}

/// A pod: kept, and not run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its path.
    pub id: AppId,
    /// Its versions, oldest first, at most [`POD_VERSIONS_KEPT`]; never empty. The last one holds.
    pub versions: Vec<(Timestamp, Arc<str>)>,
}

/// Most versions of a pod that are remembered.
pub const POD_VERSIONS_KEPT: usize = 10;

impl Pod {
    /// The version that holds and its definition.
    pub fn last(&self) -> Option<&(Timestamp, Arc<str>)> {
        self.versions.last()
    }
}

/// Tasks that somebody wants ended (Marathon §1.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KillTasks {
    /// Which.
    pub tasks: Vec<TaskId>,
    /// Whether the apps shall have so many instances fewer.
    pub scale: bool,
    /// By what right, where `scale` changes declarations.
    pub authority: Authority,
}

/// Names a request, so that its answer finds the one who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RequestId(pub u64);

/// What came of a request. Given when everything that it changed is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done, or there was nothing to do.
    Done,
    /// A change set is on its way.
    Deployed {
        /// Its name.
        deployment: DeploymentId,
        /// The version that what it changed has now.
        version: Timestamp,
    },
    /// Nothing was done, and why.
    Refused(Refusal),
}

/// Why nothing was done. All of these are the world's state at that moment; asking again may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The edit was made from something that has changed meanwhile.
    #[error("{0} was changed by somebody else meanwhile")]
    Stale(AppId),
    /// A file declares it, and whoever wants to change it is to change the file.
    #[error("app {app} is declared in {path}, line {line}: change it there")]
    OwnedByFile {
        /// Which app.
        app: AppId,
        /// The file.
        path: Arc<str>,
        /// The line.
        line: u32,
    },
    /// A file declares it, and an override cannot remove what is declared.
    #[error(
        "app {app} is declared in {path}, line {line}: remove it there; an override may scale it to 0 meanwhile"
    )]
    CannotOverrideAway {
        /// Which app.
        app: AppId,
        /// The file.
        path: Arc<str>,
        /// The line.
        line: u32,
    },
    /// Deployments lock (`--deployment_locks`), and these hold it.
    #[error("it is locked by a deployment")]
    Locked(BTreeSet<DeploymentId>),
    /// There is no such app.
    #[error("there is no app {0}")]
    NoSuchApp(AppId),
    /// There is no such pod.
    #[error("there is no pod {0}")]
    NoSuchPod(AppId),
    /// There is no such deployment, or not any more.
    #[error("there is no deployment {0}")]
    NoSuchDeployment(DeploymentId),
    /// More of it than is kept.
    #[error("no more than {most} {what} are kept")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        most: usize,
    },
}
