//! Launches that do not get to run, and kills that nobody answers.

use ekiden_model::action::Action;
use ekiden_model::instance::{Condition, KillOrder};
use ekiden_model::report::KillCause;
use ekiden_model::{Instance, Timestamp};

use crate::draft::Draft;

/// Kills what did not start in time, and sends again what was not answered.
pub(crate) fn kill(draft: &mut Draft<'_>) {
    kill_late_starters(draft);
    repeat_unanswered(draft);
}

fn kill_late_starters(draft: &mut Draft<'_>) {
    let (view, timeout) = (draft.view, draft.view.settings.launch_timeout);
    for instance in view.app.instances.starting() {
        let overdue_at = instance.staged + timeout;
        if overdue_at > view.now {
            // The rest was launched later.
            draft.wake(overdue_at);
            break;
        }
        draft.kill(instance, KillCause::Overdue);
    }
}

fn repeat_unanswered(draft: &mut Draft<'_>) {
    let view = draft.view;
    for instance in view.app.instances.odd() {
        let answers = instance.condition.is_live() && instance.condition != Condition::Unreachable;
        if !answers || instance.is_wanted() || draft.is_forgotten(instance.key) {
            continue;
        }
        let due = repeat_at(instance, draft);
        if due > view.now {
            draft.wake(due);
        } else if draft.is_settled() {
            let cause = instance.kill.as_ref().map_or(KillCause::Operator, |order| order.cause);
            draft.act(Action::Kill { instance: instance.key, goal: instance.goal, cause });
            draft.wake(view.now + view.settings.kill_retry);
        }
    }
}

/// When the kill of an ending instance is sent again: at once when it was seen to run after the kill was sent, as
/// when its agent came back.
fn repeat_at(instance: &Instance, draft: &Draft<'_>) -> Timestamp {
    match &instance.kill {
        None => draft.view.now,
        Some(KillOrder { sent, .. }) if instance.condition == Condition::Running && instance.since > *sent => {
            draft.view.now
        }
        Some(KillOrder { sent, .. }) => *sent + draft.view.settings.kill_retry,
    }
}

#[cfg(test)]
mod tests {
    use ekiden_model::report::KillCause;
    use ekiden_model::view::Again;
    use ekiden_model::{Condition, Goal};

    use crate::testing::{BEGIN, World, kills, second, told};

    #[test]
    fn what_does_not_start_in_time_is_killed_and_the_kill_repeated_until_it_is_answered() {
        let mut world = World::of(1).agents(1, 1, 4);
        world.go();
        assert_eq!(world.decide().again, Again::At(second(BEGIN + 300)));
        world.pass(299);
        assert!(world.step().actions.is_empty());
        world.pass(1);
        let decision = world.step();
        assert_eq!(kills(&decision), [(0, KillCause::Overdue)]);
        assert!(told(&decision).contains(&"1 ending".to_owned()), "{:?}", told(&decision));
        world.pass(29);
        assert!(world.step().actions.is_empty());
        world.pass(1);
        assert_eq!(kills(&world.step()), [(0, KillCause::Overdue)]);
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn one_that_was_to_end_is_killed_as_soon_as_it_is_seen_again() {
        let mut world = World::of(1).running(0, "a0").scaled_to(0);
        assert_eq!(kills(&world.step()), [(0, KillCause::ScaledIn)]);
        world.pass(1);
        world.becomes(0, Condition::Unreachable);
        assert!(kills(&world.step()).is_empty());
        world.pass(100);
        assert!(kills(&world.step()).is_empty(), "an agent that does not answer gets no kills");
        world.becomes(0, Condition::Running);
        assert!(kills(&world.step()).len() == 1);
        assert!(world.step().actions.is_empty());
        assert_eq!(world.app.instances.get(world.in_slot(0)).expect("there").goal, Goal::Decommissioned);
    }
}
