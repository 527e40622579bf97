//! Versions of apps, and the deployments by which they came to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use ekiden_model::{AppId, Timestamp, deployment, history};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Shared;
use super::app::{self, Source, Written, app_of};
use crate::manifest;

/// `D` is a declaration; see [`super::app::AppRecord`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Version<D> {
    app: String,
    at: i64,
    definition: Option<D>,
    cause: Cause,
    deployment: String,
    progress: Progress,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Cause {
    source: Source,
    commit: Option<Commit>,
    by: Option<Arc<str>>,
    why: Why,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Commit {
    hash: Arc<str>,
    author: Arc<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Why {
    Declared,
    Restarted,
    Scaled,
    RolledBack(String),
    Overridden { until: i64, reason: Arc<str> },
    OverrideOver,
    Withdrawn,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Progress {
    UnderWay,
    Complete(i64),
    Failed(i64, Arc<str>),
    Superseded(i64),
}

/// `D` as above.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Deployment<D> {
    id: String,
    version: i64,
    changes: BTreeMap<String, Change<D>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Change<D> {
    action: Action,
    before: Option<D>,
    step: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    Start,
    Scale,
    Restart,
    Stop,
}

impl<D> Version<D> {
    /// With its declaration as `written` makes it.
    pub(super) fn of(
        app: &AppId,
        model: &history::Version,
        written: impl FnOnce(&history::Definition) -> D,
    ) -> Self {
        let history::Version { at, app: declared, cause, deployment, progress } = model;
        Self {
            app: app.to_string(),
            at: at.as_millis(),
            definition: declared.as_ref().map(written),
            cause: Cause::of(cause),
            deployment: deployment.to_string(),
            progress: Progress::of(progress),
        }
    }
}

/// A declaration of the past, in a record that is JSON.
pub(super) fn value_of(definition: &history::Definition) -> Value {
    match definition {
        history::Definition::Known(app) => manifest::app_to_json(app),
        // It was written as JSON, and is what was written: its checksum was verified.
        history::Definition::Written(text) => serde_json::from_str(text).unwrap_or_default(),
    }
}

/// In one that is packed.
pub(super) fn text_of(definition: &history::Definition) -> Arc<str> {
    match definition {
        history::Definition::Known(app) => app::text_of(app).into(),
        history::Definition::Written(text) => text.clone(),
    }
}

impl<D: Written> Version<D> {
    pub(super) fn read(self, shared: &mut Shared) -> Result<(AppId, history::Version), String> {
        let Self { app, at, definition, cause, deployment, progress } = self;
        let version = history::Version {
            at: Timestamp::from_millis(at),
            app: definition.map(|definition| shared.definition(definition.json())),
            cause: cause.read()?,
            deployment: deployment_id(&deployment)?,
            progress: progress.read(),
        };
        Ok((shared.app(&app)?, version))
    }
}

impl Deployment<Value> {
    pub(super) fn of(model: &deployment::Deployment) -> Self {
        let deployment::Deployment { id, version, changes } = model;
        let changes = changes.iter().map(|(app, change)| {
            let deployment::Change { action, before, step } = change;
            let change = Change {
                action: Action::of(*action),
                before: before.as_deref().map(manifest::app_to_json),
                step: *step,
            };
            (app.to_string(), change)
        });
        Self { id: id.to_string(), version: version.as_millis(), changes: changes.collect() }
    }
}

impl Deployment<&RawValue> {
    pub(super) fn read(self, shared: &mut Shared) -> Result<deployment::Deployment, String> {
        let Self { id, version, changes } = self;
        let mut read = BTreeMap::new();
        for (app, Change { action, before, step }) in changes {
            let before = before.map(|before| app_of(&before, shared)).transpose()?;
            let change = deployment::Change { action: action.read(), before, step };
            read.insert(shared.app(&app)?, change);
        }
        Ok(deployment::Deployment {
            id: deployment_id(&id)?,
            version: Timestamp::from_millis(version),
            changes: read,
        })
    }
}

fn deployment_id(text: &str) -> Result<ekiden_model::DeploymentId, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

impl Cause {
    fn of(model: &history::Cause) -> Self {
        let history::Cause { source, commit, by, why } = model;
        let commit = commit.as_deref().map(|commit| {
            let history::Commit { hash, author } = commit;
            Commit { hash: hash.clone(), author: author.clone() }
        });
        Self { source: Source::of(source), commit, by: by.clone(), why: Why::of(why) }
    }

    fn read(self) -> Result<history::Cause, String> {
        let Self { source, commit, by, why } = self;
        let commit = commit.map(|Commit { hash, author }| Arc::new(history::Commit { hash, author }));
        Ok(history::Cause { source: source.read(), commit, by, why: why.read()? })
    }
}

impl Why {
    fn of(model: &history::Why) -> Self {
        match model {
            history::Why::Declared => Self::Declared,
            history::Why::Restarted => Self::Restarted,
            history::Why::Scaled => Self::Scaled,
            history::Why::RolledBack(deployment) => Self::RolledBack(deployment.to_string()),
            history::Why::Overridden { until, reason } => {
                Self::Overridden { until: until.as_millis(), reason: reason.clone() }
            }
            history::Why::OverrideOver => Self::OverrideOver,
            history::Why::Withdrawn => Self::Withdrawn,
        }
    }

    fn read(self) -> Result<history::Why, String> {
        Ok(match self {
            Self::Declared => history::Why::Declared,
            Self::Restarted => history::Why::Restarted,
            Self::Scaled => history::Why::Scaled,
            Self::RolledBack(deployment) => history::Why::RolledBack(deployment_id(&deployment)?),
            Self::Overridden { until, reason } => {
                history::Why::Overridden { until: Timestamp::from_millis(until), reason }
            }
            Self::OverrideOver => history::Why::OverrideOver,
            Self::Withdrawn => history::Why::Withdrawn,
        })
    }
}

impl Progress {
    fn of(model: &deployment::Progress) -> Self {
        match model {
            deployment::Progress::UnderWay => Self::UnderWay,
            deployment::Progress::Complete(at) => Self::Complete(at.as_millis()),
            deployment::Progress::Failed(at, reason) => Self::Failed(at.as_millis(), reason.clone()),
            deployment::Progress::Superseded(at) => Self::Superseded(at.as_millis()),
        }
    }

    fn read(self) -> deployment::Progress {
        match self {
            Self::UnderWay => deployment::Progress::UnderWay,
            Self::Complete(at) => deployment::Progress::Complete(Timestamp::from_millis(at)),
            Self::Failed(at, reason) => deployment::Progress::Failed(Timestamp::from_millis(at), reason),
            Self::Superseded(at) => deployment::Progress::Superseded(Timestamp::from_millis(at)),
        }
    }
}

impl Action {
    fn of(model: deployment::DeploymentAction) -> Self {
        match model {
            deployment::DeploymentAction::Start => Self::Start,
            deployment::DeploymentAction::Scale => Self::Scale,
            deployment::DeploymentAction::Restart => Self::Restart,
            deployment::DeploymentAction::Stop => Self::Stop,
        }
    }

    fn read(self) -> deployment::DeploymentAction {
        match self {
            Self::Start => deployment::DeploymentAction::Start,
            Self::Scale => deployment::DeploymentAction::Scale,
            Self::Restart => deployment::DeploymentAction::Restart,
            Self::Stop => deployment::DeploymentAction::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packed, unpacked};
    use super::*;

    /// What was once written is read for ever.
    #[test]
    fn the_packed_form_stays_as_it_is() {
        let at = Timestamp::from_millis;
        let app = AppId::parse("/web").expect("an id");
        let deployment = "c67d1198-29d8-805b-a0d2-626a5cfdcc95";
        let mut version = history::Version {
            at: at(300),
            app: Some(history::Definition::Written("{}".into())),
            cause: history::Cause {
                source: ekiden_model::Source::Api,
                commit: Some(Arc::new(history::Commit { hash: "h".into(), author: "a".into() })),
                by: Some("b".into()),
                why: history::Why::Overridden { until: at(2), reason: "r".into() },
            },
            deployment: deployment.parse().expect("an id"),
            progress: deployment::Progress::Failed(at(3), "f".into()),
        };
        // App, time, definition; source, commit, who, why; deployment; progress.
        let parts = |definition: &[u8], why: &[u8], progress: &[u8]| {
            let head = b"\x04/web\xd8\x04".as_slice();
            [head, definition, b"\x01\x01\x01h\x01a\x01\x01b", why, b"\x24", deployment.as_bytes(), progress]
                .concat()
        };
        let check = |version: &history::Version, written: Vec<u8>| {
            assert_eq!(packed(&Version::of(&app, version, text_of)), Ok(written.clone()));
            let read = unpacked::<Version<&str>>(&written).expect("it is whole");
            assert_eq!(read.read(&mut Shared::default()), Ok((app.clone(), version.clone())));
        };
        check(&version, parts(b"\x01\x02{}", b"\x04\x04\x01r", b"\x02\x06\x01f"));
        version.app = None;
        version.cause.why = history::Why::Withdrawn;
        version.progress = deployment::Progress::Superseded(at(3));
        check(&version, parts(b"\x00", b"\x06", b"\x03\x06"));
    }
}
