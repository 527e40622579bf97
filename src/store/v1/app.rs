//! Apps: what is declared, and what was chosen.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::{App, GroupId, RevisionId, TaskId, Timestamp, app_state, record, report, revision};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::names::{Condition, FailureCause};
use super::{Key, Shared, nanos, ports, read_ports};
use crate::manifest;

/// `D` is a declaration, as canonical Marathon JSON: the one form of it that is specified, shown to users and kept
/// compatible, also in what is packed. It is read as text, so that equal ones are told by it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AppRecord<D> {
    id: String,
    birth: u64,
    key: Option<Key>,
    declared: Option<Declared<D>>,
    revisions: Vec<Revision<D>>,
    rollout: Option<Rollout>,
    service_ports: Vec<Option<NonZeroU16>>,
    backoff: Backoff,
    last_failure: Option<Failure>,
    condemned: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Declared<D> {
    definition: D,
    version: i64,
    scaled: i64,
    configured: i64,
    source: Source,
    restarts: u32,
    over: Option<Override<D>>,
    keep: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Override<D> {
    file: D,
    reason: Arc<str>,
    by: Option<Arc<str>>,
    since: i64,
    until: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) enum Source {
    File { path: Arc<str>, line: u32 },
    Api,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Revision<D> {
    id: u32,
    version: i64,
    /// None where it is the declared one, as nearly always: the longest part of a record is not written twice.
    definition: Option<D>,
    restarts: u32,
    target: u32,
    standing: Standing,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Standing {
    Unproven,
    Proven(i64),
    Failed(i64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rollout {
    to: u32,
    phase: Phase,
    since: i64,
    progress: i64,
    best: u32,
    held: Option<i64>,
    wanted: u32,
    highest: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Phase {
    Waiting,
    Rolling,
    Paused,
    Complete,
    Failed,
    RollingBack { failed: u32 },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Backoff {
    failures: u32,
    delay_nanos: u64,
    until: Option<i64>,
    reference: Option<i64>,
    configured: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Failure {
    at: i64,
    task: String,
    revision: u32,
    host: Arc<str>,
    condition: Condition,
    message: Arc<str>,
    cause: FailureCause,
}

impl<D> AppRecord<D> {
    /// With each declaration as `written` makes it.
    pub(super) fn of(model: &record::AppRecord, written: impl Fn(&App) -> D + Copy) -> Self {
        let record::AppRecord {
            id,
            birth,
            key,
            declared,
            revisions,
            rollout,
            service_ports,
            backoff,
            last_failure,
            condemned,
        } = model;
        let app = declared.as_ref().map(|declared| &declared.app);
        Self {
            id: id.to_string(),
            birth: *birth,
            key: key.map(Key::of),
            declared: declared.as_ref().map(|declared| Declared::of(declared, written)),
            revisions: revisions.iter().map(|revision| Revision::of(revision, app, written)).collect(),
            rollout: rollout.as_ref().map(Rollout::of),
            service_ports: ports(service_ports),
            backoff: Backoff::of(backoff),
            last_failure: last_failure.as_ref().map(Failure::of),
            condemned: condemned.iter().map(|at| at.as_millis()).collect(),
        }
    }
}

impl<D: Written> AppRecord<D> {
    pub(super) fn read(self, shared: &mut Shared) -> Result<record::AppRecord, String> {
        let Self { id, birth, key, declared, revisions, rollout, service_ports, backoff, last_failure, condemned } =
            self;
        let declared = declared.map(|declared| declared.read(shared)).transpose()?;
        let app = declared.as_ref().map(|declared| &declared.app);
        let revisions = revisions.into_iter().map(|revision| revision.read(app, shared));
        let revisions = revisions.collect::<Result<_, _>>()?;
        Ok(record::AppRecord {
            id: shared.app(&id)?,
            birth,
            key: key.map(Key::read).transpose()?,
            revisions,
            declared,
            rollout: rollout.map(Rollout::read),
            service_ports: read_ports(&service_ports),
            backoff: backoff.read(),
            last_failure: last_failure.map(Failure::read),
            condemned: condemned.into_iter().map(Timestamp::from_millis).collect(),
        })
    }
}

impl<D> Declared<D> {
    fn of(model: &app_state::Declared, written: impl Fn(&App) -> D + Copy) -> Self {
        let app_state::Declared { app, version, scaled, configured, source, restarts, over, keep } = model;
        Self {
            definition: written(app),
            version: version.as_millis(),
            scaled: scaled.as_millis(),
            configured: configured.as_millis(),
            source: Source::of(source),
            restarts: *restarts,
            over: over.as_ref().map(|over| Override::of(over, written)),
            keep: *keep,
        }
    }
}

impl<D: Written> Declared<D> {
    fn read(self, shared: &mut Shared) -> Result<app_state::Declared, String> {
        let Self { definition, version, scaled, configured, source, restarts, over, keep } = self;
        Ok(app_state::Declared {
            app: app_of(&definition, shared)?,
            version: Timestamp::from_millis(version),
            scaled: Timestamp::from_millis(scaled),
            configured: Timestamp::from_millis(configured),
            source: source.read(),
            restarts,
            over: over.map(|over| over.read(shared)).transpose()?,
            keep,
        })
    }
}

impl<D> Override<D> {
    fn of(model: &app_state::Override, written: impl Fn(&App) -> D) -> Self {
        let app_state::Override { file, reason, by, since, until } = model;
        Self {
            file: written(file),
            reason: reason.clone(),
            by: by.clone(),
            since: since.as_millis(),
            until: until.as_millis(),
        }
    }
}

impl<D: Written> Override<D> {
    fn read(self, shared: &mut Shared) -> Result<app_state::Override, String> {
        let Self { file, reason, by, since, until } = self;
        Ok(app_state::Override {
            file: app_of(&file, shared)?,
            reason,
            by,
            since: Timestamp::from_millis(since),
            until: Timestamp::from_millis(until),
        })
    }
}

impl Source {
    pub(super) fn of(model: &app_state::Source) -> Self {
        match model {
            app_state::Source::File { path, line } => Self::File { path: path.clone(), line: *line },
            app_state::Source::Api => Self::Api,
        }
    }

    pub(super) fn read(self) -> app_state::Source {
        match self {
            Self::File { path, line } => app_state::Source::File { path, line },
            Self::Api => app_state::Source::Api,
        }
    }
}

/// A declaration's JSON, as it stands in a record.
pub(super) trait Written {
    fn json(&self) -> &str;
}

/// In one that is packed.
impl Written for &str {
    fn json(&self) -> &str {
        self
    }
}

/// In one that is JSON itself.
impl Written for &RawValue {
    fn json(&self) -> &str {
        self.get()
    }
}

/// Reads a declaration.
pub(super) fn app_of(definition: &impl Written, shared: &mut Shared) -> Result<Arc<App>, String> {
    let text = definition.json();
    if let Some((known, app)) = &shared.definition
        && **known == *text
    {
        return Ok(app.clone());
    }
    let app = manifest::read_app_json(text.as_bytes(), &GroupId::root()).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        format!("its definition is refused: {}", mistakes.join("; "))
    })?;
    shared.definition = Some((text.into(), app.clone()));
    Ok(app)
}

impl<D> Revision<D> {
    fn of(model: &revision::Revision, declared: Option<&Arc<App>>, written: impl Fn(&App) -> D) -> Self {
        let revision::Revision { id, version, app, restarts, target, standing } = model;
        Self {
            id: id.0,
            version: version.as_millis(),
            definition: (declared != Some(app)).then(|| written(app)),
            restarts: *restarts,
            target: *target,
            standing: match standing {
                revision::Standing::Unproven => Standing::Unproven,
                revision::Standing::Proven(at) => Standing::Proven(at.as_millis()),
                revision::Standing::Failed(at) => Standing::Failed(at.as_millis()),
            },
        }
    }
}

impl<D: Written> Revision<D> {
    fn read(self, declared: Option<&Arc<App>>, shared: &mut Shared) -> Result<revision::Revision, String> {
        let Self { id, version, definition, restarts, target, standing } = self;
        Ok(revision::Revision {
            id: RevisionId(id),
            version: Timestamp::from_millis(version),
            app: match definition {
                Some(definition) => app_of(&definition, shared)?,
                None => declared.ok_or("a revision has no definition, and none is declared")?.clone(),
            },
            restarts,
            target,
            standing: match standing {
                Standing::Unproven => revision::Standing::Unproven,
                Standing::Proven(at) => revision::Standing::Proven(Timestamp::from_millis(at)),
                Standing::Failed(at) => revision::Standing::Failed(Timestamp::from_millis(at)),
            },
        })
    }
}

impl Rollout {
    fn of(model: &revision::Rollout) -> Self {
        let revision::Rollout { to, phase, since, progress, best, held, wanted, highest } = model;
        Self {
            to: to.0,
            phase: match phase {
                revision::Phase::Waiting => Phase::Waiting,
                revision::Phase::Rolling => Phase::Rolling,
                revision::Phase::Paused => Phase::Paused,
                revision::Phase::Complete => Phase::Complete,
                revision::Phase::Failed => Phase::Failed,
                revision::Phase::RollingBack { failed } => Phase::RollingBack { failed: failed.0 },
            },
            since: since.as_millis(),
            progress: progress.as_millis(),
            best: *best,
            held: held.map(Timestamp::as_millis),
            wanted: *wanted,
            highest: highest.0,
        }
    }

    fn read(self) -> revision::Rollout {
        let Self { to, phase, since, progress, best, held, wanted, highest } = self;
        revision::Rollout {
            to: RevisionId(to),
            phase: match phase {
                Phase::Waiting => revision::Phase::Waiting,
                Phase::Rolling => revision::Phase::Rolling,
                Phase::Paused => revision::Phase::Paused,
                Phase::Complete => revision::Phase::Complete,
                Phase::Failed => revision::Phase::Failed,
                Phase::RollingBack { failed } => revision::Phase::RollingBack { failed: RevisionId(failed) },
            },
            since: Timestamp::from_millis(since),
            progress: Timestamp::from_millis(progress),
            best,
            held: held.map(Timestamp::from_millis),
            wanted,
            highest: RevisionId(highest),
        }
    }
}

impl Backoff {
    fn of(model: &app_state::Backoff) -> Self {
        let app_state::Backoff { failures, delay, until, reference, configured } = model;
        Self {
            failures: *failures,
            delay_nanos: nanos(*delay),
            until: until.map(Timestamp::as_millis),
            reference: reference.map(Timestamp::as_millis),
            configured: configured.map(Timestamp::as_millis),
        }
    }

    fn read(self) -> app_state::Backoff {
        let Self { failures, delay_nanos, until, reference, configured } = self;
        app_state::Backoff {
            failures,
            delay: Duration::from_nanos(delay_nanos),
            until: until.map(Timestamp::from_millis),
            reference: reference.map(Timestamp::from_millis),
            configured: configured.map(Timestamp::from_millis),
        }
    }
}

impl Failure {
    fn of(model: &report::Failure) -> Self {
        let report::Failure { at, task, revision, host, condition, message, cause } = model;
        Self {
            at: at.as_millis(),
            task: task.to_string(),
            revision: revision.0,
            host: host.clone(),
            condition: (*condition).into(),
            message: message.clone(),
            cause: (*cause).into(),
        }
    }

    fn read(self) -> report::Failure {
        let Self { at, task, revision, host, condition, message, cause } = self;
        report::Failure {
            at: Timestamp::from_millis(at),
            task: TaskId::new(task),
            revision: RevisionId(revision),
            host,
            condition: condition.into(),
            message,
            cause: cause.into(),
        }
    }
}
