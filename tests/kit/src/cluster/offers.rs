//! Offers: who gets what, until when.

use std::time::Duration;

use ekiden_model::input::ClusterEvent;
use ekiden_model::offer::Bundle;
use ekiden_model::{AgentId, Offer, OfferId, Resources, Role, Scalar, Timestamp};

use super::{Cluster, Link};
use crate::timeline::{Happening, Timeline};

/// Mesos' `--allocation_interval`.
const ALLOCATION_INTERVAL: Duration = Duration::from_secs(1);

/// An outstanding offer.
#[derive(Debug, Clone)]
pub struct SimOffer {
    /// Of which agent.
    pub agent: AgentId,
    /// To which role.
    pub role: Role,
    /// What is in it that is everybody's.
    pub bundle: Bundle,
    /// What is in it that is reserved to its role.
    pub reserved: Bundle,
}

/// How an offer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// Tasks were launched on it.
    Accepted,
    /// It was given back.
    Declined,
    /// The master took it back.
    Rescinded,
}

/// What a decline leaves: the same or less is not offered again for a while.
#[derive(Debug, Clone)]
pub struct Filter {
    agent: AgentId,
    role: Role,
    until: Timestamp,
    refused: Resources,
}

impl Cluster {
    /// There may be something to offer: at the next cycle.
    pub fn want_allocation(&mut self, line: &mut Timeline) {
        if !self.allocation_due && self.connection.is_some() {
            self.allocation_due = true;
            line.after(ALLOCATION_INTERVAL, Happening::Allocate);
        }
    }

    /// Makes offers of all that is free and not filtered: what is everybody's to one of the roles, what is reserved to its
    /// role alone.
    pub fn allocate(&mut self, line: &mut Timeline) {
        self.allocation_due = false;
        let Some(_) = self.connection else { return };
        if line.now < self.offers_from() {
            return;
        }
        self.filters.retain(|filter| filter.until > line.now);
        let mut offers = Vec::new();
        let ids: Vec<AgentId> = self.agents.keys().cloned().collect();
        for id in ids {
            let Some(free) = self.free(&id) else { continue };
            let reserved = self.free_reserved(&id);
            let turn = line.rng.below(self.roles.len() as u64) as usize;
            let mut roles: Vec<Role> = self.roles.clone();
            roles.rotate_left(turn);
            let mut left = free;
            for role in roles {
                let mine = reserved.as_ref().filter(|(owner, _)| *owner == role).map(|(_, bundle)| bundle.clone());
                let whole = (left.clone(), mine.unwrap_or_default());
                if !is_worth_offering(&whole) || !self.is_wanted(&id, &role, &whole) {
                    continue;
                }
                left = Bundle::default();
                let split = line.rng.chance(line.knobs.offer_split);
                for (unreserved, reserved) in if split { halves(&whole) } else { vec![whole] } {
                    offers.push(self.make_offer(&id, &role, unreserved, reserved, line));
                }
            }
        }
        if !offers.is_empty() {
            self.tell(ClusterEvent::Offers(offers.into_iter().flatten().collect()), line);
        }
    }

    /// Whether anything of an agent is offered, or would be if somebody asked for it.
    pub fn has_something_to_offer(&self, id: &AgentId) -> bool {
        let reserved = self.free_reserved(id).map(|(_, reserved)| reserved).unwrap_or_default();
        self.offers.values().any(|offer| offer.agent == *id)
            || self.free(id).is_some_and(|free| is_worth_offering(&(free, reserved)))
    }

    /// Whether a role asks for offers and no filter keeps this one from it.
    fn is_wanted(&self, id: &AgentId, role: &Role, (unreserved, reserved): &(Bundle, Bundle)) -> bool {
        let mut whole = unreserved.resources;
        whole += &reserved.resources;
        let filtered =
            |filter: &Filter| filter.agent == *id && filter.role == *role && filter.refused.covers(&whole);
        !self.suppressed.contains(role) && !self.filters.iter().any(filtered)
    }

    fn make_offer(
        &mut self,
        id: &AgentId,
        role: &Role,
        unreserved: Bundle,
        reserved: Bundle,
        line: &mut Timeline,
    ) -> Option<Offer> {
        let offer = OfferId::new(format!("O{}", line.number()));
        let (agent, maintenance) = (self.agents.get(id)?.machine.agent.clone(), self.agents.get(id)?.window);
        let sim = SimOffer {
            agent: id.clone(),
            role: role.clone(),
            bundle: unreserved.clone(),
            reserved: reserved.clone(),
        };
        line.log(format_args!("{offer} of {id} to {role}: {}, ports {}", unreserved.resources, unreserved.ports));
        if !reserved.is_empty() {
            line.log(format_args!("  and reserved {}, ports {}", reserved.resources, reserved.ports));
        }
        self.offers.insert(offer.clone(), sim);
        Some(Offer { id: offer, agent, role: role.clone(), unreserved, reserved, maintenance })
    }

    /// What an agent has for everybody that is neither used nor offered; nothing when it cannot be reached or is being
    /// drained.
    pub fn free(&self, id: &AgentId) -> Option<Bundle> {
        let agent = self.agents.get(id).filter(|agent| agent.link == Link::Up && agent.drain.is_none())?;
        let mut free = Bundle {
            resources: agent.machine.total.saturating_sub(&agent.foreign),
            ports: agent.machine.ports.clone(),
        };
        for task in agent.tasks.iter().filter_map(|task| self.tasks.get(task)) {
            if task.state.is_live() {
                take(&mut free, &task.claim.unreserved);
            }
        }
        for offer in self.offers.values().filter(|offer| offer.agent == *id) {
            take(&mut free, &offer.bundle);
        }
        Some(free)
    }

    /// The same of what it has reserved, and for whom.
    pub fn free_reserved(&self, id: &AgentId) -> Option<(Role, Bundle)> {
        let agent = self.agents.get(id).filter(|agent| agent.link == Link::Up && agent.drain.is_none())?;
        let (role, mut free) = agent.machine.reserved.clone()?;
        for task in agent.tasks.iter().filter_map(|task| self.tasks.get(task)) {
            if task.state.is_live() {
                take(&mut free, &task.claim.reserved);
            }
        }
        for offer in self.offers.values().filter(|offer| offer.agent == *id) {
            take(&mut free, &offer.reserved);
        }
        Some((role, free))
    }

    pub(super) fn filter(
        &mut self,
        agent: AgentId,
        role: Role,
        refused: Resources,
        refuse_for: Duration,
        line: &mut Timeline,
    ) {
        if refuse_for > Duration::ZERO {
            let until = line.now + refuse_for;
            self.filters.push(Filter { agent, role, until, refused });
            line.at(until, Happening::Allocate);
        }
    }

    /// The master takes an offer back.
    pub fn rescind(&mut self, id: &OfferId, line: &mut Timeline) {
        if self.offers.remove(id).is_some() {
            line.log(format_args!("{id} is rescinded"));
            self.spent.insert(id.clone(), Spent::Rescinded);
            self.tell(ClusterEvent::Rescinded(id.clone()), line);
            self.want_allocation(line);
        }
    }

    /// The master takes all offers of an agent back.
    pub fn rescind_agent(&mut self, agent: &AgentId, line: &mut Timeline) {
        let offers: Vec<OfferId> =
            self.offers.iter().filter(|(_, offer)| offer.agent == *agent).map(|(id, _)| id.clone()).collect();
        for offer in offers {
            self.rescind(&offer, line);
        }
    }
}

/// Mesos offers nothing that no task could be made of.
fn is_worth_offering((unreserved, reserved): &(Bundle, Bundle)) -> bool {
    let has = |of: fn(&Resources) -> Scalar| {
        of(&unreserved.resources) > Scalar::ZERO || of(&reserved.resources) > Scalar::ZERO
    };
    has(|resources| resources.cpus) && has(|resources| resources.mem)
}

fn take(free: &mut Bundle, part: &Bundle) {
    free.resources -= &part.resources;
    for port in part.ports.iter() {
        free.ports.remove(port);
    }
}

/// The same in two parts.
fn halves((unreserved, reserved): &(Bundle, Bundle)) -> Vec<(Bundle, Bundle)> {
    let half = |amount: Scalar| Scalar(amount.0 / 2);
    let resources = &unreserved.resources;
    let first = Resources {
        cpus: half(resources.cpus),
        mem: half(resources.mem),
        disk: half(resources.disk),
        gpus: half(resources.gpus),
    };
    let (low, high) = unreserved.ports.iter().partition::<Vec<_>, _>(|port| port.get() % 2 == 0);
    let rest = Bundle { resources: resources.saturating_sub(&first), ports: high.into_iter().collect() };
    vec![
        (Bundle { resources: first, ports: low.into_iter().collect() }, reserved.clone()),
        (rest, Bundle::default()),
    ]
}

impl Filter {
    pub(super) fn is_for(&self, role: &Role) -> bool {
        self.role == *role
    }
}
