//! What an instance runs: the part of a declaration whose change makes a new revision.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::Role;
use crate::port::{Port, Protocol};
use crate::resources::{Resources, Scalar};

/// Everything about an app that a running task of it can notice.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// What is executed.
    pub command: Command,
    /// The system user to run as; the framework's default when not given.
    pub user: Option<String>,
    /// The environment declared; what Marathon adds (§3.1) is added at launch.
    pub env: BTreeMap<String, String>,
    /// What an instance takes of its agent.
    pub resources: Resources,
    /// Upper bounds beyond the request: (cpus, mem); `None` is no bound other than the request, `Some(None)`
    /// unlimited.
    pub limits: Limits,
    /// A custom executor's path; empty for Mesos' command executor.
    pub executor: String,
    /// The Mesos role to run under; the framework's default when not given.
    pub role: Option<Role>,
    /// Files to bring into the sandbox before the start.
    pub fetch: Vec<Fetch>,
    /// The container, or none for a plain process.
    pub container: Option<Container>,
    /// Networks to join; host mode is one entry.
    pub networks: Vec<Network>,
    /// Ports, in order: what `$PORT0`, `$PORT1` … stand for. Host mode's port definitions and container networks'
    /// mappings alike.
    pub ports: Vec<PortDefinition>,
    /// Whether the host ports must be exactly the service ports.
    pub require_ports: bool,
    /// A check whose result is shown and acted on by nobody.
    pub check: Option<super::Check>,
    /// Whether the process gets a terminal.
    pub tty: bool,
}

impl Template {
    /// A plain process on the host's network, with Marathon's default resources (1 cpu, 128 MiB) and no ports.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            user: None,
            env: BTreeMap::new(),
            resources: Resources { cpus: Scalar::whole(1), mem: Scalar::whole(128), ..Resources::NONE },
            limits: Limits::default(),
            executor: String::new(),
            role: None,
            fetch: Vec::new(),
            container: None,
            networks: vec![Network { mode: NetworkMode::Host, name: None, labels: BTreeMap::new() }],
            ports: Vec::new(),
            require_ports: false,
            check: None,
            tty: false,
        }
    }
}

/// Bounds above the request (`resourceLimits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Processors.
    pub cpus: Limit,
    /// Memory, MiB.
    pub mem: Limit,
}

/// One bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Limit {
    /// The request is the bound.
    #[default]
    Request,
    /// No bound.
    Unlimited,
    /// This much.
    At(Scalar),
}

/// What is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// By `/bin/sh -c`.
    Shell(String),
    /// As it is, without a shell. With a container image: the arguments of its entry point.
    Args(Vec<String>),
    /// What the container image says.
    Image,
}

/// One file for the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Where from.
    pub uri: String,
    /// Whether an archive is unpacked.
    pub extract: bool,
    /// Whether it is made executable; then it is not unpacked.
    pub executable: bool,
    /// Whether the agent keeps it for the next task.
    pub cache: bool,
    /// The name in the sandbox; the last part of the URI when not given.
    pub dest_path: Option<String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Who runs it.
    pub kind: ContainerKind,
    /// The image; Mesos containers can do without.
    pub image: Option<String>,
    /// Whether to pull an image that is there already.
    pub force_pull: bool,
    /// `docker run --privileged`.
    pub privileged: bool,
    /// Further `docker run --key=value`.
    pub parameters: Vec<(String, String)>,
    /// Folders of the host to show inside.
    pub volumes: Vec<HostVolume>,
}

/// Which containerizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerKind {
    /// Mesos' own (UCR).
    Mesos,
    /// A Docker daemon on the agent.
    Docker,
}

/// A folder of the host, seen inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostVolume {
    /// Where inside.
    pub container_path: String,
    /// Where outside.
    pub host_path: String,
    /// Whether the container may write.
    pub writable: bool,
}

/// A network to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Which kind.
    pub mode: NetworkMode,
    /// Its name; container mode only.
    pub name: Option<String>,
    /// For the network's provider.
    pub labels: BTreeMap<String, String>,
}

/// Kinds of networks (§2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMode {
    /// The host's own: ports are the host's.
    Host,
    /// A bridge on the agent, with mapped ports.
    Bridge,
    /// A named network with addresses of its own.
    Container,
}

/// One port of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortDefinition {
    /// Its name, for readiness checks, discovery and `$PORT_<NAME>`.
    pub name: Option<String>,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// For discovery (`VIP_0` …).
    pub labels: BTreeMap<String, String>,
    /// The port inside the container, where the network has an inside; `None` there: the same as the host port.
    pub container_port: Option<Port>,
    /// The port on the agent.
    pub host_port: HostPort,
    /// The port that load balancers present; `None`: the next free one of our range.
    pub service_port: Option<Port>,
    /// Which of several networks this mapping belongs to.
    pub network_names: Vec<String>,
}

impl PortDefinition {
    /// A TCP port without a name, on this port of the agent.
    pub fn new(host_port: HostPort) -> Self {
        Self {
            name: None,
            protocol: Protocol::default(),
            labels: BTreeMap::new(),
            container_port: None,
            host_port,
            service_port: None,
            network_names: Vec::new(),
        }
    }
}

/// Which port of the agent is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPort {
    /// None: reachable on the container's own address only.
    Unmapped,
    /// Any of those offered.
    Dynamic,
    /// This very one.
    Fixed(Port),
    /// The one that is the service port, whatever that becomes (`requirePorts` with port 0).
    ServicePort,
}

/// How long Mesos' executor waits between SIGTERM and SIGKILL when nobody says otherwise.
pub const DEFAULT_KILL_GRACE: Duration = Duration::from_secs(3);
