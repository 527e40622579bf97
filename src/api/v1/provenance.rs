//! Where a declaration comes from: the file, its line and content, and the commit; and what holds instead of it.

use ekiden_model::history::{Cause, Commit, Why};
use ekiden_model::{AppState, Declared, Source};
use serde_json::{Value, json};

use super::diff;
use crate::desired::DirectoryStatus;

/// Where an app's declaration comes from.
pub(super) fn of(state: &AppState, directory: &DirectoryStatus) -> Value {
    let Some(declared) = &state.declared else { return Value::Null };
    // The last version by its file, since an override is nobody's commit.
    let made = state.history.iter().rev().map(|version| &version.cause);
    let cause = made.into_iter().find(|cause| cause.source == declared.source && !is_override(cause));
    let mut shown = source(&declared.source);
    shown["by"] = json!(cause.and_then(|cause| cause.by.as_deref()));
    shown["commit"] = json!(cause.and_then(|cause| cause.commit.as_deref()).map(commit));
    if let Source::File { path, .. } = &declared.source {
        // What the file holds now. Where it cannot be followed, its last good version is.
        shown["contentHash"] = json!(directory.hashes.get(path).map(|hash| format!("sha256:{hash}")));
        shown["stale"] = json!(directory.stale.contains(path));
        shown["directory"] = json!(directory.root.to_string_lossy());
    }
    shown
}

fn is_override(cause: &Cause) -> bool {
    matches!(cause.why, Why::Overridden { .. } | Why::OverrideOver)
}

/// A source, as it is in all answers.
pub(super) fn source(source: &Source) -> Value {
    match source {
        Source::File { path, line } => json!({ "kind": "file", "path": path, "line": line }),
        Source::Api => json!({ "kind": "api" }),
    }
}

/// A commit. What was not committed is no commit's: then the hash ends with `-dirty`.
fn commit(commit: &Commit) -> Value {
    json!({ "hash": commit.hash, "author": commit.author })
}

/// What holds instead of what an app's file says; nothing where it holds.
pub(super) fn drift(declared: &Declared) -> Value {
    let Some(over) = &declared.over else { return Value::Null };
    json!({
        "reason": over.reason,
        "by": over.by,
        "since": over.since.to_string(),
        "until": over.until.to_string(),
        "fields": diff::fields(&over.file, &declared.app),
        "diff": diff::lines(Some(&over.file), Some(&declared.app)),
    })
}

/// How a version came to be.
pub(super) fn cause(cause: &Cause) -> Value {
    let mut shown = json!({
        "kind": match &cause.why {
            Why::Declared => "declared",
            Why::Restarted => "restarted",
            Why::Scaled => "scaled",
            Why::RolledBack(_) => "rolledBack",
            Why::Overridden { .. } => "overridden",
            Why::OverrideOver => "overrideOver",
            Why::Withdrawn => "withdrawn",
        },
        "source": source(&cause.source),
        "by": cause.by,
        "commit": cause.commit.as_deref().map(commit),
    });
    match &cause.why {
        Why::RolledBack(deployment) => shown["of"] = json!(deployment.to_string()),
        Why::Overridden { until, reason } => {
            shown["until"] = json!(until.to_string());
            shown["reason"] = json!(reason);
        }
        Why::Declared | Why::Restarted | Why::Scaled | Why::OverrideOver | Why::Withdrawn => {}
    }
    shown
}
