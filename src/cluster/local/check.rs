//! Checks that a Mesos executor makes itself: COMMAND, MESOS_HTTP, MESOS_HTTPS and MESOS_TCP (§4.8).
//!
//! This module finds out and says so; what follows from it, a status or the end of the task, is the executor's.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::Port;
use ekiden_model::app::{CheckAddress, CheckKind, HealthCheck};
use ekiden_model::effect::TaskLaunch;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::http::{Trust, get};
use super::protocol::{End, Program, Spec};
use super::supervisor::Supervised;

/// A change of what a check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Which of the executor's checks.
    pub(super) check: usize,
    pub(super) healthy: bool,
    /// Why not, for people.
    pub(super) cause: Arc<str>,
    /// It failed as often in a row as it may: the task is to end.
    pub(super) fatal: Option<u32>,
}

/// One check of one task.
pub(super) struct Checker {
    index: usize,
    check: HealthCheck,
    host: String,
    port: Option<Port>,
    /// How to run a command beside the task: all but the command.
    beside: Spec,
    supervisor: PathBuf,
}

impl Checker {
    pub(super) fn new(
        index: usize,
        check: &HealthCheck,
        launch: &TaskLaunch,
        beside: &Spec,
        supervisor: PathBuf,
    ) -> Self {
        let address = match check.kind {
            CheckKind::Http { address, .. } | CheckKind::Tcp { address, .. } => Some(address),
            CheckKind::Command { .. } => None,
        };
        let port = address.and_then(|address| match address {
            CheckAddress::Port(port) => Some(port),
            CheckAddress::PortIndex(index) => launch.host_ports.get(index as usize).copied().flatten(),
        });
        // An agent here is an address of its own on the loopback, which Mesos' 127.0.0.1 would miss.
        let host = if check.ipv6 { "::1".to_owned() } else { launch.agent.hostname.to_string() };
        Self { index, check: check.clone(), host, port, beside: beside.clone(), supervisor }
    }

    /// Checks for ever, and tells every change, the first result and the fatal one.
    ///
    /// As Mesos' executor counts: a failure within the grace period says nothing while there was no result that
    /// does; and the task ends at failure number `max_failures` in a row, one earlier than where Ekiden checks
    /// itself.
    pub(super) async fn watch(self, verdicts: mpsc::Sender<Verdict>) {
        let running_since = Instant::now();
        let mut told = None;
        let mut failures = 0;
        sleep(self.check.delay).await;
        loop {
            let result = self.probe_in_time().await;
            let is_early = told.is_none() && running_since.elapsed() <= self.check.grace_period;
            let verdict = match result {
                Ok(()) => {
                    failures = 0;
                    Some((true, "".into(), None))
                }
                Err(_) if is_early => None,
                Err(cause) => {
                    failures += 1;
                    let fatal = self.check.max_failures > 0 && failures >= self.check.max_failures;
                    Some((false, cause.into(), fatal.then_some(failures)))
                }
            };
            if let Some((healthy, cause, fatal)) = verdict
                && (told != Some(healthy) || fatal.is_some())
            {
                told = Some(healthy);
                let verdict = Verdict { check: self.index, healthy, cause, fatal };
                if verdicts.send(verdict).await.is_err() || fatal.is_some() {
                    return;
                }
            }
            sleep(self.check.interval).await;
        }
    }

    async fn probe_in_time(&self) -> Result<(), String> {
        // Mesos reads 0 as no bound at all.
        let bound = if self.check.timeout.is_zero() { Duration::MAX } else { self.check.timeout };
        let probed = timeout(bound, self.probe()).await;
        probed.unwrap_or_else(|_| Err(format!("no answer within {} s", bound.as_secs_f64())))
    }

    async fn probe(&self) -> Result<(), String> {
        match &self.check.kind {
            CheckKind::Command { command } => self.command(command).await,
            CheckKind::Tcp { .. } => self.tcp().await,
            CheckKind::Http { tls, path, .. } => self.http(*tls, path).await,
        }
    }

    /// Dropped when it is too late, and with it everything that the command has started.
    async fn command(&self, command: &str) -> Result<(), String> {
        let spec = Spec { program: Program::Shell(command.to_owned()), ..self.beside.clone() };
        let started = Supervised::start(&self.supervisor, &spec).await;
        let mut process = started.map_err(|error| format!("the check's command cannot be started: {error}"))?;
        match process.ended().await {
            End::Exited(0) => Ok(()),
            end => Err(format!("the check's command {end}")),
        }
    }

    async fn tcp(&self) -> Result<(), String> {
        let port = self.port()?;
        let connected = TcpStream::connect((self.host.as_str(), port.get())).await;
        connected.map(drop).map_err(|error| format!("{}:{port} does not accept: {error}", self.host))
    }

    async fn http(&self, tls: bool, path: &str) -> Result<(), String> {
        let port = self.port()?;
        let scheme = if tls { "https" } else { "http" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("{scheme}://{host}:{port}{slash}{path}");
        let uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
        let answer = get(uri, Trust::Anyone).await.map_err(|error| format!("{url} does not answer: {error}"))?;
        match answer.status().as_u16() {
            200..=399 => Ok(()),
            status => Err(format!("{url} answers {status}")),
        }
    }

    fn port(&self) -> Result<Port, String> {
        self.port.ok_or_else(|| "the port that the check names is not on the host".to_owned())
    }
}

/// The next verdict; never, once all checks have ended.
pub(super) async fn next(verdicts: &mut mpsc::Receiver<Verdict>) -> Verdict {
    match verdicts.recv().await {
        Some(verdict) => verdict,
        None => pending().await,
    }
}
