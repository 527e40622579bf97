//! What the directory looks like at present, for people.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::{AppId, Timestamp};

use crate::manifest::Diagnostic;

/// The directory as it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryStatus {
    /// Which directory.
    pub root: PathBuf,
    /// How many manifests there are.
    pub files: usize,
    /// How many apps are declared by files, those kept from a last good version included.
    pub apps: usize,
    /// All that is wrong with it.
    pub diagnostics: Arc<[Diagnostic]>,
    /// The SHA-256 of each manifest's content, in hexadecimal, by its path.
    pub hashes: Arc<BTreeMap<Arc<str>, Arc<str>>>,
    /// Files of which the last good version is followed, because the present one cannot be.
    pub stale: Vec<Arc<str>>,
    /// Apps that are declared no more, and run on until somebody confirms.
    pub pending_prune: Option<PendingPrune>,
    /// The last scan; nothing before the first.
    pub last_scan: Option<LastScan>,
    /// How changes are noticed.
    pub following: Following,
}

/// Apps whose files are gone, too many at once to believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPrune {
    /// The apps, in order.
    pub apps: Vec<AppId>,
    /// How many apps were declared by files before.
    pub of: usize,
}

impl fmt::Display for PendingPrune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} apps are declared no more: they run on until you confirm that they shall stop, or their files \
             are back",
            self.apps.len(),
            self.of
        )
    }
}

/// One scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastScan {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// How changes are noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Following {
    /// By the system's events, and a slow timer beside them.
    Events,
    /// By looking often, since the system's events are not to be had.
    Polling {
        /// Why.
        because: String,
    },
}

impl DirectoryStatus {
    /// Of a directory that was not looked at yet.
    pub(super) fn before_first_scan(root: PathBuf) -> Self {
        Self {
            root,
            files: 0,
            apps: 0,
            diagnostics: Arc::new([]),
            hashes: Arc::default(),
            stale: Vec::new(),
            pending_prune: None,
            last_scan: None,
            following: Following::Events,
        }
    }
}
