//! How long to wait before trying again.

use std::time::Duration;

/// The first wait. A master that failed over answers again within a second or two, and a task may wait for us.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait. One request in so long a time is nothing to a master, and a cluster that came back is not kept
/// waiting longer than a heartbeat.
const LONGEST: Duration = Duration::from_secs(15);

/// Waits that double: 0.1 s, 0.2 s, … 15 s. Without chance in them: one scheduler is no herd, and what repeats exactly
/// is tested exactly.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// How long to wait now.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait
    }

    /// It went well: the next wait is the first again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..10).map(|_| backoff.wait().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
        backoff.reset();
        assert_eq!(backoff.wait(), FIRST);
    }
}
