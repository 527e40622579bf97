//! Tasks: `GET /v2/tasks` and `GET /v2/apps/{id}/tasks` (§1.7).

use ekiden_model::health::CheckState;
use ekiden_model::{AppState, Condition, Instance};
use serde_json::{Map, Value, json};

use super::apps::{apps_below, find_app};
use super::tasks_text;
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};

/// All tasks that are not over, or those in the states asked for.
pub(in crate::api) fn list(api: &Api, request: &Request) -> Response {
    if request.prefers_text() {
        return tasks_text::show(&api.snapshots.latest().apps(), request);
    }
    let statuses: Vec<&str> = request.all("status").collect();
    let wanted = |instance: &&Instance| {
        instance.condition.is_live()
            && (statuses.is_empty() || statuses.iter().any(|status| has_status(instance.condition, status)))
    };
    let snapshot = api.snapshots.latest();
    let tasks: Vec<Value> = snapshot
        .apps()
        .into_iter()
        .flat_map(|app| app.state.instances.iter().filter(wanted).map(|instance| task(&app.state, instance)))
        .collect();
    reply::json(&json!({ "tasks": tasks }))
}

fn has_status(condition: Condition, status: &str) -> bool {
    match status {
        "running" => condition == Condition::Running,
        "staging" => condition.is_starting(),
        _ => false,
    }
}

/// The tasks of one app, or of all apps of a group (`group/*`).
pub(in crate::api) fn of_app(api: &Api, id: &str, request: &Request) -> Response {
    let snapshot = api.snapshots.latest();
    if let Some(group) = id.strip_suffix('*') {
        let Some(apps) = apps_below(&snapshot, group) else { return reply::no_such_app(id) };
        if request.prefers_text() {
            return tasks_text::show(&apps, request);
        }
        let tasks: Vec<Value> = apps.iter().flat_map(|app| of_state(&app.state)).collect();
        return reply::json(&json!({ "tasks": tasks }));
    }
    match find_app(&snapshot, id) {
        Some(app) if request.prefers_text() => tasks_text::show(&[app], request),
        Some(app) => reply::json(&json!({ "tasks": of_state(&app.state) })),
        None => reply::no_such_app(id),
    }
}

/// The tasks of an app that are not over.
pub(super) fn of_state(app: &AppState) -> Vec<Value> {
    app.instances.iter().filter(|i| i.condition.is_live()).map(|instance| task(app, instance)).collect()
}

/// One task in Marathon's form.
pub(super) fn task(app: &AppState, instance: &Instance) -> Value {
    let instance_id = app.instance_id(instance.key.slot).full(&app.id);
    let ports: Vec<u16> = instance.host_ports.iter().flatten().map(|port| port.get()).collect();
    let service_ports: Vec<u16> = app.service_ports.iter().flatten().map(|port| port.get()).collect();
    let results: Vec<Value> = instance.health.checks.iter().map(|check| result(check, &instance_id)).collect();
    let mut task = Map::new();
    let mut set = |name: &str, value: Value| task.insert(name.to_owned(), value);
    set("id", json!(app.task_id(instance.key).as_str()));
    set("appId", json!(app.id.as_str()));
    set("host", json!(instance.agent.hostname));
    set("slaveId", json!(instance.agent.id.as_str()));
    set("state", json!(instance.condition.task_state()));
    set("stagedAt", json!(instance.staged.to_string()));
    if let Some(started) = instance.started {
        set("startedAt", json!(started.to_string()));
    }
    if let Some(revision) = app.revision(instance.revision) {
        set("version", json!(revision.version.to_string()));
    }
    set("ports", json!(ports));
    set("servicePorts", json!(service_ports));
    set("ipAddresses", json!([]));
    set("healthCheckResults", json!(results));
    set("localVolumes", json!([]));
    if let Some(region) = &instance.agent.region {
        set("region", json!(region));
    }
    if let Some(zone) = &instance.agent.zone {
        set("zone", json!(zone));
    }
    set("role", json!(instance.role.as_str()));
    Value::Object(task)
}

fn result(check: &CheckState, instance_id: &str) -> Value {
    let mut result = Map::new();
    result.insert("alive".to_owned(), json!(check.alive().unwrap_or(false)));
    result.insert("consecutiveFailures".to_owned(), json!(check.consecutive_failures));
    let times = [
        ("firstSuccess", check.first_success),
        ("lastSuccess", check.last_success),
        ("lastFailure", check.last_failure),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            result.insert(name.to_owned(), json!(time.to_string()));
        }
    }
    if let Some(cause) = &check.last_failure_cause {
        result.insert("lastFailureCause".to_owned(), json!(cause));
    }
    result.insert("instanceId".to_owned(), json!(instance_id));
    Value::Object(result)
}
