//! `GET /v1/apps/{id}/history`: every version of an app that is remembered, newest first, with who made it, what it
//! changed, and what came of it; also of apps that are gone.

use ekiden_model::deployment::Progress;
use ekiden_model::history::Version;
use ekiden_model::{AppId, History, Timestamp};
use http::StatusCode;
use serde_json::{Value, json};

use super::page::Page;
use super::{diff, provenance};
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::manifest::read_definition;

/// The versions of one app.
pub(in crate::api) fn show(api: &Api, id: &str, request: &Request) -> Response {
    let page = match Page::of(request) {
        Ok(page) => page,
        Err(refusal) => return *refusal,
    };
    let Ok(after) = page.after.as_deref().map(str::parse::<Timestamp>).transpose() else {
        let text = "`after` is the version that the last page ended with, as in `2026-11-20T18:00:00.000Z`";
        return reply::message(StatusCode::BAD_REQUEST, text);
    };
    let snapshot = api.snapshots.latest();
    let Ok(app) = AppId::parse(id) else { return reply::no_such_app(id) };
    let living = snapshot.app(&app).map(|app| &app.state.history);
    let Some(history) = living.or_else(|| snapshot.shelf.departed.get(&app)) else {
        return reply::no_such_app(id);
    };
    let (versions, more) = page.cut(entries(history, after));
    let next = versions.last().filter(|_| more).map(|entry| entry["version"].clone());
    reply::json(&json!({
        "at": snapshot.at.to_string(),
        "id": app.as_str(),
        "gone": living.is_none(),
        "versions": versions,
        "next": next,
    }))
}

/// The versions before a time, newest first.
fn entries(history: &History, before: Option<Timestamp>) -> Vec<Value> {
    let versions: Vec<_> = history.iter().collect();
    let wanted = |version: &Version| before.is_none_or(|before| version.at < before);
    let older = |index: usize| index.checked_sub(1).map(|index| &**versions[index]);
    let newest_first = versions.iter().enumerate().rev().filter(|(_, version)| wanted(version));
    newest_first.map(|(index, version)| entry(version, older(index))).collect()
}

fn entry(version: &Version, older: Option<&Version>) -> Value {
    let app_of = |version: &Version| version.app.as_ref().and_then(read_definition);
    let (old, new) = (older.and_then(app_of), app_of(version));
    let (old, new) = (old.as_deref(), new.as_deref());
    let changes = match (old, new) {
        (Some(old), Some(new)) => diff::fields(old, new),
        _ => json!([]),
    };
    json!({
        "version": version.at.to_string(),
        "cause": provenance::cause(&version.cause),
        "deployment": version.deployment.to_string(),
        "outcome": outcome(&version.progress),
        "changes": changes,
        // Of the oldest that is remembered it is not known what it changed.
        "diff": older.map(|_| diff::lines(old, new)),
    })
}

fn outcome(progress: &Progress) -> Value {
    match progress {
        Progress::UnderWay => json!({ "state": "underWay" }),
        Progress::Complete(at) => json!({ "state": "complete", "at": at.to_string() }),
        Progress::Failed(at, reason) => json!({ "state": "failed", "at": at.to_string(), "reason": reason }),
        Progress::Superseded(at) => json!({ "state": "superseded", "at": at.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ekiden_model::history::{Cause, Commit, Definition, Why};
    use ekiden_model::{DeploymentId, Source};

    use super::*;
    use crate::runtime::fixtures;

    fn version(at: i64, instances: u32, why: Why, progress: Progress) -> Version {
        let at = Timestamp::from_millis(at);
        let app = fixtures::app("/web");
        let app = (why != Why::Withdrawn).then(|| Arc::new(ekiden_model::App { instances, ..app }));
        let commit = Arc::new(Commit { hash: "c0ffee".into(), author: "Ann <ann@example.com>".into() });
        let source = Source::File { path: "web.yaml".into(), line: 3 };
        let cause = Cause { source, commit: Some(commit), by: None, why };
        Version { at, app: app.map(Definition::Known), cause, deployment: DeploymentId::new(1, at), progress }
    }

    #[test]
    fn versions_are_told_newest_first_with_what_they_changed() {
        let mut history = History::default();
        let done = || Progress::Complete(Timestamp::from_millis(9));
        history.push(version(1, 1, Why::Declared, done()));
        history.push(version(2, 3, Why::Declared, Progress::UnderWay));
        history.push(version(3, 3, Why::Withdrawn, done()));
        let all = entries(&history, None);
        let kinds: Vec<&Value> = all.iter().map(|entry| &entry["cause"]["kind"]).collect();
        assert_eq!(kinds, ["withdrawn", "declared", "declared"]);
        assert_eq!(all[1]["changes"], json!([{ "field": "instances", "takes": "scale", "old": "1", "new": "3" }]));
        assert!(all[1]["diff"].as_str().is_some_and(|diff| diff.contains("-  \"instances\": 1,")));
        assert_eq!(all[1]["cause"]["commit"], json!({ "hash": "c0ffee", "author": "Ann <ann@example.com>" }));
        assert_eq!(all[1]["outcome"], json!({ "state": "underWay" }));
        assert_eq!(all[2]["diff"], Value::Null);
        assert_eq!(entries(&history, Some(Timestamp::from_millis(2))), all[2..]);
    }
}
