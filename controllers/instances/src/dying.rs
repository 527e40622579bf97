//! Instances that somebody else is ending: Mesos, because an operator drains their agent; an executor, because its check
//! failed.
//!
//! Such an instance no longer serves, will not again, and tells so before it has ended (`TASK_KILLING`). It is replaced at
//! once. That is the mending of a loss that we did not choose: it takes no permit, and the replacement no room under the
//! ceiling, as that of an instance on an agent that does not answer.

use ekiden_model::instance::Condition;

use crate::draft::{Apart, Draft};

/// Leaves them out of the counts.
pub(crate) fn leave_out(draft: &mut Draft<'_>) {
    for instance in draft.view.app.instances.odd() {
        if instance.condition == Condition::Killing {
            draft.leave_out(instance, Apart::Dying);
        }
    }
}

#[cfg(test)]
mod tests {
    use ekiden_model::Condition;
    use ekiden_model::app::Operator;

    use crate::testing::{World, kills, launches, surge, told};

    fn two() -> World {
        World::of(2).agents(3, 3, 4).running(0, "a0").running(1, "a1")
    }

    #[test]
    fn it_is_replaced_in_its_slot_before_it_has_ended_and_whatever_the_ceiling() {
        let mut world = two().declare(|app| app.capacity = surge(0, 1));
        world.becomes(1, Condition::Killing);
        let decision = world.step();
        assert_eq!(launches(&decision)[0].0, "1#2");
        assert!(kills(&decision).is_empty());
        assert!(world.step().actions.is_empty());
        let key = world.app.instances.in_slot(ekiden_model::Slot(1)).next().expect("the old one").key;
        let now = world.now;
        world.app.instances.update(key, |instance| {
            instance.condition = Condition::Killed;
            instance.since = now;
        });
        world.go();
        assert_eq!(world.app.instances.len(), 2);
        assert_eq!(world.app.backoff.failures, 0, "it is charged to nobody");
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn it_is_there_for_constraints_until_it_has_ended() {
        let mut world = two().constrained("zone", Operator::Unique);
        let zones = |world: &World| world.places();
        world.becomes(1, Condition::Killing);
        world.go();
        assert_eq!(zones(&world).last().map(String::as_str), Some("a2"));
        let mut full = World::of(2).agents(2, 2, 4).running(0, "a0").running(1, "a1");
        full = full.constrained("zone", Operator::Unique);
        full.becomes(1, Condition::Killing);
        let decision = full.step();
        assert!(launches(&decision).is_empty());
        assert_eq!(told(&decision), ["1 of 2 wait for offers: 2 agents refuse constraint UNIQUE zone: a0 and a1"]);
    }

    #[test]
    fn it_serves_no_more_and_others_stay_for_it() {
        let mut world = two().scaled_to(1);
        world.becomes(1, Condition::Killing);
        assert!(world.step().actions.is_empty(), "the one that is left is the one there shall be");
    }
}
