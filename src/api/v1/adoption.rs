//! `GET /v1/adoption`: the tasks that the cluster runs and the store knows nothing of, and what adopting them would do.
//! `POST /v1/adoption` adopts them, `DELETE /v1/adoption` leaves them alone for ever.

use ekiden_model::input::{Command, FoundTask};
use ekiden_model::{Adoption, FrameworkId};
use http::StatusCode;
use serde_json::{Value, json};

use super::reasons;
use crate::api::Api;
use crate::api::reply::{self, Response};

/// What there is to be adopted, and what would become of it.
pub(in crate::api) fn show(api: &Api) -> Response {
    let snapshot = api.snapshots.latest();
    reply::json(&json!({
        "safeMode": snapshot.adoption.is_some(),
        "reason": snapshot.standstill.as_ref().map(reasons::one),
        "plan": snapshot.adoption.as_deref().map(plan),
    }))
}

/// The operator's word; the answer comes when it is taken in, and what it leads to shows in the plan.
pub(in crate::api) async fn say(api: &Api, command: Command) -> Response {
    let snapshot = api.snapshots.latest();
    let Some(adoption) = snapshot.adoption.as_deref() else {
        let text = "ekiden is not in safe mode: it knows whose every task is, and there is nothing to adopt";
        return reply::message(StatusCode::CONFLICT, text);
    };
    if let (Command::Adopt, Some(host)) = (&command, &adoption.connected_from) {
        let text = format!("a scheduler on {host} is connected as this framework: stop it first");
        return reply::message(StatusCode::CONFLICT, &text);
    }
    match api.requests.carry_out(command).await {
        Ok(_) => reply::json(&json!({ "plan": plan(adoption) })),
        Err(closing) => reply::message(StatusCode::SERVICE_UNAVAILABLE, &closing.to_string()),
    }
}

fn plan(adoption: &Adoption) -> Value {
    let tasks: Vec<Value> = adoption
        .tasks
        .iter()
        .map(|(found, fate)| {
            let mut task = task(found);
            task["fate"] = json!(fate.word());
            task
        })
        .collect();
    json!({
        "framework": adoption.framework.as_ref().map(FrameworkId::as_str),
        "connectedFrom": adoption.connected_from,
        "awaiting": adoption.awaiting,
        "ordered": adoption.is_ordered,
        "tasks": tasks,
    })
}

fn task(found: &FoundTask) -> Value {
    json!({
        "id": found.task.as_str(),
        "app": found.task.app().map(|app| app.to_string()),
        "state": found.condition.task_state(),
        "since": found.since.to_string(),
        "host": found.agent.hostname,
        "agent": found.agent.id.as_str(),
    })
}
