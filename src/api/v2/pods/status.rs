//! How a pod is: `PodStatus` (§1.11).

use ekiden_model::AppId;
use ekiden_model::edit::Pod;
use serde_json::{Value, json};

use super::{Version, shown};

/// Why nothing of a pod runs.
const NOT_RUN: &str = "running pods is not supported yet: the definition is kept, and nothing of it is started";

/// How it is.
pub(in crate::api::v2) fn status(pod: &Pod) -> Option<Value> {
    status_of(&pod.id, pod.last()?)
}

/// How it was, when `version` was declared of it.
pub(in crate::api::v2) fn status_of(id: &AppId, version: &Version) -> Option<Value> {
    let spec = shown(version)?;
    // A pod is stable when as many instances are as are wanted.
    let wants_none = spec.pointer("/scaling/instances").and_then(Value::as_u64) == Some(0);
    let since = version.0.to_string();
    Some(json!({
        "id": id.as_str(),
        "spec": spec,
        "status": if wants_none { "STABLE" } else { "DEGRADED" },
        "statusSince": since,
        "message": NOT_RUN,
        "instances": [],
        "terminationHistory": [],
        "lastUpdated": since,
        "lastChanged": since,
    }))
}
