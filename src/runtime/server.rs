//! A running server: one reconciler, one cluster, and everything around them. `ekiden dev` and `ekiden serve` differ in
//! the cluster and in what is said; the rest is here.
//!
//! The order matters. On the way up: first whatever may refuse ([`Premises`]: signals, the address, the store), then the
//! cluster, then what runs ([`Server::run`]); and the API answers as soon as what was stored is there to be read, whatever
//! the cluster does. On the way down: the loop, so that nothing is decided any more; then the API; then the cluster is
//! left; then the store is closed, with everything in it that was decided.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::effect::Probe;
use ekiden_model::health::ProbeKind;
use ekiden_model::input::{Abilities, ClusterEvent, Input, WriteSeq};
use ekiden_model::limits::Settings;
use ekiden_model::record::{Installation, Record, Write};
use ekiden_model::{App, AppId, InstanceKey, Source, TaskId};
use ekiden_reconciler::{Reconciler, RestoreError};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::callbacks::Callbacks;
use super::signals::Signals;
use super::snapshot::Publisher;
use super::tasks::{Cause, TaskError};
use super::turn::{Hands, Requests, Turn, essential};
use super::uninstall::{Uninstall, Uninstalls};
use super::{Clock, EventLog, Tasks, narrator};
use crate::api::{self, Addresses, Api, BindError, HttpOptions, Introduction, Listeners};
use crate::cluster::Call;
use crate::cluster::mesos::ConnectionStatus;
use crate::desired::{self, DirectoryHandle, DirectoryStatus, PrunePolicy, WatchOptions};
use crate::probe::{ProbeOptions, Prober};
use crate::store::{Opened, Store, StoreError, Stored};
use crate::telemetry::Metrics;

/// Probe results that may wait for the loop; further ones are dropped by the prober, which asks again anyway.
const SAMPLES_WAITING: usize = 4096;

/// Whoever watches the terminal is told of the start after this in any case: reading a directory takes milliseconds, and
/// a cluster may be away for hours.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(2);

/// A store that takes longer to be read is told of, so that nobody wonders.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// How often, and how many times, it is looked whether readers have let go of what is to be closed.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LOOKS: u32 = 500;

/// What a server needs of the cluster that it runs on.
pub trait Cluster: Send + Sync + 'static {
    /// Whether it knows us beyond the end of this process.
    const REMEMBERS_US: bool;

    /// Tells it something; see [`Hands::call`].
    fn call(&self, call: Call) -> impl Future<Output = ()> + Send;

    /// Waits until it has ended for good, and says why: nothing but a person can mend it.
    fn ended(&self) -> impl Future<Output = Cause> + Send;

    /// How the connection is; nothing for a cluster that is always there.
    fn connection(&self) -> Option<ConnectionStatus>;

    /// Where a task's files are, if they are on this machine.
    fn sandbox(&self, task: &TaskId) -> Option<PathBuf>;

    /// Says good-bye: what becomes of the tasks is the cluster's nature.
    fn leave(self) -> impl Future<Output = ()> + Send;

    /// Removes us from it, and every task of ours.
    fn tear_down(self) -> impl Future<Output = Result<(), Cause>> + Send;
}

/// What a server is told.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The directory with the manifests.
    pub directory: PathBuf,
    /// How many apps may vanish from it at once before somebody is asked.
    pub prune: PrunePolicy,
    /// How the API introduces us.
    pub introduction: Introduction,
    /// Most probes under way at once.
    pub probes: usize,
    /// Addresses that events are sent to from the start; nothing where events are sent nowhere.
    pub callbacks: Option<BTreeSet<Arc<str>>>,
    /// What is said when a signal has come.
    pub farewell: &'static str,
    /// Counts what happens.
    pub metrics: Metrics,
}

/// What must be had before anything runs.
#[derive(Debug)]
pub struct Premises {
    signals: Signals,
    listeners: Listeners,
    settings: Settings,
    restored: Opened<Restored>,
}

/// What was made of what is stored.
#[derive(Debug)]
struct Restored {
    reconciler: Reconciler,
    /// What files have declared, and which.
    declared: Vec<(Arc<App>, Source)>,
}

/// What was found at the start, for people.
#[derive(Debug)]
pub struct Started {
    /// Where the API is: `127.0.0.1:8080`.
    pub address: String,
    /// The same, with its scheme.
    pub url: String,
    /// The directory with the manifests.
    pub directory: PathBuf,
    /// Manifests in it.
    pub files: usize,
    /// Apps in them.
    pub apps: usize,
    /// What is wrong with them.
    pub findings: usize,
}

/// How a server ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By a signal.
    Told,
    /// It has been removed from the cluster; its store says nothing any more that is true.
    Uninstalled,
}

/// Why a server did not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
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
    Store(#[source] Arc<StoreError>),
    /// What the store holds makes no sense.
    #[error("what was stored cannot be taken up")]
    Restore(#[from] RestoreError),
    /// The cluster does not start, or has ended for good.
    #[error("{what}")]
    Cluster {
        /// What that means.
        what: &'static str,
        /// Why.
        source: Cause,
    },
    /// The system has no threads left for the API.
    #[error("the API cannot be given threads of its own")]
    Threads(#[source] std::io::Error),
    /// Nobody would tell us to end.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    /// Nothing more can be stored.
    #[error("ekiden cannot go on without its store")]
    NotStored(#[source] Arc<StoreError>),
    /// A part has died.
    #[error("ekiden cannot go on")]
    Task(#[from] TaskError),
    /// The store of what has been uninstalled is still where it was.
    #[error(
        "the framework is removed, but its store cannot be put aside: move {} away before ekiden is started again",
        .0.display()
    )]
    PutAside(PathBuf, #[source] std::io::Error),
    /// Somebody is in a hurry.
    #[error("ended at once, at the second signal")]
    Hurried,
}

impl Premises {
    /// Takes everything that somebody else could have. Opening a store takes as long as reading it.
    pub async fn take(
        directory: &Path,
        http: HttpOptions,
        store: Option<&Path>,
        settings: Settings,
        abilities: Abilities,
    ) -> Result<Self, ServerError> {
        if !directory.is_dir() {
            return Err(ServerError::NoDirectory(directory.to_owned()));
        }
        let signals = Signals::new().map_err(ServerError::Signals)?;
        let listeners = api::bind(http).await?;
        if let Some(folder) = store.and_then(Path::parent) {
            std::fs::create_dir_all(folder).map_err(|error| ServerError::Folder(folder.to_owned(), error))?;
        }
        let known = settings.clone();
        let take_up = |records: &mut dyn Iterator<Item = Record>| restore(known, abilities, records);
        let Opened { store, records, stored } = open(store.map(Path::to_owned), take_up).await?;
        Ok(Self { signals, listeners, settings, restored: Opened { store, records: records?, stored } })
    }
}

/// Takes up what is stored while it is being read.
fn restore(
    settings: Settings,
    abilities: Abilities,
    records: impl Iterator<Item = Record>,
) -> Result<Restored, RestoreError> {
    let mut declared = Vec::new();
    let records = records.inspect(|record| declared.extend(declared_by_file(record)));
    let reconciler = Reconciler::restore(settings, abilities, fresh(), records)?;
    Ok(Restored { reconciler, declared })
}

/// The store's file in the folder given with `--state`.
pub fn store_file(state: &Path) -> PathBuf {
    state.join("ekiden.redb")
}

/// Opens the store in the file, or one that is kept nowhere, and hands what is stored to `take_up`.
pub async fn open<T: Send + 'static>(
    path: Option<PathBuf>,
    take_up: impl FnOnce(&mut dyn Iterator<Item = Record>) -> T + Send + 'static,
) -> Result<Opened<T>, ServerError> {
    let unusable = |error| ServerError::Store(Arc::new(error));
    let Some(path) = path else {
        let Opened { store, records, stored } = Store::in_memory().map_err(unusable)?;
        return Ok(Opened { store, records: take_up(&mut records.into_iter()), stored });
    };
    let shown = path.display().to_string();
    let mut reading = tokio::task::spawn_blocking(move || Store::open_into(&path, take_up));
    let opened = if let Ok(opened) = tokio::time::timeout(TOLD_AFTER, &mut reading).await {
        opened
    } else {
        tracing::info!(file = shown, "reading the store");
        reading.await
    };
    opened.map_err(TaskError::Panicked)?.map_err(unusable)
}

/// A server that is about to run.
#[derive(Debug)]
pub struct Server<C> {
    options: ServerOptions,
    premises: Premises,
    cluster: Arc<C>,
    events: mpsc::Receiver<ClusterEvent>,
}

impl<C: Cluster> Server<C> {
    /// All that is needed.
    pub fn new(
        options: ServerOptions,
        premises: Premises,
        cluster: C,
        events: mpsc::Receiver<ClusterEvent>,
    ) -> Self {
        Self { options, premises, cluster: Arc::new(cluster), events }
    }

    /// Runs until a signal ends it, or it is uninstalled. `announce` is called once, when everything runs.
    pub async fn run(self, announce: impl FnOnce(&Started)) -> Result<Ended, ServerError> {
        let Self { options, premises, cluster, events: cluster_events } = self;
        let ServerOptions { directory, prune, introduction, probes, callbacks, farewell, metrics } = options;
        let Premises { mut signals, listeners, settings, restored } = premises;
        let terms = listeners.terms.clone().named(introduction.hostname.as_deref());
        let addresses = terms.addresses;
        let Opened { store, records: Restored { reconciler, declared }, stored } = restored;
        let store = Arc::new(store);
        let (samples, answers) = mpsc::channel(SAMPLES_WAITING);
        let prober = Prober::new(
            ProbeOptions { metrics: metrics.clone(), concurrency: probes, ..ProbeOptions::default() },
            samples,
        );
        let (handle, changes) =
            desired::watch(&directory, WatchOptions { prune, known: declared, ..WatchOptions::default() });

        let mut clock = Clock::start();
        let log = EventLog::new(clock.now());
        let (publisher, snapshots) = Publisher::new();
        let (requests, requested) = Requests::new();
        let (uninstalls, mut uninstalling) = Uninstalls::new();
        let hands = ServerHands { cluster: Arc::clone(&cluster), store: Arc::clone(&store), prober };
        let turn = Turn::new(reconciler, hands, clock, log.clone(), publisher, metrics.clone());
        let sources = vec![
            essential("directory", changes.map(Input::Desired)),
            essential("cluster", ReceiverStream::new(cluster_events).map(Input::Cluster)),
            essential("prober", ReceiverStream::new(answers).map(|(app, sample)| Input::Probe(app, sample))),
            essential("store", durable(stored)),
            requested,
        ];

        let (mut deciding, mut serving) = (Tasks::default(), Tasks::default());
        let (sandboxes, connection) = (Arc::downgrade(&cluster), Arc::downgrade(&cluster));
        let callbacks = callbacks.map(Arc::new);
        if let Some(fixed) = callbacks.clone() {
            let (events, snapshots, metrics) = (log.clone(), snapshots.clone(), metrics.clone());
            let sending = Callbacks { events, snapshots, fixed, frames: api::event_frames, metrics };
            let stop = serving.stop().clone();
            serving.spawn("sender of events", async move {
                stop.run_until_cancelled(sending.run()).await;
                Ok::<(), Infallible>(())
            });
        }
        let api = Api {
            callbacks,
            snapshots: snapshots.clone(),
            events: log,
            requests,
            sandboxes: Arc::new(move |task| sandboxes.upgrade()?.sandbox(task)),
            connection: Arc::new(move || connection.upgrade()?.connection()),
            directory: handle.clone(),
            export: store.export(),
            metrics: metrics.clone(),
            settings,
            introduction: Arc::new(introduction),
            uninstalls: C::REMEMBERS_US.then_some(uninstalls),
            terms,
            stop: serving.stop().clone(),
        };
        deciding.spawn("loop", turn.run(sources, deciding.stop().clone()));
        let restored = snapshots.clone();
        // Rendering ten thousand apps takes its time, and nobody who reads holds up who decides.
        let apart = serving.spawn_apart("HTTP API", async move {
            // Until what was stored is there to be read, whoever connects waits: an empty list would be a lie, and load
            // balancers would act on it.
            let stop = api.stop.clone();
            if stop.run_until_cancelled(restored.first()).await.is_none() {
                return Ok(());
            }
            api::serve(listeners, api, stop).await
        });
        apart.map_err(ServerError::Threads)?;
        let told = narrator::tell_directory(handle.status(), metrics);
        let stop = serving.stop().clone();
        serving.spawn("directory's narrator", async move {
            // The status ends with the directory's stream, and that ends with the loop.
            stop.run_until_cancelled(told).await;
            Ok::<(), Infallible>(())
        });
        let announced = async {
            // A directory that cannot be read is told by the log; the address is worth knowing all the same.
            let _ = tokio::time::timeout(ANNOUNCED_WITHIN, snapshots.settled()).await;
            announce(&started(&handle, addresses, directory));
            std::future::pending::<Infallible>().await
        };

        // Biased, since a cluster or store that has ended ends the loop, too; and why it did is worth more.
        let outcome = tokio::select! {
            biased;
            never = announced => match never {},
            signal = signals.next() => Outcome::Told(signal),
            source = cluster.ended() => Outcome::Failed(ServerError::Cluster { what: CLUSTER_ENDED, source }),
            failure = deciding.failure() => Outcome::Failed(failure.into()),
            failure = serving.failure() => Outcome::Failed(failure.into()),
            asked = uninstalling.next() => Outcome::Uninstall(asked),
        };
        if let Outcome::Told(signal) = outcome {
            tracing::info!(signal, "{farewell}");
        }
        let down = go_down(outcome, deciding, serving, cluster, store);
        tokio::select! {
            ended = down => ended,
            _ = signals.next() => Err(ServerError::Hurried),
        }
    }
}

const CLUSTER_ENDED: &str = "the cluster will have nothing more to do with us";

/// Why a server ends.
enum Outcome {
    /// By a signal.
    Told(&'static str),
    /// Somebody wants it removed from the cluster, and waits to hear of it.
    Uninstall(Uninstall),
    /// It cannot go on.
    Failed(ServerError),
}

async fn go_down<C: Cluster>(
    outcome: Outcome,
    deciding: Tasks,
    serving: Tasks,
    cluster: Arc<C>,
    store: Arc<Store>,
) -> Result<Ended, ServerError> {
    deciding.end().await;
    let ended = match outcome {
        Outcome::Uninstall(asked) => {
            let torn_down = match sole(cluster).await {
                Some(cluster) => cluster.tear_down().await,
                None => Err("the connection is still in use".into()),
            };
            asked.answer(&torn_down);
            serving.end().await;
            torn_down.map(|()| Ended::Uninstalled).map_err(|source| ServerError::Cluster {
                what: "ekiden could not be removed from the cluster",
                source,
            })
        }
        Outcome::Told(_) | Outcome::Failed(_) => {
            serving.end().await;
            if let Some(cluster) = sole(cluster).await {
                cluster.leave().await;
            } else {
                tracing::warn!("the cluster is still in use; the connection ends with this process");
            }
            match outcome {
                Outcome::Failed(error) => Err(error),
                _ => Ok(Ended::Told),
            }
        }
    };
    if let Some(store) = sole(store).await {
        // It reports what kept it from storing, which is why the loop ended if it did.
        store.close().await.map_err(ServerError::NotStored)?;
    }
    ended
}

/// What nobody else holds. The loop is gone, and with it its hands; a reader holds it for no longer than it takes to look.
async fn sole<T>(mut shared: Arc<T>) -> Option<T> {
    for _ in 0..LOOKS {
        match Arc::try_unwrap(shared) {
            Ok(sole) => return Some(sole),
            Err(still_shared) => shared = still_shared,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

fn started(handle: &DirectoryHandle, addresses: Addresses, directory: PathBuf) -> Started {
    let status: DirectoryStatus = handle.status().borrow().clone();
    let (files, apps, findings) = (status.files, status.apps, status.diagnostics.len());
    Started { address: addresses.leader(None), url: addresses.url(), directory, files, apps, findings }
}

/// What carries out effects.
struct ServerHands<C> {
    cluster: Arc<C>,
    store: Arc<Store>,
    prober: Prober,
}

impl<C: Cluster> Hands for ServerHands<C> {
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

    fn master(&self) -> Option<Arc<str>> {
        match self.cluster.connection()? {
            ConnectionStatus::Subscribed { master, .. } => Some(host_of(&master).into()),
            ConnectionStatus::NotWanted | ConnectionStatus::Trying { .. } => None,
        }
    }
}

/// Marathon says the master's host, and not where on it.
fn host_of(url: &str) -> &str {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let address = address.split('/').next().unwrap_or(address);
    address.rsplit_once(':').map_or(address, |(host, _)| host)
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
fn declared_by_file(record: &Record) -> Option<(Arc<App>, Source)> {
    let Record::App(app) = record else { return None };
    let declared = app.declared.as_ref().filter(|declared| matches!(declared.source, Source::File { .. }))?;
    // Where something else holds for a while, the file says what it said.
    let by_file = declared.over.as_ref().map_or(&declared.app, |over| &over.file);
    Some((Arc::clone(by_file), declared.source.clone()))
}

/// A new installation, for a store that has none. The hasher's keys are the standard library's randomness.
fn fresh() -> Installation {
    Installation::new(RandomState::new().hash_one("realm"))
}
