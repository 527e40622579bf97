//! Where an instance goes: one lot of offers of the book, and what it takes of it.
//!
//! A search is for one revision in one decision. It looks at lots from a position that moves on with every launch,
//! stops at a few that would do ([`strategy::CANDIDATES`]) and takes the best of them by the app's strategy; so its
//! cost does not grow with the number of agents. Launches of one decision see each other through [`Ground`] (what is
//! taken of each lot) and through the search's constraint counts.
//!
//! **The placed set** that UNIQUE, CLUSTER, GROUP_BY and MAX_PER count (§4.9, S4) is: the instances of the revision
//! that is being launched which live, and are not (a) unreachable for so long that they are being replaced, (b)
//! unreachable and to end or (c) to leave their agents, and replaced for that. An instance that is told to end counts until it has ended, since it is still there; those
//! of other revisions do not, or a rollout of as many instances as there are hosts could never begin.

pub(crate) mod constraint;
mod fit;
mod strategy;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::agent::Leave;
use ekiden_model::app::App;
use ekiden_model::instance::{Nowhere, Question};
use ekiden_model::offer::{Claim, Lot, LotIx};
use ekiden_model::report::{Refusal, Refusals};
use ekiden_model::{AgentId, Instances, Port, Resources, Revision, Timestamp, View};

use self::constraint::Rules;
use self::fit::{Misfit, Needs};
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
    /// For a global app: the agents that launches went to. One that offers to several roles has several lots.
    agents: BTreeSet<AgentId>,
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

    /// Whether nothing was taken yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.used.is_empty()
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
    /// For a global app: which agents have their instance.
    taken: Option<Taken>,
    question: Question,
}

/// Which agents a global app has an instance on, of any revision: its rollout takes the agents one after the other
/// (`App::bounds` gives it no surge).
struct Taken {
    /// Placed instances that do not count, per agent.
    not_counted: BTreeMap<AgentId, u32>,
}

/// Why a lot does not do though its role and the constraints will, in the order of the funnel.
enum Objection {
    AgentTaken,
    Maintenance,
    Fit(Misfit),
}

impl<'a> Search<'a> {
    pub(crate) fn new(draft: &Draft<'a>, declared: &'a Arc<App>, revision: &'a Revision) -> Self {
        let view = draft.view;
        let needs = Needs::of(view, declared, revision);
        let rules = Rules::of(draft, declared, revision.id);
        let question = Question {
            declared: declared.clone(),
            revision: revision.id,
            desired: view.desired,
            service_ports: view.app.service_ports.clone(),
            uncounted: draft.not_placed().map(|instance| instance.key).collect(),
            groups: rules.groups(),
        };
        Self {
            view,
            rules,
            question,
            preference: Preference::of(view, declared, needs.role()),
            taken: Taken::of(draft, declared),
            needs,
        }
    }

    /// The best place of the first few that do, which is then taken; none when no lot does.
    pub(crate) fn find(&mut self, ground: &mut Ground) -> Option<Place> {
        let book = self.view.book;
        let mut best: Option<(u64, LotIx, Vec<Option<Port>>)> = None;
        let mut found = 0;
        let candidates = book.candidates(self.needs.role(), self.needs.resources(), self.preference.from());
        for ix in candidates {
            // Asked first: it needs no look at the lot itself.
            if self.rules.broken_by(ix).is_some() {
                continue;
            }
            let (Some(lot), used) = (book.lot(ix), ground.of(ix)) else { continue };
            if self.is_spent(lot, used) {
                continue;
            }
            if !self.needs.are_covered(lot, used) || self.objection_of_agent(lot, ground).is_some() {
                continue;
            }
            let score = self.preference.score(self.view, &self.needs, lot, used);
            if best.as_ref().is_some_and(|(least, ..)| score >= *least) {
                found += 1;
            } else if let Ok(host_ports) = self.needs.rest(self.view, lot, used) {
                best = Some((score, ix, host_ports));
                found += 1;
            }
            if found == strategy::CANDIDATES
                || best.as_ref().is_some_and(|(least, ..)| self.preference.is_best(*least))
            {
                break;
            }
        }
        let (score, ix, host_ports) = best?;
        let lot = book.lot(ix)?;
        let place = Place { lot: ix, claim: self.needs.claim(lot, ground.of(ix), &host_ports), host_ports };
        ground.take(&place);
        if self.taken.is_some() {
            ground.agents.insert(lot.agent.id.clone());
        }
        self.rules.note_launch(ix);
        self.preference.move_on(ix, score);
        Some(place)
    }

    /// Why each lot of the book does not do, where that is known from an earlier search: this one asks the same, and
    /// of the lots that are new since none does either.
    ///
    /// An app that waits is asked again with every change around it; it looks at new lots only then.
    pub(crate) fn refusals_as_before(&mut self) -> Option<Refusals> {
        let (book, instances) = (self.view.book, &self.view.app.instances);
        let mut nowhere = instances.found_nowhere(&self.question)?;
        if nowhere.disturbances != book.disturbances() || nowhere.until <= self.view.now {
            return None;
        }
        if nowhere.epoch < book.epoch() {
            for (ix, lot) in book.lots_since(nowhere.epoch) {
                nowhere.refusals.add(self.refusal(ix, lot, &Ground::default())?, &lot.agent.hostname);
                nowhere.until = nowhere.until.min(self.maintenance_changes(lot));
            }
            nowhere.epoch = book.epoch();
            instances.remember_nowhere(nowhere.clone());
        }
        Some(nowhere.refusals)
    }

    /// Why each lot of the book does not do, after a search that found nothing.
    pub(crate) fn refusals(&mut self, ground: &Ground) -> Refusals {
        let mut refusals = Refusals::default();
        let mut until = Timestamp::NEVER;
        let (book, instances) = (self.view.book, &self.view.app.instances);
        for (ix, lot) in book.lots() {
            if self.is_spent(lot, ground.of(ix)) {
                continue;
            }
            if let Some(refusal) = self.refusal(ix, lot, ground) {
                refusals.add(refusal, &lot.agent.hostname);
            }
            until = until.min(self.maintenance_changes(lot));
        }
        // With launches of its own just decided it will ask something else next time.
        if ground.used.is_empty() {
            let (disturbances, epoch) = (book.disturbances(), book.epoch());
            let (question, refusals) = (self.question.clone(), refusals.clone());
            instances.remember_nowhere(Nowhere { question, disturbances, epoch, until, refusals });
        }
        refusals
    }

    /// When an agent next begins or ceases to be one that is to be left.
    fn maintenance_changes(&self, lot: &Lot) -> Timestamp {
        let change = self.leave(lot).and_then(|leave| leave.next_change(self.view.now));
        change.unwrap_or(Timestamp::NEVER)
    }

    fn leave(&self, lot: &Lot) -> Option<Leave> {
        Some(Leave::of(lot.maintenance?, self.view.settings.drain_before))
    }

    fn refusal(&mut self, ix: LotIx, lot: &Lot, ground: &Ground) -> Option<Refusal> {
        let used = ground.of(ix);
        if lot.role != *self.needs.role() {
            return Some(Refusal::Role(lot.role.clone()));
        }
        if let Some(role) = self.needs.unaccepted_role(lot) {
            return Some(Refusal::Role(role));
        }
        if let Some(constraint) = self.rules.broken_by(ix) {
            return Some(Refusal::Constraint(constraint.clone()));
        }
        let misfit = || self.needs.rest(self.view, lot, used).err().map(Objection::Fit);
        let shortage = || self.needs.shortage(lot, used).map(|short| Objection::Fit(Misfit::Short(short)));
        let objection = self.objection_of_agent(lot, ground).or_else(shortage).or_else(misfit)?;
        Some(match objection {
            Objection::AgentTaken => Refusal::AgentTaken,
            Objection::Maintenance => Refusal::Maintenance,
            Objection::Fit(Misfit::Short(refusal)) => refusal,
            Objection::Fit(Misfit::Ports(what)) => Refusal::Ports(what),
            Objection::Fit(Misfit::ScarceGpus) => Refusal::ScarceGpus,
        })
    }

    /// Whether as many launches as may have taken of the lot. It goes with this step, so it is no offer any more, and what
    /// is left of it comes back as another.
    fn is_spent(&self, lot: &Lot, used: Option<&Used>) -> bool {
        lot.launches + used.map_or(0, |used| used.launches) >= self.view.settings.launches_per_lot
    }

    /// What speaks against the agent itself, whatever it offers.
    fn objection_of_agent(&self, lot: &Lot, ground: &Ground) -> Option<Objection> {
        if self.is_taken(lot, ground) {
            return Some(Objection::AgentTaken);
        }
        self.leave(lot)?.is_on(self.view.now).then_some(Objection::Maintenance)
    }

    fn is_taken(&self, lot: &Lot, ground: &Ground) -> bool {
        let Some(taken) = &self.taken else { return false };
        ground.agents.contains(&lot.agent.id) || taken.includes(&lot.agent.id, &self.view.app.instances)
    }
}

impl Taken {
    fn of(draft: &Draft<'_>, declared: &App) -> Option<Self> {
        let mut not_counted = BTreeMap::new();
        for instance in draft.not_placed() {
            *not_counted.entry(instance.agent.id.clone()).or_insert(0) += 1;
        }
        declared.is_global().then_some(Self { not_counted })
    }

    fn includes(&self, agent: &AgentId, instances: &Instances) -> bool {
        instances.on_agent(agent) > self.not_counted.get(agent).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
