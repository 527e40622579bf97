//! An app as Marathon's API shows it: modern fields, all defaults written out.
//!
//! Clients raise on members they do not know, so what is Marathon's is exactly Marathon's, and what is ours appears
//! only where it was set. Lists and maps appear even when empty; clients subscript them without asking. Deprecated
//! members and `acceptedResourceRoles` that nobody set do not appear: infrastructure-as-code tools would see a change.

use std::time::Duration;

use ekiden_model::app::{
    App, Capacity, CheckAddress, CheckKind, Command, Container, ContainerKind, Count, Fetch, HealthCheck,
    HostPort, KillSelection, Limit, Network, NetworkMode, PlacementMode, PortDefinition, ReadinessCheck, Strategy,
    UnreachableStrategy,
};
use ekiden_model::port::Port;
use serde_json::{Map, Value, json};

/// `app` as `GET /v2/apps/{id}` shows its definition, without what is known of it otherwise.
pub(super) fn app(app: &App) -> Value {
    let template = &*app.template;
    let host = template.networks.iter().all(|network| network.mode == NetworkMode::Host);
    let mut out = Members::default();
    out.put("id", app.id.as_str());
    out.put_some(
        "acceptedResourceRoles",
        app.accepted_roles
            .as_ref()
            .map(|roles| roles.iter().map(|role| Value::from(role.as_str())).collect::<Vec<_>>()),
    );
    if let Command::Args(args) = &template.command {
        out.put("args", args.clone());
    }
    out.put("backoffFactor", number(app.backoff.factor));
    out.put("backoffSeconds", app.backoff.base.as_secs());
    if let Command::Shell(command) = &template.command {
        out.put("cmd", command.as_str());
    }
    out.put("constraints", app.constraints.iter().map(constraint).collect::<Vec<_>>());
    out.put_some(
        "container",
        template.container.as_ref().map(|c| container(c, (!host).then_some(&*template.ports))),
    );
    out.put("cpus", number(template.resources.cpus.as_f64()));
    out.put("dependencies", app.dependencies.iter().map(|on| Value::from(on.0.as_str())).collect::<Vec<_>>());
    out.put("disk", number(template.resources.disk.as_f64()));
    out.put("env", json!(template.env));
    out.put("executor", template.executor.as_str());
    out.put("fetch", template.fetch.iter().map(fetch).collect::<Vec<_>>());
    out.put("healthChecks", app.health_checks.iter().map(health_check).collect::<Vec<_>>());
    out.put("instances", app.instances);
    out.put("labels", json!(app.labels));
    out.put("maxLaunchDelaySeconds", app.backoff.max.as_secs());
    out.put("mem", number(template.resources.mem.as_f64()));
    out.put("gpus", number(template.resources.gpus.as_f64()));
    out.put("networks", template.networks.iter().map(network).collect::<Vec<_>>());
    if host {
        out.put("portDefinitions", template.ports.iter().map(port_definition).collect::<Vec<_>>());
    }
    out.put(
        "readinessChecks",
        app.readiness.iter().map(|check| readiness(check, &template.ports)).collect::<Vec<_>>(),
    );
    out.put("requirePorts", template.require_ports);
    out.put("secrets", json!({}));
    out.put_some("taskKillGracePeriodSeconds", app.kill_grace.map(|grace| grace.as_secs()));
    if let Capacity::Marathon { minimum_health, maximum_over } = app.capacity {
        out.put(
            "upgradeStrategy",
            json!({
                "maximumOverCapacity": number(maximum_over.as_f64()),
                "minimumHealthCapacity": number(minimum_health.as_f64()),
            }),
        );
    }
    out.put_some("user", template.user.as_deref());
    out.put(
        "killSelection",
        match app.kill_selection {
            KillSelection::YoungestFirst => "YOUNGEST_FIRST",
            KillSelection::OldestFirst => "OLDEST_FIRST",
        },
    );
    out.put("unreachableStrategy", unreachable(app.unreachable));
    out.put_some("check", template.check.as_ref().map(check));
    out.put_some("resourceLimits", limits(app));
    out.put_some("role", template.role.as_ref().map(ekiden_model::Role::as_str));
    out.put_some("tty", template.tty.then_some(true));
    out.put_some("placement", placement(app));
    out.put_some("rollout", rollout(app));
    Value::Object(out.0)
}

/// The members of an object, in order.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }
}

/// Whole numbers without a point, as Marathon writes them.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { Value::from(value) }
}

fn constraint(constraint: &ekiden_model::app::Constraint) -> Value {
    let mut parts = vec![constraint.field.to_string(), constraint.operator.name().to_owned()];
    parts.extend(constraint.operator.value());
    Value::from(parts)
}

fn container(container: &Container, ports: Option<&[PortDefinition]>) -> Value {
    let mut out = Members::default();
    let docker_engine = container.kind == ContainerKind::Docker;
    out.put("type", if docker_engine { "DOCKER" } else { "MESOS" });
    if let Some(image) = &container.image {
        let mut docker = Members::default();
        docker.put("forcePullImage", container.force_pull);
        docker.put("image", image.as_str());
        if docker_engine {
            let parameters = container.parameters.iter().map(|(key, value)| json!({ "key": key, "value": value }));
            docker.put("parameters", parameters.collect::<Vec<_>>());
            docker.put("privileged", container.privileged);
        }
        out.put("docker", docker.0);
    }
    let volumes = container.volumes.iter().map(|volume| {
        json!({
            "containerPath": volume.container_path,
            "hostPath": volume.host_path,
            "mode": if volume.writable { "RW" } else { "RO" },
        })
    });
    out.put("volumes", volumes.collect::<Vec<_>>());
    out.put_some("portMappings", ports.map(|ports| ports.iter().map(port_mapping).collect::<Vec<_>>()));
    Value::Object(out.0)
}

fn port_or_any(port: Option<Port>) -> u16 {
    port.map_or(0, Port::get)
}

fn port_mapping(port: &PortDefinition) -> Value {
    let mut out = Members::default();
    out.put("containerPort", port_or_any(port.container_port));
    match port.host_port {
        HostPort::Unmapped => {}
        HostPort::Fixed(number) => out.put("hostPort", number.get()),
        HostPort::Dynamic | HostPort::ServicePort => out.put("hostPort", 0),
    }
    out.put("labels", json!(port.labels));
    out.put_some("name", port.name.as_deref());
    if !port.network_names.is_empty() {
        out.put("networkNames", port.network_names.clone());
    }
    out.put("protocol", port.protocol.as_str());
    out.put("servicePort", port_or_any(port.service_port));
    Value::Object(out.0)
}

fn port_definition(port: &PortDefinition) -> Value {
    let mut out = Members::default();
    out.put("labels", json!(port.labels));
    out.put_some("name", port.name.as_deref());
    out.put("port", port_or_any(port.service_port));
    out.put("protocol", port.protocol.as_str());
    Value::Object(out.0)
}

fn network(network: &Network) -> Value {
    let mut out = Members::default();
    out.put(
        "mode",
        match network.mode {
            NetworkMode::Host => "host",
            NetworkMode::Bridge => "container/bridge",
            NetworkMode::Container => "container",
        },
    );
    out.put_some("name", network.name.as_deref());
    if !network.labels.is_empty() {
        out.put("labels", json!(network.labels));
    }
    Value::Object(out.0)
}

fn fetch(fetch: &Fetch) -> Value {
    let mut out = Members::default();
    out.put("uri", fetch.uri.as_str());
    out.put("extract", fetch.extract);
    out.put("executable", fetch.executable);
    out.put("cache", fetch.cache);
    out.put_some("destPath", fetch.dest_path.as_deref());
    Value::Object(out.0)
}

fn put_address(out: &mut Members, address: CheckAddress) {
    match address {
        CheckAddress::PortIndex(index) => out.put("portIndex", index),
        CheckAddress::Port(port) => out.put("port", port.get()),
    }
}

pub(super) fn health_check(check: &HealthCheck) -> Value {
    let mut out = Members::default();
    out.put("gracePeriodSeconds", check.grace_period.as_secs());
    out.put("ignoreHttp1xx", check.ignore_http_1xx);
    out.put("intervalSeconds", check.interval.as_secs());
    out.put("maxConsecutiveFailures", check.max_failures);
    match &check.kind {
        CheckKind::Http { tls, address, path, by_executor } => {
            out.put("path", path.as_str());
            put_address(&mut out, *address);
            out.put(
                "protocol",
                match (by_executor, tls) {
                    (false, false) => "HTTP",
                    (false, true) => "HTTPS",
                    (true, false) => "MESOS_HTTP",
                    (true, true) => "MESOS_HTTPS",
                },
            );
        }
        CheckKind::Tcp { address, by_executor } => {
            put_address(&mut out, *address);
            out.put("protocol", if *by_executor { "MESOS_TCP" } else { "TCP" });
        }
        CheckKind::Command { command } => {
            out.put("command", json!({ "value": command }));
            out.put("protocol", "COMMAND");
        }
    }
    out.put_some("ipProtocol", check.ipv6.then_some("IPv6"));
    out.put("timeoutSeconds", check.timeout.as_secs());
    out.put("delaySeconds", check.delay.as_secs());
    Value::Object(out.0)
}

fn readiness(check: &ReadinessCheck, ports: &[PortDefinition]) -> Value {
    let port = ports.get(check.port_index as usize).and_then(|port| port.name.as_deref());
    json!({
        "name": check.name,
        "protocol": if check.tls { "HTTPS" } else { "HTTP" },
        "path": check.path,
        "portName": port,
        "intervalSeconds": check.interval.as_secs(),
        "timeoutSeconds": check.timeout.as_secs(),
        "httpStatusCodesForReady": check.ready_statuses,
        "preserveLastResponse": check.preserve_last_response,
    })
}

fn check(check: &ekiden_model::app::Check) -> Value {
    let mut out = Members::default();
    match &check.kind {
        CheckKind::Http { tls, address, path, .. } => {
            let mut http = Members::default();
            put_address(&mut http, *address);
            http.put("path", path.as_str());
            http.put("scheme", if *tls { "HTTPS" } else { "HTTP" });
            out.put("http", http.0);
        }
        CheckKind::Tcp { address, .. } => {
            let mut tcp = Members::default();
            put_address(&mut tcp, *address);
            out.put("tcp", tcp.0);
        }
        CheckKind::Command { command } => out.put("exec", json!({ "command": { "shell": command } })),
    }
    out.put("intervalSeconds", check.interval.as_secs());
    out.put("timeoutSeconds", check.timeout.as_secs());
    out.put("delaySeconds", check.delay.as_secs());
    Value::Object(out.0)
}

fn unreachable(strategy: UnreachableStrategy) -> Value {
    match strategy {
        UnreachableStrategy::Disabled => Value::from("disabled"),
        UnreachableStrategy::Replace { inactive_after, expunge_after } => json!({
            "inactiveAfterSeconds": inactive_after.as_secs(),
            "expungeAfterSeconds": expunge_after.as_secs(),
        }),
    }
}

fn limits(app: &App) -> Option<Value> {
    let limit = |limit| match limit {
        Limit::Request => None,
        Limit::Unlimited => Some(Value::from("unlimited")),
        Limit::At(amount) => Some(number(amount.as_f64())),
    };
    let mut out = Members::default();
    out.put_some("cpus", limit(app.template.limits.cpus));
    out.put_some("mem", limit(app.template.limits.mem));
    (!out.0.is_empty()).then_some(Value::Object(out.0))
}

fn placement(app: &App) -> Option<Value> {
    let strategy = match app.placement.strategy {
        Strategy::Spread => "spread",
        Strategy::Binpack => "binpack",
        Strategy::Random => "random",
    };
    let mode = match app.placement.mode {
        PlacementMode::Replicated => "replicated",
        PlacementMode::Global => "global",
    };
    ((strategy, mode) != ("spread", "replicated")).then(|| json!({ "strategy": strategy, "mode": mode }))
}

fn rollout(app: &App) -> Option<Value> {
    let mut out = Members::default();
    out.put_some("progressDeadlineSeconds", app.rollout.progress_deadline.as_ref().map(Duration::as_secs));
    out.put_some("paused", app.rollout.paused.then_some(true));
    out.put_some("autoRollback", app.rollout.auto_rollback.then_some(true));
    if let Capacity::Counted { max_surge, max_unavailable } = app.capacity {
        out.put("maxSurge", count(max_surge));
        out.put("maxUnavailable", count(max_unavailable));
    }
    (!out.0.is_empty()).then_some(Value::Object(out.0))
}

fn count(count: Count) -> Value {
    match count {
        Count::Whole(number) => Value::from(number),
        Count::Share(share) => Value::from(format!("{}%", (share.as_f64() * 100.0).round())),
    }
}
