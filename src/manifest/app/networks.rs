//! Networks, in the form of Marathon 1.5 and in the three forms before it.

use std::collections::{BTreeMap, HashMap, HashSet};

use ekiden_model::app::{Network, NetworkMode};

use crate::manifest::code::Code;
use crate::manifest::object::Object;
use crate::manifest::source::Source;

/// The networks of an app. All are of one mode.
pub(in crate::manifest) struct Networks {
    pub(super) list: Vec<Network>,
    pub(in crate::manifest) mode: NetworkMode,
    /// The names of those that have one.
    pub(in crate::manifest) names: HashSet<String>,
}

pub(in crate::manifest) fn read(source: &mut Source<'_>, app: Object<'_>) -> Networks {
    let docker = app.object("container").and_then(|container| container.object("docker"));
    let docker = docker.filter(|docker| docker.has("network"));
    exclude_legacy(source, app, docker);
    let list = if app.has_some("networks") { modern(source, app) } else { legacy(source, app, docker) };
    let mode = list.first().map_or(NetworkMode::Host, |network| network.mode);
    check_together(source, app, &list, mode);
    let names = list.iter().filter_map(|network| network.name.clone()).collect();
    Networks { list, mode, names }
}

fn exclude_legacy(source: &mut Source<'_>, app: Object<'_>, docker: Option<Object<'_>>) {
    if !app.has_some("networks") {
        return;
    }
    let legacy = [(Some(app), "ipAddress"), (docker, "network")];
    for (object, name) in legacy {
        if let Some(object) = object.filter(|object| object.has(name)) {
            source
                .report(Code::Exclusive, object.key_span(name), format!("both `{name}` and `networks`"))
                .related(app.key_span("networks"), "`networks` is here")
                .hint(format!("`{name}` is the old form of `networks`: remove it"));
        }
    }
}

fn modern(source: &mut Source<'_>, app: Object<'_>) -> Vec<Network> {
    let mut names: HashMap<&str, _> = HashMap::new();
    let mut list = Vec::new();
    for network in app.objects("networks") {
        let mode = match network.text("mode") {
            Some("host") => NetworkMode::Host,
            Some("container/bridge") => NetworkMode::Bridge,
            _ => NetworkMode::Container,
        };
        if mode == NetworkMode::Host && (network.has("name") || network.has_some("labels")) {
            source
                .report(Code::BadNetworks, network.span(), "the host's network takes neither `name` nor `labels`")
                .hint("remove them, or set `mode` to `container`");
        }
        if mode == NetworkMode::Bridge && network.has("name") {
            source
                .report(Code::BadNetworks, network.key_span("name"), "a bridge takes no `name`")
                .hint("remove it, or set `mode` to `container`");
        }
        if mode == NetworkMode::Container && !network.has("name") {
            source.report(Code::BadNetworks, network.span(), "a network in `container` mode needs a `name`").hint(
                "add the name of a network that the agents know, or set `mode` to `container/bridge` or `host`",
            );
        }
        if let Some(name) = network.text("name")
            && let Some(first) = names.insert(name, network.value_span("name"))
        {
            source
                .report(Code::BadNetworks, network.value_span("name"), format!("network `{name}` is joined twice"))
                .related(first, "first here")
                .hint("remove one of the two");
        }
        list.push(Network { mode, name: network.owned_text("name"), labels: network.text_map("labels") });
    }
    list
}

fn legacy(source: &mut Source<'_>, app: Object<'_>, docker: Option<Object<'_>>) -> Vec<Network> {
    let address = app.object("ipAddress");
    let labels = address.map(|address| address.text_map("labels")).unwrap_or_default();
    let (mode, span) = match (docker.and_then(|docker| docker.text("network")), docker) {
        (Some("BRIDGE"), Some(docker)) => (NetworkMode::Bridge, docker.key_span("network")),
        (Some("USER"), Some(docker)) => (NetworkMode::Container, docker.key_span("network")),
        (Some("HOST"), Some(docker)) if address.is_some() => {
            source
                .report(Code::BadNetworks, docker.value_span("network"), "network HOST with an address of its own")
                .related(app.key_span("ipAddress"), "`ipAddress` is here")
                .hint("remove `ipAddress`, or use the network USER");
            (NetworkMode::Host, docker.span())
        }
        (Some("NONE"), Some(docker)) => {
            source
                .report(Code::Retired, docker.value_span("network"), "network NONE is no longer supported")
                .hint("Marathon dropped it in 1.5; use `networks: [{mode: host}]`");
            (NetworkMode::Host, docker.span())
        }
        _ if address.is_some() => (NetworkMode::Container, app.key_span("ipAddress")),
        _ => (NetworkMode::Host, app.span()),
    };
    let name = address.and_then(|address| address.owned_text("networkName"));
    if mode == NetworkMode::Container && name.is_none() {
        source
            .report(Code::BadNetworks, span, "a network with addresses of its own needs a name")
            .hint("add `ipAddress.networkName`, or better: `networks: [{mode: container, name: …}]`");
    }
    let name = name.filter(|_| mode == NetworkMode::Container);
    let labels = if mode == NetworkMode::Host { BTreeMap::new() } else { labels };
    vec![Network { mode, name, labels }]
}

fn check_together(source: &mut Source<'_>, app: Object<'_>, list: &[Network], mode: NetworkMode) {
    if list.len() > 1 && (mode != NetworkMode::Container || list.iter().any(|network| network.mode != mode)) {
        source
            .report(Code::BadNetworks, app.value_span("networks"), "networks that cannot be joined together")
            .hint("join the host's network alone, or one bridge alone, or networks in `container` mode only");
    }
    let docker = app.object("container").is_some_and(|container| container.text("type") == Some("DOCKER"));
    if docker && list.len() > 1 {
        source
            .report(Code::BadNetworks, app.value_span("networks"), "a Docker container joins one network only")
            .hint("remove all but one, or set `container.type` to `MESOS`");
    }
}
