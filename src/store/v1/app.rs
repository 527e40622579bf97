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

/// A declaration as it stands in a record that is packed.
pub(super) fn text_of(app: &App) -> String {
    manifest::app_to_json(app).to_string()
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

#[cfg(test)]
mod tests {
    use ekiden_model::{AppId, AppKey, Port};

    use super::super::{packed, unpacked};
    use super::*;

    fn app(text: &str) -> Arc<App> {
        manifest::read_app_json(text.as_bytes(), &GroupId::root()).expect("an app")
    }

    /// What was once written is read for ever.
    #[test]
    fn the_packed_form_stays_as_it_is() {
        let at = Timestamp::from_millis;
        let (now, before) = (app(r#"{"id":"/web","cmd":"b"}"#), app(r#"{"id":"/web","cmd":"a"}"#));
        let revision = |id, app: &Arc<App>, standing| revision::Revision {
            id: RevisionId(id),
            version: at(7),
            app: app.clone(),
            restarts: 2,
            target: 3,
            standing,
        };
        let record = record::AppRecord {
            id: AppId::parse("/web").expect("an id"),
            birth: 300,
            key: Some(AppKey::from_bits(0xab << 96)),
            declared: Some(app_state::Declared {
                app: now.clone(),
                version: at(3),
                scaled: at(2),
                configured: at(1),
                source: app_state::Source::File { path: "w.yaml".into(), line: 9 },
                restarts: 2,
                over: Some(app_state::Override {
                    file: before.clone(),
                    reason: "r".into(),
                    by: Some("b".into()),
                    since: at(4),
                    until: at(5),
                }),
                keep: true,
            }),
            revisions: vec![
                revision(1, &before, revision::Standing::Proven(at(6))),
                revision(2, &now, revision::Standing::Unproven),
            ],
            rollout: Some(revision::Rollout {
                to: RevisionId(2),
                phase: revision::Phase::RollingBack { failed: RevisionId(3) },
                since: at(8),
                progress: at(9),
                best: 4,
                held: Some(at(10)),
                wanted: 5,
                highest: RevisionId(6),
            }),
            service_ports: vec![Port::new(10_000), None],
            backoff: app_state::Backoff {
                failures: 1,
                delay: Duration::from_nanos(300),
                until: Some(at(11)),
                reference: None,
                configured: Some(at(12)),
            },
            last_failure: Some(report::Failure {
                at: at(13),
                task: TaskId::new("t"),
                revision: RevisionId(2),
                host: "h".into(),
                condition: ekiden_model::Condition::Lost,
                message: "m".into(),
                cause: report::FailureCause::Infrastructure,
            }),
            condemned: vec![at(14)],
        };
        // A length of 128 and more takes two bytes, the lower seven bits first.
        let with_length = |text: &str| {
            let length = text.len();
            assert!((128..1 << 14).contains(&length), "{length}");
            [&[length as u8 | 0x80, (length >> 7) as u8], text.as_bytes()].concat()
        };
        let (now, before) = (with_length(&text_of(&now)), with_length(&text_of(&before)));
        let written = [
            // The id, the birth, a key.
            b"\x04/web\xac\x02\x01\x20".as_slice(),
            b"000000ab000000000000000000000000",
            // What is declared: version, scaled, configured; the file and its line; restarts.
            &[1],
            &now,
            b"\x06\x04\x02\x00\x06w.yaml\x09\x02",
            // What holds instead; and it is kept.
            &[1],
            &before,
            b"\x01r\x01\x01b\x08\x0a\x01",
            // Two revisions: id, version, the definition unless it is the declared one, restarts, target, standing.
            b"\x02\x01\x0e\x01",
            &before,
            b"\x02\x03\x01\x0c\x02\x0e\x00\x02\x03\x00",
            // The rollout: to, phase, since, progress, best, held, wanted, highest.
            b"\x01\x02\x05\x03\x10\x12\x04\x01\x14\x05\x06",
            // Service ports; failures, delay, until, reference, configured.
            b"\x02\x01\x90\x4e\x00\x01\xac\x02\x01\x16\x00\x01\x18",
            // The last failure: at, task, revision, host, condition, message, cause; and one that was condemned.
            b"\x01\x1a\x01t\x02\x01h\x0d\x01m\x01\x01\x1c",
        ];
        let written = written.concat();
        assert_eq!(packed(&AppRecord::of(&record, text_of)), Ok(written.clone()));
        let read = unpacked::<AppRecord<&str>>(&written).expect("it is whole");
        assert_eq!(read.read(&mut Shared::default()), Ok(record));
    }
}
