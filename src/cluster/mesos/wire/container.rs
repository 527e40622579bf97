//! `ContainerInfo`: what Docker and Mesos' own containerizer are told (§2.3, §2.4).

use std::collections::BTreeMap;

use ekiden_model::Port;
use ekiden_model::app::{Container, ContainerKind, HostVolume, Network, NetworkMode, PortDefinition, Template};
use ekiden_model::effect::TaskLaunch;
use serde::Serialize;

use super::task::protocols;
use super::values::Labels;

/// The network that Mesos' own containerizer joins in bridge mode: Marathon's default of `--mesos_bridge_name`.
const MESOS_BRIDGE: &str = "mesos-bridge";

/// `ContainerInfo`.
#[derive(Debug, Serialize)]
pub(super) struct ContainerInfo<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    docker: Option<DockerInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mesos: Option<MesosInfo<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    network_infos: Vec<NetworkInfo<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Volume<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tty_info: Option<TtyInfo>,
}

#[derive(Debug, Serialize)]
struct DockerInfo<'a> {
    image: &'a str,
    network: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    port_mappings: Vec<PortMapping>,
    privileged: bool,
    parameters: Vec<Parameter<'a>>,
    force_pull_image: bool,
}

#[derive(Debug, Serialize)]
struct Parameter<'a> {
    key: &'a str,
    value: String,
}

#[derive(Debug, Serialize)]
struct PortMapping {
    host_port: u16,
    container_port: u16,
    protocol: &'static str,
}

#[derive(Debug, Serialize)]
struct MesosInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Image<'a>>,
}

#[derive(Debug, Serialize)]
struct Image<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    docker: ImageName<'a>,
    /// Whether one that is there already will do.
    cached: bool,
}

#[derive(Debug, Serialize)]
struct ImageName<'a> {
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct NetworkInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    port_mappings: Vec<PortMapping>,
}

#[derive(Debug, Serialize)]
struct Volume<'a> {
    container_path: &'a str,
    host_path: &'a str,
    mode: &'static str,
}

/// A terminal, of whatever size.
#[derive(Debug, Serialize)]
struct TtyInfo {}

impl<'a> ContainerInfo<'a> {
    /// None for a plain process on the host's network.
    pub(super) fn of(launch: &'a TaskLaunch) -> Option<Self> {
        let template = &*launch.app.template;
        let info = match &template.container {
            Some(container) if container.kind == ContainerKind::Docker => Self::docker(container, launch),
            Some(container) => Self::mesos(Some(container), launch),
            None if template.tty || !is_on_host(template) => Self::mesos(None, launch),
            None => return None,
        };
        Some(Self { tty_info: template.tty.then_some(TtyInfo {}), ..info })
    }

    fn docker(container: &'a Container, launch: &'a TaskLaunch) -> Self {
        let template = &*launch.app.template;
        // Manifests allow one network with Docker's engine.
        let network = template.networks.first();
        let mode = network.map_or(NetworkMode::Host, |network| network.mode);
        let named = network.filter(|network| network.mode == NetworkMode::Container);
        let declared = container.parameters.iter().map(|(key, value)| Parameter { key, value: value.clone() });
        let own = Parameter { key: "label", value: format!("MESOS_TASK_ID={}", launch.task) };
        let mapped = if mode == NetworkMode::Host { Vec::new() } else { mappings(launch, |_| true) };
        let docker = DockerInfo {
            image: container.image.as_deref().unwrap_or_default(),
            network: match mode {
                NetworkMode::Host => "HOST",
                NetworkMode::Bridge => "BRIDGE",
                NetworkMode::Container => "USER",
            },
            port_mappings: mapped,
            privileged: container.privileged,
            parameters: declared.chain([own]).collect(),
            force_pull_image: container.force_pull,
        };
        Self {
            kind: "DOCKER",
            docker: Some(docker),
            mesos: None,
            network_infos: named.map(|network| NetworkInfo::new(network, Vec::new())).into_iter().collect(),
            volumes: volumes(container),
            tty_info: None,
        }
    }

    fn mesos(container: Option<&'a Container>, launch: &'a TaskLaunch) -> Self {
        let networks = launch.app.template.networks.iter().filter(|network| network.mode != NetworkMode::Host);
        let image = container.and_then(|container| {
            let name = container.image.as_deref()?;
            Some(Image { kind: "DOCKER", docker: ImageName { name }, cached: !container.force_pull })
        });
        let joined = |network: &'a Network| {
            let belongs = |port: &PortDefinition| {
                port.network_names.is_empty()
                    || port.network_names.iter().any(|name| Some(name) == network.name.as_ref())
            };
            NetworkInfo::new(network, mappings(launch, belongs))
        };
        Self {
            kind: "MESOS",
            docker: None,
            mesos: Some(MesosInfo { image }),
            network_infos: networks.map(joined).collect(),
            volumes: container.map(volumes).unwrap_or_default(),
            tty_info: None,
        }
    }
}

fn is_on_host(template: &Template) -> bool {
    template.networks.iter().all(|network| network.mode == NetworkMode::Host)
}

impl<'a> NetworkInfo<'a> {
    fn new(network: &'a Network, port_mappings: Vec<PortMapping>) -> Self {
        let bridge = (network.mode == NetworkMode::Bridge).then_some(MESOS_BRIDGE);
        Self { name: network.name.as_deref().or(bridge), labels: pairs(&network.labels), port_mappings }
    }
}

fn pairs(labels: &BTreeMap<String, String>) -> Labels {
    labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// The ports that are mapped to the host, once per protocol.
fn mappings(launch: &TaskLaunch, belongs: impl Fn(&PortDefinition) -> bool) -> Vec<PortMapping> {
    let mapped = launch.app.template.ports.iter().zip(&launch.host_ports);
    mapped
        .filter(|(definition, _)| belongs(definition))
        .filter_map(|(definition, host_port)| Some((definition, (*host_port)?)))
        .flat_map(|(definition, host_port)| {
            let container_port = definition.container_port.unwrap_or(host_port);
            protocols(definition.protocol).iter().map(move |protocol| mapping(host_port, container_port, protocol))
        })
        .collect()
}

fn mapping(host_port: Port, container_port: Port, protocol: &'static str) -> PortMapping {
    PortMapping { host_port: host_port.get(), container_port: container_port.get(), protocol }
}

fn volumes(container: &Container) -> Vec<Volume<'_>> {
    container.volumes.iter().map(Volume::of).collect()
}

impl<'a> Volume<'a> {
    fn of(volume: &'a HostVolume) -> Self {
        Self {
            container_path: &volume.container_path,
            host_path: &volume.host_path,
            mode: if volume.writable { "RW" } else { "RO" },
        }
    }
}
