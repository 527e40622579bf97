//! Deadlines, failure and going back.

use std::time::Duration;

use ekiden_model::app::App;
use ekiden_model::health::Verdict;
use ekiden_model::report::KillCause;
use ekiden_model::revision::{Phase, Standing};
use ekiden_model::view::Settled;
use ekiden_model::{Again, Condition};

use crate::world::{World, app, capacity, r};

fn watched(instances: u32) -> App {
    let mut app = app("v1", instances);
    app.rollout.progress_deadline = Some(Duration::from_secs(600));
    app
}

/// A rollout of which every new instance runs and never becomes healthy.
fn stuck(auto_rollback: bool) -> World {
    let mut declared = watched(4);
    declared.rollout.auto_rollback = auto_rollback;
    let mut world = World::running(declared);
    world.edit_command("v2");
    world.step();
    world.run(r(2), Verdict::Unhealthy);
    world.step();
    world
}

#[test]
fn without_progress_a_rollout_fails_and_stands_still() {
    let mut world = stuck(false);
    assert_eq!(world.again, Again::At(world.now + Duration::from_secs(600)));
    world.wait(599);
    assert!(!world.decide());
    world.wait(1);
    world.step();
    assert_eq!((world.phase(), world.targets()), (Phase::Failed, vec![(1, 4), (2, 4)]));
    assert_eq!(world.standing(r(2)), Standing::Failed(world.now));
    let failed = format!("rollout to r2 failed at {}: no progress before its deadline", world.now);
    assert_eq!(world.reasons()[0], failed);
    assert_eq!(world.again, Again::OnChange);

    world.edit(|app| app.instances = 6);
    world.step();
    assert_eq!(world.targets(), [(1, 4), (2, 4)], "8 are enough for 6");
    world.edit(|app| drop(app.labels.insert("a".to_owned(), "b".to_owned())));
    assert!(!world.decide(), "what changes in place is no new try");

    world.edit_command("v3");
    world.step();
    assert_eq!((world.phase(), world.rollout().to), (Phase::Rolling, r(3)));
    world.settle();
    assert_eq!((world.phase(), world.revisions()), (Phase::Complete, vec![1, 3]));
}

#[test]
fn who_came_back_after_the_number_was_lowered_and_raised_again_stays() {
    // No surge: what is lowered leaves no room for another.
    let mut world = World::running(App { capacity: capacity(0.5, 0.0), ..watched(4) });
    world.edit(|app| app.rollout.paused = true);
    world.edit_command("v2");
    world.step();
    assert_eq!((world.phase(), world.targets()), (Phase::Paused, vec![(1, 4)]));
    // As for a global app that loses an agent and has it back before anything was done about it.
    world.edit(|app| app.instances = 3);
    assert!(world.decide());
    assert_eq!(world.targets(), [(1, 3)]);
    world.edit(|app| app.instances = 4);
    assert!(world.decide());
    assert_eq!(world.targets(), [(1, 4)], "all four exist");
    assert!(!world.decide());
}

#[test]
fn pausing_and_resuming_a_failed_rollout_tries_it_again() {
    let mut world = stuck(false);
    world.wait(600);
    world.step();
    world.edit(|app| app.rollout.paused = true);
    world.step();
    assert_eq!((world.phase(), world.standing(r(2))), (Phase::Paused, Standing::Unproven));
    world.wait(3600);
    world.edit(|app| app.rollout.paused = false);
    world.step();
    assert_eq!((world.phase(), world.rollout().progress), (Phase::Rolling, world.now));
    world.settle();
    assert_eq!(world.phase(), Phase::Complete);
}

#[test]
fn every_instance_that_comes_up_is_progress() {
    let mut world = stuck(false);
    for _ in 0..3 {
        world.wait(599);
        let next = world.keys(|i| i.revision == r(2) && !i.is_healthy())[0];
        world.heal(next);
        world.step();
        assert_eq!(world.phase(), Phase::Rolling);
    }
    let up = world.keys(|i| i.revision == r(2) && i.is_healthy())[0];
    world.change(up, |instance| instance.health.verdict = Verdict::Unhealthy);
    world.wait(599);
    world.step();
    world.heal(up);
    world.wait(1);
    world.step();
    assert_eq!(world.phase(), Phase::Failed, "coming up again is no progress");
}

#[test]
fn waiting_for_a_place_is_no_failure() {
    let mut world = World::running(watched(4));
    world.capacity = 4;
    world.edit_command("v2");
    world.step();
    world.wait(100_000);
    world.step();
    assert_eq!((world.phase(), world.again), (Phase::Rolling, Again::OnChange));
    world.capacity = 5;
    world.step();
    world.step();
    assert_eq!(world.again, Again::At(world.now + Duration::from_secs(600)), "only now it counts");
    world.settle();
    assert_eq!(world.phase(), Phase::Complete);
}

#[test]
fn gaps_between_attempts_hold_the_clock_and_do_not_reset_it() {
    let mut world = World::running(watched(1));
    world.edit_command("v2");
    for _ in 0..7 {
        world.step();
        assert_eq!(world.phase(), Phase::Rolling);
        world.run(r(2), Verdict::Unhealthy);
        world.wait(100);
        world.step();
        if world.phase() == Phase::Failed {
            return;
        }
        let condemned = world.of(r(2))[0];
        world.end(condemned, KillCause::Unhealthy);
        world.bury();
        world.capacity = 1;
        world.step();
        world.wait(50);
        world.capacity = 2;
    }
    panic!("never replaced often enough to fail: {:?}", world.rollout());
}

#[test]
fn a_crash_loop_counts_while_nothing_runs() {
    let mut world = World::running(watched(1));
    world.edit_command("v2");
    world.step();
    let one = world.of(r(2))[0];
    world.capacity = 1;
    world.crash(one);
    world.step();
    world.wait(600);
    world.step();
    assert_eq!(world.phase(), Phase::Failed);
    assert!(world.reasons()[0].ends_with("last failure: TASK_FAILED on host (exited with 1)"));
}

#[test]
fn what_happened_while_we_were_away_is_not_held_against_it() {
    let mut world = stuck(false);
    world.wait(10_000);
    world.settled = Settled::No("the store has not been read");
    world.step();
    assert_eq!(world.phase(), Phase::Rolling);
    world.wait(5);
    world.settled = Settled::Yes;
    world.step();
    assert_eq!(world.again, Again::At(world.now + Duration::from_secs(600)));
}

#[test]
fn a_failed_rollout_goes_back_where_asked_for() {
    let mut declared = watched(4);
    declared.rollout.auto_rollback = true;
    declared.capacity = capacity(0.5, 0.5);
    let mut world = World::running(declared);
    world.edit_command("v2");
    world.step();
    world.bury();
    world.step();
    world.run(r(2), Verdict::Unhealthy);
    world.step();
    assert_eq!(world.targets(), [(1, 2), (2, 4)]);
    let kept = world.of(r(1));
    world.wait(600);
    world.step();
    assert_eq!(world.phase(), Phase::RollingBack { failed: r(2) });
    assert_eq!((world.rollout().to, world.targets()), (r(1), vec![(1, 2)]), "the others end first");
    world.settle();
    assert_eq!((world.phase(), world.targets(), world.rollout().to), (Phase::Complete, vec![(1, 4)], r(1)));
    assert_eq!(world.of(r(1))[..2], kept);
    assert_eq!(world.reasons()[1], "rollout to r2 failed, back to r1");

    world.edit(|app| drop(app.labels.insert("a".to_owned(), "b".to_owned())));
    world.wait(10_000);
    world.step();
    assert_eq!(world.targets(), [(1, 4)], "it is not started again by itself");
    world.edit(|app| app.instances = 6);
    world.settle();
    assert_eq!((world.targets(), world.phase()), (vec![(1, 6)], Phase::Complete), "it scales as it is");

    world.edit_command("v3");
    world.settle();
    assert_eq!((world.targets(), world.reasons()), (vec![(3, 6)], vec![]));
}

#[test]
fn reverting_a_rolled_back_app_and_declaring_the_failed_one_again_tries_again() {
    let mut world = stuck(true);
    world.wait(600);
    world.step();
    assert_eq!((world.rollout().to, world.standing(r(2))), (r(1), Standing::Failed(world.now)));
    world.edit_command("v1");
    world.step();
    assert_eq!((world.rollout().to, world.reasons()), (r(1), vec![]));
    world.edit_command("v2");
    world.step();
    assert_eq!((world.rollout().to, world.phase()), (r(2), Phase::Rolling), "its last instances are still ending");
    world.settle();
    assert_eq!(world.phase(), Phase::Complete);
}

#[test]
fn with_nothing_to_go_back_to_it_stands_still() {
    let mut declared = watched(2);
    declared.rollout.auto_rollback = true;
    let mut world = World::new(declared);
    world.step();
    world.run(r(1), Verdict::Unhealthy);
    world.step();
    world.wait(600);
    world.step();
    assert_eq!((world.phase(), world.targets()), (Phase::Failed, vec![(1, 2)]));
    world.run(r(1), Verdict::Healthy);
    world.step();
    assert_eq!(world.phase(), Phase::Complete, "it came up after all");
}

#[test]
fn asking_for_rollback_after_the_failure_is_early_enough() {
    let mut world = stuck(false);
    world.wait(600);
    world.step();
    world.edit(|app| app.rollout.auto_rollback = true);
    world.settle();
    assert_eq!((world.targets(), world.rollout().to), (vec![(1, 4)], r(1)));
}

#[test]
fn scaling_up_a_proven_revision_never_fails_it() {
    let mut world = World::running(watched(2));
    world.edit(|app| app.instances = 4);
    world.step();
    for key in world.keys(|i| i.condition == Condition::Provisioned) {
        world.change(key, |instance| instance.condition = Condition::Running);
    }
    world.step();
    world.wait(100_000);
    world.step();
    assert_eq!((world.phase(), world.targets()), (Phase::Rolling, vec![(1, 4)]));
    assert_eq!(world.reasons(), ["waits for 2 instances of r1 to become healthy"]);
}

/// Two edits before anything ran, in an app with little room: the new revision has no room at the moment it fails,
/// because old instances are still ending. Standing still at nothing would leave the app down for good.
#[test]
fn a_failed_rollout_never_stands_still_at_nothing() {
    let mut declared = watched(2);
    declared.capacity = capacity(0.5, 0.5);
    let mut world = World::new(declared);
    world.step();
    world.edit_command("v2");
    world.step();
    world.edit(|app| app.instances = 1);
    let one = world.of(r(2))[0];
    world.crash(one);
    world.step();
    assert_eq!(world.targets(), [], "the two that end take the room");
    world.wait(600);
    world.step();
    assert_eq!((world.phase(), world.targets()), (Phase::Failed, vec![]));
    world.bury();
    world.step();
    assert_eq!((world.phase(), world.targets()), (Phase::Failed, vec![(2, 1)]));
}
