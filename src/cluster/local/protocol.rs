//! What Ekiden and a task's supervisor say to each other: JSON, one value per line.
//!
//! Ekiden writes a [`Spec`] and then any number of [`Order`]s into the supervisor's stdin, and reads [`Report`]s
//! from its stdout. The end of stdin is itself an order: Ekiden is gone, so everything has to be killed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) program: Program,
    /// The whole environment: nothing is inherited.
    pub(super) env: BTreeMap<String, String>,
    /// Whom to run it as; as Ekiden itself when not given.
    pub(super) user: Option<UserIds>,
    pub(super) dir: PathBuf,
    /// Where output is appended to; nowhere when not given.
    pub(super) stdout: Option<PathBuf>,
    pub(super) stderr: Option<PathBuf>,
    /// How many files it may have open; as many as its supervisor when not given.
    pub(super) open_files: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Program {
    /// By `/bin/sh -c`.
    Shell(String),
    /// The program and its arguments.
    Args(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserIds {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Order {
    /// SIGTERM to everything now, SIGKILL to what is left after this time. A later order can only shorten it.
    Kill(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// The process runs, and has this id.
    Started(i32),
    /// It could not be started; why.
    Refused(String),
    /// It has ended, and so has everything that it left behind.
    Ended(End),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    Exited(i32),
    Signaled(i32),
    /// Nobody knows: its supervisor was killed.
    Lost,
}

impl fmt::Display for End {
    /// The words of Mesos' executor: `exited with status 1`, `terminated with signal Killed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signaled(number) => match signal_name(*number) {
                Some(name) => write!(f, "terminated with signal {name}"),
                None => write!(f, "terminated with signal {number}"),
            },
            Self::Lost => f.write_str("ended together with its supervisor, which was killed"),
        }
    }
}

/// What `strsignal` says, for the signals that end processes in practice. Their numbers are the same on every
/// architecture that Linux runs on today, but for 7 and 10 on some that nobody runs Mesos on.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        5 => "Trace/breakpoint trap",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        24 => "CPU time limit exceeded",
        25 => "File size limit exceeded",
        31 => "Bad system call",
        _ => return None,
    })
}
