//! Writes of apps: POST, PUT, PATCH, DELETE and restart (§1.4). Each is one edit and one deployment.
//!
//! An update is computed from what is declared, and says so: if that changes before it is followed, it is computed anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::app::App;
use ekiden_model::edit::{Answer, Edit, Refusal};
use ekiden_model::input::Command;
use ekiden_model::{AppId, Declared, DeploymentId, GroupId, Timestamp};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::apps::{created, find_app};
use super::beside;
use super::change::{self, authority, flag};
use super::definition::{self, Problems};
use super::groups;
use super::posted;
use crate::api::conditional;
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::Snapshot;

/// How often an edit is computed anew because what it was made from has changed.
const TRIES: usize = 5;

/// A definition, or part of one, as it was sent.
type Definition = Map<String, Value>;

/// What a handler ends with early.
type Refused = Box<Response>;

/// What became of updates.
struct Written {
    apps: Vec<Arc<App>>,
    deployment: DeploymentId,
    version: Timestamp,
}

/// `POST /v2/apps`: a new app.
pub(in crate::api) async fn create(api: &Api, request: &Request) -> Response {
    answered(try_create(api, request).await)
}

async fn try_create(api: &Api, request: &Request) -> Result<Response, Refused> {
    let authority = authority(request)?;
    let snapshot = api.snapshots.latest();
    let app = read(definition::object(request)?, "")?;
    let made = groups::made_at_top(api, &snapshot, &app.id.group());
    let app = inheriting(&snapshot, made.as_ref(), app, None, "")?;
    let exists = || {
        let text = format!("An app with id [{}] already exists.", app.id);
        Box::new(reply::message(StatusCode::CONFLICT, &text))
    };
    if declared(&snapshot, &app.id).is_some() {
        return Err(exists());
    }
    let edit = Edit {
        declare: vec![app.clone()],
        groups: made.map(groups::enforcing).into_iter().collect(),
        made_from: vec![(app.id.clone(), None)],
        authority,
        ..Edit::default()
    };
    check(&snapshot, &edit)?;
    match change::carry_out(api, Command::Edit(Box::new(edit))).await? {
        Answer::Deployed { deployment, version } => {
            posted::app(api, request, app.clone(), version);
            let response = created(&api.snapshots.latest(), &app, deployment, version);
            Ok(located(change::with_deployment(response, deployment), &app.id))
        }
        Answer::Refused(Refusal::Stale(_)) => Err(exists()),
        Answer::Refused(refusal) => Err(Box::new(change::refused(&refusal))),
        Answer::Done => Ok(reply::empty(StatusCode::NO_CONTENT)),
    }
}

/// `PUT /v2/apps/{id}`: changes an app, or makes it.
pub(in crate::api) async fn put(api: &Api, id: &str, request: &Request) -> Response {
    answered(try_write_one(api, id, request, true).await)
}

/// `PATCH /v2/apps/{id}`: changes an app that there is.
pub(in crate::api) async fn patch(api: &Api, id: &str, request: &Request) -> Response {
    answered(try_write_one(api, id, request, false).await)
}

async fn try_write_one(api: &Api, id: &str, request: &Request, creates: bool) -> Result<Response, Refused> {
    let mut update = definition::object(request)?;
    let id = AppId::parse(id).map_err(|error| Box::new(Problems::invalid("/id", error.to_string()).response()))?;
    update.insert("id".to_owned(), json!(id.as_str()));
    let is_new = declared(&api.snapshots.latest(), &id).is_none();
    let Written { apps, deployment, version } = write(api, request, vec![update], creates).await?;
    for app in apps {
        posted::app(api, request, app, version);
    }
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let response = change::deployed(status, deployment, version);
    Ok(if is_new { located(response, &id) } else { response })
}

/// `PUT /v2/apps`: changes apps, or makes them, all at once.
pub(in crate::api) async fn put_all(api: &Api, request: &Request) -> Response {
    answered(try_write_all(api, request, true).await)
}

/// `PATCH /v2/apps`: changes apps that there are, all at once.
pub(in crate::api) async fn patch_all(api: &Api, request: &Request) -> Response {
    answered(try_write_all(api, request, false).await)
}

async fn try_write_all(api: &Api, request: &Request, creates: bool) -> Result<Response, Refused> {
    let mut updates = definition::objects(request)?;
    let mut problems = Problems::default();
    for (index, update) in updates.iter_mut().enumerate() {
        match update.get("id").and_then(Value::as_str).map(AppId::parse) {
            Some(Ok(id)) => _ = update.insert("id".to_owned(), json!(id.as_str())),
            Some(Err(error)) => {
                problems.extend(Problems::invalid(format!("({index})/id"), error.to_string()));
            }
            None => problems.extend(Problems::shape(format!("({index})/id"), "error.path.missing")),
        }
    }
    if !problems.is_empty() {
        return Err(Box::new(problems.response()));
    }
    let Written { deployment, version, .. } = write(api, request, updates, creates).await?;
    Ok(change::deployed(StatusCode::OK, deployment, version))
}

/// Follows updates, each with the absolute id of its app.
async fn write(api: &Api, request: &Request, updates: Vec<Definition>, creates: bool) -> Result<Written, Refused> {
    let authority = authority(request)?;
    let is_partial = flag(request, "partialUpdate", true)?;
    for _ in 0..TRIES {
        let snapshot = api.snapshots.latest();
        let (mut declare, mut made_from, mut tops) = (Vec::new(), Vec::new(), BTreeSet::new());
        let many = updates.len() > 1;
        for (index, update) in updates.iter().enumerate() {
            let at = if many { format!("({index})") } else { String::new() };
            let id = update.get("id").and_then(Value::as_str).and_then(|id| AppId::parse(id).ok());
            let is = id.as_ref().and_then(|id| declared(&snapshot, id));
            let app = match is {
                Some(is) => changed(&snapshot, is, update.clone(), is_partial, &at)?,
                None if creates => read(update.clone(), &at)?,
                None => return Err(Box::new(reply::no_such_app(id.as_ref().map_or("", AppId::as_str)))),
            };
            check_precondition(request, &snapshot, &app.id)?;
            let made = groups::made_at_top(api, &snapshot, &app.id.group());
            let app = inheriting(&snapshot, made.as_ref(), app, is, &at)?;
            tops.extend(made);
            made_from.push((app.id.clone(), is.map(|is| is.version)));
            declare.push(app);
        }
        let apps = declare.clone();
        let groups = tops.into_iter().map(groups::enforcing).collect();
        let edit = Edit { declare, groups, made_from, authority: authority.clone(), ..Edit::default() };
        check(&snapshot, &edit)?;
        match change::carry_out(api, Command::Edit(Box::new(edit))).await? {
            Answer::Deployed { deployment, version } => return Ok(Written { apps, deployment, version }),
            Answer::Refused(Refusal::Stale(_)) => {}
            Answer::Refused(refusal) => return Err(Box::new(change::refused(&refusal))),
            Answer::Done => break,
        }
    }
    Err(Box::new(change::contended()))
}

/// What an update makes of an app: of its parts, of the whole, or of an earlier version.
fn changed(
    snapshot: &Snapshot,
    is: &Declared,
    mut update: Definition,
    is_partial: bool,
    at: &str,
) -> Result<Arc<App>, Refused> {
    let version = update.get("version").filter(|version| !version.is_null()).cloned();
    let others = update.iter().filter(|(name, value)| *name != "id" && *name != "version" && !value.is_null());
    if let (Some(version), 0) = (&version, others.count()) {
        let stamp = version.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let Some(stamp) = stamp else {
            let problem = Problems::invalid(format!("{at}/version"), "it is no timestamp");
            return Err(Box::new(problem.response()));
        };
        let history = snapshot.app(&is.app.id).map(|app| &app.state.history);
        let earlier = history.and_then(|history| history.get(stamp)).and_then(|version| version.app.as_ref());
        let earlier = earlier.and_then(crate::manifest::read_definition);
        return earlier.ok_or_else(|| {
            let text = format!("App '{}' has no version {stamp}", is.app.id);
            Box::new(reply::not_found(&text))
        });
    }
    // An app that is sent back as it was shown has a version, and means all the rest.
    update.shift_remove("version");
    let app = read(if is_partial { definition::updated(&is.app, update) } else { update }, at)?;
    let leased = snapshot.app(&is.app.id).map(|app| app.state.service_ports.as_slice());
    Ok(definition::without_leases(app, &is.app, leased.unwrap_or_default()))
}

/// `DELETE /v2/apps/{id}`.
pub(in crate::api) async fn delete(api: &Api, id: &str, request: &Request) -> Response {
    answered(try_withdraw(api, id, request, |id| Edit { withdraw: vec![id], ..Edit::default() }).await)
}

/// `POST /v2/apps/{id}/restart`.
pub(in crate::api) async fn restart(api: &Api, id: &str, request: &Request) -> Response {
    answered(try_withdraw(api, id, request, |id| Edit { restart: vec![id], ..Edit::default() }).await)
}

async fn try_withdraw(
    api: &Api,
    id: &str,
    request: &Request,
    edit: impl FnOnce(AppId) -> Edit,
) -> Result<Response, Refused> {
    let id = AppId::parse(id).map_err(|_| Box::new(reply::no_such_app(id)))?;
    let snapshot = api.snapshots.latest();
    check_precondition(request, &snapshot, &id)?;
    let edit = Edit { authority: authority(request)?, ..edit(id) };
    match change::carry_out(api, Command::Edit(Box::new(edit))).await? {
        Answer::Deployed { deployment, version } => Ok(change::deployed(StatusCode::OK, deployment, version)),
        Answer::Refused(refusal) => Err(Box::new(change::refused(&refusal))),
        Answer::Done => Ok(reply::empty(StatusCode::NO_CONTENT)),
    }
}

/// `If-Match` names what a client means to change: the version, or the tag with which it was read (`*`: any);
/// `If-None-Match: *`, that there is nothing.
fn check_precondition(request: &Request, snapshot: &Snapshot, id: &AppId) -> Result<(), Refused> {
    let version = declared(snapshot, id).map(|is| is.version.to_string());
    let tag = snapshot.app(id).map(|app| conditional::base(snapshot.revision().0, app.changed()));
    let is_current = |held: &str| {
        let held = conditional::within_quotes(held);
        // What was read in another form has its form behind the tag.
        let is_tag = |tag: &String| {
            held.strip_prefix(tag.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        held == "*" || version.as_deref() == Some(held) || tag.as_ref().is_some_and(is_tag)
    };
    let names = |value: &str| version.is_some() && value.split(',').map(str::trim).any(is_current);
    let failed = |text: &str| Err(Box::new(reply::message(StatusCode::PRECONDITION_FAILED, text)));
    if request.header("if-match").is_some_and(|value| !names(value)) {
        return failed("the app is not any more what `If-Match` names: read it again");
    }
    if request.header("if-none-match").is_some_and(names) {
        return failed("the app exists");
    }
    Ok(())
}

fn read(definition: Definition, at: &str) -> Result<Arc<App>, Refused> {
    definition::read_app(definition, &GroupId::root(), at).map_err(|problems| Box::new(problems.response()))
}

/// With what follows from the groups that it is in.
fn inheriting(
    snapshot: &Snapshot,
    made: Option<&GroupId>,
    app: Arc<App>,
    is: Option<&Declared>,
    at: &str,
) -> Result<Arc<App>, Refused> {
    let inherited = groups::inheriting(snapshot, made, app, is.map(|is| &*is.app), at);
    inherited.map_err(|problems| Box::new(problems.response()))
}

fn check(snapshot: &Snapshot, edit: &Edit) -> Result<(), Refused> {
    let problems = beside::check(snapshot, edit, |_| String::new());
    if problems.is_empty() { Ok(()) } else { Err(Box::new(problems.response())) }
}

fn declared<'a>(snapshot: &'a Snapshot, id: &AppId) -> Option<&'a Declared> {
    find_app(snapshot, id.as_str())?.state.declared.as_ref()
}

fn located(mut response: Response, id: &AppId) -> Response {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

fn answered(result: Result<Response, Refused>) -> Response {
    result.unwrap_or_else(|refused| *refused)
}
