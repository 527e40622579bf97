//! Slots, and the instances in them.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use ekiden_model::{AgentId, Incarnation, InstanceKey, RevisionId, Role, Slot, Timestamp, instance, record};
use serde::{Deserialize, Serialize};

use super::health::Health;
use super::names::{Condition, Goal, KillCause};
use super::{Shared, app_id, ports, read_ports};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SlotRecord {
    app: String,
    slot: u32,
    last: NonZeroU32,
    instances: Vec<Instance>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Instance {
    slot: u32,
    incarnation: NonZeroU32,
    revision: u32,
    goal: Goal,
    condition: Condition,
    since: i64,
    agent: Agent,
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
struct Agent {
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

impl SlotRecord {
    pub(super) fn of(model: &record::SlotRecord) -> Self {
        let record::SlotRecord { app, slot, last, instances } = model;
        Self {
            app: app.to_string(),
            slot: slot.0,
            last: last.0,
            instances: instances.iter().map(Instance::of).collect(),
        }
    }

    pub(super) fn read(self, shared: &mut Shared) -> Result<record::SlotRecord, String> {
        let Self { app, slot, last, instances } = self;
        Ok(record::SlotRecord {
            app: app_id(&app)?,
            slot: Slot(slot),
            last: Incarnation(last),
            instances: instances.into_iter().map(|instance| instance.read(shared)).collect(),
        })
    }
}

impl Instance {
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

    fn read(self, shared: &mut Shared) -> instance::Instance {
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
        instance::Instance {
            key: InstanceKey { slot: Slot(slot), incarnation: Incarnation(incarnation) },
            revision: RevisionId(revision),
            goal: goal.into(),
            condition: condition.into(),
            since: Timestamp::from_millis(since),
            agent: agent.read(shared),
            role: Role::new(role),
            host_ports: read_ports(&host_ports),
            staged: Timestamp::from_millis(staged),
            started: started.map(Timestamp::from_millis),
            health: health.read(),
            kill: kill.map(KillOrder::read),
            message,
        }
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

    /// The agent, shared with the instances that were read before unless it was another then (an agent's attributes
    /// are of the moment at which an instance was launched).
    fn read(self, shared: &mut Shared) -> Arc<ekiden_model::Agent> {
        let Self { id, hostname, attributes, region, zone } = self;
        let agent = ekiden_model::Agent { id: AgentId::new(id), hostname, attributes, region, zone };
        match shared.agents.get(&agent.id) {
            Some(known) if **known == agent => known.clone(),
            _ => {
                let agent = Arc::new(agent);
                shared.agents.insert(agent.id.clone(), agent.clone());
                agent
            }
        }
    }
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
