//! A world of one app for tests: built in a few words, asked for a decision, changed by following it.

use std::sync::Arc;
use std::time::Duration;

use ekiden_model::agent::{Agent, AgentState, Presence, Window};
use ekiden_model::app::{
    App, BackoffPolicy, Capacity, Command, Constraint, Count, Field, HostPort, Operator, PortDefinition, Template,
    UnreachableStrategy,
};
use ekiden_model::app_state::{Declared, Source};
use ekiden_model::health::{Health, Verdict};
use ekiden_model::id::AppKey;
use ekiden_model::instance::KillOrder;
use ekiden_model::limits::Settings;
use ekiden_model::offer::{Bundle, Lot, LotIx};
use ekiden_model::report::KillCause;
use ekiden_model::revision::Standing;
use ekiden_model::view::{HostPorts, ServicePorts, Settled};
use ekiden_model::{
    Action, AgentId, Agents, AppId, AppState, Condition, Decision, Goal, Instance, InstanceKey, Offer, OfferBook,
    OfferId, Port, PortSet, Reason, Resources, Revision, RevisionId, Role, Scalar, Slot, Timestamp, View,
};

/// An app and its surroundings.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) app: AppState,
    pub(crate) desired: u32,
    pub(crate) agents: Agents,
    pub(crate) book: OfferBook,
    pub(crate) settled: Settled,
    pub(crate) unsupported: Option<&'static str>,
    pub(crate) launches: u32,
    pub(crate) entropy: u64,
    pub(crate) settings: Settings,
    offers: u32,
}

/// The second that worlds begin at: late enough for things to have happened before.
pub(crate) const BEGIN: i64 = 100_000;

pub(crate) fn second(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

pub(crate) fn port(number: u16) -> Port {
    Port::new(number).expect("not 0")
}

pub(crate) fn constraint(field: &str, operator: Operator) -> Constraint {
    Constraint { field: Field::parse(field), operator }
}

pub(crate) fn surge(surge: u32, unavailable: u32) -> Capacity {
    Capacity::Counted { max_surge: Count::Whole(surge), max_unavailable: Count::Whole(unavailable) }
}

/// 1 cpu and 100 MiB, in the thousandths that an app counts in.
pub(crate) fn resources(cpus: u64, mem: u64) -> Resources {
    Resources { cpus: Scalar::whole(cpus), mem: Scalar::whole(mem), ..Resources::NONE }
}

fn a_template() -> Template {
    Template { resources: resources(1, 100), ..Template::new(Command::Shell("sleep 1000".into())) }
}

fn an_app(instances: u32) -> App {
    App {
        instances,
        capacity: surge(0, 0),
        backoff: BackoffPolicy { base: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(60) },
        unreachable: UnreachableStrategy::Replace {
            inactive_after: Duration::from_secs(60),
            expunge_after: Duration::from_secs(300),
        },
        ..App::new(AppId::parse("/web").expect("a good id"), a_template())
    }
}

impl World {
    /// An app that shall have `instances` of its first revision, and has none; no agents.
    pub(crate) fn of(instances: u32) -> Self {
        let app = Arc::new(an_app(instances));
        let declared = Declared::first(app.clone(), second(1), Source::Api);
        let key = AppKey::new(1, 1, &app.id);
        let mut world = Self {
            now: second(BEGIN),
            app: AppState { declared: Some(declared), ..AppState::new(app.id.clone(), key, 1) },
            desired: instances,
            agents: Agents::default(),
            book: OfferBook::default(),
            settled: Settled::Yes,
            unsupported: None,
            launches: 16,
            entropy: 0,
            settings: Settings::default(),
            offers: 0,
        };
        world.revision(1, instances);
        world
    }

    /// Changes the declaration.
    pub(crate) fn declare(mut self, change: impl Fn(&mut App)) -> Self {
        let declared = self.app.declared.as_mut().expect("declared");
        let mut app = (*declared.app).clone();
        change(&mut app);
        declared.app = Arc::new(app.clone());
        for revision in &mut self.app.revisions {
            revision.app = declared.app.clone();
        }
        self
    }

    pub(crate) fn constrained(self, field: &str, operator: Operator) -> Self {
        let constraint = constraint(field, operator);
        self.declare(|app| app.constraints.push(constraint.clone()))
    }

    pub(crate) fn with_ports(self, ports: &[HostPort]) -> Self {
        self.declare(|app| {
            let mut template = (*app.template).clone();
            template.ports = ports.iter().map(|host_port| a_port(*host_port)).collect();
            app.template = Arc::new(template);
        })
    }

    pub(crate) fn needing(self, change: impl Fn(&mut Resources)) -> Self {
        self.declare(|app| {
            let mut template = (*app.template).clone();
            change(&mut template.resources);
            app.template = Arc::new(template);
        })
    }

    /// Opens a revision, or changes the target of one that is there.
    pub(crate) fn revision(&mut self, id: u32, target: u32) {
        let id = RevisionId(id);
        match self.app.revisions.iter_mut().find(|revision| revision.id == id) {
            Some(revision) => revision.target = target,
            None => self.app.revisions.push(Revision {
                restarts: 0,
                id,
                version: second(i64::from(id.0)),
                app: self.app.declared.as_ref().expect("declared").app.clone(),
                target,
                standing: Standing::Unproven,
            }),
        }
    }

    pub(crate) fn scaled_to(mut self, instances: u32) -> Self {
        self.desired = instances;
        self.revision(1, instances);
        let now = self.now;
        if let Some(declared) = &mut self.app.declared {
            declared.version = now;
        }
        self
    }

    /// An agent that is present, with `zone` as its attribute, and an offer of its resources.
    pub(crate) fn agent(mut self, name: &str, zone: &str, cpus: u64) -> Self {
        self.know(name, zone);
        self.offer(name, |offer| offer.unreserved.resources = resources(cpus, cpus * 100));
        self
    }

    /// Agents `a0`, `a1`, … in zones `z0`, `z1`, … by turns, each with an offer.
    pub(crate) fn agents(mut self, count: usize, zones: usize, cpus: u64) -> Self {
        for index in 0..count {
            self = self.agent(&format!("a{index}"), &format!("z{}", index % zones), cpus);
        }
        self
    }

    /// An agent without an offer.
    pub(crate) fn know(&mut self, name: &str, zone: &str) {
        let agent = an_agent(name, zone);
        let state = AgentState { agent: agent.clone(), presence: Presence::Present, maintenance: None };
        self.agents.insert(agent.id.clone(), state);
    }

    pub(crate) fn lose(&mut self, name: &str) {
        let now = self.now;
        let state = self.agents.get_mut(&AgentId::new(name)).expect("a known agent");
        state.presence = Presence::Unreachable(now);
    }

    /// A known agent is to go into maintenance at second `begin`, for so many seconds, or for ever.
    pub(crate) fn maintain(&mut self, name: &str, begin: i64, seconds: Option<u64>) {
        self.window(name, Some((second(begin), seconds.map(Duration::from_secs))));
    }

    /// It is not any more.
    pub(crate) fn cancel(&mut self, name: &str) {
        self.window(name, None);
    }

    fn window(&mut self, name: &str, window: Option<Window>) {
        let id = AgentId::new(name);
        self.agents.get_mut(&id).expect("a known agent").maintenance = window;
        self.book.note_maintenance(&id, window);
    }

    /// An offer of a known agent to everybody's role, with ports 31000 to 31009.
    pub(crate) fn offer(&mut self, name: &str, change: impl FnOnce(&mut Offer)) {
        self.offers += 1;
        let mut offer = Offer {
            id: OfferId::new(format!("o{}", self.offers)),
            agent: self.agents[&AgentId::new(name)].agent.clone(),
            role: Role::any(),
            unreserved: Bundle { resources: resources(8, 800), ports: PortSet::from_ranges([31_000..=31_009]) },
            reserved: Bundle::default(),
            maintenance: self.agents[&AgentId::new(name)].maintenance,
        };
        change(&mut offer);
        self.book.add(offer, self.now);
    }

    /// An instance of the first revision in `slot` on `agent`, running and healthy for a while.
    pub(crate) fn running(mut self, slot: u32, agent: &str) -> Self {
        self.put(slot, agent, |_| {});
        self
    }

    /// An instance like that of [`Self::running`], but for what `change` does to it.
    pub(crate) fn put(&mut self, slot: u32, agent: &str, change: impl FnOnce(&mut Instance)) -> InstanceKey {
        let state = self.agents.get(&AgentId::new(agent));
        let key = InstanceKey { slot: Slot(slot), incarnation: self.app.instances.next_incarnation(Slot(slot)) };
        let staged = second(1000 + i64::from(slot));
        let mut instance = Instance {
            key,
            revision: RevisionId(1),
            goal: Goal::Running,
            condition: Condition::Running,
            since: staged,
            agent: state.map_or_else(|| an_agent(agent, "z0"), |state| state.agent.clone()),
            role: Role::any(),
            host_ports: Vec::new(),
            staged,
            started: Some(staged),
            health: Health { verdict: Verdict::Healthy, ..Health::default() },
            kill: None,
            message: None,
        };
        change(&mut instance);
        self.app.instances.insert(instance);
        key
    }

    /// The instance in `slot` gets into `condition` now.
    pub(crate) fn becomes(&mut self, slot: u32, condition: Condition) {
        let (now, key) = (self.now, self.in_slot(slot));
        self.app.instances.update(key, |instance| {
            instance.condition = condition;
            instance.since = now;
        });
    }

    /// The unreachable instance in `slot` runs after all.
    pub(crate) fn becomes_returned(&mut self, slot: u32) {
        let (now, mut all) = (self.now, self.app.instances.in_slot(Slot(slot)));
        let lost = all.find(|instance| instance.condition == Condition::Unreachable).expect("a lost one").key;
        drop(all);
        self.app.instances.update(lost, |instance| {
            instance.condition = Condition::Running;
            instance.since = now;
        });
    }

    pub(crate) fn condemn(&mut self, slot: u32) {
        let key = self.in_slot(slot);
        self.app.instances.update(key, |instance| instance.health.verdict = Verdict::Condemned);
        self.app.condemned.push(self.now);
    }

    /// The condemned instance in `slot` passes its checks again.
    pub(crate) fn recover(&mut self, slot: u32) {
        let key = self.in_slot(slot);
        self.app.instances.update(key, |instance| instance.health.verdict = Verdict::Healthy);
    }

    /// The latest instance in `slot`.
    pub(crate) fn in_slot(&self, slot: u32) -> InstanceKey {
        self.app.instances.in_slot(Slot(slot)).next_back().expect("an instance").key
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    pub(crate) fn decide(&self) -> Decision {
        crate::decide(&View {
            now: self.now,
            app: &self.app,
            desired: self.desired,
            dependencies: &[],
            samples: &[],
            book: &self.book,
            agents: &self.agents,
            service_ports: &NoServicePorts,
            host_ports: &FirstPorts,
            settled: self.settled,
            unsupported: self.unsupported,
            launches: self.launches,
            entropy: self.entropy,
            settings: &self.settings,
        })
    }

    /// Decides and follows the decision as the reconciler does within a step: what was taken of a lot is gone from it.
    pub(crate) fn step(&mut self) -> Decision {
        let decision = self.decide();
        self.follow(&decision);
        decision
    }

    /// [`Self::step`] where it does not matter what was decided.
    pub(crate) fn go(&mut self) {
        let decision = self.decide();
        self.follow(&decision);
    }

    pub(crate) fn follow(&mut self, decision: &Decision) {
        for action in &decision.actions {
            match action {
                Action::Launch(launch) => {
                    let lot = self.book.lot(launch.lot).expect("a lot of the book");
                    let (agent, role) = (lot.agent.clone(), lot.role.clone());
                    assert_eq!(
                        launch.instance.incarnation,
                        self.app.instances.next_incarnation(launch.instance.slot),
                        "an incarnation is used once"
                    );
                    assert!(self.book.take(launch.lot, &launch.claim), "claims only what the lot holds");
                    self.app.instances.insert(Instance {
                        key: launch.instance,
                        revision: launch.revision,
                        goal: Goal::Running,
                        condition: Condition::Provisioned,
                        since: self.now,
                        agent,
                        role,
                        host_ports: launch.host_ports.clone(),
                        staged: self.now,
                        started: None,
                        health: Health::default(),
                        kill: None,
                        message: None,
                    });
                }
                Action::Kill { instance, goal, cause } => {
                    let now = self.now;
                    let changed = self.app.instances.update(*instance, |instance| {
                        instance.goal = instance.goal.max(*goal);
                        let order = instance.kill.take();
                        let order = order.unwrap_or(KillOrder { cause: *cause, at: now, sent: now });
                        instance.kill = Some(KillOrder { sent: now, ..order });
                    });
                    assert!(changed.is_some(), "kills only what is there");
                }
                Action::Forget { instance } => {
                    assert!(self.app.instances.remove(*instance).is_some(), "forgets only what is there");
                }
                Action::BackOff(backoff) => self.app.backoff = *backoff,
                other => panic!("not an action of instances: {other:?}"),
            }
        }
    }

    /// Everything that was launched runs and is healthy now; everything that was killed, by whomever, has ended.
    pub(crate) fn settle(&mut self) {
        let now = self.now;
        let keys: Vec<InstanceKey> = self.app.instances.iter().map(|instance| instance.key).collect();
        for key in keys {
            self.app.instances.update(key, |instance| {
                if instance.condition == Condition::Unreachable || instance.condition.is_terminal() {
                    return;
                }
                if instance.goal == Goal::Running && instance.condition != Condition::Killing {
                    if instance.condition.is_starting() {
                        instance.condition = Condition::Running;
                        instance.since = now;
                        instance.started = Some(now);
                    }
                    if instance.health.verdict != Verdict::Condemned {
                        instance.health.verdict = Verdict::Healthy;
                    }
                } else {
                    instance.condition = Condition::Killed;
                    instance.since = now;
                }
            });
        }
    }

    /// Names of the agents that wanted instances are on, by slot.
    pub(crate) fn places(&self) -> Vec<String> {
        self.app.instances.wanted().map(|instance| instance.agent.id.to_string()).collect()
    }

    pub(crate) fn slots(&self) -> Vec<u32> {
        self.app.instances.wanted().map(|instance| instance.key.slot.0).collect()
    }
}

/// What a decision kills, by slot, with the causes.
pub(crate) fn kills(decision: &Decision) -> Vec<(u32, KillCause)> {
    let kill = |action: &Action| match action {
        Action::Kill { instance, cause, .. } => Some((instance.slot.0, *cause)),
        _ => None,
    };
    decision.actions.iter().filter_map(kill).collect()
}

/// What a decision launches: slot and incarnation, with the lot.
pub(crate) fn launches(decision: &Decision) -> Vec<(String, LotIx)> {
    let launch = |action: &Action| match action {
        Action::Launch(launch) => Some((launch.instance.to_string(), launch.lot)),
        _ => None,
    };
    decision.actions.iter().filter_map(launch).collect()
}

/// The reasons of a decision's report as people read them.
pub(crate) fn told(decision: &Decision) -> Vec<String> {
    decision.report.reasons.iter().map(Reason::to_string).collect()
}

fn an_agent(name: &str, zone: &str) -> Arc<Agent> {
    let attributes = [("zone".to_owned(), Arc::from(zone)), ("name".to_owned(), Arc::from(name))];
    let attributes = attributes.into_iter().filter(|(_, value): &(_, Arc<str>)| !value.is_empty()).collect();
    Arc::new(Agent { id: AgentId::new(name), hostname: name.into(), attributes, region: None, zone: None })
}

fn a_port(host_port: HostPort) -> PortDefinition {
    PortDefinition::new(host_port)
}

/// No service ports.
struct NoServicePorts;

impl ServicePorts for NoServicePorts {
    fn holder(&self, _: Port) -> Option<&AppId> {
        None
    }

    fn first_free(&self, _: std::ops::RangeInclusive<u16>) -> Option<Port> {
        None
    }
}

/// The lowest free host ports, reserved ones first.
struct FirstPorts;

impl HostPorts for FirstPorts {
    fn choose(
        &self,
        _: &AppState,
        template: &Template,
        lot: &Lot,
        taken: &[Port],
        _: u64,
    ) -> Result<Vec<Option<Port>>, String> {
        let mut free: Vec<Port> = lot.reserved.ports.iter().chain(lot.unreserved.ports.iter()).collect();
        free.retain(|port| !taken.contains(port));
        let mut take = |wanted: Option<Port>| {
            let at = free.iter().position(|port| wanted.is_none_or(|wanted| wanted == *port))?;
            Some(free.remove(at))
        };
        let chosen = template.ports.iter().map(|definition| match definition.host_port {
            HostPort::Unmapped => Ok(None),
            HostPort::Fixed(port) => take(Some(port)).map(Some).ok_or(format!("port {port}")),
            HostPort::Dynamic | HostPort::ServicePort => take(None).map(Some).ok_or("1 port".to_owned()),
        });
        chosen.collect()
    }
}
