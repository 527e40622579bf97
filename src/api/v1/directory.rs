//! `GET /v1/directory`: how the directory of manifests is; `POST /v1/directory/confirm-prune`: the operator's word that
//! apps whose files vanished may stop.

use ekiden_model::AppId;
use serde_json::{Value, json};

use crate::api::Api;
use crate::api::reply::{self, Response};
use crate::desired::Following;
use crate::manifest::Diagnostic;

/// How the directory is.
pub(in crate::api) fn show(api: &Api) -> Response {
    let status = api.directory.status().borrow().clone();
    let diagnostics: Vec<Value> = status.diagnostics.iter().map(Diagnostic::to_json).collect();
    let pending = status.pending_prune.as_ref().map(|prune| {
        let apps: Vec<&str> = prune.apps.iter().map(AppId::as_str).collect();
        json!({ "apps": apps, "of": prune.of, "text": prune.to_string() })
    });
    let following = match &status.following {
        Following::Events => json!({ "by": "events" }),
        Following::Polling { because } => json!({ "by": "polling", "because": because }),
    };
    let scanned =
        status.last_scan.map(|scan| json!({ "at": scan.at.to_string(), "tookSeconds": scan.took.as_secs_f64() }));
    reply::json(&json!({
        "root": status.root.to_string_lossy(),
        "files": status.files,
        "apps": status.apps,
        "diagnostics": diagnostics,
        "stale": status.stale,
        "pendingPrune": pending,
        "following": following,
        "lastScan": scanned,
    }))
}

/// Confirms; says how many apps will stop.
pub(in crate::api) async fn confirm_prune(api: &Api) -> Response {
    let stopping = api.directory.confirm_prune().await;
    reply::json(&json!({ "stopping": stopping }))
}
