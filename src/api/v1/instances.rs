//! `GET /v1/instances`: all instances, those that are over until they are forgotten; `?app=` leaves those of one app.

use ekiden_model::health::{Readiness, Verdict};
use ekiden_model::{AppId, AppState, Goal, Instance};
use serde_json::{Value, json};

use crate::api::reply::{self, Response};
use crate::api::{Api, Request};

/// All instances, or those of one app.
pub(in crate::api) fn list(api: &Api, request: &Request) -> Response {
    let snapshot = api.snapshots.latest();
    let apps = match request.one("app") {
        None => snapshot.apps(),
        Some(id) => match AppId::parse(id).ok().and_then(|id| snapshot.app(&id)) {
            Some(app) => vec![app],
            None => return reply::no_such_app(id),
        },
    };
    let instances: Vec<Value> =
        apps.into_iter().flat_map(|app| app.state.instances.iter().map(|one| instance(&app.state, one))).collect();
    reply::json(&json!({ "at": snapshot.at.to_string(), "instances": instances }))
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
