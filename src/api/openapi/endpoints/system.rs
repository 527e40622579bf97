//! Whether we are there, who we are, and our numbers (§1.3, §1.10).

use serde_json::json;

use super::super::operation::Operation;
use super::super::schema::{closed, count, list, map, named, nullable, object, text, word};
use super::super::{EKIDEN, SERVER};
use crate::telemetry::{LEVELS, TEXT_CONTENT_TYPE};

pub(super) fn index() -> Operation {
    Operation::new(SERVER, "Everything there is, for people who look around.")
        .gives(200, "The routes.", named("Index"))
        .gives_as(200, "", "text/html", text())
}

pub(super) fn ping() -> Operation {
    Operation::new(SERVER, "Whether ekiden is there.")
        .note("For load balancers: nobody is asked for credentials, and no number of other requests holds it up.")
        .gives(200, "It is.", json!({ "const": "pong" }))
        .gives_as(200, "", "text/plain", text())
        .gives_nothing(204, "It is, and the client takes neither text nor JSON.")
}

pub(super) fn metrics() -> Operation {
    Operation::new(SERVER, "Numbers, as Marathon shows its own; as text for who asks for text.")
        .gives(200, "The numbers.", named("Metrics"))
        .gives_as(200, "", metrics_kind(), text())
}

pub(super) fn metrics_text() -> Operation {
    Operation::new(SERVER, "Numbers, for Prometheus.").gives_as(200, "The numbers.", metrics_kind(), text())
}

fn metrics_kind() -> &'static str {
    TEXT_CONTENT_TYPE.split(';').next().unwrap_or_default()
}

pub(super) fn config() -> Operation {
    let setting =
        closed([("value", nullable(text())), ("from", word(&["flag", "variable", "file", "default", "not set"]))]);
    Operation::new(SERVER, "Every setting, and where its value comes from; secrets are not shown.").gives(
        200,
        "The settings, by the names of their flags.",
        map(setting),
    )
}

pub(super) fn logging() -> Operation {
    Operation::new(SERVER, "How much is logged.")
        .gives(200, "The level of each logger that has one of its own, and of `ROOT`.", map(text()))
        .then(no_log)
}

pub(super) fn change_logging() -> Operation {
    let seconds = json!({ "type": "integer", "minimum": 1, "maximum": 604_800 });
    let body = object([("logger", text()), ("level", word(&LEVELS)), ("durationSeconds?", nullable(seconds))]);
    Operation::new(SERVER, "Gives a logger another level; for a while, if `durationSeconds` says so.")
        .takes(body)
        .gives(
            200,
            "The level that it has now.",
            closed([("logger", text()), ("level", text()), ("durationSeconds?", count())]),
        )
        .refuses(400, "The body is no such JSON.")
        .refuses(422, "There is no such level, or that is no logger.")
        .then(no_log)
}

fn no_log(operation: Operation) -> Operation {
    operation.refuses(404, "This process has no log.")
}

pub(super) fn info() -> Operation {
    Operation::new(SERVER, "Who answers, and with which settings.").gives(200, "The settings.", named("Info"))
}

pub(super) fn leader() -> Operation {
    let leader = closed([("leader", text())]);
    Operation::new(SERVER, "Who leads.").gives(200, "Where the leader is, as `host:port`.", leader)
}

pub(super) fn abdicate() -> Operation {
    Operation::new(SERVER, "Refused: one ekiden runs at a time, and nobody would take over.")
        .refuses(409, "Nobody would take over.")
}

pub(super) fn plugins() -> Operation {
    let plugins = closed([("plugins", list(json!({})))]);
    Operation::new(SERVER, "What was plugged in: nothing.").gives(200, "An empty list.", plugins)
}

pub(super) fn openapi() -> Operation {
    Operation::new(EKIDEN, "This document.").gives(200, "The document.", json!({ "type": "object" }))
}
