//! Which revision the declaration asks for.

use ekiden_model::app_state::Declared;
use ekiden_model::{AppState, Revision, RevisionId};

use crate::plan::Plan;

/// Finds the revision that the declaration asks for, or opens it.
///
/// A declaration that differs from the newest revision only in policy asks for that revision. One that returns to an
/// older revision which still has instances (a revert while the rollout is under way) asks for that one: what runs of
/// it stays, and nothing is restarted, where Marathon relaunches everything (#1554). The older revision keeps its
/// number and its place; the rollout simply leads to it, and the newer one is dropped when its instances are gone.
/// One that returns to a revision without instances opens a new one: there is nothing to keep, and people see when
/// it was declared.
pub(crate) fn find_or_open(plan: &mut Plan, app: &AppState, declared: &Declared) -> RevisionId {
    let headed_for = plan.rollout.as_ref().map(|rollout| rollout.to);
    let newest = plan.revisions.last().map(|revision| revision.id);
    let asked_for =
        |revision: &&Revision| revision.restarts >= declared.restarts && revision.app.same_revision(&declared.app);
    let in_use = |revision: &&Revision| {
        Some(revision.id) == newest
            || Some(revision.id) == headed_for
            || revision.target > 0
            || app.instances.wanted().any(|instance| instance.revision == revision.id)
    };
    let found = plan.revisions.iter().rev().filter(asked_for).find(in_use).map(|revision| revision.id);
    found.unwrap_or_else(|| plan.open(declared))
}
