//! `ekiden serve`: a server with Apache Mesos as its cluster. Its tasks outlive it; so does the store, and the id in it
//! as whom Mesos knows us.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::TaskId;
use ekiden_model::input::Abilities;
use ekiden_model::limits::Settings;

use super::server::{Cluster, Ended, Premises, Server, ServerError, ServerOptions, Started, store_file};
use super::tasks::Cause;
use super::uninstall::{REMOVED_WITHIN, last_put_aside, put_aside};
use crate::api::{HttpOptions, Introduction};
use crate::cluster::Call;
use crate::cluster::mesos::{self, ConnectionStatus, Mesos, MesosError, MesosOptions};
use crate::desired::PrunePolicy;

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The directory with the manifests.
    pub directory: PathBuf,
    /// The folder with the store.
    pub state: PathBuf,
    /// Where and on which terms to offer the API.
    pub http: HttpOptions,
    /// How many apps may vanish at once before somebody is asked.
    pub prune: PrunePolicy,
    /// The numbers that controllers need.
    pub settings: Settings,
    /// Most probes under way at once.
    pub probes: usize,
    /// Addresses that events are sent to from the start; nothing where events are sent nowhere.
    pub callbacks: Option<BTreeSet<Arc<str>>>,
    /// The cluster.
    pub mesos: MesosOptions,
    /// How the API introduces us.
    pub introduction: Introduction,
}

/// What Mesos is able to do. The grace is that of its executors (`--executor_shutdown_grace_period` apart).
pub const fn abilities() -> Abilities {
    Abilities { docker: true, mesos_images: true, networks: true, kill_grace: Duration::from_secs(3) }
}

/// Runs until a signal ends it, or it is uninstalled. `announce` is called once, when everything runs.
pub async fn run(options: ServeOptions, announce: impl FnOnce(&Started)) -> Result<(), ServerError> {
    let store = store_file(&options.state);
    let is_new = !store.exists();
    let premises =
        Premises::take(&options.directory, options.http, Some(&store), options.settings, abilities()).await?;
    if is_new {
        tell_of_beginning(&options.state);
    }
    let metrics = options.mesos.metrics.clone();
    let (cluster, events) = mesos::start(options.mesos).map_err(no_mesos)?;
    let options = ServerOptions {
        directory: options.directory,
        prune: options.prune,
        introduction: options.introduction,
        probes: options.probes,
        callbacks: options.callbacks,
        farewell: "stopping; tasks run on",
        metrics,
    };
    let ended = Server::new(options, premises, cluster, events).run(announce).await?;
    if ended == Ended::Uninstalled {
        let aside = put_aside(&store)?;
        tracing::info!(kept = %aside.display(), "the framework is removed, and its state put aside");
    }
    Ok(())
}

fn no_mesos(error: MesosError) -> ServerError {
    ServerError::Cluster { what: "Mesos cannot be used as the cluster", source: error.into() }
}

/// Whoever begins anew without wanting to should learn it from the first lines.
fn tell_of_beginning(state: &Path) {
    match last_put_aside(state) {
        Ok(Some(aside)) => tracing::info!(
            uninstalled = %aside.display(),
            "beginning anew, as a new framework: what was here before has been uninstalled"
        ),
        Ok(None) | Err(_) => {
            tracing::info!(state = %state.display(), "there is no store yet: beginning with an empty one");
        }
    }
}

impl Cluster for Mesos {
    const REMEMBERS_US: bool = true;

    async fn call(&self, call: Call) {
        Mesos::call(self, call).await;
    }

    async fn ended(&self) -> Cause {
        Mesos::ended(self).await.into()
    }

    fn connection(&self) -> Option<ConnectionStatus> {
        Some(self.status().borrow().clone())
    }

    fn sandbox(&self, _task: &TaskId) -> Option<PathBuf> {
        None
    }

    async fn leave(self) {
        self.shutdown().await;
    }

    async fn tear_down(self) -> Result<(), Cause> {
        match tokio::time::timeout(REMOVED_WITHIN, Mesos::tear_down(self)).await {
            Ok(removed) => removed.map_err(Into::into),
            Err(_) => Err(format!("no master has answered within {} s", REMOVED_WITHIN.as_secs()).into()),
        }
    }
}
