//! Which apps have changed with which revision of the world, so that a reader who knows an older one need not read all.
//!
//! A change is an app's name and a number, and no more: how the app is now, the latest snapshot says. A reader that was
//! slow finds several changes of one app folded into one, and costs nothing meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use ekiden_model::AppId;

/// How many changes are kept: some MB, and minutes of busy times.
pub const CHANGES_KEPT: usize = 65_536;

/// A revision of the world as clients name it. Those of one process count up; `boot` tells processes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorldRevision {
    /// Which process.
    pub boot: u64,
    /// 1, 2, 3, …
    pub number: u64,
}

/// The text is no revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a revision looks like `5f2c9a1e.42`: take it from a line of the stream")]
pub struct WorldRevisionError;

/// Not all changes since then are kept: everything is to be read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the changes since then are no longer kept")]
pub struct Forgotten;

/// The latest changes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    /// All changes after this revision are kept.
    complete_after: u64,
    kept: VecDeque<(u64, AppId)>,
}

impl Changes {
    /// Notes what changed with a revision; before it is shown to readers.
    pub(super) fn note(&self, revision: u64, apps: Vec<AppId>) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.kept.extend(apps.into_iter().map(|app| (revision, app)));
        while ring.kept.len() > CHANGES_KEPT {
            if let Some((revision, _)) = ring.kept.pop_front() {
                ring.complete_after = revision;
            }
        }
    }

    /// The apps that have changed after one revision and up to another, each with its last change, in the order of
    /// these.
    pub fn between(&self, after: u64, to: u64) -> Result<Vec<(u64, AppId)>, Forgotten> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if after < ring.complete_after {
            return Err(Forgotten);
        }
        let start = ring.kept.partition_point(|(revision, _)| *revision <= after);
        let end = ring.kept.partition_point(|(revision, _)| *revision <= to);
        let last: BTreeMap<&AppId, u64> =
            ring.kept.range(start..end.max(start)).map(|(revision, app)| (app, *revision)).collect();
        let mut changes: Vec<(u64, AppId)> =
            last.into_iter().map(|(app, revision)| (revision, app.clone())).collect();
        changes.sort_unstable();
        Ok(changes)
    }
}

impl fmt::Display for WorldRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.boot, self.number)
    }
}

impl FromStr for WorldRevision {
    type Err = WorldRevisionError;

    fn from_str(text: &str) -> Result<Self, WorldRevisionError> {
        let (boot, number) = text.trim().split_once('.').ok_or(WorldRevisionError)?;
        Ok(Self {
            boot: u64::from_str_radix(boot, 16).map_err(|_| WorldRevisionError)?,
            number: number.parse().map_err(|_| WorldRevisionError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> AppId {
        AppId::parse(text).expect("a good id")
    }

    #[test]
    fn changes_of_one_app_are_folded_into_its_last() {
        let changes = Changes::default();
        changes.note(1, vec![id("/a"), id("/b")]);
        changes.note(2, vec![id("/c")]);
        changes.note(4, vec![id("/a")]);
        assert_eq!(changes.between(0, 4), Ok(vec![(1, id("/b")), (2, id("/c")), (4, id("/a"))]));
        assert_eq!(changes.between(1, 3), Ok(vec![(2, id("/c"))]));
        assert_eq!(changes.between(4, 4), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_longer_complete_is_said() {
        let changes = Changes::default();
        for revision in 1..=CHANGES_KEPT as u64 + 2 {
            changes.note(revision, vec![id("/a")]);
        }
        assert_eq!(changes.between(1, 9), Err(Forgotten));
        assert!(changes.between(2, 9).is_ok());
    }

    #[test]
    fn a_revision_reads_back() {
        let revision = WorldRevision { boot: 0x5f2c, number: 42 };
        assert_eq!(revision.to_string(), "5f2c.42");
        assert_eq!("5f2c.42".parse(), Ok(revision));
        for wrong in ["", "42", "x.1", "1.", "1.-1"] {
            assert_eq!(wrong.parse::<WorldRevision>(), Err(WorldRevisionError), "{wrong}");
        }
    }
}
