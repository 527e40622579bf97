//! All samples of one instance together: from what was known to what is known now.

use std::borrow::Cow;

use ekiden_model::health::{CheckState, Health, Outcome, ProbeKind, Readiness, Verdict};
use ekiden_model::view::Sample;
use ekiden_model::{Instance, InstanceKey};

use crate::check::{Step, failed_before_it_ran, is_too_often, learn};
use crate::checklist::{Checklist, Item};

/// Samples in the order of the instances that they are about; of one instance, oldest first.
pub(crate) struct Samples<'a>(Vec<&'a Sample>);

impl<'a> Samples<'a> {
    pub(crate) fn by_instance(samples: &'a [Sample]) -> Self {
        let mut samples: Vec<&Sample> = samples.iter().collect();
        // Stable: those of one instance stay in the order in which they were heard.
        samples.sort_by_key(|sample| sample.instance);
        Self(samples)
    }

    /// Whom something was heard of, in order; of whom more was heard, more than once.
    pub(crate) fn instances(&self) -> impl Iterator<Item = InstanceKey> {
        self.0.iter().map(|sample| sample.instance)
    }

    /// Those of one instance.
    pub(crate) fn of(&self, instance: InstanceKey) -> &[&'a Sample] {
        let begin = self.0.partition_point(|sample| sample.instance < instance);
        let end = self.0.partition_point(|sample| sample.instance <= instance);
        &self.0[begin..end]
    }
}

/// What is known of an instance that is checked, after these samples; borrowed when that is nothing new.
pub(crate) fn judge<'a>(
    instance: &'a Instance,
    checklist: &Checklist<'_>,
    samples: &[&Sample],
) -> Cow<'a, Health> {
    let mut health = Cow::Borrowed(&instance.health);
    if !fits(&health.checks, &checklist.checks) {
        health.to_mut().checks = refit(&health.checks, &checklist.checks);
    }
    let mut condemned =
        health.verdict == Verdict::Condemned && failed_since_it_runs(instance, checklist, &health.checks);
    for sample in samples {
        match sample.kind {
            ProbeKind::Readiness => learn_readiness(&mut health, checklist, sample),
            ProbeKind::Health(index) => {
                let step = learn_health(&mut health, checklist, index as usize, instance, sample);
                condemned |= step == Step::Condemned;
            }
        }
    }
    // A success may have ended the run of failures, or an edit have taken away the check or its limit.
    let verdict = if condemned && fails_too_often(checklist, &health.checks) {
        Verdict::Condemned
    } else {
        verdict(health.verdict, checklist.checks.len(), &health.checks)
    };
    if health.verdict != verdict {
        health.to_mut().verdict = verdict;
    }
    health
}

/// As [`judge`], of an instance on an agent that does not answer: a success that it was heard to answer all the same.
pub(crate) fn recover<'a>(
    instance: &'a Instance,
    checklist: &Checklist<'_>,
    samples: &[&Sample],
) -> Cow<'a, Health> {
    let is_success =
        |sample: &&Sample| sample.outcome == Outcome::Success && matches!(sample.kind, ProbeKind::Health(_));
    let successes: Vec<&Sample> = samples.iter().copied().filter(is_success).collect();
    if successes.is_empty() { Cow::Borrowed(&instance.health) } else { judge(instance, checklist, &successes) }
}

/// Whether a check that fails too often has failed since the instance runs, or runs again.
fn failed_since_it_runs(instance: &Instance, checklist: &Checklist<'_>, states: &[CheckState]) -> bool {
    let mut checks = checklist.checks.iter().zip(states);
    checks.any(|(item, state)| is_too_often(item.check, state) && !failed_before_it_ran(state, instance))
}

/// Whether some check's present run of failures is longer than it allows. By itself it condemns nobody, since an edit
/// of the limit may have made it so; but who is condemned is so no longer than this holds.
pub(crate) fn fails_too_often(checklist: &Checklist<'_>, states: &[CheckState]) -> bool {
    checklist.checks.iter().zip(states).any(|(item, state)| is_too_often(item.check, state))
}

/// The verdict on a running instance that is not condemned, from the states of its `wanted` checks and the verdict
/// `before`.
///
/// Whoever was healthy stays so while an edited check has not answered and none fails: it serves as it did before the
/// edit, and must be paid for like everybody who serves. Else an edit of a check's path together with the command would
/// let the rollout take all old instances at once, as nobody's loss.
pub(crate) fn verdict(before: Verdict, wanted: usize, states: &[CheckState]) -> Verdict {
    let answers = || states.iter().map(CheckState::alive);
    if states.len() < wanted || answers().any(|alive| alive.is_none()) {
        let stays = before == Verdict::Healthy && answers().all(|alive| alive != Some(false));
        if stays { Verdict::Healthy } else { Verdict::Unknown }
    } else if answers().all(|alive| alive == Some(true)) {
        Verdict::Healthy
    } else {
        Verdict::Unhealthy
    }
}

/// Whether the states are those of these checks. No states are those of any checks: nothing is known yet.
fn fits(states: &[CheckState], checks: &[Item<'_>]) -> bool {
    states.is_empty() || states.iter().map(|state| state.question).eq(checks.iter().map(|item| item.question))
}

/// Carries over what is known to the checks of today: each takes the first state of its question that no other has
/// taken. Empty when that leaves nothing known.
fn refit(states: &[CheckState], checks: &[Item<'_>]) -> Vec<CheckState> {
    let mut left: Vec<&CheckState> = states.iter().collect();
    let refitted: Vec<CheckState> = checks
        .iter()
        .map(|item| match left.iter().position(|state| state.question == item.question) {
            Some(at) => left.remove(at).clone(),
            None => blank(item),
        })
        .collect();
    if refitted.iter().all(|state| state.alive().is_none()) { Vec::new() } else { refitted }
}

fn blank(item: &Item<'_>) -> CheckState {
    CheckState { question: item.question, ..CheckState::default() }
}

fn learn_health(
    health: &mut Cow<'_, Health>,
    checklist: &Checklist<'_>,
    index: usize,
    instance: &Instance,
    sample: &Sample,
) -> Step {
    let Some(item) = checklist.checks.get(index) else {
        return Step::Ignored;
    };
    let mut state = health.checks.get(index).cloned().unwrap_or_else(|| blank(item));
    let step = learn(&mut state, item.check, instance, sample);
    // More of what condemned it already is no news, and no write.
    if step != Step::Ignored && health.checks.get(index) != Some(&state) {
        let states = &mut health.to_mut().checks;
        if states.is_empty() {
            *states = checklist.checks.iter().map(blank).collect();
        }
        states[index] = state;
    }
    step
}

fn learn_readiness(health: &mut Cow<'_, Health>, checklist: &Checklist<'_>, sample: &Sample) {
    if checklist.readiness.is_none() || health.readiness == Readiness::Ready {
        return;
    }
    let answer = match &sample.outcome {
        Outcome::Success => Readiness::Ready,
        Outcome::Failure(_) => Readiness::NotReady(sample.http_status),
        Outcome::NoResult(_) => return,
    };
    if health.readiness != answer {
        health.to_mut().readiness = answer;
    }
}
