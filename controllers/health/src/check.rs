//! The state machine of one check of one instance (§4.8).
//!
//! ```text
//!              success                    failure that counts
//!   no result ─────────► alive ──────────────────────────────► failing, 1 in a row
//!       │                  ▲                                      │         │
//!       │                  └──────────────── success ─────────────┘         │ failure: one more in a row
//!       └── failure that counts ──► failing, 1 in a row                     ▼
//!                                             number `max_failures` + 1 ► condemned
//! ```
//!
//! A success leads back from condemned as from failing: who recovers before it is replaced need not be.

use ekiden_model::app::HealthCheck;
use ekiden_model::health::{CheckState, Outcome};
use ekiden_model::view::Sample;
use ekiden_model::{Condition, Instance, Timestamp};

/// Where nobody is replaced for a failing check (`maxConsecutiveFailures` 0), failures are counted up to this many:
/// more tell nothing new, and each count is a write.
pub(crate) const FAILURES_COUNTED: u32 = 100;

/// What a sample did to the state of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: it says nothing, or nothing new.
    Ignored,
    /// The state changed.
    Learned,
    /// The instance has failed once too often. The state changed, unless it had done so before.
    Condemned,
}

/// Takes in one sample about an instance.
pub(crate) fn learn(state: &mut CheckState, check: &HealthCheck, instance: &Instance, sample: &Sample) -> Step {
    match &sample.outcome {
        Outcome::NoResult(_) => Step::Ignored,
        Outcome::Success if state.alive() == Some(true) => Step::Ignored,
        Outcome::Success => {
            state.first_success.get_or_insert(sample.at);
            state.last_success = Some(sample.at);
            state.consecutive_failures = 0;
            Step::Learned
        }
        Outcome::Failure(_) if !counts(state, check, instance, sample.at) => Step::Ignored,
        Outcome::Failure(cause) => {
            // Nothing follows from one more than too many, and each count is a write; unless it is the first since the
            // instance's agent is back.
            if !is_too_often(check, state) || failed_before_it_ran(state, instance) {
                state.last_failure = Some(sample.at);
                state.last_failure_cause = Some(cause.clone());
                state.consecutive_failures += 1;
            }
            if is_too_often(check, state) { Step::Condemned } else { Step::Learned }
        }
    }
}

/// Whether the present run of failures is longer than the check allows.
///
/// Worked example, `maxConsecutiveFailures` 3: failures 1, 2 and 3 make the instance unhealthy, failure 4 condemns it.
/// Marathon's documentation says that the third does; its code compares before it counts.
pub(crate) fn is_too_often(check: &HealthCheck, state: &CheckState) -> bool {
    check.max_failures > 0 && state.consecutive_failures > check.max_failures
}

/// Whether the last failure is from before an instance that runs began to, or from before its agent stopped answering and
/// came back: what failed may have been the agent's network.
pub(crate) fn failed_before_it_ran(state: &CheckState, instance: &Instance) -> bool {
    let runs = instance.condition == Condition::Running;
    runs && state.last_failure.is_some_and(|last| last < instance.since)
}

fn counts(state: &CheckState, check: &HealthCheck, instance: &Instance, at: Timestamp) -> bool {
    // Asked before its agent came back, and heard after.
    if at < instance.since {
        return false;
    }
    let started = instance.started.unwrap_or(instance.since);
    let in_grace = state.first_success.is_none() && at.since(started) < check.grace_period;
    let counted_out = check.max_failures == 0 && state.consecutive_failures >= FAILURES_COUNTED;
    !in_grace && !counted_out && !is_repeated(state, check, at)
}

/// Whether an executor says again what it said before. Its word comes with every status of the task: those sent again
/// because our acknowledgement was lost, and those that answer reconciliation. A new failure of its own comes an
/// interval after the last; half of one leaves room for late delivery of the first of the two.
fn is_repeated(state: &CheckState, check: &HealthCheck, at: Timestamp) -> bool {
    let failing_since = state.last_failure.filter(|_| state.consecutive_failures > 0);
    check.by_executor() && failing_since.is_some_and(|last| at.since(last) < check.interval / 2)
}
