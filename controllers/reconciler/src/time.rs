//! A time that never goes back.
//!
//! Waits are reckoned from recorded times: since when an agent does not answer, when a kill was sent, until when an app
//! backs off. With a clock that is set back, in mid-run or between two runs, those times lie in the future, and waits
//! would last until the clock gets there again. So the reconciler has a time of its own: the clock's, ahead of it by as
//! much as the clock ever went back. Where it never did, the two are the same.
//!
//! A clock that jumps forward cannot be told from a long sleep. Its price is bounded: waits end early, once.

use std::time::Duration;

use ekiden_model::Timestamp;

/// The reconciler's time.
#[derive(Debug, Default)]
pub(crate) struct Time {
    latest: Timestamp,
    ahead: Duration,
}

impl Time {
    /// A time that goes on after `latest`.
    pub(crate) fn after(latest: Timestamp) -> Self {
        Self { latest, ahead: Duration::ZERO }
    }

    /// The clock shows `outside`: returns what time it is.
    pub(crate) fn advance(&mut self, outside: Timestamp) -> Timestamp {
        let now = outside + self.ahead;
        self.ahead += self.latest.since(now);
        self.latest = self.latest.max(now);
        self.latest
    }

    /// What time it is when the clock shows `outside`.
    pub(crate) fn inside(&self, outside: Timestamp) -> Timestamp {
        outside + self.ahead
    }

    /// What the clock shows when it is `inside`.
    pub(crate) fn outside(&self, inside: Timestamp) -> Timestamp {
        inside - self.ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_clock_set_back_neither_stops_time_nor_turns_it() {
        let mut time = Time::default();
        assert_eq!(time.advance(at(100)), at(100));
        assert_eq!(time.advance(at(40)), at(100), "60 s back");
        assert_eq!(time.advance(at(50)), at(110), "and on");
        assert_eq!(time.outside(at(120)), at(60));
        assert_eq!(time.inside(at(60)), at(120));
        assert_eq!(time.advance(at(45)), at(110), "back again");
        assert_eq!(time.advance(at(46)), at(111));
    }

    #[test]
    fn what_is_on_record_has_happened() {
        let mut time = Time::after(at(500));
        assert_eq!(time.advance(at(100)), at(500));
        assert_eq!(time.advance(at(101)), at(501));
    }
}
