//! Ending tasks: `DELETE /v2/apps/{id}/tasks`, `…/tasks/{task}` and `POST /v2/tasks/delete` (§1.7).

use ekiden_model::edit::{Answer, KillTasks};
use ekiden_model::input::Command;
use ekiden_model::{AppState, Instance, TaskId};
use http::StatusCode;
use serde_json::{Value, json};

use super::apps::{apps_below, find_app};
use super::change::{self, authority, flag};
use super::definition::{self, Problems};
use super::tasks::task;
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};

/// What a handler ends with early.
type Refused = Box<Response>;

/// Ends all tasks of an app, or those on one host.
pub(in crate::api) async fn of_app(api: &Api, id: &str, request: &Request) -> Response {
    let on_host = |instance: &Instance| request.one("host").is_none_or(|host| *host == *instance.agent.hostname);
    let found: Vec<(TaskId, Value)> = {
        let snapshot = api.snapshots.latest();
        let apps = match id.strip_suffix('*') {
            Some(group) => apps_below(&snapshot, group),
            None => find_app(&snapshot, id).map(|app| vec![app]),
        };
        let Some(apps) = apps else { return reply::no_such_app(id) };
        apps.into_iter().flat_map(|app| living(&app.state, on_host)).collect()
    };
    let (tasks, shown): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    kill(api, request, tasks, json!({ "tasks": shown })).await
}

/// Ends one task of an app.
pub(in crate::api) async fn one(api: &Api, id: &str, task: &str, request: &Request) -> Response {
    let found = {
        let snapshot = api.snapshots.latest();
        let Some(app) = find_app(&snapshot, id) else { return reply::no_such_app(id) };
        living(&app.state, |_| true).find(|(known, _)| known.as_str() == task)
    };
    let Some((found, shown)) = found else { return reply::not_found(&format!("Task '{task}' does not exist")) };
    kill(api, request, vec![found], json!({ "task": shown })).await
}

/// Ends the tasks that the body names.
pub(in crate::api) async fn many(api: &Api, request: &Request) -> Response {
    let tasks = match named(request) {
        Ok(tasks) => tasks,
        Err(refused) => return *refused,
    };
    let found: Vec<(TaskId, Value)> = {
        let snapshot = api.snapshots.latest();
        let of = |wanted: &TaskId| {
            let app = snapshot.app(&wanted.app()?)?;
            living(&app.state, |_| true).find(|(known, _)| known == wanted)
        };
        tasks.iter().filter_map(of).collect()
    };
    let (tasks, shown): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    kill(api, request, tasks, json!({ "tasks": shown })).await
}

fn named(request: &Request) -> Result<Vec<TaskId>, Refused> {
    let wrong = |path: &str, error: &str| Box::new(Problems::shape(path, error).response());
    let body = definition::object(request)?;
    let Some(ids) = body.get("ids") else { return Err(wrong("/ids", "error.path.missing")) };
    let Some(ids) = ids.as_array() else { return Err(wrong("/ids", "error.expected.jsarray")) };
    let read = |(index, id): (usize, &Value)| {
        let Some(text) = id.as_str() else {
            return Err(wrong(&format!("/ids({index})"), "error.expected.jsstring"));
        };
        let task = TaskId::new(text);
        if task.instance().is_none() {
            let text = format!("`{text}` is no id of a task of this ekiden");
            return Err(Box::new(reply::message(StatusCode::BAD_REQUEST, &text)));
        }
        Ok(task)
    };
    ids.iter().enumerate().map(read).collect()
}

/// The tasks of an app that are not over.
fn living(app: &AppState, wanted: impl Fn(&Instance) -> bool) -> impl Iterator<Item = (TaskId, Value)> {
    app.instances
        .iter()
        .filter(move |instance| instance.condition.is_live() && wanted(instance))
        .map(|instance| (app.task_id(instance.key), task(app, instance)))
}

async fn kill(api: &Api, request: &Request, tasks: Vec<TaskId>, killed: Value) -> Response {
    match try_kill(api, request, tasks).await {
        Ok(Answer::Deployed { deployment, version }) => change::deployed(StatusCode::OK, deployment, version),
        Ok(Answer::Done) => reply::json(&killed),
        Ok(Answer::Refused(refusal)) => change::refused(&refusal),
        Err(refused) => *refused,
    }
}

async fn try_kill(api: &Api, request: &Request, tasks: Vec<TaskId>) -> Result<Answer, Refused> {
    let scale = flag(request, "scale", false)?;
    // There is nothing that outlives a task yet, so to wipe is to kill.
    if flag(request, "wipe", false)? && scale {
        let text = "You cannot use scale and wipe at the same time.";
        return Err(Box::new(reply::message(StatusCode::BAD_REQUEST, text)));
    }
    let authority = authority(request)?;
    change::carry_out(api, Command::Kill(KillTasks { tasks, scale, authority })).await
}
