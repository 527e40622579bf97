//! Each transition of the state machine of §4.8.

use std::time::Duration;

use ekiden_model::app::HealthCheck;
use ekiden_model::health::{Outcome, ProbeKind, Readiness, Verdict};
use ekiden_model::{Goal, Reason};

use super::world::{STARTED, World, command, failure, http, key, readiness, tcp};
use crate::check::FAILURES_COUNTED;

const SUCCESS: Outcome = Outcome::Success;

#[test]
fn the_first_success_makes_it_healthy_and_further_ones_are_not_written() {
    let mut world = World::new(1, vec![http()]);
    let _ = world.turn();
    assert_eq!(world.verdict(), Verdict::Unknown);
    assert_eq!(world.hear(0, 1, SUCCESS).actions.len(), 1);
    assert_eq!(world.verdict(), Verdict::Healthy);
    let after_first = world.health(0).clone();
    assert_eq!(after_first.checks[0].first_success, Some(STARTED + Duration::from_secs(1)));
    for seconds in [11, 21, 31] {
        assert_eq!(world.hear(0, seconds, SUCCESS).actions, []);
    }
    assert_eq!(*world.health(0), after_first);
}

/// Marathon's documentation says that an instance is replaced at failure number `maxConsecutiveFailures`; its code
/// does so one later, and so do we (§4.8). 0 is never.
#[test]
fn it_is_condemned_one_failure_after_the_documented_one() {
    for (max_failures, condemned_at) in [(1, Some(2)), (2, Some(3)), (3, Some(4)), (10, Some(11)), (0, None)] {
        let mut world = World::new(1, vec![HealthCheck { max_failures, ..http() }]);
        let _ = world.turn();
        let verdicts = (1..=50).map(|number| {
            let _ = world.hear(0, number * 10, failure("answered 500"));
            (number, world.verdict())
        });
        let first = verdicts.into_iter().find(|(_, verdict)| *verdict == Verdict::Condemned);
        assert_eq!(first.map(|(number, _)| number), condemned_at, "maxConsecutiveFailures {max_failures}");
    }
}

#[test]
fn a_success_resets_the_count() {
    let mut world = World::new(1, vec![http()]);
    let _ = world.turn();
    for round in 0..10 {
        for failed in 1..=3 {
            let _ = world.hear(0, round * 40 + failed * 10, failure("answered 500"));
            assert_eq!(world.verdict(), Verdict::Unhealthy);
            assert_eq!(u64::from(world.health(0).checks[0].consecutive_failures), failed);
        }
        let _ = world.hear(0, round * 40 + 40, SUCCESS);
        assert_eq!(world.verdict(), Verdict::Healthy);
    }
    let state = &world.health(0).checks[0];
    assert_eq!(state.first_success, Some(STARTED + Duration::from_secs(40)));
    assert_eq!(state.last_success, Some(STARTED + Duration::from_secs(400)));
    assert_eq!(state.last_failure, Some(STARTED + Duration::from_secs(390)));
    assert_eq!(state.last_failure_cause.as_deref(), Some("answered 500"));
}

#[test]
fn failures_in_the_grace_period_count_only_after_a_success() {
    let check = HealthCheck { grace_period: Duration::from_secs(60), ..http() };
    let mut never_alive = World::new(1, vec![check.clone()]);
    let _ = never_alive.turn();
    for seconds in [5, 10, 59] {
        assert_eq!(never_alive.hear(0, seconds, failure("connection refused")).actions, []);
        assert_eq!(never_alive.verdict(), Verdict::Unknown);
    }
    // The 60 seconds are over when 60 have passed.
    let _ = never_alive.hear(0, 60, failure("connection refused"));
    assert_eq!(never_alive.verdict(), Verdict::Unhealthy);

    let mut once_alive = World::new(1, vec![check]);
    let _ = once_alive.turn();
    let _ = once_alive.hear(0, 20, SUCCESS);
    let _ = once_alive.hear(0, 30, failure("connection refused"));
    assert_eq!(once_alive.verdict(), Verdict::Unhealthy);
}

#[test]
fn no_result_never_counts() {
    let mut world = World::new(1, vec![http()]);
    let _ = world.turn();
    for seconds in 1..100 {
        let decision = world.hear(0, seconds * 10, Outcome::NoResult("the checker is overloaded".into()));
        assert_eq!(decision.actions, []);
    }
    assert_eq!(world.verdict(), Verdict::Unknown);
    for seconds in 100..103 {
        let _ = world.hear(0, seconds * 10, failure("answered 500"));
        let _ = world.hear(0, seconds * 10 + 5, Outcome::NoResult("the checker is overloaded".into()));
    }
    assert_eq!(world.verdict(), Verdict::Unhealthy);
    assert_eq!(world.health(0).checks[0].consecutive_failures, 3);
}

#[test]
fn all_checks_must_have_answered_and_be_alive() {
    let mut world = World::new(1, vec![http(), tcp()]);
    let _ = world.turn();
    let _ = world.hear(0, 1, SUCCESS);
    assert_eq!(world.verdict(), Verdict::Unknown);
    let _ = world.hear(1, 2, failure("connection refused"));
    assert_eq!(world.verdict(), Verdict::Unhealthy);
    let _ = world.hear(1, 12, SUCCESS);
    assert_eq!(world.verdict(), Verdict::Healthy);
    let _ = world.hear(0, 22, failure("answered 500"));
    assert_eq!(world.verdict(), Verdict::Unhealthy);
}

#[test]
fn condemned_is_remembered_once_and_more_failures_are_not_written() {
    let mut world = World::new(2, vec![HealthCheck { max_failures: 1, ..http() }]);
    let _ = world.turn();
    let _ = world.hear(0, 10, failure("answered 500"));
    assert_eq!(world.app.condemned, []);
    let decision = world.hear(0, 20, failure("answered 503"));
    assert_eq!(world.app.condemned, [STARTED + Duration::from_secs(20)]);
    let reason = Reason::FailingChecks { count: 1, running: 2, last: "answered 503".into() };
    assert_eq!(decision.report.reasons, [reason]);
    let probes = [0, 1].map(|slot| (key(slot), ProbeKind::Health(0)));
    assert_eq!(world.probed(), probes, "it is asked on: it may recover");
    for seconds in [30, 40, 50] {
        assert_eq!(world.hear(0, seconds, failure("answered 500")).actions, []);
    }
    assert_eq!(world.verdict(), Verdict::Condemned);
    assert_eq!(world.app.condemned.len(), 1);
}

#[test]
fn a_condemned_one_that_recovers_is_healthy_and_starts_afresh() {
    let mut world = World::new(1, vec![HealthCheck { max_failures: 1, ..http() }]);
    let _ = world.turn();
    for seconds in [10, 20, 30] {
        let _ = world.hear(0, seconds, failure("answered 500"));
    }
    assert_eq!(world.hear(0, 40, SUCCESS).actions.len(), 1);
    assert_eq!(world.verdict(), Verdict::Healthy);
    assert_eq!(world.health(0).checks[0].consecutive_failures, 0);
    assert_eq!(world.app.condemned.len(), 1, "the breaker remembers");
    assert_eq!(world.hear(0, 50, SUCCESS).actions, []);
    let _ = world.hear(0, 60, failure("answered 500"));
    assert_eq!(world.verdict(), Verdict::Unhealthy);
    let _ = world.hear(0, 70, failure("answered 500"));
    assert_eq!(world.verdict(), Verdict::Condemned);
    assert_eq!(world.app.condemned.len(), 2);
}

#[test]
fn it_stays_condemned_until_the_check_that_condemned_it_succeeds() {
    let checks = vec![HealthCheck { max_failures: 1, ..http() }, tcp()];
    let mut world = World::new(1, checks);
    let _ = world.turn();
    for seconds in [10, 20] {
        let _ = world.hear(0, seconds, failure("answered 500"));
    }
    let _ = world.hear(1, 21, SUCCESS);
    assert_eq!(world.verdict(), Verdict::Condemned);
    let _ = world.hear(1, 31, failure("connection refused"));
    let _ = world.hear(0, 40, SUCCESS);
    assert_eq!(world.verdict(), Verdict::Unhealthy, "the other check has failed only once");
}

#[test]
fn one_that_is_to_end_is_not_acquitted() {
    let mut world = World::new(1, vec![HealthCheck { max_failures: 1, ..http() }]);
    let _ = world.turn();
    for seconds in [10, 20] {
        let _ = world.hear(0, seconds, failure("answered 500"));
    }
    world.set(0, |instance| instance.goal = Goal::Decommissioned);
    let _ = world.turn();
    assert_eq!(world.probed(), []);
    assert_eq!(world.hear(0, 30, SUCCESS).actions, []);
    assert_eq!(world.verdict(), Verdict::Condemned);
}

#[test]
fn the_breaker_remembers_no_longer_than_it_looks_back() {
    let mut world = World::new(3, vec![HealthCheck { max_failures: 1, ..http() }]);
    let _ = world.turn();
    for (slot, seconds) in [(0, 10), (1, 50), (2, 100)] {
        for part in [seconds, seconds + 5] {
            world.sample(slot, ProbeKind::Health(0), part, failure("answered 500"), None);
        }
        let _ = world.turn();
    }
    let at = |seconds| STARTED + Duration::from_secs(seconds);
    assert_eq!(world.app.condemned, [at(55), at(105)], "the window is 60 s; 15 is out of it");
}

#[test]
fn a_whole_app_condemned_at_once_is_remembered_up_to_the_bound() {
    let mut world = World::new(1_200, vec![HealthCheck { max_failures: 1, ..http() }]);
    for slot in 0..1_200 {
        for seconds in [10, 20] {
            world.sample(slot, ProbeKind::Health(0), seconds, failure("timed out"), None);
        }
    }
    let _ = world.turn();
    assert_eq!(world.app.condemned.len(), ekiden_model::app_state::CONDEMNED_KEPT);
}

#[test]
fn counting_stops_where_nothing_follows_from_it() {
    let mut world = World::new(1, vec![HealthCheck { max_failures: 0, ..http() }]);
    let _ = world.turn();
    for number in 1..=u64::from(FAILURES_COUNTED) {
        assert_eq!(world.hear(0, number * 10, failure("answered 500")).actions.len(), 1);
    }
    assert_eq!(world.hear(0, 5_000, failure("answered 500")).actions, []);
    let _ = world.hear(0, 5_010, SUCCESS);
    assert_eq!(world.verdict(), Verdict::Healthy);
}

#[test]
fn an_executors_repetition_is_no_further_failure() {
    let mut world = World::new(1, vec![command("true")]);
    let _ = world.turn();
    let _ = world.hear(0, 10, failure("the command failed"));
    // Sent again, because an acknowledgement was lost or reconciliation asked.
    for seconds in [10, 11, 14] {
        assert_eq!(world.hear(0, seconds, failure("the command failed")).actions, []);
    }
    let _ = world.hear(0, 20, failure("the command failed"));
    assert_eq!(world.health(0).checks[0].consecutive_failures, 2);
}

#[test]
fn readiness_is_reached_once() {
    let mut world = World::new(1, Vec::new());
    world.edit(|app| app.readiness = Some(readiness()));
    let _ = world.turn();
    let answer = |world: &mut World, outcome, status| {
        world.sample(0, ProbeKind::Readiness, 1, outcome, status);
        let _ = world.turn();
        world.health(0).readiness.clone()
    };
    assert_eq!(world.health(0).readiness, Readiness::Unasked);
    assert_eq!(answer(&mut world, failure("connection refused"), None), Readiness::NotReady(None));
    assert_eq!(answer(&mut world, failure("answered 503"), Some(503)), Readiness::NotReady(Some(503)));
    assert_eq!(answer(&mut world, Outcome::NoResult("late".into()), None), Readiness::NotReady(Some(503)));
    assert_eq!(answer(&mut world, SUCCESS, Some(200)), Readiness::Ready);
    assert_eq!(answer(&mut world, failure("answered 503"), Some(503)), Readiness::Ready);
    assert_eq!(world.verdict(), Verdict::Healthy, "readiness is not health");
}
