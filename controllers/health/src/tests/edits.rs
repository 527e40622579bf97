//! Checks that are edited under running instances.

use std::time::Duration;

use ekiden_model::app::{CheckKind, HealthCheck};
use ekiden_model::health::{Outcome, ProbeKind, Verdict};
use ekiden_model::{Condition, RevisionId};

use super::world::{World, command, failure, http, instance, key, started, tcp};

fn healthy(checks: Vec<HealthCheck>) -> World {
    let mut world = World::new(1, checks);
    let _ = world.turn();
    for index in 0..world.app.health_checks(RevisionId(1)).len() {
        let _ = world.hear(index as u32, 10, Outcome::Success);
    }
    assert_eq!(world.verdict(), Verdict::Healthy);
    world
}

#[test]
fn an_edit_of_timing_changes_the_probe_and_nothing_known() {
    let mut world = healthy(vec![http(), tcp()]);
    let before = world.health(0).clone();
    world.edit(|app| app.health_checks[0].interval = Duration::from_secs(3));
    let decision = world.turn();
    assert_eq!(*world.health(0), before);
    let [probe] = started(&decision)[..] else { panic!("one probe starts: {decision:?}") };
    assert_eq!((probe.kind, probe.interval), (ProbeKind::Health(0), Duration::from_secs(3)));
    assert_eq!(decision.actions.len(), 1);
}

#[test]
fn policy_alone_does_not_even_touch_the_probe() {
    let mut world = healthy(vec![http()]);
    world.edit(|app| {
        app.health_checks[0].max_failures = 1;
        app.health_checks[0].grace_period = Duration::from_secs(9);
    });
    assert_eq!(world.turn().actions, []);
}

#[test]
fn another_question_takes_a_verdict_only_with_its_answer_and_leaves_the_others_alone() {
    let mut world = healthy(vec![http(), tcp()]);
    let kept = world.health(0).checks[1].clone();
    world.edit(|app| {
        if let CheckKind::Http { path, .. } = &mut app.health_checks[0].kind {
            *path = "/other".into();
        }
    });
    let _ = world.turn();
    assert_eq!(world.verdict(), Verdict::Healthy, "it serves as before");
    assert_eq!(world.health(0).checks[0].alive(), None);
    assert_eq!(world.health(0).checks[1], kept);
    let _ = world.hear(0, 20, failure("answered 404"));
    assert_eq!(world.verdict(), Verdict::Unhealthy);
    let _ = world.hear(0, 30, Outcome::Success);
    assert_eq!(world.verdict(), Verdict::Healthy);
}

#[test]
fn nothing_known_of_the_only_check_is_no_loss_of_health_and_no_gain() {
    for (answer, before, after) in [
        (Some(Outcome::Success), Verdict::Healthy, Verdict::Healthy),
        (Some(failure("answered 500")), Verdict::Unhealthy, Verdict::Unknown),
        (None, Verdict::Unknown, Verdict::Unknown),
    ] {
        let mut world = World::new(1, vec![http()]);
        let _ = world.turn();
        if let Some(answer) = answer {
            let _ = world.hear(0, 1000, answer);
        }
        assert_eq!(world.verdict(), before);
        world.edit(|app| app.health_checks = vec![tcp()]);
        let _ = world.turn();
        assert_eq!(world.verdict(), after);
        assert_eq!(world.turn().actions, []);
        let _ = world.hear(0, 1010, failure("connection refused"));
        assert_eq!(world.verdict(), Verdict::Unhealthy);
    }
}

#[test]
fn checks_keep_their_states_when_they_move() {
    let mut world = healthy(vec![http(), tcp()]);
    let _ = world.hear(1, 20, failure("connection refused"));
    let states = world.health(0).checks.clone();
    world.edit(|app| app.health_checks.reverse());
    let _ = world.turn();
    assert_eq!(world.health(0).checks, [states[1].clone(), states[0].clone()]);
    world.edit(|app| {
        app.health_checks.remove(0);
    });
    let _ = world.turn();
    assert_eq!(world.health(0).checks, [states[0].clone()]);
    assert_eq!(world.verdict(), Verdict::Healthy, "the failing check is gone");
    assert_eq!(world.probed(), [(key(0), ProbeKind::Health(0))]);
}

#[test]
fn a_stricter_limit_waits_for_the_next_failure() {
    let mut world = healthy(vec![HealthCheck { max_failures: 10, ..http() }]);
    for number in 2..7 {
        let _ = world.hear(0, number * 10, failure("answered 500"));
    }
    world.edit(|app| app.health_checks[0].max_failures = 2);
    let _ = world.turn();
    assert_eq!(world.verdict(), Verdict::Unhealthy);
    let _ = world.hear(0, 100, failure("answered 500"));
    assert_eq!(world.verdict(), Verdict::Condemned);
}

#[test]
fn an_edit_that_allows_more_failures_or_drops_the_check_acquits() {
    let condemned = || {
        let mut world = healthy(vec![HealthCheck { max_failures: 1, ..http() }, tcp()]);
        let _ = world.hear(0, 20, failure("answered 500"));
        let _ = world.hear(0, 30, failure("answered 500"));
        assert_eq!(world.verdict(), Verdict::Condemned);
        world
    };
    let mut allowed = condemned();
    allowed.edit(|app| app.health_checks[0].max_failures = 2);
    let _ = allowed.turn();
    assert_eq!(allowed.verdict(), Verdict::Unhealthy);
    let _ = allowed.hear(0, 40, failure("answered 500"));
    assert_eq!(allowed.verdict(), Verdict::Condemned);

    let mut dropped = condemned();
    dropped.edit(|app| {
        app.health_checks.remove(0);
    });
    let _ = dropped.turn();
    assert_eq!(dropped.verdict(), Verdict::Healthy);
}

#[test]
fn instances_keep_the_executor_checks_that_they_were_started_with() {
    let mut world = healthy(vec![command("old"), http()]);
    world.roll(|app| app.health_checks = vec![tcp(), command("new"), http()]);
    world.app.instances.insert(instance(1, RevisionId(2)));
    let _ = world.turn();
    // The old one: today's checks by Ekiden, then its own command, which it passed.
    let old = world.app.health_checks(RevisionId(1));
    assert_eq!(old.into_iter().cloned().collect::<Vec<_>>(), [tcp(), http(), command("old")]);
    assert_eq!(world.app.executor_check(RevisionId(1)), Some(ProbeKind::Health(2)));
    assert_eq!(world.app.executor_check(RevisionId(2)), Some(ProbeKind::Health(1)));
    let alive: Vec<_> = world.health(0).checks.iter().map(ekiden_model::health::CheckState::alive).collect();
    assert_eq!(alive, [None, Some(true), Some(true)]);
    let probes = [(0, 0), (0, 1), (1, 0), (1, 2)].map(|(slot, index)| (key(slot), ProbeKind::Health(index)));
    assert_eq!(world.probed(), probes);
}

#[test]
fn an_edit_while_it_is_unreachable_is_followed_when_it_is_back() {
    let mut world = healthy(vec![http(), tcp()]);
    world.set(0, |instance| instance.condition = Condition::Unreachable);
    let _ = world.turn();
    world.edit(|app| {
        app.health_checks.remove(0);
    });
    assert_eq!(world.turn().actions, []);
    world.set(0, |instance| instance.condition = Condition::Running);
    let _ = world.turn();
    assert_eq!(world.health(0).checks.len(), 1);
    assert_eq!(world.verdict(), Verdict::Healthy);
}
