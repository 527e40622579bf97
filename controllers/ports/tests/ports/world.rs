//! A few apps and their service ports, kept in step as the reconciler does.

use std::collections::BTreeMap;
use std::sync::Arc;

use ekiden_model::app::{App, Command, HostPort, PortDefinition, Template, UnreachableStrategy};
use ekiden_model::health::Health;
use ekiden_model::id::{AppKey, InstanceKey};
use ekiden_model::instance::Instance;
use ekiden_model::limits::Settings;
use ekiden_model::offer::{Bundle, Lot};
use ekiden_model::view::Settled;
use ekiden_model::{
    Action, Again, Agent, AgentId, Agents, AppId, AppState, Condition, Decision, Declared, Goal, OfferBook, Port,
    PortSet, Resources, RevisionId, Role, Slot, Source, Timestamp, View,
};
use ekiden_ports::{HostPortChoice, Leases, RequiredPorts};

/// Apps that share the service ports of one range.
pub(crate) struct World {
    /// The apps.
    pub(crate) apps: BTreeMap<AppId, AppState>,
    /// Who holds what.
    pub(crate) leases: Leases,
    /// The range.
    pub(crate) settings: Settings,
    /// What the last decision reported, as people read it.
    pub(crate) reasons: Vec<String>,
    /// When the last decision wants to be asked again.
    pub(crate) again: Again,
}

/// A port, for short.
pub(crate) fn port(number: u16) -> Port {
    Port::new(number).expect("not 0")
}

/// An app's id.
pub(crate) fn id(text: &str) -> AppId {
    AppId::parse(text).expect("a good id")
}

/// A port as an app declares it.
pub(crate) fn definition(host_port: HostPort, service_port: Option<u16>) -> PortDefinition {
    PortDefinition { service_port: service_port.map(port), ..PortDefinition::new(host_port) }
}

/// A template with these ports.
pub(crate) fn template(ports: Vec<PortDefinition>) -> Template {
    Template { resources: Resources::NONE, ports, ..Template::new(Command::Image) }
}

/// An app with these ports.
pub(crate) fn state(name: &str, ports: Vec<PortDefinition>) -> AppState {
    let app = App { unreachable: UnreachableStrategy::Disabled, ..App::new(id(name), template(ports)) };
    let now = Timestamp::EPOCH;
    let declared = Declared::first(Arc::new(app), now, Source::Api);
    AppState { declared: Some(declared), ..AppState::new(id(name), AppKey::new(1, 1, &id(name)), 1) }
}

fn agent() -> Arc<Agent> {
    Arc::new(Agent {
        id: AgentId::new("a"),
        hostname: "host".into(),
        attributes: BTreeMap::new(),
        region: None,
        zone: None,
    })
}

/// A lot with these ports.
pub(crate) fn lot(unreserved: PortSet, reserved: PortSet) -> Lot {
    let bundle = |ports| Bundle { resources: Resources::NONE, ports };
    Lot {
        agent: agent(),
        role: Role::any(),
        offers: Vec::new(),
        unreserved: bundle(unreserved),
        reserved: bundle(reserved),
        maintenance: None,
        launches: 0,
        since: Timestamp::EPOCH,
        epoch: 1,
    }
}

/// Lets `app` have one instance.
pub(crate) fn launch(app: &mut AppState) {
    let slot = Slot(0);
    app.instances.insert(Instance {
        key: InstanceKey { slot, incarnation: app.instances.next_incarnation(slot) },
        revision: RevisionId(1),
        goal: Goal::Running,
        condition: Condition::Running,
        since: Timestamp::EPOCH,
        agent: agent(),
        role: Role::any(),
        host_ports: Vec::new(),
        staged: Timestamp::EPOCH,
        started: None,
        health: Health::default(),
        kill: None,
        message: None,
    });
}

impl World {
    /// No apps, and a range.
    pub(crate) fn new(range: std::ops::RangeInclusive<u16>) -> Self {
        let settings = Settings { service_ports: range, ..Settings::default() };
        let (reasons, again) = (Vec::new(), Again::OnChange);
        Self { apps: BTreeMap::new(), leases: Leases::default(), settings, reasons, again }
    }

    /// Declares an app, anew or otherwise, and decides about it.
    pub(crate) fn declare(&mut self, name: &str, ports: Vec<PortDefinition>) {
        let declared = state(name, ports);
        let app = self.apps.entry(id(name)).or_insert_with(|| declared.clone());
        app.declared = declared.declared;
        self.decide(name);
    }

    /// Withdraws an app, and decides about it.
    pub(crate) fn withdraw(&mut self, name: &str) {
        self.apps.get_mut(&id(name)).expect("the app exists").declared = None;
        self.decide(name);
    }

    fn ask(&self, name: &str) -> Decision {
        let (book, agents) = (OfferBook::default(), Agents::new());
        ekiden_ports::decide(&View {
            now: Timestamp::EPOCH,
            app: &self.apps[&id(name)],
            desired: 1,
            dependencies: &[],
            samples: &[],
            book: &book,
            agents: &agents,
            service_ports: &self.leases,
            host_ports: &HostPortChoice { required: &RequiredPorts::default() },
            settled: Settled::Yes,
            unsupported: None,
            launches: 1,
            entropy: 0,
            settings: &self.settings,
        })
    }

    /// Decides about an app and folds the decision in; then there is nothing more to do.
    pub(crate) fn decide(&mut self, name: &str) {
        let decision = self.ask(name);
        for action in &decision.actions {
            let app = self.apps.get_mut(&id(name)).expect("the app exists");
            match *action {
                Action::Lease { index, port } => {
                    if app.service_ports.len() <= index as usize {
                        app.service_ports.resize(index as usize + 1, None);
                    }
                    assert_eq!(app.service_ports[index as usize], None, "released before it is leased anew");
                    app.service_ports[index as usize] = Some(port);
                    self.leases.set(port, &id(name));
                }
                Action::Release { index } => {
                    let port = app.service_ports[index as usize].take().expect("what is released was leased");
                    self.leases.clear(port);
                }
                ref other => panic!("not an action of ports: {other:?}"),
            }
        }
        let second = self.ask(name);
        assert_eq!(second.actions, [], "a second decision has nothing to add");
        assert_eq!(second.report, decision.report);
        self.reasons = decision.report.reasons.iter().map(ToString::to_string).collect();
        self.again = decision.again;
    }

    /// The service ports of an app.
    pub(crate) fn ports(&self, name: &str) -> Vec<Option<u16>> {
        self.apps[&id(name)].service_ports.iter().map(|port| port.map(Port::get)).collect()
    }
}
