//! Agents that are to be left: who goes, when, and what stays.

use std::time::Duration;

use ekiden_model::app::{Operator, PlacementMode};
use ekiden_model::report::KillCause;
use ekiden_model::revision::{Phase, Rollout};
use ekiden_model::{AgentId, Condition, Decision, RevisionId};

use crate::testing::{BEGIN, World, kills, launches, second, surge, told};

/// Four instances, `m0` and `m1` on agents that go into maintenance at once, for an hour; and two others with room.
fn four() -> World {
    let mut world = World::of(4).agents(2, 1, 8);
    for (slot, agent) in [(0, "m0"), (1, "m1"), (2, "a0"), (3, "a1")] {
        if agent.starts_with('m') {
            world.know(agent, "z1");
        }
        world = world.running(slot, agent);
    }
    world.maintain("m0", BEGIN, Some(3600));
    world.maintain("m1", BEGIN, Some(3600));
    world
}

fn keys(decision: &Decision) -> Vec<String> {
    launches(decision).into_iter().map(|(key, _)| key).collect()
}

fn drained(slots: &[u32]) -> Vec<(u32, KillCause)> {
    slots.iter().map(|slot| (*slot, KillCause::Draining)).collect()
}

/// Decides and lets everything come true until nothing more is decided; how many kills there were at a time.
fn run(world: &mut World) -> Vec<usize> {
    let mut waves = Vec::new();
    for _ in 0..40 {
        let decision = world.step();
        assert!(world.step().actions.is_empty(), "a second decision is empty");
        waves.push(kills(&decision).len());
        world.settle();
        world.pass(1);
    }
    waves.retain(|kills| *kills > 0);
    waves
}

#[test]
fn where_the_ceiling_allows_all_are_replaced_first_and_go_when_the_replacements_serve() {
    let mut world = four().declare(|app| app.capacity = surge(2, 0));
    let decision = world.step();
    assert_eq!((keys(&decision), kills(&decision)), (vec!["0#2".to_owned(), "1#2".to_owned()], vec![]));
    assert!(world.step().actions.is_empty());
    assert_eq!(
        told(&world.decide()),
        [
            "2 instances are to leave m0 (1 there, maintenance from 1970-01-02T03:46:40.000Z until \
             1970-01-02T04:46:40.000Z), m1 (1 there, maintenance from 1970-01-02T03:46:40.000Z until \
             1970-01-02T04:46:40.000Z): replacements are not healthy yet",
            "2 starting"
        ]
    );
    world.settle();
    let decision = world.step();
    assert_eq!((keys(&decision), kills(&decision)), (vec![], drained(&[0, 1])));
    assert!(told(&decision)[0].ends_with(": they are ending"), "{:?}", told(&decision));
    world.settle();
    world.go();
    assert!(world.step().actions.is_empty() && world.decide().report.is_empty());
    assert_eq!(world.slots(), [0, 1, 2, 3]);
    assert!(world.places().iter().all(|agent| agent.starts_with('a')), "{:?}", world.places());
}

#[test]
fn nothing_moves_from_an_agent_that_does_not_answer_although_its_tasks_are_not_said_to_be_lost_yet() {
    let mut world = four().declare(|app| app.capacity = surge(2, 0));
    world.lose("m0");
    assert_eq!(keys(&world.step()), ["1#2"], "what is on m0 is waited for as any that does not answer");
}

#[test]
fn with_room_for_one_more_they_move_one_by_one() {
    let mut world = four();
    assert_eq!(keys(&world.step()), ["0#2"]);
    assert_eq!(run(&mut world), [1, 1]);
    assert!(world.places().iter().all(|agent| agent.starts_with('a')), "{:?}", world.places());
}

#[test]
fn without_room_one_goes_by_a_permit_and_the_next_when_the_first_has_a_place() {
    let mut world = four().declare(|app| app.capacity = surge(0, 2));
    let decision = world.step();
    assert_eq!((keys(&decision), kills(&decision)), (vec![], drained(&[0])));
    assert!(world.step().actions.is_empty(), "one after the other");
    world.settle();
    // It has a place: three are healthy, of which two must be.
    let decision = world.step();
    assert_eq!((keys(&decision), kills(&decision)), (vec!["0#2".to_owned()], drained(&[1])));
    assert!(world.step().actions.is_empty());
    world.settle();
    run(&mut world);
    assert!(world.places().iter().all(|agent| agent.starts_with('a')), "{:?}", world.places());
}

#[test]
fn where_nobody_has_a_place_nothing_is_stopped_for_the_sake_of_it() {
    for capacity in [surge(2, 0), surge(1, 2)] {
        let mut world = four().declare(|app| app.capacity = capacity);
        for name in ["a0", "a1"] {
            let lot = world.book.of_agent(&AgentId::new(name), &ekiden_model::Role::any()).expect("an offer");
            world.book.use_up(lot);
        }
        let decision = world.step();
        assert!(decision.actions.is_empty());
        assert!(told(&decision)[0].ends_with("wait for offers: nothing is offered"), "{:?}", told(&decision));
        assert!(told(&decision)[1].ends_with("replacements have found no place yet"));
        assert_eq!(run(&mut world), [0; 0]);
    }
    // Without a ceiling to spare one goes, since who has a place shows only then; and no second one.
    let mut world = four().declare(|app| app.capacity = surge(0, 2));
    for name in ["a0", "a1"] {
        let lot = world.book.of_agent(&AgentId::new(name), &ekiden_model::Role::any()).expect("an offer");
        world.book.use_up(lot);
    }
    assert_eq!(run(&mut world), [1]);
    assert_eq!(world.slots(), [1, 2, 3]);
}

#[test]
fn with_all_agents_in_maintenance_the_app_stays() {
    let mut world = World::of(2).agents(2, 1, 8).running(0, "a0").running(1, "a1");
    world.maintain("a0", BEGIN, None);
    world.maintain("a1", BEGIN, None);
    let decision = world.step();
    assert!(decision.actions.is_empty());
    assert_eq!(
        told(&decision),
        [
            "1 of 2 wait for offers: 2 agents go into maintenance: a0 and a1",
            "2 instances are to leave a0 (1 there, maintenance from 1970-01-02T03:46:40.000Z), a1 (1 there, \
             maintenance from 1970-01-02T03:46:40.000Z): replacements have found no place yet"
        ]
    );
    assert_eq!(run(&mut world), [0; 0]);
}

#[test]
fn nothing_moves_before_its_time_and_from_drain_before_on() {
    let mut world = four();
    world.maintain("m0", BEGIN + 100, Some(60));
    world.maintain("m1", BEGIN + 100, Some(60));
    assert!(world.step().actions.is_empty() && world.decide().report.is_empty());
    world.pass(99);
    assert!(world.step().actions.is_empty());
    let mut early = world.clone();
    early.settings.drain_before = Duration::from_secs(1);
    assert_eq!(keys(&early.step()), ["0#2"]);
    world.pass(1);
    assert_eq!(keys(&world.step()), ["0#2"]);
    world.settle();
    world.pass(60);
    let decision = world.step();
    assert_eq!(kills(&decision), [(0, KillCause::Redundant)], "over: the one beside its successor stays");
}

#[test]
fn a_cancelled_window_ends_the_moving() {
    let mut world = four().declare(|app| app.capacity = surge(2, 0));
    world.go();
    world.settle();
    world.cancel("m0");
    world.cancel("m1");
    let decision = world.step();
    assert_eq!(kills(&decision), [(1, KillCause::Redundant), (0, KillCause::Redundant)]);
    world.settle();
    world.go();
    assert_eq!(world.places(), ["m0", "m1", "a0", "a1"]);
    assert!(world.step().actions.is_empty());
}

#[test]
fn what_does_not_serve_goes_first_and_needs_no_permit() {
    let mut world = four();
    let key = world.in_slot(1);
    world.app.instances.update(key, |one| one.health.verdict = ekiden_model::health::Verdict::Unhealthy);
    assert_eq!(keys(&world.step()), ["0#2"]);
    world.settle();
    world.app.instances.update(key, |one| one.health.verdict = ekiden_model::health::Verdict::Unhealthy);
    assert_eq!(kills(&world.step()), drained(&[1]));
}

#[test]
fn constraints_do_not_hold_up_who_leaves_within_his_own_rack() {
    let mut world = World::of(2).agents(2, 2, 8).constrained("zone", Operator::MaxPer(1));
    world.know("m1", "z1");
    let mut world = world.running(0, "a0").running(1, "m1");
    world.maintain("m1", BEGIN, None);
    assert_eq!(keys(&world.step()), ["1#2"]);
    world.settle();
    world.go();
    world.settle();
    assert_eq!(world.places(), ["a0", "a1"]);
}

#[test]
fn in_a_rollout_the_old_ones_there_go_first_and_are_not_replaced_by_their_like() {
    let mut world = four().declare(|app| app.capacity = surge(1, 1));
    world.revision(2, 1);
    world.revision(1, 3);
    world.app.rollout = Some(Rollout {
        to: RevisionId(2),
        phase: Phase::Rolling,
        since: second(1),
        progress: second(1),
        best: 0,
        held: None,
        wanted: 4,
        highest: RevisionId(2),
    });
    let decision = world.step();
    // Without it, the youngest would go: that is slot 3.
    assert_eq!(kills(&decision), [(1, KillCause::Replaced)]);
    assert_eq!(keys(&decision), ["1#2"], "{:?}", told(&decision));
    let launched = world.app.instances.get(world.in_slot(1)).expect("launched");
    assert_eq!(launched.revision, RevisionId(2));
    assert!(told(&world.decide()).iter().any(|line| line.ends_with("the rollout under way replaces them")));
}

#[test]
fn a_global_app_leaves_without_replacement_inside_the_floor_of_all_its_agents() {
    let world = World::of(4).declare(|app| app.placement.mode = PlacementMode::Global);
    let mut world = world.declare(|app| app.capacity = surge(0, 2)).agents(4, 1, 8);
    world.go();
    world.settle();
    for name in ["a1", "a2", "a3"] {
        world.maintain(name, BEGIN, None);
    }
    let count = |world: &World| {
        let app = world.app.declared.as_ref().expect("declared").app.clone();
        crate::matching_agents(&app, &world.agents, world.now, &world.settings)
    };
    assert_eq!(count(&world), 1);
    let mut world = world.scaled_to(1);
    let decision = world.step();
    assert_eq!(kills(&decision).len(), 2, "two of four may be missing");
    assert!(world.step().actions.is_empty());
    world.settle();
    let decision = world.step();
    assert!(kills(&decision).is_empty() && keys(&decision).is_empty());
    assert!(told(&decision)[0].ends_with(": 2 healthy, at least 2 must be"), "{:?}", told(&decision));
    // It is back: its instance is launched, and then the last one there may go.
    world.cancel("a1");
    let back = count(&world);
    let mut world = world.scaled_to(back);
    let decision = world.step();
    assert_eq!((keys(&decision).len(), kills(&decision).len()), (1, 0), "{:?}", told(&decision));
    world.settle();
    assert_eq!(kills(&world.step()).len(), 1);
}

#[test]
fn one_that_does_not_answer_is_not_moved_but_waited_for() {
    let mut world = four();
    world.lose("m0");
    world.becomes(0, Condition::Unreachable);
    let decision = world.step();
    assert_eq!(keys(&decision), ["1#2"], "the one on m1 moves");
}
