//! How many instances each revision has, and what can be counted on.

use ekiden_model::revision::Standing;
use ekiden_model::{AppState, Census, Revision, RevisionId};

use crate::plan::Plan;

/// The instances of one revision, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// All that we know of, ended ones included until they are forgotten.
    pub(crate) known: u32,
    /// Those that live and shall.
    pub(crate) wanted: u32,
    /// Those of `wanted` whose agent does not answer.
    pub(crate) unreachable: u32,
    /// Those that live and shall not, and whose agent answers.
    pub(crate) ending: u32,
    /// Those of `wanted` that are healthy.
    pub(crate) healthy: u32,
    /// Those of `healthy` that are ready, too: the only ones that count as updated.
    pub(crate) serving: u32,
    /// Those of `wanted` that run, are not known to be healthy nor unhealthy, and belong to a proven revision. Likely
    /// they serve; a check was added with the new revision, say. They are not taken for healthy, but not for
    /// worthless either.
    pub(crate) presumed: u32,
    /// Those of `wanted` that run and are not healthy.
    pub(crate) ailing: u32,
    /// Those that were launched, could have come to serve, and do not: what the progress deadline counts.
    pub(crate) trying: u32,
}

/// The tally of each revision.
pub(crate) struct Tallies {
    rows: Vec<(RevisionId, Tally)>,
}

impl Tallies {
    /// Counts the instances of `app` for the revisions of `plan`; `declared` is the one that the declaration asks for.
    pub(crate) fn count(app: &AppState, plan: &Plan, declared: RevisionId) -> Self {
        let asks_readiness = app.declared.as_ref().is_some_and(|declared| declared.app.readiness.is_some());
        let rows = plan.revisions.iter().map(|revision| {
            let asks_readiness = asks_readiness && (revision.id == declared || had_readiness(revision));
            (revision.id, Tally::of(app.instances.census(revision.id), revision, asks_readiness))
        });
        Self { rows: rows.collect() }
    }

    /// The tally of one revision.
    pub(crate) fn of(&self, id: RevisionId) -> Tally {
        self.rows.iter().find(|(row, _)| *row == id).map(|(_, tally)| *tally).unwrap_or_default()
    }

    /// The tallies of all revisions but one.
    pub(crate) fn others(&self, id: RevisionId) -> impl Iterator<Item = Tally> + '_ {
        self.rows.iter().filter(move |(row, _)| *row != id).map(|(_, tally)| *tally)
    }

    /// The tallies of all revisions.
    pub(crate) fn all(&self) -> impl Iterator<Item = Tally> + '_ {
        self.rows.iter().map(|(_, tally)| *tally)
    }
}

/// Whether the revision was declared with a readiness check. Instances of an older revision that was not are never
/// asked; demanding an answer of them would declare all of them worthless at the moment the check is added.
fn had_readiness(revision: &Revision) -> bool {
    revision.app.readiness.is_some()
}

impl Tally {
    /// Those that take up room under the ceiling: all that live, ending ones included. Unreachable ones do not; else
    /// a lost agent would hold up a rollout for as long as it is waited for.
    pub(crate) fn present(&self) -> u32 {
        self.wanted - self.unreachable + self.ending
    }

    fn of(census: Census, revision: &Revision, asks_readiness: bool) -> Self {
        let Census {
            known,
            wanted,
            starting: _,
            running,
            healthy,
            ready,
            unjudged,
            unreachable,
            ending,
            given_up,
        } = census;
        let serving = if asks_readiness { ready } else { healthy };
        let is_proven = matches!(revision.standing, Standing::Proven(_));
        Self {
            known,
            wanted,
            unreachable,
            ending,
            healthy,
            serving,
            presumed: if is_proven { unjudged } else { 0 },
            ailing: running - healthy,
            // Who serves is on an agent that answers.
            trying: wanted - unreachable - serving + given_up,
        }
    }
}
