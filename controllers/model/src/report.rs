//! Why something is not as declared (yet): what each controller waits for, as data.
//!
//! The same values are shown by the API, the command line and the simulator's transcripts. Their `Display` is the
//! text people read: no full stop, numbers first, and always what is missing rather than that something is.

mod draining;
mod hosts;
mod reason;
mod refusal;
mod supply;

pub use draining::{Awaited, LeftAgent, LeftAgents};
pub use hosts::Hosts;
pub use reason::{Failure, FailureCause, KillCause, Reason};
pub use refusal::{Refusal, Refusals, Shortage};
pub use supply::Supply;

/// All that one controller, or all of them together, wait for in one app. Empty: everything is as declared.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "an unread report explains nothing"]
pub struct Report {
    /// The reasons, most important first.
    pub reasons: Vec<Reason>,
}

impl Report {
    /// Nothing to wait for.
    pub const fn empty() -> Self {
        Self { reasons: Vec::new() }
    }

    /// Adds a reason.
    pub fn push(&mut self, reason: Reason) {
        self.reasons.push(reason);
    }

    /// Whether there is nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }
}
