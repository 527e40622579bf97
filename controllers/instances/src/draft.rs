//! A decision in the making: the view, what the rules so far have decided, and the counts that follow from it.

use std::collections::{BTreeMap, BTreeSet};

use ekiden_model::action::Action;
use ekiden_model::app::{App, UnreachableStrategy};
use ekiden_model::budget::Budget;
use ekiden_model::instance::{Condition, Goal};
use ekiden_model::report::KillCause;
use ekiden_model::view::{Again, Settled};
use ekiden_model::{Decision, Instance, InstanceKey, Reason, Report, RevisionId, Timestamp, View};

/// A decision in the making.
pub(crate) struct Draft<'a> {
    pub(crate) view: &'a View<'a>,
    /// The declaration, while there is one.
    pub(crate) declared: Option<&'a App>,
    /// One budget for all voluntary kills of this decision.
    pub(crate) budget: Budget,
    /// Wanted instances that do not count towards the targets at present, and why.
    pub(crate) uncounted: BTreeMap<InstanceKey, Apart>,
    /// Killed in this decision.
    pub(crate) killed: BTreeSet<InstanceKey>,
    forgotten: BTreeSet<InstanceKey>,
    counted: Vec<(RevisionId, u32)>,
    decision: Decision,
    waits: Waits,
}

/// Why a wanted instance does not count towards its revision's target, so that another is launched in its stead.
///
/// | | in the set that constraints look at | takes up a place under the ceiling (S1) |
/// |---|---|---|
/// | absent | no: nobody knows whether it is there | no |
/// | moving | no: as those that a rollout replaces, or nothing could move within a full rack | yes |
/// | dying | yes: it is there until it has ended | no: a loss that we did not choose |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    /// Unreachable for so long that it may be replaced, or on an agent that a global app does not count.
    Absent,
    /// On an agent that is to be left: it serves until its replacement does.
    Moving,
    /// Ending by the cluster's doing.
    Dying,
}

/// What the report will say, in the order in which it says it; the counts of what starts and ends come last.
#[derive(Default)]
pub(crate) struct Waits {
    pub(crate) unsupported: Option<Reason>,
    pub(crate) awaiting_settled: Option<Reason>,
    pub(crate) backing_off: Option<Reason>,
    pub(crate) awaiting_offers: Option<Reason>,
    pub(crate) agents_vanished: Option<Reason>,
    pub(crate) breaker_open: Option<Reason>,
    pub(crate) at_floor: bool,
    pub(crate) unreachable: Option<Reason>,
    pub(crate) draining: Option<Reason>,
    /// Launched in this decision: on their way as soon as it is followed.
    pub(crate) launched: u32,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(view: &'a View<'a>) -> Self {
        Self {
            view,
            declared: view.app.declared.as_ref().map(|declared| &*declared.app),
            budget: Budget::new(view.app, view.desired),
            uncounted: BTreeMap::new(),
            killed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            counted: view.app.instances.by_revision().map(|(id, census)| (id, census.wanted)).collect(),
            decision: Decision::idle(),
            waits: Waits::default(),
        }
    }

    /// The policy of the app: as declared, or as last declared when it is to go.
    pub(crate) fn policy(&self) -> Option<&'a App> {
        self.declared.or_else(|| self.view.app.newest().map(|revision| &*revision.app))
    }

    /// What becomes of instances whose agents do not answer.
    pub(crate) fn unreachable_strategy(&self) -> UnreachableStrategy {
        self.policy().map_or(UnreachableStrategy::Disabled, |app| app.unreachable)
    }

    /// How many instances of a revision `upgrade` wants; none of one that was dropped.
    pub(crate) fn target(&self, revision: RevisionId) -> u32 {
        self.view.app.revision(revision).map_or(0, |revision| revision.target)
    }

    /// The wanted instances of a revision, less those that do not count and those killed in this decision.
    pub(crate) fn counted(&self, revision: RevisionId) -> u32 {
        self.counted.iter().find(|(id, _)| *id == revision).map_or(0, |(_, count)| *count)
    }

    /// Whether an instance is wanted still, after what this decision did so far.
    pub(crate) fn is_wanted(&self, instance: &Instance) -> bool {
        instance.is_wanted() && !self.killed.contains(&instance.key) && !self.forgotten.contains(&instance.key)
    }

    /// Whether an instance is wanted still and counts.
    pub(crate) fn counts(&self, instance: &Instance) -> bool {
        self.is_wanted(instance) && !self.uncounted.contains_key(&instance.key)
    }

    /// How many instances take up a place under the ceiling (S1): those that count or are moving, and those that are
    /// ending and will say so when they have ended. One that we told to end goes on using its place until then.
    pub(crate) fn occupied(&self) -> u32 {
        let without = self.gone().count() + self.apart(Apart::Dying).count();
        self.view.app.instances.total().placed().saturating_sub(without as u32)
    }

    /// The instances whose slots this decision has set free, or lends to a replacement.
    pub(crate) fn displaced(&self) -> impl Iterator<Item = &'a Instance> + '_ {
        // A global app's instance on an absent agent keeps its slot: it is not replaced anywhere.
        let lent = self.uncounted.keys().filter(|_| self.declared.is_none_or(|app| !app.is_global()));
        let keys = self.killed.iter().chain(&self.forgotten).chain(lent);
        keys.filter_map(|key| self.view.app.instances.get(*key))
    }

    /// Instances that the roll has as placed and that constraints do not look at: replaced, moving, or forgotten in
    /// this decision, or killed in it on an agent that does not answer.
    pub(crate) fn not_placed(&self) -> impl Iterator<Item = &'a Instance> + '_ {
        self.gone().chain(self.apart(Apart::Moving))
    }

    /// Those of them that use nothing any more, as far as anybody knows.
    fn gone(&self) -> impl Iterator<Item = &'a Instance> + '_ {
        let instances = &self.view.app.instances;
        let killed = self.killed.iter().filter_map(|key| instances.get(*key));
        let unanswered = killed.filter(|instance| instance.condition == Condition::Unreachable);
        let forgotten = self.forgotten.iter().filter_map(|key| instances.get(*key));
        let others = unanswered.chain(forgotten).filter(|instance| !self.uncounted.contains_key(&instance.key));
        self.apart(Apart::Absent).chain(others).filter(|instance| instance.is_placed())
    }

    /// The instances that are apart for this reason.
    pub(crate) fn apart(&self, why: Apart) -> impl Iterator<Item = &'a Instance> + '_ {
        let keys = self.uncounted.iter().filter(move |(_, apart)| **apart == why);
        keys.filter_map(|(key, _)| self.view.app.instances.get(*key))
    }

    /// Leaves a wanted instance out of the counts. The first reason stays.
    pub(crate) fn leave_out(&mut self, instance: &Instance, why: Apart) {
        if self.counts(instance) {
            self.uncounted.insert(instance.key, why);
            self.discount(instance.revision);
        }
    }

    /// Counts again what was left out, shall go, and may not yet: until then it takes up a place.
    pub(crate) fn count_in(&mut self, instance: &Instance) {
        if self.is_wanted(instance) && self.uncounted.remove(&instance.key).is_some() {
            let group = self.counted.iter_mut().find(|(id, _)| *id == instance.revision);
            if let Some((_, count)) = group {
                *count += 1;
            }
        }
    }

    fn discount(&mut self, revision: RevisionId) {
        if let Some((_, count)) = self.counted.iter_mut().find(|(id, _)| *id == revision) {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether what is not known to be there may be taken for absent (S7). What waits for it is in the report.
    pub(crate) fn is_settled(&mut self) -> bool {
        match self.view.settled {
            Settled::Yes => true,
            Settled::No(awaiting) => {
                self.waits.awaiting_settled = Some(Reason::NotSettled { awaiting });
                false
            }
            Settled::Unanswered { tasks, since } => {
                self.waits.awaiting_settled = Some(Reason::Unanswered { tasks, since });
                false
            }
        }
    }

    /// Ends an instance, if that is settled and within the budget; says whether it did.
    pub(crate) fn kill(&mut self, instance: &Instance, cause: KillCause) -> bool {
        if !self.is_settled() {
            return false;
        }
        if !self.budget.permit(instance) {
            self.waits.at_floor = true;
            return false;
        }
        self.act(Action::Kill { instance: instance.key, goal: Goal::Decommissioned, cause });
        if self.counts(instance) {
            self.discount(instance.revision);
        }
        self.killed.insert(instance.key);
        // An agent that does not answer will not confirm the end either: it is not waited for (§4.7). All others take
        // up their places until they have ended, even if they were left out of the counts before.
        if instance.condition != Condition::Unreachable {
            self.uncounted.remove(&instance.key);
            self.wake(self.view.now + self.view.settings.kill_retry);
        }
        true
    }

    /// Forgets an instance.
    pub(crate) fn forget(&mut self, instance: &Instance) {
        if self.counts(instance) {
            self.discount(instance.revision);
        }
        self.forgotten.insert(instance.key);
        self.act(Action::Forget { instance: instance.key });
    }

    pub(crate) fn is_forgotten(&self, key: InstanceKey) -> bool {
        self.forgotten.contains(&key)
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.decision.actions.push(action);
    }

    /// Asks again at `at`.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        if at < Timestamp::NEVER {
            self.decision.again = self.decision.again.or(Again::At(at));
        }
    }

    /// What the report will say.
    pub(crate) fn waits(&mut self) -> &mut Waits {
        &mut self.waits
    }

    /// The decision with its report, most important reason first.
    pub(crate) fn into_decision(mut self) -> Decision {
        let view = self.view;
        let census = view.app.instances.total();
        let killed = |starting: bool| {
            let all = self.killed.iter().filter_map(|key| view.app.instances.get(*key));
            all.filter(|instance| !starting || instance.condition.is_starting()).count() as u32
        };
        let (killed_starting, killed_all) = (killed(true), killed(false));
        let starting = census.starting - killed_starting + self.waits.launched;
        let ending = census.ending + killed_all;

        let waits = std::mem::take(&mut self.waits);
        let at_floor =
            waits.at_floor.then(|| Reason::AtFloor { healthy: self.budget.healthy(), floor: self.budget.floor() });
        let reasons = [
            waits.unsupported,
            waits.awaiting_settled,
            waits.backing_off,
            waits.awaiting_offers,
            waits.agents_vanished,
            waits.breaker_open,
            at_floor,
            waits.unreachable,
            waits.draining,
            (starting > 0).then_some(Reason::Starting { count: starting }),
            (ending > 0).then_some(Reason::Ending { count: ending }),
        ];
        self.decision.report = Report { reasons: reasons.into_iter().flatten().collect() };
        self.decision
    }
}
