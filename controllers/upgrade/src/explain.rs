//! What a rollout waits for, for people.

use ekiden_model::budget::Bounds;
use ekiden_model::revision::{Phase, Standing};
use ekiden_model::{Reason, Report, RevisionId, View};

use crate::plan::Plan;
use crate::tally::Tallies;

/// Says what is waited for. Instances that have no place yet or have not started are the business of `instances`.
pub(crate) fn report(
    plan: &Plan,
    view: &View<'_>,
    tallies: &Tallies,
    declared: RevisionId,
    bounds: Bounds,
) -> Report {
    let mut report = Report::empty();
    let Some(rollout) = &plan.rollout else { return report };
    let to = rollout.to;
    let new = tallies.of(to);
    if let Some(Standing::Failed(at)) = plan.revision(declared).map(|revision| revision.standing) {
        let last = view.app.last_failure.clone().filter(|failure| failure.revision == declared);
        report.push(Reason::RolloutFailed { revision: declared, at, last });
        if to != declared {
            report.push(Reason::RolledBack { failed: declared, to });
        }
    }
    match rollout.phase {
        Phase::Waiting => {
            if let Some(what) = view.unsupported {
                report.push(Reason::Unsupported { what: what.into() });
            }
            for dependency in view.dependencies.iter().filter(|dependency| !dependency.satisfied) {
                report.push(Reason::AwaitingDependency {
                    app: dependency.app.clone(),
                    healthy: dependency.healthy,
                    wanted: dependency.wanted,
                });
            }
        }
        Phase::Paused => report.push(Reason::Paused { to, updated: new.serving, wanted: view.desired }),
        Phase::Rolling | Phase::RollingBack { .. } => {
            let is_exchange = plan.revision(to).is_none_or(|revision| revision.standing == Standing::Unproven)
                || tallies.others(to).any(|old| old.wanted > 0);
            if is_exchange {
                report.push(Reason::RollingOut { to, updated: new.serving, wanted: view.desired });
            }
            if let Some(reason) = floor_in_the_way(plan, view, tallies, to, bounds) {
                report.push(reason);
            }
        }
        Phase::Complete | Phase::Failed => {}
    }
    if new.ailing > 0 {
        report.push(Reason::AwaitingHealth { count: new.ailing, revision: to });
    }
    let unready = new.healthy - new.serving;
    if unready > 0 {
        report.push(Reason::AwaitingReadiness { count: unready, revision: to });
    }
    report
}

/// The floor is what holds a rollout when old instances must stay, and leave no room for all of the new ones.
fn floor_in_the_way(
    plan: &Plan,
    view: &View<'_>,
    tallies: &Tallies,
    to: RevisionId,
    bounds: Bounds,
) -> Option<Reason> {
    let healthy: u32 = tallies.all().map(|tally| tally.healthy).sum();
    let old_stay = plan.revisions.iter().any(|revision| revision.id != to && revision.target > 0);
    let target = plan.revision(to)?.target;
    let in_the_way = old_stay && target < view.desired && healthy <= bounds.floor;
    in_the_way.then_some(Reason::AtFloor { healthy, floor: bounds.floor })
}
