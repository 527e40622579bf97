//! What time it is, for the reconciler: wall time in milliseconds that never runs backwards and never stands still.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ekiden_model::Timestamp;

/// Wall time, made monotonic.
///
/// Whoever sets the machine's clock back must not stretch backoffs and deadlines by the difference, and must not make
/// time stand still until it has caught up. So time goes on at the pace of the monotonic clock, and only jumps when
/// the wall clock is ahead.
///
/// Say it is 10:00:00 and an administrator sets the clock to 09:00:00: a second later, this clock reads 10:00:01.
/// Set to 11:00:00, it reads 11:00:01.
#[derive(Debug)]
pub struct Clock {
    base: Timestamp,
    at: Instant,
}

impl Clock {
    /// A clock that starts at the wall's time.
    pub fn start() -> Self {
        Self { base: wall(), at: Instant::now() }
    }

    /// The time; never earlier than what was read before.
    pub fn now(&mut self) -> Timestamp {
        self.reading(wall(), Instant::now())
    }

    fn reading(&mut self, wall: Timestamp, at: Instant) -> Timestamp {
        let own = self.base + at.saturating_duration_since(self.at);
        if wall > own {
            // Rebasing only here keeps fractions of a millisecond from getting lost at every reading.
            self.base = wall;
            self.at = at;
            return wall;
        }
        own
    }
}

/// The machine's wall time; for rendering how long ago something was, not for deciding.
pub fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH + since_epoch
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn setting_the_wall_clock_back_neither_stops_nor_reverses_time() {
        let start = Instant::now();
        let noon = Timestamp::from_millis(1_000_000);
        let mut clock = Clock { base: noon, at: start };
        let second = Duration::from_secs(1);
        assert_eq!(clock.reading(noon - 3600 * second, start + second), noon + second);
        assert_eq!(clock.reading(noon - 3600 * second, start + 2 * second), noon + 2 * second);
        assert_eq!(clock.reading(noon + 3600 * second, start + 3 * second), noon + 3600 * second);
        assert_eq!(clock.reading(noon, start + 4 * second), noon + 3601 * second);
    }
}
