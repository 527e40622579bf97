//! One app with instances on one agent, and the folding of what `health` decides, as the reconciler does it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::agent::{Agent, Agents};
use ekiden_model::app::{
    CheckAddress, CheckKind, Command, HealthCheck, HostPort, PortDefinition, ReadinessCheck, Template,
    UnreachableStrategy,
};
use ekiden_model::app_state::{Declared, Source};
use ekiden_model::effect::Probe;
use ekiden_model::health::{Health, Outcome, ProbeKind, Verdict};
use ekiden_model::id::AppKey;
use ekiden_model::limits::Settings;
use ekiden_model::offer::{Lot, OfferBook};
use ekiden_model::revision::Standing;
use ekiden_model::view::{HostPorts, Sample, ServicePorts, Settled};
use ekiden_model::{
    Action, AgentId, App, AppId, AppState, Condition, Decision, Goal, Incarnation, Instance, InstanceKey, Port,
    Resources, Revision, RevisionId, Role, Slot, Timestamp, View,
};

use crate::decide;

/// When every instance began to run.
pub(crate) const STARTED: Timestamp = Timestamp::from_millis(1_000_000);

pub(crate) struct World {
    pub(crate) app: AppState,
    pub(crate) now: Timestamp,
    pub(crate) samples: Vec<Sample>,
    pub(crate) settings: Settings,
}

impl World {
    /// `count` instances of revision 1, running since [`STARTED`] on ports from 31000.
    pub(crate) fn new(count: u32, checks: Vec<HealthCheck>) -> Self {
        let app = Arc::new(app(checks));
        let declared = Declared::first(app.clone(), STARTED, Source::Api);
        let key = AppKey::new(1, 1, &app.id);
        let mut state = AppState { declared: Some(declared), ..AppState::new(app.id.clone(), key, 1) };
        state.revisions.push(revision(1, app, count));
        for slot in 0..count {
            state.instances.insert(instance(slot, RevisionId(1)));
        }
        Self { app: state, now: STARTED, samples: Vec::new(), settings: Settings::default() }
    }

    /// Declares other checks.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut App)) {
        let declared = self.app.declared.as_mut().expect("declared");
        change(Arc::make_mut(&mut declared.app));
    }

    /// Declares other checks, as a new revision.
    pub(crate) fn roll(&mut self, change: impl FnOnce(&mut App)) {
        self.edit(change);
        let app = self.app.declared.as_ref().expect("declared").app.clone();
        let number = self.app.revisions.len() as u32 + 1;
        self.app.revisions.push(revision(number, app, 0));
    }

    /// Nothing is probed, and nothing worked out; what is on record stays.
    pub(crate) fn restart(&mut self) {
        self.app = self.app.clone();
        self.app.probing.clear();
    }

    /// One sample of slot 0, `seconds` after its start.
    pub(crate) fn hear(&mut self, index: u32, seconds: u64, outcome: Outcome) -> Decision {
        self.sample(0, ProbeKind::Health(index), seconds, outcome, None);
        self.turn()
    }

    pub(crate) fn sample(
        &mut self,
        slot: u32,
        kind: ProbeKind,
        seconds: u64,
        outcome: Outcome,
        status: Option<u16>,
    ) {
        self.now = STARTED + Duration::from_secs(seconds);
        self.samples.push(Sample { instance: key(slot), kind, at: self.now, outcome, http_status: status });
    }

    /// Decides and folds; a second decision must be empty.
    pub(crate) fn turn(&mut self) -> Decision {
        let decision = self.decide();
        self.fold(&decision);
        let second = self.decide();
        assert_eq!(second.actions, [], "a second decision repeats itself");
        decision
    }

    pub(crate) fn decide(&self) -> Decision {
        self.decide_about(&self.app)
    }

    /// Decides as if nothing was remembered: a copy of an app starts without.
    pub(crate) fn decide_afresh(&self) -> Decision {
        self.decide_about(&self.app.clone())
    }

    fn decide_about(&self, app: &AppState) -> Decision {
        decide(&View {
            now: self.now,
            app,
            desired: 1,
            dependencies: &[],
            samples: &self.samples,
            book: &OfferBook::default(),
            agents: &Agents::new(),
            service_ports: &Nothing,
            host_ports: &Nothing,
            settled: Settled::Yes,
            unsupported: None,
            launches: 0,
            entropy: 0,
            settings: &self.settings,
        })
    }

    pub(crate) fn fold(&mut self, decision: &Decision) {
        self.samples.clear();
        for action in &decision.actions {
            match action {
                Action::Judge { instance, health } => {
                    self.app.instances.update(*instance, |it| it.health = health.clone()).expect("there is one");
                }
                Action::Remember { condemned } => self.app.condemned.clone_from(condemned),
                Action::StartProbe(probe) => {
                    self.app.probing.insert((probe.instance, probe.kind), probe.mark());
                }
                Action::StopProbe { instance, kind } => {
                    let was = self.app.probing.remove(&(*instance, *kind));
                    assert!(was.is_some(), "stopped what was not probed: {instance} {kind:?}");
                }
                other => panic!("health may not say {other:?}"),
            }
        }
    }

    /// An instance is forgotten, and with it what is probed of it.
    pub(crate) fn forget(&mut self, slot: u32) {
        self.app.instances.remove(key(slot));
        self.app.probing.retain(|(instance, _), _| *instance != key(slot));
    }

    pub(crate) fn set(&mut self, slot: u32, change: impl FnOnce(&mut Instance)) {
        self.app.instances.update(key(slot), change).expect("there is one");
    }

    pub(crate) fn health(&self, slot: u32) -> &Health {
        &self.app.instances.get(key(slot)).expect("there is one").health
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.health(0).verdict
    }

    pub(crate) fn probed(&self) -> Vec<(InstanceKey, ProbeKind)> {
        self.app.probing.keys().copied().collect()
    }
}

pub(crate) fn failure(cause: &str) -> Outcome {
    Outcome::Failure(cause.into())
}

pub(crate) fn key(slot: u32) -> InstanceKey {
    InstanceKey { slot: Slot(slot), incarnation: Incarnation(NonZeroU32::MIN) }
}

pub(crate) fn started(decision: &Decision) -> Vec<&Probe> {
    let probes = decision.actions.iter().filter_map(|action| match action {
        Action::StartProbe(probe) => Some(&**probe),
        _ => None,
    });
    probes.collect()
}

/// GET /health on port 0 each 10 s, no grace, three failures survived.
pub(crate) fn http() -> HealthCheck {
    HealthCheck {
        kind: CheckKind::Http {
            tls: false,
            address: CheckAddress::PortIndex(0),
            path: "/health".into(),
            by_executor: false,
        },
        grace_period: Duration::ZERO,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        delay: Duration::ZERO,
        max_failures: 3,
        ignore_http_1xx: false,
        ipv6: false,
    }
}

pub(crate) fn tcp() -> HealthCheck {
    let kind = CheckKind::Tcp { address: CheckAddress::PortIndex(1), by_executor: false };
    HealthCheck { kind, ..http() }
}

pub(crate) fn command(command: &str) -> HealthCheck {
    HealthCheck { kind: CheckKind::Command { command: command.into() }, ..http() }
}

pub(crate) fn readiness() -> ReadinessCheck {
    ReadinessCheck {
        name: "ready".into(),
        tls: false,
        path: "/ready".into(),
        port_index: 0,
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        ready_statuses: vec![200],
        preserve_last_response: false,
    }
}

pub(crate) fn instance(slot: u32, revision: RevisionId) -> Instance {
    let agent = Agent {
        id: AgentId::new("a1"),
        hostname: "node-1".into(),
        attributes: BTreeMap::new(),
        region: None,
        zone: None,
    };
    let first = 31_000 + 2 * slot as u16;
    Instance {
        key: key(slot),
        revision,
        goal: Goal::Running,
        condition: Condition::Running,
        since: STARTED,
        agent: Arc::new(agent),
        role: Role::any(),
        host_ports: vec![Port::new(first), Port::new(first + 1)],
        staged: STARTED,
        started: Some(STARTED),
        health: Health::default(),
        kill: None,
        message: None,
    }
}

fn revision(number: u32, app: Arc<App>, target: u32) -> Revision {
    Revision { id: RevisionId(number), version: STARTED, app, restarts: 0, target, standing: Standing::Unproven }
}

fn app(health_checks: Vec<HealthCheck>) -> App {
    let port = PortDefinition::new(HostPort::Dynamic);
    let template = Template {
        resources: Resources::NONE,
        ports: vec![port.clone(), port],
        ..Template::new(Command::Shell("serve".into()))
    };
    App {
        health_checks,
        unreachable: UnreachableStrategy::Disabled,
        ..App::new(AppId::parse("/web").expect("a good id"), template)
    }
}

/// No service ports, no host ports: `health` asks for neither.
struct Nothing;

impl ServicePorts for Nothing {
    fn holder(&self, _: Port) -> Option<&AppId> {
        None
    }

    fn first_free(&self, _: std::ops::RangeInclusive<u16>) -> Option<Port> {
        None
    }
}

impl HostPorts for Nothing {
    fn choose(
        &self,
        _: &AppState,
        _: &Template,
        _: &Lot,
        _: &[Port],
        _: u64,
    ) -> Result<Vec<Option<Port>>, String> {
        Err("ports".into())
    }
}
