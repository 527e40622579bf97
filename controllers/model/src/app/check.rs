//! Checks: what is asked of an instance, how often, and what an answer means (§2.5).

use std::fmt;
use std::time::Duration;

use crate::fingerprint::Fingerprint;
use crate::port::Port;

/// A health check. Its verdict decides whether an instance counts, and whether it is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked, and by whom.
    pub kind: CheckKind,
    /// How long failures do not count while there was no success yet, from the moment the instance runs.
    pub grace_period: Duration,
    /// Time between two probes.
    pub interval: Duration,
    /// An answer after this is a failure.
    pub timeout: Duration,
    /// Time from the start of the task to the first probe; executors' checks only.
    pub delay: Duration,
    /// How many failures in a row an instance survives: it is replaced at failure number `max_failures` + 1, as in
    /// Marathon's code (its documentation says one earlier, §4.8). 0: never replaced for its health.
    pub max_failures: u32,
    /// Whether an answer of 100–199 is no answer at all.
    pub ignore_http_1xx: bool,
    /// Whether to ask over IPv6.
    pub ipv6: bool,
}

impl HealthCheck {
    /// Whether Mesos' executor makes this check (MESOS_* and COMMAND), and not Ekiden.
    pub fn by_executor(&self) -> bool {
        match self.kind {
            CheckKind::Http { by_executor, .. } | CheckKind::Tcp { by_executor, .. } => by_executor,
            CheckKind::Command { .. } => true,
        }
    }

    /// What is asked, and by whom, without how often and what follows from the answers. While this stays the same,
    /// an edit of the check keeps what is known of the instances.
    pub fn question(&self) -> Fingerprint {
        let ip = if self.ipv6 { 6 } else { 4 };
        Fingerprint::of(format_args!("{} ip={ip}", self.kind.question()))
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// GET; 200–399 is healthy. Any certificate will do.
    Http {
        /// Whether TLS is spoken.
        tls: bool,
        /// Where.
        address: CheckAddress,
        /// The path and query.
        path: String,
        /// By Mesos' executor (MESOS_HTTP, MESOS_HTTPS) rather than by Ekiden.
        by_executor: bool,
    },
    /// A connection that can be opened is healthy.
    Tcp {
        /// Where.
        address: CheckAddress,
        /// By Mesos' executor (MESOS_TCP) rather than by Ekiden.
        by_executor: bool,
    },
    /// A shell command that exits with 0 is healthy.
    Command {
        /// The command.
        command: String,
    },
}

impl CheckKind {
    /// The text behind [`HealthCheck::question`]. Its fingerprint is stored: changing it makes every check a new one.
    pub(crate) fn question(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| match self {
            Self::Http { tls, address, path, by_executor } => {
                write!(f, "http tls={tls} executor={by_executor} {} {path}", address.question())
            }
            Self::Tcp { address, by_executor } => write!(f, "tcp executor={by_executor} {}", address.question()),
            Self::Command { command } => write!(f, "command {command}"),
        })
    }
}

impl CheckAddress {
    fn question(self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::PortIndex(index) => write!(f, "index={index}"),
            Self::Port(port) => write!(f, "port={port}"),
        })
    }
}

/// Which port of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckAddress {
    /// The index-th of the app's ports, from 0.
    PortIndex(u32),
    /// This number.
    Port(Port),
}

/// A readiness check: asked from the moment an instance runs until it is ready once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadinessCheck {
    /// For people.
    pub name: String,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The path and query.
    pub path: String,
    /// Index of the app's port that is asked; the declaration gives its name.
    pub port_index: u32,
    /// Time between two probes.
    pub interval: Duration,
    /// An answer after this is none.
    pub timeout: Duration,
    /// The answers that mean ready.
    pub ready_statuses: Vec<u16>,
    /// Whether the last answer is shown in the API.
    pub preserve_last_response: bool,
}

/// An informational check (`check`), made by Mesos' executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
    /// Time between two.
    pub interval: Duration,
    /// An answer after this is none.
    pub timeout: Duration,
    /// Time to the first.
    pub delay: Duration,
}
