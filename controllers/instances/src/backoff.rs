//! The wait after failures (§4.8): how it grows, what keeps it, when it is forgotten.
//!
//! ```text
//! base 1 s, factor 2, max 5 s:   failure   1   2   3   4   5
//!                                delay    1s  2s  4s  5s  5s
//! ```

use std::time::Duration;

use ekiden_model::Timestamp;
use ekiden_model::app::BackoffPolicy;
use ekiden_model::app_state::{Backoff, Declared};

/// The wait that holds for this declaration: one counted for another starts afresh.
pub(crate) fn in_force(stored: &Backoff, declared: Option<&Declared>) -> Backoff {
    let same = declared.is_some_and(|declared| stored.configured == Some(declared.configured));
    if same { *stored } else { Backoff::default() }
}

/// The wait after one more failure, at `at`.
pub(crate) fn after_failure(
    backoff: &Backoff,
    policy: &BackoffPolicy,
    configured: Timestamp,
    at: Timestamp,
) -> Backoff {
    let delay = if backoff.failures == 0 { policy.base } else { grown(backoff.delay, policy) }.min(policy.max);
    Backoff {
        failures: backoff.failures.saturating_add(1),
        delay,
        // An edit may have made the delays shorter: what was announced before is kept.
        until: backoff.until.max(Some(at + delay)),
        reference: backoff.reference.max(Some(at)),
        configured: Some(configured),
    }
}

fn grown(delay: Duration, policy: &BackoffPolicy) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * policy.factor).unwrap_or(policy.max)
}

/// The wait as it is at `now`, after the app was last seen to start or run at `activity`: gone when nothing it
/// depends on has happened for the longest delay there is.
pub(crate) fn at(
    backoff: &Backoff,
    policy: &BackoffPolicy,
    activity: Option<Timestamp>,
    now: Timestamp,
) -> Backoff {
    if backoff.failures == 0 {
        return *backoff;
    }
    let reference = backoff.reference.max(activity);
    let kept = Backoff { reference, ..*backoff };
    match forgotten_at(&kept, policy) {
        Some(at) if at <= now => Backoff::default(),
        _ => kept,
    }
}

/// The first moment at which the wait is forgotten.
pub(crate) fn forgotten_at(backoff: &Backoff, policy: &BackoffPolicy) -> Option<Timestamp> {
    const TICK: Duration = Duration::from_millis(1);
    let reference = backoff.reference.filter(|_| backoff.failures > 0)?;
    Some(reference + policy.max + TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackoffPolicy =
        BackoffPolicy { base: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(5) };
    const CONFIGURED: Timestamp = Timestamp::from_millis(7);

    fn second(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    #[test]
    fn delays_grow_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let mut delays = Vec::new();
        for failure in 1..=5 {
            backoff = after_failure(&backoff, &POLICY, CONFIGURED, second(failure * 10));
            delays.push(backoff.delay.as_secs());
        }
        assert_eq!(delays, [1, 2, 4, 5, 5]);
        assert_eq!((backoff.failures, backoff.until), (5, Some(second(55))));
    }

    #[test]
    fn a_huge_factor_stops_at_the_longest_delay() {
        let policy = BackoffPolicy { factor: f64::MAX, ..POLICY };
        let once = after_failure(&Backoff::default(), &policy, CONFIGURED, second(0));
        assert_eq!(after_failure(&once, &policy, CONFIGURED, second(1)).delay, policy.max);
    }

    #[test]
    fn it_is_forgotten_the_longest_delay_after_the_last_activity() {
        let backoff = after_failure(&Backoff::default(), &POLICY, CONFIGURED, second(10));
        assert_eq!(at(&backoff, &POLICY, None, second(15)), backoff);
        assert_eq!(at(&backoff, &POLICY, None, second(16)), Backoff::default());
        let stamped = at(&backoff, &POLICY, Some(second(12)), second(16));
        assert_eq!(stamped.reference, Some(second(12)));
        assert_eq!(at(&stamped, &POLICY, Some(second(12)), second(18)), Backoff::default());
    }
}
