//! Groups (§1.5): what apps, pods and the groups that somebody made have in common in their ids.
//!
//! A group is there as long as something is in it, or as long as somebody who made it has not removed it. What follows
//! from a group for its apps (dependencies, a role) is written into their declarations when these are made, so that
//! nothing behind the API knows of groups.

mod draft;
mod embeds;
mod inheritance;
mod past;
mod tree;
mod update;

use std::collections::BTreeMap;

use ekiden_model::edit::{Answer, Edit, Refusal};
use ekiden_model::input::Command;
use ekiden_model::{AppId, GroupId, Timestamp};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::change::{self, authority, flag};
use super::definition::{self, Problems};
use super::{beside, deployments};
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::{Snapshot, within};
use draft::Draft;
use embeds::{Embeds, Info};
use tree::Tree;
use update::{Asked, GroupUpdate};

pub(super) use inheritance::{enforcing, inheriting, made_at_top};

/// How often an edit is computed anew because what it was made from has changed.
const TRIES: usize = 5;

/// What a handler ends with early.
type Refused = Box<Response>;

/// `GET /v2/groups[/{id}]`.
pub(in crate::api) fn show(api: &Api, id: &str, request: &Request) -> Response {
    let snapshot = api.snapshots.latest();
    match existing(&snapshot, id) {
        Ok(group) => reply::json(&Tree::now(&snapshot, &group, &Embeds::of(request)).shown()),
        Err(refused) => *refused,
    }
}

/// `GET /v2/groups/{id}/apps`: all apps of a group, at any depth.
pub(in crate::api) fn apps(api: &Api, id: &str, request: &Request) -> Response {
    let snapshot = api.snapshots.latest();
    let group = match existing(&snapshot, id) {
        Ok(group) => group,
        Err(refused) => return *refused,
    };
    let embeds = Embeds::of(request);
    let apps = snapshot.apps_within(&group).into_iter();
    let apps: Vec<Info<'_>> =
        apps.filter_map(|app| Some(embeds.info(app, app.state.declared.as_ref()?))).collect();
    reply::json(&BTreeMap::from([("apps", apps)]))
}

/// `GET /v2/groups[/{id}]/versions`: the newest first, without an object around them.
pub(in crate::api) fn versions(api: &Api, id: &str) -> Response {
    let snapshot = api.snapshots.latest();
    let Ok(group) = parse(id) else { return no_such_group(id) };
    let versions: Vec<String> =
        past::versions(&snapshot, &group).into_iter().map(|version| version.to_string()).collect();
    if versions.is_empty() && !exists(&snapshot, &group) {
        return no_such_group(id);
    }
    reply::json(&versions)
}

/// `GET /v2/groups[/{id}]/versions/{version}`: the group as it was then.
pub(in crate::api) fn version(api: &Api, id: &str, version: &str, request: &Request) -> Response {
    let snapshot = api.snapshots.latest();
    match known_version(&snapshot, id, version) {
        Ok((group, at)) => reply::json(&Tree::then(&snapshot, &group, at, &Embeds::of(request)).shown()),
        Err(refused) => *refused,
    }
}

fn known_version(snapshot: &Snapshot, id: &str, version: &str) -> Result<(GroupId, Timestamp), Refused> {
    let at = version.parse::<Timestamp>().map_err(|_| {
        let text = format!("`{version}` is no version: versions look like 2026-11-20T10:00:00.000Z");
        Box::new(Problems::invalid("/version", text).response())
    })?;
    let group = parse(id).map_err(|()| Box::new(no_such_group(id)))?;
    if past::versions(snapshot, &group).contains(&at) {
        return Ok((group, at));
    }
    Err(Box::new(reply::not_found(&format!("Group '{group}' does not exist in version {at}"))))
}

/// `POST /v2/groups[/{id}]`: a new group, with all that is to be in it.
pub(in crate::api) async fn create(api: &Api, id: &str, request: &Request) -> Response {
    answered(try_create(api, id, request).await)
}

async fn try_create(api: &Api, id: &str, request: &Request) -> Result<Response, Refused> {
    let base = parse(id).map_err(|()| Box::new(no_such_group(id)))?;
    let Asked::Update(update) = asked(request)? else {
        let text = "a group that is to be made has neither `version` nor `scaleBy`";
        return Err(Box::new(Problems::invalid("/", text).response()));
    };
    let group = update.id_in(&base).map_err(|problems| Box::new(problems.response()))?;
    let draft = |snapshot: &Snapshot| {
        is_free(snapshot, &group)?;
        Draft::update(api, snapshot, &group, &update).map_err(|problems| Box::new(problems.response()))
    };
    let mut response = carry_out(api, request, StatusCode::CREATED, draft).await?;
    if let Ok(value) = HeaderValue::from_str(group.as_str()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

/// Whether nothing has the path yet; a group is not made twice (§1.5).
fn is_free(snapshot: &Snapshot, group: &GroupId) -> Result<(), Refused> {
    let conflict = |text: String| Err(Box::new(reply::message(StatusCode::CONFLICT, &text)));
    if exists(snapshot, group) {
        return conflict(format!("Group {group} is already created. Use PUT to change this group."));
    }
    let Ok(id) = AppId::parse(group.as_str()) else { return Ok(()) };
    if snapshot.app(&id).is_some_and(|app| app.state.declared.is_some()) {
        return conflict(format!("An app with the path {group} already exists."));
    }
    if snapshot.shelf.pods.contains_key(&id) {
        return conflict(format!("A pod with the path {group} already exists."));
    }
    Ok(())
}

/// `PUT /v2/groups[/{id}]`: changes a group, or makes it; goes back to a version; or scales all that is in it.
pub(in crate::api) async fn put(api: &Api, id: &str, request: &Request) -> Response {
    answered(try_put(api, id, request).await)
}

async fn try_put(api: &Api, id: &str, request: &Request) -> Result<Response, Refused> {
    let path = parse(id).map_err(|()| {
        let text = format!("`{id}` is no id of a group");
        Box::new(Problems::invalid("/id", text).response())
    })?;
    let asked = asked(request)?;
    let group = match &asked {
        Asked::Update(update) => update.id_at(&path).map_err(|problems| Box::new(problems.response()))?,
        Asked::GoBack(_) | Asked::Scale(_) => path,
    };
    let draft = |snapshot: &Snapshot| {
        let draft = match &asked {
            Asked::Update(update) => Draft::update(api, snapshot, &group, update),
            Asked::Scale(factor) => Draft::scaled(api, snapshot, &group, *factor),
            Asked::GoBack(version) => {
                let (group, at) = known_version(snapshot, group.as_str(), version)?;
                Ok(Draft::as_of(snapshot, &group, at))
            }
        };
        draft.map_err(|problems| Box::new(problems.response()))
    };
    if !flag(request, "dryRun", false)? {
        return carry_out(api, request, StatusCode::OK, draft).await;
    }
    let snapshot = api.snapshots.latest();
    let deployment = draft(&snapshot)?.checked(&snapshot)?.deployment(&snapshot);
    Ok(reply::json(&json!({ "steps": deployments::steps(&deployment) })))
}

/// `PATCH /v2/groups/{id}`: whether a group at the top gives its apps its name for a role. What is declared already
/// keeps its role, so nothing is deployed.
pub(in crate::api) async fn patch(api: &Api, id: &str, request: &Request) -> Response {
    answered(try_patch(api, id, request).await)
}

async fn try_patch(api: &Api, id: &str, request: &Request) -> Result<Response, Refused> {
    let members = definition::object(request)?;
    let group = existing(&api.snapshots.latest(), id)?;
    if group.top().as_ref() != Some(&group) {
        let text = "only groups at the top, as `/prod`, can be patched";
        return Err(Box::new(Problems::invalid("/", text).response()));
    }
    let enforce_role = match members.get("enforceRole") {
        Some(Value::Bool(enforce_role)) => *enforce_role,
        None | Some(Value::Null) => {
            return Err(Box::new(Problems::shape("/enforceRole", "error.path.missing").response()));
        }
        Some(_) => {
            return Err(Box::new(Problems::shape("/enforceRole", "error.expected.jsboolean").response()));
        }
    };
    match change::carry_out(api, Command::EnforceRole(group, enforce_role)).await? {
        Answer::Refused(refusal) => Err(Box::new(change::refused(&refusal))),
        Answer::Done | Answer::Deployed { .. } => Ok(reply::empty(StatusCode::OK)),
    }
}

/// `DELETE /v2/groups[/{id}]`: all that is in it goes. The group of everything is emptied.
pub(in crate::api) async fn delete(api: &Api, id: &str, request: &Request) -> Response {
    let draft = |snapshot: &Snapshot| Ok(Draft::without(snapshot, &existing(snapshot, id)?));
    answered(carry_out(api, request, StatusCode::OK, draft).await)
}

/// Hands a draft in; one that was made from what is no longer so is made anew.
async fn carry_out(
    api: &Api,
    request: &Request,
    status: StatusCode,
    draft: impl Fn(&Snapshot) -> Result<Draft, Refused>,
) -> Result<Response, Refused> {
    let authority = authority(request)?;
    for _ in 0..TRIES {
        let snapshot = api.snapshots.latest();
        let edit = draft(&snapshot)?.checked(&snapshot)?.edit;
        let edit = Edit { authority: authority.clone(), ..edit };
        match change::carry_out(api, Command::Edit(Box::new(edit))).await? {
            Answer::Deployed { deployment, version } => {
                return Ok(change::deployed(status, deployment, version));
            }
            Answer::Done => return Ok(reply::empty(StatusCode::NO_CONTENT)),
            // Whatever it names has changed or gone meanwhile.
            Answer::Refused(Refusal::Stale(_) | Refusal::NoSuchApp(_) | Refusal::NoSuchPod(_)) => {}
            Answer::Refused(refusal) => return Err(Box::new(change::refused(&refusal))),
        }
    }
    Err(Box::new(change::contended()))
}

impl Draft {
    /// The draft, if it fits beside all else.
    fn checked(self, snapshot: &Snapshot) -> Result<Self, Refused> {
        let problems = beside::check(snapshot, &self.edit, |app| self.at(app));
        if problems.is_empty() { Ok(self) } else { Err(Box::new(problems.response())) }
    }
}

fn asked(request: &Request) -> Result<Asked, Refused> {
    let members = definition::object(request)?;
    GroupUpdate::read(&members).map_err(|problems| Box::new(problems.response()))
}

fn parse(id: &str) -> Result<GroupId, ()> {
    GroupId::resolve(id, &GroupId::root()).map_err(|_| ())
}

fn existing(snapshot: &Snapshot, id: &str) -> Result<GroupId, Refused> {
    let group = parse(id).ok().filter(|group| exists(snapshot, group));
    group.ok_or_else(|| Box::new(no_such_group(id)))
}

/// Whether there is such a group: that of everything always is.
fn exists(snapshot: &Snapshot, group: &GroupId) -> bool {
    let shelf = &snapshot.shelf;
    group.is_root()
        || shelf.groups.contains_key(group)
        || within(&shelf.groups, group).next().is_some()
        || within(&shelf.pods, group).next().is_some()
        || snapshot.apps_within(group).iter().any(|app| app.state.declared.is_some())
}

fn no_such_group(id: &str) -> Response {
    reply::not_found(&format!("Group '/{}' does not exist", id.trim_start_matches('/')))
}

fn answered(result: Result<Response, Refused>) -> Response {
    result.unwrap_or_else(|refused| *refused)
}
