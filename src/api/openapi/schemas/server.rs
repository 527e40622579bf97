//! Who answers, its numbers, and how it refuses.

use serde_json::{Value, json};

use super::super::schema::{
    Member, closed, count, described, either, flag, list, map, named, nullable, number, object, path, port, text,
    uuid,
};

pub(super) fn all() -> Vec<Member> {
    vec![
        ("Error", described(error(), "Why a request was refused, and what to do about it.")),
        ("Info", described(info(), "Who answers.")),
        ("Index", index()),
        ("Metrics", metrics()),
        ("Histogram", histogram()),
    ]
}

fn error() -> Value {
    let detail = closed([("path", text()), ("errors", list(text()))]);
    let details = described(
        either([list(detail), text()]),
        "Where in the body something is wrong, and what; or why the body is no JSON.",
    );
    closed([
        ("message", text()),
        ("details?", details),
        ("hints?", described(list(text()), "The same in more words, where Marathon's say little.")),
        (
            "deployments?",
            described(list(closed([("id", uuid())])), "The deployments that lock what would change."),
        ),
        ("app?", described(path(), "The app that a file declares.")),
        ("file?", described(text(), "The file.")),
        ("line?", described(count(), "The line.")),
    ])
}

fn info() -> Value {
    closed([
        ("name", text()),
        ("version", described(text(), "The Marathon whose API this is.")),
        ("buildref", described(text(), "The ekiden that answers.")),
        ("elected", flag()),
        ("leader", text()),
        ("frameworkId", nullable(text())),
        ("marathon_config", map(json!({}))),
        ("zookeeper_config", map(json!({ "type": "null" }))),
        ("http_config", closed([("http_port", nullable(port())), ("https_port", nullable(port()))])),
    ])
}

fn index() -> Value {
    let route = object([("method", text()), ("path", text())]);
    object([("name", text()), ("version", text()), ("routes", list(route))])
}

fn metrics() -> Value {
    closed([
        ("version", text()),
        ("gauges", map(closed([("value", number())]))),
        ("counters", map(closed([("count", count())]))),
        ("histograms", map(named("Histogram"))),
        ("meters", closed([])),
        ("timers", closed([])),
    ])
}

fn histogram() -> Value {
    let names = ["max", "mean", "min", "p50", "p75", "p95", "p98", "p99", "p999", "stddev"];
    closed([("count", count())].into_iter().chain(names.map(|name| (name, number()))))
}
