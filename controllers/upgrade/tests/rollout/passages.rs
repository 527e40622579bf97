//! What a rollout does, step by step.

use std::sync::Arc;

use ekiden_model::app::PlacementMode;
use ekiden_model::app::{Capacity, Count};
use ekiden_model::health::{Readiness, Verdict};
use ekiden_model::revision::{Phase, Standing};
use ekiden_model::view::{DependencyState, Settled};
use ekiden_model::{AppId, Condition, Instance};

use crate::world::{World, app, capacity, r, readiness};

#[test]
fn the_worked_example_of_the_arithmetic() {
    let mut declared = app("v1", 10);
    declared.capacity = capacity(0.5, 0.2);
    let mut world = World::running(declared);
    world.edit_command("v2");

    world.step();
    assert_eq!(world.targets(), [(1, 5), (2, 2)], "10 old ones leave room for 2 of 12, and 5 may go");
    world.bury();
    world.step();
    assert_eq!(world.targets(), [(1, 5), (2, 7)], "5 old ones leave room for 7");
    assert_eq!(world.reasons()[0], "rollout to r2: 0 of 10 updated and healthy");
    assert!(world.reasons().contains(&"old instances stay: 5 healthy, at least 5 must be".to_owned()));
    for key in &world.of(r(2))[..3] {
        world.heal(*key);
    }
    world.step();
    assert_eq!(world.targets(), [(1, 2), (2, 7)], "3 new ones serve, so 3 old ones go");
    world.bury();
    world.step();
    assert_eq!(world.targets(), [(1, 2), (2, 10)]);
    for key in &world.of(r(2))[..7] {
        world.heal(*key);
    }
    world.step();
    assert_eq!(world.targets(), [(2, 10)]);
    assert_eq!(world.phase(), Phase::Rolling);
    world.settle();
    assert_eq!(world.phase(), Phase::Complete);
    assert_eq!(world.reasons(), [] as [&str; 0]);
}

/// What the first decision of a rollout asks for, from all old and healthy: (old, new).
#[test]
fn first_steps_by_capacity() {
    let share = |value| Count::Share(ekiden_model::app::Fraction::from_f64(value).expect("within 0 to 1"));
    let counted = |max_surge, max_unavailable| Capacity::Counted { max_surge, max_unavailable };
    let table = [
        (4, capacity(1.0, 1.0), [4, 4]),
        (4, capacity(1.0, 0.0), [4, 1]),
        (5, capacity(0.9, 0.0), [4, 0]),
        (1, capacity(0.5, 0.0), [1, 1]),
        (3, capacity(0.0, 0.0), [0, 0]),
        (3, capacity(0.0, 1.0), [0, 3]),
        (10, counted(share(0.25), share(0.25)), [8, 3]),
        (3, counted(Count::Whole(0), Count::Whole(1)), [2, 0]),
        (3, counted(Count::Whole(1), Count::Whole(0)), [3, 1]),
        (3, counted(Count::Whole(0), Count::Whole(0)), [3, 1]),
    ];
    for (instances, capacity, [old, new]) in table {
        let mut declared = app("v1", instances);
        declared.capacity = capacity;
        let mut world = World::running(declared);
        world.edit_command("v2");
        world.decide();
        let target = |number| world.app.revision(r(number)).map_or(0, |revision| revision.target);
        assert_eq!([target(1), target(2)], [old, new], "{instances} with {capacity:?}");
        world.settle();
        assert_eq!(world.targets(), [(2, instances)], "{instances} with {capacity:?}");
    }
}

#[test]
fn what_no_task_notices_opens_nothing() {
    let mut world = World::running(app("v1", 3));
    world.edit(|app| {
        app.labels.insert("owner".to_owned(), "team".to_owned());
        app.capacity = capacity(0.5, 0.5);
    });
    assert!(!world.decide());
    assert_eq!(world.revisions(), [1]);
}

#[test]
fn scaling_sets_the_target_at_once_and_is_a_passage_of_its_own() {
    let mut world = World::running(app("v1", 3));
    let proven = world.standing(r(1));
    world.edit(|app| app.instances = 7);
    world.decide();
    assert_eq!((world.targets(), world.phase()), (vec![(1, 7)], Phase::Rolling));
    assert_eq!(world.reasons(), [] as [&str; 0], "`instances` says that 4 wait for a place");
    world.settle();
    assert_eq!(world.phase(), Phase::Complete);
    world.edit(|app| app.instances = 2);
    world.decide();
    assert_eq!(world.targets(), [(1, 2)]);
    world.settle();
    world.edit(|app| app.instances = 0);
    world.settle();
    assert_eq!((world.targets(), world.phase()), (vec![], Phase::Complete));
    assert_eq!(world.standing(r(1)), proven);
}

#[test]
fn no_instances_are_a_rollout_without_work() {
    let mut world = World::running(app("v1", 0));
    assert_eq!(world.standing(r(1)), Standing::Unproven);
    world.edit_command("v2");
    world.settle();
    assert_eq!((world.revisions(), world.phase()), (vec![2], Phase::Complete));
}

#[test]
fn scaling_in_the_middle_of_a_rollout() {
    let mut declared = app("v1", 4);
    declared.capacity = capacity(1.0, 0.25);
    let mut world = World::running(declared);
    world.edit_command("v2");
    world.step();
    assert_eq!(world.targets(), [(1, 4), (2, 1)]);
    world.edit(|app| app.instances = 8);
    world.step();
    assert_eq!(world.targets(), [(1, 4), (2, 6)], "10 may exist, and 4 old ones do");
    world.settle();
    assert_eq!(world.targets(), [(2, 8)]);
    world.edit_command("v3");
    world.step();
    world.edit(|app| app.instances = 0);
    world.settle();
    assert_eq!((world.targets(), world.phase()), (vec![], Phase::Complete));
}

#[test]
fn a_newer_declaration_turns_the_rollout_round_and_the_one_between_goes_first() {
    let mut declared = app("v1", 4);
    declared.capacity = capacity(0.5, 0.5);
    let mut world = World::running(declared);
    world.edit_command("v2");
    world.step();
    world.bury();
    world.step();
    assert_eq!(world.targets(), [(1, 2), (2, 4)]);
    let up = world.of(r(2))[0];
    world.heal(up);
    world.edit_command("v3");
    world.step();
    assert_eq!(world.targets(), [(1, 2)], "2 must serve: of r1, not of r2, which was never complete");
    world.bury();
    world.step();
    assert_eq!((world.revisions(), world.targets()), (vec![1, 3], vec![(1, 2), (3, 4)]));
    world.settle();
    assert_eq!(world.targets(), [(3, 4)]);
}

#[test]
fn a_surge_that_is_superseded_goes_at_once() {
    let mut world = World::running(app("v1", 4));
    world.edit_command("v2");
    world.step();
    for key in &world.of(r(2))[..3] {
        world.heal(*key);
    }
    world.edit_command("v3");
    world.decide();
    assert_eq!(world.targets(), [(1, 4)], "4 must serve, and need not be more");
    world.settle();
    assert_eq!(world.targets(), [(3, 4)]);
}

#[test]
fn a_revert_keeps_what_runs_and_restarts_nothing() {
    let mut declared = app("v1", 4);
    declared.capacity = capacity(0.5, 0.5);
    let mut world = World::running(declared);
    let first = world.of(r(1));
    world.edit_command("v2");
    world.step();
    world.bury();
    world.step();
    let kept = world.of(r(1));
    assert_eq!(kept, first[2..], "two of the old ones are left");
    world.edit_command("v1");
    world.step();
    assert_eq!(world.rollout().to, r(1));
    world.settle();
    assert_eq!((world.targets(), world.revisions(), world.phase()), (vec![(1, 4)], vec![1], Phase::Complete));
    assert_eq!(world.of(r(1))[..2], kept);
    world.edit_command("v2");
    world.settle();
    assert_eq!(world.targets(), [(3, 4)], "no number is given twice");
}

#[test]
fn a_restart_replaces_all_instances_by_others_of_the_same_template() {
    let mut world = World::running(app("v1", 2));
    world.restart();
    world.settle();
    assert_eq!((world.targets(), world.revisions()), (vec![(2, 2)], vec![1, 2]));
    assert!(!world.decide(), "one restart is one restart");
}

#[test]
fn a_first_start_waits_for_dependencies_and_a_running_app_does_not() {
    let mut world = World::new(app("v1", 3));
    let db = AppId::parse("/db").expect("a good id");
    world.dependencies = vec![DependencyState { app: db, healthy: 1, wanted: 2, satisfied: false }];
    world.step();
    assert_eq!((world.targets(), world.phase()), (vec![], Phase::Waiting));
    assert_eq!(world.reasons(), ["waits for dependency /db: 1 of 2 healthy"]);

    world.dependencies[0].satisfied = true;
    world.settle();
    assert_eq!((world.targets(), world.phase()), (vec![(1, 3)], Phase::Complete));

    world.dependencies[0].satisfied = false;
    for key in world.of(r(1)) {
        world.crash(key);
    }
    world.step();
    assert_eq!(world.targets(), [(1, 3)], "replacements never wait");
    world.settle();

    world.edit_command("v2");
    world.step();
    assert_eq!((world.targets(), world.phase()), (vec![(1, 3)], Phase::Waiting), "a new rollout does");
    world.edit(|app| app.instances = 5);
    world.step();
    assert_eq!(world.targets(), [(1, 5)], "what runs is scaled meanwhile");
    world.run(r(1), Verdict::Healthy);
    world.dependencies[0].satisfied = true;
    world.step();
    assert_eq!(world.targets(), [(1, 5), (2, 5)]);
    world.dependencies[0].satisfied = false;
    world.settle();
    assert_eq!(world.targets(), [(2, 5)], "once begun, it goes on");
}

#[test]
fn a_paused_rollout_stands_still_and_scales_what_exists() {
    let mut declared = app("v1", 4);
    declared.capacity = capacity(1.0, 0.5);
    let mut world = World::running(declared);
    world.edit_command("v2");
    world.step();
    assert_eq!(world.targets(), [(1, 4), (2, 2)]);
    world.edit(|app| app.rollout.paused = true);
    let up = world.of(r(2))[0];
    world.heal(up);
    world.step();
    assert_eq!((world.targets(), world.phase()), (vec![(1, 4), (2, 2)], Phase::Paused));
    assert_eq!(world.reasons(), ["rollout to r2 is paused with 1 of 4 updated"]);

    world.edit(|app| app.instances = 8);
    world.step();
    assert_eq!(world.targets(), [(1, 6), (2, 2)], "the proven one grows");
    world.edit(|app| app.instances = 3);
    world.step();
    assert_eq!(world.targets(), [(1, 3)], "the proven one stays");
    world.bury();
    world.edit(|app| app.rollout.paused = false);
    world.settle();
    assert_eq!((world.targets(), world.phase()), (vec![(2, 3)], Phase::Complete));

    world.edit(|app| app.rollout.paused = true);
    assert!(!world.decide(), "where nothing is under way, nothing is paused");
    world.edit(|app| app.instances = 5);
    world.settle();
    assert_eq!((world.targets(), world.phase()), (vec![(2, 5)], Phase::Complete));
    world.edit_command("v3");
    world.step();
    assert_eq!((world.targets(), world.phase()), (vec![(2, 5)], Phase::Paused), "declared, and not begun");
}

#[test]
fn a_paused_app_that_never_ran_is_not_started() {
    let mut declared = app("v1", 4);
    declared.rollout.paused = true;
    let mut world = World::new(declared);
    world.step();
    assert_eq!((world.targets(), world.phase()), (vec![], Phase::Paused));
    world.edit(|app| app.rollout.paused = false);
    world.settle();
    assert_eq!(world.targets(), [(1, 4)]);
}

#[test]
fn an_instance_counts_when_it_is_healthy_and_ready() {
    let mut declared = app("v1", 2);
    declared.readiness = Some(readiness());
    let mut world = World::running(declared);
    world.edit_command("v2");
    world.step();
    world.run(r(2), Verdict::Unknown);
    world.step();
    assert_eq!(world.targets(), [(1, 2), (2, 2)]);
    assert_eq!(world.reasons()[1], "waits for 2 instances of r2 to become healthy");
    world.run(r(2), Verdict::Healthy);
    world.step();
    assert_eq!(world.targets(), [(1, 2), (2, 2)]);
    assert_eq!(world.reasons()[1], "waits for 2 instances of r2 to become ready");
    let one = world.of(r(2))[0];
    world.change(one, |instance| instance.health.readiness = Readiness::Ready);
    world.step();
    assert_eq!(world.targets(), [(1, 1), (2, 2)]);
    world.settle();
}

#[test]
fn instances_of_before_a_readiness_check_are_not_worthless() {
    let mut world = World::running(app("v1", 3));
    for key in world.of(r(1)) {
        world.change(key, |instance| instance.health.readiness = Readiness::Unasked);
    }
    world.edit(|app| app.readiness = Some(readiness()));
    world.edit_command("v2");
    world.step();
    assert_eq!(world.targets(), [(1, 3), (2, 3)]);
    world.settle();
}

#[test]
fn proven_instances_of_unknown_health_are_not_thrown_away() {
    let mut world = World::running(app("v1", 3));
    world.run(r(1), Verdict::Unknown);
    world.edit_command("v2");
    world.step();
    assert_eq!(world.targets(), [(1, 3), (2, 3)]);
    let up = world.of(r(2))[0];
    world.heal(up);
    world.step();
    assert_eq!(world.targets(), [(1, 2), (2, 3)]);
    world.settle();
}

#[test]
fn known_health_is_not_traded_for_presumed_health() {
    let mut world = World::running(app("v1", 3));
    world.edit_command("v2");
    world.step();
    world.run(r(1), Verdict::Unknown);
    let up = world.of(r(2))[0];
    world.heal(up);
    world.edit_command("v3");
    world.step();
    assert_eq!(world.targets(), [(1, 2), (2, 1)], "the only one known to be healthy stays");
    world.settle();
    assert_eq!(world.targets(), [(3, 3)]);
}

#[test]
fn the_unhealthy_go_first_and_cost_nothing() {
    let mut world = World::running(app("v1", 4));
    for key in &world.of(r(1))[..3] {
        world.change(*key, |instance| instance.health.verdict = Verdict::Unhealthy);
    }
    world.edit_command("v2");
    world.step();
    assert_eq!(world.targets(), [(1, 1), (2, 4)]);
    assert_eq!(world.healthy(), 1);
    world.settle();
}

#[test]
fn a_lost_agent_does_not_hold_up_a_rollout() {
    let mut declared = app("v1", 4);
    declared.capacity = capacity(1.0, 0.0);
    let mut world = World::running(declared);
    let lost = world.of(r(1))[0];
    world.change(lost, |instance| instance.condition = Condition::Unreachable);
    world.edit_command("v2");
    world.step();
    assert_eq!(world.targets(), [(1, 3), (2, 2)], "an ending instance that cannot end takes no room");
    for _ in 0..8 {
        for key in world.keys(|i| i.is_wanted() && i.condition != Condition::Unreachable) {
            world.heal(key);
        }
        for key in world.keys(|i| i.condition == Condition::Killing) {
            world.app.instances.remove(key);
        }
        world.step();
    }
    assert_eq!((world.targets(), world.phase()), (vec![(2, 4)], Phase::Complete));
    assert_eq!(world.revisions(), [1, 2], "a revision stays as long as one of its instances is known");
}

#[test]
fn a_global_app_rolls_over_agent_by_agent() {
    let mut declared = app("v1", 3);
    declared.placement.mode = PlacementMode::Global;
    let mut world = World::running(declared);
    world.capacity = 3;
    world.edit_command("v2");
    world.step();
    assert_eq!(world.targets(), [(1, 2)]);
    world.settle();
    assert_eq!((world.targets(), world.phase()), (vec![(2, 3)], Phase::Complete));
}

#[test]
fn agents_that_were_not_heard_of_yet_are_not_gone() {
    let mut declared = app("v1", 3);
    declared.placement.mode = PlacementMode::Global;
    let mut world = World::running(declared);
    world.settled = Settled::No("the cluster has not answered");
    world.agents = Some(1);
    world.step();
    assert_eq!(world.targets(), [(1, 3)]);
    world.settled = Settled::Yes;
    world.step();
    assert_eq!(world.targets(), [(1, 1)]);
}

#[test]
fn nothing_makes_room_for_what_can_never_run() {
    let mut declared = app("v1", 4);
    declared.capacity = capacity(0.5, 0.0);
    let mut world = World::running(declared);
    world.edit_command("v2");
    world.unsupported = Some("a Docker container");
    world.step();
    assert_eq!((world.targets(), world.phase()), (vec![(1, 4)], Phase::Waiting));
    assert_eq!(world.reasons(), ["a Docker container cannot run on this cluster"]);
    world.edit_command("v3");
    world.unsupported = None;
    world.settle();
    assert_eq!(world.targets(), [(3, 4)]);
}

#[test]
fn an_app_that_is_withdrawn_stops_and_may_come_back() {
    let mut world = World::running(app("v1", 3));
    let declared = world.app.declared.take();
    world.step();
    assert_eq!((world.targets(), world.revisions()), (vec![], vec![1]));
    assert_eq!(world.count(r(1), Instance::is_wanted), 0);
    world.app.declared = declared;
    world.step();
    assert_eq!(world.targets(), [(1, 3)], "the same revision, while something of it is left");
    world.settle();

    world.app.declared = None;
    world.step();
    world.bury();
    world.step();
    assert_eq!(world.revisions(), [] as [u32; 0]);
    assert!(!world.decide());
    let mut again = app("v1", 1);
    Arc::make_mut(&mut again.template).tty = true;
    world.app.declared = World::new(again).app.declared;
    world.settle();
    assert_eq!(world.targets(), [(2, 1)], "no number is given twice");
}

#[test]
fn one_proven_revision_is_kept_to_go_back_to() {
    let mut world = World::running(app("v1", 2));
    for version in ["v2", "v3", "v4"] {
        world.edit_command(version);
        world.settle();
    }
    assert_eq!(world.revisions(), [3, 4]);
    world.edit_command("v5");
    world.step();
    world.edit_command("v6");
    world.settle();
    assert_eq!(world.revisions(), [4, 6], "what was never complete is not kept");
    world.edit_command("v4");
    world.settle();
    assert_eq!(world.revisions(), [6, 7], "of what is returned to nothing runs, so it is a new revision");
}
