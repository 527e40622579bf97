//! When a passage is complete, and what is kept of it.

use ekiden_model::revision::{Phase, Standing};
use ekiden_model::{RevisionId, View};

use crate::passage::Course;
use crate::plan::Plan;
use crate::tally::Tallies;

/// How many proven revisions without instances are kept beside the one that runs. A rollback goes to the last proven
/// one and never further, so one is all that is ever used; each is a whole declaration in the store.
const KEPT_FOR_ROLLBACK: usize = 1;

/// Completes the passage when all instances there shall be are there, of one revision, and serve.
///
/// A rollout that stands still completes, too, once this is so: one that has failed and whose instances then came up
/// after all has nothing more to wait for.
pub(crate) fn recognise(plan: &mut Plan, view: &View<'_>, tallies: &Tallies, course: &Course) {
    let new = tallies.of(course.to);
    let is_there = new.serving == view.desired && new.wanted - new.unreachable == view.desired;
    let is_alone = tallies.others(course.to).all(|old| old.wanted == 0);
    let is_meant = plan.revisions.iter().all(|r| r.target == if r.id == course.to { view.desired } else { 0 });
    if !(is_there && is_alone && is_meant) {
        return;
    }
    if let Some(rollout) = &mut plan.rollout {
        rollout.phase = Phase::Complete;
    }
    let standing = plan.revision(course.to).map(|revision| revision.standing);
    match standing {
        Some(Standing::Unproven | Standing::Failed(_)) if view.desired > 0 => {
            plan.stand(course.to, Standing::Proven(view.now));
        }
        // Nothing of it is left. Who scales it up again asks for another try.
        Some(Standing::Failed(_)) => plan.stand(course.to, Standing::Unproven),
        _ => {}
    }
}

/// Drops the revisions that nothing needs: that have no instances, that the passage neither leads to nor was declared
/// for, and that nobody would go back to.
pub(crate) fn drop_unneeded(plan: &mut Plan, tallies: &Tallies, declared: RevisionId) {
    let to = plan.rollout.as_ref().map(|rollout| rollout.to);
    let mut proven: Vec<_> = plan
        .revisions
        .iter()
        .filter(|revision| Some(revision.id) != to)
        .filter_map(|revision| match revision.standing {
            Standing::Proven(at) => Some((at, revision.id)),
            _ => None,
        })
        .collect();
    proven.sort_unstable();
    let kept: Vec<RevisionId> = proven.into_iter().rev().take(KEPT_FOR_ROLLBACK).map(|(_, id)| id).collect();
    plan.revisions.retain(|revision| {
        let id = revision.id;
        tallies.of(id).known > 0 || revision.target > 0 || Some(id) == to || id == declared || kept.contains(&id)
    });
}
