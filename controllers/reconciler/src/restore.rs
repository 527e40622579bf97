//! Starting: from what was stored, or from nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use ekiden_model::agent::{AgentState, Presence};
use ekiden_model::edit::{Group, Pod};
use ekiden_model::fixed_hash::FixedState;
use ekiden_model::history::Version;
use ekiden_model::id::AppKey;
use ekiden_model::input::Abilities;
use ekiden_model::limits::Settings;
use ekiden_model::record::{AppRecord, Installation, Record, SlotRecord};
use ekiden_model::view::ServicePorts;
use ekiden_model::{
    Agent, AgentId, Agents, AppId, AppState, Condition, Incarnation, Instance, InstanceKey, OfferBook, Timestamp,
};
use ekiden_ports::{Leases, RequiredPorts};

use crate::apps::Apps;
use crate::cluster::Connection;
use crate::dependency::Dependents;
use crate::deployments::Deployments;
use crate::framework::Membership;
use crate::identity::Births;
use crate::journal::Journal;
use crate::schedule::Schedule;
use crate::secret::Secret;
use crate::spare::SpareLog;
use crate::supply::SupplyLog;
use crate::time::Time;
use crate::{Entry, Reconciler, Work};

/// Why a reconciler cannot start from these records. All of them mean that the store is damaged: starting from a part
/// of it could kill or double what the missing part knew of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There are apps or slots, but not the record of the installation they belong to.
    #[error("the store has apps but no installation record: it is damaged, or no store of ekiden")]
    NoInstallation,
    /// More than one, or not the first.
    #[error("the store's installation record is not the first: it is damaged, or no store of ekiden")]
    SecondInstallation,
    /// A slot without its app.
    #[error("the store has instances of {0} but not the app itself: it is damaged")]
    OrphanSlot(AppId),
}

impl Reconciler {
    /// Starts from what was stored, or from nothing as the new installation `fresh`. Records may come while they are being
    /// read: the installation first, and each app before what is of it.
    pub fn restore(
        settings: Settings,
        abilities: Abilities,
        fresh: Installation,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Self, RestoreError> {
        let mut records = records.into_iter().peekable();
        let stored = records.next_if(|record| matches!(record, Record::Installation(_)));
        let is_new = stored.is_none();
        let installation = if let Some(Record::Installation(stored)) = stored { *stored } else { fresh };
        let mut reconciler = Self::new(settings, abilities, installation);
        if is_new {
            reconciler.journal.note_installation();
        }
        let mut occupied = HashMap::default();
        let mut deployments = Vec::new();
        let (mut groups, mut pods) = (BTreeMap::new(), BTreeMap::new());
        while let Some(record) = records.next() {
            match record {
                Record::App(_) | Record::Slot(_) if is_new => return Err(RestoreError::NoInstallation),
                Record::Installation(_) => return Err(RestoreError::SecondInstallation),
                Record::App(app) => reconciler.restore_app(*app),
                Record::Slot(slot) => {
                    // Those of an app come together: it is looked up once for all of them.
                    let Some(entry) = reconciler.apps.get_mut(&slot.app) else {
                        return Err(RestoreError::OrphanSlot(slot.app));
                    };
                    let state = &mut entry.state;
                    let mut latest = restore_slot(state, &mut occupied, slot);
                    while let Some(Record::Slot(slot)) = records.next_if(|next| is_slot_of(next, &state.id)) {
                        latest = latest.max(restore_slot(state, &mut occupied, slot));
                    }
                    reconciler.now = reconciler.now.max(latest);
                }
                Record::Version(app, version) => reconciler.restore_version(app, *version),
                Record::Deployment(deployment) => deployments.push(*deployment),
                Record::Group(group) => _ = groups.insert(group.id.clone(), Arc::new(group)),
                Record::Pod(pod) => _ = pods.insert(pod.id.clone(), Arc::new(pod)),
            }
        }
        reconciler.restore_leases();
        reconciler.restore_agents(occupied);
        for deployment in deployments {
            reconciler.last_version = reconciler.last_version.max(deployment.version);
            reconciler.restore_deployment(deployment);
        }
        let stamps =
            groups.values().flat_map(|group: &Arc<Group>| group.versions.iter().map(|version| version.at));
        let pod_stamps = pods.values().flat_map(|pod: &Arc<Pod>| pod.versions.iter().map(|(at, _)| *at));
        reconciler.last_version = stamps.chain(pod_stamps).fold(reconciler.last_version, Timestamp::max);
        (reconciler.groups, reconciler.pods) = (Arc::new(groups), Arc::new(pods));
        reconciler.shelf_is_news = true;
        // A version may be ahead of the time that it was made at, since it is later than any before it.
        reconciler.now = reconciler.now.max(reconciler.last_version);
        reconciler.time = Time::after(reconciler.now);
        Ok(reconciler)
    }

    fn new(settings: Settings, abilities: Abilities, installation: Installation) -> Self {
        let secret = Secret(installation.realm);
        Self {
            settings,
            abilities,
            apps: Apps::new(secret),
            installation,
            keys: HashMap::default(),
            births: Births::default(),
            last_version: Timestamp::EPOCH,
            deployments: Deployments::default(),
            departed: Arc::default(),
            groups: Arc::default(),
            pods: Arc::default(),
            overrides: BTreeSet::new(),
            shelf_is_news: false,
            agents: Agents::new(),
            assumed: BTreeSet::new(),
            placed: BTreeMap::new(),
            global: BTreeSet::new(),
            dependents: Dependents::default(),
            leases: Leases::default(),
            required_ports: RequiredPorts::default(),
            book: OfferBook::default(),
            promised: BTreeSet::new(),
            taken: BTreeMap::new(),
            roles: BTreeMap::new(),
            suppressed: BTreeSet::new(),
            unused: BTreeSet::new(),
            unasked: BTreeSet::new(),
            tend: false,
            offers_wake: None,
            supply: SupplyLog::default(),
            spares: SpareLog::default(),
            leaving: Arc::default(),
            leaving_wake: None,
            membership: Membership::None,
            safe_mode: None,
            standstill: OnceLock::new(),
            standstill_is_news: false,
            cluster: Connection::default(),
            has_heard_all: false,
            directory_read: false,
            journal: Journal::default(),
            schedule: Schedule::new(secret),
            touched: BTreeSet::new(),
            time: Time::default(),
            now: Timestamp::EPOCH,
            steps: 0,
            work: Work::default(),
        }
    }

    fn restore_app(&mut self, record: AppRecord) {
        let born = AppKey::new(self.installation.realm, record.birth, &record.id);
        let key = record.key.unwrap_or(born);
        let mut state = AppState {
            is_adopted: record.key.is_some(),
            declared: record.declared,
            revisions: record.revisions,
            rollout: record.rollout,
            service_ports: record.service_ports,
            backoff: record.backoff,
            last_failure: record.last_failure,
            condemned: record.condemned,
            ..AppState::new(record.id, key, record.birth)
        };
        if let Some(before) = Incarnation::before_life(self.installation.life) {
            state.instances.launch_after(before);
        }
        let app = state.declared.as_ref().map(|declared| declared.app.clone());
        self.index_declaration(&state.id, None, app.as_deref());
        let until = state.declared.as_ref().and_then(|declared| declared.over.as_ref()).map(|over| over.until);
        self.overrides.extend(until.map(|until| (until, state.id.clone())));
        let declared = state.declared.as_ref().map(|declared| declared.version);
        self.last_version = self.last_version.max(declared.unwrap_or(Timestamp::EPOCH));
        let failed = state.last_failure.as_ref().map(|failure| failure.at);
        let condemned = state.condemned.last().copied();
        let stamps = [declared, failed, condemned, state.backoff.reference];
        self.now = stamps.into_iter().flatten().fold(self.now, Timestamp::max);
        self.keys.insert(key, state.id.clone());
        self.schedule.mark(&state.id);
        self.touched.insert(state.id.clone());
        self.apps.insert(Entry::new(state));
    }

    /// Who holds which service port. That two apps have one and the same can only be a store that was made or mended by
    /// hand: whoever was declared first keeps it, and the other gets another one or waits for it. That is settled here
    /// once, since later each of them would give back what is the other's, in turns and for ever.
    fn restore_leases(&mut self) {
        let mut entries: Vec<&mut Entry> = self.apps.each_mut().collect();
        entries.sort_by_key(|entry| entry.state.birth);
        for entry in entries {
            let state = &mut entry.state;
            for held in &mut state.service_ports {
                let Some(port) = *held else { continue };
                if self.leases.holder(port).is_some_and(|holder| *holder != state.id) {
                    *held = None;
                    self.journal.note_app(&state.id);
                } else {
                    self.leases.set(port, &state.id);
                }
            }
            while state.service_ports.last().is_some_and(Option::is_none) {
                state.service_ports.pop();
            }
            self.required_ports.note(state);
        }
    }

    fn restore_version(&mut self, app: AppId, version: Version) {
        self.last_version = self.last_version.max(version.at);
        let history = match self.apps.get_mut(&app) {
            Some(entry) => &mut entry.state.history,
            None => Arc::make_mut(&mut self.departed).entry(app).or_default(),
        };
        // No more were stored than are kept.
        Arc::make_mut(history).push(version);
    }

    fn restore_agents(&mut self, occupied: HashMap<AgentId, Occupied, FixedState>) {
        for (id, Occupied { agent, presence, instances }) in occupied {
            self.assumed.insert(id.clone());
            self.agents.insert(id.clone(), AgentState { agent, presence, maintenance: None });
            self.placed.insert(id, instances.into_iter().collect());
        }
    }
}

fn is_slot_of(record: &Record, app: &AppId) -> bool {
    matches!(record, Record::Slot(slot) if slot.app == *app)
}

/// An agent on which live instances are.
struct Occupied {
    agent: Arc<Agent>,
    presence: Presence,
    instances: Vec<(AppId, InstanceKey)>,
}

/// Puts the instances of a slot into the roll of their app, and notes on which agents they are; the answer is the latest
/// moment that any of them knows of.
fn restore_slot(
    state: &mut AppState,
    occupied: &mut HashMap<AgentId, Occupied, FixedState>,
    record: SlotRecord,
) -> Timestamp {
    let mut latest = Timestamp::EPOCH;
    state.instances.note_incarnation(record.slot, record.last);
    for instance in record.instances {
        let sent = instance.kill.as_ref().map_or(Timestamp::EPOCH, |order| order.sent);
        latest = latest.max(instance.since).max(instance.staged).max(sent);
        if instance.condition.is_live() {
            let agent = occupied.entry(instance.agent.id.clone());
            let agent = agent.and_modify(|agent| agent.presence = seen_again(agent.presence, &instance));
            let agent = agent.or_insert_with(|| Occupied {
                agent: instance.agent.clone(),
                presence: presence(&instance),
                instances: Vec::new(),
            });
            agent.instances.push((state.id.clone(), instance.key));
        }
        state.instances.insert(instance);
    }
    latest
}

/// Until the cluster says otherwise, an agent with a task of ours is there, offers or not; unless all of its tasks are
/// unreachable. A restart in the middle of an outage does not forget how many agents it took.
fn presence(instance: &Instance) -> Presence {
    match instance.condition {
        Condition::Unreachable => Presence::Unreachable(instance.since),
        _ => Presence::Present,
    }
}

fn seen_again(before: Presence, instance: &Instance) -> Presence {
    let now = presence(instance);
    if now == Presence::Present { now } else { before }
}
