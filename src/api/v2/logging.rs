//! How much we log: `GET /logging`, and changing it, for good or for a while, by `POST /logging` (§1.3).

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::definition::{self, Problems};
use crate::api::Request;
use crate::api::reply::{self, Response};
use crate::telemetry::levels;

/// Whoever wants a level for longer gives no duration.
const SECONDS_MAX: u64 = 7 * 24 * 3600;

/// What a handler ends with early.
type Refused = Box<Response>;

/// The level of each logger that has one of its own.
pub(in crate::api) fn show() -> Response {
    levels().map_or_else(no_log, |levels| reply::json(&levels.shown()))
}

/// Gives a logger another level, for `durationSeconds` if they are given.
pub(in crate::api) fn change(request: &Request) -> Response {
    try_change(request).unwrap_or_else(|refused| *refused)
}

fn try_change(request: &Request) -> Result<Response, Refused> {
    let members = definition::object(request)?;
    let text = |name: &str| {
        let problem = |error: &str| Box::new(Problems::shape(format!("/{name}"), error).response());
        let value = members.get(name).ok_or_else(|| problem("error.path.missing"))?;
        value.as_str().ok_or_else(|| problem("error.expected.jsstring"))
    };
    let (logger, level) = (text("logger")?, text("level")?);
    let seconds = match members.get("durationSeconds") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let seconds = value.as_u64().filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
            let wrong = || {
                let text = format!("write whole seconds, from 1 to {SECONDS_MAX}, or leave it out");
                Box::new(Problems::invalid("/durationSeconds", text).response())
            };
            Some(seconds.ok_or_else(wrong)?)
        }
    };
    let Some(levels) = levels() else { return Ok(no_log()) };
    let change = levels.change(logger, level).map_err(|error| {
        let text = error.to_string();
        Box::new(reply::message(StatusCode::UNPROCESSABLE_ENTITY, &text))
    })?;
    tracing::info!(logger, level, ?seconds, who = request.who().as_deref(), "logging changed");
    if let Some(seconds) = seconds {
        // Bounded by the number of changes that are kept: one that is over finds a newer one and leaves it.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            levels.take_back(&change);
        });
    }
    let mut answer = json!({ "logger": logger, "level": level });
    if let Some(seconds) = seconds {
        answer["durationSeconds"] = json!(seconds);
    }
    Ok(reply::json(&answer))
}

fn no_log() -> Response {
    reply::not_found("this process has no log")
}
