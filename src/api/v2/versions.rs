//! The versions of an app: `GET /v2/apps/{id}/versions` and `…/versions/{version}` (§1.4).

use ekiden_model::{AppState, Declared, Timestamp};
use http::StatusCode;
use serde_json::{Value, json};

use super::apps::{definition, find_app};
use crate::api::Api;
use crate::api::reply::{self, Response};

/// All versions that are remembered, the newest first.
pub(in crate::api) fn list(api: &Api, id: &str) -> Response {
    let snapshot = api.snapshots.latest();
    let Some(app) = find_app(&snapshot, id).filter(|app| app.state.declared.is_some()) else {
        return reply::no_such_app(id);
    };
    let versions = app.state.history.iter().rev().filter(|version| version.app.is_some());
    let versions: Vec<String> = versions.map(|version| version.at.to_string()).collect();
    reply::json(&json!({ "versions": versions }))
}

/// One of them.
pub(in crate::api) fn show(api: &Api, id: &str, version: &str) -> Response {
    let Ok(at) = version.parse::<Timestamp>() else {
        let text = format!("`{version}` is no version: versions look like 2026-11-20T10:00:00.000Z");
        return reply::message(StatusCode::UNPROCESSABLE_ENTITY, &text);
    };
    let snapshot = api.snapshots.latest();
    let Some(app) = find_app(&snapshot, id).filter(|app| app.state.declared.is_some()) else {
        return reply::no_such_app(id);
    };
    match as_of(&app.state, at) {
        Some(shown) => reply::json(&shown),
        None => reply::not_found(&format!("App '/{}' has no version {at}", id.trim_start_matches('/'))),
    }
}

/// The definition as it was declared at `at`, with the stamps that it had then.
fn as_of(state: &AppState, at: Timestamp) -> Option<Value> {
    let now = state.declared.as_ref()?;
    if now.version == at {
        return Some(Value::Object(definition(now, &state.service_ports)));
    }
    let version = state.history.get(at)?;
    let then = Declared::first(
        crate::manifest::read_definition(version.app.as_ref()?)?,
        at,
        version.cause.source.clone(),
    );
    Some(Value::Object(definition(&then, &state.service_ports)))
}
