//! The log of a run: one line per event, the last of them kept, all of them hashed. Two runs of one seed must have the
//! same hash.

use std::collections::VecDeque;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use ekiden_model::Timestamp;

/// How many lines are kept for the report of a failing run: enough to see what led there, few enough to read.
pub const LINES_KEPT: usize = 120;

/// The log of a run.
#[derive(Debug, Clone)]
pub struct Trace {
    began: Timestamp,
    hash: u64,
    count: u64,
    kept: VecDeque<String>,
    keep: usize,
    scratch: String,
}

impl Trace {
    /// An empty log of a run that begins now.
    pub fn new(began: Timestamp, keep: usize) -> Self {
        Self { began, hash: 0xcbf2_9ce4_8422_2325, count: 0, kept: VecDeque::new(), keep, scratch: String::new() }
    }

    /// Adds a line.
    pub fn line(&mut self, now: Timestamp, text: fmt::Arguments<'_>) {
        let mut line = std::mem::take(&mut self.scratch);
        line.clear();
        // Writing to a string cannot fail.
        let _ = write!(line, "{} {text}", Clock(now.since(self.began)));
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.count += 1;
        self.kept.push_back(line);
        if self.kept.len() > self.keep {
            self.scratch = self.kept.pop_front().unwrap_or_default();
        }
    }

    /// The same for the same run.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The lines that are kept, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }

    /// Takes the lines that are kept.
    pub fn take(&mut self) -> Vec<String> {
        self.kept.drain(..).collect()
    }
}

/// Time since the beginning, as `mm:ss.mmm`.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        write!(f, "{:02}:{:02}.{:03}", millis / 60_000, millis / 1000 % 60, millis % 1000)
    }
}
