//! Slots, and the instances in them.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use ekiden_model::{AgentId, Incarnation, InstanceKey, RevisionId, Slot, Timestamp, instance, record};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::health::Health;
use super::names::{Condition, Goal, KillCause};
use super::{Shared, parse, ports, read_ports};

/// `A` is an agent. It is written as a value and read as text, by which those are told that were read before.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SlotRecord<A> {
    app: String,
    slot: u32,
    last: NonZeroU32,
    instances: Vec<Instance<A>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Instance<A> {
    slot: u32,
    incarnation: NonZeroU32,
    revision: u32,
    goal: Goal,
    condition: Condition,
    since: i64,
    agent: A,
    role: String,
    host_ports: Vec<Option<NonZeroU16>>,
    staged: i64,
    started: Option<i64>,
    health: Health,
    kill: Option<KillOrder>,
    message: Option<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Agent {
    id: String,
    hostname: Arc<str>,
    attributes: BTreeMap<String, Arc<str>>,
    region: Option<Arc<str>>,
    zone: Option<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KillOrder {
    cause: KillCause,
    at: i64,
    sent: i64,
}

impl SlotRecord<Agent> {
    pub(super) fn of(model: &record::SlotRecord) -> Self {
        let record::SlotRecord { app, slot, last, instances } = model;
        Self {
            app: app.to_string(),
            slot: slot.0,
            last: last.0,
            instances: instances.iter().map(Instance::of).collect(),
        }
    }
}

impl SlotRecord<&RawValue> {
    pub(super) fn read(self, shared: &mut Shared) -> Result<record::SlotRecord, String> {
        let Self { app, slot, last, instances } = self;
        Ok(record::SlotRecord {
            app: shared.app(&app)?,
            slot: Slot(slot),
            last: Incarnation(last),
            instances: instances.into_iter().map(|instance| instance.read(shared)).collect::<Result<_, _>>()?,
        })
    }
}

impl Instance<Agent> {
    fn of(model: &instance::Instance) -> Self {
        let instance::Instance {
            key,
            revision,
            goal,
            condition,
            since,
            agent,
            role,
            host_ports,
            staged,
            started,
            health,
            kill,
            message,
        } = model;
        Self {
            slot: key.slot.0,
            incarnation: key.incarnation.0,
            revision: revision.0,
            goal: (*goal).into(),
            condition: (*condition).into(),
            since: since.as_millis(),
            agent: Agent::of(agent),
            role: role.to_string(),
            host_ports: ports(host_ports),
            staged: staged.as_millis(),
            started: started.map(Timestamp::as_millis),
            health: Health::of(health),
            kill: kill.as_ref().map(KillOrder::of),
            message: message.clone(),
        }
    }
}

impl Instance<&RawValue> {
    fn read(self, shared: &mut Shared) -> Result<instance::Instance, String> {
        let Self {
            slot,
            incarnation,
            revision,
            goal,
            condition,
            since,
            agent,
            role,
            host_ports,
            staged,
            started,
            health,
            kill,
            message,
        } = self;
        Ok(instance::Instance {
            key: InstanceKey { slot: Slot(slot), incarnation: Incarnation(incarnation) },
            revision: RevisionId(revision),
            goal: goal.into(),
            condition: condition.into(),
            since: Timestamp::from_millis(since),
            agent: agent_of(agent, shared)?,
            role: shared.role(&role),
            host_ports: read_ports(&host_ports),
            staged: Timestamp::from_millis(staged),
            started: started.map(Timestamp::from_millis),
            health: health.read(),
            kill: kill.map(KillOrder::read),
            message,
        })
    }
}

impl Agent {
    fn of(model: &ekiden_model::Agent) -> Self {
        let ekiden_model::Agent { id, hostname, attributes, region, zone } = model;
        Self {
            id: id.to_string(),
            hostname: hostname.clone(),
            attributes: attributes.clone(),
            region: region.clone(),
            zone: zone.clone(),
        }
    }

    fn read(self) -> ekiden_model::Agent {
        let Self { id, hostname, attributes, region, zone } = self;
        ekiden_model::Agent { id: AgentId::new(id), hostname, attributes, region, zone }
    }
}

/// The agent, shared with the instances that were read before unless it was another then (an agent's attributes are
/// of the moment at which an instance was launched).
fn agent_of(text: &RawValue, shared: &mut Shared) -> Result<Arc<ekiden_model::Agent>, String> {
    if let Some(known) = shared.agents.get(text.get()) {
        return Ok(known.clone());
    }
    let agent = Arc::new(parse::<Agent>(text.get())?.read());
    shared.agents.insert(text.get().into(), agent.clone());
    Ok(agent)
}

impl KillOrder {
    fn of(model: &instance::KillOrder) -> Self {
        let instance::KillOrder { cause, at, sent } = model;
        Self { cause: (*cause).into(), at: at.as_millis(), sent: sent.as_millis() }
    }

    fn read(self) -> instance::KillOrder {
        let Self { cause, at, sent } = self;
        instance::KillOrder {
            cause: cause.into(),
            at: Timestamp::from_millis(at),
            sent: Timestamp::from_millis(sent),
        }
    }
}
