//! Everything about one app: what was declared, what we chose, what was observed. Three tenses, never one field.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::app::{App, HealthCheck};
use crate::fingerprint::Fingerprint;
use crate::health::ProbeKind;
use crate::history::History;
use crate::id::{AppId, AppKey, InstanceId, InstanceKey, RevisionId, Slot, TaskId};
use crate::instance::Instances;
use crate::port::Port;
use crate::report::Failure;
use crate::revision::{Revision, Rollout};
use crate::time::Timestamp;

/// One app.
#[derive(Debug, Clone, PartialEq)]
pub struct AppState {
    /// Its path.
    pub id: AppId,
    /// What its instance ids are made of.
    pub key: AppKey,
    /// How many apps this installation had declared before and with it: part of the key.
    pub birth: u64,
    /// Whether the key is not made of the birth, but was found in the ids of tasks that were taken over.
    pub is_adopted: bool,
    /// **Spec.** What is declared, or nothing when the app is to stop and then be forgotten.
    pub declared: Option<Declared>,
    /// **Spec.** What was declared when, and what came of it.
    pub history: Arc<History>,
    /// **Target.** Its revisions, oldest first; those that nothing needs any more are dropped. `upgrade` writes these.
    pub revisions: Vec<Revision>,
    /// **Target.** Where the passage between them stands; nothing before the first decision. `upgrade` writes this.
    pub rollout: Option<Rollout>,
    /// **Target.** The leased service port of each of the app's ports, in order; `None` where none is needed or to
    /// be had. `ports` writes this.
    pub service_ports: Vec<Option<Port>>,
    /// **Target.** The wait after failures. `instances` writes this.
    pub backoff: Backoff,
    /// **Observed.** Its instances.
    pub instances: Instances,
    /// **Observed.** The last failure of an instance, for people.
    pub last_failure: Option<Failure>,
    /// **Observed.** When instances became condemned, oldest first, as far back as the breaker looks. `health` writes
    /// this; bounded by [`CONDEMNED_KEPT`].
    pub condemned: Vec<Timestamp>,
    /// **Observed.** What is being probed, by [`Probe::mark`](crate::effect::Probe::mark): `StartProbe` puts it in,
    /// `StopProbe` takes it out. Not stored: after a restart nothing is probed, so probing starts again.
    pub probing: BTreeMap<(InstanceKey, ProbeKind), Fingerprint>,
}

/// How many condemnations the breaker remembers: enough to tell the share in an app of 1,000; in a larger one, so
/// many within a minute are a breaker's business at any share.
pub const CONDEMNED_KEPT: usize = 1000;

/// What is declared, and by whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// The declaration.
    pub app: Arc<App>,
    /// When it was last changed at all: Marathon's `version`.
    pub version: Timestamp,
    /// When the number of instances last changed.
    pub scaled: Timestamp,
    /// When anything else last changed.
    pub configured: Timestamp,
    /// Where it comes from.
    pub source: Source,
    /// Grows when somebody asks for a restart of all instances: opens a new revision of the same template.
    pub restarts: u32,
    /// What its file says, where something else holds for a while.
    pub over: Option<Override>,
    /// Whether the app stays, as one declared by the API, when its file declares it no longer.
    pub keep: bool,
}

/// Something else holds than what an app's file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// What the file says.
    pub file: Arc<App>,
    /// Why, for people.
    pub reason: Arc<str>,
    /// Who wanted it so, if known.
    pub by: Option<Arc<str>>,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Declared {
    /// What is declared for the first time, at `now`.
    pub fn first(app: Arc<App>, now: Timestamp, source: Source) -> Self {
        Self { app, version: now, scaled: now, configured: now, source, restarts: 0, over: None, keep: false }
    }
}

/// Where a declaration comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A file, by its path relative to the directory of manifests, and the line of the app in it.
    File {
        /// The path.
        path: Arc<str>,
        /// The line, from 1.
        line: u32,
    },
    /// The HTTP API.
    Api,
}

/// The wait after failures, of all instances of an app together (§4.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    /// Failures that the delay comes from.
    pub failures: u32,
    /// The present delay.
    pub delay: Duration,
    /// Nothing is launched before this.
    pub until: Option<Timestamp>,
    /// When something last happened that the wait depends on: it is forgotten `maxLaunchDelay` later.
    pub reference: Option<Timestamp>,
    /// The declaration (its `configured`) that it was counted for; another one starts afresh.
    pub configured: Option<Timestamp>,
}

impl AppState {
    /// An app of which nothing is known yet but its name.
    pub fn new(id: AppId, key: AppKey, birth: u64) -> Self {
        Self {
            id,
            key,
            birth,
            is_adopted: false,
            declared: None,
            history: Arc::default(),
            revisions: Vec::new(),
            rollout: None,
            service_ports: Vec::new(),
            backoff: Backoff::default(),
            instances: Instances::default(),
            last_failure: None,
            condemned: Vec::new(),
            probing: BTreeMap::new(),
        }
    }

    /// One of its revisions.
    pub fn revision(&self, id: RevisionId) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.id == id)
    }

    /// Its latest revision.
    pub fn newest(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    /// The health checks of instances of `revision`, as [`ProbeKind::Health`] numbers them: today's checks by Ekiden,
    /// and the executor's that the revision was started with, which cannot be told of new ones.
    ///
    /// In the order of the declaration where its executor checks are the revision's; else the revision's come last.
    pub fn health_checks(&self, revision: RevisionId) -> Vec<&HealthCheck> {
        let declared = self.declared.as_ref().map(|declared| &declared.app);
        let started_with = self.revision(revision).map(|revision| &revision.app);
        match (declared, started_with) {
            (Some(today), Some(then)) if !today.executor_checks().eq(then.executor_checks()) => {
                let by_ekiden = today.health_checks.iter().filter(|check| !check.by_executor());
                by_ekiden.chain(then.executor_checks()).collect()
            }
            (Some(app), _) | (None, Some(app)) => app.health_checks.iter().collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Which check an executor's word about the health of an instance of `revision` belongs to; nothing when it has
    /// no such check. Mesos knows one per task, the first.
    pub fn executor_check(&self, revision: RevisionId) -> Option<ProbeKind> {
        let index = self.health_checks(revision).iter().position(|check| check.by_executor())?;
        Some(ProbeKind::Health(index as u32))
    }

    /// The id of the instance in `slot`.
    pub fn instance_id(&self, slot: Slot) -> InstanceId {
        InstanceId { app: self.key, slot }
    }

    /// The id of the task of a launch.
    pub fn task_id(&self, key: InstanceKey) -> TaskId {
        self.instance_id(key.slot).task(&self.id, key.incarnation)
    }
}
