//! Following a directory: when to scan, and what to tell.
//!
//! The stream does the work while it is polled; there is no task to stop, and a slow reader slows the scans instead of
//! filling a queue. Files are only touched on blocking threads.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app_state::Source;
use ekiden_model::input::Desired;
use ekiden_model::{App, Timestamp};
use futures_util::{Stream, stream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::commit::commit_of;
use super::wake::Wake;
use super::{Bounds, DirectoryStatus, Following, Intent, LastScan, PrunePolicy, Scan, Scanner};
use crate::manifest::Diagnostic;

/// How a directory is followed.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// How much of it is read.
    pub bounds: Bounds,
    /// How long to wait for an edit to be over.
    pub debounce: Debounce,
    /// Time between scans that nothing asks for: the safety net under events that are lost, or that a file system (NFS)
    /// does not send.
    pub rescan: Duration,
    /// The same, where the system gives no events.
    pub poll: Duration,
    /// How long to wait for git to let go of the lock of its index, and how long to put off withdrawals while the
    /// directory does not hold still. After that, what is found is believed: a lock may be left over from a crash, and
    /// some directories never hold still.
    pub patience: Duration,
    /// When a loss is too large to be believed.
    pub prune: PrunePolicy,
    /// What files declared before, from the store: see [`Intent::resume`].
    pub known: Vec<(Arc<App>, Source)>,
}

/// When a series of events is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debounce {
    /// When there was none for so long.
    pub quiet: Duration,
    /// Not later than this, so that a directory that does not hold still is followed, too. Nothing is withdrawn then, up
    /// to [`WatchOptions::patience`].
    pub at_most: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            // Editors save within a few milliseconds, git writes hundreds of files in a second without ever pausing for
            // 100 ms, and people notice a wait of more.
            debounce: Debounce { quiet: Duration::from_millis(100), at_most: Duration::from_secs(2) },
            rescan: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            patience: Duration::from_secs(10),
            prune: PrunePolicy::default(),
            known: Vec::new(),
        }
    }
}

/// The change sets, one after the other. It must be polled for anything to happen.
pub type DesiredStream = Pin<Box<dyn Stream<Item = Desired> + Send>>;

/// A directory that is being followed, from outside.
#[derive(Debug, Clone)]
pub struct DirectoryHandle {
    status: watch::Receiver<DirectoryStatus>,
    confirm: mpsc::Sender<oneshot::Sender<usize>>,
    wake: Arc<Notify>,
}

impl DirectoryHandle {
    /// The status, now and as it changes.
    pub fn status(&self) -> watch::Receiver<DirectoryStatus> {
        self.status.clone()
    }

    /// Confirms that all apps of the pending prune shall stop. Says how many that were; 0 when nothing was pending, or
    /// the directory is not followed any more.
    pub async fn confirm_prune(&self) -> usize {
        let (answer, answered) = oneshot::channel();
        match self.confirm.send(answer).await {
            Ok(()) => answered.await.unwrap_or(0),
            Err(_) => 0,
        }
    }

    /// Looks again now, as after an event.
    pub fn rescan(&self) {
        self.wake.notify_one();
    }
}

/// Follows the directory `root`, which need not exist yet. The first change set comes from the first scan that
/// succeeds.
pub fn watch(root: &Path, options: WatchOptions) -> (DirectoryHandle, DesiredStream) {
    // It only fails for an empty path, or when the current directory is gone; the scan will say it.
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let (status, seen) = watch::channel(DirectoryStatus::before_first_scan(root.clone()));
    // Whoever confirms waits for the answer, so one place is enough.
    let (confirm, confirmations) = mpsc::channel(1);
    let wake = Arc::new(Notify::new());
    let handle = DirectoryHandle { status: seen, confirm, wake: wake.clone() };
    let follower = Follower {
        intent: Intent::resume(options.prune, options.known.iter().cloned()),
        eyes: Some(Eyes::new(options.bounds)),
        last: None,
        restless_since: None,
        next: Next::Scan,
        root,
        options,
        wake,
        status,
        confirmations,
    };
    let changes = stream::unfold(follower, |mut follower| async {
        let mut change = follower.next_change().await;
        change.commit = commit_of(&follower.root, &change).await;
        Some((change, follower))
    });
    (handle, Box::pin(changes))
}

struct Follower {
    root: PathBuf,
    options: WatchOptions,
    intent: Intent,
    /// Lent to a blocking thread during a scan.
    eyes: Option<Eyes>,
    last: Option<Scan>,
    /// Since when the directory has not held still.
    restless_since: Option<Instant>,
    next: Next,
    wake: Arc<Notify>,
    status: watch::Sender<DirectoryStatus>,
    confirmations: mpsc::Receiver<oneshot::Sender<usize>>,
}

/// All that touches files.
struct Eyes {
    scanner: Scanner,
    /// Made with the first scan, since making it blocks.
    wake: Option<Wake>,
}

impl Eyes {
    fn new(bounds: Bounds) -> Self {
        Self { scanner: Scanner::new(bounds), wake: None }
    }
}

/// What to do next.
#[derive(Clone, Copy)]
enum Next {
    /// Scan at once.
    Scan,
    /// Wait until the edit is over, then scan.
    Debounce,
    /// Wait for something to happen.
    Wait,
}

/// Why a scan is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// It is the first one. Apps are started at once, but what is missing may be about to appear.
    First,
    /// The time has come. Nothing announced a change, so one that is found may still be under way.
    Timer,
    /// The directory was quiet for long enough after an event.
    Quiet,
    /// There were events without end.
    Restless,
}

impl Follower {
    async fn next_change(&mut self) -> Desired {
        loop {
            let occasion = match self.next {
                Next::Scan => Occasion::First,
                Next::Debounce => self.debounced().await,
                Next::Wait => {
                    let pause = match self.status.borrow().following {
                        Following::Events => self.options.rescan,
                        Following::Polling { .. } => self.options.poll,
                    };
                    tokio::select! {
                        Some(answer) = self.confirmations.recv() => {
                            if let Some(change) = self.confirmed(answer).await {
                                return change;
                            }
                            continue;
                        }
                        () = self.wake.notified() => {
                            self.next = Next::Debounce;
                            continue;
                        }
                        () = tokio::time::sleep(pause) => Occasion::Timer,
                    }
                }
            };
            if let Some(change) = self.look(occasion).await {
                return change;
            }
        }
    }

    /// Scans, and takes in what was found.
    async fn look(&mut self, occasion: Occasion) -> Option<Desired> {
        self.next = Next::Wait;
        let (scan, following, is_watched_anew) = self.scan().await?;
        let mut change = None;
        match scan {
            Err(problem) => {
                self.last = None;
                self.intent.lost_sight(*problem);
            }
            Ok(mut scan) => {
                let is_news = !self.last.as_ref().is_some_and(|last| last.same_as(&scan));
                if is_news && occasion == Occasion::Timer {
                    self.next = Next::Debounce;
                    return None;
                }
                scan.settled &= occasion == Occasion::Quiet || occasion == Occasion::Timer;
                if scan.settled {
                    self.restless_since = None;
                } else {
                    let since = *self.restless_since.get_or_insert_with(Instant::now);
                    scan.settled = since.elapsed() >= self.options.patience;
                }
                if is_news || !self.last.as_ref().is_some_and(|last| last.settled) {
                    change = self.intent.observe(&scan);
                }
                if !scan.settled || is_watched_anew {
                    self.next = Next::Debounce;
                }
                self.last = Some(scan);
            }
        }
        self.tell(following);
        change
    }

    /// Scans on a blocking thread. Says how changes are noticed, and whether there are folders that were not watched
    /// before.
    async fn scan(&mut self) -> Option<(Result<Scan, Box<Diagnostic>>, Following, bool)> {
        let mut eyes = self.eyes.take()?;
        let (root, woken) = (self.root.clone(), self.wake.clone());
        let begun = (now(), Instant::now());
        let scanned = tokio::task::spawn_blocking(move || {
            let scan = eyes.scanner.scan(&root);
            let wake = eyes.wake.get_or_insert_with(|| Wake::new(root, woken));
            let added = scan.as_ref().is_ok_and(|scan| wake.follow(&scan.folders));
            let following = wake.following();
            (eyes, scan, following, added)
        });
        let Ok((eyes, scan, following, added)) = scanned.await else {
            // The scan has panicked, or the runtime ends. The next one starts from nothing.
            self.eyes = Some(Eyes::new(self.options.bounds));
            return None;
        };
        self.eyes = Some(eyes);
        let last_scan = LastScan { at: begun.0, took: begun.1.elapsed() };
        self.status.send_modify(|status| status.last_scan = Some(last_scan));
        Some((scan, following, added))
    }

    /// Waits until the edit is over.
    async fn debounced(&mut self) -> Occasion {
        let Debounce { quiet, at_most } = self.options.debounce;
        let begun = Instant::now();
        let (mut last_event, mut latest) = (begun, begun + at_most);
        loop {
            tokio::select! {
                () = self.wake.notified() => {
                    last_event = Instant::now();
                    if last_event < latest {
                        continue;
                    }
                }
                () = tokio::time::sleep_until(latest.min(last_event + quiet)) => {}
            }
            let now = Instant::now();
            if now < begun + self.options.patience && self.git_is_at_work().await {
                // The lock is like an event that goes on.
                last_event = now;
                latest = latest.max(now + quiet);
            } else if now >= last_event + quiet {
                return Occasion::Quiet;
            } else {
                return Occasion::Restless;
            }
        }
    }

    async fn git_is_at_work(&self) -> bool {
        let root = self.root.clone();
        tokio::task::spawn_blocking(move || git_is_at_work(&root)).await.unwrap_or(false)
    }

    /// Withdraws what is pending: that of it which a last look does not find declared again.
    async fn confirmed(&mut self, answer: oneshot::Sender<usize>) -> Option<Desired> {
        let found = self.look(Occasion::Restless).await;
        let in_sight = self.last.is_some();
        let pruned = if in_sight { self.intent.confirm_prune() } else { None };
        let following = self.status.borrow().following.clone();
        self.tell(following);
        // Whoever asked may have left; the apps are withdrawn all the same.
        let _ = answer.send(pruned.as_ref().map_or(0, |change| change.withdraw.len()));
        match (found, pruned) {
            (Some(found), Some(pruned)) => Some(Desired { withdraw: pruned.withdraw, ..found }),
            (found, pruned) => found.or(pruned),
        }
    }

    fn tell(&self, following: Following) {
        self.status.send_modify(|status| {
            status.files = self.intent.files();
            status.apps = self.intent.apps();
            status.diagnostics = self.intent.diagnostics().clone();
            if let Some(eyes) = &self.eyes {
                status.hashes = eyes.scanner.hashes();
            }
            status.stale = self.intent.stale().to_vec();
            status.pending_prune = self.intent.pending_prune().cloned();
            status.following = following;
        });
    }
}

/// Whether the git checkout that `root` is, or lies in, is being changed.
fn git_is_at_work(root: &Path) -> bool {
    let Some(git) = root.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists()) else {
        return false;
    };
    let folder = if git.is_file() { linked_git(&git) } else { Some(git) };
    folder.is_some_and(|folder| folder.join("index.lock").exists())
}

/// Where the index of a linked worktree is. Its `.git` is a file that says so: `gitdir: /repo/.git/worktrees/name`.
fn linked_git(git: &Path) -> Option<PathBuf> {
    let mut text = String::new();
    // No path is longer, and the file may be anybody's.
    File::open(git).ok()?.take(4096).read_to_string(&mut text).ok()?;
    let path = text.strip_prefix("gitdir:")?.trim();
    Some(git.parent()?.join(path))
}

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_a_checkout_is_found_from_any_folder_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (repo, tree) = (dir.path().join("repo"), dir.path().join("tree"));
        let gits = repo.join(".git/worktrees/tree");
        std::fs::create_dir_all(repo.join("deep/folder")).unwrap();
        std::fs::create_dir_all(tree.join("folder")).unwrap();
        std::fs::create_dir_all(&gits).unwrap();
        std::fs::write(tree.join(".git"), format!("gitdir: {}\n", gits.display())).unwrap();
        assert!(!git_is_at_work(&repo) && !git_is_at_work(&tree));
        std::fs::write(repo.join(".git/index.lock"), "").unwrap();
        assert!(git_is_at_work(&repo.join("deep/folder")) && !git_is_at_work(&tree));
        // Relative to where the file is, as git writes it when told to.
        std::fs::write(gits.join("index.lock"), "").unwrap();
        assert!(git_is_at_work(&tree.join("folder")));
        std::fs::write(tree.join(".git"), "gitdir: ../repo/.git/worktrees/tree").unwrap();
        assert!(git_is_at_work(&tree.join("folder")));
    }
}
