//! Instances that their checks condemned: replaced, unless so many turned unhealthy at once that the cause is likely
//! not theirs (a shared dependency, the network, the checker itself).
//!
//! The breaker is open while more than `breaker_minimum` and more than `breaker_share` of the instances
//!
//! * became condemned within the last `breaker_window`, or
//! * are condemned and still there, from whenever.
//!
//! While it is open one instance is replaced per window, beginning a window after the last condemnation; a window
//! counts from the last condemnation, launch, such kill or edit of the app, whichever was last, and no other goes before
//! the last one's replacement was launched: what nobody has room for would not come back. So a burst of 8 in an app of 10 costs
//! no instance in its first minute; if it lasts, one a minute; and with no more than half of them left condemned the
//! breaker closes and the rest is replaced at once. When the cause goes away nothing was lost: an instance whose
//! checks succeed again before its end was ordered is condemned no longer, and lives. Those that became condemned are
//! remembered all the same, so that a cause that comes and goes keeps the breaker open.

use ekiden_model::health::Verdict;
use ekiden_model::instance::Condition;
use ekiden_model::report::KillCause;
use ekiden_model::{Instance, Reason, Timestamp};

use crate::draft::Draft;

/// Kills condemned instances as far as the breaker lets it.
pub(crate) fn replace(draft: &mut Draft<'_>) {
    let view = draft.view;
    let condemned: Vec<&Instance> =
        view.app.instances.odd().filter(|instance| is_condemned(draft, instance)).collect();
    if condemned.is_empty() {
        return;
    }
    let instances = view.app.instances.total().wanted.max(view.desired);
    let recent = view.app.condemned.iter().filter(|at| **at + view.settings.breaker_window > view.now).count();
    // Those that cannot be seen just now are part of the picture: when their agents come back, they come one by one.
    let odd = view.app.instances.odd();
    let all = odd.filter(|one| one.health.verdict == Verdict::Condemned && draft.is_wanted(one)).count();
    if !is_burst(draft, recent, instances) && !is_burst(draft, all, instances) {
        for instance in condemned {
            draft.kill(instance, KillCause::Unhealthy);
        }
        return;
    }
    let mut left = condemned.len() as u32;
    let mut next = quiet_since(draft) + view.settings.breaker_window;
    let missing = view.app.revisions.iter().any(|revision| revision.target > draft.counted(revision.id));
    if next > view.now {
        draft.wake(next);
    } else if missing {
        next = view.now + view.settings.breaker_window;
    } else if condemned.first().is_some_and(|first| draft.kill(first, KillCause::Unhealthy)) {
        left -= 1;
        next = view.now + view.settings.breaker_window;
        draft.wake(next);
    }
    if left > 0 {
        draft.waits().breaker_open = Some(Reason::BreakerOpen { condemned: left, instances, until: next });
    }
}

/// An unreachable instance is not killed for its checks: nobody could have checked it (§4.8).
fn is_condemned(draft: &Draft<'_>, instance: &Instance) -> bool {
    instance.health.verdict == Verdict::Condemned
        && instance.condition != Condition::Unreachable
        && draft.is_wanted(instance)
}

fn is_burst(draft: &Draft<'_>, condemned: usize, instances: u32) -> bool {
    let settings = draft.view.settings;
    condemned > settings.breaker_minimum as usize
        && condemned as f64 > settings.breaker_share * f64::from(instances)
}

/// When something last happened that may have changed the picture.
fn quiet_since(draft: &Draft<'_>) -> Timestamp {
    let app = draft.view.app;
    let last_condemned = app.condemned.iter().max().copied();
    let last_launch = app.instances.wanted().map(|instance| instance.staged).max();
    let kills = app.instances.odd().filter_map(|instance| instance.kill.as_ref());
    let last_kill = kills.filter(|order| order.cause == KillCause::Unhealthy).map(|order| order.at).max();
    // An edit may end the very replacement by which it is known when the last one went: in scaling in it is the youngest.
    let last_edit = app.declared.as_ref().map(|declared| declared.version);
    last_condemned.max(last_launch).max(last_kill).max(last_edit).unwrap_or(Timestamp::EPOCH)
}

#[cfg(test)]
mod tests {
    use ekiden_model::health::Verdict;
    use ekiden_model::report::KillCause;
    use ekiden_model::view::Again;

    use crate::testing::{BEGIN, World, kills, launches, second, told};

    fn eight() -> World {
        (0..8).fold(World::of(8).agents(8, 1, 8), |world, slot| world.running(slot, &format!("a{slot}")))
    }

    #[test]
    fn a_condemned_instance_is_killed_and_replaced_in_its_slot() {
        let mut world = eight();
        world.condemn(3);
        let decision = world.step();
        assert_eq!(kills(&decision), [(3, KillCause::Unhealthy)]);
        // There is room for one more (surge 0 and unavailable 0 allow one), so it is replaced at once.
        assert_eq!(launches(&decision)[0].0, "3#2");
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn the_breaker_stops_mass_kills_and_then_lets_one_go_a_window() {
        let mut world = eight();
        (0..6).for_each(|slot| world.condemn(slot));
        let decision = world.step();
        assert!(decision.actions.is_empty());
        assert_eq!(decision.again, Again::At(second(BEGIN + 60)));
        assert_eq!(
            told(&decision),
            [
                "6 of 8 turned unhealthy at once: they are left alone until 1970-01-02T03:47:40.000Z, since the cause \
              is likely not theirs"
            ]
        );
        world.pass(60);
        let decision = world.step();
        assert_eq!(kills(&decision), [(0, KillCause::Unhealthy)]);
        assert!(world.step().actions.is_empty());
        world.settle();
        world.go();
        world.pass(59);
        assert!(kills(&world.step()).is_empty());
        world.pass(1);
        assert_eq!(kills(&world.step()), [(1, KillCause::Unhealthy)]);
        // Four of eight are not more than half: the breaker closes.
        assert_eq!(kills(&world.step()).len(), 4);
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn the_next_one_goes_a_window_after_the_replacement_of_the_last_was_launched() {
        let mut world = (0..8).fold(World::of(8), |world, slot| world.running(slot, &format!("a{slot}")));
        (0..8).for_each(|slot| world.condemn(slot));
        world.pass(60);
        assert_eq!(kills(&world.step()), [(0, KillCause::Unhealthy)]);
        // It ends and is forgotten, and nothing is offered for the one that is to come in its stead.
        for _ in 0..5 {
            world.settle();
            assert!(kills(&world.step()).is_empty());
            world.pass(60);
        }
        let mut world = world.agent("b0", "z0", 1);
        let decision = world.step();
        assert_eq!((kills(&decision).len(), launches(&decision).len()), (0, 1));
        world.pass(59);
        assert!(kills(&world.step()).is_empty());
        world.pass(1);
        assert_eq!(kills(&world.step()), [(1, KillCause::Unhealthy)]);
    }

    #[test]
    fn scaling_in_lets_nobody_else_go_before_the_window_is_over() {
        let mut world = eight();
        (0..8).for_each(|slot| world.condemn(slot));
        world.pass(60);
        let decision = world.step();
        assert_eq!((kills(&decision).len(), launches(&decision).len()), (1, 1));
        world.settle();
        world.go();
        let replacement = world.in_slot(0);
        world.app.instances.update(replacement, |one| one.health.verdict = Verdict::Unknown).expect("there");
        world.pass(10);
        let mut world = world.scaled_to(7);
        assert_eq!(kills(&world.step()), [(0, KillCause::ScaledIn)], "the replacement is the youngest");
        for _ in 0..5 {
            world.settle();
            assert!(kills(&world.step()).is_empty());
            world.pass(10);
        }
        world.pass(10);
        assert_eq!(kills(&world.step()), [(1, KillCause::Unhealthy)]);
    }

    #[test]
    fn those_that_recover_while_the_breaker_is_open_live() {
        let mut world = eight();
        (0..8).for_each(|slot| world.condemn(slot));
        assert!(world.step().actions.is_empty());
        world.pass(30);
        (0..5).for_each(|slot| world.recover(slot));
        let decision = world.step();
        assert!(decision.actions.is_empty(), "eight became condemned within the window");
        assert_eq!(decision.again, Again::At(second(BEGIN + 60)));
        world.pass(30);
        // Three of eight are no burst: these are replaced, and nobody else ever is.
        assert_eq!(kills(&world.step()), [5, 6, 7].map(|slot| (slot, KillCause::Unhealthy)));
        for _ in 0..10 {
            world.settle();
            world.pass(60);
            assert!(kills(&world.step()).is_empty());
        }
    }

    #[test]
    fn few_of_many_are_no_burst() {
        let mut world = eight();
        (0..4).for_each(|slot| world.condemn(slot));
        assert_eq!(kills(&world.step()).len(), 4);
    }
}
