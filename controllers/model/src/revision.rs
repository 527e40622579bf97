//! Revisions of an app and the passage from one to the next.

use std::sync::Arc;

use crate::app::App;
use crate::id::RevisionId;
use crate::time::Timestamp;

/// One immutable version of what an app's instances run.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Its number; later ones are larger, and none is given twice.
    pub id: RevisionId,
    /// When it was declared: the version that Marathon's API shows.
    pub version: Timestamp,
    /// The declaration that opened it. Policy in here is history: the app's latest declaration has today's.
    pub app: Arc<App>,
    /// The restarts asked for until then (`Declared::restarts`): one more takes a new revision of the same template.
    pub restarts: u32,
    /// How many instances `upgrade` wants of it, at present.
    pub target: u32,
    /// What is known of it.
    pub standing: Standing,
}

/// What is known of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was never complete yet.
    Unproven,
    /// All of its instances were healthy and ready at once, at that time: it can be rolled back to.
    Proven(Timestamp),
    /// Its rollout failed, at that time. Never started again by itself.
    Failed(Timestamp),
}

/// Where an app's passage between revisions stands. Scaling is a passage from a revision to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The revision that all instances shall have.
    pub to: RevisionId,
    /// What is going on.
    pub phase: Phase,
    /// When the passage began.
    pub since: Timestamp,
    /// When an instance of the new revision last became healthy and ready, or the passage began or was resumed:
    /// what the progress deadline counts from.
    pub progress: Timestamp,
    /// The most instances of the new revision that were healthy and ready at once during the passage: what counts
    /// as progress is exceeding this.
    pub best: u32,
    /// Since when the progress deadline does not count, because nothing of the new revision was launched that could
    /// make progress (it waits for a place), or nothing reliable is known; `None` while it counts.
    pub held: Option<Timestamp>,
    /// How many instances the targets were last set for: tells scaling from a surge while the passage stands still.
    pub wanted: u32,
    /// The highest number that a revision of this app ever had, so that none is given twice.
    pub highest: RevisionId,
}

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Dependencies are not healthy yet, or the cluster cannot run what is declared while it runs what was: nothing was
    /// started.
    Waiting,
    /// Instances are being replaced, started or stopped.
    Rolling,
    /// It stands still, because its declaration says so.
    Paused,
    /// All instances are there, of one revision, healthy and ready. Entered once per passage.
    Complete,
    /// No progress before the deadline; it stands still until the declaration changes.
    Failed,
    /// It goes back to the last proven revision after the failure of the given one.
    RollingBack {
        /// The one that failed.
        failed: RevisionId,
    },
}
