//! What `health` remembers of its last round of an app's instances, so that the next one visits those that need it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::app::App;
use crate::app_state::AppState;
use crate::id::{InstanceKey, RevisionId};
use crate::time::Timestamp;

/// A round in which all instances were looked at, or all that were not at rest since the one before. Kept with the
/// instances, which note in it who changes; whoever else is at rest: the same question has the same answer, nothing is
/// to be done.
///
/// What is probed is changed by the word of `health` only, or with the instance, so it need not be compared.
#[derive(Debug, Clone)]
pub struct Round {
    asked: Asked,
    /// The latest failure of an instance that fails.
    pub last_failure: Option<LastFailure>,
    /// Those of which something was wanted in the round, and those that changed since or are no more.
    pub restless: BTreeSet<InstanceKey>,
}

/// The latest failure of the instances that fail.
#[derive(Debug, Clone)]
pub struct LastFailure {
    /// When it was.
    pub at: Timestamp,
    /// Whose it was.
    pub instance: InstanceKey,
    /// Why it failed.
    pub cause: Arc<str>,
}

impl Round {
    /// A round of an app's instances, now, in which all were at rest and nobody failed.
    pub fn of(app: &AppState) -> Self {
        Self { asked: Asked::of(app), last_failure: None, restless: BTreeSet::new() }
    }
}

impl AppState {
    /// The last round of its instances, if the same was asked in it. Whoever takes it remembers the next one, or all
    /// instances are visited.
    pub fn take_round(&self) -> Option<Box<Round>> {
        self.instances.take_round().filter(|round| round.asked.is_of(self))
    }
}

/// Everything beside the instances and what is heard of them that a verdict depends on, or a probe.
#[derive(Debug, Clone)]
struct Asked {
    declared: Option<Arc<App>>,
    revisions: Vec<(RevisionId, Arc<App>)>,
}

impl Asked {
    fn of(app: &AppState) -> Self {
        let revisions = app.revisions.iter().map(|revision| (revision.id, revision.app.clone()));
        Self {
            declared: app.declared.as_ref().map(|declared| declared.app.clone()),
            revisions: revisions.collect(),
        }
    }

    /// Whether an app asks the same today. Declarations and revisions are replaced, never written to: the same place in
    /// memory is the same text.
    fn is_of(&self, app: &AppState) -> bool {
        let today = app.declared.as_ref().map(|declared| &declared.app);
        let same_declaration = match (&self.declared, today) {
            (Some(then), Some(today)) => Arc::ptr_eq(then, today),
            (then, today) => then.is_none() && today.is_none(),
        };
        let mut revisions = self.revisions.iter().zip(&app.revisions);
        same_declaration
            && self.revisions.len() == app.revisions.len()
            && revisions.all(|((id, then), today)| *id == today.id && Arc::ptr_eq(then, &today.app))
    }
}
