//! Parameters: those in paths, found by their names in the table of routes, and those of queries and headers.

#![expect(clippy::needless_pass_by_value, reason = "schemas are made to be given away")]

use serde_json::{Value, json};

use super::schema::{text, time, uuid, word};
use crate::api::route::Endpoint;

/// What an id in a path is: one or more segments. What it must be in full is checked, and explained, by the id itself.
const SEGMENTS: &str = r"^/*[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/+[a-z0-9]([-a-z0-9.]*[a-z0-9])?)*$";

/// Of apps, all below a group can be meant at once.
const SEGMENTS_OR_ALL: &str = r"^/*([a-z0-9]([-a-z0-9.]*[a-z0-9])?(/+[a-z0-9]([-a-z0-9.]*[a-z0-9])?)*|([a-z0-9]([-a-z0-9.]*[a-z0-9])?/+)*\*)$";

/// A parameter of the path, by its name in the table: `id*`, `task`.
pub(super) fn in_path(endpoint: Endpoint, name: &str) -> Value {
    let (schema, text) = match (endpoint, name) {
        (Endpoint::CancelDeployment, "id") => (uuid(), "The deployment's id."),
        (Endpoint::App | Endpoint::AppTasks | Endpoint::KillAppTasks, "id*") => {
            let text = "The app's path, of any depth; or `<group>/*`, for all apps below a group. Slashes are sent as \
                        they are, or as `%2F`; a leading one does not matter.";
            (json!({ "type": "string", "pattern": SEGMENTS_OR_ALL, "maxLength": 1024 }), text)
        }
        (_, "id*") => {
            let text = "The path, of any depth. Slashes are sent as they are, or as `%2F`; a leading one does not \
                        matter.";
            (json!({ "type": "string", "pattern": SEGMENTS, "maxLength": 1024 }), text)
        }
        (_, "version") => (time(), "The version: when it was declared."),
        (_, "file") => (word(&["stdout", "stderr"]), "Which of the task's files."),
        (_, "task") => (json!({ "type": "string", "minLength": 1 }), "The task's id."),
        (_, _) => (json!({ "type": "string", "minLength": 1 }), "The instance's id."),
    };
    let name = name.trim_end_matches('*');
    json!({ "name": name, "in": "path", "required": true, "description": text, "schema": schema })
}

/// A parameter of the query.
pub(super) fn query(name: &str, schema: Value, text: &str) -> Value {
    json!({ "name": name, "in": "query", "description": text, "schema": schema })
}

/// One that may be given several times.
pub(super) fn several(name: &str, words: &[&str], text: &str) -> Value {
    query(name, json!({ "type": "array", "items": word(words) }), text)
}

/// One that is `true` or `false`, in any case.
pub(super) fn flag(name: &str, unless_given: bool, text: &str) -> Value {
    query(name, json!({ "type": "boolean", "default": unless_given }), text)
}

/// A header of the request.
pub(super) fn header(name: &str, text: &str) -> Value {
    json!({ "name": name, "in": "header", "description": text, "schema": { "type": "string" } })
}

/// By what right something is changed: what all writes take.
pub(super) fn authority() -> [Value; 4] {
    [
        flag(
            "force",
            false,
            "Change it although a deployment is under way. Never needed, unless ekiden was started with \
             `--deployment_locks`.",
        ),
        flag(
            "override",
            false,
            "Change an app that a file declares, for a while. It is shown as drift, and goes back to the file when the \
             time is over or the file changes. Takes `reason` and `expires`.",
        ),
        query("reason", text(), "Why a file is overridden, for those who find it so."),
        query("expires", text(), "When an override ends: a span (`2h`) or a time, within 30 days."),
    ]
}

/// Which version a write is meant for.
pub(super) fn preconditions() -> [Value; 2] {
    [
        header("If-Match", "The version that is to be changed, as an entity tag; `*` for any."),
        header("If-None-Match", "`*`: only if there is none yet."),
    ]
}

/// What is shown of apps beside their definitions.
pub(super) fn embed(names: &[&str]) -> Value {
    several(
        "embed",
        names,
        "What is shown beside what is always there; may be given several times. Values that nobody knows are passed \
         over.",
    )
}

/// Lists in pages.
pub(super) fn page(after: Value, text: &str) -> [Value; 2] {
    [
        query("limit", json!({ "type": "integer", "minimum": 1 }), "At most so many entries."),
        query("after", after, text),
    ]
}
