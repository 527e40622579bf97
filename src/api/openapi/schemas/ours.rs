//! What `/v1` shows. Later versions may show more, so that these objects are not closed.

use serde_json::{Value, json};

use super::super::schema::{
    Member, count, described, either, flag, list, map, named, nullable, number, object, path, port, text, time,
    uuid, word,
};

pub(super) fn all() -> Vec<Member> {
    vec![
        ("AppsInBrief", apps_in_brief()),
        ("AppInBrief", described(object(brief()), "An app, in a line.")),
        ("AppStatus", described(object(status()), "Everything about an app that is its own.")),
        ("AppStatusNow", app_status_now()),
        ("Condition", described(condition(), "A standing question, and its answer.")),
        ("Source", described(source(), "Where a declaration comes from.")),
        ("Provenance", provenance()),
        ("Commit", object([("hash", text()), ("author", text())])),
        ("Drift", drift()),
        ("FieldDiff", field_diff()),
        ("AppTarget", app_target()),
        ("Instance", instance()),
        (
            "Instances",
            object([("at", time()), ("instances", list(named("Instance"))), ("next", nullable(text()))]),
        ),
        ("Failure", failure()),
        ("Reason", described(reason(), "What something waits for.")),
        ("AppHistory", app_history()),
        ("HistoryEntry", history_entry()),
        ("WatchLine", watch_line()),
        ("Cluster", cluster()),
        ("Status", server_status()),
        ("Directory", directory()),
        ("Diagnostic", diagnostic()),
        ("Adoption", adoption()),
        ("AdoptionPlan", adoption_plan()),
    ]
}

fn apps_in_brief() -> Value {
    let app = object(brief().into_iter().chain([("definition?", named("AppDefinition"))]));
    object([
        ("at", time()),
        ("revision", described(text(), "From which `GET /v1/watch` can go on.")),
        ("apps", list(app)),
        ("agents", count()),
        ("next", described(nullable(path()), "The `after` of the next page.")),
    ])
}

fn phase() -> Value {
    word(&["stopping", "waiting", "rolling", "paused", "failed", "rolling back", "running", "recovering"])
}

fn counts() -> Value {
    object(["staged", "running", "healthy", "unhealthy"].map(|name| (name, count())))
}

fn brief() -> Vec<Member> {
    vec![
        ("id", path()),
        ("instances", described(count(), "How many are wanted.")),
        ("counts", counts()),
        ("phase", phase()),
        ("version", nullable(time())),
        ("source", nullable(named("Source"))),
        ("overridden", flag()),
        ("deployment", nullable(uuid())),
        ("waitingFor", list(text())),
    ]
}

fn status() -> Vec<Member> {
    let spec = object([
        ("source", named("Source")),
        ("version", time()),
        ("lastScalingAt", time()),
        ("lastConfigChangeAt", time()),
        ("definition", named("AppDefinition")),
    ]);
    let observed = object([
        ("counts", counts()),
        ("instances", list(named("Instance"))),
        ("lastFailure", nullable(named("Failure"))),
    ]);
    vec![
        ("id", path()),
        ("phase", phase()),
        ("conditions", list(named("Condition"))),
        ("spec", nullable(spec)),
        ("provenance", nullable(named("Provenance"))),
        ("drift", nullable(named("Drift"))),
        ("deployment", nullable(uuid())),
        ("target", named("AppTarget")),
        ("observed", observed),
        ("waitingFor", list(named("Reason"))),
    ]
}

fn app_status_now() -> Value {
    let now = [("at", time()), ("revision", text()), ("settled", flag())];
    described(object(status().into_iter().chain(now)), "Everything about an app, at this moment.")
}

fn condition() -> Value {
    object([
        ("type", word(&["Available", "Progressing", "Degraded", "Overridden"])),
        ("status", flag()),
        ("reason", text()),
        ("since", nullable(time())),
        ("message", text()),
    ])
}

fn source() -> Value {
    let file = object([("kind", json!({ "const": "file" })), ("path", text()), ("line", count())]);
    either([file, object([("kind", json!({ "const": "api" }))])])
}

fn provenance() -> Value {
    object([
        ("kind", word(&["file", "api"])),
        ("path?", text()),
        ("line?", count()),
        ("by", nullable(text())),
        ("commit", nullable(named("Commit"))),
        ("contentHash?", nullable(text())),
        ("stale?", flag()),
        ("directory?", text()),
    ])
}

fn drift() -> Value {
    object([
        ("reason", text()),
        ("by", nullable(text())),
        ("since", time()),
        ("until", time()),
        ("fields", list(named("FieldDiff"))),
        ("diff", text()),
    ])
}

fn field_diff() -> Value {
    object([
        ("field", text()),
        ("takes", word(&["inPlace", "scale", "roll"])),
        ("old", nullable(text())),
        ("new", nullable(text())),
    ])
}

fn app_target() -> Value {
    let standing = object([("kind", word(&["unproven", "proven", "failed"])), ("at?", time())]);
    let revision =
        object([("revision", count()), ("version", time()), ("instances", count()), ("standing", standing)]);
    let rollout = object([("to", count()), ("phase", phase()), ("since", time()), ("progressAt", time())]);
    let backoff = object([("failures", count()), ("delaySeconds", number()), ("until", nullable(time()))]);
    object([
        ("instances", count()),
        ("revisions", list(revision)),
        ("rollout", nullable(rollout)),
        ("servicePorts", list(nullable(port()))),
        ("backoff", backoff),
    ])
}

fn instance() -> Value {
    let kill = object([("cause", text()), ("at", time()), ("sentAt", time())]);
    object([
        ("app", path()),
        ("slot", count()),
        ("incarnation", count()),
        ("task", text()),
        ("revision", count()),
        ("goal", word(&["running", "stopped", "decommissioned"])),
        ("state", text()),
        ("since", time()),
        ("stagedAt", time()),
        ("startedAt", nullable(time())),
        ("health", word(&["unknown", "healthy", "unhealthy", "condemned"])),
        ("ready", nullable(flag())),
        ("host", text()),
        ("agent", text()),
        ("ports", list(nullable(port()))),
        ("kill", nullable(kill)),
        ("message", nullable(text())),
    ])
}

fn failure() -> Value {
    object([
        ("at", time()),
        ("task", text()),
        ("revision", count()),
        ("host", text()),
        ("state", text()),
        ("message", text()),
        ("cause", word(&["app", "infrastructure"])),
    ])
}

fn reason() -> Value {
    object([
        ("kind", described(text(), "What kind of reason; `details` has its numbers.")),
        ("text", text()),
        ("details", map(json!({}))),
    ])
}

fn app_history() -> Value {
    object([
        ("at", time()),
        ("id", path()),
        ("gone", flag()),
        ("versions", list(named("HistoryEntry"))),
        ("next", described(nullable(time()), "The `after` of the next page.")),
    ])
}

fn history_entry() -> Value {
    let kinds = ["declared", "restarted", "scaled", "rolledBack", "overridden", "overrideOver", "withdrawn"];
    let cause = object([
        ("kind", word(&kinds)),
        ("source", named("Source")),
        ("by", nullable(text())),
        ("commit", nullable(named("Commit"))),
        ("of?", uuid()),
        ("until?", time()),
        ("reason?", text()),
    ]);
    let outcome = object([
        ("state", word(&["underWay", "complete", "failed", "superseded"])),
        ("at?", time()),
        ("reason?", text()),
    ]);
    object([
        ("version", time()),
        ("cause", cause),
        ("deployment", uuid()),
        ("outcome", outcome),
        ("changes", list(named("FieldDiff"))),
        ("diff", nullable(text())),
    ])
}

fn watch_line() -> Value {
    let told = |kind: &'static str, members: Vec<Member>| {
        object([("type", json!({ "const": kind })), ("revision?", text())].into_iter().chain(members))
    };
    either([
        told("app", vec![("id", path()), ("app", either([named("AppInBrief"), named("AppStatus")]))]),
        told("gone", vec![("id", path())]),
        told("deployment", vec![("id", uuid()), ("deployment", named("Deployment"))]),
        told("deploymentGone", vec![("id", uuid())]),
        told("cluster", vec![("cluster", named("Cluster"))]),
        told("synced", vec![("deployments?", list(uuid()))]),
        told("bookmark", vec![]),
        told("expired", vec![("message", text())]),
    ])
}

fn cluster() -> Value {
    object([
        ("connected", flag()),
        ("since", nullable(time())),
        ("framework", nullable(text())),
        ("settled", flag()),
        ("safeMode", nullable(named("Reason"))),
    ])
}

fn server_status() -> Value {
    let connection = object([
        ("state", word(&["not wanted yet", "trying", "subscribed"])),
        ("what?", text()),
        ("master?", text()),
        ("since?", time()),
    ]);
    let cluster = object([
        ("name", nullable(text())),
        ("framework", nullable(text())),
        ("masters", nullable(text())),
        ("connected", flag()),
        ("since", nullable(time())),
        ("connection", nullable(connection)),
        ("agents", count()),
    ]);
    let directory =
        object([("root", text()), ("files", count()), ("errors", count()), ("pendingPrune", nullable(text()))]);
    object([
        ("at", time()),
        ("version", text()),
        ("cluster", cluster),
        ("settled", flag()),
        ("waitsFor", nullable(text())),
        ("safeMode", nullable(named("Reason"))),
        ("apps", count()),
        ("tasks", count()),
        ("directory", directory),
    ])
}

fn directory() -> Value {
    let pending = object([("apps", list(path())), ("of", count()), ("text", text())]);
    let following = object([("by", word(&["events", "polling"])), ("because?", text())]);
    let scan = object([("at", time()), ("tookSeconds", number())]);
    object([
        ("root", text()),
        ("files", count()),
        ("apps", count()),
        ("diagnostics", list(named("Diagnostic"))),
        ("stale", list(text())),
        ("pendingPrune", nullable(pending)),
        ("following", following),
        ("lastScan", nullable(scan)),
    ])
}

fn diagnostic() -> Value {
    let related = object([("file", text()), ("line", count()), ("column", count()), ("message", text())]);
    object([
        ("code", described(text(), "As in docs/errors: `E0102`.")),
        ("message", text()),
        ("hint", nullable(text())),
        ("file", text()),
        ("line", count()),
        ("column", count()),
        ("field", text()),
        ("related", list(related)),
    ])
}

fn adoption() -> Value {
    object([
        ("safeMode", flag()),
        ("reason", nullable(named("Reason"))),
        ("plan", nullable(named("AdoptionPlan"))),
    ])
}

fn adoption_plan() -> Value {
    let task = object([
        ("id", text()),
        ("app", nullable(path())),
        ("state", text()),
        ("since", time()),
        ("host", text()),
        ("agent", text()),
        ("fate", word(&["kept", "replaced", "ended", "leftAlone"])),
    ]);
    object([
        ("framework", nullable(text())),
        ("connectedFrom", nullable(text())),
        ("awaiting", nullable(text())),
        ("ordered", flag()),
        ("tasks", list(task)),
    ])
}
