//! What wakes a scan: the system's events about folders.
//!
//! Events carry no information here beyond "look again". Each folder is watched for itself, as scans find them, so that
//! `.git` and other hidden folders cost no watches and wake nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::Following;

/// Watches folders.
#[derive(Debug)]
pub(super) struct Wake {
    root: PathBuf,
    watcher: Result<RecommendedWatcher, String>,
    watched: BTreeSet<PathBuf>,
    /// Folders that could not be watched, with the reason.
    refused: BTreeMap<PathBuf, String>,
    moved: Arc<Mutex<Moved>>,
}

/// Paths that have stood for something else since the last look: a watch on them is a watch on what was there before.
#[derive(Debug, Default)]
struct Moved {
    paths: BTreeSet<PathBuf>,
    overflow: bool,
}

/// Most paths remembered as moved; more of them, and every folder is watched anew. As many as a checkout of a large
/// tree renames, at some 100 bytes each.
const MOVED_MOST: usize = 4096;

impl Wake {
    /// Watches nothing yet; `woken` is told of every event about the directory `root` (an absolute path).
    pub(super) fn new(root: PathBuf, woken: Arc<Notify>) -> Self {
        let moved = Arc::new(Mutex::new(Moved::default()));
        let (seen, about) = (moved.clone(), root.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error may mean that events were lost: that is a reason to look, too.
            if event.is_ok_and(|event| !concerns(&event, &about, &seen)) {
                return;
            }
            woken.notify_one();
        });
        let watcher = watcher.map_err(|error| reason(&error));
        let mut wake = Self { root, watcher, watched: BTreeSet::new(), refused: BTreeMap::new(), moved };
        // The root may be swapped for another, or come into being later: its parent says so. Where the parent cannot be
        // watched, the timer finds out.
        if let (Some(parent), Ok(watcher)) = (wake.root.parent(), &mut wake.watcher) {
            let _ = watcher.watch(parent, RecursiveMode::NonRecursive);
        }
        wake
    }

    /// Watches exactly these folders. Blocks briefly. Says whether any of them was not watched before: then something
    /// may have happened in it before it was, and another scan is due.
    pub(super) fn follow(&mut self, folders: &[PathBuf]) -> bool {
        let moved = std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner));
        let Ok(watcher) = &mut self.watcher else { return false };
        let wanted: BTreeSet<&PathBuf> = folders.iter().collect();
        let is_stale =
            |folder: &Path| moved.overflow || folder.ancestors().any(|above| moved.paths.contains(above));
        // First all that goes, then all that comes: a folder that was renamed is one watch under two names.
        self.watched.retain(|folder| {
            let keep = wanted.contains(folder) && !is_stale(folder);
            if !keep {
                // It fails when the folder is gone, and the watch with it.
                let _ = watcher.unwatch(folder);
            }
            keep
        });
        let before: BTreeSet<PathBuf> = std::mem::take(&mut self.refused).into_keys().collect();
        let mut added = false;
        for folder in folders {
            if self.watched.contains(folder) {
                continue;
            }
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    added = true;
                    self.watched.insert(folder.clone());
                }
                Err(error) => {
                    added |= !before.contains(folder);
                    self.refused.insert(folder.clone(), reason(&error));
                }
            }
        }
        added
    }

    /// How changes are noticed now.
    pub(super) fn following(&self) -> Following {
        let because = match (&self.watcher, self.refused.values().next()) {
            (Ok(_), None) => return Following::Events,
            (Err(reason), _) | (Ok(_), Some(reason)) => reason.clone(),
        };
        Following::Polling { because }
    }
}

/// Whether an event is about the directory; notes what was renamed or removed.
fn concerns(event: &Event, root: &Path, moved: &Mutex<Moved>) -> bool {
    // Reading a file is an event as well, and scans read.
    let is_reading = matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
    let is_ours = event.need_rescan() || event.paths.iter().any(|path| path.starts_with(root));
    if is_reading || !is_ours {
        return false;
    }
    if matches!(event.kind, EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
        let mut moved = moved.lock().unwrap_or_else(PoisonError::into_inner);
        if moved.paths.len() < MOVED_MOST {
            moved.paths.extend(event.paths.iter().cloned());
        } else {
            moved.overflow = true;
        }
    }
    true
}

fn reason(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system's limit of watches is reached; raise fs.inotify.max_user_watches".to_owned()
        }
        ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "the system's limit of watchers is reached; raise fs.inotify.max_user_instances".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_folder_that_cannot_be_watched_is_polled() {
        let dir = tempfile::tempdir().unwrap();
        let mut wake = Wake::new(dir.path().to_owned(), Arc::new(Notify::new()));
        let root = dir.path().to_owned();
        assert!(wake.follow(std::slice::from_ref(&root)));
        assert_eq!(wake.following(), Following::Events);
        let missing = root.join("missing");
        assert!(wake.follow(&[root.clone(), missing.clone()]));
        assert!(matches!(wake.following(), Following::Polling { .. }));
        assert!(!wake.follow(&[root.clone(), missing]), "nothing new was watched");
        assert!(!wake.follow(&[root]));
        assert_eq!(wake.following(), Following::Events);
    }

    #[test]
    fn limits_are_told_by_the_name_of_the_setting() {
        let limit = reason(&notify::Error::new(ErrorKind::MaxFilesWatch));
        assert!(limit.ends_with("raise fs.inotify.max_user_watches"), "{limit}");
        let errno = rustix::io::Errno::MFILE.raw_os_error();
        let limit = reason(&notify::Error::io(std::io::Error::from_raw_os_error(errno)));
        assert!(limit.ends_with("raise fs.inotify.max_user_instances"), "{limit}");
    }

    #[tokio::test]
    async fn reading_wakes_nobody_and_writing_does() {
        let dir = tempfile::tempdir().unwrap();
        let woken = Arc::new(Notify::new());
        let mut wake = Wake::new(dir.path().to_owned(), woken.clone());
        wake.follow(&[dir.path().to_owned()]);
        let file = dir.path().join("web.yaml");
        let next = async || tokio::time::timeout(Duration::from_secs(20), woken.notified()).await.unwrap();
        std::fs::write(&file, "a").unwrap();
        next().await;
        // All events of the write have arrived when those of a later one have.
        let later = dir.path().join("later");
        while !wake.moved.lock().unwrap().paths.contains(&later) {
            std::fs::write(&later, "b").unwrap();
            next().await;
        }
        let about = |kind| concerns(&Event::new(kind).add_path(file.clone()), dir.path(), &wake.moved);
        assert!(!about(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!about(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(about(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        let elsewhere = Event::new(EventKind::Any).add_path(dir.path().with_file_name("elsewhere"));
        assert!(!concerns(&elsewhere, dir.path(), &wake.moved));
    }
}
