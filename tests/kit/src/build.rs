//! Builders: valid apps with Marathon's defaults, agents and offers, for every test that needs one and does not want
//! to go through a manifest.
//!
//! They panic on what no test can mean (an id that is no id): a builder that returns errors would hide the test.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::{
    App, BackoffPolicy, Capacity, CheckAddress, CheckKind, Command, Constraint, Count, Dependency, Field,
    Fraction, HealthCheck, HostPort, KillSelection, Operator, Pattern, PlacementMode, PortDefinition,
    ReadinessCheck, Strategy, Template, UnreachableStrategy,
};
use ekiden_model::offer::Bundle;
use ekiden_model::{Agent, AgentId, AppId, GroupId, Offer, OfferId, Port, PortSet, Resources, Role, Scalar};

/// An app with Marathon's defaults: 1 instance of `run` with 1 cpu, 128 MiB and one dynamic port, no checks.
pub fn app(id: &str) -> AppBuilder {
    let id = app_id(id);
    let template = Template {
        ports: vec![port_definition(HostPort::Dynamic, None)],
        ..Template::new(Command::Shell("run".to_owned()))
    };
    let app = App::new(id, template.clone());
    AppBuilder { app, template }
}

/// The id, which must be one.
///
/// # Panics
/// When `text` is no id.
pub fn app_id(text: &str) -> AppId {
    AppId::parse(text).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

/// An agent without attributes whose host has its name.
pub fn agent(id: &str) -> Arc<Agent> {
    agent_with(id, id, &[])
}

/// An agent with a host name and attributes.
pub fn agent_with(id: &str, hostname: &str, attributes: &[(&str, &str)]) -> Arc<Agent> {
    Arc::new(Agent {
        id: AgentId::new(id),
        hostname: hostname.into(),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
        region: None,
        zone: None,
    })
}

/// An offer of unreserved resources to role `*`.
pub fn offer(id: &str, agent: &Arc<Agent>, cpus: f64, mem: f64, ports: RangeInclusive<u16>) -> Offer {
    Offer {
        id: OfferId::new(id),
        agent: agent.clone(),
        role: Role::any(),
        unreserved: Bundle {
            resources: Resources {
                cpus: Scalar::from_f64(cpus),
                mem: Scalar::from_f64(mem),
                disk: Scalar::whole(10_000),
                ..Resources::NONE
            },
            ports: PortSet::from_ranges([ports]),
        },
        reserved: Bundle::default(),
        maintenance: None,
    }
}

fn port_definition(host_port: HostPort, service_port: Option<Port>) -> PortDefinition {
    PortDefinition { service_port, ..PortDefinition::new(host_port) }
}

/// Makes an [`App`].
#[derive(Debug, Clone)]
#[must_use = "a builder that is not built declares nothing"]
pub struct AppBuilder {
    app: App,
    template: Template,
}

impl AppBuilder {
    /// The app.
    pub fn build(self) -> App {
        App { template: Arc::new(self.template), ..self.app }
    }

    /// The app, shared.
    pub fn arc(self) -> Arc<App> {
        Arc::new(self.build())
    }

    /// Starts from an app that there is.
    pub fn from(app: &App) -> Self {
        Self { app: app.clone(), template: (*app.template).clone() }
    }

    /// How many instances.
    pub fn instances(mut self, count: u32) -> Self {
        self.app.instances = count;
        self
    }

    /// What is run, by a shell. In the simulator it also says how an instance behaves: see [`crate::behaviour`].
    pub fn cmd(mut self, command: &str) -> Self {
        self.template.command = Command::Shell(command.to_owned());
        self
    }

    /// One variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.template.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// One label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.app.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Processors.
    pub fn cpus(mut self, cpus: f64) -> Self {
        self.template.resources.cpus = Scalar::from_f64(cpus);
        self
    }

    /// Memory, MiB.
    pub fn mem(mut self, mem: f64) -> Self {
        self.template.resources.mem = Scalar::from_f64(mem);
        self
    }

    /// Disk, MiB.
    pub fn disk(mut self, disk: f64) -> Self {
        self.template.resources.disk = Scalar::from_f64(disk);
        self
    }

    /// Graphics processors.
    pub fn gpus(mut self, gpus: f64) -> Self {
        self.template.resources.gpus = Scalar::from_f64(gpus);
        self
    }

    /// The role to run under.
    pub fn role(mut self, role: &str) -> Self {
        self.template.role = Some(Role::new(role));
        self
    }

    /// Whose resources may be used: of `*` and the app's role.
    pub fn accepting(mut self, roles: &[&str]) -> Self {
        self.app.accepted_roles = Some(roles.iter().map(|role| Role::new(*role)).collect());
        self
    }

    /// So many dynamic ports, and no others.
    pub fn dynamic_ports(mut self, count: usize) -> Self {
        self.template.ports = vec![port_definition(HostPort::Dynamic, None); count];
        self
    }

    /// One port only: this host port, which is the service port, too (`requirePorts`).
    ///
    /// # Panics
    /// When `port` is 0.
    pub fn fixed_port(mut self, port: u16) -> Self {
        let Some(port) = Port::new(port) else { panic!("port 0 is not fixed") };
        self.template.ports = vec![port_definition(HostPort::Fixed(port), Some(port))];
        self.template.require_ports = true;
        self
    }

    /// One port only: the host port is whatever the service port becomes.
    pub fn service_port_on_host(mut self) -> Self {
        self.template.ports = vec![port_definition(HostPort::ServicePort, None)];
        self.template.require_ports = true;
        self
    }

    /// A constraint in Marathon's words: `("hostname", "UNIQUE", "")`, `("rack", "MAX_PER", "2")`.
    ///
    /// # Panics
    /// When the operator does not exist or its value is not of its kind.
    pub fn constraint(mut self, field: &str, operator: &str, value: &str) -> Self {
        let number = || value.parse::<u32>().unwrap_or_else(|_| panic!("`{operator} {value}` needs a number"));
        let pattern = || Pattern::new(value).unwrap_or_else(|error| panic!("{error}"));
        let given = || (!value.is_empty()).then(|| value.to_owned());
        let operator = match operator {
            "UNIQUE" => Operator::Unique,
            "CLUSTER" => Operator::Cluster(given()),
            "GROUP_BY" => Operator::GroupBy((!value.is_empty()).then(number)),
            "MAX_PER" => Operator::MaxPer(number()),
            "LIKE" => Operator::Like(pattern()),
            "UNLIKE" => Operator::Unlike(pattern()),
            "IS" => Operator::Is(value.to_owned()),
            _ => panic!("`{operator}` is no operator"),
        };
        self.app.constraints.push(Constraint { field: Field::parse(field), operator });
        self
    }

    /// No constraints.
    pub fn unconstrained(mut self) -> Self {
        self.app.constraints.clear();
        self
    }

    /// One on every agent that matches.
    pub fn global(mut self) -> Self {
        self.app.placement.mode = PlacementMode::Global;
        self
    }

    /// Which agents are preferred.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.app.placement.strategy = strategy;
        self
    }

    /// What must be healthy first: an app or a group.
    ///
    /// # Panics
    /// When `path` is no path.
    pub fn depends_on(mut self, path: &str) -> Self {
        let group = GroupId::resolve(path, &GroupId::root()).unwrap_or_else(|error| panic!("`{path}`: {error}"));
        self.app.dependencies.insert(Dependency(group));
        self
    }

    /// No dependencies.
    pub fn independent(mut self) -> Self {
        self.app.dependencies.clear();
        self
    }

    /// An HTTP check by Ekiden of the first port: every 5 s, 3 failures survived, 10 s of grace.
    pub fn http_check(self) -> Self {
        let address = CheckAddress::PortIndex(0);
        self.health_check(CheckKind::Http { tls: false, address, path: "/".to_owned(), by_executor: false })
    }

    /// A TCP check by Ekiden of the first port, as [`AppBuilder::http_check`].
    pub fn tcp_check(self) -> Self {
        self.health_check(CheckKind::Tcp { address: CheckAddress::PortIndex(0), by_executor: false })
    }

    /// A command check by Mesos' executor, as [`AppBuilder::http_check`].
    pub fn command_check(self, command: &str) -> Self {
        self.health_check(CheckKind::Command { command: command.to_owned() })
    }

    fn health_check(mut self, kind: CheckKind) -> Self {
        self.app.health_checks.push(HealthCheck {
            kind,
            grace_period: Duration::from_secs(10),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            delay: Duration::ZERO,
            max_failures: 3,
            ignore_http_1xx: false,
            ipv6: false,
        });
        self
    }

    /// Changes the timing of all health checks.
    pub fn check_timing(mut self, grace: Duration, interval: Duration, max_failures: u32) -> Self {
        for check in &mut self.app.health_checks {
            check.grace_period = grace;
            check.interval = interval;
            check.max_failures = max_failures;
        }
        self
    }

    /// A readiness check of the first port, every 2 s.
    pub fn readiness(mut self) -> Self {
        self.app.readiness = Some(ReadinessCheck {
            name: "ready".to_owned(),
            tls: false,
            path: "/ready".to_owned(),
            port_index: 0,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            ready_statuses: vec![200],
            preserve_last_response: false,
        });
        self
    }

    /// Marathon's `upgradeStrategy`.
    ///
    /// # Panics
    /// When a number is not from 0 to 1.
    pub fn upgrade_strategy(mut self, minimum_health: f64, maximum_over: f64) -> Self {
        let fraction = |number| Fraction::from_f64(number).unwrap_or_else(|| panic!("{number} is no fraction"));
        self.app.capacity =
            Capacity::Marathon { minimum_health: fraction(minimum_health), maximum_over: fraction(maximum_over) };
        self
    }

    /// Our `rollout.maxSurge` and `rollout.maxUnavailable`, in instances.
    pub fn surge(mut self, max_surge: u32, max_unavailable: u32) -> Self {
        let (max_surge, max_unavailable) = (Count::Whole(max_surge), Count::Whole(max_unavailable));
        self.app.capacity = Capacity::Counted { max_surge, max_unavailable };
        self
    }

    /// Without progress for so long, a rollout has failed.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.app.rollout.progress_deadline = Some(deadline);
        self
    }

    /// Whether rollouts stand still.
    pub fn paused(mut self, paused: bool) -> Self {
        self.app.rollout.paused = paused;
        self
    }

    /// Whether a failed rollout goes back.
    pub fn auto_rollback(mut self, rollback: bool) -> Self {
        self.app.rollout.auto_rollback = rollback;
        self
    }

    /// The wait after failures.
    pub fn backoff(mut self, base: Duration, factor: f64, max: Duration) -> Self {
        self.app.backoff = BackoffPolicy { base, factor, max };
        self
    }

    /// Who goes first on the way down.
    pub fn kill_selection(mut self, selection: KillSelection) -> Self {
        self.app.kill_selection = selection;
        self
    }

    /// Time between SIGTERM and SIGKILL.
    pub fn kill_grace(mut self, grace: Duration) -> Self {
        self.app.kill_grace = Some(grace);
        self
    }

    /// Replaced after so long on an agent that does not answer, and later forgotten.
    pub fn unreachable(mut self, inactive_after: Duration, expunge_after: Duration) -> Self {
        self.app.unreachable = UnreachableStrategy::Replace { inactive_after, expunge_after };
        self
    }

    /// Waited for, for ever.
    pub fn unreachable_disabled(mut self) -> Self {
        self.app.unreachable = UnreachableStrategy::Disabled;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_as_marathon_would_default_it() {
        let built = app("/web").instances(3).constraint("hostname", "UNIQUE", "").build();
        assert_eq!((built.instances, built.template.ports.len()), (3, 1));
        assert_eq!(built.constraints[0].to_string(), "UNIQUE hostname");
        let (floor, ceiling) = (built.capacity.bounds(3).floor, built.capacity.bounds(3).ceiling);
        assert_eq!((floor, ceiling), (3, 6));
        assert_eq!(AppBuilder::from(&built).build(), built);
    }
}
