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
    /// What is in it.
    pub bundle: Bundle,
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

    /// Makes offers of all that is free and not filtered.
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
            if free.resources.cpus == Scalar::ZERO || free.resources.mem == Scalar::ZERO {
                continue;
            }
            let turn = line.rng.below(self.roles.len() as u64) as usize;
            let role = self.roles.iter().cycle().skip(turn).take(self.roles.len()).find(|role| {
                !self.suppressed.contains(*role)
                    && !self.filters.iter().any(|filter| {
                        filter.agent == id && filter.role == **role && filter.refused.covers(&free.resources)
                    })
            });
            let Some(role) = role.cloned() else { continue };
            let split = line.rng.chance(line.knobs.offer_split);
            for bundle in if split { halves(&free) } else { vec![free] } {
                offers.push(self.make_offer(&id, &role, bundle, line));
            }
        }
        if !offers.is_empty() {
            self.tell(ClusterEvent::Offers(offers.into_iter().flatten().collect()), line);
        }
    }

    fn make_offer(&mut self, id: &AgentId, role: &Role, bundle: Bundle, line: &mut Timeline) -> Option<Offer> {
        let offer = OfferId::new(format!("O{}", line.number()));
        let agent = self.agents.get(id)?.machine.agent.clone();
        let sim = SimOffer { agent: id.clone(), role: role.clone(), bundle: bundle.clone() };
        line.log(format_args!("{offer} of {id} to {role}: {}, ports {}", bundle.resources, bundle.ports));
        self.offers.insert(offer.clone(), sim);
        Some(Offer {
            id: offer,
            agent,
            role: role.clone(),
            unreserved: bundle,
            reserved: Bundle::default(),
            maintenance: None,
        })
    }

    /// What an agent has that is neither used nor offered; nothing when it cannot be reached.
    pub fn free(&self, id: &AgentId) -> Option<Bundle> {
        let agent = self.agents.get(id).filter(|agent| agent.link == Link::Up)?;
        let mut free = Bundle {
            resources: agent.machine.total.saturating_sub(&agent.foreign),
            ports: agent.machine.ports.clone(),
        };
        for task in agent.tasks.iter().filter_map(|task| self.tasks.get(task)) {
            if task.state.is_live() {
                free.resources -= &task.claim.unreserved.resources;
                for port in task.claim.unreserved.ports.iter() {
                    free.ports.remove(port);
                }
            }
        }
        for offer in self.offers.values().filter(|offer| offer.agent == *id) {
            free.resources -= &offer.bundle.resources;
            for port in offer.bundle.ports.iter() {
                free.ports.remove(port);
            }
        }
        Some(free)
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

/// The same in two parts.
fn halves(whole: &Bundle) -> Vec<Bundle> {
    let half = |amount: Scalar| Scalar(amount.0 / 2);
    let resources = &whole.resources;
    let first = Resources {
        cpus: half(resources.cpus),
        mem: half(resources.mem),
        disk: half(resources.disk),
        gpus: half(resources.gpus),
    };
    let (low, high) = whole.ports.iter().partition::<Vec<_>, _>(|port| port.get() % 2 == 0);
    vec![
        Bundle { resources: first, ports: low.into_iter().collect() },
        Bundle { resources: resources.saturating_sub(&first), ports: high.into_iter().collect() },
    ]
}

impl Filter {
    pub(super) fn is_for(&self, role: &Role) -> bool {
        self.role == *role
    }
}
