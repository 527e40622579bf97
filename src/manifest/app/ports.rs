//! Ports: definitions on the host's network, mappings elsewhere, and the legacy forms of both.

use std::collections::HashMap;

use ekiden_model::app::{HostPort, NetworkMode, PortDefinition};
use ekiden_model::port::{Port, Protocol};

use super::networks::Networks;
use crate::manifest::code::Code;
use crate::manifest::object::Object;
use crate::manifest::source::Source;
use crate::manifest::tree::Span;

/// Most ports of an app. Far more than any app listens on; an offer must have them all at once.
const PORTS_MAX: usize = 1000;

pub(super) fn read(source: &mut Source<'_>, app: Object<'_>, networks: &Networks) -> Vec<PortDefinition> {
    let ports =
        if networks.mode == NetworkMode::Host { on_host(source, app) } else { mapped(source, app, networks) };
    check_names(source, &ports);
    if let Some((_, span)) = ports.get(PORTS_MAX) {
        source
            .report(Code::BadList, *span, format!("more than {PORTS_MAX} ports"))
            .hint("no agent offers so many; remove some");
    }
    ports.into_iter().map(|(port, _)| port).collect()
}

type Placed = (PortDefinition, Span);

fn on_host(source: &mut Source<'_>, app: Object<'_>) -> Vec<Placed> {
    if let Some((object, name)) = mappings(app).filter(|(object, name)| object.has_some(name)) {
        source
            .report(Code::PortsMisplaced, object.key_span(name), "port mappings on the host's network")
            .hint("use `portDefinitions`, or `networks: [{mode: container/bridge}]`");
    }
    if app.has_some("ports") && app.has_some("portDefinitions") {
        source
            .report(Code::Exclusive, app.key_span("ports"), "both `ports` and `portDefinitions`")
            .related(app.key_span("portDefinitions"), "`portDefinitions` is here")
            .hint("`ports` is the old form of `portDefinitions`: remove it");
    }
    let require = app.flag("requirePorts");
    let ports: Vec<Placed> = if app.has("portDefinitions") {
        app.objects("portDefinitions").into_iter().map(|port| (definition(port, require), port.span())).collect()
    } else if app.has("ports") {
        let numbers = app.items("ports").iter();
        numbers.filter_map(|node| Some((bare(Port::new(node.as_number()? as u16), require), node.span))).collect()
    } else {
        let default = PortDefinition { name: Some("default".to_owned()), ..bare(None, require) };
        vec![(default, app.span())]
    };
    let numbers = ports.iter().filter_map(|(port, span)| Some((port.service_port?, *span)));
    check_numbers(source, "port", numbers);
    ports
}

/// A port on the host's network by its number.
fn bare(number: Option<Port>, require: bool) -> PortDefinition {
    let host_port = match number {
        _ if !require => HostPort::Dynamic,
        Some(port) => HostPort::Fixed(port),
        None => HostPort::ServicePort,
    };
    PortDefinition {
        name: None,
        protocol: Protocol::Tcp,
        labels: std::collections::BTreeMap::new(),
        container_port: None,
        host_port,
        service_port: number,
        network_names: Vec::new(),
    }
}

fn definition(port: Object<'_>, require: bool) -> PortDefinition {
    PortDefinition {
        name: port.owned_text("name"),
        protocol: protocol(port),
        labels: port.text_map("labels"),
        ..bare(number(port, "port"), require)
    }
}

/// Where port mappings are written, if anywhere: in the modern place or in the legacy one.
fn mappings(app: Object<'_>) -> Option<(Object<'_>, &'static str)> {
    let container = app.object("container")?;
    if container.has("portMappings") {
        return Some((container, "portMappings"));
    }
    container.object("docker").filter(|docker| docker.has("portMappings")).map(|docker| (docker, "portMappings"))
}

fn mapped(source: &mut Source<'_>, app: Object<'_>, networks: &Networks) -> Vec<Placed> {
    for name in ["portDefinitions", "ports"] {
        if app.has_some(name) {
            source
                .report(Code::PortsMisplaced, app.key_span(name), format!("`{name}` without the host's network"))
                .hint("use `container.portMappings`, or `networks: [{mode: host}]`");
        }
    }
    exclude_legacy(source, app);
    let discovery = app.object("ipAddress").and_then(|address| address.object("discovery"));
    let ports: Vec<Placed> = if let Some((object, name)) = mappings(app) {
        object.objects(name).into_iter().map(|port| (mapping(source, port, networks), port.span())).collect()
    } else if let Some(discovery) = discovery.filter(|discovery| discovery.has("ports")) {
        discovery.objects("ports").into_iter().map(|port| (discovered(port, networks), port.span())).collect()
    } else {
        let default = PortDefinition { name: Some("default".to_owned()), ..unmapped(networks) };
        vec![(default, app.span())]
    };
    let numbers = ports.iter().filter_map(|(port, span)| match port.host_port {
        HostPort::Fixed(number) => Some((number, *span)),
        _ => None,
    });
    check_numbers(source, "host port", numbers);
    ports
}

fn exclude_legacy(source: &mut Source<'_>, app: Object<'_>) {
    let Some(container) = app.object("container") else { return };
    let docker = container.object("docker");
    if let Some(docker) =
        docker.filter(|docker| docker.has_some("portMappings") && container.has_some("portMappings"))
    {
        source
            .report(Code::Exclusive, docker.key_span("portMappings"), "port mappings in two places")
            .related(container.key_span("portMappings"), "also here")
            .hint("`container.docker.portMappings` is the old form of `container.portMappings`: remove it");
    }
}

/// A port that nothing on the host leads to, or in bridge mode any port of the host.
fn unmapped(networks: &Networks) -> PortDefinition {
    let host_port = if networks.mode == NetworkMode::Bridge { HostPort::Dynamic } else { HostPort::Unmapped };
    PortDefinition { host_port, ..bare(None, false) }
}

fn mapping(source: &mut Source<'_>, port: Object<'_>, networks: &Networks) -> PortDefinition {
    let default = unmapped(networks);
    let host_port = match port.int("hostPort") {
        None => default.host_port,
        Some(number) => Port::new(number as u16).map_or(HostPort::Dynamic, HostPort::Fixed),
    };
    let names: Vec<String> = port.texts("networkNames").map(|(name, _)| name.to_owned()).collect();
    for (name, span) in port.texts("networkNames") {
        if !networks.names.contains(name) {
            source
                .report(Code::BadNetworks, span, format!("network `{name}` is none of the app's"))
                .hint("name one of `networks`");
        }
    }
    if host_port != HostPort::Unmapped && networks.list.len() > 1 && names.len() != 1 {
        source
            .report(
                Code::BadNetworks,
                port.span(),
                "a host port of an app with several networks leads to one of them",
            )
            .hint("add `networkNames` with exactly one name");
    }
    PortDefinition {
        name: port.owned_text("name"),
        protocol: protocol(port),
        labels: port.text_map("labels"),
        container_port: number(port, "containerPort"),
        host_port,
        service_port: number(port, "servicePort"),
        network_names: names,
    }
}

fn discovered(port: Object<'_>, networks: &Networks) -> PortDefinition {
    PortDefinition {
        name: port.owned_text("name"),
        protocol: protocol(port),
        labels: port.text_map("labels"),
        container_port: number(port, "number"),
        ..unmapped(networks)
    }
}

fn number(port: Object<'_>, name: &str) -> Option<Port> {
    port.int(name).and_then(|number| Port::new(number as u16))
}

fn protocol(port: Object<'_>) -> Protocol {
    match port.text("protocol") {
        Some("udp") => Protocol::Udp,
        Some("udp,tcp") => Protocol::Both,
        _ => Protocol::Tcp,
    }
}

fn check_names(source: &mut Source<'_>, ports: &[Placed]) {
    let mut names: HashMap<&str, Span> = HashMap::new();
    for (port, span) in ports {
        let Some(name) = port.name.as_deref() else { continue };
        if let Some(first) = names.insert(name, *span) {
            source
                .report(Code::PortClash, *span, format!("two ports named `{name}`"))
                .related(first, "the first")
                .hint("give each its own name");
        }
    }
}

fn check_numbers(source: &mut Source<'_>, what: &str, numbers: impl Iterator<Item = (Port, Span)>) {
    let mut seen: HashMap<Port, Span> = HashMap::new();
    for (number, span) in numbers {
        if let Some(first) = seen.insert(number, span) {
            source
                .report(Code::PortClash, span, format!("{what} {number} is declared twice"))
                .related(first, "first here")
                .hint("give each its own number; for one port with both protocols write `protocol: udp,tcp`");
        }
    }
}
