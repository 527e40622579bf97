//! More instances of a revision than its target: the surplus is killed, as far as the budget permits.

use ekiden_model::instance::Condition;
use ekiden_model::report::KillCause;
use ekiden_model::{Instance, RevisionId};

use crate::draft::Draft;
use crate::victims;

/// Kills what is too many of each revision, old revisions first.
pub(crate) fn kill(draft: &mut Draft<'_>) {
    let revisions: Vec<RevisionId> = draft.view.app.instances.by_revision().map(|(id, _)| id).collect();
    for revision in revisions {
        let target = draft.target(revision);
        if target == 0 {
            // All of it goes, what does not count included: it is not to come back either.
            let all = of_revision(draft, revision, |draft, instance| draft.is_wanted(instance));
            let surplus = all.len();
            kill_some(draft, revision, all, surplus);
        } else if draft.counted(revision) > target {
            let surplus = draft.counted(revision) - target;
            let all = of_revision(draft, revision, |draft, instance| draft.counts(instance));
            kill_some(draft, revision, all, surplus as usize);
        }
    }
}

fn of_revision<'a>(
    draft: &Draft<'a>,
    revision: RevisionId,
    is_candidate: impl Fn(&Draft<'a>, &Instance) -> bool,
) -> Vec<&'a Instance> {
    let all = draft.view.app.instances.iter();
    all.filter(|instance| instance.revision == revision && is_candidate(draft, instance)).collect()
}

fn kill_some(draft: &mut Draft<'_>, revision: RevisionId, candidates: Vec<&Instance>, mut surplus: usize) {
    if candidates.is_empty() || !draft.is_settled() {
        return;
    }
    let cause = cause(draft, revision);
    for victim in victims::in_order(draft, revision, candidates) {
        if surplus == 0 {
            break;
        }
        let cause =
            if victim.beside_another && cause == KillCause::ScaledIn { KillCause::Returned } else { cause };
        if draft.kill(victim.instance, cause) {
            surplus -= 1;
        }
    }
}

/// Why the surplus of a revision goes.
fn cause(draft: &Draft<'_>, revision: RevisionId) -> KillCause {
    if draft.declared.is_none() {
        KillCause::Removed
    } else if is_replaced(draft, revision) {
        KillCause::Replaced
    } else {
        KillCause::ScaledIn
    }
}

/// Whether a rollout leads away from this revision.
pub(crate) fn is_replaced(draft: &Draft<'_>, revision: RevisionId) -> bool {
    let app = draft.view.app;
    let destination =
        app.rollout.as_ref().map(|rollout| rollout.to).or_else(|| app.newest().map(|newest| newest.id));
    destination != Some(revision)
}

/// Marathon's weight of a condition (§4.4): what is least useful goes first.
pub(crate) fn weight(condition: Condition) -> u8 {
    match condition {
        Condition::Unreachable => 1,
        Condition::Provisioned | Condition::Staging => 2,
        Condition::Starting => 3,
        Condition::Running => 4,
        _ => 5,
    }
}
