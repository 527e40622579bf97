//! From the body of a request to declarations, and what is wrong with it in Marathon's words (§1.2).
//!
//! The rules for apps are those of manifests (`crate::manifest`), with one difference that clients rely on: members that
//! nobody knows are left out instead of refused, so that an app can be sent back as it was shown (§1.1, #2164).

use std::sync::Arc;

use ekiden_model::app::{App, PortDefinition, Template};
use ekiden_model::{GroupId, Port};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::api::Request;
use crate::api::reply::{self, Response};
use crate::manifest::{self, Code, Diagnostic, PodDefinition};

/// How often members that nobody knows are taken out of one definition: each reading tells of a hundred.
const PRUNINGS_MAX: usize = 10;

/// What is wrong with what was sent.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

#[derive(Debug)]
struct Problem {
    /// Where, as Marathon writes it: `/container/portMappings(0)/name`.
    path: String,
    /// What, as Marathon writes it.
    error: String,
    /// What to do about it, for people.
    hint: Option<String>,
    /// Whether it is no JSON of the right kind; otherwise it is, and cannot be meant.
    is_shape: bool,
}

impl Problems {
    /// One thing that cannot be meant.
    pub(super) fn invalid(path: impl Into<String>, error: impl Into<String>) -> Self {
        Self(vec![Problem { path: path.into(), error: error.into(), hint: None, is_shape: false }])
    }

    /// One thing that is of the wrong kind.
    pub(super) fn shape(path: impl Into<String>, error: impl Into<String>) -> Self {
        Self(vec![Problem { path: path.into(), error: error.into(), hint: None, is_shape: true }])
    }

    /// What a reading has found; `at` is where in the body the definition stands.
    pub(super) fn of(diagnostics: &[Diagnostic], at: &str) -> Self {
        Self(diagnostics.iter().map(|diagnostic| Problem::of(diagnostic, at)).collect())
    }

    /// Both.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As Marathon answers: 400 where something has the wrong shape, 422 where all is well-formed.
    pub(super) fn response(&self) -> Response {
        let mut details: Vec<(&str, Vec<&str>)> = Vec::new();
        for problem in &self.0 {
            match details.iter_mut().find(|(path, _)| *path == problem.path) {
                Some((_, errors)) => errors.push(&problem.error),
                None => details.push((&problem.path, vec![&problem.error])),
            }
        }
        let details: Vec<Value> =
            details.into_iter().map(|(path, errors)| json!({ "path": path, "errors": errors })).collect();
        let (status, message) = if self.0.iter().any(|problem| problem.is_shape) {
            (StatusCode::BAD_REQUEST, "Invalid JSON")
        } else {
            (StatusCode::UNPROCESSABLE_ENTITY, "Object is not valid")
        };
        let mut body = json!({ "message": message, "details": details });
        let hints: Vec<&str> = self.0.iter().filter_map(|problem| problem.hint.as_deref()).collect();
        if !hints.is_empty() {
            body["hints"] = json!(hints);
        }
        reply::with_status(status, &body)
    }
}

impl Problem {
    fn of(diagnostic: &Diagnostic, at: &str) -> Self {
        let path = match (at, diagnostic.field.as_str()) {
            ("", "") => "/".to_owned(),
            (at, field) => format!("{at}{field}"),
        };
        let message = &diagnostic.message;
        let text = diagnostic.hint.as_ref().map_or_else(|| message.clone(), |hint| format!("{message}: {hint}"));
        let (error, is_shape) = match diagnostic.code {
            Code::WrongType => (expected(message).to_owned(), true),
            Code::UnknownWord => ("error.unknown.enum.literal".to_owned(), true),
            Code::MissingField => ("error.path.missing".to_owned(), true),
            _ => (text.clone(), false),
        };
        Self { hint: is_shape.then(|| format!("{path}: {text}")), path, error, is_shape }
    }
}

/// Marathon's word for a value of the wrong type, from ours: `expected a number, found the text …`.
fn expected(message: &str) -> &'static str {
    let wanted = message.strip_prefix("expected ").unwrap_or(message);
    let kinds = [
        ("a whole number", "error.expected.jsnumber"),
        ("a number", "error.expected.jsnumber"),
        ("true or false", "error.expected.jsboolean"),
        ("a list", "error.expected.jsarray"),
        ("a text", "error.expected.jsstring"),
        ("`", "error.expected.jsstring"),
    ];
    let known = kinds.into_iter().find(|(ours, _)| wanted.starts_with(ours));
    known.map_or("error.expected.jsobject", |(_, marathons)| marathons)
}

/// The body as JSON.
pub(super) fn body(request: &Request) -> Result<Value, Box<Response>> {
    serde_json::from_slice(&request.body).map_err(|error| {
        let body = json!({ "message": "Invalid JSON", "details": error.to_string() });
        Box::new(reply::with_status(StatusCode::BAD_REQUEST, &body))
    })
}

/// The body as an object.
pub(super) fn object(request: &Request) -> Result<Map<String, Value>, Box<Response>> {
    match body(request)? {
        Value::Object(members) => Ok(members),
        _ => Err(Box::new(Problems::shape("/", "error.expected.jsobject").response())),
    }
}

/// The body as a list of objects.
pub(super) fn objects(request: &Request) -> Result<Vec<Map<String, Value>>, Box<Response>> {
    let wrong = |path: String, error: &str| Box::new(Problems::shape(path, error).response());
    let Value::Array(items) = body(request)? else {
        return Err(wrong("/".to_owned(), "error.expected.jsarray"));
    };
    let members = items.into_iter().enumerate().map(|(index, item)| match item {
        Value::Object(members) => Ok(members),
        _ => Err(wrong(format!("({index})"), "error.expected.jsobject")),
    });
    members.collect()
}

/// Reads an app; a relative id is resolved against `base`. `at` is where in the body it stands.
pub(super) fn read_app(definition: Map<String, Value>, base: &GroupId, at: &str) -> Result<Arc<App>, Problems> {
    read_known(definition, at, |body| manifest::read_app_json(body, base))
}

/// Reads a pod; a relative id is one below the root.
pub(super) fn read_pod(definition: Map<String, Value>) -> Result<PodDefinition, Problems> {
    read_known(definition, "", |body| manifest::read_pod_json(body, &GroupId::root()))
}

/// Reads what is left of a definition when members that nobody knows are taken out.
fn read_known<T>(
    definition: Map<String, Value>,
    at: &str,
    read: impl Fn(&[u8]) -> Result<T, Vec<Diagnostic>>,
) -> Result<T, Problems> {
    let mut definition = Value::Object(definition);
    for _ in 0..PRUNINGS_MAX {
        let diagnostics = match read(definition.to_string().as_bytes()) {
            Ok(read) => return Ok(read),
            Err(diagnostics) => diagnostics,
        };
        let unknown: Vec<&str> = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.code == Code::UnknownField)
            .map(|diagnostic| diagnostic.field.as_str())
            .collect();
        let pruned = unknown.iter().filter(|path| prune(&mut definition, path)).count();
        if pruned == 0 {
            return Err(Problems::of(&diagnostics, at));
        }
    }
    Err(Problems::invalid(if at.is_empty() { "/" } else { at }, "too many members that nobody knows"))
}

/// Takes out the member at `path`, as in `/container/portMappings(0)/extra`; says whether it was there.
fn prune(value: &mut Value, path: &str) -> bool {
    let Some((parents, name)) = path.rsplit_once('/') else { return false };
    let mut place = value;
    for part in parents.split('/').filter(|part| !part.is_empty()) {
        let (member, indices) = part.split_once('(').unwrap_or((part, ""));
        let Some(next) = place.get_mut(member) else { return false };
        place = next;
        for index in indices.split('(').filter_map(|index| index.trim_end_matches(')').parse::<usize>().ok()) {
            let Some(next) = place.get_mut(index) else { return false };
            place = next;
        }
    }
    place.as_object_mut().is_some_and(|members| members.shift_remove(name).is_some())
}

/// The definition of `app` with `update`'s members in place of its own: whole members, no deeper (§1.4).
///
/// A member in an old form replaces what it became: `ports` takes the place of `portDefinitions`.
pub(super) fn updated(app: &App, update: Map<String, Value>) -> Map<String, Value> {
    let mut definition = match manifest::app_to_json(app) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    // Marathon clears this where an update does not name it.
    definition.shift_remove("resourceLimits");
    let given = |name: &str| update.get(name).is_some_and(|value| !value.is_null());
    let docker = update.get("container").and_then(|container| container.get("docker"));
    let names_network =
        docker.is_some_and(|docker| docker.get("network").is_some_and(|network| !network.is_null()));
    let replaced: [(bool, &[&str]); 7] = [
        (given("ports"), &["portDefinitions"]),
        (given("uris"), &["fetch"]),
        (given("ipAddress"), &["networks", "portDefinitions"]),
        (names_network, &["networks", "portDefinitions"]),
        (given("cmd"), &["args"]),
        (given("args"), &["cmd"]),
        (leaves_host_network(&update), &["portDefinitions"]),
    ];
    for (_, names) in replaced.iter().filter(|(applies, _)| *applies) {
        for name in *names {
            definition.shift_remove(*name);
        }
    }
    for (name, value) in update {
        if !value.is_null() {
            definition.insert(name, value);
        }
    }
    definition
}

/// `app` without the service ports that we chose ourselves for `before`: they are shown as if they had been declared, and
/// come back with whatever is sent back as it was shown.
pub(super) fn without_leases(app: Arc<App>, before: &App, leased: &[Option<Port>]) -> Arc<App> {
    let ours = |port: &PortDefinition, (old, leased): (&PortDefinition, &Option<Port>)| {
        old.service_port.is_none()
            && port.service_port.is_some()
            && port.service_port == *leased
            && PortDefinition { service_port: None, ..port.clone() } == *old
    };
    let open = |ports: &[PortDefinition]| -> Vec<PortDefinition> {
        let mut chosen = before.template.ports.iter().zip(leased);
        let each = ports.iter().map(|port| match chosen.next() {
            Some(old) if ours(port, old) => PortDefinition { service_port: None, ..port.clone() },
            _ => port.clone(),
        });
        each.collect()
    };
    let ports = open(&app.template.ports);
    if ports == app.template.ports {
        return app;
    }
    let template = Arc::new(Template { ports, ..Template::clone(&app.template) });
    Arc::new(App { template, ..App::clone(&app) })
}

/// Whether an update puts the app on another network than the host's, where port definitions have no place.
fn leaves_host_network(update: &Map<String, Value>) -> bool {
    let networks = update.get("networks").and_then(Value::as_array);
    networks.is_some_and(|networks| networks.iter().any(|network| network["mode"] != "host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    fn read(value: Value) -> Result<Arc<App>, Problems> {
        read_app(members(value), &GroupId::root(), "")
    }

    async fn answer(problems: &Problems) -> (u16, Value) {
        let response = problems.response();
        let status = response.status().as_u16();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[test]
    fn members_that_nobody_knows_are_left_out_at_any_depth() {
        let app = read(json!({
            "id": "/web", "cmd": "sleep 1", "tasksRunning": 3, "deployments": [], "nonsense": { "a": 1 },
            "healthChecks": [{ "protocol": "HTTP", "mood": "good" }],
        }));
        assert_eq!(app.expect("a good app").health_checks.len(), 1);
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_in_marathons_words() {
        let wrong = read(json!({ "id": "/web", "cmd": "sleep 1", "cpus": "many" })).expect_err("a text");
        let (status, body) = answer(&wrong).await;
        assert_eq!((status, &body["message"]), (400, &json!("Invalid JSON")));
        assert_eq!(body["details"], json!([{ "path": "/cpus", "errors": ["error.expected.jsnumber"] }]));

        let wrong = read(json!({
            "id": "/web", "cmd": "x",
            "container": { "type": "DOCKER", "docker": { "image": "a", "network": "MOON" } },
        }));
        let (status, body) = answer(&wrong.expect_err("no network")).await;
        assert_eq!((status, &body["details"][0]["path"]), (400, &json!("/container/docker/network")));
        assert_eq!(body["details"][0]["errors"], json!(["error.unknown.enum.literal"]));

        let (status, body) = answer(&read(json!({ "id": "/web" })).expect_err("nothing to run")).await;
        assert_eq!((status, &body["message"]), (422, &json!("Object is not valid")));
        assert!(body["details"][0]["path"].is_string() && body["details"][0]["errors"].is_array(), "{body}");
    }

    #[test]
    fn an_update_replaces_whole_members_and_old_forms_replace_new_ones() {
        let app = read(json!({
            "id": "/web", "cmd": "sleep 1", "env": { "A": "1", "B": "2" },
            "portDefinitions": [{ "port": 9000, "name": "http" }],
        }))
        .expect("a good app");
        let update = |value: Value| read_app(updated(&app, members(value)), &GroupId::root(), "");
        let next = update(json!({ "env": { "C": "3" }, "instances": 4 })).expect("a good update");
        assert_eq!((next.template.env.len(), next.instances), (1, 4));
        let next = update(json!({ "ports": [9001, 9002] })).expect("the old form");
        assert_eq!(next.template.ports.len(), 2);
        let next = update(json!({ "ports": null, "uris": null })).expect("nulls say nothing");
        assert_eq!(next, app);
        let next = update(json!({ "args": ["sleep", "1"] })).expect("args instead of cmd");
        assert_eq!(next.template.command, ekiden_model::app::Command::Args(vec!["sleep".into(), "1".into()]));
    }
}
