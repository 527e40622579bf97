//! Slots, and the instances in them: as JSON, and packed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use ekiden_model::{AgentId, AppId, Incarnation, InstanceKey, RevisionId, Slot, Timestamp, instance, record};
use serde::{Deserialize, Serialize};

use super::health::Health;
use super::names::{Condition, Goal, KillCause};
use super::{Shared, packed, ports, read_ports, unpacked};

/// A slot as it is stored.
pub(super) fn pack(model: &record::SlotRecord) -> Result<Vec<u8>, String> {
    let record::SlotRecord { app: _, slot: _, last, instances } = model;
    let packed_agent = |agent: &ekiden_model::Agent| packed(&Agent::of(agent));
    let instances = instances.iter().map(|instance| Ok(Instance::of(instance, packed_agent(&instance.agent)?)));
    packed(&Packed { last: last.0, instances: instances.collect::<Result<Vec<Instance<'_, Vec<u8>>>, String>>()? })
}

/// The slot that is stored.
pub(super) fn unpack(
    app: AppId,
    slot: Slot,
    body: &[u8],
    shared: &mut Shared,
) -> Result<record::SlotRecord, String> {
    let Packed { last, instances } = unpacked::<Packed<'_, &[u8]>>(body)?;
    let instances = instances.into_iter().map(|instance| instance.read(shared, agent_of));
    Ok(record::SlotRecord { app, slot, last: Incarnation(last), instances: instances.collect::<Result<_, _>>()? })
}

/// A slot whose key says whose and which it is. An agent in it is packed for itself: those that were read before are told
/// by their bytes.
#[derive(Serialize, Deserialize)]
struct Packed<'a, A> {
    last: NonZeroU32,
    #[serde(borrow)]
    instances: Vec<Instance<'a, A>>,
}

/// A slot as it is shown.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SlotRecord<'a> {
    app: String,
    slot: u32,
    last: NonZeroU32,
    #[serde(borrow)]
    instances: Vec<Instance<'a, Agent>>,
}

/// `A` is an agent.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Instance<'a, A> {
    slot: u32,
    incarnation: NonZeroU32,
    revision: u32,
    goal: Goal,
    condition: Condition,
    since: i64,
    agent: A,
    #[serde(borrow)]
    role: Cow<'a, str>,
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

impl<'a> SlotRecord<'a> {
    pub(super) fn of(model: &'a record::SlotRecord) -> Self {
        let record::SlotRecord { app, slot, last, instances } = model;
        Self {
            app: app.to_string(),
            slot: slot.0,
            last: last.0,
            instances: instances
                .iter()
                .map(|instance| Instance::of(instance, Agent::of(&instance.agent)))
                .collect(),
        }
    }

    pub(super) fn read(self, shared: &mut Shared) -> Result<record::SlotRecord, String> {
        let Self { app, slot, last, instances } = self;
        Ok(record::SlotRecord {
            app: shared.app(&app)?,
            slot: Slot(slot),
            last: Incarnation(last),
            instances: instances
                .into_iter()
                .map(|instance| instance.read(shared, |agent, shared| agent_of(&packed(&agent)?, shared)))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl<'a, A> Instance<'a, A> {
    fn of(model: &'a instance::Instance, agent: A) -> Self {
        let instance::Instance {
            key,
            revision,
            goal,
            condition,
            since,
            agent: _,
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
            agent,
            role: Cow::Borrowed(role.as_str()),
            host_ports: ports(host_ports),
            staged: staged.as_millis(),
            started: started.map(Timestamp::as_millis),
            health: Health::of(health),
            kill: kill.as_ref().map(KillOrder::of),
            message: message.clone(),
        }
    }

    fn read(
        self,
        shared: &mut Shared,
        read_agent: impl FnOnce(A, &mut Shared) -> Result<Arc<ekiden_model::Agent>, String>,
    ) -> Result<instance::Instance, String> {
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
            agent: read_agent(agent, shared)?,
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
fn agent_of(bytes: &[u8], shared: &mut Shared) -> Result<Arc<ekiden_model::Agent>, String> {
    if let Some(known) = shared.agents.get(bytes) {
        return Ok(known.clone());
    }
    let agent = Arc::new(unpacked::<Agent>(bytes)?.read());
    shared.agents.insert(bytes.into(), agent.clone());
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

#[cfg(test)]
mod tests {
    use ekiden_model::health::{CheckState, Health, Readiness, Verdict};
    use ekiden_model::report::KillCause;
    use ekiden_model::{Condition, Fingerprint, Goal, Port, Role};

    use super::*;

    fn slot() -> record::SlotRecord {
        let agent = ekiden_model::Agent {
            id: AgentId::new("S1"),
            hostname: "node-1".into(),
            attributes: BTreeMap::from([("rack".to_owned(), "r7".into())]),
            region: None,
            zone: Some("a".into()),
        };
        let at = Timestamp::from_millis;
        let check = CheckState {
            question: Fingerprint::from_u64(300),
            first_success: Some(at(1)),
            last_success: Some(at(2)),
            last_failure: None,
            last_failure_cause: Some("no".into()),
            consecutive_failures: 3,
        };
        let instance = instance::Instance {
            key: InstanceKey { slot: Slot(5), incarnation: Incarnation(NonZeroU32::MIN) },
            revision: RevisionId(2),
            goal: Goal::Decommissioned,
            condition: Condition::Lost,
            since: at(4),
            agent: Arc::new(agent),
            role: Role::new("*"),
            host_ports: vec![Port::new(31_000), None],
            staged: at(5),
            started: Some(at(6)),
            health: Health {
                verdict: Verdict::Condemned,
                checks: vec![check],
                readiness: Readiness::NotReady(Some(503)),
            },
            kill: Some(instance::KillOrder { cause: KillCause::Draining, at: at(7), sent: at(8) }),
            message: Some("m".into()),
        };
        let app = AppId::parse("/web").expect("an id");
        record::SlotRecord { app, slot: Slot(5), last: Incarnation(NonZeroU32::MIN), instances: vec![instance] }
    }

    /// What was once written is read for ever: a variant that moves, or a field, would be taken for another one.
    #[test]
    fn the_packed_form_stays_as_it_is() {
        let packed = pack(&slot()).expect("it can be packed");
        let written = [
            // The last incarnation; one instance: slot, incarnation, revision, goal, condition, since.
            &[1, 1, 5, 1, 2, 2, 13, 8][..],
            // The agent, in 23 bytes: id, hostname, attributes, no region, a zone.
            b"\x17\x02S1\x06node-1\x01\x04rack\x02r7\x00\x01\x01a",
            // The role; 31000 and no port; staged, started.
            b"\x01*\x02\x01\x98\xf2\x01\x00\x0a\x01\x0c",
            // Verdict; one check, of question 300; not ready for 503.
            b"\x03\x01\xac\x02\x01\x02\x01\x04\x00\x01\x02no\x03\x01\x01\xf7\x03",
            // The kill's cause, at, sent; the message.
            b"\x01\x0a\x0e\x10\x01\x01m",
        ];
        assert_eq!(packed, written.concat());
        let slot = slot();
        assert_eq!(unpack(slot.app.clone(), slot.slot, &packed, &mut Shared::default()), Ok(slot));
    }
}
