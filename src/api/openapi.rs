//! `GET /v1/openapi.json`: what all endpoints take and answer, as OpenAPI 3.1, for programs.
//!
//! Written from the table of routes. What an endpoint takes and answers is said in `endpoints`, beside nothing else; what
//! follows from its route, or is the same for all, is added here: methods, paths, credentials, answers that any request may
//! get. That it is all true is shown by tests/openapi.rs, which asks every route and holds its answers against this.

mod endpoints;
mod operation;
mod parameters;
mod schema;
mod schemas;

use std::sync::LazyLock;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::conditional;
use super::reply::{self, Response};
use super::route::{Need, ROUTES, Route, Verb};
use operation::Operation;
use schema::named;

const APPS: &str = "apps";
const GROUPS: &str = "groups";
const PODS: &str = "pods";
const TASKS: &str = "tasks";
const DEPLOYMENTS: &str = "deployments";
const QUEUE: &str = "queue";
const EVENTS: &str = "events";
const SERVER: &str = "server";
const EKIDEN: &str = "ekiden";
const OPERATE: &str = "operate";

/// What endpoints are about, in the order in which they are shown.
const TAGS: [(&str, &str); 10] = [
    (APPS, "Apps and their versions (Marathon)."),
    (GROUPS, "Groups: what apps and pods have in common in their paths (Marathon)."),
    (PODS, "Pods: kept and checked, and not run yet (Marathon)."),
    (TASKS, "Tasks: what runs (Marathon)."),
    (DEPLOYMENTS, "Deployments: what is under way (Marathon)."),
    (QUEUE, "The queue: what waits for a place (Marathon)."),
    (EVENTS, "What happens, as it happens (Marathon)."),
    (SERVER, "Who answers, and its numbers (Marathon)."),
    (EKIDEN, "What Marathon has no place for: apps in three tenses, their history, every change as it happens."),
    (OPERATE, "For the operator: the directory of manifests, tasks that were found, what is stored."),
];

const ABOUT: &str = "\
Marathon's API under `/v2`, ekiden's own under `/v1`.

Every `GET` answers `HEAD`, too, and every path `OPTIONS`, with the methods that it has. A path that there is not gets 404, a \
method that it does not have 405, both with `message`. Doubled and trailing slashes do not matter. Requests that are not \
well-formed HTTP get 400 or 431 without a body.

Objects under `/v2` have no other members than those named here, since some clients of Marathon refuse any. Objects under \
`/v1` may get more members in later versions.

Bodies are JSON of at most 32 MiB. Members that nobody knows are left out, so that what was shown can be sent back. \
`X-Marathon-Leader` on every answer says where this API is.";

/// The document.
pub(super) fn show() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    reply::with_body(StatusCode::OK, "application/json", TEXT.clone())
}

/// The document, as JSON.
pub fn document() -> Value {
    let tags: Vec<Value> = TAGS.iter().map(|(name, text)| json!({ "name": name, "description": text })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ekiden",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Keeps long-running applications running on Apache Mesos",
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths(),
        "components": {
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic", "description": "A name and its password." },
                "bearer": { "type": "http", "scheme": "bearer", "description": "A token." },
            },
            "headers": headers(),
            "responses": responses(),
            "schemas": schemas::all(),
        },
    })
}

fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for (index, route) in ROUTES.iter().enumerate() {
        let operations = paths.entry(shown_path(route)).or_insert_with(|| json!({}));
        operations[method(route.verb)] = operation(route).shown(&id(index, route), security(route));
    }
    paths
}

/// The path, as OpenAPI has it. It knows no parameter of several segments, so that clients send their slashes as `%2F`,
/// which is as good.
fn shown_path(route: &Route) -> String {
    route.path.replace("*}", "}")
}

const fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Head => "head",
        Verb::Post => "post",
        Verb::Put => "put",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
    }
}

/// The name of an operation: its endpoint's, `appTasks`. Where an endpoint is at several paths, all but the first say
/// which.
fn id(index: usize, route: &Route) -> String {
    let endpoint = format!("{:?}", route.endpoint);
    let (first, rest) = endpoint.split_at(1);
    let mut id = first.to_lowercase() + rest;
    if ROUTES[..index].iter().any(|before| before.endpoint == route.endpoint) {
        if route.path.contains("{id*}") {
            id.push_str("ById");
        } else {
            id.push_str("At");
            let segments = route.path.split('/').map(|segment| segment.trim_matches(['{', '}']));
            id.extend(segments.flat_map(|segment| {
                let (first, rest) = segment.split_at(segment.len().min(1));
                [first.to_uppercase(), rest.to_owned()]
            }));
        }
    }
    id
}

/// Which scope of credentials it takes. Without `--http-credentials-file` nobody is asked for any.
fn security(route: &Route) -> Value {
    let scope = match route.need() {
        Need::Nothing => return json!([]),
        Need::Read => "read",
        Need::Write => "write",
    };
    json!([{ "basic": [scope] }, { "bearer": [scope] }, {}])
}

/// What an endpoint says of itself, and what follows from its route.
fn operation(route: &Route) -> Operation {
    let names = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let in_path = names.map(|name| parameters::in_path(route.endpoint, name));
    let mut operation =
        endpoints::operation(route.endpoint).asks(in_path).shares(403, "Forbidden").shares(500, "Bug");
    if route.need() != Need::Nothing {
        operation =
            operation.shares(401, "Unauthorized").shares(429, "TooManyRequests").shares(503, "Unavailable");
    }
    if conditional::is_tagged(route.endpoint) {
        let held = parameters::header("If-None-Match", "The `ETag` of what the client has.");
        operation = operation.asks([held]).heads(200, &["ETag"]).shares(304, "NotModified");
    }
    match route.verb {
        Verb::Get | Verb::Head => operation,
        Verb::Post | Verb::Put | Verb::Patch | Verb::Delete => operation
            .shares(400, "BadRequest")
            .shares(408, "BodyTimeout")
            .shares(413, "TooLarge")
            .shares(415, "NotJson"),
    }
}

/// Headers of answers.
fn headers() -> Value {
    let header = |text: &str| json!({ "description": text, "schema": { "type": "string" } });
    let number = |text: &str| json!({ "description": text, "schema": { "type": "integer" } });
    json!({
        "Location": header("Where what was made is: its path; of a pod that goes, its deployment."),
        "Marathon-Deployment-Id": header("The deployment that was begun."),
        "Warning": header("That the pod is kept, and not run."),
        "ETag": header("What `If-None-Match` is to say when this is asked for again."),
        "Retry-After": number("In how many seconds to try again."),
        "WWW-Authenticate": header("Which credentials are taken."),
        "X-Ekiden-Offset": number("Where the piece begins."),
        "X-Ekiden-Size": number("How long the file is."),
    })
}

/// Answers that many endpoints have.
fn responses() -> Value {
    let refusal = |text: &str, headers: &[&str]| {
        let content = json!({ "application/json": { "schema": named("Error") } });
        let mut answer = json!({ "description": text, "content": content });
        for name in headers {
            answer["headers"][*name] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
        answer
    };
    json!({
        "BadRequest": refusal("The body is not what it must be, or ended early.", &[]),
        "Unauthorized": refusal("Credentials are needed.", &["WWW-Authenticate"]),
        "Forbidden": refusal(
            "These credentials may only read; or a page of another site asks; or more is not kept.",
            &[],
        ),
        "BodyTimeout": refusal("The body has not arrived in time.", &[]),
        "TooLarge": refusal("The body is too large.", &[]),
        "NotJson": refusal("The body is said to be something else than JSON.", &[]),
        "TooManyRequests": refusal("Too many wrong passwords from this address.", &["Retry-After"]),
        "Bug": refusal("A bug of ekiden's, which its log tells of.", &[]),
        "Unavailable": refusal("Too many requests are under way, or ekiden is about to end.", &["Retry-After"]),
        "NotModified": { "description": "It is what the client has.", "headers": {
            "ETag": { "$ref": "#/components/headers/ETag" },
        } },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All references in a value.
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_in_docs_is_the_one_that_is_served() {
        expectorate::assert_contents("docs/openapi.json", &format!("{:#}\n", document()));
    }

    #[test]
    fn every_row_of_the_table_is_described_under_a_name_of_its_own_and_nothing_else_is() {
        let document = document();
        let mut names = BTreeSet::new();
        for route in ROUTES {
            let operation = &document["paths"][shown_path(route)][method(route.verb)];
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name), "{name} twice");
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
            let good = |status: &String| status.starts_with('2');
            let answers = operation["responses"].as_object().expect("answers");
            let never = ["abdicate", "killPodInstance"].contains(&name);
            assert_eq!(answers.keys().any(good), !never, "{name}");
        }
        let paths = document["paths"].as_object().expect("paths");
        let described: usize = paths.values().filter_map(Value::as_object).map(Map::len).sum();
        assert_eq!(described, ROUTES.len());
    }

    #[test]
    fn what_is_referred_to_is_there_and_what_is_there_is_referred_to() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for target in &found {
            assert!(document.pointer(&target[1..]).is_some(), "{target}");
        }
        for kind in ["schemas", "responses", "headers"] {
            for name in document["components"][kind].as_object().expect("some").keys() {
                let target = format!("#/components/{kind}/{name}");
                assert!(found.contains(target.as_str()), "{target} is nowhere used");
            }
        }
    }
}
