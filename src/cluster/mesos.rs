//! Apache Mesos as the cluster: its scheduler HTTP API, version 1.
//!
//! Owns the connection to the leading master: finding it, subscribing, hearing that it is there, sending calls in their
//! order, and telling what it says as [`ClusterEvent`]s. It decides nothing and remembers nothing that must survive: as
//! which framework to subscribe, what to launch, kill, decline or ask comes from the reconciler, complete. A call that is
//! lost with a connection stays lost; the reconciler asks about its tasks on every [`ClusterEvent::Connected`].
//!
//! ```text
//!  Call ─► queue ─► one call after the other ─► POST /api/v1/scheduler ─┐
//!                                                                       ├─ leading master
//!  ClusterEvent ◄─ translation ◄─ frames (RecordIO) ◄─ SUBSCRIBE ───────┘
//! ```

mod address;
mod backoff;
mod connection;
mod detector;
mod http;
mod listener;
mod maintenance;
mod queue;
mod record_io;
mod sender;
mod subscription;
mod surveyor;
#[cfg(test)]
mod tests;
mod trouble;
mod watched;
mod wire;
mod zookeeper;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::input::ClusterEvent;
use ekiden_model::{FrameworkId, Role, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use self::address::Masters;
use self::connection::{Connection, Identity};
use self::detector::Detector;
use self::http::Transport;
use self::queue::CallQueue;
use self::surveyor::Surveyor;
use self::watched::first;
use super::Call;
use crate::telemetry::Metrics;

/// Most events that wait for their reader. Beyond, the master's stream is read no further.
const EVENTS: usize = 1024;

/// How long calls that were made already are given to be sent when the connection is closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// What to connect to, and as whom.
#[derive(Debug, Clone)]
pub struct MesosOptions {
    /// Where masters are: `host:port`, a list of them with commas, `http(s)://host:port`, or
    /// `zk://[user:password@]host:port,…/path`.
    pub master: String,
    /// How we introduce ourselves.
    pub framework: FrameworkOptions,
    /// Whom to authenticate as, where masters ask for it.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) to trust in place of the system's, for `https://`.
    pub certificate_authority: Option<PathBuf>,
    /// Counts what happens.
    pub metrics: Metrics,
}

/// The `FrameworkInfo` of Mesos, less its id, which the reconciler keeps; and what all of its tasks get.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameworkOptions {
    /// `--framework_name`
    pub name: String,
    /// `--mesos_user`: as whom tasks run that name nobody.
    pub user: String,
    /// `--hostname`: where we say that we are.
    pub hostname: String,
    /// `--webui_url`: what Mesos' own page links to.
    pub webui_url: Option<String>,
    /// `--mesos_role`: subscribed from the start; the roles of apps follow as they are revived.
    pub role: Role,
    /// `--failover_timeout`: after so long without us Mesos ends all of our tasks.
    pub failover_timeout: Duration,
    /// `--checkpoint`: whether tasks outlive a restart of their agent's process.
    pub checkpoint: bool,
    /// `--env_vars_prefix`: what the names of [`environment`](super::environment)'s `HOST` and `PORT…` begin with.
    pub env_vars_prefix: String,
}

/// A principal and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub principal: String,
    /// Never printed.
    pub secret: Arc<str>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// Why there is no connection and will be none until somebody does something. What passes by itself (a master that is
/// away, no leader, a broken stream) is no error: it is tried again for ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MesosError {
    /// `--master` cannot be understood.
    #[error(
        "`{master}` names no master ({problem}): write `host:port`, `http://host:port` or `zk://host:port/path`"
    )]
    Master {
        /// As given, without a password.
        master: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The framework was removed, by an operator or after its failover timeout; its tasks are dead.
    #[error(
        "Mesos has removed framework {framework} and ended its tasks ({message}): it cannot be taken up again. To begin \
         anew, move the state directory away and start ekiden again"
    )]
    Removed {
        /// Which one.
        framework: String,
        /// Mesos' words.
        message: String,
    },
    /// The certificates to trust cannot be used.
    #[error("the certificates in {} cannot be used ({problem}): it must be a file of certificates in PEM", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The master does not let us in: it said so several times, seconds apart.
    #[error(
        "the master refuses us ({message}): check the principal, its secret, and what the master's ACLs allow"
    )]
    Refused {
        /// The master's words.
        message: String,
    },
    /// Another scheduler has subscribed as this framework.
    #[error(
        "another scheduler has taken over framework {framework} ({message}): only one may run; this one stops"
    )]
    Superseded {
        /// Which one.
        framework: String,
        /// Mesos' words.
        message: String,
    },
}

/// How the connection is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// Nobody has asked for one yet; see [`Call::Subscribe`].
    NotWanted,
    /// There is none, and this is why.
    Trying {
        /// What was tried last, and what came of it.
        what: String,
        /// Since when there is none.
        since: Timestamp,
    },
    /// There is one.
    Subscribed {
        /// The leading master's address, as a URL.
        master: String,
        /// Since when.
        since: Timestamp,
    },
}

/// As whom to subscribe, once that is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subscriber {
    /// As a framework that the master does not know yet.
    New,
    /// As this one.
    Known(FrameworkId),
}

impl Subscriber {
    fn id(&self) -> Option<&FrameworkId> {
        match self {
            Self::New => None,
            Self::Known(id) => Some(id),
        }
    }
}

impl From<Option<FrameworkId>> for Subscriber {
    fn from(framework: Option<FrameworkId>) -> Self {
        framework.map_or(Self::New, Self::Known)
    }
}

/// The connection. Events come apart, as a stream that ends only after [`Mesos::ended`] has something to tell, or with
/// [`Mesos::shutdown`]. Dropping it closes the connection at once.
#[derive(Debug)]
pub struct Mesos {
    queue: Arc<CallQueue>,
    wanted: watch::Sender<Option<Subscriber>>,
    surveys: mpsc::Sender<Option<FrameworkId>>,
    ended: watch::Receiver<Option<MesosError>>,
    status: watch::Receiver<ConnectionStatus>,
    work: AbortOnDropHandle<()>,
    stop: DropGuard,
}

/// Begins to look for the leading master. It subscribes when it is told to ([`Call::Subscribe`]), and answers
/// [`Call::Survey`] before that, too. A subscription as a new framework whose answer is lost is not made again by itself,
/// since the master may have taken it: [`ClusterEvent::Disconnected`] says so, and whoever decides tells as whom. Must be called within a tokio runtime.
pub fn start(options: MesosOptions) -> Result<(Mesos, mpsc::Receiver<ClusterEvent>), MesosError> {
    let masters = Masters::parse(&options.master)
        .map_err(|problem| MesosError::Master { master: Masters::shown(&options.master), problem })?;
    let authority = options.certificate_authority.as_deref();
    let transport =
        Transport::new(options.credentials.as_ref(), authority).map_err(|problem| MesosError::Certificates {
            path: authority.map(Into::into).unwrap_or_default(),
            problem: problem.to_string(),
        })?;
    let (wanted, wanted_by_others) = watch::channel(None);
    let (surveys, requests) = mpsc::channel(1);
    let (events, events_out) = mpsc::channel(EVENTS);
    let (identity, identity_known) = watch::channel(Identity::default());
    let (status, status_known) = watch::channel(ConnectionStatus::NotWanted);
    let (ended_by, ended) = watch::channel(None);
    let stop = CancellationToken::new();
    let framework = Arc::new(options.framework);
    let transport = Arc::new(transport);
    let queue = Arc::new(CallQueue::new(options.metrics.clone()));
    // ZooKeeper names masters without a scheme. Certificates are given for a reason.
    let detector = Detector::new(masters, authority.is_some());
    let surveyor = Surveyor {
        options: framework.clone(),
        transport: transport.clone(),
        detector: detector.clone(),
        identity: identity_known,
        events: events.clone(),
        requests,
        wanted: wanted_by_others.clone(),
        status: status.clone(),
        ended: ended_by.clone(),
    };
    let connection = Connection {
        options: framework,
        principal: options.credentials.map(|credentials| credentials.principal),
        transport,
        detector,
        queue: queue.clone(),
        events,
        wanted: wanted_by_others,
        identity,
        status,
        ended: ended_by,
        metrics: options.metrics,
    };
    let stopped = stop.clone();
    let work = async move {
        let _surveyor = AbortOnDropHandle::new(tokio::spawn(surveyor.run()));
        tokio::select! {
            () = connection.run() => {}
            () = stopped.cancelled() => {}
        }
    };
    let work = AbortOnDropHandle::new(tokio::spawn(work));
    Ok((Mesos { queue, wanted, surveys, ended, status: status_known, work, stop: stop.drop_guard() }, events_out))
}

impl Mesos {
    /// Takes a call. Never waits for the master, nor for the reader of events: what cannot be sent is dropped and
    /// counted, as a lost message would be. A call that is made before the reader has taken
    /// [`ClusterEvent::Disconnected`] is void with the connection that it was made for.
    pub fn call(&self, call: Call) -> impl Future<Output = ()> + Send + use<> {
        match call {
            Call::Subscribe(framework) => _ = self.wanted.send_replace(Some(framework.into())),
            // When one waits already, its answer will be late enough for this request, too.
            Call::Survey { except } => _ = self.surveys.try_send(except),
            call => self.queue.push(call),
        }
        std::future::ready(())
    }

    /// Waits until the connection has ended for good, and says why.
    pub async fn ended(&self) -> MesosError {
        // Closed without a reason, it never ends.
        first(&mut self.ended.clone(), Clone::clone).await
    }

    /// How the connection is, from now on.
    pub fn status(&self) -> watch::Receiver<ConnectionStatus> {
        self.status.clone()
    }

    /// Closes the connection, after the calls that were made before, unless that takes more than two seconds. Tasks run
    /// on, for the failover timeout at least.
    pub async fn shutdown(self) {
        if tokio::time::timeout(FAREWELL, self.queue.sent()).await.is_err() {
            tracing::warn!("not all calls could be sent before the connection was closed");
        }
        drop(self.stop);
        // It ends at its next await; a crash has been logged by the runtime.
        _ = self.work.await;
    }

    /// Removes the framework: Mesos ends all of its tasks and forgets it. Needs [`Call::Subscribe`] to have been made;
    /// waits until there is a connection and the master has taken the call, for as long as that takes. A framework that
    /// is removed already is removed.
    pub async fn tear_down(self) -> Result<(), MesosError> {
        let removed = loop {
            let (taken, done) = oneshot::channel();
            self.queue.tear_down(taken);
            tokio::select! {
                done = done => {
                    if done.is_ok() {
                        break Ok(());
                    }
                    // Lost on its way: the next subscription finds out whether the master has heard it.
                    tracing::debug!("the removal is asked for again");
                }
                why = self.ended() => match why {
                    MesosError::Removed { .. } => break Ok(()),
                    why => break Err(why),
                },
            }
        };
        drop(self.stop);
        _ = self.work.await;
        removed
    }
}
