//! `GET /v1/instances`: all instances, those that are over until they are forgotten; `?app=` leaves those of one app.

use ekiden_model::health::{Readiness, Verdict};
use ekiden_model::{AppId, AppState, Goal, Instance};
use serde_json::{Value, json};

use super::page::Page;
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};

/// All instances, or those of one app; in pages if asked for.
pub(in crate::api) fn list(api: &Api, request: &Request) -> Response {
    let page = match Page::of(request) {
        Ok(page) => page,
        Err(refusal) => return *refusal,
    };
    let snapshot = api.snapshots.latest();
    let apps = match request.one("app") {
        None => snapshot.apps(),
        Some(id) => match AppId::parse(id).ok().and_then(|id| snapshot.app(&id)) {
            Some(app) => vec![app],
            None => return reply::no_such_app(id),
        },
    };
    let all = apps.iter().flat_map(|app| app.state.instances.iter().map(|one| (&app.state, one)));
    // In the order of apps and their slots: a task that the last page ended with may be over by now.
    let behind = |state: &AppState, one: &Instance| {
        page.after.as_deref().is_none_or(|after| place(state, one) > read_place(after))
    };
    let (instances, more) = page.cut(all.filter(|(state, one)| behind(state, one)).collect());
    let next = instances.last().filter(|_| more).map(|(state, one)| written_place(state, one));
    let instances: Vec<Value> = instances.into_iter().map(|(state, one)| instance(state, one)).collect();
    reply::json(&json!({ "at": snapshot.at.to_string(), "instances": instances, "next": next }))
}

/// Where an instance is in the list of all.
fn place<'a>(app: &'a AppState, instance: &Instance) -> (&'a str, u32, u64) {
    (app.id.as_str(), instance.key.slot.0, u64::from(instance.key.incarnation.0.get()))
}

fn written_place(app: &AppState, instance: &Instance) -> String {
    let (app, slot, incarnation) = place(app, instance);
    format!("{app}:{slot}:{incarnation}")
}

/// What is not such a place is before all that its text says.
fn read_place(text: &str) -> (&str, u32, u64) {
    let mut parts = text.splitn(3, ':');
    let app = parts.next().unwrap_or_default();
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok()).unwrap_or(0);
    (app, u32::try_from(number()).unwrap_or(u32::MAX), number())
}

/// One instance.
pub(super) fn instance(app: &AppState, instance: &Instance) -> Value {
    let ports: Vec<Option<u16>> =
        instance.host_ports.iter().map(|port| port.map(ekiden_model::Port::get)).collect();
    let kill = instance.kill.as_ref().map(|kill| {
        json!({ "cause": kill.cause.to_string(), "at": kill.at.to_string(), "sentAt": kill.sent.to_string() })
    });
    json!({
        "app": app.id.as_str(),
        "slot": instance.key.slot.0,
        "incarnation": instance.key.incarnation.0,
        "task": app.task_id(instance.key).as_str(),
        "revision": instance.revision.0,
        "goal": match instance.goal {
            Goal::Running => "running",
            Goal::Stopped => "stopped",
            Goal::Decommissioned => "decommissioned",
        },
        "state": instance.condition.task_state(),
        "since": instance.since.to_string(),
        "stagedAt": instance.staged.to_string(),
        "startedAt": instance.started.map(|at| at.to_string()),
        "health": match instance.health.verdict {
            Verdict::Unknown => "unknown",
            Verdict::Healthy => "healthy",
            Verdict::Unhealthy => "unhealthy",
            Verdict::Condemned => "condemned",
        },
        "ready": match instance.health.readiness {
            Readiness::Unasked => None,
            Readiness::NotReady(_) => Some(false),
            Readiness::Ready => Some(true),
        },
        "host": instance.agent.hostname,
        "agent": instance.agent.id.as_str(),
        "ports": ports,
        "kill": kill,
        "message": instance.message,
    })
}
