//! A fake Mesos: masters that speak the real scheduler HTTP API (v1, JSON) on loopback, and agents on which tasks go from
//! `TASK_STAGING` to `TASK_RUNNING` by themselves.
//!
//! For fast tests of what is hard to bring about with real masters: lost calls, cut and silent streams, redirections in
//! a circle, a successor with an empty memory. It answers as Mesos 1.11 does, statuses, texts and silences included, so far
//! as a framework of tasks gets to see it: it was written from Mesos' source and from what a real master was seen to answer,
//! and no test compares the two. It shows how Ekiden behaves towards that contract and is no proof of how Mesos behaves:
//! that is what the tests on real Mesos are for.
//!
//! Not faked: resource quotas, weights, dynamic reservations, volumes, executors of frameworks' own, task groups, operation
//! feedback, protobuf.
//!
//! ```text
//!  tests ─► FakeMesos ─► World (one lock) ◄─ server ◄─ HTTP ◄─ Ekiden
//!             steer        │    ▲                        ▲
//!             observe      └────┴─ ticks ── events ──────┘
//! ```

mod agent;
mod calls;
mod fault;
mod offers;
mod operator;
mod reconcile;
mod resources;
mod server;
mod tasks;
mod world;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub use agent::AgentSpec;
pub use fault::{Fault, Rule};

use world::{Master, World};

/// How often time is looked at.
const TICK: Duration = Duration::from_millis(5);

/// What kind of Mesos to fake.
#[derive(Debug, Clone)]
pub struct Options {
    /// The agents, registered from the start.
    pub agents: Vec<AgentSpec>,
    /// Time between heartbeats; Mesos': 15 s.
    pub heartbeat: Duration,
    /// From launch to `TASK_STARTING`.
    pub start_after: Duration,
    /// From `TASK_STARTING` to `TASK_RUNNING`, and from there to the first verdict of a health check.
    pub run_after: Duration,
    /// From `TASK_KILLING` to `TASK_KILLED`.
    pub kill_after: Duration,
    /// When an update is told again that was not acknowledged; Mesos': 10 s.
    pub resend_after: Duration,
    /// What a new leader knows of agents.
    pub registry: Registry,
    /// Principal and secret that every request must carry.
    pub credentials: Option<(String, String)>,
    /// Roles that nobody may subscribe with.
    pub forbidden_roles: Vec<String>,
    /// The masters' certificate; plain HTTP without it.
    pub tls: Option<Arc<ServerConfig>>,
}

/// What a new leading master knows of the agents that its predecessor had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// Nothing: of a task on an agent that has not come back it says `TASK_UNKNOWN`.
    InMemory,
    /// Their ids: of such a task it says nothing.
    Replicated,
}

impl Default for Options {
    /// One agent, everything fast, nothing forbidden.
    fn default() -> Self {
        Self {
            agents: vec![AgentSpec::new("agent-0.test")],
            heartbeat: Duration::from_secs(15),
            start_after: Duration::from_millis(1),
            run_after: Duration::from_millis(1),
            kill_after: Duration::from_millis(1),
            resend_after: Duration::from_secs(10),
            registry: Registry::Replicated,
            credentials: None,
            forbidden_roles: Vec::new(),
            tls: None,
        }
    }
}

/// A request as it arrived, whatever became of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// At which master.
    pub master: usize,
    /// On which connection: equal numbers, same connection.
    pub connection: u64,
    /// To which path.
    pub path: String,
    /// The call's type, or the path where there is none.
    pub call: String,
    /// Its `Mesos-Stream-Id`.
    pub stream: Option<String>,
    /// Its `Authorization`.
    pub authorization: Option<String>,
    /// Its body.
    pub body: Value,
    /// How it was answered; not yet, if it is absent.
    pub status: Option<u16>,
}

/// A task, as the agents know it: the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSeen {
    /// Its state at its agent.
    pub state: String,
    /// The index of its agent.
    pub agent: usize,
    /// The framework's id.
    pub framework: String,
    /// Its `TaskInfo`.
    pub info: Value,
}

/// The handle: observes and steers. Everything ends when it is dropped.
#[derive(Debug)]
pub struct FakeMesos {
    shared: Arc<Shared>,
    /// One per master; what is stopped has none.
    serving: Mutex<BTreeMap<usize, AbortHandle>>,
    ticking: AbortHandle,
}

struct Shared {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        // A test that fails while it holds the lock has failed already; the others may go on.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl FakeMesos {
    /// Starts one master, which leads, on a port of its own, and the agents.
    pub async fn start(options: Options) -> io::Result<Self> {
        let agents = options.agents.clone();
        let shared = Arc::new(Shared { world: Mutex::new(World::new(options)), changes: watch::channel(0).0 });
        let ticking = Arc::clone(&shared);
        let ticking = tokio::spawn(async move {
            let mut clock = tokio::time::interval(TICK);
            clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                clock.tick().await;
                ticking.world().tick(Instant::now());
                ticking.changed();
            }
        })
        .abort_handle();
        let fake = Self { shared, serving: Mutex::default(), ticking };
        fake.add_master().await?;
        for agent in agents {
            fake.add_agent(agent);
        }
        Ok(fake)
    }

    /// Starts another master, which does not lead: it redirects to the one that does. Gives its index.
    pub async fn add_master(&self) -> io::Result<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let index = {
            let mut world = self.shared.world();
            let id = world.uuid();
            world.masters.push(Master { id, address });
            world.masters.len() - 1
        };
        self.listen(index, listener);
        Ok(index)
    }

    /// The address of the leading master, `host:port`.
    pub fn address(&self) -> String {
        let world = self.shared.world();
        world.masters[world.leader].address.clone()
    }

    /// The addresses of all masters, by their index.
    pub fn addresses(&self) -> Vec<String> {
        self.shared.world().masters.iter().map(|master| master.address.clone()).collect()
    }

    // What goes wrong.

    /// From now on, requests meet this.
    pub fn script(&self, rule: Rule) {
        self.shared.world().script.add(rule);
    }

    /// From now on, requests meet nothing.
    pub fn clear_script(&self) {
        self.shared.world().script.clear();
    }

    /// Breaks all streams as a broken connection does: without their proper end.
    pub fn break_streams(&self) {
        self.change(|world, now| world.end_streams(now, true));
    }

    /// Ends all streams as a master does that shuts down: properly.
    pub fn end_streams(&self) {
        self.change(|world, now| world.end_streams(now, false));
    }

    /// Writes bytes into all streams, as they are: half a frame, a length beyond reason, garbage.
    pub fn write_raw(&self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.change(|world, _| world.write_raw(&bytes));
    }

    /// Tells all subscribers this, whatever it is.
    pub fn tell(&self, event: &Value) {
        self.write_raw(world::frame(event));
    }

    /// Whether the masters say nothing at all on their streams, which stay open. What would have been said is lost.
    pub fn silent(&self, silent: bool) {
        self.change(|world, _| world.trouble.silent = silent);
    }

    /// Whether updates are kept back. When they are let go, they come in the order in which they were held.
    pub fn hold_updates(&self, hold: bool) {
        self.change(|world, _| {
            if hold {
                world.trouble.holding.get_or_insert_default();
            } else {
                for (framework, update) in world.trouble.holding.take().unwrap_or_default() {
                    world.tell(&framework, update);
                }
            }
        });
    }

    /// Whether every update is told twice.
    pub fn double_updates(&self, double: bool) {
        self.change(|world, _| world.trouble.doubling = double);
    }

    /// Whether nothing is offered.
    pub fn withhold_offers(&self, withhold: bool) {
        self.change(|world, _| {
            world.trouble.withholding = withhold;
            world.look_at_all_agents();
        });
    }

    /// Takes back all offers, and says so.
    pub fn rescind_offers(&self) {
        self.change(|world, _| world.rescind(|_| true));
    }

    // Masters come and go.

    /// Another master leads, or the same one after a restart: its memory is empty, streams break, and no agent has
    /// come back to it yet.
    pub fn fail_over(&self, leader: usize) {
        self.change(|world, now| world.forget(now, leader));
    }

    /// A master's process ends: connections break, its port is closed.
    pub fn stop_master(&self, master: usize) {
        self.change(|world, now| {
            if world.leader == master {
                world.end_streams(now, true);
            }
        });
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).remove(&master);
        if let Some(serving) = serving {
            serving.abort();
        }
    }

    /// A master's process starts again, on the port that it had.
    pub async fn start_master(&self, master: usize) -> io::Result<()> {
        let address = self.shared.world().masters[master].address.clone();
        // The connections of before may take a moment to let go of the port.
        let mut tried = 0;
        let listener = loop {
            match TcpListener::bind(&address).await {
                Ok(listener) => break listener,
                Err(_) if tried < 100 => tried += 1,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(TICK).await;
        };
        self.listen(master, listener);
        Ok(())
    }

    /// An operator removes a framework: its tasks end, its stream closes, it cannot come back.
    pub fn remove_framework(&self, id: &str) {
        self.change(|world, now| world.remove_framework(now, id));
    }

    // Agents come and go.

    /// One more agent. Gives its index.
    pub fn add_agent(&self, agent: AgentSpec) -> usize {
        self.change(|world, _| world.add_agent(agent))
    }

    /// The id that an agent has now.
    pub fn agent_id(&self, agent: usize) -> String {
        self.shared.world().agents[agent].id.clone()
    }

    /// The master has not heard of an agent for long, and says that it is unreachable.
    pub fn agent_unreachable(&self, agent: usize) {
        self.change(|world, _| world.agent_unreachable(agent));
    }

    /// An agent (re-)registers with the leading master.
    pub fn agent_registers(&self, agent: usize) {
        self.change(|world, now| world.agent_registers(now, agent));
    }

    /// All agents register.
    pub fn all_agents_register(&self) {
        self.change(|world, now| (0..world.agents.len()).for_each(|agent| world.agent_registers(now, agent)));
    }

    /// An operator says that an agent will not come back.
    pub fn agent_gone(&self, agent: usize) {
        self.change(|world, _| world.agent_gone(agent));
    }

    /// An agent has lost what it knew, and registers as a new one.
    pub fn agent_begins_anew(&self, agent: usize) {
        self.change(|world, _| world.agent_begins_anew(agent));
    }

    /// An agent is to be away: offers say so, and inverse offers ask for it. `None` ends it.
    pub fn schedule_maintenance(&self, agent: usize, window: Option<(SystemTime, Option<Duration>)>) {
        self.change(|world, _| {
            world.agents[agent].unavailability = window;
            world.rescind(|offer| offer.agent == agent);
            world.offer_inversely(agent);
        });
    }

    /// An operator drains an agent: its tasks are killed, it offers nothing.
    pub fn drain_agent(&self, agent: usize) {
        self.change(|world, now| {
            world.agents[agent].draining = true;
            world.rescind(|offer| offer.agent == agent);
            for task in world.tasks_on(agent) {
                world.kill(now, &task, Some("REASON_AGENT_DRAINING"));
            }
        });
    }

    // Tasks.

    /// A task ends by itself.
    pub fn task_ends(&self, id: &str, state: &'static str, message: &str) {
        self.change(|world, now| world.ends(now, id, state, message));
    }

    /// What a health check made by the executor says from now on.
    pub fn task_is_healthy(&self, id: &str, healthy: bool) {
        self.change(|world, now| world.tell_health(now, id, healthy));
    }

    /// Puts a task that has run for long where no framework of this master has launched it.
    ///
    /// # Errors
    /// What is wrong with the task's resources.
    pub fn place_running(&self, framework_info: &Value, agent: usize, task: Value) -> Result<(), String> {
        let (resources, role) = resources::Resources::read(&task["resources"])?;
        self.change(|world, _| {
            let framework = framework_info["id"]["value"].as_str().unwrap_or_default();
            world.infos.entry(framework.to_owned()).or_insert_with(|| framework_info.clone());
            let recovered = world::Framework::recovered(framework_info.clone());
            world.frameworks.entry(framework.to_owned()).or_insert(recovered);
            let agent_id = world.agents[agent].id.clone();
            let role = role.as_deref().unwrap_or("*");
            let task = tasks::Task::staged(task, framework, (agent, &agent_id), role, resources);
            world.place_running(task);
        });
        Ok(())
    }

    /// Sends one more update of every running task of an agent, as a health check does that changes its mind. Gives their
    /// number.
    pub fn flood(&self, agent: usize) -> usize {
        self.change(|world, now| {
            let tasks = world.tasks_on(agent);
            for task in &tasks {
                world.tell_health(now, task, true);
            }
            tasks.len()
        })
    }

    // What was seen.

    /// All requests, in the order of their arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.world().seen.clone()
    }

    /// The requests of a type, in the order of their arrival.
    pub fn calls(&self, call: &str) -> Vec<Seen> {
        self.shared.world().seen.iter().filter(|seen| seen.call == call).cloned().collect()
    }

    /// How many requests of a type there were.
    pub fn count(&self, call: &str) -> usize {
        self.shared.world().seen.iter().filter(|seen| seen.call == call).count()
    }

    /// Forgets what was seen so far.
    pub fn forget_seen(&self) {
        self.shared.world().seen.clear();
    }

    /// The tasks that run (or are on their way up or down) at agents that live, whether or not a master knows.
    pub fn running(&self) -> BTreeMap<String, TaskSeen> {
        let world = self.shared.world();
        world.running().map(seen_task).collect()
    }

    /// How many those are.
    pub fn running_count(&self) -> usize {
        self.shared.world().running().count()
    }

    /// The tasks that have ended and whose end was acknowledged, in that order.
    pub fn completed(&self) -> Vec<(String, TaskSeen)> {
        self.shared.world().completed.iter().map(seen_task).collect()
    }

    /// The ids of frameworks that are not removed, and whether each is connected.
    pub fn frameworks(&self) -> BTreeMap<String, bool> {
        let world = self.shared.world();
        let live = world.frameworks.iter().filter(|(_, framework)| !framework.removed);
        live.map(|(id, framework)| (id.clone(), framework.stream.is_some())).collect()
    }

    /// The connection, by [`Seen::connection`], of a framework's stream.
    pub fn stream_connection(&self, framework: &str) -> Option<u64> {
        let world = self.shared.world();
        world.frameworks.get(framework)?.stream.as_ref().map(|stream| stream.connection)
    }

    /// How many offers are out.
    pub fn offers_out(&self) -> usize {
        self.shared.world().offers.len()
    }

    /// Waits until `found` finds something, for so long at most.
    pub async fn wait<T>(&self, patience: Duration, mut found: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let mut changes = self.shared.changes.subscribe();
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(found) = found(self) {
                return Some(found);
            }
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return None;
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut World, Instant) -> T) -> T {
        let mut world = self.shared.world();
        let now = Instant::now();
        let result = change(&mut world, now);
        world.tick(now);
        drop(world);
        self.shared.changed();
        result
    }

    fn listen(&self, master: usize, listener: TcpListener) {
        let tls = self.shared.world().options.tls.clone().map(TlsAcceptor::from);
        let serving = tokio::spawn(server::serve(Arc::clone(&self.shared), master, listener, tls));
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).insert(master, serving.abort_handle());
    }
}

impl Drop for FakeMesos {
    fn drop(&mut self) {
        self.ticking.abort();
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(AbortHandle::abort);
    }
}

fn seen_task(task: &tasks::Task) -> (String, TaskSeen) {
    let seen = TaskSeen {
        state: task.state.clone(),
        agent: task.agent,
        framework: task.framework.clone(),
        info: task.info.clone(),
    };
    (task.id.clone(), seen)
}

/// An event of no type that Mesos has.
pub fn unknown_event() -> Value {
    json!({"type": "SOMETHING_NEW", "something_new": {"value": 1}})
}
