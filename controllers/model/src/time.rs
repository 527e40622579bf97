//! Points in time, as the numbers they are. Nobody in the brain asks what time it is; they are told.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// Shown as Marathon shows every timestamp and version: `2026-11-20T10:00:00.000Z` (§1.1), which sorts lexically.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The beginning of time: before everything that happens.
    pub const EPOCH: Self = Self(0);
    /// Later than everything that happens: 9999-01-01, the last year Marathon's format can show.
    pub const NEVER: Self = Self(253_370_764_800_000);

    /// The point `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long it is from `earlier` to `self`; zero when `earlier` is later, so that a clock set back can stretch
    /// a wait but never make a negative one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::NEVER`].
    fn add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis)).min(Self::NEVER)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(point) => write!(f, "{point:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no timestamp of the form 2026-11-20T10:00:00.000Z")]
pub struct TimestampError(String);

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        text.parse::<jiff::Timestamp>()
            .map(|point| Self(point.as_millisecond()))
            .map_err(|_| TimestampError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_shown_and_read_as_marathon_does() {
        let point = Timestamp::from_millis(1_795_168_800_000);
        assert_eq!(point.to_string(), "2026-11-20T10:00:00.000Z");
        assert_eq!(point.to_string().parse(), Ok(point));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn time_never_runs_negative_nor_past_its_end() {
        let early = Timestamp::from_millis(5);
        assert_eq!(early.since(Timestamp::from_millis(9)), Duration::ZERO);
        assert_eq!(early + Duration::MAX, Timestamp::NEVER);
    }
}
