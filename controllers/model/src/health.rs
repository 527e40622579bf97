//! What probes found out about an instance.

use std::sync::Arc;

use crate::fingerprint::Fingerprint;
use crate::time::Timestamp;

/// What is known of an instance's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Verdict {
    /// At least one check has not answered yet, and it was not healthy before either. Without checks: the instance does
    /// not run yet.
    #[default]
    Unknown,
    /// Every check's latest result is a success. Without checks: it runs. A check that was edited and has not answered
    /// since takes it from nobody.
    Healthy,
    /// Some check's latest result is a failure that counts; the instance gets no traffic.
    Unhealthy,
    /// Some check failed more often in a row than its `maxConsecutiveFailures`: to be replaced, unless it recovers
    /// before its end is ordered.
    Condemned,
}

/// Health as `health` keeps it, per instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// All checks together.
    pub verdict: Verdict,
    /// Per check, in the order of [`AppState::health_checks`]. Empty until the first result.
    ///
    /// [`AppState::health_checks`]: crate::app_state::AppState::health_checks
    pub checks: Vec<CheckState>,
    /// Whether a rollout may count it.
    pub readiness: Readiness,
}

/// One check of one instance. Survives a restart of Ekiden, unlike Marathon's (§4.8).
///
/// It is a durable record, so it is written when something turns and not with every answer: a success after a success
/// changes nothing in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckState {
    /// Which check this is known of ([`HealthCheck::question`]), so that an edit of the others, or of its own timing,
    /// leaves it alone.
    ///
    /// [`HealthCheck::question`]: crate::app::HealthCheck::question
    pub question: Fingerprint,
    /// The first success ever.
    pub first_success: Option<Timestamp>,
    /// The success that began the present run of successes, or else the one that began the last run. All since then
    /// were successes when `consecutive_failures` is 0.
    pub last_success: Option<Timestamp>,
    /// The latest failure that counted.
    pub last_failure: Option<Timestamp>,
    /// Why it failed.
    pub last_failure_cause: Option<Arc<str>>,
    /// How many failures since the last success; it stops growing where nothing follows from more of them.
    pub consecutive_failures: u32,
}

impl CheckState {
    /// Whether the latest result is a success; `None` before any.
    pub fn alive(&self) -> Option<bool> {
        // By the count and not by the times: a clock that was set back would make the dead look alive.
        let asked = self.last_success.is_some() || self.last_failure.is_some();
        asked.then_some(self.consecutive_failures == 0)
    }
}

/// Whether an instance has passed its readiness check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Readiness {
    /// No check, or not asked yet: counts as ready only where the app has no readiness check.
    #[default]
    Unasked,
    /// Asked, and not ready; with the latest answer's status.
    NotReady(Option<u16>),
    /// Ready, once and for all.
    Ready,
}

/// What came of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Success,
    /// Not as it should be, with the reason for people.
    Failure(Arc<str>),
    /// The probe says nothing about the instance: the checker was overloaded, or an answer is to be ignored.
    /// Never counts against the instance.
    NoResult(Arc<str>),
}

/// Which check of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// The index-th of the app's `health_checks`.
    Health(u32),
    /// The readiness check.
    Readiness,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_does_not_raise_the_dead() {
        let at = Timestamp::from_millis;
        let unasked = CheckState::default();
        let success = CheckState { last_success: Some(at(200)), ..unasked.clone() };
        let failing = CheckState { last_failure: Some(at(100)), consecutive_failures: 1, ..success.clone() };
        let recovered = CheckState { last_failure: Some(at(300)), ..success.clone() };
        let alive = [unasked, success, failing, recovered].map(|state| state.alive());
        assert_eq!(alive, [None, Some(true), Some(false), Some(true)]);
    }
}
