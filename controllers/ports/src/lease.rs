//! Service ports: the decision about one app.

use std::time::Duration;

use ekiden_model::app::PortDefinition;
use ekiden_model::{Action, Again, AppState, Decision, Port, Reason, Report, View};

/// How long until an app that could not have a service port asks again. Nothing tells it when another app gives one
/// back; that is rare, and nothing else of the app waits for it, so half a minute is soon enough.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Decides about one app. See `controllers/README.md` for what this controller may read, write and emit.
///
/// Every port of the declaration gets a service port, as in Marathon (§4.10): the one that is declared, in the range or
/// not, or else the one it has, or else the first free one of the range. A declared one that another app holds is
/// reported and left to its holder. An app keeps its service ports until it is withdrawn and its last instance is gone.
///
/// Emits `Lease` and `Release` only; a port that changes is released first.
pub fn decide(view: &View<'_>) -> Decision {
    let app = view.app;
    let declared: &[PortDefinition] = match &app.declared {
        Some(declared) => &declared.app.template.ports,
        None if app.instances.is_empty() => &[],
        None => return Decision::idle(),
    };
    let mut leasing = Leasing {
        view,
        declared,
        untried: Some(*view.settings.service_ports.start()),
        actions: Vec::new(),
        report: Report::empty(),
    };
    for (index, definition) in (0_u32..).zip(declared) {
        leasing.lease(index, definition);
    }
    for (index, held) in (0_u32..).zip(&app.service_ports).skip(declared.len()) {
        if held.is_some() {
            leasing.actions.push(Action::Release { index });
        }
    }
    let again = if leasing.report.is_empty() { Again::OnChange } else { Again::At(view.now + ASK_AGAIN) };
    Decision { actions: leasing.actions, report: leasing.report, again }
}

struct Leasing<'a> {
    view: &'a View<'a>,
    declared: &'a [PortDefinition],
    /// Free ports below this are spoken for, by earlier ports of the app; nothing when all are.
    untried: Option<u16>,
    actions: Vec<Action>,
    report: Report,
}

impl Leasing<'_> {
    fn lease(&mut self, index: u32, definition: &PortDefinition) {
        let held = self.held(index);
        let wanted = match definition.service_port {
            Some(port) => self.unless_taken(port),
            None => held.or_else(|| self.next_free(index)),
        };
        if wanted == self.view.app.service_ports.get(index as usize).copied().flatten() {
            return;
        }
        if has(self.view.app, index) {
            self.actions.push(Action::Release { index });
        }
        if let Some(port) = wanted {
            self.actions.push(Action::Lease { index, port });
        }
    }

    /// The service port that a port has, unless that is, or is about to be, another's.
    fn held(&self, index: u32) -> Option<Port> {
        let port = self.view.app.service_ports.get(index as usize).copied().flatten()?;
        let is_declared_elsewhere = self.declared.iter().any(|other| other.service_port == Some(port));
        let is_ours = self.view.service_ports.holder(port).is_none_or(|holder| *holder == self.view.app.id);
        (is_ours && !is_declared_elsewhere).then_some(port)
    }

    fn unless_taken(&mut self, port: Port) -> Option<Port> {
        match self.view.service_ports.holder(port) {
            Some(holder) if *holder != self.view.app.id => {
                self.report.push(Reason::ServicePortTaken { port: port.get(), by: holder.clone() });
                None
            }
            _ => Some(port),
        }
    }

    /// The first free port of the range that no other port of the app gets.
    fn next_free(&mut self, index: u32) -> Option<Port> {
        let (low, high) = (*self.view.settings.service_ports.start(), *self.view.settings.service_ports.end());
        while let Some(untried) = self.untried {
            let Some(port) = self.view.service_ports.first_free(untried..=high) else { break };
            self.untried = port.get().checked_add(1);
            if !self.declared.iter().any(|other| other.service_port == Some(port)) {
                return Some(port);
            }
        }
        self.report.push(Reason::ServicePortsExhausted { low, high, index });
        None
    }
}

fn has(app: &AppState, index: u32) -> bool {
    app.service_ports.get(index as usize).is_some_and(Option::is_some)
}
