//! Finds out what the cluster runs for us, through the operator API of the leading master.
//!
//! An answer is the whole truth or none: a master that was replaced a moment ago knows no task of an agent that has not
//! come back to it, and whoever launched on its word would launch everything twice. So it is asked again until it waits for
//! no agent any more.

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
use super::{ConnectionStatus, FrameworkOptions, MesosError, Subscriber};

/// Where operators ask.
const OPERATOR: &str = "/api/v1";

/// The longest answer: the tasks of a cluster, at 3 KB each, for 100,000 of them and more.
const LONGEST_ANSWER: usize = 512 << 20;

/// How long a master that waits for agents is left alone before it is asked again.
const AGENTS_AGAIN: Duration = Duration::from_secs(2);

/// Answers surveys.
pub(super) struct Surveyor {
    pub(super) options: Arc<FrameworkOptions>,
    pub(super) transport: Arc<Transport>,
    pub(super) detector: Detector,
    pub(super) identity: watch::Receiver<Identity>,
    pub(super) events: mpsc::Sender<ClusterEvent>,
    /// Each is a request, with a framework that is not to be found. One that comes while another is carried out is carried
    /// out after it, once.
    pub(super) requests: mpsc::Receiver<Option<FrameworkId>>,
    /// Before a subscription is wanted, a survey is all that is tried, and says how that goes.
    pub(super) wanted: watch::Receiver<Option<Subscriber>>,
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
    #[error(
        "the master is new and waits for {0} agent(s) to come back to it, whose tasks it does not know yet; it gives them \
         up after its --agent_reregister_timeout"
    )]
    AgentsAwaited(usize),
}

impl NoAnswer {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_refusal())
    }
}

impl Surveyor {
    /// Answers for as long as somebody may ask.
    pub(super) async fn run(mut self) {
        while let Some(except) = self.requests.recv().await {
            let found = self.survey(except.as_ref()).await;
            if self.events.send(ClusterEvent::Found(found)).await.is_err() {
                return;
            }
        }
    }

    /// Asks until there is an answer.
    async fn survey(&mut self, except: Option<&FrameworkId>) -> Found {
        let mut backoff = Backoff::default();
        let mut trouble = Trouble::new("the survey of what Mesos runs for us");
        let mut refusals = 0;
        loop {
            let pause = match self.ask(except).await {
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
                    match cause {
                        // It leads, and others could tell no more.
                        NoAnswer::AgentsAwaited(_) => AGENTS_AGAIN,
                        _ if self.detector.failed() => backoff.wait(),
                        _ => Duration::ZERO,
                    }
                }
            };
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

    async fn ask(&mut self, except: Option<&FrameworkId>) -> Result<Found, NoAnswer> {
        let master = self.detector.master().await;
        let [agents, frameworks, tasks] = survey::CALLS;
        // All answers must be of one master.
        let (mut line, answer) =
            self.transport.post_to_leader(&master, OPERATOR, Bytes::from_static(agents.as_bytes())).await?;
        let agents = read(&mut line, answer).await?;
        let read_first = agents.clone();
        let awaited = beside(move || survey::agents_awaited(&read_first)).await?;
        if awaited > 0 {
            return Err(NoAnswer::AgentsAwaited(awaited));
        }
        let answer = line.post(OPERATOR, None, Bytes::from_static(frameworks.as_bytes())).await?;
        let frameworks = read(&mut line, answer).await?;
        let answer = line.post(OPERATOR, None, Bytes::from_static(tasks.as_bytes())).await?;
        let read = [agents, frameworks, read(&mut line, answer).await?];
        let identity = self.identity.borrow().clone();
        let (options, except) = (self.options.clone(), except.cloned());
        beside(move || {
            let wanted = Wanted {
                name: &options.name,
                except: except.as_ref(),
                id: identity.framework.as_ref(),
                subscribed: identity.subscribed,
            };
            let [agents, frameworks, tasks] = read.each_ref().map(|answer: &Bytes| answer.as_ref());
            survey::read(wanted, [agents, frameworks, tasks])
        })
        .await
    }
}

/// Reading megabytes takes a while, and others want to run.
async fn beside<T: Send + 'static>(
    reading: impl FnOnce() -> Result<T, WireError> + Send + 'static,
) -> Result<T, NoAnswer> {
    let read = tokio::task::spawn_blocking(reading).await;
    Ok(read.map_err(|crash| NoAnswer::Crash(crash.to_string()))??)
}

async fn read(line: &mut Line, answer: Response<Incoming>) -> Result<Bytes, Fault> {
    if answer.status().is_success() {
        line.body(answer, LONGEST_ANSWER).await
    } else {
        Err(line.refusal(answer).await)
    }
}
