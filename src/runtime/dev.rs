//! `ekiden dev`: the loop with this machine as its cluster. Everything is started here, watched here and ended here.
//!
//! The order matters. On the way up: first whatever may refuse (the address, the store, the work folder), then what
//! runs. On the way down: the API and the loop, so that nothing is decided any more; then the tasks; then the store.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::effect::Probe;
use ekiden_model::health::ProbeKind;
use ekiden_model::input::{Input, WriteSeq};
use ekiden_model::limits::Settings;
use ekiden_model::record::{Installation, Record, Write};
use ekiden_model::{App, AppId, InstanceKey, Source};
use ekiden_reconciler::{Reconciler, RestoreError};
use futures_util::{StreamExt, stream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::snapshot::Publisher;
use super::tasks::{Cause, TaskError};
use super::turn::{Hands, Requests, Turn, essential};
use super::{Clock, EventLog, Tasks};
use crate::api::{self, Api, BindError};
use crate::cluster::Call;
use crate::cluster::local::{self, AgentAttributes, AgentResources, LocalCluster, LocalError, LocalOptions};
use crate::desired::{self, DirectoryStatus, PrunePolicy, WatchOptions};
use crate::probe::{ProbeOptions, Prober};
use crate::store::{self, Store, StoreError, Stored};
use crate::telemetry::Metrics;

/// Probe results that may wait for the loop; further ones are dropped by the prober, which asks again anyway.
const SAMPLES_WAITING: usize = 4096;

/// Reading a directory takes milliseconds; whoever watches the terminal is told of the start after this in any case.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(2);

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
}

/// What was found at the start, for people.
#[derive(Debug)]
pub struct Started {
    /// Where the API is.
    pub address: SocketAddr,
    /// The directory with the manifests.
    pub directory: PathBuf,
    /// Manifests in it.
    pub files: usize,
    /// Apps in them.
    pub apps: usize,
    /// What is wrong with them.
    pub findings: usize,
    /// As how many agents this machine appears.
    pub agents: u32,
}

/// Why it did not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The directory is none.
    #[error("{} is no directory: name the one with your manifests, as in `ekiden dev manifests/examples`", .0.display())]
    NoDirectory(PathBuf),
    /// The API has no address.
    #[error("the API cannot be offered")]
    Bind(#[from] BindError),
    /// There is nowhere to keep anything.
    #[error("the folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// The store is not to be had.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// What the store holds makes no sense.
    #[error("what was stored cannot be taken up")]
    Restore(#[from] RestoreError),
    /// The cluster does not start.
    #[error("this machine cannot be used as a cluster")]
    Local(#[from] LocalError),
    /// Nobody would tell us to end.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    /// A part has died.
    #[error("ekiden cannot go on")]
    Task(#[from] TaskError),
    /// Somebody is in a hurry.
    #[error("ended at once, at the second signal; what was still running is being killed")]
    Hurried,
}

/// Runs until a signal ends it. `announce` is called once, when everything runs.
pub async fn run(options: DevOptions, announce: impl FnOnce(&Started)) -> Result<(), DevError> {
    let directory = options.directory.clone();
    if !directory.is_dir() {
        return Err(DevError::NoDirectory(directory));
    }
    let mut signals = Signals::new().map_err(DevError::Signals)?;
    let listener = api::bind(options.http).await?;
    let address = listener.local_addr().map_err(|error| BindError::Refused(options.http, error))?;
    let folder = Folder::prepare(options.state.as_deref())?;
    let opened = match &folder.store {
        Some(path) => Store::open(path)?,
        None => Store::in_memory()?,
    };
    let (store, records, stored) = (Arc::new(opened.store), opened.records, opened.stored);
    let (cluster, cluster_events) = local::start(LocalOptions {
        agents: options.agents,
        resources: Some(options.resources),
        attributes: options.attributes,
        keep_sandboxes: options.state.is_some(),
        ..LocalOptions::new(&folder.work)
    })
    .await?;
    let cluster = Arc::new(cluster);
    let metrics = Metrics::default();
    let (samples, answers) = mpsc::channel(SAMPLES_WAITING);
    let prober = Prober::new(ProbeOptions { metrics: metrics.clone(), ..ProbeOptions::default() }, samples);
    let known = declared_by_files(&records);
    let (handle, changes) =
        desired::watch(&directory, WatchOptions { known, prune: options.prune, ..WatchOptions::default() });

    let mut clock = Clock::start();
    let settings = Settings::default();
    let reconciler = Reconciler::restore(settings.clone(), LocalCluster::abilities(), fresh(), records)?;
    let events = EventLog::new(clock.now());
    let (publisher, snapshots) = Publisher::new();
    let (requests, requested) = Requests::new();
    let hands = DevHands { cluster: Arc::clone(&cluster), store: Arc::clone(&store), prober };
    let turn = Turn::new(reconciler, hands, clock, events.clone(), publisher, metrics.clone());
    let sources = vec![
        essential("directory", changes.map(Input::Desired)),
        essential("cluster", ReceiverStream::new(cluster_events).map(Input::Cluster)),
        essential("prober", ReceiverStream::new(answers).map(|(app, sample)| Input::Probe(app, sample))),
        essential("store", durable(stored)),
        requested,
    ];

    let mut tasks = Tasks::default();
    let stop = tasks.stop().clone();
    let sandboxes = Arc::downgrade(&cluster);
    let settled = snapshots.clone();
    let api = Api {
        snapshots,
        events,
        requests,
        sandboxes: Arc::new(move |task| sandboxes.upgrade()?.sandbox(task)),
        directory: handle.clone(),
        export: store.export(),
        metrics: metrics.clone(),
        settings,
        address,
        stop: stop.clone(),
    };
    tasks.spawn("loop", turn.run(sources, stop.clone()));
    tasks.spawn("HTTP API", api::serve(listener, api, stop.clone()));
    let told = narrate_directory(handle.status(), metrics);
    tasks.spawn("directory's narrator", async move {
        // The status ends with the directory's stream, and that ends with the loop.
        stop.run_until_cancelled(told).await;
        Ok::<(), Infallible>(())
    });
    let announced = async {
        // A directory that cannot be read is told by the log; the address is worth knowing all the same.
        let _ = tokio::time::timeout(ANNOUNCED_WITHIN, settled.settled()).await;
        let status = handle.status().borrow().clone();
        let (files, apps, findings) = (status.files, status.apps, status.diagnostics.len());
        announce(&Started { address, directory, files, apps, findings, agents: options.agents });
        std::future::pending::<Infallible>().await
    };
    let ended = tokio::select! {
        never = announced => match never {},
        failure = tasks.failure() => Err(DevError::Task(failure)),
        () = signals.next() => Ok(()),
    };

    tracing::info!("stopping every task");
    let down = async {
        tasks.end().await;
        if let Some(cluster) = Arc::into_inner(cluster) {
            cluster.shutdown().await;
        } else {
            tracing::warn!("the cluster is still in use; its tasks end with this process");
        }
        if let Some(store) = Arc::into_inner(store) {
            store.close().await.map_err(|error| TaskError::Failed("store", error.into()))?;
        }
        folder.clear();
        ended
    };
    tokio::select! {
        ended = down => ended,
        () = signals.next() => Err(DevError::Hurried),
    }
}

/// What carries out effects on this machine.
struct DevHands {
    cluster: Arc<LocalCluster>,
    store: Arc<Store>,
    prober: Prober,
}

impl Hands for DevHands {
    async fn persist(&mut self, seq: WriteSeq, writes: Vec<Write>) -> Result<(), Cause> {
        self.store.persist(seq, writes).await.map_err(Into::into)
    }

    async fn call(&mut self, call: Call) -> Result<(), Cause> {
        self.cluster.call(call).await;
        Ok(())
    }

    async fn start_probe(&mut self, app: AppId, probe: Probe) {
        self.prober.start(app, probe);
    }

    async fn stop_probe(&mut self, app: AppId, instance: InstanceKey, kind: ProbeKind) {
        self.prober.stop(app, instance, kind);
    }
}

/// The store's word of what is durable, until it can store no more.
fn durable(stored: Stored) -> impl futures_util::Stream<Item = Input> + Send {
    stream::unfold(stored, |mut stored| async move {
        match stored.next().await {
            Ok(seq) => Some((Input::Stored(seq), stored)),
            Err(error) => {
                tracing::error!(cause = %error, "nothing more can be stored");
                None
            }
        }
    })
}

/// What files declared when the store was last written: what a directory that comes back empty is compared with.
fn declared_by_files(records: &[Record]) -> Vec<(Arc<App>, Source)> {
    records
        .iter()
        .filter_map(|record| match record {
            Record::App(app) => app.declared.as_ref(),
            Record::Installation(_) | Record::Slot(_) => None,
        })
        .filter(|declared| matches!(declared.source, Source::File { .. }))
        .map(|declared| (Arc::clone(&declared.app), declared.source.clone()))
        .collect()
}

/// A new installation, for a store that has none. The hasher's keys are the standard library's randomness.
fn fresh() -> Installation {
    Installation::new(RandomState::new().hash_one("realm"))
}

/// Tells the log what is wrong with the directory, each time it changes.
async fn narrate_directory(mut status: watch::Receiver<DirectoryStatus>, metrics: Metrics) {
    let mut told = Arc::from([]);
    let mut pending = None;
    loop {
        let now = status.borrow_and_update().clone();
        metrics.manifest_diagnostics.set(i64::try_from(now.diagnostics.len()).unwrap_or(i64::MAX));
        if now.diagnostics != told {
            for finding in now.diagnostics.iter().filter(|finding| !told.contains(finding)) {
                tracing::error!(file = %finding.path, code = %finding.code, "{finding}");
            }
            if now.diagnostics.is_empty() {
                tracing::info!("all manifests are well-formed again");
            }
            told = now.diagnostics;
        }
        if now.pending_prune != pending {
            if let Some(prune) = &now.pending_prune {
                tracing::warn!("{prune}");
            }
            pending = now.pending_prune;
        }
        if status.changed().await.is_err() {
            // The stream has ended; the loop says so and ends the process.
            return std::future::pending().await;
        }
    }
}

/// Where things are kept.
struct Folder {
    store: Option<PathBuf>,
    work: PathBuf,
    passing: bool,
}

impl Folder {
    fn prepare(state: Option<&Path>) -> Result<Self, DevError> {
        let (work, store) = state.map_or_else(
            || {
                let unique = RandomState::new().hash_one(std::process::id());
                (std::env::temp_dir().join(format!("ekiden-{}-{unique:016x}", std::process::id())), None)
            },
            |state| (state.join("work"), Some(store::file_in(state))),
        );
        let passing = store.is_none();
        std::fs::create_dir_all(&work).map_err(|error| DevError::Folder(work.clone(), error))?;
        Ok(Self { store, work, passing })
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

/// The signals that end us.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
