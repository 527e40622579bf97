//! What all writes have in common: by what right, how they are handed in, and how their answers look (§1.1, §1.2).

use std::time::Duration;

use ekiden_model::edit::{Answer, Authority, OverrideAsked, Refusal};
use ekiden_model::input::Command;
use ekiden_model::{DeploymentId, Timestamp};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::clock::wall;
use crate::span;

/// An override holds no longer than this: what is to hold for longer belongs into the file.
const OVERRIDE_AT_MOST: Duration = Duration::from_secs(30 * 24 * 3600);

/// By what right a request changes things, as its query says: `force`, and `override` with `reason` and `expires`.
pub(super) fn authority(request: &Request) -> Result<Authority, Box<Response>> {
    Ok(Authority { by: request.who(), over: override_asked(request)?, force: flag(request, "force", false)? })
}

/// A parameter that is true or false; some clients write `True` (clients.md §2). Marathon takes the first of several.
pub(super) fn flag(request: &Request, name: &str, unless_given: bool) -> Result<bool, Box<Response>> {
    match request.one(name) {
        None => Ok(unless_given),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => {
            let text = format!("`{name}={text}`: write `true` or `false`");
            Err(Box::new(reply::message(StatusCode::BAD_REQUEST, &text)))
        }
    }
}

fn override_asked(request: &Request) -> Result<Option<OverrideAsked>, Box<Response>> {
    if !flag(request, "override", false)? {
        return Ok(None);
    }
    let wrong = |text: &str| Box::new(reply::message(StatusCode::UNPROCESSABLE_ENTITY, text));
    let Some(reason) = request.one("reason") else {
        return Err(wrong("an override needs a reason for those who find it: add `reason=…`"));
    };
    let Some(expires) = request.one("expires") else {
        return Err(wrong("an override ends by itself: add `expires=…`, as a span (`2h`) or as a time"));
    };
    let now = wall();
    let until = match (span::seconds(expires), expires.parse::<Timestamp>()) {
        (Ok(after), _) => now + after.min(OVERRIDE_AT_MOST + Duration::from_secs(1)),
        (Err(_), Ok(until)) => until,
        (Err(_), Err(_)) => {
            return Err(wrong(
                "`expires` is neither a span, as in `2h`, nor a time, as in `2026-11-20T18:00:00Z`",
            ));
        }
    };
    if until <= now || until.since(now) > OVERRIDE_AT_MOST {
        return Err(wrong("an override ends within 30 days: change the file if it is to hold for longer"));
    }
    Ok(Some(OverrideAsked { reason: reason.into(), until }))
}

/// Hands a command to the loop.
pub(in crate::api) async fn carry_out(api: &Api, command: Command) -> Result<Answer, Box<Response>> {
    let answer = api.requests.carry_out(command).await;
    answer.map_err(|closing| Box::new(reply::message(StatusCode::SERVICE_UNAVAILABLE, &closing.to_string())))
}

/// What a write is answered with whose change set is on its way.
pub(super) fn deployed(status: StatusCode, deployment: DeploymentId, version: Timestamp) -> Response {
    let body = json!({ "version": version.to_string(), "deploymentId": deployment.to_string() });
    with_deployment(reply::with_status(status, &body), deployment)
}

/// Some clients take the deployment from nowhere else (clients.md §8).
pub(super) fn with_deployment(mut response: Response, deployment: DeploymentId) -> Response {
    if let Ok(value) = HeaderValue::from_str(&deployment.to_string()) {
        response.headers_mut().insert("marathon-deployment-id", value);
    }
    response
}

/// Others changed the same again and again.
pub(super) fn contended() -> Response {
    let text = "what this change was made from kept changing: send it again";
    reply::message(StatusCode::CONFLICT, text)
}

/// What a write is answered with that was refused.
pub(in crate::api) fn refused(refusal: &Refusal) -> Response {
    let text = refusal.to_string();
    match refusal {
        Refusal::NoSuchApp(id) => reply::no_such_app(id.as_str()),
        Refusal::NoSuchPod(id) => reply::not_found(&format!("Pod '{id}' does not exist")),
        Refusal::NoSuchDeployment(id) => reply::not_found(&format!("DeploymentPlan '{id}' does not exist")),
        Refusal::Stale(_) => reply::message(StatusCode::CONFLICT, &text),
        Refusal::Locked(deployments) => {
            let locked = "App is locked by one or more deployments. Override with the option '?force=true'. View \
                          details at '/v2/deployments/<DEPLOYMENT_ID>'.";
            let ids: Vec<Value> = deployments.iter().map(|id| json!({ "id": id.to_string() })).collect();
            reply::with_status(StatusCode::CONFLICT, &json!({ "message": locked, "deployments": ids }))
        }
        Refusal::OwnedByFile { app, path, line } => {
            let text = format!(
                "{text}. To change it for a while all the same, add `?override=true&reason=…&expires=2h`: then it is \
                 shown as drift, and goes back to the file when that time is over or the file changes"
            );
            let body = json!({ "message": text, "app": app.as_str(), "file": path, "line": line });
            reply::with_status(StatusCode::CONFLICT, &body)
        }
        Refusal::CannotOverrideAway { app, path, line } => {
            let body = json!({ "message": text, "app": app.as_str(), "file": path, "line": line });
            reply::with_status(StatusCode::CONFLICT, &body)
        }
        Refusal::TooMany { .. } => reply::message(StatusCode::FORBIDDEN, &text),
    }
}
