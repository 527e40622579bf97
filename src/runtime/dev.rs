//! `ekiden dev`: a server with this machine as its cluster. Nothing outlives it, unless it is told where to keep its
//! state; and its tasks never do.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ekiden_model::TaskId;
use ekiden_model::limits::Settings;

use super::server::{Cluster, Premises, Server, ServerError, ServerOptions, Started, store_file};
use super::tasks::Cause;
use crate::api::{Exposure, HttpOptions, Introduction};
use crate::cluster::Call;
use crate::cluster::local::{self, AgentAttributes, AgentResources, LocalCluster, LocalError, LocalOptions};
use crate::cluster::mesos::ConnectionStatus;
use crate::desired::PrunePolicy;
use crate::probe::ProbeOptions;
use crate::telemetry::Metrics;

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// The directory with the manifests.
    pub directory: PathBuf,
    /// Where to offer the API.
    pub http: SocketAddr,
    /// As how many agents this machine appears.
    pub agents: u32,
    /// What each of them has.
    pub resources: AgentResources,
    /// What distinguishes them.
    pub attributes: AgentAttributes,
    /// How many apps may vanish at once before somebody is asked.
    pub prune: PrunePolicy,
    /// Where to keep the store and the sandboxes; neither outlives the process when not given.
    pub state: Option<PathBuf>,
    /// Addresses that events are sent to from the start; nothing where events are sent nowhere.
    pub callbacks: Option<BTreeSet<Arc<str>>>,
    /// How the API introduces us.
    pub introduction: Introduction,
    /// The settings of the brain.
    pub settings: Settings,
}

/// Runs until a signal ends it. `announce` is called once, when everything runs.
pub async fn run(options: DevOptions, announce: impl FnOnce(&Started)) -> Result<(), ServerError> {
    let folder = Folder::of(options.state.as_deref());
    let http = HttpOptions::plain(options.http, Exposure::Never);
    let (store, abilities) = (folder.store.as_deref(), LocalCluster::abilities());
    let premises = Premises::take(&options.directory, http, store, options.settings, abilities).await?;
    folder.prepare()?;
    let (cluster, events) = local::start(LocalOptions {
        agents: options.agents,
        resources: Some(options.resources),
        attributes: options.attributes,
        keep_sandboxes: options.state.is_some(),
        ..LocalOptions::new(&folder.work)
    })
    .await
    .map_err(no_cluster)?;
    let options = ServerOptions {
        directory: options.directory,
        prune: options.prune,
        introduction: options.introduction,
        probes: ProbeOptions::CONCURRENCY,
        callbacks: options.callbacks,
        farewell: "stopping every task",
        metrics: Metrics::default(),
    };
    let ended = Server::new(options, premises, cluster, events).run(announce).await;
    if !matches!(ended, Err(ServerError::Hurried)) {
        folder.clear();
    }
    ended.map(drop)
}

fn no_cluster(error: LocalError) -> ServerError {
    ServerError::Cluster { what: "this machine cannot be used as a cluster", source: error.into() }
}

impl Cluster for LocalCluster {
    const REMEMBERS_US: bool = false;

    async fn call(&self, call: Call) {
        LocalCluster::call(self, call).await;
    }

    async fn ended(&self) -> Cause {
        // It ends with its stream of events, which the loop notices.
        std::future::pending().await
    }

    fn connection(&self) -> Option<ConnectionStatus> {
        None
    }

    fn sandbox(&self, task: &TaskId) -> Option<PathBuf> {
        LocalCluster::sandbox(self, task)
    }

    async fn leave(self) {
        self.shutdown().await;
    }

    async fn tear_down(self) -> Result<(), Cause> {
        self.shutdown().await;
        Ok(())
    }
}

/// Where things are kept.
struct Folder {
    store: Option<PathBuf>,
    work: PathBuf,
    passing: bool,
}

impl Folder {
    fn of(state: Option<&Path>) -> Self {
        let (work, store) = state.map_or_else(
            || {
                let unique = RandomState::new().hash_one(std::process::id());
                (std::env::temp_dir().join(format!("ekiden-{}-{unique:016x}", std::process::id())), None)
            },
            |state| (state.join("work"), Some(store_file(state))),
        );
        let passing = store.is_none();
        Self { store, work, passing }
    }

    fn prepare(&self) -> Result<(), ServerError> {
        std::fs::create_dir_all(&self.work).map_err(|error| ServerError::Folder(self.work.clone(), error))
    }

    fn clear(&self) {
        if !self.passing {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.work)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.work.display(), cause = %error, "a folder could not be removed");
        }
    }
}
