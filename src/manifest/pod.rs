//! Pods (Marathon §2.7): what their fields mean for each other, and the definition with all defaults written out.
//!
//! Types, bounds and names of fields are checked by their shapes before that. No model of a pod is built: nothing runs
//! one yet. The definition is kept as JSON.

use std::collections::{BTreeMap, BTreeSet};

use ekiden_model::app::NetworkMode;
use ekiden_model::id::{AppId, GroupId};
use serde_json::{Value as Json, json};

use super::app;
use super::code::Code;
use super::fields::POD;
use super::filled;
use super::object::Object;
use super::schema;
use super::shapes::check_object;
use super::source::Source;
use super::tree::{Node, Span};

/// A pod's path and definition.
#[derive(Debug, Clone, PartialEq)]
pub struct PodDefinition {
    /// Its path.
    pub id: AppId,
    /// The definition, all defaults written out, with its absolute id and without a version.
    pub json: Json,
}

/// The maps that Marathon shows whether they were written or not.
const ALWAYS: [&str; 7] =
    ["scaling", "scheduling", "executorResources", "backoff", "upgrade", "placement", "unreachableStrategy"];

/// The JSON Schema of [`PodDefinition::json`].
pub(super) fn shown() -> Json {
    schema::filled(&POD, &ALWAYS)
}

/// The pod that `node` declares; nothing when something is wrong with it, which is noted.
pub(super) fn build(source: &mut Source<'_>, node: &Node, base: &GroupId) -> Option<PodDefinition> {
    check_object(source, &POD, node);
    let pod = Object::new(&POD, node)?;
    let id = id(source, pod, base);
    let mode = check(source, pod);
    let id = id?;
    let mut json = filled::object(&POD, Some(node), &ALWAYS);
    json["id"] = json!(id.as_str());
    if json["networks"].as_array().is_none_or(Vec::is_empty) {
        json["networks"] = json!([{ "mode": "host", "labels": {} }]);
    }
    for endpoint in endpoints_of(&mut json) {
        if mode != NetworkMode::Container && endpoint.get("hostPort").is_none() {
            endpoint["hostPort"] = json!(0);
        }
        if endpoint["protocol"].as_array().is_none_or(Vec::is_empty) {
            endpoint["protocol"] = json!(["tcp"]);
        }
    }
    Some(PodDefinition { id, json })
}

fn endpoints_of(pod: &mut Json) -> impl Iterator<Item = &mut Json> {
    let containers = pod.get_mut("containers").and_then(Json::as_array_mut).into_iter().flatten();
    containers.filter_map(|container| container.get_mut("endpoints")?.as_array_mut()).flatten()
}

fn id(source: &mut Source<'_>, pod: Object<'_>, base: &GroupId) -> Option<AppId> {
    let text = pod.text("id")?;
    match AppId::resolve(text, base) {
        Ok(id) => Some(id),
        Err(error) => {
            source
                .report(Code::BadId, pod.value_span("id"), format!("`{text}` is no id of a pod"))
                .hint(error.to_string());
            None
        }
    }
}

/// Checks what its parts mean for each other; says in which kind of network it is.
fn check(source: &mut Source<'_>, pod: Object<'_>) -> NetworkMode {
    let secrets: BTreeSet<&str> = pod.members("secrets").iter().map(|member| &*member.key).collect();
    environment(source, pod, &secrets);
    let networks = app::networks::read(source, pod);
    let containers = pod.objects("containers");
    unique(source, containers.iter().map(|container| (*container, "name")), "container");
    let volumes = volumes(source, pod, &secrets);
    let mut mounted: BTreeSet<&str> = BTreeSet::new();
    for container in &containers {
        environment(source, *container, &secrets);
        exec(source, *container);
        limits(source, pod, *container);
        checks(source, *container);
        for mount in container.objects("volumeMounts") {
            let Some(name) = mount.text("name") else { continue };
            if volumes.contains_key(name) {
                mounted.insert(name);
            } else {
                source
                    .report(Code::BadVolume, mount.value_span("name"), format!("the pod has no volume `{name}`"))
                    .hint("name one of the pod's `volumes`, or add it there");
            }
        }
    }
    for (name, span) in volumes.iter().filter(|(name, _)| !mounted.contains(*name)) {
        source
            .report(Code::BadVolume, *span, format!("no container mounts volume `{name}`"))
            .hint("mount it with `volumeMounts`, or remove it");
    }
    endpoints(source, &containers, networks.mode, &networks.names);
    if let Some(scheduling) = pod.object("scheduling") {
        app::unreachable(source, scheduling);
        for constraint in
            scheduling.object("placement").iter().flat_map(|placement| placement.objects("constraints"))
        {
            app::constraints::check_named(source, constraint);
        }
    }
    networks.mode
}

/// Reports the second of two texts in a member `name` that are the same.
fn unique<'n>(source: &mut Source<'_>, objects: impl Iterator<Item = (Object<'n>, &'static str)>, what: &str) {
    let mut first: BTreeMap<&str, Span> = BTreeMap::new();
    for (object, member) in objects {
        let Some(text) = object.text(member) else { continue };
        let span = object.value_span(member);
        match first.get(text) {
            Some(other) => {
                source
                    .report(Code::BadList, span, format!("two of this pod have the {what} {member} `{text}`"))
                    .related(*other, "the first")
                    .hint("give one of the two another name");
            }
            None => _ = first.insert(text, span),
        }
    }
}

/// Names that a shell takes, and secrets that there are.
fn environment(source: &mut Source<'_>, object: Object<'_>, secrets: &BTreeSet<&str>) {
    for member in object.members("environment") {
        let mut letters = member.key.chars();
        let first = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !first || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') || member.key.len() > 254 {
            let shown: String = member.key.chars().take(40).collect();
            source
                .report(Code::BadText, member.key_span, format!("`{shown}` cannot name a variable"))
                .hint("use letters, digits and `_`, not beginning with a digit, 254 at most");
        }
        let secret = member.value.get("secret").and_then(|secret| Some((secret.as_text()?, secret.span)));
        if let Some((name, span)) = secret.filter(|(name, _)| !secrets.contains(name)) {
            source
                .report(Code::BadText, span, format!("the pod has no secret `{name}`"))
                .hint("name one of the pod's `secrets`, or add it there");
        }
    }
}

fn exec(source: &mut Source<'_>, container: Object<'_>) {
    let Some(exec) = container.object("exec") else { return };
    let Some(command) = exec.object("command") else { return };
    one_command(source, command);
    if exec.has("overrideEntrypoint") && !exec.flag("overrideEntrypoint") && command.has("shell") {
        source
            .report(
                Code::Exclusive,
                exec.key_span("overrideEntrypoint"),
                "a shell cannot be an argument of the image's entry point",
            )
            .hint("write the command as `argv`, or set `overrideEntrypoint` to true");
    }
}

fn one_command(source: &mut Source<'_>, command: Object<'_>) {
    if command.has("shell") == command.has("argv") {
        source
            .report(Code::Exclusive, command.span(), "a command is exactly one of `shell` and `argv`")
            .hint("give one of the two");
    }
}

fn limits(source: &mut Source<'_>, pod: Object<'_>, container: Object<'_>) {
    let Some(limits) = container.object("resourceLimits") else { return };
    if pod.flag("legacySharedCgroups") {
        source
            .report(
                Code::Exclusive,
                container.key_span("resourceLimits"),
                "limits of a container whose memory the others may use",
            )
            .related(pod.key_span("legacySharedCgroups"), "said here")
            .hint("remove `legacySharedCgroups`, or the limits");
    }
    let Some(requests) = container.object("resources") else { return };
    for name in ["cpus", "mem"] {
        let (Some(limit), Some(request)) = (limits.number(name), requests.number(name)) else { continue };
        if limit < request {
            source
                .report(
                    Code::LimitBelowRequest,
                    limits.value_span(name),
                    format!("limit of `{name}` below the {request} that the container requests"),
                )
                .hint("raise the limit, or lower the request");
        }
    }
}

/// Each check asks for exactly one thing, and for an endpoint that the container has.
fn checks(source: &mut Source<'_>, container: Object<'_>) {
    let endpoints: BTreeSet<&str> =
        container.objects("endpoints").into_iter().filter_map(|endpoint| endpoint.text("name")).collect();
    for name in ["healthCheck", "check"] {
        let Some(check) = container.object(name) else { continue };
        let given: Vec<Object<'_>> =
            ["http", "tcp", "exec"].into_iter().filter_map(|kind| check.object(kind)).collect();
        let [asked] = given.as_slice() else {
            source
                .report(Code::BadCheck, container.key_span(name), "a check asks for exactly one thing")
                .hint("give exactly one of `http`, `tcp` and `exec`");
            continue;
        };
        if let Some(exec) = check.object("exec") {
            // One without a command is told of by its shape.
            if let Some(command) = exec.object("command") {
                one_command(source, command);
            }
        } else if let Some(endpoint) = asked.text("endpoint").filter(|endpoint| !endpoints.contains(endpoint)) {
            source
                .report(
                    Code::NoSuchPort,
                    asked.value_span("endpoint"),
                    format!("the container has no endpoint `{endpoint}`"),
                )
                .hint("name one of its `endpoints`, or add it there");
        }
    }
}

/// The volumes by their names, and where they stand.
fn volumes<'n>(source: &mut Source<'_>, pod: Object<'n>, secrets: &BTreeSet<&str>) -> BTreeMap<&'n str, Span> {
    let volumes = pod.objects("volumes");
    unique(source, volumes.iter().map(|volume| (*volume, "name")), "volume");
    for volume in &volumes {
        let kinds = ["host", "secret", "persistent"].into_iter().filter(|kind| volume.has(kind)).count();
        if kinds > 1 {
            source
                .report(Code::BadVolume, volume.span(), "a volume of two kinds")
                .hint("give at most one of `host`, `secret` and `persistent`; without, it is ephemeral");
        }
        if let Some(name) = volume.text("secret").filter(|name| !secrets.contains(name)) {
            source
                .report(Code::BadVolume, volume.value_span("secret"), format!("the pod has no secret `{name}`"))
                .hint("name one of the pod's `secrets`, or add it there");
        }
    }
    volumes.iter().filter_map(|volume| Some((volume.text("name")?, volume.value_span("name")))).collect()
}

fn endpoints(
    source: &mut Source<'_>,
    containers: &[Object<'_>],
    mode: NetworkMode,
    networks: &std::collections::HashSet<String>,
) {
    let endpoints: Vec<Object<'_>> =
        containers.iter().flat_map(|container| container.objects("endpoints")).collect();
    unique(source, endpoints.iter().map(|endpoint| (*endpoint, "name")), "endpoint");
    for name in ["containerPort", "hostPort"] {
        let mut first: BTreeMap<u32, Span> = BTreeMap::new();
        for endpoint in &endpoints {
            let Some(port) = endpoint.int(name).filter(|port| *port != 0) else { continue };
            if let Some(other) = first.insert(port, endpoint.value_span(name)) {
                source
                    .report(Code::PortClash, endpoint.value_span(name), format!("`{name}` {port} is taken twice"))
                    .related(other, "first here")
                    .hint("all containers of a pod share their ports: choose another one");
            }
        }
    }
    for endpoint in &endpoints {
        match (mode, endpoint.has("containerPort")) {
            (NetworkMode::Host, true) => {
                source
                    .report(
                        Code::PortsMisplaced,
                        endpoint.key_span("containerPort"),
                        "on the host's network no port is a container's own",
                    )
                    .hint("write `hostPort`, or join another network");
            }
            (NetworkMode::Bridge | NetworkMode::Container, false) => {
                source
                    .report(Code::PortsMisplaced, endpoint.span(), "an endpoint without `containerPort`")
                    .hint("add the port that the container listens on; 0 for one that is chosen");
            }
            _ => {}
        }
        for (name, span) in endpoint.texts("networkNames").filter(|(name, _)| !networks.contains(*name)) {
            source
                .report(Code::BadNetworks, span, format!("the pod joins no network `{name}`"))
                .hint("name one of the pod's `networks`, or add it there");
        }
    }
}
