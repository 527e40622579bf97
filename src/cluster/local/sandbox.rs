//! The folders that tasks run in: `<work dir>/<agent>/<task>/`, with `stdout` and `stderr`.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ekiden_model::{AgentId, AppId, Slot, TaskId};

use super::LocalError;
use super::protocol::UserIds;

/// How many sandboxes of ended tasks are kept per slot of an app: enough to compare the last crash with the ones
/// before it, and few enough that an app that crashes all night fills no disk by their number.
pub const SANDBOXES_KEPT_PER_SLOT: usize = 5;

/// How many are kept altogether, whatever the apps: apps come and go, and their slots with them.
pub const SANDBOXES_KEPT: usize = 1000;

const LOCK_FILE: &str = ".ekiden.lock";
/// Folders of agents begin with this and go on with eight hexadecimal digits, so that nothing else is taken for
/// one.
pub(super) const AGENT_PREFIX: &str = "local-";

/// All sandboxes below one folder, which nobody else uses at the same time.
pub(super) struct Sandboxes {
    work_dir: PathBuf,
    keep: bool,
    known: Mutex<Known>,
    /// Locked while we live, by whatever means we end.
    _lock: File,
}

#[derive(Default)]
struct Known {
    folders: BTreeMap<TaskId, PathBuf>,
    /// Tasks that have ended and whose sandbox is still there, oldest first.
    ended: VecDeque<(AppId, Slot, TaskId)>,
}

impl Sandboxes {
    /// Takes `work_dir` into possession. What an earlier run left behind, because it was killed, goes; unless
    /// sandboxes are to be kept.
    pub(super) fn open(work_dir: &Path, keep: bool) -> Result<Self, LocalError> {
        let unusable = |cause| LocalError::WorkDir { path: work_dir.to_owned(), cause };
        let work_dir = std::path::absolute(work_dir).map_err(unusable)?;
        fs::create_dir_all(&work_dir).map_err(unusable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(work_dir.join(LOCK_FILE))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(LocalError::WorkDirInUse(work_dir)),
            Err(fs::TryLockError::Error(cause)) => return Err(unusable(cause)),
        }
        let sandboxes = Self { work_dir, keep, known: Mutex::default(), _lock: lock };
        if !keep {
            sandboxes.remove_agents();
        }
        Ok(sandboxes)
    }

    pub(super) fn work_dir(&self) -> &Path {
        &self.work_dir
    }

    /// The folder of a new task. It is not there yet: see [`create`].
    pub(super) fn assign(&self, agent: &AgentId, task: &TaskId) -> PathBuf {
        let folder = self.work_dir.join(safe(agent.as_str())).join(safe(task.as_str()));
        self.known().folders.insert(task.clone(), folder.clone());
        folder
    }

    /// The folder of a task that runs or whose sandbox is still kept.
    pub(super) fn of_task(&self, task: &TaskId) -> Option<PathBuf> {
        self.known().folders.get(task).cloned()
    }

    /// The task has ended. Returns the folders to remove now, oldest first.
    pub(super) fn retire(&self, app: &AppId, slot: Slot, task: &TaskId) -> Vec<PathBuf> {
        let mut known = self.known();
        known.ended.push_back((app.clone(), slot, task.clone()));
        let of_slot = known.ended.iter().filter(|(a, s, _)| a == app && *s == slot).count();
        let mut surplus = of_slot.saturating_sub(SANDBOXES_KEPT_PER_SLOT);
        let mut too_many = known.ended.len().saturating_sub(surplus).saturating_sub(SANDBOXES_KEPT);
        let mut removed = Vec::new();
        known.ended.retain(|(a, s, task)| {
            let goes = if surplus > 0 && a == app && *s == slot {
                surplus -= 1;
                true
            } else if too_many > 0 {
                too_many -= 1;
                true
            } else {
                false
            };
            if goes {
                removed.push(task.clone());
            }
            !goes
        });
        let forgotten = removed.iter().filter_map(|task| known.folders.remove(task)).collect();
        // Folders that stay are forgotten nevertheless: memory must not grow with them.
        if self.keep { Vec::new() } else { forgotten }
    }

    /// Removes everything that was made here, and the work folder itself when nothing else is in it.
    pub(super) fn close(&self) {
        if self.keep {
            return;
        }
        self.remove_agents();
        // Both are best effort: what stays behind is removed by the next run, or belongs to somebody else.
        let _left = fs::remove_file(self.work_dir.join(LOCK_FILE));
        let _left = fs::remove_dir(&self.work_dir);
    }

    fn remove_agents(&self) {
        for entry in fs::read_dir(&self.work_dir).into_iter().flatten().flatten() {
            let is_agent = entry.file_name().to_str().is_some_and(is_agent_folder);
            if is_agent && let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(folder = %entry.path().display(), %error, "old sandboxes cannot be removed");
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change is one call of a collection, so what a panicking thread left is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a task's folder and its output files, which belong to whom the task runs as.
pub(super) fn create(folder: &Path, user: Option<UserIds>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for output in ["stdout", "stderr"] {
        File::options().create(true).append(true).open(folder.join(output))?;
    }
    user.map_or(Ok(()), |user| give_to(folder, user))
}

/// Gives a folder and everything in it to a user.
pub(super) fn give_to(folder: &Path, user: UserIds) -> io::Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        // Links are given away themselves, never followed: they may lead anywhere.
        lchown(&path, Some(user.uid), Some(user.gid))?;
        if fs::symlink_metadata(&path)?.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(())
}

fn is_agent_folder(name: &str) -> bool {
    let digits = name.strip_prefix(AGENT_PREFIX).and_then(|rest| rest.get(..8));
    digits.is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// A single path component that can do no harm. Ids that Ekiden makes are such already.
fn safe(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = id.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_the_work_folder() {
        assert_eq!(safe("a_b.instance-0f._app.1"), "a_b.instance-0f._app.1");
        assert_eq!(safe("../../etc"), "_.._.._etc");
        assert_eq!(safe(".."), "_..");
    }

    #[test]
    fn the_last_few_sandboxes_of_a_slot_are_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let sandboxes = Sandboxes::open(dir.path(), false).expect("ours alone");
        let app = AppId::parse("/a").expect("a good id");
        let task = |number: usize| TaskId::new(format!("t{number}"));
        let mut removed = Vec::new();
        for number in 0..SANDBOXES_KEPT_PER_SLOT + 2 {
            sandboxes.assign(&AgentId::new("x"), &task(number));
            removed.extend(sandboxes.retire(&app, Slot(0), &task(number)));
        }
        assert_eq!(removed.len(), 2);
        assert_eq!(sandboxes.of_task(&task(1)), None);
        assert!(sandboxes.of_task(&task(2)).is_some());
    }

    #[test]
    fn a_work_folder_has_one_user_and_keeps_what_is_not_ours() {
        let dir = tempfile::tempdir().expect("a folder");
        let work_dir = dir.path().join("work");
        let old = work_dir.join("local-0123abcd-S1").join("task");
        let other = work_dir.join("local-notes");
        fs::create_dir_all(&old).expect("made");
        fs::create_dir_all(&other).expect("made");
        let sandboxes = Sandboxes::open(&work_dir, false).expect("ours alone");
        assert!(!old.exists() && other.exists());
        assert!(matches!(Sandboxes::open(&work_dir, false), Err(LocalError::WorkDirInUse(_))));
        sandboxes.close();
        assert!(other.exists());
        fs::remove_dir(&other).expect("empty");
        drop(sandboxes);
        Sandboxes::open(&work_dir, false).expect("free again").close();
        assert!(!work_dir.exists());
    }
}
