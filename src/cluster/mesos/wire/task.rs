//! `TaskInfo`: a launch as Marathon writes it (§3), so that all that reads Mesos' state goes on reading it.

use std::time::Duration;

use ekiden_model::app::{Command, Fetch, Limit, Limits, NetworkMode, PortDefinition, Template};
use ekiden_model::effect::TaskLaunch;
use ekiden_model::port::Protocol;
use ekiden_model::{AgentId, Port};
use serde::Serialize;

use super::check::{CheckInfo, HealthCheckInfo};
use super::container::ContainerInfo;
use super::resources::{Reserved, Taken, taken};
use super::values::{Labels, Nanoseconds, Value, id};
use crate::cluster::environment;

/// The label that says which template a task runs, in 16 hexadecimal digits.
pub(super) const TEMPLATE_LABEL: &str = "ekiden.template";

/// The label that lists a task's host ports in the order of its app's ports, with `-` for one that is not mapped to the
/// host: `31005,-,31009`. Discovery information cannot say that.
pub(super) const PORTS_LABEL: &str = "ekiden.ports";

/// `TaskInfo`.
#[derive(Debug, Serialize)]
pub(super) struct TaskInfo<'a> {
    name: String,
    task_id: Value<&'a str>,
    agent_id: Value<&'a str>,
    resources: Vec<Taken>,
    #[serde(skip_serializing_if = "TaskLimits::is_empty")]
    limits: TaskLimits,
    command: CommandInfo<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<HealthCheckInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<CheckInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kill_policy: Option<KillPolicy>,
    labels: Labels,
    discovery: DiscoveryInfo<'a>,
}

/// `KillPolicy`.
#[derive(Debug, Serialize)]
pub(super) struct KillPolicy {
    grace_period: Nanoseconds,
}

impl KillPolicy {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace_period: grace.into() }
    }
}

#[derive(Debug, Serialize)]
struct TaskLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<Value<Bound>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem: Option<Value<Bound>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Bound {
    At(f64),
    /// As Mesos writes what JSON has no digits for.
    Infinity(&'static str),
}

/// `CommandInfo`.
#[derive(Debug, Serialize)]
pub(super) struct CommandInfo<'a> {
    shell: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    arguments: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uris: Vec<Uri<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
}

#[derive(Debug, Serialize)]
struct Uri<'a> {
    value: &'a str,
    extract: bool,
    executable: bool,
    cache: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_file: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Environment {
    variables: Vec<Variable>,
}

#[derive(Debug, Serialize)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct DiscoveryInfo<'a> {
    visibility: &'static str,
    name: String,
    ports: DiscoveredPorts<'a>,
}

#[derive(Debug, Serialize)]
struct DiscoveredPorts<'a> {
    ports: Vec<DiscoveredPort<'a>>,
}

#[derive(Debug, Serialize)]
struct DiscoveredPort<'a> {
    number: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    protocol: &'static str,
    labels: Labels,
}

impl<'a> TaskInfo<'a> {
    /// `pool` is what is reserved in the offers used up, less what the tasks before this one took.
    pub(super) fn new(launch: &'a TaskLaunch, prefix: &str, pool: &mut [Reserved]) -> Self {
        let app = &launch.app;
        let template = &*app.template;
        // Mesos makes one check per task; manifests declare no second one.
        let health_check = app.executor_checks().next();
        Self {
            name: app.id.task_name(),
            task_id: id(launch.task.as_str()),
            agent_id: id(AgentId::as_str(&launch.agent.id)),
            resources: taken(&launch.claim, &launch.role, pool),
            limits: TaskLimits::of(&template.limits),
            command: CommandInfo::of(launch, prefix),
            container: ContainerInfo::of(launch),
            health_check: health_check.map(|check| HealthCheckInfo::of(check, launch)),
            check: template.check.as_ref().map(|check| CheckInfo::of(check, launch)),
            kill_policy: app.kill_grace.map(KillPolicy::new),
            labels: labels(launch),
            discovery: DiscoveryInfo {
                visibility: "FRAMEWORK",
                name: app.id.task_name(),
                ports: DiscoveredPorts { ports: discovered(template, &launch.host_ports) },
            },
        }
    }
}

impl TaskLimits {
    fn of(limits: &Limits) -> Self {
        Self { cpus: Bound::of(limits.cpus), mem: Bound::of(limits.mem) }
    }

    fn is_empty(&self) -> bool {
        self.cpus.is_none() && self.mem.is_none()
    }
}

impl Bound {
    fn of(limit: Limit) -> Option<Value<Self>> {
        match limit {
            Limit::Request => None,
            Limit::Unlimited => Some(Value { value: Self::Infinity("Infinity") }),
            Limit::At(amount) => Some(Value { value: Self::At(amount.as_f64()) }),
        }
    }
}

impl<'a> CommandInfo<'a> {
    fn of(launch: &'a TaskLaunch, prefix: &str) -> Self {
        let template = &*launch.app.template;
        let variables = environment::of(launch, prefix).into_iter().map(|(name, value)| Variable { name, value });
        let command = match &template.command {
            Command::Shell(command) => Self::shell(command),
            Command::Image => Self::image(&[]),
            Command::Args(arguments) if has_image(template) => Self::image(arguments),
            // Without an image the first argument is the program, which Mesos wants to hear apart, too.
            Command::Args(arguments) => {
                Self { value: arguments.first().map(String::as_str), ..Self::image(arguments) }
            }
        };
        Self {
            user: template.user.as_deref(),
            uris: template.fetch.iter().map(Uri::of).collect(),
            environment: Some(Environment { variables: variables.collect() }),
            ..command
        }
    }

    /// A command by `/bin/sh -c`, and nothing else.
    pub(super) fn shell(command: &'a str) -> Self {
        Self { shell: true, value: Some(command), arguments: &[], user: None, uris: Vec::new(), environment: None }
    }

    /// What the image runs, with these arguments.
    fn image(arguments: &'a [String]) -> Self {
        Self { shell: false, value: None, arguments, user: None, uris: Vec::new(), environment: None }
    }
}

fn has_image(template: &Template) -> bool {
    template.container.as_ref().is_some_and(|container| container.image.is_some())
}

impl<'a> Uri<'a> {
    fn of(fetch: &'a Fetch) -> Self {
        Self {
            value: &fetch.uri,
            extract: fetch.extract,
            executable: fetch.executable,
            cache: fetch.cache,
            output_file: fetch.dest_path.as_deref(),
        }
    }
}

/// The app's labels, and beside them what a survey needs to take the task over when the store is lost.
fn labels(launch: &TaskLaunch) -> Labels {
    let own = launch.app.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
    let template = format!("{:016x}", launch.app.fingerprint().as_u64());
    let ports: Vec<String> = launch
        .host_ports
        .iter()
        .map(|port| port.map_or_else(|| "-".to_owned(), |port| port.to_string()))
        .collect();
    let ports = (!ports.is_empty()).then(|| (PORTS_LABEL.to_owned(), ports.join(",")));
    own.chain([(TEMPLATE_LABEL.to_owned(), template)]).chain(ports).collect()
}

/// A port of both protocols is told as two. One with no number on either side of the container cannot be told.
fn discovered<'a>(template: &'a Template, host_ports: &[Option<Port>]) -> Vec<DiscoveredPort<'a>> {
    let mut ports = Vec::new();
    for (index, definition) in template.ports.iter().enumerate() {
        let on_host = host_ports.get(index).copied().flatten();
        let Some(number) = on_host.or(definition.container_port) else { continue };
        let scope = if on_host.is_some() { "host" } else { "container" };
        for protocol in protocols(definition.protocol) {
            ports.push(DiscoveredPort {
                number: number.get(),
                name: definition.name.as_deref(),
                protocol,
                labels: port_labels(template, definition, scope),
            });
        }
    }
    ports
}

pub(super) fn protocols(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Tcp => &["tcp"],
        Protocol::Udp => &["udp"],
        Protocol::Both => &["udp", "tcp"],
    }
}

/// The port's own labels, whether its number is one of the host or of the container, and of which network it is.
fn port_labels(template: &Template, definition: &PortDefinition, scope: &str) -> Labels {
    let own = definition.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let named = template.networks.iter().filter(|network| network.mode == NetworkMode::Container);
    let mut networks = named.filter_map(|network| network.name.as_deref()).filter(|name| {
        definition.network_names.is_empty() || definition.network_names.iter().any(|wanted| wanted == name)
    });
    let network = (scope == "container").then(|| networks.next()).flatten();
    own.chain([("network-scope", scope)]).chain(network.map(|name| ("network-name", name))).collect()
}
