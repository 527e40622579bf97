//! Groups of which something is said, and pods.

use std::sync::Arc;

use ekiden_model::{AppId, GroupId, Timestamp, edit};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Group {
    id: String,
    version: i64,
    dependencies: Vec<String>,
    enforce_role: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Pod {
    id: String,
    versions: Vec<(i64, Arc<str>)>,
}

impl Group {
    pub(super) fn of(model: &edit::Group) -> Self {
        let edit::Group { id, version, dependencies, enforce_role } = model;
        Self {
            id: id.to_string(),
            version: version.as_millis(),
            dependencies: dependencies.iter().map(ToString::to_string).collect(),
            enforce_role: *enforce_role,
        }
    }

    pub(super) fn read(self) -> Result<edit::Group, String> {
        let Self { id, version, dependencies, enforce_role } = self;
        let read = |id: &str| GroupId::resolve(id, &GroupId::root()).map_err(|error| error.to_string());
        Ok(edit::Group {
            id: read(&id)?,
            version: Timestamp::from_millis(version),
            dependencies: dependencies.iter().map(|id| read(id)).collect::<Result<_, _>>()?,
            enforce_role,
        })
    }
}

impl Pod {
    pub(super) fn of(model: &edit::Pod) -> Self {
        let edit::Pod { id, versions } = model;
        let versions = versions.iter().map(|(at, definition)| (at.as_millis(), definition.clone()));
        Self { id: id.to_string(), versions: versions.collect() }
    }

    pub(super) fn read(self) -> Result<edit::Pod, String> {
        let Self { id, versions } = self;
        if versions.is_empty() {
            return Err(format!("the pod {id} has no versions"));
        }
        let versions = versions.into_iter().map(|(at, definition)| (Timestamp::from_millis(at), definition));
        Ok(edit::Pod { id: AppId::parse(&id).map_err(|error| error.to_string())?, versions: versions.collect() })
    }
}
