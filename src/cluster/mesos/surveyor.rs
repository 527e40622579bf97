//! Finds out what the cluster runs for us, through the operator API of the leading master.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ekiden_model::FrameworkId;
use ekiden_model::input::{ClusterEvent, Found};
use http::Response;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};

use super::backoff::Backoff;
use super::connection::{Identity, REFUSALS, now};
use super::detector::Detector;
use super::http::{Fault, Line, Transport};
use super::trouble::Trouble;
use super::wire::WireError;
use super::wire::survey::{self, Wanted};
use super::{ConnectionStatus, FrameworkOptions, MesosError};

/// Where operators ask.
const OPERATOR: &str = "/api/v1";

/// The longest answer: the tasks of a cluster, at 3 KB each, for 100,000 of them and more.
const LONGEST_ANSWER: usize = 512 << 20;

/// Answers surveys.
pub(super) struct Surveyor {
    pub(super) options: Arc<FrameworkOptions>,
    pub(super) transport: Arc<Transport>,
    pub(super) detector: Detector,
    pub(super) identity: watch::Receiver<Identity>,
    pub(super) events: mpsc::Sender<ClusterEvent>,
    /// Each is a request. One that comes while another is carried out is carried out after it, once.
    pub(super) requests: mpsc::Receiver<()>,
    /// Before a subscription is wanted, a survey is all that is tried, and says how that goes.
    pub(super) wanted: watch::Receiver<Option<Option<FrameworkId>>>,
    pub(super) status: watch::Sender<ConnectionStatus>,
    pub(super) ended: watch::Sender<Option<MesosError>>,
}

/// Why there is no answer yet.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("reading the answer has crashed: {0}")]
    Crash(String),
}

impl NoAnswer {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_refusal())
    }
}

impl Surveyor {
    /// Answers for as long as somebody may ask.
    pub(super) async fn run(mut self) {
        while self.requests.recv().await.is_some() {
            let found = self.survey().await;
            if self.events.send(ClusterEvent::Found(found)).await.is_err() {
                return;
            }
        }
    }

    /// Asks until there is an answer.
    async fn survey(&mut self) -> Found {
        let mut backoff = Backoff::default();
        let mut trouble = Trouble::new("the survey of what Mesos runs for us");
        let mut refusals = 0;
        loop {
            match self.ask().await {
                Ok(found) => {
                    trouble.over();
                    self.tell_of_trying(None);
                    return found;
                }
                Err(cause) => {
                    refusals = if cause.is_refusal() { refusals + 1 } else { 0 };
                    self.tell_of_trying(Some(cause.to_string()));
                    trouble.tell(&format!("cannot find out what Mesos runs for us: {cause}"));
                    if refusals >= REFUSALS && self.is_first_contact() {
                        self.ended.send_replace(Some(MesosError::Refused { message: cause.to_string() }));
                    }
                }
            }
            let pause = if self.detector.failed() { backoff.wait() } else { Duration::ZERO };
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether nothing else is tried yet. Afterwards the connection says how it is, and whether it has ended.
    fn is_first_contact(&self) -> bool {
        self.wanted.borrow().is_none()
    }

    /// Says what keeps us from finding out, if anything does.
    fn tell_of_trying(&self, what: Option<String>) {
        if !self.is_first_contact() {
            return;
        }
        self.status.send_if_modified(|told| {
            let since = match told {
                ConnectionStatus::Trying { since, .. } => *since,
                ConnectionStatus::NotWanted | ConnectionStatus::Subscribed { .. } => now(),
            };
            let status = what.map_or(ConnectionStatus::NotWanted, |what| ConnectionStatus::Trying { what, since });
            let differs = *told != status;
            *told = status;
            differs
        });
    }

    async fn ask(&mut self) -> Result<Found, NoAnswer> {
        let master = self.detector.master().await;
        let [agents, frameworks, tasks] = survey::CALLS;
        // All answers must be of one master.
        let (mut line, answer) =
            self.transport.post_to_leader(&master, OPERATOR, Bytes::from_static(agents.as_bytes())).await?;
        let agents = read(&mut line, answer).await?;
        let answer = line.post(OPERATOR, None, Bytes::from_static(frameworks.as_bytes())).await?;
        let frameworks = read(&mut line, answer).await?;
        let answer = line.post(OPERATOR, None, Bytes::from_static(tasks.as_bytes())).await?;
        let read = [agents, frameworks, read(&mut line, answer).await?];
        let identity = self.identity.borrow().clone();
        let options = self.options.clone();
        // Reading megabytes takes a while, and others want to run.
        let reading = tokio::task::spawn_blocking(move || {
            let wanted =
                Wanted { name: &options.name, id: identity.framework.as_ref(), subscribed: identity.subscribed };
            let [agents, frameworks, tasks] = read.each_ref().map(|answer: &Bytes| answer.as_ref());
            survey::read(wanted, [agents, frameworks, tasks])
        });
        Ok(reading.await.map_err(|crash| NoAnswer::Crash(crash.to_string()))??)
    }
}

async fn read(line: &mut Line, answer: Response<Incoming>) -> Result<Bytes, Fault> {
    if answer.status().is_success() {
        line.body(answer, LONGEST_ANSWER).await
    } else {
        Err(line.refusal(answer).await)
    }
}
