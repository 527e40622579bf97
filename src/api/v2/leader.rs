//! What in Marathon is about its several processes and its plugins: `/v2/leader` and `/v2/plugins` (§1.10).
//!
//! One ekiden runs at a time, so it leads, and there is nobody to step down for. What others plugged into Marathon is
//! part of ekiden or of nothing, so there are no plugins.

use http::StatusCode;
use serde_json::json;

use crate::api::Api;
use crate::api::reply::{self, Response};

/// Who leads: we.
pub(in crate::api) fn show(api: &Api) -> Response {
    reply::json(&json!({ "leader": api.leader() }))
}

/// Refused. Marathon ends its process here, and relies on another to take over.
pub(in crate::api) fn abdicate() -> Response {
    let text =
        "one ekiden runs at a time, and nobody would take over: restart the process instead, tasks outlive it";
    reply::message(StatusCode::CONFLICT, text)
}

/// None.
pub(in crate::api) fn plugins() -> Response {
    reply::json(&json!({ "plugins": [] }))
}
