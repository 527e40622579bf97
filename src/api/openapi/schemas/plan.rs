//! Plans: what is asked, and what would come of it.

use serde_json::Value;

use super::super::schema::{
    Member, closed, count, described, either, flag, list, map, named, nullable, number, object, path, port, text,
    time, word,
};

pub(super) fn all() -> Vec<Member> {
    vec![
        ("PlanAsked", asked()),
        ("Plan", described(plan(), "What would change, and where new instances would go.")),
        ("PlannedChange", change()),
        ("Outlook", described(outlook(), "What would become of an app's instances.")),
        ("WrongManifests", object([("message", text()), ("diagnostics?", list(named("Diagnostic")))])),
    ]
}

fn asked() -> Value {
    let apps = || list(named("App"));
    let body = closed([
        ("files?", described(nullable(map(text())), "Manifests, by their paths in the directory.")),
        ("apps?", described(nullable(apps()), "Apps, instead of files.")),
        ("prune?", described(flag(), "Whether what is declared now and not among them would go.")),
        ("lost?", described(list(text()), "Agents that would be gone, by id or host.")),
    ]);
    either([body, apps()])
}

fn plan() -> Value {
    let other = object([("app", path()), ("placement", nullable(named("Outlook")))]);
    let resources = object([("agents", count()), ("known", count()), ("since", nullable(time()))]);
    object([
        ("at", time()),
        ("revision", text()),
        ("summary", text()),
        ("changes", list(named("PlannedChange"))),
        ("others", described(list(other), "Apps that nobody changes, and of which something would become.")),
        ("lost", list(agent())),
        ("placementKnown", flag()),
        ("why", described(nullable(text()), "Why no placement is known.")),
        ("complete", described(flag(), "Whether it was foreseen to its end.")),
        ("resources", resources),
    ])
}

fn change() -> Value {
    let counted = |name| object([(name, object([("instances", nullable(count()))]))]);
    let kind = either([word(&["inPlace", "scale", "roll"]), counted("create"), counted("stop")]);
    object([
        ("app", path()),
        ("kind", kind),
        ("fields", list(named("FieldDiff"))),
        ("text", text()),
        ("diff", text()),
        ("owner", nullable(named("Source"))),
        ("source", nullable(named("Source"))),
        ("conflicts", list(text())),
        ("placement", nullable(named("Outlook"))),
    ])
}

fn outlook() -> Value {
    let taken = object(["cpus", "mem", "disk", "gpus"].map(|name| (name, number())));
    let start = object([
        ("slot", count()),
        ("agent", agent()),
        ("role", text()),
        ("resources", taken),
        ("ports", list(nullable(port()))),
        ("step", count()),
    ]);
    let stop = || {
        object([
            ("slot", count()),
            ("task", text()),
            ("agent", agent()),
            ("cause", nullable(text())),
            ("step", nullable(count())),
        ])
    };
    let round = object([("starts", count()), ("stops", count()), ("healthy", count())]);
    object([
        ("starts", list(start)),
        ("stops", list(stop())),
        ("lost", list(stop())),
        ("steps", list(round)),
        ("floor", nullable(count())),
        ("ceiling", nullable(count())),
        ("missing", count()),
        ("waitingFor", list(named("Reason"))),
    ])
}

fn agent() -> Value {
    object([("id", text()), ("host", text()), ("region", nullable(text())), ("zone", nullable(text()))])
}
