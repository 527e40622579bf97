//! How many files may be open at once: Ekiden needs some for every task, tasks expect what they have always had.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What Ekiden raises its own limit to, where it may: a handful for each task, at thousands of tasks.
const WANTED: u64 = 65_536;

/// Raises Ekiden's limit. Returns what it was, for the tasks: programs that use `select` break above 1024.
pub(super) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let now = limit.current?;
    let possible = limit.maximum.map_or(WANTED, |most| most.min(WANTED));
    if possible > now {
        // Without it there can be fewer tasks; the one too many says so when it does not start.
        let _unraised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), ..limit });
    }
    Some(now)
}

/// Sets the limit of this process, and of those that it starts, to what it was before Ekiden raised it.
pub(super) fn restore(limit: u64) -> std::io::Result<()> {
    let now = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..now })?)
}
