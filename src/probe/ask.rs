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
pub(super) struct Network {
    tls: AnyCertificate,
}

impl Network {
    pub(super) fn new() -> Self {
        Self { tls: AnyCertificate::new() }
    }
}

impl Ask for Network {
    fn ask(&self, probe: Arc<Probe>) -> BoxFuture<'static, Answer> {
        let tls = self.tls.clone();
        Box::pin(async move {
            // Set by an answer of 100–199, which may be the only one that ever comes.
            let interim = Arc::new(AtomicU16::new(0));
            match tokio::time::timeout(probe.timeout, exchange(&probe, &tls, &interim)).await {
                Ok(answer) => answer,
                Err(_) => overdue(&probe, interim.load(Ordering::Relaxed)),
            }
        })
    }
}

async fn exchange(probe: &Probe, tls: &AnyCertificate, interim: &Arc<AtomicU16>) -> Answer {
    let stream = match connect(probe).await {
        Ok(stream) => stream,
        Err(outcome) => return outcome.into(),
    };
    match &probe.check {
        CheckKind::Tcp { .. } => Outcome::Success.into(),
        CheckKind::Http { tls: false, path, .. } => http::get(probe, path, stream, interim).await,
        CheckKind::Http { tls: true, path, .. } => match tls.handshake(&probe.host, stream).await {
            Ok(stream) => http::get(probe, path, stream, interim).await,
            Err(outcome) => outcome.into(),
        },
        CheckKind::Command { .. } => not_ours().into(),
    }
}

async fn connect(probe: &Probe) -> Result<TcpStream, Outcome> {
    let Some(port) = probe.port else {
        return Err(not_ours());
    };
    let host = &*probe.host;
    let addresses = tokio::net::lookup_host((host, port.get()))
        .await
        // Which of the two is at fault, the name or the name server, does not show. A kill needs certainty.
        .map_err(|error| Outcome::NoResult(fault::text(format_args!("cannot resolve `{host}`: {error}"))))?;
    let mut last = Outcome::NoResult(fault::text(format_args!("`{host}` has no address")));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = fault::connecting(&error),
        }
    }
    Err(last)
}

fn not_ours() -> Outcome {
    Outcome::NoResult("a command is run by the executor, not by the prober".into())
}

fn overdue(probe: &Probe, interim: u16) -> Answer {
    if interim != 0 {
        return http::judge(probe, interim);
    }
    Outcome::Failure(fault::text(format_args!("no answer within {}", shown(probe.timeout)))).into()
}

fn shown(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}
