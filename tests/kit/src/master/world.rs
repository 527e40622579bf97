//! Everything that the fake masters and agents know, behind one lock: who is subscribed, what is offered, what runs.
//!
//! Owns the state, its timers ([`World::tick`]) and the way of an event to a subscriber. Synchronous: time is handed in.
//! What calls do is in `calls`, what agents do in `tasks`, who is offered what in `offers`, who answers what about tasks in
//! `reconcile`, what operators see in `operator`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::fault::Script;
use super::resources::Resources;
use super::tasks::{Progress, Task};
use super::{AgentSpec, Options, Registry, Seen};

/// A piece of a subscription, or its abrupt end.
pub(super) type Chunk = Result<Frame<Bytes>, std::io::Error>;

pub(super) struct World {
    pub(super) options: Options,
    pub(super) masters: Vec<Master>,
    pub(super) leader: usize,
    pub(super) agents: Vec<Agent>,
    pub(super) tasks: BTreeMap<String, Task>,
    /// Tasks that ended and whose end was acknowledged, with how they ended.
    pub(super) completed: Vec<Task>,
    pub(super) frameworks: BTreeMap<String, Framework>,
    /// What agents know of frameworks.
    pub(super) infos: BTreeMap<String, Value>,
    pub(super) offers: BTreeMap<String, Offer>,
    pub(super) script: Script,
    pub(super) seen: Vec<Seen>,
    pub(super) trouble: Trouble,
    /// Agents of which something may be free that is not offered.
    pub(super) unallocated: BTreeSet<usize>,
    due: BTreeMap<(Instant, u64), Due>,
    serial: u64,
}

/// What goes wrong with what the master says, for as long as it is so.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Nothing is said on any stream, not even heartbeats.
    pub(super) silent: bool,
    /// Updates are not told until they are let go.
    pub(super) holding: Option<Vec<(String, Value)>>,
    /// Every update comes twice.
    pub(super) doubling: bool,
    /// Nothing is offered.
    pub(super) withholding: bool,
}

/// A master process: one that leads has a memory, which is the rest of the [`World`].
pub(super) struct Master {
    pub(super) id: String,
    pub(super) address: String,
}

pub(super) struct Agent {
    pub(super) spec: AgentSpec,
    pub(super) id: String,
    pub(super) standing: Standing,
    pub(super) registered: SystemTime,
    /// From when, and for how long.
    pub(super) unavailability: Option<(SystemTime, Option<Duration>)>,
    pub(super) draining: bool,
    pub(super) total: Resources,
    /// What tasks use.
    pub(super) used: Resources,
    /// What is out in offers.
    pub(super) offered: Resources,
}

/// What the leading master thinks of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Registered,
    Unreachable(SystemTime),
    /// The registry knows it, and it has not come back since this master leads.
    Recovered,
    /// This master has never heard of it.
    Unknown,
    Gone,
}

pub(super) struct Framework {
    /// As it was sent, with its id.
    pub(super) info: Value,
    pub(super) stream: Option<Stream>,
    pub(super) suppressed: BTreeSet<String>,
    /// What was declined, per role and agent, and until when.
    pub(super) filters: BTreeMap<(String, usize), Vec<(Resources, Instant)>>,
    pub(super) disconnected: Option<Instant>,
    pub(super) registered: SystemTime,
    /// Known by what agents told; it has not subscribed with this master.
    pub(super) recovered: bool,
    pub(super) removed: bool,
}

pub(super) struct Stream {
    pub(super) id: String,
    pub(super) connection: u64,
    pub(super) chunks: mpsc::UnboundedSender<Chunk>,
    pub(super) last_heartbeat: Instant,
}

pub(super) struct Offer {
    pub(super) framework: String,
    pub(super) agent: usize,
    pub(super) role: String,
    pub(super) resources: Resources,
}

/// What is to happen at its time.
#[derive(Debug)]
pub(super) enum Due {
    /// A task goes on by itself.
    Step(String, super::tasks::Step),
    /// An update that may not have been acknowledged by then.
    Resend(String, String),
    /// A filter of an agent's offers ends.
    Unfilter(usize),
}

impl Framework {
    /// One that is not connected.
    pub(super) fn recovered(info: Value) -> Self {
        Self {
            info,
            stream: None,
            suppressed: BTreeSet::new(),
            filters: BTreeMap::new(),
            disconnected: None,
            registered: SystemTime::now(),
            recovered: true,
            removed: false,
        }
    }

    pub(super) fn roles(&self) -> Vec<String> {
        let listed = self.info["roles"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut roles: Vec<String> = listed.iter().filter_map(|role| role.as_str().map(str::to_owned)).collect();
        if roles.is_empty() {
            roles.push(self.info["role"].as_str().unwrap_or("*").to_owned());
        }
        roles
    }

    pub(super) fn can(&self, capability: &str) -> bool {
        let listed = self.info["capabilities"].as_array().map(Vec::as_slice).unwrap_or_default();
        listed.iter().any(|listed| listed["type"] == capability)
    }
}

impl World {
    pub(super) fn new(options: Options) -> Self {
        Self {
            agents: Vec::new(),
            masters: Vec::new(),
            leader: 0,
            tasks: BTreeMap::new(),
            completed: Vec::new(),
            frameworks: BTreeMap::new(),
            infos: BTreeMap::new(),
            offers: BTreeMap::new(),
            script: Script::default(),
            seen: Vec::new(),
            trouble: Trouble::default(),
            unallocated: BTreeSet::new(),
            due: BTreeMap::new(),
            serial: 0,
            options,
        }
    }

    /// A number that was not there before.
    pub(super) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Something unlike anything before it, of the shape of a UUID.
    pub(super) fn uuid(&mut self) -> String {
        format!("{:08x}-0000-4000-8000-{:012x}", std::process::id(), self.serial())
    }

    /// A new agent, registered with the leader.
    pub(super) fn add_agent(&mut self, spec: AgentSpec) -> usize {
        let id = format!("{}-S{}", self.masters.first().map_or("fake", |master| &master.id), self.agents.len());
        let total = spec.resources();
        self.agents.push(Agent {
            spec,
            id,
            standing: Standing::Registered,
            registered: SystemTime::now(),
            unavailability: None,
            draining: false,
            total,
            used: Resources::default(),
            offered: Resources::default(),
        });
        let agent = self.agents.len() - 1;
        self.unallocated.insert(agent);
        agent
    }

    pub(super) fn agent_of(&self, id: &str) -> Option<usize> {
        self.agents.iter().position(|agent| agent.id == id)
    }

    pub(super) fn at(&mut self, when: Instant, due: Due) {
        let serial = self.serial();
        self.due.insert((when, serial), due);
    }

    /// Everything that time alone brings about.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Due::Step(task, step) => self.step(now, &task, step),
                Due::Resend(task, uuid) => self.resend(now, &task, &uuid),
                Due::Unfilter(agent) => _ = self.unallocated.insert(agent),
            }
        }
        self.look_after_streams(now);
        self.allocate(now);
    }

    /// Tells a framework something, if it is there and the master speaks.
    pub(super) fn tell(&mut self, framework: &str, event: Value) {
        if event["type"] == "UPDATE" {
            if let Some(held) = &mut self.trouble.holding {
                held.push((framework.to_owned(), event));
                return;
            }
            if self.trouble.doubling {
                self.write(framework, &event);
            }
        }
        self.write(framework, &event);
    }

    fn write(&self, framework: &str, event: &Value) {
        let stream = self.frameworks.get(framework).and_then(|framework| framework.stream.as_ref());
        if let Some(stream) = stream.filter(|_| !self.trouble.silent) {
            // It fails when the other side has hung up, which the next tick notices.
            let _ = stream.chunks.send(Ok(Frame::data(frame(event))));
        }
    }

    /// Bytes on all streams, as they are.
    pub(super) fn write_raw(&self, bytes: &Bytes) {
        for stream in self.frameworks.values().filter_map(|framework| framework.stream.as_ref()) {
            let _ = stream.chunks.send(Ok(Frame::data(bytes.clone())));
        }
    }

    /// Ends all streams: as a master ends them, or as a connection breaks.
    pub(super) fn end_streams(&mut self, now: Instant, abruptly: bool) {
        let connected: Vec<String> = self.frameworks.keys().cloned().collect();
        for framework in connected {
            self.disconnect(now, &framework, abruptly);
        }
    }

    /// A framework's stream ends. Its offers are void; it is not told.
    pub(super) fn disconnect(&mut self, now: Instant, id: &str, abruptly: bool) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let Some(stream) = framework.stream.take() else { return };
        framework.disconnected = Some(now);
        framework.filters.clear();
        if abruptly {
            let _ = stream.chunks.send(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        self.take_back_offers(|offer| offer.framework == id);
    }

    /// The leader forgets everything, as its successor never knew it. Agents come back when they are told to.
    pub(super) fn forget(&mut self, now: Instant, leader: usize) {
        self.end_streams(now, true);
        self.leader = leader;
        self.offers.clear();
        // What was torn down stays known to a registry-less master only as long as it lives.
        self.frameworks.clear();
        self.completed.clear();
        for agent in &mut self.agents {
            agent.offered = Resources::default();
            agent.standing = match (agent.standing, self.options.registry) {
                (Standing::Registered | Standing::Recovered, Registry::Replicated) => Standing::Recovered,
                (standing, Registry::Replicated) => standing,
                (_, Registry::InMemory) => Standing::Unknown,
            };
        }
        for task in self.tasks.values_mut() {
            task.forgotten_by_the_master();
        }
        self.tasks.retain(|_, task| task.progress != Progress::Unheard);
    }

    fn look_after_streams(&mut self, now: Instant) {
        let heartbeat = self.options.heartbeat;
        let mut gone = Vec::new();
        let mut late = Vec::new();
        for (id, framework) in &mut self.frameworks {
            match &mut framework.stream {
                Some(stream) if stream.chunks.is_closed() => gone.push(id.clone()),
                Some(stream) if now.duration_since(stream.last_heartbeat) >= heartbeat => {
                    stream.last_heartbeat = now;
                    late.push(id.clone());
                }
                _ => {}
            }
        }
        for id in &late {
            self.tell(id, json!({"type": "HEARTBEAT"}));
        }
        for id in &gone {
            self.disconnect(now, id, false);
        }
        let overdue: Vec<String> = self
            .frameworks
            .iter()
            .filter(|(_, framework)| !framework.removed)
            .filter(|(_, framework)| {
                let timeout = framework.info["failover_timeout"].as_f64().unwrap_or(0.0);
                framework.disconnected.is_some_and(|since| now.duration_since(since).as_secs_f64() > timeout)
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in &overdue {
            self.remove_framework(now, id);
        }
    }
}

/// An event as `RecordIO` frames it.
pub(super) fn frame(event: &Value) -> Bytes {
    let text = event.to_string();
    Bytes::from(format!("{}\n{text}", text.len()))
}

/// Seconds since 1970, as Mesos' `timestamp`.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Nanoseconds since 1970, as Mesos' `TimeInfo`.
pub(super) fn nanoseconds(time: SystemTime) -> Value {
    json!({"nanoseconds": time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64})
}
