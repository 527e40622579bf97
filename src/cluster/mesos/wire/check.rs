//! The checks that Mesos' executor makes: `HealthCheck`, which has consequences, and `CheckInfo`, which has none.

use ekiden_model::app::{Check, CheckAddress, CheckKind, HealthCheck, NetworkMode};
use ekiden_model::effect::TaskLaunch;
use serde::Serialize;

use super::task::CommandInfo;

/// `HealthCheck`: the task is healthy, unhealthy, or killed by its executor.
#[derive(Debug, Serialize)]
pub(super) struct HealthCheckInfo<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Tcp>,
    delay_seconds: f64,
    interval_seconds: f64,
    timeout_seconds: f64,
    grace_period_seconds: f64,
    consecutive_failures: u32,
}

/// `CheckInfo`: somebody may want to know.
#[derive(Debug, Serialize)]
pub(super) struct CheckInfo<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CheckCommand<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Tcp>,
    delay_seconds: f64,
    interval_seconds: f64,
    timeout_seconds: f64,
}

#[derive(Debug, Serialize)]
struct CheckCommand<'a> {
    command: CommandInfo<'a>,
}

#[derive(Debug, Serialize)]
struct Http<'a> {
    /// A `CheckInfo` knows `http` only, and no other address than 127.0.0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    port: u16,
    path: &'a str,
}

#[derive(Debug, Serialize)]
struct Tcp {
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    port: u16,
}

impl<'a> HealthCheckInfo<'a> {
    pub(super) fn of(check: &'a HealthCheck, launch: &TaskLaunch) -> Self {
        let question = Question::of(&check.kind, launch);
        let protocol = Some(if check.ipv6 { "IPV6" } else { "IPV4" });
        let scheme = Some(if question.tls { "https" } else { "http" });
        Self {
            kind: question.kind,
            command: question.command.map(CommandInfo::shell),
            http: question.http.map(|http| Http { scheme, protocol, ..http }),
            tcp: question.tcp.map(|tcp| Tcp { protocol, ..tcp }),
            delay_seconds: check.delay.as_secs_f64(),
            interval_seconds: check.interval.as_secs_f64(),
            timeout_seconds: check.timeout.as_secs_f64(),
            grace_period_seconds: check.grace_period.as_secs_f64(),
            // To Mesos 0 is not never but at once.
            consecutive_failures: if check.max_failures == 0 { u32::MAX } else { check.max_failures },
        }
    }
}

impl<'a> CheckInfo<'a> {
    pub(super) fn of(check: &'a Check, launch: &TaskLaunch) -> Self {
        let question = Question::of(&check.kind, launch);
        Self {
            kind: question.kind,
            command: question.command.map(|command| CheckCommand { command: CommandInfo::shell(command) }),
            http: question.http,
            tcp: question.tcp,
            delay_seconds: check.delay.as_secs_f64(),
            interval_seconds: check.interval.as_secs_f64(),
            timeout_seconds: check.timeout.as_secs_f64(),
        }
    }
}

/// What is asked: one of the three, in the words that both checks have.
struct Question<'a> {
    kind: &'static str,
    command: Option<&'a str>,
    http: Option<Http<'a>>,
    tcp: Option<Tcp>,
    tls: bool,
}

impl<'a> Question<'a> {
    fn of(kind: &'a CheckKind, launch: &TaskLaunch) -> Self {
        let none = Self { kind: "", command: None, http: None, tcp: None, tls: false };
        match kind {
            CheckKind::Command { command } => Self { kind: "COMMAND", command: Some(command), ..none },
            CheckKind::Http { tls, address, path, .. } => {
                let http = Http { scheme: None, protocol: None, port: port(*address, launch), path };
                Self { kind: "HTTP", http: Some(http), tls: *tls, ..none }
            }
            CheckKind::Tcp { address, .. } => {
                let tcp = Tcp { protocol: None, port: port(*address, launch) };
                Self { kind: "TCP", tcp: Some(tcp), ..none }
            }
        }
    }
}

/// The port to ask. An executor asks from within the task's network, so where that has an inside, it is the port
/// inside. A port that has no number cannot answer: 0 fails, and the failure says so.
fn port(address: CheckAddress, launch: &TaskLaunch) -> u16 {
    let index = match address {
        CheckAddress::Port(port) => return port.get(),
        CheckAddress::PortIndex(index) => index as usize,
    };
    let template = &launch.app.template;
    let on_host = launch.host_ports.get(index).copied().flatten();
    let inside = template.ports.get(index).and_then(|definition| definition.container_port);
    let has_inside = template.networks.iter().any(|network| network.mode != NetworkMode::Host);
    let port = if has_inside { inside.or(on_host) } else { on_host };
    port.map_or(0, ekiden_model::Port::get)
}
