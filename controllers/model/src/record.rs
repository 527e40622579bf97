//! What must survive a restart, as values. Their form on disk is the business of `src/store`, which has versioned
//! structs of its own; decisions never rest on replaying inputs, only on these.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::app_state::{AppState, Backoff, Declared};
use crate::deployment::{Deployment, DeploymentId};
use crate::edit::{Group, Pod};
use crate::history::Version;
use crate::id::{AppId, AppKey, FrameworkId, GroupId, Incarnation, Slot, TaskId};
use crate::instance::Instance;
use crate::port::Port;
use crate::report::Failure;
use crate::revision::{Revision, Rollout};
use crate::time::Timestamp;

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Replaces the record of the same key.
    Put(Record),
    /// Removes an app's record and all records of its slots; its versions stay.
    DeleteApp(AppId),
    /// Removes one record.
    Delete(RecordKey),
}

/// Names a record that goes by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// A version, by its app and time.
    Version(AppId, Timestamp),
    /// A deployment.
    Deployment(DeploymentId),
    /// A group.
    Group(GroupId),
    /// A pod.
    Pod(AppId),
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// The installation; one record.
    Installation(Box<Installation>),
    /// An app, by its id.
    App(Box<AppRecord>),
    /// A slot, by app and number.
    Slot(SlotRecord),
    /// A version of an app, by app and time.
    Version(AppId, Box<Version>),
    /// A deployment that is not over, by its id.
    Deployment(Box<Deployment>),
    /// A group of which something is said, by its id.
    Group(Group),
    /// A pod, by its id.
    Pod(Pod),
}

/// What there is once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Drawn at random when the store was made.
    pub realm: u64,
    /// How many apps were ever declared.
    pub births: u64,
    /// As whom the cluster knows us: durable before anything is launched, so that no restart makes us a stranger to
    /// our own tasks.
    pub framework: Option<FrameworkId>,
    /// How often an operator has said whose the tasks are that the store knew nothing of. What was launched before,
    /// and what became of it, is not known in full, so each of these lives has incarnations of its own
    /// ([`Incarnation::before_life`]).
    pub life: u32,
    /// Keys of apps that ran before this store was made, or after it was copied, and that an operator has adopted without
    /// there being a declaration of them: their tasks are ours and not wanted. At most [`KEPT_OF_ADOPTION`].
    pub predecessors: BTreeSet<AppKey>,
    /// Framework that an operator has disowned before we ever had one of our own.
    pub disowned_framework: Option<FrameworkId>,
    /// Tasks of our framework that an operator has disowned, until they end: never touched. At most
    /// [`KEPT_OF_ADOPTION`].
    pub disowned: BTreeSet<TaskId>,
    /// Addresses that events are sent to. At most [`LISTENERS_MAX`].
    pub listeners: BTreeSet<Arc<str>>,
}

/// Most addresses that events are sent to.
pub const LISTENERS_MAX: usize = 100;

/// Most keys, and most tasks, that are remembered of an adoption. What is beyond is told of again, and asked about again.
pub const KEPT_OF_ADOPTION: usize = 10_000;

impl RecordKey {
    /// The name of `record`; nothing for one that goes with its app, or never.
    pub fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Installation(_) | Record::App(_) | Record::Slot(_) => None,
            Record::Version(app, version) => Some(Self::Version(app.clone(), version.at)),
            Record::Deployment(deployment) => Some(Self::Deployment(deployment.id)),
            Record::Group(group) => Some(Self::Group(group.id.clone())),
            Record::Pod(pod) => Some(Self::Pod(pod.id.clone())),
        }
    }
}

impl Installation {
    /// One that has declared nothing and that no cluster knows.
    pub const fn new(realm: u64) -> Self {
        Self {
            realm,
            births: 0,
            framework: None,
            life: 0,
            predecessors: BTreeSet::new(),
            disowned_framework: None,
            disowned: BTreeSet::new(),
            listeners: BTreeSet::new(),
        }
    }
}

/// An app without its instances.
#[derive(Debug, Clone, PartialEq)]
pub struct AppRecord {
    /// Its path.
    pub id: AppId,
    /// See [`AppState::birth`].
    pub birth: u64,
    /// The key that was found in the ids of tasks that were taken over; nothing where it is the one that realm, birth
    /// and path make.
    pub key: Option<AppKey>,
    /// See [`AppState::declared`].
    pub declared: Option<Declared>,
    /// See [`AppState::revisions`].
    pub revisions: Vec<Revision>,
    /// See [`AppState::rollout`].
    pub rollout: Option<Rollout>,
    /// See [`AppState::service_ports`].
    pub service_ports: Vec<Option<Port>>,
    /// See [`AppState::backoff`].
    pub backoff: Backoff,
    /// See [`AppState::last_failure`].
    pub last_failure: Option<Failure>,
    /// See [`AppState::condemned`]: a restart is no reason to start killing.
    pub condemned: Vec<Timestamp>,
}

/// A slot and what is in it. Kept when it is empty, so that no incarnation is used twice.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotRecord {
    /// Of which app.
    pub app: AppId,
    /// Which slot.
    pub slot: Slot,
    /// The last incarnation that was launched in it.
    pub last: Incarnation,
    /// Its instances: usually one, two while one replaces another.
    pub instances: Vec<Instance>,
}

impl AppRecord {
    /// The part of `app` that is not its instances.
    pub fn of(app: &AppState) -> Self {
        Self {
            id: app.id.clone(),
            birth: app.birth,
            key: app.is_adopted.then_some(app.key),
            declared: app.declared.clone(),
            revisions: app.revisions.clone(),
            rollout: app.rollout.clone(),
            service_ports: app.service_ports.clone(),
            backoff: app.backoff,
            last_failure: app.last_failure.clone(),
            condemned: app.condemned.clone(),
        }
    }
}
