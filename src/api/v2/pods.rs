//! Pods (§1.11): their definitions are checked, kept and shown, and nothing runs them yet, which every answer to a write
//! and every status says.

mod status;

use std::sync::Arc;

use ekiden_model::edit::{Answer, Edit, POD_VERSIONS_KEPT, Pod, PodEdit, Refusal};
use ekiden_model::input::Command;
use ekiden_model::{AppId, DeploymentId, Timestamp};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::beside;
use super::change::{self, authority};
use super::definition::{self, Problems};
use super::{groups, posted};
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::manifest::PodDefinition;
use crate::runtime::Snapshot;
use crate::runtime::event_log::PodChange;

pub(super) use status::{status, status_of};

/// What becomes of a pod that is handed in (RFC 9111 §5.5 of old: a warning without a cache to blame).
const NOT_RUN: &str = "299 ekiden \"the pod is kept and not run: running pods is not supported yet\"";

/// How often an edit is computed anew because what it was made from has changed.
const TRIES: usize = 5;

/// What a handler ends with early.
type Refused = Box<Response>;

/// A version of a pod and its definition then.
pub(super) type Version = (Timestamp, Arc<str>);

/// `GET /v2/pods`, and HEAD, by which clients find out that there are pods.
pub(in crate::api) fn list(api: &Api) -> Response {
    let snapshot = api.snapshots.latest();
    let pods: Vec<Value> = snapshot.shelf.pods.values().filter_map(|pod| shown(pod.last()?)).collect();
    reply::json(&pods)
}

/// `GET /v2/pods/::status`: how all are.
pub(in crate::api) fn statuses(api: &Api) -> Response {
    let snapshot = api.snapshots.latest();
    let statuses: Vec<Value> = snapshot.shelf.pods.values().filter_map(|pod| status(pod)).collect();
    reply::json(&statuses)
}

/// `GET /v2/pods/{id}`.
pub(in crate::api) fn show(api: &Api, id: &str) -> Response {
    let snapshot = api.snapshots.latest();
    let pod = find(&snapshot, id).and_then(|pod| shown(pod.last()?));
    pod.map_or_else(|| no_such_pod(id), |pod| reply::json(&pod))
}

/// `GET /v2/pods/{id}::status`.
pub(in crate::api) fn show_status(api: &Api, id: &str) -> Response {
    let snapshot = api.snapshots.latest();
    let status = find(&snapshot, id).and_then(status);
    status.map_or_else(|| no_such_pod(id), |status| reply::json(&status))
}

/// `GET /v2/pods/{id}::versions`: the newest first, without an object around them.
pub(in crate::api) fn versions(api: &Api, id: &str) -> Response {
    let snapshot = api.snapshots.latest();
    let Some(pod) = find(&snapshot, id) else { return no_such_pod(id) };
    let versions: Vec<String> = pod.versions.iter().rev().map(|(at, _)| at.to_string()).collect();
    reply::json(&versions)
}

/// `GET /v2/pods/{id}::versions/{version}`: the pod as it was then.
pub(in crate::api) fn version(api: &Api, id: &str, version: &str) -> Response {
    let Ok(at) = version.parse::<Timestamp>() else {
        let text = format!("`{version}` is no version: versions look like 2026-11-20T10:00:00.000Z");
        return Problems::invalid("/version", text).response();
    };
    let snapshot = api.snapshots.latest();
    let Some(pod) = find(&snapshot, id) else { return no_such_pod(id) };
    let shown = pod.versions.iter().find(|(other, _)| *other == at).and_then(shown);
    let none = || reply::not_found(&format!("Pod '{}' does not exist in version {at}", pod.id));
    shown.map_or_else(none, |pod| reply::json(&pod))
}

/// `POST /v2/pods`: a new pod.
pub(in crate::api) async fn create(api: &Api, request: &Request) -> Response {
    answered(try_create(api, request).await)
}

async fn try_create(api: &Api, request: &Request) -> Result<Response, Refused> {
    let pod = read(request)?;
    let is_free = |snapshot: &Snapshot| {
        let conflict = |text: String| Err(Box::new(reply::message(StatusCode::CONFLICT, &text)));
        if snapshot.shelf.pods.contains_key(&pod.id) {
            return conflict(format!("A pod with id [{}] already exists.", pod.id));
        }
        match snapshot.app(&pod.id).and_then(|app| app.state.declared.as_ref()) {
            Some(_) => conflict(format!("An app with id [{}] already exists.", pod.id)),
            None => Ok(()),
        }
    };
    let mut response = write(api, request, StatusCode::CREATED, &pod, is_free).await?;
    if let Ok(value) = HeaderValue::from_str(pod.id.as_str()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

/// `PUT /v2/pods/{id}`: another definition in place of the one that there is.
pub(in crate::api) async fn replace(api: &Api, path: &str, request: &Request) -> Response {
    answered(try_replace(api, path, request).await)
}

async fn try_replace(api: &Api, path: &str, request: &Request) -> Result<Response, Refused> {
    let is_there = |snapshot: &Snapshot| match find(snapshot, path) {
        Some(_) => Ok(()),
        None => Err(Box::new(no_such_pod(path))),
    };
    is_there(&api.snapshots.latest())?;
    let pod = read(request)?;
    if AppId::parse(path).ok().as_ref() != Some(&pod.id) {
        let text = format!("the body has the id '{}', and the path another: send it to its own path", pod.id);
        return Err(Box::new(reply::message(StatusCode::BAD_REQUEST, &text)));
    }
    write(api, request, StatusCode::OK, &pod, is_there).await
}

/// `DELETE /v2/pods/{id}::instances`: of those that are named, none is there.
pub(in crate::api) fn kill_instances(api: &Api, id: &str, request: &Request) -> Response {
    if find(&api.snapshots.latest(), id).is_none() {
        return no_such_pod(id);
    }
    match definition::body(request) {
        Ok(Value::Array(instances)) if instances.iter().all(Value::is_string) => reply::json(&json!([])),
        Ok(_) => Problems::shape("/", "error.expected.jsarray").response(),
        Err(refused) => *refused,
    }
}

/// `DELETE /v2/pods/{id}::instances/{instance}`: there is none.
pub(in crate::api) fn kill_instance(api: &Api, id: &str, instance: &str) -> Response {
    match find(&api.snapshots.latest(), id) {
        Some(_) => reply::not_found(&format!("Instance '{instance}' does not exist")),
        None => no_such_pod(id),
    }
}

/// `DELETE /v2/pods/{id}`.
pub(in crate::api) async fn delete(api: &Api, id: &str, request: &Request) -> Response {
    let snapshot = api.snapshots.latest();
    match find(&snapshot, id) {
        Some(pod) => answered(try_delete(api, pod, request).await),
        None => no_such_pod(id),
    }
}

async fn try_delete(api: &Api, pod: &Pod, request: &Request) -> Result<Response, Refused> {
    let edit =
        Edit { pods: vec![PodEdit::Remove(pod.id.clone())], authority: authority(request)?, ..Edit::default() };
    match change::carry_out(api, Command::Edit(Box::new(edit))).await? {
        Answer::Deployed { deployment, .. } => {
            posted::pod(api, request, PodChange::Deleted);
            let mut response = change::with_deployment(reply::empty(StatusCode::ACCEPTED), deployment);
            if let Ok(value) = HeaderValue::from_str(&deployment.to_string()) {
                response.headers_mut().insert(header::LOCATION, value);
            }
            Ok(response)
        }
        Answer::Refused(refusal) => Err(Box::new(change::refused(&refusal))),
        Answer::Done => Ok(reply::empty(StatusCode::ACCEPTED)),
    }
}

/// Declares a pod as long as `may` says that it can be.
async fn write(
    api: &Api,
    request: &Request,
    status: StatusCode,
    pod: &PodDefinition,
    may: impl Fn(&Snapshot) -> Result<(), Refused>,
) -> Result<Response, Refused> {
    let authority = authority(request)?;
    let definition: Arc<str> = pod.json.to_string().into();
    for _ in 0..TRIES {
        let snapshot = api.snapshots.latest();
        may(&snapshot)?;
        let is = snapshot.shelf.pods.get(&pod.id).and_then(|pod| pod.last());
        let edit = Edit {
            pods: vec![PodEdit::Put { id: pod.id.clone(), definition: definition.clone() }],
            groups: groups::made_at_top(api, &snapshot, &pod.id.group())
                .map(groups::enforcing)
                .into_iter()
                .collect(),
            made_from: vec![(pod.id.clone(), is.map(|(version, _)| *version))],
            authority: authority.clone(),
            ..Edit::default()
        };
        let problems = beside::check(&snapshot, &edit, |_| String::new());
        if !problems.is_empty() {
            return Err(Box::new(problems.response()));
        }
        match change::carry_out(api, Command::Edit(Box::new(edit))).await? {
            Answer::Deployed { deployment, version } => {
                let is_new = status == StatusCode::CREATED;
                posted::pod(api, request, if is_new { PodChange::Created } else { PodChange::Updated });
                return Ok(written(status, &(version, definition), deployment));
            }
            Answer::Refused(Refusal::Stale(_)) => {}
            Answer::Refused(refusal) => return Err(Box::new(change::refused(&refusal))),
            Answer::Done => return Ok(reply::empty(StatusCode::NO_CONTENT)),
        }
    }
    Err(Box::new(change::contended()))
}

fn written(status: StatusCode, version: &Version, deployment: DeploymentId) -> Response {
    let mut response = change::with_deployment(reply::with_status(status, &shown(version)), deployment);
    response.headers_mut().insert(header::WARNING, HeaderValue::from_static(NOT_RUN));
    response
}

fn read(request: &Request) -> Result<PodDefinition, Refused> {
    let body = definition::object(request)?;
    definition::read_pod(body).map_err(|problems| Box::new(problems.response()))
}

/// A definition with its version.
fn shown((at, definition): &Version) -> Option<Value> {
    let mut pod: Value = serde_json::from_str(definition).ok()?;
    pod["version"] = json!(at.to_string());
    Some(pod)
}

/// The version of a pod that held at that time.
pub(super) fn as_of(pod: &Pod, at: Timestamp) -> Option<&Version> {
    pod.versions.iter().rev().find(|(version, _)| *version <= at)
}

/// Whether a pod may have had versions before the oldest that is remembered.
pub(super) fn is_cut_off(pod: &Pod) -> bool {
    pod.versions.len() >= POD_VERSIONS_KEPT
}

fn find<'a>(snapshot: &'a Snapshot, id: &str) -> Option<&'a Pod> {
    snapshot.shelf.pods.get(&AppId::parse(id).ok()?).map(|pod| &**pod)
}

fn no_such_pod(id: &str) -> Response {
    reply::not_found(&format!("Pod '/{}' does not exist", id.trim_start_matches('/')))
}

fn answered(result: Result<Response, Refused>) -> Response {
    result.unwrap_or_else(|refused| *refused)
}
