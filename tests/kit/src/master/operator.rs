//! What operators and surveys read: `GET_FRAMEWORKS`, `GET_TASKS`, `GET_AGENTS` and `/state`, as far as a framework needs
//! them.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::calls::Reply;
use super::tasks::{Task, has_ended};
use super::world::{Agent, Framework, Standing, World, nanoseconds, seconds};

impl World {
    pub(super) fn operator_call(&mut self, body: &Value) -> Reply {
        match body["type"].as_str() {
            Some("GET_HEALTH") => Reply::Json(json!({"type": "GET_HEALTH", "get_health": {"healthy": true}})),
            Some("GET_FRAMEWORKS") => Reply::Json(self.get_frameworks()),
            Some("GET_TASKS") => Reply::Json(self.get_tasks()),
            Some("GET_AGENTS") => Reply::Json(self.get_agents()),
            _ => Reply::Plain(400, "Failed to validate master::Call: Expecting 'type' to be present".to_owned()),
        }
    }

    fn get_frameworks(&self) -> Value {
        let shown = |removed: bool| -> Vec<Value> {
            let those = self.frameworks.iter().filter(|(_, framework)| framework.removed == removed);
            those.map(|(id, framework)| self.framework_json(id, framework)).collect()
        };
        json!({"type": "GET_FRAMEWORKS", "get_frameworks": {
            "frameworks": shown(false),
            "completed_frameworks": shown(true),
        }})
    }

    fn framework_json(&self, id: &str, framework: &Framework) -> Value {
        let connected = framework.stream.is_some();
        let offers = self.offers.iter().filter(|(_, offer)| offer.framework == id);
        let offers: Vec<Value> = offers.map(|(id, offer)| self.offer_json(id, offer)).collect();
        json!({
            "framework_info": framework.info,
            "active": connected,
            "connected": connected,
            "recovered": framework.recovered,
            "registered_time": nanoseconds(framework.registered),
            "reregistered_time": nanoseconds(framework.registered),
            "offers": offers,
            "offer_constraints": {},
        })
    }

    fn get_tasks(&self) -> Value {
        let mut lists = [Vec::new(), Vec::new()];
        for task in self.tasks.values() {
            let unreachable = matches!(self.agents[task.agent].standing, Standing::Unreachable(_));
            if self.master_knows(&task.id) {
                lists[0].push(task_json(task));
            } else if unreachable {
                lists[1].push(task_json(task));
            }
        }
        let [tasks, unreachable] = lists;
        let completed: Vec<Value> = self.completed.iter().map(task_json).collect();
        json!({"type": "GET_TASKS", "get_tasks": {
            "tasks": tasks,
            "unreachable_tasks": unreachable,
            "completed_tasks": completed,
        }})
    }

    fn get_agents(&self) -> Value {
        let shown = |standing: Standing| -> Vec<&Agent> {
            self.agents.iter().filter(|agent| agent.standing == standing).collect()
        };
        let agents: Vec<Value> = shown(Standing::Registered)
            .into_iter()
            .map(|agent| {
                let mut total = agent.total.to_json(None);
                for resource in total.as_array_mut().into_iter().flatten() {
                    if resource["reservations"].is_null() {
                        resource["role"] = json!("*");
                    }
                }
                json!({
                    "agent_info": agent_info(agent),
                    "active": true,
                    "deactivated": agent.draining,
                    "version": "1.11.0",
                    "pid": format!("slave(1)@{}:5051", agent.spec.ip),
                    "registered_time": nanoseconds(agent.registered),
                    "total_resources": total,
                    "capabilities": [{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}],
                })
            })
            .collect();
        let recovered: Vec<Value> = shown(Standing::Recovered).into_iter().map(agent_info).collect();
        json!({"type": "GET_AGENTS", "get_agents": {"agents": agents, "recovered_agents": recovered}})
    }

    /// `/state`, as far as it tells of frameworks, tasks and agents.
    pub(super) fn state(&self) -> Value {
        let leader = &self.masters[self.leader];
        let frameworks = |removed: bool| -> Vec<Value> {
            let those = self.frameworks.iter().filter(|(_, framework)| framework.removed == removed);
            those.map(|(id, framework)| self.framework_state(id, framework)).collect()
        };
        let registered = self.agents.iter().filter(|agent| agent.standing == Standing::Registered);
        let agents: Vec<Value> = registered
            .map(|agent| {
                let mut attributes = Map::new();
                for (name, value) in &agent.spec.attributes {
                    attributes.insert(name.clone(), json!(value));
                }
                json!({
                    "id": agent.id,
                    "hostname": agent.spec.hostname,
                    "port": 5051,
                    "attributes": attributes,
                    "pid": format!("slave(1)@{}:5051", agent.spec.ip),
                    "registered_time": seconds(agent.registered),
                    "resources": agent.total.summary(),
                    "used_resources": agent.used.summary(),
                    "offered_resources": agent.offered.summary(),
                    "active": true,
                    "deactivated": agent.draining,
                    "version": "1.11.0",
                })
            })
            .collect();
        json!({
            "version": "1.11.0",
            "id": leader.id,
            "pid": format!("master@{}", leader.address),
            "hostname": "localhost",
            "activated_slaves": agents.len() as f64,
            "unreachable_slaves":
                self.agents.iter().filter(|agent| matches!(agent.standing, Standing::Unreachable(_))).count() as f64,
            "leader": format!("master@{}", leader.address),
            "slaves": agents,
            "frameworks": frameworks(false),
            "completed_frameworks": frameworks(true),
            "orphan_tasks": [],
            "unregistered_frameworks": [],
        })
    }

    fn framework_state(&self, id: &str, framework: &Framework) -> Value {
        let connected = framework.stream.is_some();
        let ours = |task: &&Task| task.framework == id;
        let known: Vec<Value> =
            self.tasks.values().filter(ours).filter(|task| self.master_knows(&task.id)).map(task_state).collect();
        let unreachable: Vec<Value> = self
            .tasks
            .values()
            .filter(ours)
            .filter(|task| matches!(self.agents[task.agent].standing, Standing::Unreachable(_)))
            .map(task_state)
            .collect();
        let completed: Vec<Value> = self.completed.iter().filter(ours).map(task_state).collect();
        json!({
            "id": id,
            "name": framework.info["name"],
            "hostname": framework.info["hostname"],
            "active": connected,
            "connected": connected,
            "recovered": framework.recovered,
            "user": framework.info["user"],
            "failover_timeout": framework.info["failover_timeout"],
            "checkpoint": framework.info["checkpoint"],
            "registered_time": seconds(framework.registered),
            "unregistered_time": if framework.removed { seconds(SystemTime::now()) } else { 0.0 },
            "roles": framework.roles(),
            "tasks": known,
            "unreachable_tasks": unreachable,
            "completed_tasks": completed,
            "executors": [],
        })
    }
}

fn agent_info(agent: &Agent) -> Value {
    let mut info = json!({
        "hostname": agent.spec.hostname,
        "port": 5051,
        "resources": agent.total.to_json(None),
        "id": {"value": agent.id},
        "checkpoint": true,
    });
    if !agent.spec.attributes.is_empty() {
        info["attributes"] = agent.spec.attributes_json();
    }
    if let Some(domain) = agent.spec.domain_json() {
        info["domain"] = domain;
    }
    info
}

/// What the master keeps of a `TaskInfo`; the command is not among it.
fn task_json(task: &Task) -> Value {
    let mut shown = json!({
        "name": task.info["name"],
        "task_id": {"value": task.id},
        "framework_id": {"value": task.framework},
        "agent_id": {"value": task.agent_id},
        "state": shown_state(task),
        "resources": task.resources.to_json(Some(&task.role)),
        "statuses": task.statuses,
        "status_update_state": task.told,
    });
    for field in ["labels", "discovery", "container", "health_check", "kill_policy", "user"] {
        if !task.info[field].is_null() {
            shown[field] = task.info[field].clone();
        }
    }
    shown
}

fn task_state(task: &Task) -> Value {
    json!({
        "id": task.id,
        "name": task.info["name"],
        "framework_id": task.framework,
        "executor_id": "",
        "slave_id": task.agent_id,
        "state": shown_state(task),
        "resources": task.resources.summary(),
        "role": task.role,
        "statuses": task.statuses,
        "labels": task.info["labels"]["labels"],
        "discovery": task.info["discovery"],
    })
}

/// Of a task that has ended, the end is told at once; else what was last told.
fn shown_state(task: &Task) -> &str {
    if has_ended(&task.state) { &task.state } else { &task.told }
}
