//! Apps: `GET /v2/apps`, `GET /v2/apps/{id}`, `GET /v2/apps/{group}/*` (§1.4).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ekiden_model::app::{App, Command};
use ekiden_model::health::Readiness;
use ekiden_model::{AppId, AppState, Declared, DeploymentId, GroupId, Port, Source, Timestamp};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::selector::Selector;
use super::stats::{Counts, task_stats};
use super::tasks;
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::clock::wall;
use crate::runtime::{AppSnapshot, Snapshot};

/// What is shown beside the definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Embed {
    Tasks,
    Readiness,
    LastTaskFailure,
    TaskStats,
}

/// All apps, or those that the filters leave.
pub(in crate::api) fn list(api: &Api, request: &Request) -> Response {
    let selector = match request.one("label").map(Selector::parse).transpose() {
        Ok(selector) => selector,
        Err(error) => return reply::message(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    };
    let has = |text: &str, part: Option<&str>| {
        part.is_none_or(|part| text.to_lowercase().contains(&part.to_lowercase()))
    };
    let wanted = |app: &App| {
        has(command_text(app), request.one("cmd"))
            && has(app.id.as_str(), request.one("id"))
            && selector.as_ref().is_none_or(|selector| selector.matches(&app.labels))
    };
    let embeds = embeds(request);
    let snapshot = api.snapshots.latest();
    let apps = snapshot.apps().into_iter();
    let apps = apps.filter(|app| app.state.declared.as_ref().is_some_and(|declared| wanted(&declared.app)));
    reply::json_of(listed(b"{\"apps\":[", apps, &embeds))
}

/// Apps in a list, as the pieces of an answer; those that have not changed since they were last asked for are as they were
/// rendered then.
fn listed<'a>(
    begins: &'static [u8],
    apps: impl Iterator<Item = &'a Arc<AppSnapshot>>,
    embeds: &BTreeSet<Embed>,
) -> Vec<Bytes> {
    let mut pieces = vec![Bytes::from_static(begins)];
    for app in apps {
        // What is kept begins with the comma that all but the first need: a piece less to be sent for each.
        let render = |app: &AppSnapshot| Bytes::from([b",", &rendered(app, embeds)[..]].concat());
        let piece = if embeds.is_empty() { app.listed(render).clone() } else { render(app) };
        pieces.push(if pieces.len() > 1 { piece } else { piece.slice(1..) });
    }
    pieces.push(Bytes::from_static(b"]}"));
    pieces
}

/// An app as JSON text. Only with statistics of its tasks it depends on anything but the app.
fn rendered(app: &AppSnapshot, embeds: &BTreeSet<Embed>) -> Bytes {
    let Some(declared) = &app.state.declared else { return Bytes::from_static(b"null") };
    let value = info(app, declared, embeds);
    // Writing JSON we made ourselves does not fail.
    serde_json::to_vec(&value).map_or_else(|_| Bytes::from_static(b"null"), Bytes::from)
}

/// One app; or all apps below a group (`group/*`).
pub(in crate::api) fn show(api: &Api, id: &str, request: &Request) -> Response {
    let mut embeds = embeds(request);
    let snapshot = api.snapshots.latest();
    if let Some(group) = id.strip_suffix('*').filter(|group| group.is_empty() || group.ends_with('/')) {
        let Some(apps) = apps_below(&snapshot, group) else { return reply::no_such_app(id) };
        return reply::json_of(listed(b"{\"*\":[", apps.into_iter(), &embeds));
    }
    let is_usual = embeds.iter().all(|embed| matches!(embed, Embed::Tasks | Embed::LastTaskFailure));
    embeds.extend([Embed::Tasks, Embed::LastTaskFailure]);
    let Some(app) = find_app(&snapshot, id).filter(|app| app.state.declared.is_some()) else {
        return reply::no_such_app(id);
    };
    let render = |app: &AppSnapshot| {
        let app = rendered(app, &embeds);
        Bytes::from([b"{\"app\":", &app[..], b"}"].concat())
    };
    let body = if is_usual { app.shown(render).clone() } else { render(app) };
    reply::with_body(StatusCode::OK, "application/json", body)
}

/// What a new app is answered with (§1.4): nothing of it runs yet.
pub(super) fn created(
    snapshot: &Snapshot,
    app: &Arc<App>,
    deployment: DeploymentId,
    version: Timestamp,
) -> Response {
    let known = snapshot.app(&app.id).map(|app| app.state.service_ports.as_slice());
    let declared = Declared::first(app.clone(), version, Source::Api);
    let mut info = definition(&declared, known.unwrap_or_default());
    for count in ["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"] {
        info.insert(count.to_owned(), json!(0));
    }
    info.insert("deployments".to_owned(), json!([{ "id": deployment.to_string() }]));
    info.insert("tasks".to_owned(), json!([]));
    reply::with_status(StatusCode::CREATED, &info)
}

/// The app of that name.
pub(in crate::api) fn find_app<'a>(snapshot: &'a Snapshot, id: &str) -> Option<&'a Arc<AppSnapshot>> {
    snapshot.app(&AppId::parse(id).ok()?)
}

/// The declared apps at any depth below a group; `None` when there is none.
pub(super) fn apps_below<'a>(snapshot: &'a Snapshot, group: &str) -> Option<Vec<&'a Arc<AppSnapshot>>> {
    let group = GroupId::resolve(group, &GroupId::root()).ok()?;
    let mut apps = snapshot.apps();
    apps.retain(|app| app.state.declared.is_some() && group.contains(&app.state.id));
    (!apps.is_empty()).then_some(apps)
}

fn embeds(request: &Request) -> BTreeSet<Embed> {
    let mut embeds = BTreeSet::new();
    for value in request.all("embed") {
        let name = value.strip_prefix("group.").unwrap_or(value);
        let name = name.strip_prefix("apps.").or(name.strip_prefix("app.")).unwrap_or(name);
        match name {
            "tasks" => embeds.extend([Embed::Tasks]),
            "readiness" => embeds.extend([Embed::Readiness]),
            "lastTaskFailure" => embeds.extend([Embed::LastTaskFailure]),
            "failures" => embeds.extend([Embed::Tasks, Embed::LastTaskFailure]),
            "taskStats" => embeds.extend([Embed::TaskStats]),
            // Counts and deployments are always there; of other values Marathon takes no notice.
            _ => {}
        }
    }
    embeds
}

/// Marathon's `AppInfo`.
fn info(app: &AppSnapshot, declared: &Declared, embeds: &BTreeSet<Embed>) -> Value {
    let (state, deployment) = (&app.state, app.deployment);
    let app = &declared.app;
    let mut info = definition(declared, &state.service_ports);
    let counts = Counts::of(state.instances.iter(), !app.health_checks.is_empty());
    let mut set = |name: &str, value: Value| info.insert(name.to_owned(), value);
    set("tasksStaged", json!(counts.staged));
    set("tasksRunning", json!(counts.running));
    set("tasksHealthy", json!(counts.healthy));
    set("tasksUnhealthy", json!(counts.unhealthy));
    let deployments: Vec<Value> = deployment.iter().map(|id| json!({ "id": id.to_string() })).collect();
    set("deployments", json!(deployments));
    for embed in embeds {
        match embed {
            Embed::Tasks => _ = set("tasks", json!(tasks::of_state(state))),
            Embed::Readiness => _ = set("readinessCheckResults", readiness_results(state)),
            Embed::LastTaskFailure => {
                if let Some(failure) = last_failure(state) {
                    set("lastTaskFailure", failure);
                }
            }
            Embed::TaskStats => _ = set("taskStats", task_stats(state, wall())),
        }
    }
    Value::Object(info)
}

/// The definition with what we chose for it: its version, and the service ports.
pub(super) fn definition(declared: &Declared, service_ports: &[Option<Port>]) -> Map<String, Value> {
    let mut definition = match crate::manifest::app_to_json(&declared.app) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let lists = [("/portDefinitions", "port"), ("/container/portMappings", "servicePort")];
    for (list, member) in lists {
        let mut whole = Value::Object(std::mem::take(&mut definition));
        if let Some(Value::Array(entries)) = whole.pointer_mut(list) {
            for (entry, leased) in entries.iter_mut().zip(service_ports) {
                let open = entry.get(member).is_none_or(|port| port.as_u64().unwrap_or(0) == 0);
                if let (true, Some(leased), Some(entry)) = (open, leased, entry.as_object_mut()) {
                    entry.insert(member.to_owned(), json!(leased.get()));
                }
            }
        }
        if let Value::Object(members) = whole {
            definition = members;
        }
    }
    definition.insert("version".to_owned(), json!(declared.version.to_string()));
    let info = json!({
        "lastScalingAt": declared.scaled.to_string(),
        "lastConfigChangeAt": declared.configured.to_string(),
    });
    definition.insert("versionInfo".to_owned(), info);
    definition
}

/// What instances answered to the readiness check.
pub(super) fn readiness_results(state: &AppState) -> Value {
    let declared = state.declared.as_ref();
    let Some(check) = declared.and_then(|declared| declared.app.readiness.as_ref()) else { return json!([]) };
    let results: Vec<Value> = state
        .instances
        .wanted()
        .filter(|instance| instance.health.readiness != Readiness::Unasked)
        .map(|instance| {
            let task = state.task_id(instance.key);
            let ready = instance.health.readiness == Readiness::Ready;
            json!({ "name": check.name, "taskId": task.as_str(), "ready": ready })
        })
        .collect();
    json!(results)
}

/// The last failure of an instance.
pub(super) fn last_failure(state: &AppState) -> Option<Value> {
    let failure = state.last_failure.as_ref()?;
    let mut shown = json!({
        "appId": state.id.as_str(),
        "host": failure.host,
        "message": failure.message,
        "state": failure.condition.task_state(),
        "taskId": failure.task.as_str(),
        "timestamp": failure.at.to_string(),
    });
    if let Some(revision) = state.revision(failure.revision) {
        shown["version"] = json!(revision.version.to_string());
    }
    Some(shown)
}

fn command_text(app: &App) -> &str {
    match &app.template.command {
        Command::Shell(command) => command,
        Command::Args(_) | Command::Image => "",
    }
}
