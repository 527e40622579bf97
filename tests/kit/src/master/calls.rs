//! The scheduler API's calls: what each does, and how it is answered.
//!
//! Texts, statuses and their order of precedence are those of Mesos 1.11, as its source has them and as a real master was
//! seen to answer; no test compares the two.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::resources::Resources;
use super::tasks::{Progress, Task};
use super::world::{Chunk, Framework, Standing, Stream, World};

/// A call, with what its headers say.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) connection: u64,
    pub(super) stream: Option<String>,
    pub(super) principal: Option<String>,
    pub(super) body: Value,
    /// Agents hear of what it launches.
    pub(super) reaches_agents: bool,
}

/// An answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// A status, and a text where there is one.
    Plain(u16, String),
    /// JSON.
    Json(Value),
    /// The subscription.
    Stream(String, mpsc::UnboundedReceiver<Chunk>),
}

impl Reply {
    fn bad(text: &str) -> Self {
        Self::Plain(400, text.to_owned())
    }

    fn accepted() -> Self {
        Self::Plain(202, String::new())
    }
}

/// What Mesos takes when a call does not say.
const DEFAULT_REFUSE_SECONDS: f64 = 5.0;

const KNOWN: [&str; 16] = [
    "SUBSCRIBE",
    "TEARDOWN",
    "ACCEPT",
    "DECLINE",
    "ACCEPT_INVERSE_OFFERS",
    "DECLINE_INVERSE_OFFERS",
    "REVIVE",
    "KILL",
    "SHUTDOWN",
    "ACKNOWLEDGE",
    "RECONCILE",
    "MESSAGE",
    "REQUEST",
    "SUPPRESS",
    "ACKNOWLEDGE_OPERATION_STATUS",
    "UPDATE_FRAMEWORK",
];

impl World {
    pub(super) fn scheduler_call(&mut self, now: Instant, request: &Request) -> Reply {
        let kind = request.body["type"].as_str().unwrap_or_default();
        if !KNOWN.contains(&kind) {
            return Reply::bad("Failed to validate scheduler::Call: Expecting 'type' to be present");
        }
        let argument = kind.to_lowercase();
        let needed = !matches!(kind, "TEARDOWN" | "REVIVE" | "SUPPRESS");
        if needed && !request.body[&argument].is_object() {
            return Reply::bad(&format!(
                "Failed to validate scheduler::Call: Expecting '{argument}' to be present"
            ));
        }
        if kind == "SUBSCRIBE" {
            return self.subscribe(now, request);
        }
        let Some(id) = request.body["framework_id"]["value"].as_str() else {
            return Reply::bad("Failed to validate scheduler::Call: Expecting 'framework_id' to be present");
        };
        let Some(framework) = self.frameworks.get(id).filter(|framework| !framework.removed) else {
            return Reply::bad("Framework cannot be found");
        };
        let theirs = framework.info["principal"].as_str();
        if let (Some(ours), Some(theirs)) = (&request.principal, theirs)
            && ours != theirs
        {
            return Reply::bad(&format!(
                "Authenticated principal '{ours}' does not match principal '{theirs}' set in `FrameworkInfo`"
            ));
        }
        let Some(stream) = &framework.stream else {
            return Reply::Plain(403, "Framework is not subscribed".to_owned());
        };
        match &request.stream {
            None => return Reply::bad("All non-subscribe calls should include the 'Mesos-Stream-Id' header"),
            Some(other) if *other != stream.id => {
                return Reply::bad(&format!(
                    "The stream ID '{other}' included in this request didn't match the stream ID currently associated \
                     with framework ID {id}"
                ));
            }
            Some(_) => {}
        }
        let id = id.to_owned();
        self.carry_out(now, &id, kind, &request.body[&argument], request.reaches_agents)
    }

    fn carry_out(&mut self, now: Instant, framework: &str, kind: &str, argument: &Value, reaches: bool) -> Reply {
        match kind {
            "ACCEPT" => self.accept(now, framework, argument, reaches),
            "DECLINE" => {
                for id in offer_ids(argument) {
                    if let Some(offer) = self.take_offer(&id) {
                        let left = offer.resources.clone();
                        self.refuse(now, &offer, left, refuse_seconds(argument));
                    }
                }
            }
            "REVIVE" | "SUPPRESS" => self.change_demand(framework, kind == "REVIVE", argument),
            "KILL" => {
                let id = argument["task_id"]["value"].as_str().unwrap_or_default();
                if self.tasks.get(id).is_some_and(|task| task.framework == framework) && self.master_knows(id) {
                    self.kill(now, id, None);
                } else {
                    self.reconcile_one(framework, id, argument["agent_id"]["value"].as_str());
                }
            }
            "ACKNOWLEDGE" => {
                let id = argument["task_id"]["value"].as_str().unwrap_or_default();
                self.acknowledge(now, id, argument["uuid"].as_str().unwrap_or_default());
            }
            "RECONCILE" => {
                let tasks = argument["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
                if tasks.is_empty() {
                    self.reconcile_all(framework);
                }
                for task in tasks {
                    let id = task["task_id"]["value"].as_str().unwrap_or_default();
                    self.reconcile_one(framework, id, task["agent_id"]["value"].as_str());
                }
            }
            "UPDATE_FRAMEWORK" => return self.update_framework(framework, argument),
            "TEARDOWN" => self.remove_framework(now, framework),
            // Inverse offers are answered, and nobody minds how; the rest is not for a scheduler of tasks.
            _ => {}
        }
        Reply::accepted()
    }

    fn subscribe(&mut self, now: Instant, request: &Request) -> Reply {
        if request.stream.is_some() {
            return Reply::bad("Subscribe calls should not include the 'Mesos-Stream-Id' header");
        }
        let subscribe = &request.body["subscribe"];
        let mut info = subscribe["framework_info"].clone();
        if let (Some(ours), Some(theirs)) = (&request.principal, info["principal"].as_str())
            && ours != theirs
        {
            return Reply::bad(&format!(
                "Failed to validate scheduler::Call: Authenticated principal '{ours}' does not match principal \
                 '{theirs}' set in `FrameworkInfo`"
            ));
        }
        let id = info["id"]["value"].as_str().map(str::to_owned);
        if id.as_deref() != request.body["framework_id"]["value"].as_str() {
            return Reply::bad(
                "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'",
            );
        }
        let (chunks, events) = mpsc::unbounded_channel();
        let stream = Stream { id: self.uuid(), connection: request.connection, chunks, last_heartbeat: now };
        let stream_id = stream.id.clone();
        if let Some(problem) = self.refuses(&info, id.as_deref()) {
            let error = json!({"type": "ERROR", "error": {"message": problem}});
            let _ = stream.chunks.send(Ok(http_body::Frame::data(super::world::frame(&error))));
            return Reply::Stream(stream_id, events);
        }
        let id = id.unwrap_or_else(|| {
            let count = self.infos.len();
            format!("{}-{count:04}", self.masters[self.leader].id)
        });
        info["id"] = json!({"value": id});
        self.infos.insert(id.clone(), info.clone());
        // Whoever was subscribed hears that its offers are void, and that it was replaced.
        if self.frameworks.get(&id).is_some_and(|framework| framework.stream.is_some()) {
            self.rescind(|offer| offer.framework == id);
            self.tell(&id, json!({"type": "ERROR", "error": {"message": "Framework failed over"}}));
            self.disconnect(now, &id, false);
        }
        let suppressed = strings(&subscribe["suppressed_roles"]);
        let framework = self.frameworks.entry(id.clone()).or_insert_with(|| Framework::recovered(info.clone()));
        framework.info = info;
        framework.stream = Some(stream);
        framework.suppressed = suppressed;
        framework.disconnected = None;
        framework.recovered = false;
        let event = self.subscribed_event(&id);
        self.tell(&id, event);
        self.tell(&id, json!({"type": "HEARTBEAT"}));
        self.tell_again(now, None, Some(&id));
        self.look_at_all_agents();
        Reply::Stream(stream_id, events)
    }

    /// Why nobody may subscribe like this.
    fn refuses(&self, info: &Value, id: Option<&str>) -> Option<String> {
        let framework = id.and_then(|id| self.frameworks.get(id));
        if framework.is_some_and(|framework| framework.removed) {
            return Some("Framework has been removed".to_owned());
        }
        let roles = Framework::recovered(info.clone()).roles();
        if let Some(role) = roles.iter().find(|role| role.starts_with('/')) {
            return Some(format!(
                "'FrameworkInfo.roles' contains invalid role: Role '{role}' cannot start with a slash"
            ));
        }
        let forbidden = roles.iter().any(|role| self.options.forbidden_roles.contains(role));
        forbidden.then(|| format!("Not authorized to register framework  with roles {{ {} }}", roles.join(", ")))
    }

    fn subscribed_event(&self, id: &str) -> Value {
        let master = &self.masters[self.leader];
        let (ip, port) = master.address.rsplit_once(':').unwrap_or((&master.address, "0"));
        let port: u16 = port.parse().unwrap_or_default();
        json!({"type": "SUBSCRIBED", "subscribed": {
            "framework_id": {"value": id},
            "heartbeat_interval_seconds": self.options.heartbeat.as_secs_f64(),
            "master_info": {
                "id": master.id,
                "ip": 16_777_343,
                "port": port,
                "pid": format!("master@{}", master.address),
                "hostname": "localhost",
                "version": "1.11.0",
                "address": {"hostname": "localhost", "ip": ip, "port": port},
                // The last one is a capability that this version of the protocol has no name for, as on a real master.
                "capabilities": [{"type": "AGENT_UPDATE"}, {"type": "AGENT_DRAINING"}, {}],
            },
        }})
    }

    /// Launches on offers. `reaches` is whether the agent hears of it.
    fn accept(&mut self, now: Instant, framework: &str, accept: &Value, reaches: bool) {
        let ids = offer_ids(accept);
        let tasks: Vec<Value> = accept["operations"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter(|operation| operation["type"] == "LAUNCH")
            .flat_map(|operation| operation["launch"]["task_infos"].as_array().cloned().unwrap_or_default())
            .collect();
        let invalid =
            ids.iter().find(|id| self.offers.get(*id).is_none_or(|offer| offer.framework != framework)).cloned();
        let agents: BTreeSet<usize> =
            ids.iter().filter_map(|id| self.offers.get(id)).map(|offer| offer.agent).collect();
        let offers: Vec<_> = ids.iter().filter_map(|id| self.take_offer(id)).collect();
        let problem = match (&invalid, agents.len(), ids.len()) {
            (Some(id), _, _) => Some(format!("Offer {id} is no longer valid")),
            (None, _, 0) => Some("No offers specified".to_owned()),
            (None, 1, _) => None,
            (None, _, _) => Some("Aggregated offers must belong to one single agent".to_owned()),
        };
        let (Some(first), None) = (offers.first(), &problem) else {
            let problem = problem.unwrap_or_default();
            for task in &tasks {
                let message = format!("Task launched with invalid offers: {problem}");
                self.reject(framework, task, "TASK_DROPPED", &message, "REASON_INVALID_OFFERS");
            }
            return;
        };
        let (agent, role) = (first.agent, first.role.clone());
        let mut left = Resources::default();
        for offer in &offers {
            left.add(&offer.resources);
        }
        for info in tasks {
            match self.check(&info, agent, &role, &left) {
                Ok(resources) => {
                    left = left.without(&resources);
                    let agent_id = self.agents[agent].id.clone();
                    let mut task = Task::staged(info, framework, (agent, &agent_id), &role, resources);
                    if !reaches {
                        task.progress = Progress::Unheard;
                    }
                    self.launch(now, task);
                }
                Err(problem) => self.reject(framework, &info, "TASK_ERROR", &problem, "REASON_TASK_INVALID"),
            }
        }
        let refuse = refuse_seconds(accept);
        self.refuse(now, first, left, refuse);
    }

    /// What a task takes, or why it may not.
    fn check(&self, info: &Value, agent: usize, role: &str, left: &Resources) -> Result<Resources, String> {
        let id = info["task_id"]["value"].as_str().filter(|id| !id.is_empty()).ok_or("Task has no ID")?;
        if self.tasks.contains_key(id) {
            return Err(format!("Task has duplicate ID: {id}"));
        }
        let named = info["agent_id"]["value"].as_str().unwrap_or_default();
        let expected = &self.agents[agent].id;
        if named != expected {
            return Err(format!("Task uses invalid agent {named} while agent {expected} is expected"));
        }
        let (resources, allocated) = Resources::read(&info["resources"])?;
        if allocated.as_deref().is_some_and(|allocated| allocated != role) {
            return Err(format!("Task uses resources allocated to role {allocated:?}, the offer is for '{role}'"));
        }
        if resources.scalar("cpus") <= 0.0 && resources.scalar("mem") <= 0.0 {
            return Err("Task uses no resources".to_owned());
        }
        if left.contains(&resources) {
            Ok(resources)
        } else {
            Err(format!(
                "Total resources {resources} required by task and its executor is more than available {left}"
            ))
        }
    }

    /// A task that is not launched.
    fn reject(&mut self, framework: &str, info: &Value, state: &str, message: &str, reason: &str) {
        let status = json!({
            "task_id": info["task_id"],
            "state": state,
            "message": message,
            "source": "SOURCE_MASTER",
            "reason": reason,
            "agent_id": info["agent_id"],
            "timestamp": super::world::seconds(SystemTime::now()),
        });
        self.tell(framework, json!({"type": "UPDATE", "update": {"status": status}}));
    }

    /// A call of which nothing comes but that the offers in it are used up, as those are that a master has taken for a
    /// task that never reaches its agent: what they held is free again.
    pub(super) fn lose(&mut self, call: &Value) {
        for id in offer_ids(&call["accept"]) {
            self.take_offer(&id);
        }
    }

    fn change_demand(&mut self, framework: &str, revive: bool, argument: &Value) {
        let Some(framework) = self.frameworks.get_mut(framework) else { return };
        let roles = framework.roles();
        let named = strings(&argument["roles"]);
        let named: BTreeSet<String> = if named.is_empty() { roles.iter().cloned().collect() } else { named };
        // Roles that are not the framework's are passed over without a word.
        for role in named.into_iter().filter(|role| roles.contains(role)) {
            if revive {
                framework.suppressed.remove(&role);
                framework.filters.retain(|(filtered, _), _| *filtered != role);
            } else {
                framework.suppressed.insert(role);
            }
        }
        self.look_at_all_agents();
    }

    fn update_framework(&mut self, id: &str, argument: &Value) -> Reply {
        let Some(framework) = self.frameworks.get_mut(id) else { return Reply::bad("Framework cannot be found") };
        let info = argument["framework_info"].clone();
        for field in ["user", "checkpoint", "principal"] {
            if info[field] != framework.info[field] {
                let show = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                return Reply::bad(&format!(
                    "FrameworkInfo update is not valid: Updating 'FrameworkInfo.{field}' is unsupported; attempted to \
                     update from '{}' to '{}'",
                    show(&framework.info[field]),
                    show(&info[field])
                ));
            }
        }
        framework.info = info.clone();
        framework.suppressed = strings(&argument["suppressed_roles"]);
        let roles = framework.roles();
        self.infos.insert(id.to_owned(), info);
        self.rescind(|offer| offer.framework == id && !roles.contains(&offer.role));
        self.look_at_all_agents();
        Reply::Plain(200, String::new())
    }

    /// Removed by itself, by an operator, or because it was away for too long: its tasks are killed, its stream closes.
    pub(super) fn remove_framework(&mut self, now: Instant, id: &str) {
        self.disconnect(now, id, false);
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.removed = true;
        }
        let ended: Vec<String> =
            self.tasks.values().filter(|task| task.framework == id).map(|task| task.id.clone()).collect();
        for task in ended {
            if let Some(mut task) = self.tasks.remove(&task) {
                let agent = &mut self.agents[task.agent];
                if !task.freed && agent.standing == Standing::Registered {
                    agent.used = agent.used.without(&task.resources);
                }
                "TASK_KILLED".clone_into(&mut task.state);
                self.completed.push(task);
            }
        }
        self.look_at_all_agents();
    }
}

fn offer_ids(argument: &Value) -> Vec<String> {
    let ids = argument["offer_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
    ids.iter().filter_map(|id| id["value"].as_str().map(str::to_owned)).collect()
}

fn refuse_seconds(argument: &Value) -> Duration {
    let seconds = argument["filters"]["refuse_seconds"].as_f64().unwrap_or(DEFAULT_REFUSE_SECONDS);
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn strings(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
