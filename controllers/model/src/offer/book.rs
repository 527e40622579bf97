//! All outstanding offers, merged per agent and role.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::column::{Column, Columns};
use super::shelf::Shelf;
use super::{Bundle, Claim, Lot, LotIx, Offer};
use crate::agent::Window;
use crate::app::{Constraint, Field};
use crate::fixed_hash::FixedState;
use crate::id::{AgentId, OfferId, Role};
use crate::memo::Memo;
use crate::resources::Resources;
use crate::time::Timestamp;

/// All outstanding offers, merged per agent and role.
///
/// An offer is linear: it enters by [`OfferBook::add`] and leaves by exactly one of [`OfferBook::use_up`] (accepted
/// or declined) and [`OfferBook::rescind`].
#[derive(Debug, Clone, Default)]
pub struct OfferBook {
    lots: Vec<Option<Lot>>,
    /// Per lot: which shelf it is on, and where there.
    seats: Vec<Seat>,
    free: Vec<LotIx>,
    by_agent: HashMap<(AgentId, Role), LotIx, FixedState>,
    by_offer: HashMap<OfferId, Part, FixedState>,
    /// One per role that ever had an offer: as many as the framework has roles.
    shelves: Vec<(Role, Shelf)>,
    /// The lots by the epoch of their latest offer.
    by_epoch: BTreeMap<u64, LotIx>,
    epoch: u64,
    disturbances: u64,
    columns: Memo<Columns>,
}

#[derive(Debug, Clone, Copy)]
struct Seat {
    shelf: u32,
    seat: u32,
}

/// What one offer brought to its lot.
#[derive(Debug, Clone)]
struct Part {
    lot: LotIx,
    unreserved: Bundle,
    reserved: Bundle,
}

/// Where a search of the book begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchFrom {
    /// With this lot.
    At(LotIx),
    /// With the one after this lot.
    After(LotIx),
    /// Anywhere: the number says where.
    Anywhere(u64),
}

impl OfferBook {
    /// Adds an offer that the cluster made at `now`; one that is already there is ignored.
    pub fn add(&mut self, offer: Offer, now: Timestamp) {
        if self.by_offer.contains_key(&offer.id) {
            return;
        }
        self.epoch += 1;
        let place = (offer.agent.id.clone(), offer.role.clone());
        let ix = match self.by_agent.get(&place) {
            Some(ix) => *ix,
            None => self.open_lot(place, &offer, now),
        };
        let epoch = self.epoch;
        if let Some(lot) = self.lots[ix.0 as usize].as_mut() {
            lot.offers.push(offer.id.clone());
            lot.unreserved.add(&offer.unreserved);
            lot.reserved.add(&offer.reserved);
            lot.maintenance = offer.maintenance;
            let described_anew = lot.offers.len() == 1 || !Arc::ptr_eq(&lot.agent, &offer.agent);
            lot.agent = offer.agent;
            self.disturbances += u64::from(lot.offers.len() > 1);
            self.by_epoch.remove(&lot.epoch);
            self.by_epoch.insert(epoch, ix);
            lot.epoch = epoch;
            if described_anew {
                self.columns.get_mut().set(ix, lot, self.by_agent.len());
            }
        }
        let part = Part { lot: ix, unreserved: offer.unreserved, reserved: offer.reserved };
        self.by_offer.insert(offer.id, part);
        self.note_contents(ix);
    }

    fn open_lot(&mut self, place: (AgentId, Role), offer: &Offer, now: Timestamp) -> LotIx {
        let lot = Lot {
            agent: offer.agent.clone(),
            role: offer.role.clone(),
            offers: Vec::new(),
            unreserved: Bundle::default(),
            reserved: Bundle::default(),
            maintenance: None,
            launches: 0,
            since: now,
            epoch: self.epoch,
        };
        let ix = self.free.pop().unwrap_or_else(|| {
            self.lots.push(None);
            self.seats.push(Seat { shelf: 0, seat: 0 });
            LotIx(self.lots.len() as u32 - 1)
        });
        let of_role = self.shelf_of(&offer.role);
        let seat = self.shelves[of_role].1.seat(ix);
        self.seats[ix.0 as usize] = Seat { shelf: of_role as u32, seat };
        self.lots[ix.0 as usize] = Some(lot);
        self.by_agent.insert(place, ix);
        ix
    }

    fn shelf_of(&mut self, role: &Role) -> usize {
        let at = self.shelves.iter().position(|(shelved, _)| shelved == role);
        at.unwrap_or_else(|| {
            self.shelves.push((role.clone(), Shelf::default()));
            self.shelves.len() - 1
        })
    }

    /// Notes on the shelf what the lot has now.
    fn note_contents(&mut self, ix: LotIx) {
        let Some(lot) = self.lots[ix.0 as usize].as_ref() else { return };
        let mut have = lot.unreserved.resources;
        have += &lot.reserved.resources;
        let Seat { shelf, seat } = self.seats[ix.0 as usize];
        self.shelves[shelf as usize].1.set(seat, have);
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
        lot.launches += 1;
        lot.unreserved.subtract(&claim.unreserved);
        lot.reserved.subtract(&claim.reserved);
        self.disturbances += 1;
        self.note_contents(ix);
        true
    }

    /// Removes a lot whose offers are being accepted or declined, and returns it.
    pub fn use_up(&mut self, ix: LotIx) -> Option<Lot> {
        let lot = self.lots.get_mut(ix.0 as usize)?.take()?;
        let Seat { shelf, seat } = self.seats[ix.0 as usize];
        self.shelves[shelf as usize].1.vacate(seat);
        self.free.push(ix);
        self.disturbances += 1;
        self.by_epoch.remove(&lot.epoch);
        self.by_agent.remove(&(lot.agent.id.clone(), lot.role.clone()));
        for offer in &lot.offers {
            self.by_offer.remove(offer);
        }
        Some(lot)
    }

    /// Forgets an offer that the cluster took back. What a launch of this step may have taken of it is lost with it:
    /// the cluster will drop that launch.
    pub fn rescind(&mut self, id: &OfferId) {
        let Some(Part { lot: ix, unreserved, reserved }) = self.by_offer.remove(id) else { return };
        let Some(lot) = self.lots[ix.0 as usize].as_mut() else { return };
        lot.offers.retain(|other| other != id);
        lot.unreserved.subtract(&unreserved);
        lot.reserved.subtract(&reserved);
        self.disturbances += 1;
        if lot.offers.is_empty() {
            self.use_up(ix);
        } else {
            self.note_contents(ix);
        }
    }

    /// An agent is to go into maintenance, or not any more; whatever its offers said.
    pub fn note_maintenance(&mut self, agent: &AgentId, window: Option<Window>) {
        let lots: Vec<LotIx> = self.shelves.iter().filter_map(|(role, _)| self.of_agent(agent, role)).collect();
        for ix in lots {
            if let Some(lot) = self.lots[ix.0 as usize].as_mut().filter(|lot| lot.maintenance != window) {
                lot.maintenance = window;
                self.disturbances += 1;
            }
        }
    }

    /// Removes all lots of an agent, and returns them.
    pub fn use_up_agent(&mut self, agent: &AgentId) -> Vec<Lot> {
        let lots: Vec<LotIx> = self.shelves.iter().filter_map(|(role, _)| self.of_agent(agent, role)).collect();
        lots.into_iter().filter_map(|lot| self.use_up(lot)).collect()
    }

    /// Forgets everything: the connection to the cluster is lost, and with it every offer.
    pub fn clear(&mut self) {
        *self = Self { epoch: self.epoch, disturbances: self.disturbances + 1, ..Self::default() };
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

    /// The lots' values of a field, numbered.
    pub fn column(&self, field: &Field) -> Arc<Column> {
        self.columns.lock().of(field, self.lots())
    }

    /// For each value in the column of the constraint's field, by its number, whether `judge` says that it will do.
    ///
    /// Judged once per value and remembered: `judge` must depend on the constraint and the value alone.
    pub fn judged(&self, constraint: &Constraint, judge: impl Fn(&str) -> bool) -> Arc<Vec<bool>> {
        self.columns.lock().judged(constraint, self.lots(), judge)
    }

    /// The lots for a role that have at least `need`, reserved and unreserved together, beginning with `from` and
    /// going round, in a fixed order. The cost is that of those it yields, not of those there are.
    pub fn candidates<'a>(
        &'a self,
        role: &Role,
        need: &'a Resources,
        from: SearchFrom,
    ) -> impl Iterator<Item = LotIx> + 'a {
        let at = self.shelves.iter().position(|(shelved, shelf)| shelved == role && shelf.len() > 0);
        let found = at.map(|at| {
            let seat = |ix: LotIx| {
                let seat = self.seats.get(ix.0 as usize).filter(|seat| seat.shelf as usize == at);
                seat.map_or(0, |seat| seat.seat as usize)
            };
            let start = match from {
                SearchFrom::At(ix) => seat(ix),
                SearchFrom::After(ix) => seat(ix) + 1,
                SearchFrom::Anywhere(number) => number as usize,
            };
            self.shelves[at].1.holding(need, start)
        });
        found.into_iter().flatten()
    }

    /// How many lots there are for a role.
    pub fn lots_of(&self, role: &Role) -> usize {
        self.shelves.iter().find(|(shelved, _)| shelved == role).map_or(0, |(_, shelf)| shelf.len())
    }

    /// How many lots there are.
    pub fn len(&self) -> usize {
        self.by_agent.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_agent.is_empty()
    }

    /// The lots whose latest offer came after `epoch`, in that order.
    pub fn lots_since(&self, epoch: u64) -> impl Iterator<Item = (LotIx, &Lot)> {
        let later = self.by_epoch.range(epoch.saturating_add(1)..);
        later.filter_map(|(_, ix)| Some((*ix, self.lot(*ix)?)))
    }

    /// Grows with every change of a lot that was there before: one that got another offer, lost something, or went.
    /// While it stays the same, only [`OfferBook::lots_since`] an epoch can be new.
    pub fn disturbances(&self) -> u64 {
        self.disturbances
    }

    /// The latest epoch given to a lot.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::agent::Agent;
    use crate::resources::Scalar;

    fn offer(id: &str, agent: &str, cpus: u64) -> Offer {
        let resources = Resources { cpus: Scalar::whole(cpus), ..Resources::NONE };
        let attributes = BTreeMap::from([("rack".to_owned(), Arc::from(&agent[..1]))]);
        let id_of_agent = AgentId::new(agent);
        let agent = Agent { id: id_of_agent, hostname: agent.into(), attributes, region: None, zone: None };
        Offer {
            id: OfferId::new(id),
            agent: Arc::new(agent),
            role: Role::any(),
            unreserved: Bundle { resources, ..Bundle::default() },
            reserved: Bundle::default(),
            maintenance: None,
        }
    }

    fn holding(book: &OfferBook, cpus: u64) -> Vec<String> {
        let need = Resources { cpus: Scalar::whole(cpus), ..Resources::NONE };
        let found = book.candidates(&Role::any(), &need, SearchFrom::Anywhere(0));
        found.filter_map(|ix| book.lot(ix)).map(|lot| lot.agent.id.to_string()).collect()
    }

    fn book() -> OfferBook {
        let mut book = OfferBook::default();
        for offer in [offer("o1", "a1", 2), offer("o2", "b1", 4), offer("o3", "a1", 3)] {
            book.add(offer, Timestamp::EPOCH);
        }
        book
    }

    #[test]
    fn offers_of_an_agent_are_one_lot_until_they_are_gone() {
        let mut book = book();
        assert_eq!((book.len(), book.epoch()), (2, 3));
        assert_eq!(holding(&book, 4), ["a1", "b1"]);
        book.add(offer("o3", "a1", 3), Timestamp::EPOCH);
        assert_eq!(holding(&book, 6), [""; 0]);
        book.rescind(&OfferId::new("o3"));
        assert_eq!(holding(&book, 2), ["a1", "b1"]);
        assert_eq!(holding(&book, 3), ["b1"]);
        book.rescind(&OfferId::new("o1"));
        assert_eq!((book.len(), book.lots_of(&Role::any())), (1, 1));
        assert_eq!(holding(&book, 0), ["b1"]);
        assert_eq!(holding(&OfferBook::default(), 0), [""; 0]);
    }

    #[test]
    fn what_is_taken_is_gone_and_no_more_than_there_is_can_be_taken() {
        let mut book = book();
        let ix = book.of_agent(&AgentId::new("b1"), &Role::any()).expect("a lot");
        let unreserved = offer("", "b1", 3).unreserved;
        let claim = Claim { unreserved, reserved: Bundle::default() };
        assert!(book.take(ix, &claim) && !book.take(ix, &claim));
        assert_eq!(holding(&book, 2), ["a1"]);
        assert_eq!(book.use_up(ix).map(|lot| lot.offers), Some(vec![OfferId::new("o2")]));
        assert!(book.use_up(ix).is_none() && !book.take(ix, &claim));
    }

    #[test]
    fn only_lots_that_were_there_before_are_disturbed() {
        let mut book = book();
        let (epoch, disturbances) = (book.epoch(), book.disturbances());
        book.add(offer("o4", "c1", 1), Timestamp::EPOCH);
        assert_eq!(book.disturbances(), disturbances);
        assert_eq!(book.lots_since(epoch).map(|(_, lot)| lot.agent.id.as_str()).collect::<Vec<_>>(), ["c1"]);
        book.add(offer("o5", "b1", 1), Timestamp::EPOCH);
        assert!(book.disturbances() > disturbances);
        assert_eq!(book.lots_since(epoch).count(), 2);
        assert_eq!(book.lots_since(0).count(), 3);
    }

    #[test]
    fn a_value_is_judged_once_for_all_its_lots_and_new_ones_as_they_come() {
        let mut book = book();
        let field = Field::parse("rack");
        let constraint = Constraint { field: field.clone(), operator: crate::app::Operator::Is("a".into()) };
        let judged = std::cell::Cell::new(0);
        let judge = |book: &OfferBook| {
            let will_do = |value: &str| {
                judged.set(judged.get() + 1);
                value == "a"
            };
            let (verdicts, column) = (book.judged(&constraint, will_do), book.column(&field));
            book.lots()
                .filter(|(ix, _)| column.of(*ix).is_some_and(|number| verdicts[number.index()]))
                .map(|(_, lot)| lot.agent.id.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(judge(&book), ["a1"]);
        book.add(offer("o4", "a2", 1), Timestamp::EPOCH);
        book.add(offer("o5", "c1", 1), Timestamp::EPOCH);
        assert_eq!(judge(&book), ["a1", "a2"]);
        assert_eq!(judged.get(), 3);
    }
}
