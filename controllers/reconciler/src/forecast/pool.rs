//! What is free in the cluster that is played, and whom it is offered to.
//!
//! What belongs to everybody is offered to one role at a time, and to the next one when the first has no use for it, as
//! Mesos' allocator does in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::agent::{Agent, Window};
use ekiden_model::offer::{Bundle, Claim, Offer, Spare};
use ekiden_model::{AgentId, OfferId, Role, Timestamp};

/// See the module.
pub(super) struct Pool {
    agents: BTreeMap<AgentId, Free>,
    /// The roles that resources may be offered to, the first one first.
    roles: Vec<Role>,
    suppressed: BTreeSet<Role>,
    offered: BTreeMap<OfferId, Offer>,
    offers: u64,
}

/// What an agent has that is not on offer.
struct Free {
    agent: Arc<Agent>,
    maintenance: Option<Window>,
    unreserved: Bundle,
    reserved: BTreeMap<Role, Bundle>,
    /// Roles that had no use for it.
    refused: BTreeSet<Role>,
}

impl Pool {
    /// What is spare. Of what was offered to several roles, and is everybody's, the latest word counts.
    pub(super) fn new(spares: impl IntoIterator<Item = Spare>, roles: Vec<Role>) -> Self {
        let mut spares: Vec<Spare> = spares.into_iter().collect();
        spares.sort_by_key(|spare| spare.at);
        let mut latest: BTreeMap<AgentId, Timestamp> = BTreeMap::new();
        let mut agents: BTreeMap<AgentId, Free> = BTreeMap::new();
        let mut all = Self::empty();
        for Spare { agent, role, unreserved, reserved, maintenance, at, .. } in spares {
            let free = agents.entry(agent.id.clone()).or_insert_with(|| Free {
                agent: agent.clone(),
                maintenance,
                unreserved: Bundle::default(),
                reserved: BTreeMap::new(),
                refused: BTreeSet::new(),
            });
            if latest.insert(agent.id.clone(), at).is_some_and(|before| before < at) {
                free.unreserved = Bundle::default();
            }
            free.unreserved.add(&unreserved);
            free.reserved.entry(role.clone()).or_default().add(&reserved);
            all.add_roles([role]);
        }
        let named = std::mem::replace(&mut all.roles, roles);
        all.add_roles(named);
        Self { agents, ..all }
    }

    fn empty() -> Self {
        Self {
            agents: BTreeMap::new(),
            roles: Vec::new(),
            suppressed: BTreeSet::new(),
            offered: BTreeMap::new(),
            offers: 0,
        }
    }

    /// Roles that offers can be made to, too.
    pub(super) fn add_roles(&mut self, roles: impl IntoIterator<Item = Role>) {
        for role in roles {
            if !self.roles.contains(&role) {
                self.roles.push(role);
            }
        }
    }

    /// Puts all on offer that somebody may have a use for.
    pub(super) fn offers(&mut self) -> Vec<Offer> {
        let mut made = Vec::new();
        let (roles, suppressed) = (&self.roles, &self.suppressed);
        for free in self.agents.values_mut() {
            for role in roles.iter().filter(|role| !suppressed.contains(*role)) {
                if free.refused.contains(role) {
                    continue;
                }
                let reserved = free.reserved.get_mut(role).map(std::mem::take).unwrap_or_default();
                let unreserved = std::mem::take(&mut free.unreserved);
                if unreserved.is_empty() && reserved.is_empty() {
                    continue;
                }
                self.offers += 1;
                made.push(Offer {
                    id: OfferId::new(format!("forecast-{}", self.offers)),
                    agent: free.agent.clone(),
                    role: role.clone(),
                    unreserved,
                    reserved,
                    maintenance: free.maintenance,
                });
            }
        }
        self.offered.extend(made.iter().map(|offer| (offer.id.clone(), offer.clone())));
        made
    }

    /// Offers are used for these launches; what is left of them is free again.
    pub(super) fn accept<'a>(&mut self, offers: &[OfferId], claims: impl Iterator<Item = &'a Claim>) {
        let taken: Vec<Offer> = offers.iter().filter_map(|id| self.offered.remove(id)).collect();
        let Some(first) = taken.first() else { return };
        let (agent, role) = (first.agent.id.clone(), first.role.clone());
        let (mut unreserved, mut reserved) = (Bundle::default(), Bundle::default());
        for offer in &taken {
            unreserved.add(&offer.unreserved);
            reserved.add(&offer.reserved);
        }
        for claim in claims {
            unreserved.subtract(&claim.unreserved);
            reserved.subtract(&claim.reserved);
        }
        if let Some(free) = self.agents.get_mut(&agent) {
            free.unreserved.add(&unreserved);
            free.reserved.entry(role).or_default().add(&reserved);
        }
    }

    /// Offers are given back: nobody of their role has a use for them at present.
    pub(super) fn decline(&mut self, offers: &[OfferId]) {
        for id in offers {
            let Some(offer) = self.offered.remove(id) else { continue };
            if let Some(free) = self.agents.get_mut(&offer.agent.id) {
                free.unreserved.add(&offer.unreserved);
                free.reserved.entry(offer.role.clone()).or_default().add(&offer.reserved);
                free.refused.insert(offer.role);
            }
        }
    }

    /// Something has ended: another role may have a use for it, or the same one now.
    pub(super) fn put(&mut self, agent: &AgentId, freed: &Bundle) {
        if let Some(free) = self.agents.get_mut(agent) {
            free.unreserved.add(freed);
            free.refused.clear();
        }
    }

    /// A role asks for offers.
    pub(super) fn revive(&mut self, role: Role) {
        self.suppressed.remove(&role);
        for free in self.agents.values_mut() {
            free.refused.remove(&role);
        }
        self.add_roles([role]);
    }

    /// A role asks for none.
    pub(super) fn suppress(&mut self, role: Role) {
        self.suppressed.insert(role);
    }

    /// Time has passed: what was given back is offered again.
    pub(super) fn forget_refusals(&mut self) {
        for free in self.agents.values_mut() {
            free.refused.clear();
        }
    }
}
