//! Where an instance goes: one lot of offers of the book, and what it takes of it.
//!
//! A search is for one revision in one decision. It looks at lots from a position that moves on with every launch,
//! stops at a few that would do ([`strategy::CANDIDATES`]) and takes the best of them by the app's strategy; so its
//! cost does not grow with the number of agents. Launches of one decision see each other through [`Ground`] (what is
//! taken of each lot) and through the search's constraint counts.
//!
//! **The placed set** that UNIQUE, CLUSTER, GROUP_BY and MAX_PER count (§4.9, S4) is: the instances of the revision
//! that is being launched which live, and are not (a) unreachable for so long that they are being replaced or (b)
//! unreachable and to end. An instance that is told to end counts until it has ended, since it is still there; those
//! of other revisions do not, or a rollout of as many instances as there are hosts could never begin.

pub(crate) mod constraint;
mod fit;
mod strategy;

use std::collections::BTreeMap;

use ekiden_model::app::App;
use ekiden_model::offer::{Claim, Lot, LotIx};
use ekiden_model::report::{Refusal, Refusals};
use ekiden_model::{AgentId, Port, Resources, Revision, View};

use self::constraint::Rules;
use self::fit::Needs;
use self::strategy::Preference;
use crate::draft::Draft;

/// A place that was found.
pub(crate) struct Place {
    pub(crate) lot: LotIx,
    pub(crate) claim: Claim,
    pub(crate) host_ports: Vec<Option<Port>>,
}

/// What launches of this decision have taken of each lot.
#[derive(Default)]
pub(crate) struct Ground {
    used: BTreeMap<LotIx, Used>,
}

/// What launches of this decision have taken of one lot.
#[derive(Default)]
pub(crate) struct Used {
    reserved: Resources,
    unreserved: Resources,
    ports: Vec<Port>,
    launches: u32,
}

impl Ground {
    fn of(&self, lot: LotIx) -> Option<&Used> {
        // Before the first launch there is nothing to look up.
        if self.used.is_empty() { None } else { self.used.get(&lot) }
    }

    fn take(&mut self, place: &Place) {
        let used = self.used.entry(place.lot).or_default();
        used.reserved += &place.claim.reserved.resources;
        used.unreserved += &place.claim.unreserved.resources;
        used.ports.extend(place.host_ports.iter().flatten());
        used.launches += 1;
    }
}

/// The search for places for instances of one revision.
pub(crate) struct Search<'a> {
    view: &'a View<'a>,
    needs: Needs<'a>,
    rules: Rules<'a>,
    preference: Preference,
    /// For a global app: agents that have their instance.
    taken: Option<BTreeMap<&'a AgentId, Beside>>,
}

/// What a global app has on an agent already.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Beside {
    /// Only instances of other revisions: a rollout with surge may start the new one beside the old.
    Another,
    /// One of the revision that is being launched, or one that leaves no room beside it.
    Same,
}

/// Why a lot does not do, in the order of the funnel.
enum Objection<'a> {
    Constraint(&'a ekiden_model::app::Constraint),
    AgentTaken,
    Maintenance,
    Fit(fit::Misfit),
}

impl<'a> Search<'a> {
    pub(crate) fn new(draft: &Draft<'a>, declared: &'a App, revision: &'a Revision) -> Self {
        let view = draft.view;
        let needs = Needs::of(view, declared, revision);
        Self {
            view,
            rules: Rules::of(draft, declared, revision.id),
            preference: Preference::of(view, declared, needs.role()),
            taken: declared.is_global().then(|| taken_agents(view, declared, revision)),
            needs,
        }
    }

    /// The best place of the first few that do, which is then taken; none when no lot does.
    pub(crate) fn find(&mut self, ground: &mut Ground) -> Option<Place> {
        let book = self.view.book;
        let mut best: Option<(u64, LotIx, Vec<Option<Port>>)> = None;
        let mut found = 0;
        for (ix, lot) in book.candidates(self.needs.role(), self.needs.resources(), self.preference.from()) {
            let used = ground.of(ix);
            if !self.needs.are_covered(lot, used) || self.objection_of_place(lot, used).is_some() {
                continue;
            }
            let Ok(host_ports) = self.needs.rest(self.view, lot, used) else { continue };
            let score = self.preference.score(self.view, &self.needs, lot, used);
            if best.as_ref().is_none_or(|(least, ..)| score < *least) {
                best = Some((score, ix, host_ports));
            }
            found += 1;
            if found == strategy::CANDIDATES || self.preference.is_best(score) {
                break;
            }
        }
        let (_, ix, host_ports) = best?;
        let lot = book.lot(ix)?;
        let place = Place { lot: ix, claim: self.needs.claim(lot, ground.of(ix), &host_ports), host_ports };
        ground.take(&place);
        self.rules.note_launch(&lot.agent);
        self.preference.move_on(ix);
        Some(place)
    }

    /// Why each lot of the book does not do.
    pub(crate) fn refusals(&self, ground: &Ground) -> Refusals {
        let mut refusals = Refusals::default();
        for (ix, lot) in self.view.book.lots() {
            let used = ground.of(ix);
            if let Some(refusal) = self.refusal(lot, used) {
                refusals.add(refusal);
            }
        }
        refusals
    }

    fn refusal(&self, lot: &Lot, used: Option<&Used>) -> Option<Refusal> {
        if lot.role != *self.needs.role() {
            return Some(Refusal::Role(lot.role.clone()));
        }
        if let Some(role) = self.needs.unaccepted_role(lot) {
            return Some(Refusal::Role(role));
        }
        let misfit = || self.needs.rest(self.view, lot, used).err().map(Objection::Fit);
        let shortage = || self.needs.shortage(lot, used).map(|misfit| Objection::Fit(fit::Misfit::Short(misfit)));
        let objection = self.objection_of_place(lot, used).or_else(shortage).or_else(misfit)?;
        Some(match objection {
            Objection::Constraint(constraint) => Refusal::Constraint(constraint.clone()),
            Objection::AgentTaken => Refusal::AgentTaken,
            Objection::Maintenance => Refusal::Maintenance,
            Objection::Fit(fit::Misfit::Short(refusal)) => refusal,
            Objection::Fit(fit::Misfit::Ports(what)) => Refusal::Ports(what),
            Objection::Fit(fit::Misfit::ScarceGpus) => Refusal::ScarceGpus,
        })
    }

    /// What speaks against the agent itself, whatever it offers.
    fn objection_of_place(&self, lot: &Lot, used: Option<&Used>) -> Option<Objection<'a>> {
        if let Some(constraint) = self.rules.broken_by(&lot.agent) {
            return Some(Objection::Constraint(constraint));
        }
        if self.is_taken(lot, used) {
            return Some(Objection::AgentTaken);
        }
        let (start, duration) = lot.maintenance?;
        let over = duration.is_some_and(|duration| start + duration <= self.view.now);
        (start <= self.view.now && !over).then_some(Objection::Maintenance)
    }

    fn is_taken(&self, lot: &Lot, used: Option<&Used>) -> bool {
        let Some(taken) = &self.taken else { return false };
        used.is_some_and(|used| used.launches > 0) || taken.get(&lot.agent.id) == Some(&Beside::Same)
    }
}

/// What is on each agent already; a rollout may start a new instance beside an old one if the app allows surge.
fn taken_agents<'a>(view: &'a View<'a>, declared: &App, revision: &Revision) -> BTreeMap<&'a AgentId, Beside> {
    let surges = declared.bounds(view.desired).ceiling > view.desired;
    let mut taken = BTreeMap::new();
    for instance in view.app.instances.iter().filter(|instance| instance.is_placed()) {
        let other = surges && instance.revision != revision.id;
        let beside = if other { Beside::Another } else { Beside::Same };
        let entry = taken.entry(&instance.agent.id).or_insert(beside);
        *entry = (*entry).max(beside);
    }
    taken
}

#[cfg(test)]
mod tests;
