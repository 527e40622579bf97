//! Marathon's traps, by the number of their thread (reference §4.5, §7).

use ekiden_model::health::Verdict;
use ekiden_model::revision::Phase;
use ekiden_model::{Condition, Instance};

use crate::world::{World, app, capacity, r};

/// #754, "deployments are too greedy": with room for only one more instance, Marathon waited for all new ones to be
/// placed before it ended an old one.
#[test]
fn issue_754_one_new_instance_that_serves_is_enough_to_go_on() {
    let mut world = World::running(app("v1", 2));
    world.capacity = 3;
    world.edit_command("v2");
    world.step();
    assert_eq!(world.count(r(2), |_| true), 1);
    world.run(r(2), Verdict::Healthy);
    world.step();
    assert_eq!(world.targets(), [(1, 1), (2, 2)]);
    world.settle();
    assert_eq!(world.phase(), Phase::Complete);
}

/// #3546, "very high minimumHealthCapacity blocks deployment": five agents, a fixed port on each, and 0.9 of 5 rounded
/// up to 5, so that no port ever became free.
#[test]
fn issue_3546_a_minimum_near_one_on_fixed_ports_moves() {
    let mut declared = app("v1", 5);
    declared.capacity = capacity(0.9, 0.0);
    let mut world = World::running(declared);
    world.capacity = 5;
    world.edit_command("v2");
    let mut fewest = 5;
    for _ in 0..30 {
        world.step();
        fewest = fewest.min(world.healthy());
        world.bury();
        world.step();
        world.run(r(2), Verdict::Healthy);
    }
    assert_eq!((world.targets(), world.phase(), fewest), (vec![(2, 5)], Phase::Complete, 4));
}

/// #1570, "kills tasks before minimumHealthCapacity is met": old tasks were killed as soon as new ones ran, although
/// those never passed a health check.
#[test]
fn issue_1570_running_is_not_healthy() {
    let mut world = World::running(app("v1", 4));
    world.edit_command("v2");
    for verdict in [Verdict::Unknown, Verdict::Unhealthy] {
        world.step();
        world.run(r(2), verdict);
        world.step();
        assert_eq!((world.targets(), world.count(r(1), Instance::is_healthy)), (vec![(1, 4), (2, 4)], 4));
    }
    for key in world.of(r(2)) {
        world.crash(key);
        world.step();
    }
    assert_eq!(world.count(r(1), Instance::is_healthy), 4);
}

/// #1904, "app scaled below minimumHealthCapacity": at the end of an update a new task was killed as one too many,
/// while old ones were still ending.
#[test]
fn issue_1904_ending_instances_do_not_make_new_ones_superfluous() {
    let mut world = World::running(app("v1", 2));
    world.edit_command("v2");
    world.step();
    world.run(r(2), Verdict::Healthy);
    world.decide();
    assert_eq!(world.phase(), Phase::Rolling, "the old ones are not told to end yet");
    world.step();
    assert_eq!(world.count(r(1), |i| i.condition == Condition::Killing), 2);
    assert_eq!((world.targets(), world.phase()), (vec![(2, 2)], Phase::Complete));
    for key in world.keys(|i| i.condition == Condition::Killing) {
        world.app.instances.remove(key);
        world.step();
        assert_eq!((world.targets(), world.healthy()), (vec![(2, 2)], 2));
    }
}

/// #1554, first half: from 2 to 1 together with a new version, one old task was killed at once although… it must be:
/// at most 2 may exist of 1 declared with over 1. But the other stays until the new one serves. With 3 allowed, more
/// stay.
#[test]
fn issue_1554_lowering_the_count_with_the_version_keeps_what_there_is_room_for() {
    let mut world = World::running(app("v1", 2));
    world.edit(|app| app.instances = 1);
    world.edit_command("v2");
    world.step();
    world.bury();
    world.step();
    assert_eq!(world.targets(), [(1, 1), (2, 1)]);
    assert_eq!(world.healthy(), 1);
    world.settle();
    assert_eq!(world.targets(), [(2, 1)]);
}

/// #1554, second half: a rollback relaunched what was still running.
#[test]
fn issue_1554_a_rollback_relaunches_nothing_that_still_runs() {
    let mut world = World::running(app("v1", 2));
    let running = world.of(r(1));
    world.edit_command("v2");
    world.step();
    world.edit_command("v1");
    world.settle();
    assert_eq!((world.of(r(1)), world.targets()), (running, vec![(1, 2)]));
}

/// #3091: the floor was taken of the new count at once, so that old capacity was gone before the new version had shown
/// anything.
#[test]
fn issue_3091_old_capacity_goes_as_the_new_revision_proves_itself() {
    let mut world = World::running(app("v1", 10));
    world.edit(|app| app.instances = 4);
    world.edit_command("v2");
    let mut seen = Vec::new();
    for _ in 0..6 {
        world.step();
        world.bury();
        world.step();
        seen.push(world.targets());
        world.run(r(2), Verdict::Healthy);
    }
    assert_eq!(seen[0], [(1, 7), (2, 1)], "8 may exist: one makes room");
    assert_eq!(seen[1], [(1, 5), (2, 3)]);
    assert_eq!(seen.last(), Some(&vec![(2, 4)]));
    assert_eq!(world.phase(), Phase::Complete);
}

/// #1100, the other side of #3091: keeping all old tasks left no room for new ones, and the deployment stuck.
#[test]
fn issue_1100_lowering_the_count_far_does_not_stick() {
    for minimum in [1.0, 0.5, 0.0] {
        for over in [1.0, 0.0] {
            let mut declared = app("v1", 10);
            declared.capacity = capacity(minimum, over);
            let mut world = World::running(declared);
            world.edit(|app| app.instances = 1);
            world.edit_command("v2");
            world.settle();
            assert_eq!((world.targets(), world.phase()), (vec![(2, 1)], Phase::Complete));
        }
    }
}
