//! Health checks, readiness checks and the informational check.

use ekiden_model::app::{
    Check, CheckAddress, CheckKind, Container, ContainerKind, HealthCheck, PortDefinition, ReadinessCheck,
};
use ekiden_model::port::Port;

use super::seconds;
use crate::manifest::code::Code;
use crate::manifest::object::Object;
use crate::manifest::source::Source;

/// The checks of running instances.
pub(super) fn health(
    source: &mut Source<'_>,
    app: Object<'_>,
    ports: &[PortDefinition],
    container: Option<&Container>,
) -> Vec<HealthCheck> {
    let mut by_mesos = None;
    let mut checks = Vec::new();
    for object in app.objects("healthChecks") {
        if object.text("protocol").is_some_and(|protocol| protocol.starts_with("MESOS_"))
            && let Some(first) = by_mesos.replace(object.span())
        {
            source
                .report(Code::BadCheck, object.span(), "a second check by Mesos' executor, which makes one only")
                .related(first, "the first")
                .hint("remove one of the two, or let ekiden make it: HTTP, HTTPS, TCP");
        }
        checks.extend(health_check(source, object, ports, container));
    }
    checks
}

fn health_check(
    source: &mut Source<'_>,
    check: Object<'_>,
    ports: &[PortDefinition],
    container: Option<&Container>,
) -> Option<HealthCheck> {
    let protocol = check.text("protocol")?;
    let by_executor = protocol.starts_with("MESOS_");
    // Marathon before 1.4 wrote the default path into checks of every kind; that much is let pass.
    let path_fits = protocol.contains("HTTP") || matches!(check.text("path"), Some("/" | ""));
    belongs(source, check, "path", path_fits, "checks over HTTP");
    belongs(source, check, "command", protocol == "COMMAND", "checks by COMMAND");
    if check.flag("ignoreHttp1xx") {
        belongs(source, check, "ignoreHttp1xx", matches!(protocol, "HTTP" | "HTTPS"), "HTTP and HTTPS");
    }
    let ipv6 = check.text("ipProtocol") == Some("IPv6");
    let docker = container.is_some_and(|container| container.kind == ContainerKind::Docker);
    if ipv6 && !(by_executor && docker) {
        source
            .report(
                Code::BadCheck,
                check.value_span("ipProtocol"),
                "IPv6 is for MESOS_ checks of Docker containers",
            )
            .hint("remove `ipProtocol`");
    }
    let kind = match protocol {
        "COMMAND" => {
            if !check.has("command") {
                source
                    .report(Code::BadCheck, check.span(), "a check by COMMAND without a command")
                    .hint("add `command: {value: …}`");
            }
            CheckKind::Command { command: check.object("command")?.owned_text("value")? }
        }
        "TCP" | "MESOS_TCP" => CheckKind::Tcp { address: address(source, check, ports)?, by_executor },
        _ => CheckKind::Http {
            tls: protocol.ends_with('S'),
            address: address(source, check, ports)?,
            path: path(check),
            by_executor,
        },
    };
    Some(HealthCheck {
        kind,
        grace_period: seconds(check.int("gracePeriodSeconds")?),
        interval: seconds(check.int("intervalSeconds")?),
        timeout: seconds(check.int("timeoutSeconds")?),
        delay: seconds(check.int("delaySeconds")?),
        max_failures: check.int("maxConsecutiveFailures")?,
        ignore_http_1xx: check.flag("ignoreHttp1xx"),
        ipv6,
    })
}

fn belongs(source: &mut Source<'_>, check: Object<'_>, name: &str, fits: bool, to: &str) {
    if check.has(name) && !fits {
        source
            .report(Code::BadCheck, check.key_span(name), format!("`{name}` is for {to} only"))
            .hint(format!("remove `{name}`, or change `protocol`"));
    }
}

fn path(check: Object<'_>) -> String {
    match check.text("path") {
        None | Some("") => "/".to_owned(),
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some(path) => format!("/{path}"),
    }
}

fn address(source: &mut Source<'_>, check: Object<'_>, ports: &[PortDefinition]) -> Option<CheckAddress> {
    if check.has("port") && check.has("portIndex") {
        source
            .report(Code::Exclusive, check.key_span("port"), "both `port` and `portIndex`")
            .related(check.key_span("portIndex"), "`portIndex` is here")
            .hint("remove one of the two");
    }
    if check.has("port") {
        return check.int("port").and_then(|port| Port::new(port as u16)).map(CheckAddress::Port);
    }
    let index = check.int("portIndex").unwrap_or_default();
    if (index as usize) >= ports.len() {
        let has = match ports.len() {
            0 => "no port".to_owned(),
            1 => "one port, index 0".to_owned(),
            many => format!("{many} ports, index 0 to {}", many - 1),
        };
        source
            .report(Code::NoSuchPort, check.value_span("portIndex"), format!("no port with index {index}"))
            .hint(format!("the app has {has}; declare the port, or give the check a `port`"));
    }
    Some(CheckAddress::PortIndex(index))
}

/// The check that gates rollouts.
pub(super) fn readiness(
    source: &mut Source<'_>,
    app: Object<'_>,
    ports: &[PortDefinition],
) -> Option<ReadinessCheck> {
    let check = app.objects("readinessChecks").into_iter().next()?;
    let port_name = check.text("portName")?;
    let port_index = ports.iter().position(|port| port.name.as_deref() == Some(port_name));
    if port_index.is_none() {
        let names: Vec<_> = ports.iter().filter_map(|port| port.name.as_deref()).collect();
        let hint = if names.is_empty() {
            "no port of the app has a name; add `portDefinitions` or `portMappings` with one".to_owned()
        } else {
            format!("set `portName` to one of: {}", names.join(", "))
        };
        source
            .report(Code::NoSuchPort, check.value_span("portName"), format!("no port named `{port_name}`"))
            .hint(hint);
    }
    let (interval, timeout) = (seconds(check.int("intervalSeconds")?), seconds(check.int("timeoutSeconds")?));
    if timeout >= interval {
        source
            .report(
                Code::BadTiming,
                check.value_span("timeoutSeconds"),
                "the next probe begins before this one ends",
            )
            .hint("make `timeoutSeconds` less than `intervalSeconds`");
    }
    let statuses = check.items("httpStatusCodesForReady").iter();
    let mut ready_statuses: Vec<u16> = statuses.filter_map(|node| Some(node.as_number()? as u16)).collect();
    if ready_statuses.is_empty() {
        ready_statuses.push(200);
    }
    Some(ReadinessCheck {
        name: check.owned_text("name")?,
        tls: check.text("protocol") == Some("HTTPS"),
        path: path(check),
        port_index: port_index? as u32,
        interval,
        timeout,
        ready_statuses,
        preserve_last_response: check.flag("preserveLastResponse"),
    })
}

/// The check whose result is only shown.
pub(super) fn informational(
    source: &mut Source<'_>,
    app: Object<'_>,
    ports: &[PortDefinition],
    container: Option<&Container>,
) -> Option<Check> {
    let check = app.object("check")?;
    let given: Vec<_> = ["http", "tcp", "exec"].into_iter().filter(|name| check.has(name)).collect();
    if given.len() != 1 {
        source
            .report(Code::BadCheck, app.key_span("check"), "a check asks for exactly one thing")
            .hint("give exactly one of `http`, `tcp` and `exec`");
        return None;
    }
    if container.is_some_and(|container| container.kind == ContainerKind::Docker) {
        source
            .report(Code::WrongContainer, app.key_span("check"), "`check` with a Docker container")
            .hint("use `healthChecks`, or set `container.type` to `MESOS`");
    }
    let kind = if let Some(http) = check.object("http") {
        let tls = http.text("scheme") == Some("HTTPS");
        CheckKind::Http { tls, address: address(source, http, ports)?, path: path(http), by_executor: true }
    } else if let Some(tcp) = check.object("tcp") {
        CheckKind::Tcp { address: address(source, tcp, ports)?, by_executor: true }
    } else {
        CheckKind::Command { command: command(source, check.object("exec")?)? }
    };
    Some(Check {
        kind,
        interval: seconds(check.int("intervalSeconds")?),
        timeout: seconds(check.int("timeoutSeconds")?),
        delay: seconds(check.int("delaySeconds")?),
    })
}

fn command(source: &mut Source<'_>, exec: Object<'_>) -> Option<String> {
    let command = exec.object("command")?;
    if command.has("shell") == command.has("argv") {
        source
            .report(Code::BadCheck, command.span(), "a command is exactly one of `shell` and `argv`")
            .hint("write it as `shell`");
    }
    command.owned_text("shell")
}
