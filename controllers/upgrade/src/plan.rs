//! The copy of an app's revisions and rollout that a decision works on, and the actions that make the app like it.

use std::sync::Arc;

use ekiden_model::app_state::Declared;
use ekiden_model::revision::{Rollout, Standing};
use ekiden_model::{Action, AppState, Revision, RevisionId};

/// What shall be.
pub(crate) struct Plan {
    /// The revisions, oldest first.
    pub(crate) revisions: Vec<Revision>,
    /// Where the passage between them stands.
    pub(crate) rollout: Option<Rollout>,
}

impl Plan {
    /// What is.
    pub(crate) fn of(app: &AppState) -> Self {
        Self { revisions: app.revisions.clone(), rollout: app.rollout.clone() }
    }

    /// What leads from `app` to this plan, in an order in which each may be folded in on its own: no target is set
    /// for, and no passage leads to, a revision that is not there.
    pub(crate) fn actions(self, app: &AppState) -> Vec<Action> {
        let mut actions = Vec::new();
        for old in &app.revisions {
            if self.revision(old.id).is_none() {
                actions.push(Action::DropRevision { revision: old.id });
            }
        }
        for new in self.revisions {
            let Some(old) = app.revision(new.id) else {
                actions.push(Action::OpenRevision(Box::new(new)));
                continue;
            };
            if old.target != new.target {
                actions.push(Action::SetTarget { revision: new.id, target: new.target });
            }
            if old.standing != new.standing {
                actions.push(Action::Stand { revision: new.id, standing: new.standing });
            }
        }
        if let Some(rollout) = self.rollout.filter(|rollout| Some(rollout) != app.rollout.as_ref()) {
            actions.push(Action::Pass(Box::new(rollout)));
        }
        actions
    }

    /// One of the revisions.
    pub(crate) fn revision(&self, id: RevisionId) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.id == id)
    }

    /// One of the revisions, to change it.
    pub(crate) fn revision_mut(&mut self, id: RevisionId) -> Option<&mut Revision> {
        self.revisions.iter_mut().find(|revision| revision.id == id)
    }

    /// Changes what is known of a revision.
    pub(crate) fn stand(&mut self, id: RevisionId, standing: Standing) {
        if let Some(revision) = self.revision_mut(id) {
            revision.standing = standing;
        }
    }

    /// Adds a revision for a declaration, and returns its number.
    pub(crate) fn open(&mut self, declared: &Declared) -> RevisionId {
        let kept = self.revisions.iter().map(|revision| revision.id);
        let highest = kept.chain(self.rollout.iter().map(|rollout| rollout.highest)).max();
        let id = RevisionId(highest.map_or(1, |RevisionId(number)| number.saturating_add(1)));
        self.revisions.push(Revision {
            id,
            version: declared.version,
            app: Arc::clone(&declared.app),
            restarts: declared.restarts,
            target: 0,
            standing: Standing::Unproven,
        });
        id
    }

    /// The revision to go back to, should `from` fail: the one that was proven last. Of two proven at the same time it
    /// is the later one.
    pub(crate) fn last_proven(&self, from: RevisionId) -> Option<RevisionId> {
        let proven = self.revisions.iter().filter(|revision| revision.id != from).filter_map(|revision| {
            let Standing::Proven(at) = revision.standing else { return None };
            Some((at, revision.id))
        });
        proven.max().map(|(_, id)| id)
    }
}
