//! One probe, from the first packet to the judgement of the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use ekiden_model::app::CheckKind;
use ekiden_model::effect::Probe;
use ekiden_model::health::Outcome;
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use super::fault;
use super::http;
use super::resolve::Resolver;
use super::tls::AnyCertificate;

/// What came of asking once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) http_status: Option<u16>,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, http_status: None }
    }
}

/// Who asks: the network, or a test.
pub(super) trait Ask: Send + Sync + 'static {
    /// Asks once. Answers within the probe's timeout.
    fn ask(&self, probe: Arc<Probe>) -> BoxFuture<'static, Answer>;
}

/// Asks over the network, each time over a new connection: one that is kept open would tell nothing about whether the
/// instance still accepts any.
#[derive(Clone)]
pub(super) struct Network {
    tls: AnyCertificate,
    resolver: Arc<Resolver>,
}

/// The status of the latest answer, or 0 before any. It outlives the exchange that the timeout cuts short.
#[derive(Debug, Clone, Default)]
pub(super) struct StatusSeen(Arc<AtomicU16>);

impl StatusSeen {
    pub(super) fn note(&self, status: u16) {
        self.0.store(status, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<u16> {
        Some(self.0.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }
}

impl Network {
    pub(super) fn new() -> Self {
        Self { tls: AnyCertificate::new(), resolver: Arc::default() }
    }
}

impl Ask for Network {
    fn ask(&self, probe: Arc<Probe>) -> BoxFuture<'static, Answer> {
        let network = self.clone();
        Box::pin(async move {
            let seen = StatusSeen::default();
            match tokio::time::timeout(probe.timeout, network.exchange(&probe, &seen)).await {
                Ok(answer) => answer,
                Err(_) => overdue(&probe, &seen),
            }
        })
    }
}

impl Network {
    async fn exchange(&self, probe: &Probe, seen: &StatusSeen) -> Answer {
        let stream = match self.connect(probe).await {
            Ok(stream) => stream,
            Err(outcome) => return outcome.into(),
        };
        match &probe.check {
            CheckKind::Tcp { .. } => Outcome::Success.into(),
            CheckKind::Http { tls: false, path, .. } => http::get(probe, path, stream, seen).await,
            CheckKind::Http { tls: true, path, .. } => match self.tls.handshake(&probe.host, stream).await {
                Ok(stream) => http::get(probe, path, stream, seen).await,
                Err(outcome) => outcome.into(),
            },
            CheckKind::Command { .. } => not_ours().into(),
        }
    }

    /// A connection to the first address that takes one.
    async fn connect(&self, probe: &Probe) -> Result<TcpStream, Outcome> {
        let port = probe.port.ok_or_else(not_ours)?;
        let mut last = not_ours();
        for address in &*self.resolver.resolve(&probe.host).await? {
            match TcpStream::connect((*address, port.get())).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = fault::connecting(&error),
            }
        }
        Err(last)
    }
}

fn not_ours() -> Outcome {
    Outcome::NoResult("a command is run by the executor, not by the prober".into())
}

/// The timeout has passed. A status that was seen before is an answer: to 100–199 perhaps no other follows, and after
/// any other only the body was outstanding.
fn overdue(probe: &Probe, seen: &StatusSeen) -> Answer {
    if let Some(status) = seen.get() {
        return http::judge(probe, status);
    }
    Outcome::Failure(fault::text(format_args!("no answer within {}", shown(probe.timeout)))).into()
}

fn shown(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}
