//! What was taken of the processors, to some milliseconds: nearly the same on a machine that is busy with other things as
//! on a quiet one.

use std::time::Duration;

/// How long this thread has been on a processor; nothing, where the system does not say.
pub(crate) fn of_this_thread() -> Duration {
    of(std::path::Path::new("/proc/thread-self"))
}

/// How long a process has been, all of its threads together.
pub(crate) fn of_process(id: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    threads.map(|thread| of(&thread.path())).sum()
}

/// Linux: the first number of `schedstat`, in nanoseconds.
fn of(task: &std::path::Path) -> Duration {
    let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}
