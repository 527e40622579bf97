//! `docs/marathon-compatibility.md`: every endpoint, flag and field of Marathon's, and what it is here. The page is written
//! from the program's own tables, so that none of its claims can outlive the code: an endpoint is there if the table of
//! routes has it, a flag as its fate says, a field unless the reader refuses it.
//!
//! What the code cannot say is said here: which endpoints Marathon has, and in what something is better than there.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use http::Method;

use super::marathon::{FLAGS, Fate};
use crate::api::route::{Found, ROUTES, find};
use crate::manifest;

const HEAD: &str = "\
# Marathon's API, flags and fields

Everything that Marathon 1.11 has, and what it is here. *Same*: clients, scripts and definitions made for Marathon notice no
difference. *Better*: as there for whoever knows Marathon, and more. *Not yet*: asked for, it is refused with what to do
instead; nothing is taken and then ignored.

This page is written from the program's own tables by a test; what is said in it beyond them is in
`src/cli/compatibility.rs`. `tests/clients` drives clients that others wrote for Marathon against ekiden.

";

/// What is said of an endpoint that answers, and does not do yet what it is for, begins so.
const ANSWERS_ONLY: &str = "not yet: ";

/// Marathon's endpoints (§1 of its reference), with what is better about them, or why they are not there yet.
///
/// Paths are written as in the table of routes.
const ENDPOINTS: &[(&str, &str, &str)] = &[
    (
        "GET",
        "/",
        "the list of all that can be asked for, as a page for browsers; Marathon sends on to its user interface",
    ),
    ("GET", "/help", "the same list"),
    ("GET", "/ping", ""),
    ("GET", "/metrics", "not yet: the form is the same, the names of the numbers are ekiden's"),
    ("GET", "/metrics/prometheus", "not yet: the names of the numbers are ekiden's"),
    (
        "GET",
        "/config",
        "not yet: the settings are ekiden's own, by the names of their flags, each with where its value comes from",
    ),
    ("GET", "/logging", "loggers are ekiden's modules"),
    ("POST", "/logging", "loggers are ekiden's modules; also `off`"),
    (
        "GET",
        "/v2/apps",
        "answers 304 to whoever has it; `taskStats` is spelled as it is documented, not `tasksStats`",
    ),
    ("POST", "/v2/apps", "an app of a manifest is refused with its file and line, unless overridden for a while"),
    ("PUT", "/v2/apps", "`If-Match`; never 409 for a deployment under way: the newer change supersedes it"),
    ("PATCH", "/v2/apps", "as PUT"),
    ("GET", "/v2/apps/{id*}", "answers 304; an app below a group is found as `group/*`, as in Marathon"),
    ("PUT", "/v2/apps/{id*}", "as PUT of many; what no task notices restarts none"),
    ("PATCH", "/v2/apps/{id*}", "as PUT"),
    ("DELETE", "/v2/apps/{id*}", ""),
    ("POST", "/v2/apps/{id*}/restart", ""),
    ("GET", "/v2/apps/{id*}/versions", ""),
    ("GET", "/v2/apps/{id*}/versions/{version}", ""),
    ("GET", "/v2/apps/{id*}/tasks", "also as lines for `Accept: text/plain`, which Marathon 1.11 dropped"),
    ("DELETE", "/v2/apps/{id*}/tasks", ""),
    ("DELETE", "/v2/apps/{id*}/tasks/{task}", ""),
    ("GET", "/v2/groups", "says `enforceRole` only where it is so: clients raise on it"),
    ("GET", "/v2/groups/{id*}", "as above"),
    ("GET", "/v2/groups/apps", ""),
    ("GET", "/v2/groups/{id*}/apps", ""),
    ("GET", "/v2/groups/versions", ""),
    ("GET", "/v2/groups/{id*}/versions", ""),
    ("GET", "/v2/groups/versions/{version}", ""),
    ("GET", "/v2/groups/{id*}/versions/{version}", ""),
    ("POST", "/v2/groups", ""),
    ("POST", "/v2/groups/{id*}", ""),
    ("PUT", "/v2/groups", ""),
    ("PUT", "/v2/groups/{id*}", ""),
    ("PATCH", "/v2/groups/{id*}", ""),
    ("DELETE", "/v2/groups", ""),
    ("DELETE", "/v2/groups/{id*}", ""),
    ("GET", "/v2/deployments", ""),
    (
        "DELETE",
        "/v2/deployments/{id}",
        "turns round from where it stands; what still runs the former version stays",
    ),
    ("GET", "/v2/tasks", "also as lines for `Accept: text/plain`"),
    ("POST", "/v2/tasks/delete", ""),
    ("GET", "/v2/queue", "says `role` only of apps that name one: clients raise on it"),
    ("DELETE", "/v2/queue/{id*}/delay", ""),
    ("GET", "/v2/events", "each frame has an `id`, and whoever was cut off resumes with `Last-Event-ID`"),
    ("GET", "/v2/eventSubscriptions", "Marathon dropped it in 1.5"),
    ("POST", "/v2/eventSubscriptions", "Marathon dropped it in 1.5; off unless allowed"),
    ("DELETE", "/v2/eventSubscriptions", "Marathon dropped it in 1.5"),
    ("GET", "/v2/info", ""),
    ("GET", "/v2/leader", ""),
    (
        "DELETE",
        "/v2/leader",
        "not yet: refused with 409; one ekiden runs at a time, and to restart it does what is meant",
    ),
    ("GET", "/v2/plugins", "none: always an empty list"),
    ("GET", "/v2/pods", ""),
    ("POST", "/v2/pods", "not yet: validated, stored and answered, but not run, as the answer says"),
    ("GET", "/v2/pods/{id*}", ""),
    ("PUT", "/v2/pods/{id*}", "not yet: as POST"),
    ("DELETE", "/v2/pods/{id*}", ""),
    ("GET", "/v2/pods/::status", ""),
    ("GET", "/v2/pods/{id*}::status", ""),
    ("GET", "/v2/pods/{id*}::versions", ""),
    ("GET", "/v2/pods/{id*}::versions/{version}", ""),
    ("DELETE", "/v2/pods/{id*}::instances", ""),
    ("DELETE", "/v2/pods/{id*}::instances/{instance}", ""),
    ("POST", "/v2/artifacts", "Marathon dropped it in 1.5: name files where they are, in `fetch`"),
    ("GET", "/v2/schemas/app", "Marathon dropped it in 1.8; `manifests/schema` has one"),
];

/// Fields of ekiden's own, and those of Marathon's that do more here.
const BETTER_FIELDS: &[(&str, &str)] = &[
    ("labels", "a change restarts nothing"),
    (
        "dependencies",
        "a change restarts nothing; a dependency that is down holds its dependents' start back at any time",
    ),
    ("healthChecks", "a change of timing restarts nothing; many that turn unhealthy at once are left alone first"),
    ("upgradeStrategy", "a change restarts nothing"),
    ("instances", "a change during a rollout is followed at once"),
    ("placement", "ekiden's own"),
    ("rollout", "ekiden's own"),
];

/// Fields that are read, and refused for what they ask.
const REFUSED_FIELDS: &[(&str, &str, &str)] =
    &[("executor", "`//cmd` is taken; custom executors are not run", r#""executor": "/custom""#)];

/// Fields that nothing answers to yet, though the reader takes them.
const UNANSWERED_FIELDS: &[(&str, &str)] =
    &[("gpus", "0 is taken; Mesos offers ekiden no agents with graphics processors")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Better,
    NotYet,
}

impl Verdict {
    /// Same, unless there is something to say.
    fn of_what_is_there(how: &str) -> Self {
        if how.is_empty() { Self::Same } else { Self::Better }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Better => "better",
            Self::NotYet => "not yet",
        }
    }
}

struct Row {
    name: String,
    verdict: Verdict,
    how: String,
}

fn page() -> String {
    let mut text = HEAD.to_owned();
    let counted: Vec<(&str, &str, Vec<Row>)> = vec![
        ("Endpoints", "endpoint", endpoints()),
        ("Flags", "flag", flags()),
        ("Fields of an app", "field", fields()),
    ];
    text.push_str("| | same | better | not yet |\n|---|---|---|---|\n");
    for (title, _, rows) in &counted {
        let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        let counts = [Verdict::Same, Verdict::Better, Verdict::NotYet].map(count);
        let _ = writeln!(text, "| {title} | {} | {} | {} |", counts[0], counts[1], counts[2]);
    }
    for (title, kind, rows) in counted {
        let _ = write!(text, "\n## {title}\n\n| {kind} | here | |\n|---|---|---|\n");
        for Row { name, verdict, how } in rows {
            let how = how.replace('|', "\\|").replace('\n', " ");
            let _ = writeln!(text, "| `{name}` | *{}* | {how} |", verdict.text());
        }
    }
    text
}

fn all() -> Vec<Row> {
    [endpoints(), flags(), fields()].into_iter().flatten().collect()
}

fn endpoints() -> Vec<Row> {
    let marathons = ENDPOINTS.iter().map(|&(method, path, how)| {
        let (verdict, how) = match how.strip_prefix(ANSWERS_ONLY) {
            Some(how) => (Verdict::NotYet, how),
            None if is_there(method, path) => (Verdict::of_what_is_there(how), how),
            None => (Verdict::NotYet, how),
        };
        Row { name: format!("{method} {path}"), verdict, how: how.to_owned() }
    });
    let ours = ROUTES.iter().filter(|route| !is_marathons(route.verb.methods(), route.path)).map(|route| Row {
        name: format!("{} {}", route.verb.methods()[0], route.path),
        verdict: Verdict::Better,
        how: "ekiden's own".to_owned(),
    });
    marathons.chain(ours).collect()
}

fn is_there(method: &str, path: &str) -> bool {
    ROUTES.iter().any(|route| route.path == path && route.verb.methods().contains(&method))
}

fn is_marathons(methods: &[&str], path: &str) -> bool {
    ENDPOINTS.iter().any(|(method, known, _)| *known == path && methods.contains(method))
}

fn flags() -> Vec<Row> {
    FLAGS
        .iter()
        .map(|flag| {
            let (verdict, how) = match flag.fate {
                Fate::Kept => (Verdict::Same, String::new()),
                Fate::Needless(why) => (Verdict::Better, format!("not needed, and taken: {why}")),
                Fate::Missing(harmless, instead) => {
                    (Verdict::NotYet, super::flags_page::missing(harmless, instead))
                }
            };
            Row { name: format!("--{}", flag.name), verdict, how }
        })
        .collect()
}

fn fields() -> Vec<Row> {
    manifest::app_fields()
        .into_iter()
        .map(|field| {
            let refused = REFUSED_FIELDS.iter().find(|(name, ..)| *name == field.path).map(|(_, why, _)| *why);
            let unanswered = UNANSWERED_FIELDS.iter().find(|(name, _)| *name == field.path).map(|(_, why)| *why);
            let top = field.path.split(['.', '[']).next().unwrap_or_default();
            let better = BETTER_FIELDS
                .iter()
                .find(|(name, how)| *name == field.path || (*name == top && *how == "ekiden's own"));
            let (verdict, how) = if let Some(why) = field.later.or(refused).or(unanswered) {
                (Verdict::NotYet, why.to_owned())
            } else if let Some(why) = field.retired {
                (Verdict::Same, format!("refused, as there: {why}"))
            } else if let Some(modern) = field.legacy {
                (Verdict::Same, format!("a legacy form of `{modern}`, and shown as that"))
            } else {
                let how = better.map_or("", |(_, how)| how);
                (Verdict::of_what_is_there(how), how.to_owned())
            };
            Row { name: field.path, verdict, how }
        })
        .collect()
}

#[test]
fn the_table_of_compatibility_says_what_the_code_does() {
    expectorate::assert_contents("docs/marathon-compatibility.md", &page());
}

#[test]
fn what_is_not_yet_there_is_not_found_and_says_what_to_do() {
    for (method, path, how) in ENDPOINTS {
        let verb: Method = method.parse().expect("a method");
        let found = matches!(find(&verb, path), Found::Route(..));
        assert!(found || !how.starts_with(ANSWERS_ONLY), "{method} {path} does not even answer");
        assert_eq!(found, is_there(method, path), "{method} {path}");
    }
    for row in all() {
        assert!(row.verdict == Verdict::Same || !row.how.is_empty(), "{} says nothing", row.name);
    }
}

#[test]
fn nothing_of_the_code_is_missing_in_the_table_and_nothing_is_in_it_twice() {
    let rows = all();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), rows.len(), "a name is there twice");
    for route in ROUTES {
        // Marathon's and ours alike; `HEAD` comes with `GET`.
        let name = format!("{} {}", route.verb.methods()[0], route.path);
        assert!(names.contains(name.as_str()), "{name}");
    }
    let outside = ROUTES.iter().filter(|route| route.path.starts_with("/v2"));
    let strange: Vec<&str> =
        outside.filter(|route| !is_marathons(route.verb.methods(), route.path)).map(|route| route.path).collect();
    assert!(strange.is_empty(), "what is ours goes under /v1, not {strange:?}");
    for (name, _) in BETTER_FIELDS.iter().chain(UNANSWERED_FIELDS) {
        assert!(names.contains(name), "there is no field `{name}` any more");
    }
}

#[test]
fn fields_that_are_said_to_be_refused_are() {
    for (name, _, member) in REFUSED_FIELDS {
        let good = r#"{"id": "/a", "cmd": "true"}"#;
        let body = format!(r#"{{"id": "/a", "cmd": "true", {member}}}"#);
        let base = ekiden_model::GroupId::root();
        assert!(manifest::read_app_json(good.as_bytes(), &base).is_ok());
        assert!(manifest::read_app_json(body.as_bytes(), &base).is_err(), "`{name}` is taken");
    }
}
