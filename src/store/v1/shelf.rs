//! Groups of which something is said, and pods.

use std::sync::Arc;

use ekiden_model::{AppId, GroupId, Timestamp, edit};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Group {
    id: String,
    versions: Vec<GroupVersion>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct GroupVersion {
    at: i64,
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
        let edit::Group { id, versions } = model;
        let versions = versions.iter().map(|version| {
            let edit::GroupVersion { at, dependencies, enforce_role } = version;
            GroupVersion {
                at: at.as_millis(),
                dependencies: dependencies.iter().map(ToString::to_string).collect(),
                enforce_role: *enforce_role,
            }
        });
        Self { id: id.to_string(), versions: versions.collect() }
    }

    pub(super) fn read(self) -> Result<edit::Group, String> {
        let Self { id, versions } = self;
        if versions.is_empty() {
            return Err(format!("the group {id} has no versions"));
        }
        let read = |id: &str| GroupId::resolve(id, &GroupId::root()).map_err(|error| error.to_string());
        let versions = versions.into_iter().map(|GroupVersion { at, dependencies, enforce_role }| {
            Ok(edit::GroupVersion {
                at: Timestamp::from_millis(at),
                dependencies: dependencies.iter().map(|id| read(id)).collect::<Result<_, String>>()?,
                enforce_role,
            })
        });
        Ok(edit::Group { id: read(&id)?, versions: versions.collect::<Result<_, String>>()? })
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
