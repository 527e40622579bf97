//! Surveys: what the operator API tells about frameworks and their tasks, to whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use ekiden_model::input::{Found, FoundTask};
use ekiden_model::{Agent, AgentId, Fingerprint, FrameworkId, Port, Role, TaskId, Timestamp};
use serde::Deserialize;

use super::WireError;
use super::offer::AgentInfo;
use super::resources::AllocationInfo;
use super::status::{Status, condition};
use super::task::{PORTS_LABEL, TEMPLATE_LABEL};
use super::values::{Labels, Nanoseconds, Text, Value, at_seconds};

/// The calls to `/api/v1` whose answers [`read`] wants, in this order. Agents come first: of one that has come back by then
/// the tasks are known. Tasks come last: what was launched between two answers has its framework in the one before.
pub(in super::super) const CALLS: [&str; 3] =
    [r#"{"type":"GET_AGENTS"}"#, r#"{"type":"GET_FRAMEWORKS"}"#, r#"{"type":"GET_TASKS"}"#];

/// Whom to look for.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Wanted<'a> {
    /// Our name.
    pub(in super::super) name: &'a str,
    /// A framework that is not ours although it has our name.
    pub(in super::super) except: Option<&'a FrameworkId>,
    /// Our id, if we have one; the name does not matter then.
    pub(in super::super) id: Option<&'a FrameworkId>,
    /// Whether we are subscribed, so that whoever is connected as this framework is us.
    pub(in super::super) subscribed: bool,
}

#[expect(clippy::struct_field_names, reason = "these are Mesos' names")]
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    get_agents: Option<GetAgents<'a>>,
    #[serde(borrow)]
    get_frameworks: Option<GetFrameworks<'a>>,
    #[serde(borrow)]
    get_tasks: Option<GetTasks<'a>>,
}

#[derive(Deserialize)]
struct GetAgents<'a> {
    #[serde(borrow, default)]
    agents: Vec<RegisteredAgent<'a>>,
    /// Those that a new master has heard of and not from.
    #[serde(default)]
    recovered_agents: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct RegisteredAgent<'a> {
    #[serde(borrow)]
    agent_info: AgentInfo<'a>,
}

#[derive(Deserialize)]
struct GetFrameworks<'a> {
    /// Those that are neither removed nor completed.
    #[serde(borrow, default)]
    frameworks: Vec<Framework<'a>>,
}

#[expect(clippy::struct_field_names, reason = "these are Mesos' names")]
#[derive(Deserialize)]
struct Framework<'a> {
    #[serde(borrow)]
    framework_info: FrameworkInfo<'a>,
    #[serde(default)]
    connected: bool,
    registered_time: Option<Nanoseconds>,
}

#[derive(Deserialize)]
struct FrameworkInfo<'a> {
    #[serde(borrow)]
    id: Option<Value<Text<'a>>>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    hostname: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct GetTasks<'a> {
    #[serde(borrow, default)]
    tasks: Vec<Task<'a>>,
    #[serde(borrow, default)]
    unreachable_tasks: Vec<Task<'a>>,
}

#[expect(clippy::struct_field_names, reason = "these are Mesos' names")]
#[derive(Deserialize)]
struct Task<'a> {
    #[serde(borrow)]
    task_id: Value<Text<'a>>,
    #[serde(borrow)]
    framework_id: Value<Text<'a>>,
    #[serde(borrow)]
    agent_id: Value<Text<'a>>,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(default)]
    resources: Vec<TaskResource>,
    #[serde(borrow, default)]
    statuses: Vec<Status<'a>>,
    #[serde(default)]
    labels: Labels,
}

#[derive(Deserialize)]
struct TaskResource {
    allocation_info: Option<AllocationInfo>,
}

/// How many agents a new master knows of and has not heard from, by the answer to the first of [`CALLS`].
///
/// It knows nothing of their tasks, so what it says of tasks is not all until there are none. They come back, or the
/// master gives them up after its `--agent_reregister_timeout` (10 minutes where nobody says otherwise) and calls them
/// unreachable.
pub(in super::super) fn agents_awaited(agents: &[u8]) -> Result<usize, WireError> {
    let agents = answer(agents)?.get_agents.ok_or(WireError::Missing("get_agents"))?;
    Ok(agents.recovered_agents.len())
}

/// Reads the answers to [`CALLS`], once no agent is [awaited](agents_awaited).
///
/// Of several frameworks of our name the one that is connected counts, or else the one that registered last: that is
/// who was here before us. Of the others the tasks' ids are told.
pub(in super::super) fn read(wanted: Wanted<'_>, answers: [&[u8]; 3]) -> Result<Found, WireError> {
    let [agents, frameworks, tasks] = answers;
    let agents = answer(agents)?.get_agents.ok_or(WireError::Missing("get_agents"))?;
    let frameworks = answer(frameworks)?.get_frameworks.ok_or(WireError::Missing("get_frameworks"))?;
    let tasks = answer(tasks)?.get_tasks.ok_or(WireError::Missing("get_tasks"))?;

    let candidates = || frameworks.frameworks.iter().filter_map(|framework| Some((framework.id()?, framework)));
    let is_namesake = |framework: &Framework<'_>| framework.framework_info.name.0 == wanted.name;
    let ours = candidates().filter(|(id, framework)| match wanted.id {
        Some(wanted) => id == wanted,
        None => is_namesake(framework) && wanted.except != Some(id),
    });
    let latest = ours
        .max_by_key(|(_, framework)| (framework.connected, framework.registered_time.map(Nanoseconds::timestamp)));
    let others = candidates().filter(|(id, framework)| {
        is_namesake(framework) && latest.as_ref().is_none_or(|(latest, _)| id != latest)
    });
    let others: Vec<FrameworkId> = others.map(|(id, _)| id).collect();

    let agents: BTreeMap<AgentId, Arc<Agent>> = agents
        .agents
        .into_iter()
        .map(|agent| Agent::from(agent.agent_info))
        .map(|agent| (agent.id.clone(), Arc::new(agent)))
        .collect();
    let mut found = Found::default();
    for task in tasks.tasks.into_iter().chain(tasks.unreachable_tasks) {
        if latest.as_ref().is_some_and(|(latest, _)| task.is_of(latest)) {
            found.tasks.extend(task.found(&agents));
        } else if others.iter().any(|other| task.is_of(other)) {
            found.beside.extend(task.found(&agents).map(|found| found.task));
        }
    }
    if let Some((id, framework)) = latest {
        let hostname = framework.framework_info.hostname.as_ref().map_or("", |hostname| &*hostname.0);
        found.connected_from = (framework.connected && !wanted.subscribed).then(|| Arc::from(hostname));
        found.framework = Some(id);
    }
    Ok(found)
}

fn answer(bytes: &[u8]) -> Result<Answer<'_>, WireError> {
    Ok(serde_json::from_slice(bytes)?)
}

impl Framework<'_> {
    fn id(&self) -> Option<FrameworkId> {
        self.framework_info.id.as_ref().map(|id| FrameworkId::new(&*id.value.0))
    }
}

impl Task<'_> {
    fn is_of(&self, framework: &FrameworkId) -> bool {
        self.framework_id.value.0 == framework.as_str()
    }

    /// None for one that has ended, or whose state has no word here.
    fn found(self, agents: &BTreeMap<AgentId, Arc<Agent>>) -> Option<FoundTask> {
        let condition = condition(&self.state.0, None, "").filter(|condition| condition.is_live())?;
        let last = self.statuses.last();
        let role = self.resources.into_iter().find_map(|resource| resource.allocation_info);
        Some(FoundTask {
            task: TaskId::new(&*self.task_id.value.0),
            condition,
            since: last.and_then(|status| status.timestamp).map_or(Timestamp::EPOCH, at_seconds),
            agent: agent(AgentId::new(&*self.agent_id.value.0), agents),
            role: role.map_or_else(Role::any, |allocation| Role::new(allocation.role)),
            host_ports: self.labels.get(PORTS_LABEL).map(host_ports).unwrap_or_default(),
            template: self.labels.get(TEMPLATE_LABEL).and_then(template),
            // An update that says something else says nothing about health.
            healthy: self.statuses.iter().rev().find_map(|status| status.healthy),
        })
    }
}

/// An agent that does not answer is in no list: nothing but its id is known of it.
fn agent(id: AgentId, agents: &BTreeMap<AgentId, Arc<Agent>>) -> Arc<Agent> {
    agents.get(&id).cloned().unwrap_or_else(|| {
        let hostname = Arc::from(id.as_str());
        Arc::new(Agent { id, hostname, attributes: BTreeMap::new(), region: None, zone: None })
    })
}

fn host_ports(label: &str) -> Vec<Option<Port>> {
    label.split(',').map(|port| port.parse().ok().and_then(Port::new)).collect()
}

fn template(label: &str) -> Option<Fingerprint> {
    u64::from_str_radix(label, 16).ok().map(Fingerprint::from_u64)
}
