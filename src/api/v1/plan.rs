//! `POST /v1/plan`: what would come of these manifests, or of the loss of these agents. Nothing is stored and nothing
//! started; whoever may read may ask.
//!
//! What differs is found as `ekiden plan` always did; where new instances would go, and how a rollout would, is what a
//! reconciler of the same world does when it is run forward ([`ekiden_reconciler::forecast`]).

mod asked;
mod comparison;
mod shown;

use std::time::Duration;

use ekiden_reconciler::forecast::{self, Change, Forecast};
use http::StatusCode;
use serde_json::{Value, json};

use self::asked::Asked;
use self::comparison::Comparison;
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::manifest::Diagnostic;
use crate::runtime::turn::Look;

/// How long somebody may wait for the forecasts of others.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// Answers with the changes and what would come of them.
pub(in crate::api) async fn foresee(api: &Api, request: &Request) -> Response {
    let look = match tokio::time::timeout(TURN_WITHIN, api.requests.look()).await {
        Ok(Ok(look)) => look,
        Ok(Err(closing)) => return reply::message(StatusCode::SERVICE_UNAVAILABLE, &closing.to_string()),
        Err(_) => {
            let text = "other plans are being made: ask again in a moment";
            return reply::message(StatusCode::SERVICE_UNAVAILABLE, text);
        }
    };
    let body = request.body.clone();
    match tokio::task::spawn_blocking(move || answer(&body, look)).await {
        Ok(Ok(answer)) => reply::json(&answer),
        Ok(Err(refusal)) => refusal.into(),
        Err(_) => {
            let text = "ekiden failed to make this plan: this is a bug, please report it with the manifests";
            reply::message(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

/// Why there is no plan.
#[derive(Debug)]
enum NoPlan {
    /// The body is none that can be read.
    Body(String),
    /// The manifests are wrong.
    Manifests(Vec<Diagnostic>),
    /// There is no such agent.
    Agent(String),
    /// Nobody could start from this world.
    World(String),
}

impl From<NoPlan> for Response {
    fn from(no: NoPlan) -> Self {
        match no {
            NoPlan::Body(text) => reply::message(StatusCode::BAD_REQUEST, &text),
            NoPlan::Manifests(found) => {
                let errors =
                    if found.len() == 1 { "1 error".to_owned() } else { format!("{} errors", found.len()) };
                let diagnostics: Vec<Value> = found.iter().map(Diagnostic::to_json).collect();
                let body =
                    json!({ "message": format!("the manifests are wrong: {errors}"), "diagnostics": diagnostics });
                reply::with_status(StatusCode::UNPROCESSABLE_ENTITY, &body)
            }
            NoPlan::Agent(name) => {
                let text =
                    format!("there is no agent `{name}`: name one by its id or its host, as `/v1/instances` does");
                reply::message(StatusCode::UNPROCESSABLE_ENTITY, &text)
            }
            NoPlan::World(text) => reply::message(StatusCode::INTERNAL_SERVER_ERROR, &text),
        }
    }
}

fn answer(body: &[u8], look: Look) -> Result<Value, NoPlan> {
    let asked = Asked::read(body)?;
    // The turn is kept until this is done, even if nobody waits for it any more.
    let Look { snapshot, outset, turn: _turn } = look;
    let comparison = Comparison::of(&asked, &snapshot);
    let lost = asked.lost_of(&outset.agents)?;
    let known = shown::Known::of(&outset, &snapshot, &lost);
    let apps = snapshot.apps();
    let outset = outset.with_apps(apps.iter().map(|app| &app.state));
    let change = Change { desired: comparison.desired.clone(), lost };
    let found = if snapshot.standstill.is_some() {
        // Nothing at all is done before somebody says whose the tasks are, so nothing can be foreseen.
        Forecast { complete: true, ..Forecast::default() }
    } else {
        forecast::forecast(outset, change).map_err(|error| NoPlan::World(error.to_string()))?
    };
    Ok(shown::plan(&comparison, &found, &known, &snapshot))
}
