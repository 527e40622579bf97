//! All instances of one app, with the counts and indices that decisions need.
//!
//! Every count and index is kept up to date by the three ways in which the roll changes ([`Instances::insert`],
//! [`Instances::update`], [`Instances::remove`]), so that a decision about an app of 100,000 instances looks at those
//! that need something and at no other. Deciding is not done here.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::pages::Pages;
use super::slots::Vacancies;
use super::{Condition, Goal, Instance, Nowhere, Question, Round, Tally};
use crate::agent::Agent;
use crate::app::Field;
use crate::fixed_hash::{self, FixedState};
use crate::health::{Readiness, Verdict};
use crate::id::{AgentId, Incarnation, InstanceKey, RevisionId, Slot};
use crate::memo::Memo;
use crate::report::KillCause;
use crate::time::Timestamp;

/// The instances of one app, and what must be known of slots that have none.
#[derive(Debug, Clone, Default)]
pub struct Instances {
    all: Pages,
    /// How many are in each condition, of those that one is in.
    conditions: Vec<(Condition, usize)>,
    /// No launch has an incarnation up to this, in whatever slot.
    after: Option<Incarnation>,
    /// Per revision that has instances, by its id.
    groups: Vec<Group>,
    vacant: Option<Vacancies>,
    /// On their way to running and wanted, oldest launch first.
    starting: BTreeSet<(Timestamp, InstanceKey)>,
    /// Terminal, ending (by whoever's doing), unreachable or condemned: those that may need something though nothing is
    /// missing.
    odd: BTreeSet<InstanceKey>,
    latest: Option<InstanceKey>,
    last_activity: Option<Timestamp>,
    tallies: Memo<Vec<FieldTally>>,
    nowhere: Memo<Option<Box<Nowhere>>>,
    round: Memo<Option<Box<Round>>>,
    located: Memo<Vec<Located>>,
}

/// How many instances of a revision there are, by what is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// All that there are, terminal ones included until they are forgotten.
    pub known: u32,
    /// Live, and shall be.
    pub wanted: u32,
    /// Wanted, and not running yet.
    pub starting: u32,
    /// Wanted and running, whatever is known of their health.
    pub running: u32,
    /// Wanted, running and healthy.
    pub healthy: u32,
    /// Healthy, and ready, too.
    pub ready: u32,
    /// Wanted, running, and neither known to be healthy nor unhealthy.
    pub unjudged: u32,
    /// Wanted, on agents that do not answer.
    pub unreachable: u32,
    /// Live, shall not be, and will say so when they ended: those that do not answer are left out.
    pub ending: u32,
    /// Ending since they were unhealthy, or did not start in time.
    pub given_up: u32,
}

impl Census {
    /// Those that take up a place.
    pub fn placed(&self) -> u32 {
        self.wanted + self.ending
    }

    fn change(&mut self, facet: &Facet, by: impl Fn(&mut u32)) {
        let wanted = facet.wanted();
        let running = wanted && facet.condition == Condition::Running;
        let healthy = running && facet.verdict == Verdict::Healthy;
        let unreachable = facet.condition == Condition::Unreachable;
        let ending = facet.condition.is_live() && !wanted && !unreachable;
        let of = [
            (true, &mut self.known),
            (wanted, &mut self.wanted),
            (facet.starting(), &mut self.starting),
            (running, &mut self.running),
            (healthy, &mut self.healthy),
            (healthy && facet.ready, &mut self.ready),
            (running && facet.verdict == Verdict::Unknown, &mut self.unjudged),
            (wanted && unreachable, &mut self.unreachable),
            (ending, &mut self.ending),
            (ending && facet.given_up, &mut self.given_up),
        ];
        of.into_iter().filter(|(is, _)| *is).for_each(|(_, count)| by(count));
    }

    fn plus(self, other: Self) -> Self {
        Self {
            known: self.known + other.known,
            wanted: self.wanted + other.wanted,
            starting: self.starting + other.starting,
            running: self.running + other.running,
            healthy: self.healthy + other.healthy,
            ready: self.ready + other.ready,
            unjudged: self.unjudged + other.unjudged,
            unreachable: self.unreachable + other.unreachable,
            ending: self.ending + other.ending,
            given_up: self.given_up + other.given_up,
        }
    }
}

#[derive(Debug, Clone)]
struct Group {
    revision: RevisionId,
    /// A group goes with the last instance that is known.
    census: Census,
    vacant: Vacancies,
    /// Placed instances per agent, by the agent's tag. A collision makes an agent look fuller than it is.
    on_agent: HashMap<u64, u32, FixedState>,
}

/// Wanted instances on some agents, or on all others.
#[derive(Debug)]
struct Located {
    agents: Arc<BTreeSet<AgentId>>,
    inside: bool,
    keys: BTreeSet<InstanceKey>,
}

impl Located {
    fn includes(&self, agent: &AgentId) -> bool {
        self.agents.contains(agent) == self.inside
    }
}

/// Most such sets kept at a time: who is on an agent that is to be left, and who is outside of those that match.
const LOCATED_KEPT: usize = 2;

#[derive(Debug, Clone)]
struct FieldTally {
    revision: RevisionId,
    field: Field,
    tally: Arc<Tally>,
}

/// Most tallies kept at a time: a rollout of an app with a constraint on each of eight fields needs 16.
const TALLIES_KEPT: usize = 16;

/// What the indices hold of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facet {
    key: InstanceKey,
    revision: RevisionId,
    goal: Goal,
    condition: Condition,
    verdict: Verdict,
    ready: bool,
    given_up: bool,
    placed: bool,
    staged: Timestamp,
}

impl Facet {
    fn of(instance: &Instance) -> Self {
        Self {
            key: instance.key,
            revision: instance.revision,
            goal: instance.goal,
            condition: instance.condition,
            verdict: instance.health.verdict,
            ready: instance.health.readiness == Readiness::Ready,
            given_up: instance
                .kill
                .as_ref()
                .is_some_and(|order| matches!(order.cause, KillCause::Unhealthy | KillCause::Overdue)),
            placed: instance.is_placed(),
            staged: instance.staged,
        }
    }

    fn wanted(&self) -> bool {
        self.goal == Goal::Running && self.condition.is_live()
    }

    fn starting(&self) -> bool {
        self.wanted() && self.condition.is_starting()
    }

    fn odd(&self) -> bool {
        !self.wanted()
            || self.verdict == Verdict::Condemned
            || matches!(self.condition, Condition::Unreachable | Condition::Killing)
    }
}

impl Instances {
    /// The incarnation that the next launch in `slot` has.
    pub fn next_incarnation(&self, slot: Slot) -> Incarnation {
        let last = self.all.last(slot);
        last.max(self.after).map_or(Incarnation::FIRST, Incarnation::next)
    }

    /// From now on all launches come after `incarnation`, also in slots that never had any as far as is known.
    pub fn launch_after(&mut self, incarnation: Incarnation) {
        self.after = self.after.max(Some(incarnation));
    }

    /// The last incarnation launched in `slot`, if there ever was one.
    pub fn last_incarnation(&self, slot: Slot) -> Option<Incarnation> {
        self.all.last(slot)
    }

    /// The last incarnation of each slot that ever had one.
    pub fn last_incarnations(&self) -> impl Iterator<Item = (Slot, Incarnation)> + '_ {
        self.all.lasts()
    }

    /// Remembers that `slot` has had launches up to `incarnation`.
    pub fn note_incarnation(&mut self, slot: Slot, incarnation: Incarnation) {
        self.all.note_last(slot, incarnation);
    }

    /// Adds a new instance.
    pub fn insert(&mut self, instance: Instance) {
        let key = instance.key;
        self.remove(key);
        self.note_incarnation(key.slot, key.incarnation);
        let (facet, agent) = (Facet::of(&instance), instance.agent.clone());
        self.note_activity(instance.condition, instance.since);
        if instance.condition == Condition::Provisioned {
            self.latest = Some(key);
        }
        self.all.insert(instance);
        self.stir(key);
        self.enlist(&facet, &agent);
    }

    /// Changes an instance; `None` when there is no such instance. Its key stays what it is.
    pub fn update<T>(&mut self, key: InstanceKey, change: impl FnOnce(&mut Instance) -> T) -> Option<T> {
        let instance = self.all.get_mut(key)?;
        let (before, agent_before) = (Facet::of(instance), instance.agent.clone());
        let result = change(instance);
        instance.key = key;
        let (after, agent) = (Facet::of(instance), instance.agent.clone());
        let (condition, since) = (instance.condition, instance.since);
        self.note_activity(condition, since);
        self.stir(key);
        if before != after || !Arc::ptr_eq(&agent_before, &agent) {
            self.delist(&before, &agent_before);
            self.enlist(&after, &agent);
        }
        Some(result)
    }

    /// Forgets an instance; its incarnation stays used.
    pub fn remove(&mut self, key: InstanceKey) -> Option<Instance> {
        let instance = Arc::unwrap_or_clone(self.all.remove(key)?);
        self.stir(key);
        self.delist(&Facet::of(&instance), &instance.agent);
        Some(instance)
    }

    /// One instance.
    pub fn get(&self, key: InstanceKey) -> Option<&Instance> {
        self.all.get(key)
    }

    /// All instances, by slot and incarnation; terminal ones until they are forgotten.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Instance> {
        self.all.iter()
    }

    /// The instances in one slot, oldest first.
    pub fn in_slot(&self, slot: Slot) -> impl DoubleEndedIterator<Item = &Instance> {
        self.all.in_slot(slot)
    }

    /// The instances that live and shall.
    pub fn wanted(&self) -> impl Iterator<Item = &Instance> {
        self.iter().filter(|instance| instance.is_wanted())
    }

    /// How many there are, terminal ones included.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.len() == 0
    }

    /// How many are in each condition, of those that one is in.
    pub fn by_condition(&self) -> impl Iterator<Item = (Condition, usize)> + '_ {
        self.conditions.iter().copied()
    }

    /// The revisions that have instances, terminal ones included, oldest first, with how many.
    pub fn by_revision(&self) -> impl DoubleEndedIterator<Item = (RevisionId, Census)> + '_ {
        self.groups.iter().map(|group| (group.revision, group.census))
    }

    /// How many there are of one revision.
    pub fn census(&self, revision: RevisionId) -> Census {
        self.group(revision).map(|group| group.census).unwrap_or_default()
    }

    /// How many there are of all revisions together.
    pub fn total(&self) -> Census {
        self.groups.iter().fold(Census::default(), |sum, group| sum.plus(group.census))
    }

    /// Those that may need something although nothing is missing: terminal, ending by whoever's doing, unreachable or
    /// condemned.
    pub fn odd(&self) -> impl Iterator<Item = &Instance> {
        self.odd.iter().filter_map(|key| self.get(*key))
    }

    /// Those on their way to running that shall run, oldest launch first.
    pub fn starting(&self) -> impl Iterator<Item = &Instance> {
        self.starting.iter().filter_map(|(_, key)| self.get(*key))
    }

    /// The slots that nothing wanted is in, lowest first; all slots there can be, so take what you need.
    pub fn vacant_slots(&self) -> impl Iterator<Item = Slot> + '_ {
        vacant(self.vacant.as_ref())
    }

    /// The slots that nothing wanted of this revision is in, lowest first.
    pub fn slots_without(&self, revision: RevisionId) -> impl Iterator<Item = Slot> + '_ {
        vacant(self.group(revision).map(|group| &group.vacant))
    }

    /// How many instances of any revision take up a place on an agent. For preferring one agent to another: in the
    /// once in an age when two names have one hash, an agent looks fuller than it is.
    pub fn on_agent(&self, agent: &AgentId) -> u32 {
        let tag = fixed_hash::tag(agent.as_str());
        self.groups.iter().filter_map(|group| group.on_agent.get(&tag)).sum()
    }

    /// The wanted instances on agents that are not `among` these.
    ///
    /// Looked up at the first question and kept up to date from then on, while the same set is asked about.
    pub fn wanted_outside(&self, among: &Arc<BTreeSet<AgentId>>) -> Vec<InstanceKey> {
        self.wanted_at(among, false)
    }

    /// The wanted instances on these agents, looked up as [`Instances::wanted_outside`].
    pub fn wanted_on(&self, agents: &Arc<BTreeSet<AgentId>>) -> Vec<InstanceKey> {
        if agents.iter().all(|agent| self.on_agent(agent) == 0) {
            return Vec::new();
        }
        self.wanted_at(agents, true)
    }

    fn wanted_at(&self, agents: &Arc<BTreeSet<AgentId>>, inside: bool) -> Vec<InstanceKey> {
        let mut located = self.located.lock();
        let same = |known: &&Located| known.inside == inside && Arc::ptr_eq(&known.agents, agents);
        if let Some(known) = located.iter().find(same) {
            return known.keys.iter().copied().collect();
        }
        let mut found = Located { agents: agents.clone(), inside, keys: BTreeSet::new() };
        let there = self.wanted().filter(|instance| found.includes(&instance.agent.id));
        found.keys = there.map(|instance| instance.key).collect();
        let keys = found.keys.iter().copied().collect();
        if located.len() == LOCATED_KEPT {
            located.remove(0);
        }
        located.push(found);
        keys
    }

    /// The latest launch, unless it is forgotten already.
    pub fn latest(&self) -> Option<&Instance> {
        self.get(self.latest?)
    }

    /// When an instance was last seen to start or run: what a wait after failures is remembered from (§4.8).
    pub fn last_activity(&self) -> Option<Timestamp> {
        self.last_activity
    }

    /// Placed instances of a revision per value of a field of their agents; those without a value are not in it.
    ///
    /// Counted at the first question and kept up to date from then on.
    pub fn tally(&self, revision: RevisionId, field: &Field) -> Arc<Tally> {
        let mut tallies = self.tallies.lock();
        if let Some(known) = tallies.iter().find(|known| known.revision == revision && known.field == *field) {
            return known.tally.clone();
        }
        let mut tally = Tally::default();
        for instance in self.iter().filter(|instance| instance.revision == revision && instance.is_placed()) {
            if let Some(value) = instance.agent.value(field) {
                tally.add(value);
            }
        }
        if tallies.len() == TALLIES_KEPT {
            tallies.remove(0);
        }
        let tally = Arc::new(tally);
        tallies.push(FieldTally { revision, field: field.clone(), tally: tally.clone() });
        tally
    }

    /// The last search that found nothing, if it asked the same and no instance has changed since.
    pub fn found_nowhere(&self, question: &Question) -> Option<Nowhere> {
        self.nowhere.lock().as_deref().filter(|nowhere| nowhere.question == *question).cloned()
    }

    /// Remembers a search that found nothing.
    pub fn remember_nowhere(&self, nowhere: Nowhere) {
        *self.nowhere.lock() = Some(Box::new(nowhere));
    }

    /// The last round of health, which is then to be remembered anew.
    pub(crate) fn take_round(&self) -> Option<Box<Round>> {
        self.round.lock().take()
    }

    /// Remembers a round of health: whoever changes from now on is noted in it.
    pub fn remember_round(&self, round: Box<Round>) {
        *self.round.lock() = Some(round);
    }

    /// Notes that an instance changed, or is no more.
    fn stir(&mut self, key: InstanceKey) {
        if let Some(round) = self.round.get_mut() {
            round.restless.insert(key);
        }
    }

    fn group(&self, revision: RevisionId) -> Option<&Group> {
        self.groups.iter().find(|group| group.revision == revision)
    }

    fn note_activity(&mut self, condition: Condition, since: Timestamp) {
        if (Condition::Staging..=Condition::Running).contains(&condition) {
            self.last_activity = self.last_activity.max(Some(since));
        }
    }

    fn enlist(&mut self, facet: &Facet, agent: &Agent) {
        *self.nowhere.get_mut() = None;
        let at = self.groups.partition_point(|group| group.revision < facet.revision);
        if self.groups.get(at).is_none_or(|group| group.revision != facet.revision) {
            let census = Census::default();
            let (vacant, on_agent) = (Vacancies::all(), HashMap::default());
            let group = Group { revision: facet.revision, census, vacant, on_agent };
            self.groups.insert(at, group);
        }
        match self.conditions.iter_mut().find(|(condition, _)| *condition == facet.condition) {
            Some((_, count)) => *count += 1,
            None => self.conditions.push((facet.condition, 1)),
        }
        let group = &mut self.groups[at];
        group.census.change(facet, |count| *count += 1);
        if facet.wanted() {
            group.vacant.take(facet.key.slot);
            self.vacant.get_or_insert_with(Vacancies::all).take(facet.key.slot);
            for located in self.located.get_mut().iter_mut().filter(|located| located.includes(&agent.id)) {
                located.keys.insert(facet.key);
            }
        }
        if facet.starting() {
            self.starting.insert((facet.staged, facet.key));
        }
        if facet.odd() {
            self.odd.insert(facet.key);
        }
        if facet.placed {
            *self.groups[at].on_agent.entry(fixed_hash::tag(agent.id.as_str())).or_insert(0) += 1;
            self.change_tallies(facet.revision, agent, Tally::add);
        }
    }

    fn delist(&mut self, facet: &Facet, agent: &Agent) {
        *self.nowhere.get_mut() = None;
        if facet.wanted() {
            self.vacate(facet);
            for located in self.located.get_mut() {
                located.keys.remove(&facet.key);
            }
        }
        if let Some(at) = self.conditions.iter().position(|(condition, _)| *condition == facet.condition) {
            self.conditions[at].1 -= 1;
            if self.conditions[at].1 == 0 {
                self.conditions.swap_remove(at);
            }
        }
        if let Some(at) = self.groups.iter().position(|group| group.revision == facet.revision) {
            let group = &mut self.groups[at];
            group.census.change(facet, |count| *count -= 1);
            if facet.placed {
                let tag = fixed_hash::tag(agent.id.as_str());
                if let Some(count) = group.on_agent.get_mut(&tag) {
                    *count -= 1;
                    if *count == 0 {
                        group.on_agent.remove(&tag);
                    }
                }
            }
            if group.census.known == 0 {
                self.groups.remove(at);
            }
        }
        if facet.starting() {
            self.starting.remove(&(facet.staged, facet.key));
        }
        if facet.odd() {
            self.odd.remove(&facet.key);
        }
        if facet.placed {
            self.change_tallies(facet.revision, agent, Tally::subtract);
        }
    }

    /// Gives the slot back unless another wanted instance is in it, as beside one that came back from an agent that
    /// did not answer.
    fn vacate(&mut self, facet: &Facet) {
        let slot = facet.key.slot;
        let others = self.in_slot(slot).filter(|other| other.key != facet.key && other.is_wanted());
        let (mut any, mut same) = (false, false);
        for other in others {
            any = true;
            same |= other.revision == facet.revision;
        }
        if let Some(vacant) = self.vacant.as_mut().filter(|_| !any) {
            vacant.give(slot);
        }
        let group = self.groups.iter_mut().find(|group| group.revision == facet.revision);
        if let Some(group) = group.filter(|_| !same) {
            group.vacant.give(slot);
        }
    }

    fn change_tallies(&mut self, revision: RevisionId, agent: &Agent, change: impl Fn(&mut Tally, &Arc<str>)) {
        for known in self.tallies.get_mut().iter_mut().filter(|known| known.revision == revision) {
            if let Some(value) = agent.value(&known.field) {
                change(Arc::make_mut(&mut known.tally), value);
            }
        }
    }
}

/// The slots of `vacancies`; where there are none noted, no slot was ever taken.
fn vacant(vacancies: Option<&Vacancies>) -> impl Iterator<Item = Slot> + '_ {
    let noted = vacancies.into_iter().flat_map(Vacancies::iter);
    let every = vacancies.is_none().then(|| (0..=u32::MAX).map(Slot)).into_iter().flatten();
    noted.chain(every)
}

impl PartialEq for Instances {
    /// The indices follow from the instances; how they came about does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}
