//! What agents had to spare when they last offered it: what was given back, and what launches left over.
//!
//! Most of the time nothing is wanted and no offer is at hand, so this is the best that is known of free resources. It
//! is kept to foresee and to explain; no decision depends on it. Others may have taken of it since, so it has a time.

use std::collections::BTreeMap;

use ekiden_model::offer::{Bundle, Lot, Spare};
use ekiden_model::{AgentId, AppState, Instance, Role, Timestamp};

use crate::Reconciler;

/// See the module. At most one entry per agent that we know and role that it was offered to.
#[derive(Debug, Default)]
pub(crate) struct SpareLog(BTreeMap<AgentId, Vec<Spare>>);

impl SpareLog {
    /// A lot is at hand no more. What belongs to everybody is the same resources, whatever role they are offered to:
    /// the latest word counts.
    pub(crate) fn left(&mut self, lot: &Lot, now: Timestamp) {
        self.offered(&lot.agent.id, &lot.role);
        self.0.entry(lot.agent.id.clone()).or_default().push(Spare::of(lot, now));
    }

    /// Something is at hand now, and says more than what was before.
    pub(crate) fn offered(&mut self, agent: &AgentId, role: &Role) {
        let Some(known) = self.0.get_mut(agent) else { return };
        known.retain(|spare| spare.role != *role);
        for spare in &mut *known {
            spare.unreserved = Bundle::default();
        }
        if known.is_empty() {
            self.0.remove(agent);
        }
    }

    /// Something of ours on this agent has ended. Where an offer is at hand, the cluster will offer that, too.
    pub(crate) fn returned(&mut self, agent: &AgentId, freed: &Bundle) {
        if let Some(latest) = self.0.get_mut(agent).and_then(|known| known.last_mut()) {
            latest.unreserved.add(freed);
        }
    }

    /// The agent is no more.
    pub(crate) fn forget(&mut self, agent: &AgentId) {
        self.0.remove(agent);
    }
}

impl Reconciler {
    /// What each agent has to spare, as far as is known: what is on offer, or what was when it was last.
    pub fn spares(&self) -> Vec<Spare> {
        let at_hand = self.book.lots().map(|(_, lot)| Spare::of(lot, self.now));
        self.spares.0.values().flatten().cloned().chain(at_hand).collect()
    }
}

/// What an instance uses of its agent. Whether it is reserved to a role nobody needs to know who only adds up.
pub(crate) fn used_by(app: &AppState, instance: &Instance) -> Bundle {
    let template = app.revision(instance.revision).map(|revision| &revision.app.template);
    Bundle {
        resources: template.map_or_else(Default::default, |template| template.resources),
        ports: instance.host_ports.iter().flatten().copied().collect(),
    }
}
