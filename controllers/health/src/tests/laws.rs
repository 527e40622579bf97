//! What holds whatever happens.

use std::time::Duration;

use ekiden_model::app::HealthCheck;
use ekiden_model::health::{CheckState, Health, Outcome, ProbeKind, Verdict};
use ekiden_model::{Action, Condition, Decision, Goal};
use proptest::prelude::*;

use super::world::{STARTED, World, command, failure, http, instance, key, readiness, tcp};
use crate::check::is_too_often;
use crate::judge::verdict;

/// Something that happens to an app with two instances.
#[derive(Debug, Clone)]
enum Happening {
    Sample { slot: u32, index: u32, outcome: Outcome },
    Condition(Condition),
    Checks(Vec<HealthCheck>),
    Restart,
    ClockBack,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Success),
        3 => Just(failure("answered 500")),
        1 => Just(Outcome::NoResult("the checker is overloaded".into())),
    ]
}

fn check() -> impl Strategy<Value = HealthCheck> {
    (0..3_usize, 0..4_u32, 0..60_u64).prop_map(|(kind, max_failures, grace)| HealthCheck {
        max_failures,
        grace_period: Duration::from_secs(grace),
        ..[http(), tcp(), command("true")][kind].clone()
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    let condition = prop_oneof![Just(Condition::Running), Just(Condition::Unreachable)];
    prop_oneof![
        12 => (0..2_u32, 0..3_u32, outcome())
            .prop_map(|(slot, index, outcome)| Happening::Sample { slot, index, outcome }),
        2 => condition.prop_map(Happening::Condition),
        1 => prop::collection::vec(check(), 0..3).prop_map(Happening::Checks),
        1 => Just(Happening::Restart),
        1 => Just(Happening::ClockBack),
    ]
}

/// Something that changes for one of five instances, or for all.
#[derive(Debug, Clone)]
enum Change {
    Heard(ProbeKind, Outcome),
    Instance(Condition, Goal),
    Unmapped,
    Forgotten,
    Launched,
    Checks(Vec<HealthCheck>),
    Readiness(bool),
    Rolled(Vec<HealthCheck>),
    Undeclared,
    Restart,
}

fn change() -> impl Strategy<Value = Change> {
    let kind = prop_oneof![5 => (0..3_u32).prop_map(ProbeKind::Health), 1 => Just(ProbeKind::Readiness)];
    let condition = prop_oneof![
        4 => Just(Condition::Running),
        1 => Just(Condition::Staging),
        2 => Just(Condition::Unreachable),
        1 => Just(Condition::Failed),
    ];
    let goal = prop_oneof![5 => Just(Goal::Running), 1 => Just(Goal::Decommissioned)];
    let checks = || prop::collection::vec(check(), 0..3);
    prop_oneof![
        24 => (kind, outcome()).prop_map(|(kind, outcome)| Change::Heard(kind, outcome)),
        6 => (condition, goal).prop_map(|(condition, goal)| Change::Instance(condition, goal)),
        1 => Just(Change::Unmapped),
        2 => Just(Change::Forgotten),
        3 => Just(Change::Launched),
        1 => checks().prop_map(Change::Checks),
        1 => any::<bool>().prop_map(Change::Readiness),
        1 => checks().prop_map(Change::Rolled),
        1 => Just(Change::Undeclared),
        1 => Just(Change::Restart),
    ]
}

fn make(world: &mut World, seconds: u64, slot: u32, change: Change) {
    world.now = STARTED + Duration::from_secs(seconds);
    let (now, is_there) = (world.now, world.app.instances.get(key(slot)).is_some());
    match change {
        Change::Heard(kind, outcome) => world.sample(slot, kind, seconds, outcome, Some(503)),
        Change::Instance(condition, goal) if is_there => world.set(slot, |instance| {
            (instance.condition, instance.since, instance.goal) = (condition, now, goal);
        }),
        Change::Unmapped if is_there => world.set(slot, |instance| instance.host_ports[0] = None),
        Change::Forgotten => world.forget(slot),
        Change::Launched => {
            world.forget(slot);
            let newest = world.app.newest().expect("there is one").id;
            world.app.instances.insert(instance(slot, newest));
        }
        Change::Checks(checks) if world.app.declared.is_some() => world.edit(|app| app.health_checks = checks),
        Change::Readiness(is) if world.app.declared.is_some() => {
            world.edit(|app| app.readiness = is.then(readiness));
        }
        Change::Rolled(checks) if world.app.declared.is_some() => world.roll(|app| app.health_checks = checks),
        Change::Undeclared => world.app.declared = None,
        Change::Restart => world.restart(),
        // Nobody is there to change, or nothing declared.
        Change::Instance(..) | Change::Unmapped | Change::Checks(_) | Change::Readiness(_) | Change::Rolled(_) => {
        }
    }
}

fn happen(world: &mut World, seconds: u64, happening: Happening) {
    match happening {
        Happening::Sample { slot, index, outcome } => {
            world.sample(slot, ProbeKind::Health(index), seconds, outcome, None);
        }
        Happening::Condition(condition) => {
            let now = STARTED + Duration::from_secs(seconds);
            world.set(0, |instance| {
                instance.since = if instance.condition == condition { instance.since } else { now };
                instance.condition = condition;
            });
        }
        Happening::Checks(checks) => world.edit(|app| app.health_checks = checks),
        Happening::Restart => world.restart(),
        Happening::ClockBack => {}
    }
}

proptest! {
    /// `turn` checks in passing that a second decision is empty, and that nothing but this controller's verbs is said.
    #[test]
    fn the_condemned_fail_too_often_and_the_rest_follows_from_the_states(
        checks in prop::collection::vec(check(), 0..3),
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut world = World::new(2, checks);
        let mut seconds = 0;
        for happening in happenings {
            seconds = if matches!(happening, Happening::ClockBack) { seconds / 2 } else { seconds + 7 };
            let before = world.health(0).verdict;
            let is_success = matches!(happening, Happening::Sample { slot: 0, outcome: Outcome::Success, .. });
            happen(&mut world, seconds, happening);
            let _ = world.turn();
            let after = world.health(0);
            let instance = world.app.instances.get(key(0)).expect("there");
            if instance.condition != Condition::Running {
                let is_better = is_success && after.verdict != Verdict::Condemned;
                prop_assert!(after.verdict == before || is_better, "{:?} becomes {:?}", before, after.verdict);
                continue;
            }
            let checks = world.app.health_checks(instance.revision);
            if after.verdict == Verdict::Condemned {
                let mut states = checks.iter().zip(&after.checks);
                prop_assert!(states.any(|(check, state)| is_too_often(check, state)));
            } else {
                prop_assert_eq!(after.verdict, verdict(before, checks.len(), &after.checks));
            }
        }
    }

    /// What is remembered of the last round spares visits, and changes no decision: also where what was decided is not
    /// done, or is done in part.
    #[test]
    fn a_round_decides_what_one_without_memory_would(
        checks in prop::collection::vec(check(), 0..3),
        changes in prop::collection::vec((change(), 0..5_u32, any::<bool>(), 0..3_u32), 0..60),
    ) {
        let mut world = World::new(5, checks);
        for (number, (change, slot, is_at_once, done)) in changes.into_iter().enumerate() {
            make(&mut world, 7 * number as u64, slot, change);
            if !is_at_once {
                continue;
            }
            let afresh = world.decide_afresh();
            let decision = world.decide();
            prop_assert_eq!(&decision, &afresh);
            match done {
                0 => {}
                1 => world.fold(&Decision { actions: decision.actions.into_iter().step_by(2).collect(), ..decision }),
                _ => world.fold(&decision),
            }
        }
    }

    /// The whole of §4.8 said once more, in the plainest words: the last run of failures decides.
    #[test]
    fn one_check_without_grace_follows_its_latest_answers(
        outcomes in prop::collection::vec(outcome(), 1..40),
        max_failures in 0..4_u32,
    ) {
        let mut world = World::new(1, vec![HealthCheck { max_failures, ..http() }]);
        let _ = world.turn();
        for (number, outcome) in outcomes.iter().enumerate() {
            let _ = world.hear(0, 10 * number as u64, outcome.clone());
        }
        let mut expected = Verdict::Unknown;
        let mut run = 0;
        for outcome in &outcomes {
            match outcome {
                Outcome::NoResult(_) => continue,
                Outcome::Success => (run, expected) = (0, Verdict::Healthy),
                Outcome::Failure(_) => (run, expected) = (run + 1, Verdict::Unhealthy),
            }
            if max_failures > 0 && run > max_failures {
                expected = Verdict::Condemned;
            }
        }
        prop_assert_eq!(world.verdict(), expected);
    }

    /// Samples that come one by one, and the same samples at once, lead to the same.
    #[test]
    fn batches_make_no_difference(
        outcomes in prop::collection::vec((0..2_u32, outcome()), 0..30),
        max_failures in 0..4_u32,
    ) {
        let checks = vec![HealthCheck { max_failures, ..http() }, HealthCheck { max_failures, ..tcp() }];
        let (mut single, mut batch) = (World::new(1, checks.clone()), World::new(1, checks));
        for (number, (index, outcome)) in outcomes.into_iter().enumerate() {
            let _ = single.hear(index, 10 * number as u64, outcome.clone());
            batch.sample(0, ProbeKind::Health(index), 10 * number as u64, outcome, None);
        }
        let _ = single.turn();
        let _ = batch.turn();
        prop_assert_eq!(single.health(0), batch.health(0));
    }

    /// No number of outcomes that say nothing changes anything.
    #[test]
    fn no_result_changes_nothing(count in 0..40_u64, failures in 0..4_u32) {
        let mut world = World::new(1, vec![http()]);
        let mut known = Health { verdict: Verdict::Unhealthy, ..Health::default() };
        known.checks.push(CheckState {
            question: http().question(),
            last_failure: Some(world.now),
            consecutive_failures: failures + 1,
            ..CheckState::default()
        });
        world.set(0, |instance| instance.health = known.clone());
        let _ = world.turn();
        for number in 0..count {
            world.sample(0, ProbeKind::Health(0), number, Outcome::NoResult("overloaded".into()), None);
        }
        let judged = world.decide().actions.iter().any(|action| matches!(action, Action::Judge { .. }));
        prop_assert!(!judged);
    }
}
