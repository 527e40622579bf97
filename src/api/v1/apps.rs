//! `GET /v1/apps`: all apps in a line each, in pages if asked for; `GET /v1/apps/{id}/status`: everything about one.

use bytes::Bytes;
use ekiden_model::edit::Answer;
use ekiden_model::input::Command;
use ekiden_model::revision::{Phase, Standing};
use ekiden_model::view::Settled;
use ekiden_model::{AppId, AppState};
use serde_json::{Value, json};

use super::instances::instance;
use super::page::Page;
use super::provenance::source;
use super::{conditions, provenance, reasons};
use crate::api::reply::{self, Response};
use crate::api::v2::apps::find_app;
use crate::api::v2::change;
use crate::api::v2::stats::Counts;
use crate::api::{Api, Request};
use crate::desired::DirectoryStatus;
use crate::runtime::AppSnapshot;

/// All apps, in brief; with `?embed=definition`, each with its whole definition, as a manifest would have it.
pub(in crate::api) fn list(api: &Api, request: &Request) -> Response {
    let whole = request.all("embed").any(|embed| embed == "definition");
    let page = match Page::of(request).and_then(|page| Ok((page.after_app()?, page))) {
        Ok(page) => page,
        Err(refusal) => return *refusal,
    };
    let (after, page) = page;
    let snapshot = api.snapshots.latest();
    let mut apps = snapshot.apps();
    apps.retain(|app| after.as_ref().is_none_or(|after| app.state.id > *after));
    let (apps, more) = page.cut(apps);
    let next = apps.last().filter(|_| more).map(|app| app.state.id.as_str());
    let shown: Vec<Value> = apps
        .iter()
        .map(|app| {
            let mut shown = brief(app);
            if let (true, Some(declared)) = (whole, &app.state.declared) {
                shown["definition"] = crate::manifest::app_to_json(&declared.app);
            }
            shown
        })
        .collect();
    let (at, revision) = (snapshot.at.to_string(), snapshot.world_revision().to_string());
    let agents = snapshot.agents.len();
    reply::json(&json!({ "at": at, "revision": revision, "apps": shown, "agents": agents, "next": next }))
}

/// Everything about one app.
pub(in crate::api) fn status(api: &Api, id: &str) -> Response {
    let snapshot = api.snapshots.latest();
    let Some(app) = find_app(&snapshot, id) else { return reply::no_such_app(id) };
    let mut status = status_of(app, &api.directory.status().borrow());
    status["at"] = json!(snapshot.at.to_string());
    status["revision"] = json!(snapshot.world_revision().to_string());
    status["settled"] = json!(matches!(snapshot.settled, Settled::Yes));
    reply::json(&status)
}

/// Everything about an app that is its own.
pub(super) fn status_of(app: &AppSnapshot, directory: &DirectoryStatus) -> Value {
    let state = &app.state;
    let spec = state.declared.as_ref().map(|declared| {
        json!({
            "source": source(&declared.source),
            "version": declared.version.to_string(),
            "lastScalingAt": declared.scaled.to_string(),
            "lastConfigChangeAt": declared.configured.to_string(),
            "definition": crate::manifest::app_to_json(&declared.app),
        })
    });
    let instances: Vec<Value> = state.instances.iter().map(|one| instance(state, one)).collect();
    let last_failure = state.last_failure.as_ref().map(reasons::failure);
    json!({
        "id": state.id.as_str(),
        "phase": phase(app),
        "conditions": conditions::all(app),
        "spec": spec,
        "provenance": provenance::of(state, directory),
        "drift": state.declared.as_ref().map(provenance::drift),
        "deployment": app.deployment.map(|deployment| deployment.to_string()),
        "target": target(app),
        "observed": { "counts": counts(state), "instances": instances, "lastFailure": last_failure },
        "waitingFor": reasons::all(&app.report),
    })
}

/// An app in brief, as JSON text.
pub(super) fn brief_text(app: &AppSnapshot) -> Bytes {
    app.brief(|app| brief(app).to_string().into()).clone()
}

/// When the app's file declares it no longer, it stays, as one that the API declares.
pub(in crate::api) async fn keep(api: &Api, id: &str) -> Response {
    let Ok(app) = AppId::parse(id) else { return reply::no_such_app(id) };
    match change::carry_out(api, Command::Keep(app.clone())).await {
        Ok(Answer::Refused(refusal)) => change::refused(&refusal),
        Ok(_) => reply::json(&json!({ "id": app.as_str(), "keep": true })),
        Err(refused) => *refused,
    }
}

fn brief(app: &AppSnapshot) -> Value {
    let state = &app.state;
    let declared = state.declared.as_ref();
    let waiting: Vec<String> = app.report.reasons.iter().map(ToString::to_string).collect();
    json!({
        "id": state.id.as_str(),
        "instances": app.desired,
        "counts": counts(state),
        "phase": phase(app),
        "version": declared.map(|declared| declared.version.to_string()),
        "source": declared.map(|declared| source(&declared.source)),
        "overridden": declared.is_some_and(|declared| declared.over.is_some()),
        "deployment": app.deployment.map(|deployment| deployment.to_string()),
        "waitingFor": waiting,
    })
}

/// One word for people.
fn phase(app: &AppSnapshot) -> &'static str {
    if app.state.declared.is_none() {
        return "stopping";
    }
    match app.state.rollout.as_ref().map(|rollout| rollout.phase) {
        None | Some(Phase::Waiting) => "waiting",
        Some(Phase::Rolling) => "rolling",
        Some(Phase::Paused) => "paused",
        Some(Phase::Failed) => "failed",
        Some(Phase::RollingBack { .. }) => "rolling back",
        Some(Phase::Complete) if app.report.is_empty() => "running",
        Some(Phase::Complete) => "recovering",
    }
}

fn counts(state: &AppState) -> Value {
    // Unlike under /v2, an instance without checks is healthy as soon as it runs: that is how rollouts count it.
    let counts = Counts::of(state.instances.iter(), true);
    json!({
        "staged": counts.staged,
        "running": counts.running,
        "healthy": counts.healthy,
        "unhealthy": counts.unhealthy,
    })
}

fn target(app: &AppSnapshot) -> Value {
    let state = &app.state;
    let revisions: Vec<Value> = state
        .revisions
        .iter()
        .map(|revision| {
            let standing = match revision.standing {
                Standing::Unproven => json!({ "kind": "unproven" }),
                Standing::Proven(at) => json!({ "kind": "proven", "at": at.to_string() }),
                Standing::Failed(at) => json!({ "kind": "failed", "at": at.to_string() }),
            };
            json!({
                "revision": revision.id.0,
                "version": revision.version.to_string(),
                "instances": revision.target,
                "standing": standing,
            })
        })
        .collect();
    let rollout = state.rollout.as_ref().map(|rollout| {
        json!({
            "to": rollout.to.0,
            "phase": phase(app),
            "since": rollout.since.to_string(),
            "progressAt": rollout.progress.to_string(),
        })
    });
    let backoff = json!({
        "failures": state.backoff.failures,
        "delaySeconds": state.backoff.delay.as_secs_f64(),
        "until": state.backoff.until.map(|until| until.to_string()),
    });
    let service_ports: Vec<Option<u16>> =
        state.service_ports.iter().map(|port| port.map(ekiden_model::Port::get)).collect();
    json!({
        "instances": app.desired,
        "revisions": revisions,
        "rollout": rollout,
        "servicePorts": service_ports,
        "backoff": backoff,
    })
}
