//! Visits to instances, in the order of their keys: what each leads to, and what they lead to together.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ekiden_model::health::Verdict;
use ekiden_model::instance::LastFailure;
use ekiden_model::view::Sample;
use ekiden_model::{Action, Condition, Decision, Instance, InstanceKey, View};

use crate::breaker;
use crate::checklist::Checklists;
use crate::judge;
use crate::probes::Probes;
use crate::report::Findings;

/// What visits led to so far.
pub(crate) struct Visits<'a> {
    view: &'a View<'a>,
    checklists: &'a Checklists<'a>,
    judgements: Vec<Action>,
    condemned: usize,
    probes: Probes<'a>,
    findings: Findings,
}

/// What a round leaves to the next one.
pub(crate) struct Rest {
    /// The latest failure of those that fail.
    pub(crate) last_failure: Option<LastFailure>,
    /// Of whom something is wanted.
    pub(crate) restless: BTreeSet<InstanceKey>,
}

impl<'a> Visits<'a> {
    /// Before the visits to all instances.
    pub(crate) fn of_all(view: &'a View<'a>, checklists: &'a Checklists<'a>) -> Self {
        Self::new(view, checklists, Probes::of_all(view.app), None)
    }

    /// Before the visits to some instances; of all others, this is the latest failure.
    pub(crate) fn of_some(
        view: &'a View<'a>,
        checklists: &'a Checklists<'a>,
        last_failure: Option<LastFailure>,
    ) -> Self {
        Self::new(view, checklists, Probes::of_some(view.app), last_failure)
    }

    fn new(
        view: &'a View<'a>,
        checklists: &'a Checklists<'a>,
        probes: Probes<'a>,
        last_failure: Option<LastFailure>,
    ) -> Self {
        let findings = Findings::before(view.app, last_failure);
        Self { view, checklists, judgements: Vec::new(), condemned: 0, probes, findings }
    }

    /// Where some are visited, the next one, whether it is there or not.
    pub(crate) fn go_to(&mut self, instance: InstanceKey) {
        self.probes.go_to(instance);
    }

    /// Visits an instance, of which this was heard.
    pub(crate) fn visit(&mut self, instance: &'a Instance, heard: &[&Sample]) {
        let checklist = self.checklists.of_instance(instance);
        let health = if is_checked(self.view, instance) {
            let health = judge::judge(instance, checklist, heard);
            self.probes.want(self.view, instance, checklist, &health);
            self.findings.note(instance, checklist, &health);
            health
        } else if may_recover(self.view, instance) {
            judge::recover(instance, checklist, heard)
        } else {
            return;
        };
        if health.verdict == Verdict::Condemned && instance.health.verdict != Verdict::Condemned {
            self.condemned += 1;
        }
        if let Cow::Owned(health) = health {
            self.judgements.push(Action::Judge { instance: instance.key, health });
        }
    }

    /// Whether the visits tell which failure is the latest, where `lost` was, of one that was visited.
    pub(crate) fn make_up_for(&self, lost: Option<&LastFailure>) -> bool {
        lost.is_none_or(|lost| self.findings.make_up_for(lost))
    }

    /// What follows, and what the next round may rely on; nothing, where it has to visit all.
    pub(crate) fn end(self) -> (Decision, Option<Rest>) {
        let mut decision = Decision::idle();
        decision.actions = self.judgements;
        decision.actions.extend(breaker::remember(self.view, self.condemned));
        decision.actions.extend(self.probes.actions());
        let rest = self.findings.all_mapped().then(|| Rest {
            last_failure: self.findings.last_failure().cloned(),
            restless: decision.actions.iter().filter_map(whom).collect(),
        });
        decision.report = self.findings.report();
        (decision, rest)
    }
}

/// Whether answers of an instance mean anything. One that is ending keeps the verdict that it had; one of an app that is
/// no longer declared is about to end.
fn is_checked(view: &View<'_>, instance: &Instance) -> bool {
    view.app.declared.is_some() && instance.is_wanted() && instance.condition == Condition::Running
}

/// Whether of its answers only successes mean anything: on an agent that does not answer it keeps the verdict that it
/// had, unless it answers itself.
fn may_recover(view: &View<'_>, instance: &Instance) -> bool {
    view.app.declared.is_some() && instance.is_wanted() && instance.condition == Condition::Unreachable
}

/// Which instance an action of this controller is about.
fn whom(action: &Action) -> Option<InstanceKey> {
    match action {
        Action::Judge { instance, .. } | Action::StopProbe { instance, .. } => Some(*instance),
        Action::StartProbe(probe) => Some(probe.instance),
        _ => None,
    }
}
