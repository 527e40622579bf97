//! Offers: resources of an agent that Mesos lends us, to be used once or declined.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::Agent;
use crate::id::{AgentId, OfferId, Role};
use crate::port::PortSet;
use crate::resources::Resources;
use crate::time::Timestamp;

/// One offer, as the cluster made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// Whose resources these are.
    pub agent: Arc<Agent>,
    /// The role it is made to; only apps of this role may use it.
    pub role: Role,
    /// What belongs to everybody.
    pub unreserved: Bundle,
    /// What is reserved to [`Offer::role`] (statically, or dynamically without labels of somebody else).
    pub reserved: Bundle,
    /// Planned unavailability of the agent.
    pub maintenance: Option<(Timestamp, Option<Duration>)>,
}

/// Scalars and ports together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bundle {
    /// The scalars.
    pub resources: Resources,
    /// The ports.
    pub ports: PortSet,
}

impl Bundle {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.resources == Resources::NONE && self.ports.is_empty()
    }

    fn add(&mut self, other: &Self) {
        self.resources += &other.resources;
        self.ports.extend(&other.ports);
    }

    fn subtract(&mut self, part: &Self) {
        self.resources -= &part.resources;
        for port in part.ports.iter() {
            self.ports.remove(port);
        }
    }
}

/// What a launch takes of a [`Lot`], by whom it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// Of what belongs to everybody.
    pub unreserved: Bundle,
    /// Of what is reserved to the role.
    pub reserved: Bundle,
}

/// Everything that one agent has on offer for one role at the moment: its outstanding offers together, less what
/// launches of this step have taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    /// Whose resources these are.
    pub agent: Arc<Agent>,
    /// The role they are offered to.
    pub role: Role,
    /// The offers it consists of. All are used up together by one accept.
    pub offers: Vec<OfferId>,
    /// What belongs to everybody.
    pub unreserved: Bundle,
    /// What is reserved to the role.
    pub reserved: Bundle,
    /// Planned unavailability of the agent.
    pub maintenance: Option<(Timestamp, Option<Duration>)>,
    /// When its oldest offer came.
    pub since: Timestamp,
    /// Grows with every offer that is added to the book: what was refused at an epoch need not be asked again
    /// before a lot has a later one.
    pub epoch: u64,
}

/// Where a lot stands in the book. Valid until the lot is removed; never dangling within one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LotIx(pub u32);

/// All outstanding offers, merged per agent and role.
///
/// An offer is linear: it enters by [`OfferBook::add`] and leaves by exactly one of [`OfferBook::use_up`] (accepted
/// or declined) and [`OfferBook::rescind`].
#[derive(Debug, Clone, Default)]
pub struct OfferBook {
    lots: Vec<Option<Lot>>,
    free: Vec<LotIx>,
    by_agent: BTreeMap<(AgentId, Role), LotIx>,
    by_offer: BTreeMap<OfferId, LotIx>,
    parts: BTreeMap<OfferId, (Bundle, Bundle)>,
    epoch: u64,
}

impl OfferBook {
    /// Adds an offer that the cluster made at `now`; one that is already there is ignored.
    pub fn add(&mut self, offer: Offer, now: Timestamp) {
        if self.by_offer.contains_key(&offer.id) {
            return;
        }
        self.epoch += 1;
        let seat = (offer.agent.id.clone(), offer.role.clone());
        let ix = match self.by_agent.get(&seat) {
            Some(ix) => *ix,
            None => self.open_lot(seat, &offer, now),
        };
        let epoch = self.epoch;
        if let Some(lot) = self.lots[ix.0 as usize].as_mut() {
            lot.offers.push(offer.id.clone());
            lot.unreserved.add(&offer.unreserved);
            lot.reserved.add(&offer.reserved);
            lot.maintenance = offer.maintenance;
            lot.agent = offer.agent;
            lot.epoch = epoch;
        }
        self.by_offer.insert(offer.id.clone(), ix);
        self.parts.insert(offer.id, (offer.unreserved, offer.reserved));
    }

    fn open_lot(&mut self, seat: (AgentId, Role), offer: &Offer, now: Timestamp) -> LotIx {
        let lot = Lot {
            agent: offer.agent.clone(),
            role: offer.role.clone(),
            offers: Vec::new(),
            unreserved: Bundle::default(),
            reserved: Bundle::default(),
            maintenance: None,
            since: now,
            epoch: self.epoch,
        };
        let ix = self.free.pop().unwrap_or_else(|| {
            self.lots.push(None);
            LotIx(self.lots.len() as u32 - 1)
        });
        self.lots[ix.0 as usize] = Some(lot);
        self.by_agent.insert(seat, ix);
        ix
    }

    /// Takes `claim` out of a lot for a launch. The lot stays until it is used up.
    ///
    /// Returns false, and takes nothing, when the lot is gone or does not hold the claim.
    pub fn take(&mut self, ix: LotIx, claim: &Claim) -> bool {
        let Some(lot) = self.lots.get_mut(ix.0 as usize).and_then(Option::as_mut) else {
            return false;
        };
        let holds = |have: &Bundle, part: &Bundle| {
            have.resources.covers(&part.resources) && part.ports.iter().all(|port| have.ports.contains(port))
        };
        if !holds(&lot.unreserved, &claim.unreserved) || !holds(&lot.reserved, &claim.reserved) {
            return false;
        }
        lot.unreserved.subtract(&claim.unreserved);
        lot.reserved.subtract(&claim.reserved);
        true
    }

    /// Removes a lot whose offers are being accepted or declined, and returns it.
    pub fn use_up(&mut self, ix: LotIx) -> Option<Lot> {
        let lot = self.lots.get_mut(ix.0 as usize)?.take()?;
        self.free.push(ix);
        self.by_agent.remove(&(lot.agent.id.clone(), lot.role.clone()));
        for offer in &lot.offers {
            self.by_offer.remove(offer);
            self.parts.remove(offer);
        }
        Some(lot)
    }

    /// Forgets an offer that the cluster took back. What a launch of this step may have taken of it is lost with it:
    /// the cluster will drop that launch.
    pub fn rescind(&mut self, id: &OfferId) {
        let Some(ix) = self.by_offer.remove(id) else { return };
        let Some((unreserved, reserved)) = self.parts.remove(id) else { return };
        let Some(lot) = self.lots[ix.0 as usize].as_mut() else { return };
        lot.offers.retain(|other| other != id);
        lot.unreserved.subtract(&unreserved);
        lot.reserved.subtract(&reserved);
        if lot.offers.is_empty() {
            self.use_up(ix);
        }
    }

    /// Forgets everything: the connection to the cluster is lost, and with it every offer.
    pub fn clear(&mut self) {
        *self = Self { epoch: self.epoch, ..Self::default() };
    }

    /// The lot at `ix`.
    pub fn lot(&self, ix: LotIx) -> Option<&Lot> {
        self.lots.get(ix.0 as usize)?.as_ref()
    }

    /// The lot of an agent for a role.
    pub fn of_agent(&self, agent: &AgentId, role: &Role) -> Option<LotIx> {
        self.by_agent.get(&(agent.clone(), role.clone())).copied()
    }

    /// All lots, in a fixed order.
    pub fn lots(&self) -> impl Iterator<Item = (LotIx, &Lot)> {
        self.lots.iter().enumerate().filter_map(|(ix, lot)| Some((LotIx(ix as u32), lot.as_ref()?)))
    }

    /// Lots for a role that may hold `need`, beginning with `from` and going round: whoever is missing does not hold
    /// it; who is there must be asked.
    pub fn candidates(&self, role: &Role, need: &Resources, from: LotIx) -> impl Iterator<Item = (LotIx, &Lot)> {
        let seats = self.lots.len();
        let start = if seats == 0 { 0 } else { from.0 as usize % seats };
        let round = (start..seats).chain(0..start);
        round.filter_map(move |ix| {
            let lot = self.lots[ix].as_ref().filter(|lot| lot.role == *role)?;
            let mut have = lot.unreserved.resources;
            have += &lot.reserved.resources;
            have.covers(need).then_some((LotIx(ix as u32), lot))
        })
    }

    /// How many lots there are for a role.
    pub fn lots_of(&self, role: &Role) -> usize {
        self.lots().filter(|(_, lot)| lot.role == *role).count()
    }

    /// How many lots there are.
    pub fn len(&self) -> usize {
        self.by_agent.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_agent.is_empty()
    }

    /// The latest epoch given to a lot.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}
