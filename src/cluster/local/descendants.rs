//! Who descends from a process, by `/proc`.
//!
//! Sessions and process groups do not matter here: a daemon that left both is still somebody's child, and, once
//! its parent has ended, its subreaper's.

use std::fs;
use std::path::Path;

use rustix::process::Pid;

/// All that descend from `root`, which is not among them.
///
/// A snapshot: a process that forks meanwhile may have children that are not in it. Whoever kills by this asks
/// again until nobody is left.
pub(super) fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        let children = children(parent).unwrap_or_else(|| children_by_scan(parent));
        open.extend(&children);
        found.extend(children);
    }
    found
}

/// What the kernel lists; `None` where it has been built without that list.
fn children(parent: Pid) -> Option<Vec<Pid>> {
    let threads = fs::read_dir(format!("/proc/{parent}/task"));
    // No such process: it has ended, and what it left is listed by whoever adopted it.
    let Ok(threads) = threads else { return Some(Vec::new()) };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(pid)),
            Err(_) if !Path::new("/proc/thread-self/children").exists() => return None,
            // The thread has ended meanwhile.
            Err(_) => {}
        }
    }
    Some(found)
}

/// Reads every process there is: slow, and right on every kernel.
fn children_by_scan(parent: Pid) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|process| pid(process.file_name().to_str()?))
        .filter(|process| parent_of(*process) == Some(parent))
        .collect()
}

/// `4711 (a (strange) name) S 4710 …`: the parent is the second field after the name, which ends at the last `)`.
fn parent_of(process: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    pid(fields.split_ascii_whitespace().nth(1)?)
}

fn pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_a_child() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let id = Pid::from_child(&child);
        let me = rustix::process::getpid();
        let (listed, scanned) = (descendants(me), children_by_scan(me));
        child.kill().expect("ours to kill");
        child.wait().expect("ours to wait for");
        assert!(listed.contains(&id), "{listed:?}");
        assert!(scanned.contains(&id), "{scanned:?}");
    }
}
