//! What the condition of an instance, and what is wanted of it, mean for its health.

use std::time::Duration;

use ekiden_model::health::{Outcome, ProbeKind, Verdict};
use ekiden_model::{Condition, Goal};

use super::world::{World, failure, http, key, tcp};

#[test]
fn without_checks_running_is_healthy() {
    let mut world = World::new(1, Vec::new());
    world.set(0, |instance| instance.condition = Condition::Starting);
    let _ = world.turn();
    assert_eq!(world.verdict(), Verdict::Unknown);
    world.set(0, |instance| instance.condition = Condition::Running);
    assert_eq!(world.turn().actions.len(), 1);
    assert_eq!(world.verdict(), Verdict::Healthy);
    world.set(0, |instance| instance.condition = Condition::Unreachable);
    assert_eq!(world.turn().actions, [], "what was known stays known");
}

#[test]
fn failures_do_not_count_unless_it_runs_and_shall() {
    let conditions = [
        (Condition::Starting, Goal::Running),
        (Condition::Unreachable, Goal::Running),
        (Condition::Killing, Goal::Decommissioned),
        (Condition::Running, Goal::Decommissioned),
        (Condition::Running, Goal::Stopped),
        (Condition::Failed, Goal::Running),
    ];
    for (condition, goal) in conditions {
        let mut world = World::new(1, vec![http()]);
        let _ = world.turn();
        let _ = world.hear(0, 10, Outcome::Success);
        world.set(0, |instance| {
            instance.condition = condition;
            instance.goal = goal;
        });
        for number in 2..20 {
            let _ = world.hear(0, number * 10, failure("connection refused"));
        }
        assert_eq!(world.verdict(), Verdict::Healthy, "{condition:?} {goal:?}");
        assert_eq!(world.probed(), [], "{condition:?} {goal:?}");
    }
}

#[test]
fn one_that_comes_back_is_probed_again_and_keeps_its_count() {
    let mut world = World::new(1, vec![http()]);
    let _ = world.turn();
    let _ = world.hear(0, 10, failure("connection refused"));
    world.set(0, |instance| instance.condition = Condition::Unreachable);
    let _ = world.turn();
    assert_eq!(world.probed(), []);
    world.set(0, |instance| instance.condition = Condition::Running);
    let _ = world.turn();
    assert_eq!(world.probed(), [(key(0), ProbeKind::Health(0))]);
    let _ = world.hear(0, 20, failure("connection refused"));
    assert_eq!(world.health(0).checks[0].consecutive_failures, 2);
}

/// It was not its own network that failed, perhaps: nobody is ended for what its agent's silence did.
#[test]
fn one_that_was_condemned_and_comes_back_is_condemned_again_by_its_next_failure_alone() {
    let mut world = World::new(1, vec![http(), tcp()]);
    let _ = world.turn();
    let _ = world.hear(1, 1, Outcome::Success);
    for number in 1..=4 {
        let _ = world.hear(0, number * 10, failure("timed out"));
    }
    assert_eq!(world.verdict(), Verdict::Condemned);
    world.set(0, |instance| instance.condition = Condition::Unreachable);
    assert_eq!(world.turn().actions.len(), 2, "it is probed no more");
    assert_eq!(world.verdict(), Verdict::Condemned);
    let back = world.now + Duration::from_secs(1);
    world.set(0, |instance| (instance.condition, instance.since) = (Condition::Running, back));
    world.now = back;
    let _ = world.turn();
    assert_eq!(world.verdict(), Verdict::Unhealthy);
    let _ = world.hear(1, 50, failure("connection refused"));
    assert_eq!(world.verdict(), Verdict::Unhealthy, "the other check has only just begun to fail");
    let _ = world.hear(0, 51, failure("timed out"));
    assert_eq!(world.verdict(), Verdict::Condemned);
    assert_eq!(world.app.condemned.len(), 2, "the breaker sees both");
    let again = world.health(0).clone();
    assert_eq!(world.hear(0, 61, failure("timed out")).actions, []);
    assert_eq!(*world.health(0), again, "one more is no news");
}

#[test]
fn a_success_counts_although_the_agent_is_not_known_to_answer() {
    let mut world = World::new(1, vec![http()]);
    let _ = world.turn();
    for number in 1..=4 {
        let _ = world.hear(0, number * 10, failure("timed out"));
    }
    world.set(0, |instance| instance.condition = Condition::Unreachable);
    let _ = world.hear(0, 50, failure("timed out"));
    assert_eq!(world.verdict(), Verdict::Condemned);
    let _ = world.hear(0, 60, Outcome::Success);
    assert_eq!(world.verdict(), Verdict::Healthy);
    let _ = world.hear(0, 70, failure("timed out"));
    assert_eq!((world.verdict(), world.probed().len()), (Verdict::Healthy, 0));
}

#[test]
fn a_withdrawn_app_is_neither_judged_nor_probed() {
    let mut world = World::new(1, vec![http()]);
    let _ = world.turn();
    world.app.declared = None;
    let _ = world.turn();
    assert_eq!(world.probed(), []);
    assert_eq!(world.hear(0, 10, failure("connection refused")).actions, []);
}

#[test]
fn probes_of_what_is_forgotten_are_stopped() {
    let mut world = World::new(2, vec![http()]);
    let _ = world.turn();
    world.app.instances.remove(key(0));
    let _ = world.turn();
    assert_eq!(world.probed(), [(key(1), ProbeKind::Health(0))]);
}
