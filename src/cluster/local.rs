//! This machine as a cluster: a Mesos master and its agents, as far as the reconciler can tell, in one process.
//!
//! ```text
//!  Call ──► master ──► executor (one per task) ──pipe──► supervisor ──► the task's processes
//!             │  ▲          │ fetch, checks               (another process: see `supervise`)
//!   allocator ┘  └─ steps ──┘
//!  ◄── ClusterEvent
//! ```
//!
//! What a framework relies on is kept: offers are used once; a launch outside of its offer is refused; updates
//! come in order and again until they are acknowledged; reconciliation answers for every task asked about; a
//! killed task gets SIGTERM, its time, and SIGKILL. What has no use on one machine is not there: agents that get
//! lost, reservations, containers, networks, custom executors (`LocalCluster::abilities` says so).
//!
//! **None outlives Ekiden**, however it ends: every task has a supervisor, a small process that kills it and
//! everything that descends from it, in whatever session or group, as soon as Ekiden is gone.
//!
//! **Resources are counted, not enforced.** A task that takes more memory or processor than it declared gets it.
//! Its output is appended to `stdout` and `stderr` of its sandbox, which are cut at 100 MiB; old sandboxes go as
//! new ones come ([`SANDBOXES_KEPT_PER_SLOT`]).
//!
//! Linux only: it needs `/proc`, and subreapers.

mod allocator;
mod attributes;
mod check;
mod descendants;
mod executor;
mod fetch;
mod http;
mod master;
mod open_files;
mod output;
mod protocol;
mod resources;
mod sandbox;
mod supervise;
mod supervisor;
mod updates;
mod used_ports;
mod user;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::DEFAULT_KILL_GRACE;
use ekiden_model::input::{Abilities, ClusterEvent};
use ekiden_model::offer::Bundle;
use ekiden_model::{Agent, AgentId, Role, TaskId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::cluster::Call;

pub use attributes::AgentAttributes;
pub use resources::AgentResources;
pub use sandbox::{SANDBOXES_KEPT, SANDBOXES_KEPT_PER_SLOT};
pub use supervise::{SUPERVISE, supervise_main};

/// Most agents: as many as the default host name, `127.0.0.%d`, has addresses for.
pub const MOST_AGENTS: u32 = 254;

/// Most calls, and most events, that wait for their reader. Bursts are as long as one decision, a few hundred
/// calls; the rest waits at its sender.
const QUEUE: usize = 1024;

/// How the cluster is to be.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// How many agents.
    pub agents: u32,
    /// What each of them has. What is not given is found out from this machine and split between them.
    pub resources: Option<AgentResources>,
    /// What distinguishes them for constraints.
    pub attributes: AgentAttributes,
    /// The name that tasks and their clients reach an agent by; `%d` becomes its number, from 1.
    ///
    /// By default `127.0.0.%d`: on Linux every address in 127.0.0.0/8 is this machine, so each agent has a host
    /// name of its own (for `UNIQUE` constraints), and a task is reached there when it listens on all addresses or
    /// on `$HOST`.
    pub hostname: String,
    /// Where sandboxes are made. What is in there and is not ours stays.
    pub work_dir: PathBuf,
    /// Whether sandboxes stay when the cluster ends.
    pub keep_sandboxes: bool,
    /// The roles that get offers from the beginning. Others get them from their first revival.
    pub roles: Vec<Role>,
    /// The program that supervises tasks: Ekiden's binary. This very program when not given.
    pub supervisor: Option<PathBuf>,
    /// A status update is sent again after this time without acknowledgement, then after twice that, and so on.
    pub update_retry: Duration,
}

impl LocalOptions {
    /// One agent with all that this machine has, and sandboxes in `work_dir`.
    pub fn new(work_dir: impl Into<PathBuf>) -> Self {
        Self {
            agents: 1,
            resources: None,
            attributes: AgentAttributes::default(),
            hostname: "127.0.0.%d".to_owned(),
            work_dir: work_dir.into(),
            keep_sandboxes: false,
            roles: vec![Role::any()],
            supervisor: None,
            // What a Mesos agent begins with.
            update_retry: Duration::from_secs(10),
        }
    }
}

/// Why the cluster cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Too few or too many agents.
    #[error("{0} agents are asked for; give a number from 1 to {MOST_AGENTS}")]
    Agents(u32),
    /// A part of `--resources` that says nothing.
    #[error("resource `{part}`: {why}")]
    Resources {
        /// The part.
        part: String,
        /// What to write.
        why: &'static str,
    },
    /// A part of `--attributes` that says nothing.
    #[error("attribute `{0}`: write it as `name:value`")]
    Attribute(String),
    /// This machine does not say what it has.
    #[error("this machine does not tell its {what} ({cause}); give `{what}:…` in the resources")]
    Detect {
        /// Which resource.
        what: &'static str,
        /// What went wrong.
        cause: io::Error,
    },
    /// No sandbox can be made.
    #[error("the work folder {path} cannot be used: {cause}")]
    WorkDir {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// Another cluster runs there.
    #[error("the work folder {0} is in use by another ekiden; give each its own")]
    WorkDirInUse(PathBuf),
}

/// The cluster, to be called. Dropping it kills every task at once; [`LocalCluster::shutdown`] does so politely.
pub struct LocalCluster {
    calls: mpsc::Sender<Call>,
    stop: oneshot::Sender<()>,
    master: JoinHandle<()>,
    sandboxes: Arc<sandbox::Sandboxes>,
}

/// Starts the cluster. What it has to say comes through the receiver, [`ClusterEvent::Connected`] first.
pub async fn start(options: LocalOptions) -> Result<(LocalCluster, mpsc::Receiver<ClusterEvent>), LocalError> {
    let prepared = tokio::task::spawn_blocking(move || prepare(options)).await;
    let prepared = prepared
        .unwrap_or_else(|panic| Err(LocalError::Detect { what: "cpus", cause: io::Error::other(panic) }))?;
    let Prepared { options, sandboxes, agents, realm } = prepared;
    let (calls, calls_in) = mpsc::channel(QUEUE);
    let (events, events_out) = mpsc::channel(QUEUE);
    let (steps, steps_in) = mpsc::channel(master::STEPS_QUEUE);
    let (stop, stopped) = oneshot::channel();
    let master = master::Master {
        allocator: allocator::Allocator::new(agents, options.roles, realm),
        sandboxes: sandboxes.clone(),
        // The running program itself, even when its file has been replaced by a newer build meanwhile.
        supervisor: options.supervisor.unwrap_or_else(|| PathBuf::from("/proc/self/exe")),
        inherited: Arc::new(inherited()),
        open_files: open_files::raise(),
        update_retry: options.update_retry,
        steps,
        state: master::State::default(),
    };
    let master = tokio::spawn(master.run(events, calls_in, steps_in, stopped));
    Ok((LocalCluster { calls, stop, master, sandboxes }, events_out))
}

impl LocalCluster {
    /// What can run here.
    pub fn abilities() -> Abilities {
        Abilities { docker: false, mesos_images: false, networks: false, kill_grace: DEFAULT_KILL_GRACE }
    }

    /// Tells the cluster something. Answers come as events.
    pub async fn call(&self, call: Call) {
        if self.calls.send(call).await.is_err() {
            tracing::debug!("a call to a cluster that has ended is dropped");
        }
    }

    /// The folder of a task that runs, or whose sandbox is still kept.
    pub fn sandbox(&self, task: &TaskId) -> Option<PathBuf> {
        self.sandboxes.of_task(task)
    }

    /// Ends every task, with at most the usual grace, and removes the sandboxes; returns when nothing is left.
    pub async fn shutdown(self) {
        // Where nobody hears it, the master has ended already.
        let _ended = self.stop.send(());
        if let Err(error) = self.master.await {
            tracing::error!(%error, "the embedded cluster has crashed; its tasks are killed by their supervisors");
        }
    }
}

struct Prepared {
    options: LocalOptions,
    sandboxes: Arc<sandbox::Sandboxes>,
    agents: Vec<(Arc<Agent>, Bundle)>,
    realm: Arc<str>,
}

fn prepare(options: LocalOptions) -> Result<Prepared, LocalError> {
    if !(1..=MOST_AGENTS).contains(&options.agents) {
        return Err(LocalError::Agents(options.agents));
    }
    let sandboxes = Arc::new(sandbox::Sandboxes::open(&options.work_dir, options.keep_sandboxes)?);
    let given = options.resources.clone().unwrap_or_default();
    let shares = resources::shares(&given, options.agents, sandboxes.work_dir())?;
    // Agents of an earlier run are not these: their tasks have ended with them. The hasher's keys are random.
    let realm: Arc<str> =
        format!("{}{:08x}", sandbox::AGENT_PREFIX, RandomState::new().hash_one(std::process::id()) as u32).into();
    let agents = (1..).zip(shares).map(|(number, share)| {
        let agent = Agent {
            id: AgentId::new(format!("{realm}-S{number}")),
            hostname: attributes::numbered(&options.hostname, number).into(),
            attributes: options.attributes.of_agent(number),
            region: None,
            zone: None,
        };
        (Arc::new(agent), share)
    });
    Ok(Prepared { agents: agents.collect(), sandboxes, realm, options })
}

/// What a task sees of Ekiden's own environment: where programs are, whose home it is, and which language is
/// spoken.
fn inherited() -> BTreeMap<String, String> {
    let names = ["PATH", "HOME", "LANG"];
    names.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect()
}
