//! Instances that ended: each is accounted for once, by being forgotten.

use ekiden_model::Instance;
use ekiden_model::action::Action;
use ekiden_model::app_state::Backoff;
use ekiden_model::instance::Goal;
use ekiden_model::report::FailureCause;

use crate::backoff;
use crate::draft::Draft;

/// Forgets what has ended, brings the wait after failures up to date, and returns it.
pub(crate) fn account(draft: &mut Draft<'_>) -> Backoff {
    let app = draft.view.app;
    let mut wait = backoff::in_force(&app.backoff, app.declared.as_ref());
    let mut ended: Vec<&Instance> =
        app.instances.odd().filter(|instance| instance.condition.is_terminal()).collect();
    // Each failure's delay is longer than that of the one before it in time, whatever slots they were in.
    ended.sort_by_key(|instance| instance.since);
    for instance in ended {
        if let Some(declared) = app.declared.as_ref().filter(|_| is_failure(instance)) {
            let at = instance.since.min(draft.view.now);
            wait = backoff::after_failure(&wait, &declared.app.backoff, declared.configured, at);
        }
        draft.forget(instance);
    }
    if let Some(policy) = draft.declared.map(|app| &app.backoff) {
        wait = backoff::at(&wait, policy, app.instances.last_activity(), draft.view.now);
        if let Some(at) = backoff::forgotten_at(&wait, policy) {
            draft.wake(at);
        }
    }
    if wait != app.backoff {
        draft.act(Action::BackOff(wait));
    }
    wait
}

/// Whether the app has to answer for this end: it ended by itself, and not because we wanted it to.
fn is_failure(instance: &Instance) -> bool {
    instance.goal == Goal::Running && FailureCause::of(instance.condition) == FailureCause::App
}

#[cfg(test)]
mod tests {
    use ekiden_model::{Condition, Goal, Timestamp};

    use crate::testing::{BEGIN, World, launches, second, told};

    #[test]
    fn a_failed_instance_is_forgotten_and_its_slot_filled_after_the_wait() {
        let mut world = World::of(2).agents(2, 1, 4).running(0, "a0").running(1, "a1");
        world.becomes(1, Condition::Failed);
        let decision = world.step();
        assert_eq!(world.app.instances.len(), 1);
        assert_eq!((world.app.backoff.failures, world.app.backoff.until), (1, Some(second(BEGIN + 1))));
        assert_eq!(told(&decision), ["1 is backing off until 1970-01-02T03:46:41.000Z after 1 failure"]);
        assert!(world.decide().actions.is_empty());

        world.pass(1);
        assert_eq!(launches(&world.step())[0].0, "1#2");
    }

    #[test]
    fn failures_found_together_count_in_the_order_in_which_they_happened() {
        let mut world = World::of(3);
        // Slot 0 failed last: the third delay, of four seconds, begins there.
        for (slot, ended) in [(0, 20), (1, 0), (2, 10)] {
            world.put(slot, "a0", |instance| {
                instance.condition = Condition::Failed;
                instance.since = second(BEGIN + ended);
            });
        }
        world.pass(21);
        world.go();
        assert_eq!((world.app.backoff.failures, world.app.backoff.until), (3, Some(second(BEGIN + 24))));
    }

    #[test]
    fn only_the_apps_own_failures_count() {
        for (condition, goal, failures) in [
            (Condition::Failed, Goal::Running, 1),
            (Condition::Finished, Goal::Running, 1),
            (Condition::Error, Goal::Running, 1),
            (Condition::Failed, Goal::Decommissioned, 0),
            (Condition::Killed, Goal::Running, 0),
            (Condition::Gone, Goal::Running, 0),
            (Condition::Dropped, Goal::Running, 0),
            (Condition::Lost, Goal::Running, 0),
        ] {
            let mut world = World::of(1);
            world.put(0, "a0", |instance| {
                instance.condition = condition;
                instance.goal = goal;
                instance.since = second(BEGIN);
            });
            world.go();
            assert_eq!(world.app.backoff.failures, failures, "{condition:?} {goal:?}");
            assert!(world.app.instances.is_empty());
        }
    }

    #[test]
    fn a_wait_is_forgotten_when_nothing_happened_for_the_longest_delay() {
        let mut world = World::of(1).agents(1, 1, 4).running(0, "a0");
        world.becomes(0, Condition::Failed);
        world.go();
        world.pass(10);
        world.go();
        world.pass(30);
        world.settle();
        // Running stamps the wait anew: it lasts until a minute after that.
        let reference = |world: &World| world.app.backoff.reference;
        world.go();
        assert_eq!(reference(&world), Some(second(BEGIN + 40)));
        world.pass(60);
        assert!(world.step().actions.is_empty());
        world.now = Timestamp::from_millis(world.now.as_millis() + 1);
        assert_eq!(world.step().actions.len(), 1);
        assert_eq!(reference(&world), None);
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn another_declaration_starts_afresh() {
        let mut world = World::of(1).agents(1, 1, 4).running(0, "a0");
        world.becomes(0, Condition::Failed);
        world.go();
        world.app.declared.as_mut().expect("declared").configured = second(BEGIN);
        let decision = world.step();
        assert_eq!(launches(&decision).len(), 1);
        assert_eq!(world.app.backoff.failures, 0);
    }
}
