//! Who is offered what: the part of a Mesos master that hands out resources. Bookkeeping without I/O or clock.
//!
//! All that is free on an agent goes into one offer to one role; roles take turns. Every amount is at any time in
//! exactly one place: free, in an outstanding offer, or with a task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::offer::Bundle;
use ekiden_model::{Agent, AgentId, Offer, OfferId, Role, Scalar};
use tokio::time::Instant;

/// Less than this of both cpus and memory is not worth an offer: Mesos' own bounds.
const LEAST_CPUS: Scalar = Scalar(10);
const LEAST_MEM: Scalar = Scalar::whole(32);

/// The shortest time that a declined offer stays away. Mesos' allocator runs once a second; who declines with a
/// filter of 0 must not find out that this one runs at once.
const SHORTEST_REFUSAL: Duration = Duration::from_secs(1);

/// All resources of all agents, and to whom they are offered.
pub(super) struct Allocator {
    agents: BTreeMap<AgentId, Share>,
    /// The roles that ever wanted offers, and whether they want them now.
    roles: BTreeMap<Role, bool>,
    outstanding: BTreeMap<OfferId, Outstanding>,
    refusals: BTreeMap<(AgentId, Role), Refusal>,
    offers_made: u64,
    realm: Arc<str>,
}

struct Share {
    agent: Arc<Agent>,
    free: Bundle,
    /// Which role is asked first, counted up by each offer.
    turn: usize,
}

struct Outstanding {
    agent: AgentId,
    role: Role,
    bundle: Bundle,
}

/// A filter: what is no more than `bundle` is not offered before `until`.
struct Refusal {
    until: Instant,
    bundle: Bundle,
}

/// Offers that have been used up together.
pub(super) struct Accepted {
    pub(super) role: Role,
    pub(super) bundle: Bundle,
}

/// Why offers cannot be used. In Mesos' words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidOffers {
    #[error("No offers specified")]
    None,
    #[error("Offer {0} is no longer valid")]
    Gone(OfferId),
    #[error(
        "Aggregated offers must belong to one single agent. Offer {offer} uses agent {used} and agent {other}"
    )]
    Agents { offer: OfferId, used: AgentId, other: AgentId },
    #[error(
        "Aggregated offers must be allocated to the same role. Offer {offer} uses role {used} \
         but another is using role {other}"
    )]
    Roles { offer: OfferId, used: Role, other: Role },
}

impl Allocator {
    /// `realm` keeps the ids of offers apart from those of every other run.
    pub(super) fn new(agents: Vec<(Arc<Agent>, Bundle)>, roles: Vec<Role>, realm: Arc<str>) -> Self {
        Self {
            agents: agents
                .into_iter()
                .map(|(agent, free)| (agent.id.clone(), Share { agent, free, turn: 0 }))
                .collect(),
            roles: roles.into_iter().map(|role| (role, true)).collect(),
            outstanding: BTreeMap::new(),
            refusals: BTreeMap::new(),
            offers_made: 0,
            realm,
        }
    }

    /// Offers everything that is free and that somebody wants.
    pub(super) fn offer(&mut self, now: Instant) -> Vec<Offer> {
        self.refusals.retain(|_, refusal| refusal.until > now);
        let wanting: Vec<Role> =
            self.roles.iter().filter(|(_, wants)| **wants).map(|(role, _)| role.clone()).collect();
        let mut offers = Vec::new();
        for (id, share) in &mut self.agents {
            if share.free.resources.cpus < LEAST_CPUS && share.free.resources.mem < LEAST_MEM {
                continue;
            }
            // Another role begins each time, so that none keeps an agent to itself by using all it gets.
            let turn = share.turn % wanting.len().max(1);
            let mut in_turn = wanting.iter().skip(turn).chain(wanting.iter().take(turn));
            let refused = |role: &Role| {
                let refusal = self.refusals.get(&(id.clone(), role.clone()));
                refusal.is_some_and(|refusal| holds(&refusal.bundle, &share.free))
            };
            let Some(role) = in_turn.find(|role| !refused(role)) else { continue };
            share.turn += 1;
            self.offers_made += 1;
            let offer = OfferId::new(format!("{}-O{}", self.realm, self.offers_made));
            let bundle = std::mem::take(&mut share.free);
            let outstanding = Outstanding { agent: id.clone(), role: role.clone(), bundle: bundle.clone() };
            self.outstanding.insert(offer.clone(), outstanding);
            offers.push(Offer {
                id: offer,
                agent: share.agent.clone(),
                role: role.clone(),
                unreserved: bundle,
                reserved: Bundle::default(),
                maintenance: None,
            });
        }
        offers
    }

    /// Uses up `offers` for launches on `agent`. Those that are known are used up even when others are not: their
    /// resources are free again.
    pub(super) fn accept(&mut self, offers: &[OfferId], agent: &AgentId) -> Result<Accepted, InvalidOffers> {
        let mut used: Vec<(OfferId, Outstanding)> = Vec::new();
        let mut invalid = None;
        for id in offers {
            match self.outstanding.remove(id) {
                Some(offer) => used.push((id.clone(), offer)),
                None => invalid = Some(InvalidOffers::Gone(id.clone())),
            }
        }
        let mut bundle = Bundle::default();
        let role = used.first().map(|(_, offer)| offer.role.clone());
        for (id, offer) in &used {
            if offer.agent != *agent {
                let (used, other) = (offer.agent.clone(), agent.clone());
                invalid = Some(InvalidOffers::Agents { offer: id.clone(), used, other });
            } else if let Some(other) = role.as_ref().filter(|role| **role != offer.role) {
                let (used, other) = (offer.role.clone(), other.clone());
                invalid = Some(InvalidOffers::Roles { offer: id.clone(), used, other });
            }
            add(&mut bundle, &offer.bundle);
        }
        match (invalid, role) {
            (None, Some(role)) => Ok(Accepted { role, bundle }),
            (invalid, _) => {
                for (_, offer) in used {
                    self.give_back(&offer.agent, &offer.bundle);
                }
                Err(invalid.unwrap_or(InvalidOffers::None))
            }
        }
    }

    /// Takes `offers` back, not to be offered again to the same role before `refuse_for` has passed, unless there
    /// is more then.
    pub(super) fn decline(&mut self, offers: &[OfferId], refuse_for: Duration, now: Instant) {
        let mut declined: BTreeMap<(AgentId, Role), Bundle> = BTreeMap::new();
        for id in offers {
            let Some(offer) = self.outstanding.remove(id) else { continue };
            self.give_back(&offer.agent, &offer.bundle);
            add(declined.entry((offer.agent, offer.role)).or_default(), &offer.bundle);
        }
        let until = now + refuse_for.max(SHORTEST_REFUSAL);
        for (seat, bundle) in declined {
            self.refusals.insert(seat, Refusal { until, bundle });
        }
    }

    /// Frees what a task or an offer had.
    pub(super) fn give_back(&mut self, agent: &AgentId, bundle: &Bundle) {
        if let Some(share) = self.agents.get_mut(agent) {
            add(&mut share.free, bundle);
        }
    }

    /// The role wants offers, whatever it has refused.
    pub(super) fn revive(&mut self, role: Role) {
        self.refusals.retain(|(_, refused_by), _| *refused_by != role);
        self.roles.insert(role, true);
    }

    /// The role wants no more offers. Those that it has stay.
    pub(super) fn suppress(&mut self, role: Role) {
        self.roles.insert(role, false);
    }

    /// When the next refusal ends.
    pub(super) fn next_refusal_end(&self) -> Option<Instant> {
        self.refusals.values().map(|refusal| refusal.until).min()
    }
}

/// Whether `part` is within `whole`.
pub(super) fn holds(whole: &Bundle, part: &Bundle) -> bool {
    whole.resources.covers(&part.resources) && part.ports.iter().all(|port| whole.ports.contains(port))
}

fn add(sum: &mut Bundle, part: &Bundle) {
    sum.resources += &part.resources;
    sum.ports.extend(&part.ports);
}

/// Takes `part`, which is within `whole`, out of it.
pub(super) fn subtract(whole: &mut Bundle, part: &Bundle) {
    whole.resources -= &part.resources;
    for port in part.ports.iter() {
        whole.ports.remove(port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ekiden_model::{PortSet, Resources};

    fn bundle(cpus: u64, ports: std::ops::RangeInclusive<u16>) -> Bundle {
        let resources = Resources { cpus: Scalar::whole(cpus), ..Resources::NONE };
        Bundle { resources, ports: PortSet::from_ranges([ports]) }
    }

    fn agent(name: &str) -> Arc<Agent> {
        let attributes = BTreeMap::new();
        Arc::new(Agent { id: AgentId::new(name), hostname: name.into(), attributes, region: None, zone: None })
    }

    fn two_agents(roles: &[&str]) -> Allocator {
        let agents = vec![(agent("a"), bundle(4, 1..=9)), (agent("b"), bundle(2, 10..=19))];
        Allocator::new(agents, roles.iter().map(|role| Role::new(*role)).collect(), "r".into())
    }

    fn ids(offers: &[Offer]) -> Vec<OfferId> {
        offers.iter().map(|offer| offer.id.clone()).collect()
    }

    #[test]
    fn everything_is_offered_once_and_comes_back() {
        let now = Instant::now();
        let mut allocator = two_agents(&["*"]);
        let first = allocator.offer(now);
        assert_eq!(first.len(), 2);
        assert!(allocator.offer(now).is_empty());

        let accepted = allocator.accept(&[first[0].id.clone()], &AgentId::new("a")).expect("outstanding");
        assert_eq!(accepted.bundle, bundle(4, 1..=9));
        allocator.give_back(&AgentId::new("a"), &bundle(3, 5..=9));
        let second = allocator.offer(now);
        assert_eq!(second.len(), 1);
        assert_eq!(second[0].unreserved, bundle(3, 5..=9));
    }

    #[test]
    fn an_offer_is_used_once_and_its_partners_come_back() {
        let now = Instant::now();
        let mut allocator = two_agents(&["*"]);
        let ids = ids(&allocator.offer(now));
        let (a, b) = (AgentId::new("a"), AgentId::new("b"));
        assert!(allocator.accept(&ids[..1], &a).is_ok());
        assert_eq!(allocator.accept(&ids[..1], &a).err(), Some(InvalidOffers::Gone(ids[0].clone())));
        assert_eq!(allocator.accept(&[], &a).err(), Some(InvalidOffers::None));
        assert!(matches!(allocator.accept(&ids[1..], &a).err(), Some(InvalidOffers::Agents { .. })));
        let again = allocator.offer(now);
        assert_eq!(again.iter().map(|offer| &offer.agent.id).collect::<Vec<_>>(), [&b]);
    }

    #[test]
    fn what_was_declined_stays_away_until_there_is_more_or_it_is_time_or_it_is_asked_for() {
        let now = Instant::now();
        let mut allocator = two_agents(&["*"]);
        let offers = allocator.offer(now);
        let taken = allocator.accept(&ids(&offers)[..1], &AgentId::new("a")).expect("outstanding");
        allocator.decline(&ids(&offers)[1..], Duration::from_secs(60), now);
        assert!(allocator.offer(now).is_empty());
        assert_eq!(allocator.next_refusal_end(), Some(now + Duration::from_secs(60)));

        allocator.give_back(&AgentId::new("a"), &taken.bundle);
        let more = allocator.offer(now);
        assert_eq!(more.len(), 1, "a was not declined");
        allocator.decline(&ids(&more), Duration::from_secs(30), now);
        let later = allocator.offer(now + Duration::from_secs(31));
        assert_eq!(later.len(), 1, "a again, not b");
        allocator.revive(Role::any());
        assert_eq!(allocator.offer(now).len(), 1, "b");
    }

    #[test]
    fn roles_take_turns_on_each_agent_and_a_suppressed_one_gets_nothing() {
        let now = Instant::now();
        let mut allocator = two_agents(&["x", "y"]);
        let first = allocator.offer(now);
        for offer in &first {
            let accepted =
                allocator.accept(std::slice::from_ref(&offer.id), &offer.agent.id).expect("outstanding");
            allocator.give_back(&offer.agent.id, &accepted.bundle);
        }
        let second = allocator.offer(now);
        assert!(first.iter().all(|offer| offer.role == Role::new("x")), "{first:?}");
        assert!(second.iter().all(|offer| offer.role == Role::new("y")), "{second:?}");

        allocator.suppress(Role::new("x"));
        allocator.decline(&ids(&second), Duration::ZERO, now);
        assert!(allocator.offer(now).is_empty(), "y has just refused");
        let third = allocator.offer(now + SHORTEST_REFUSAL);
        assert!(third.iter().all(|offer| offer.role == Role::new("y")), "{third:?}");
    }

    #[test]
    fn crumbs_are_not_offered() {
        let mut allocator = Allocator::new(
            vec![(agent("a"), Bundle { resources: Resources::NONE, ..bundle(0, 1..=9) })],
            vec![Role::any()],
            "r".into(),
        );
        assert!(allocator.offer(Instant::now()).is_empty());
    }
}
