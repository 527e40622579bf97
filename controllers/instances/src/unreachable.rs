//! Instances whose agents do not answer (§4.8): waited for, then replaced, then forgotten.
//!
//! Both times are timers of ours: Marathon looks at them when Mesos happens to repeat the status, and is late (#5506).
//! How many are replaced when many agents vanish at once is the business of [`Pace`].

use ekiden_model::app::UnreachableStrategy;
use ekiden_model::instance::Condition;
use ekiden_model::report::Hosts;
use ekiden_model::{Instance, Reason};

use crate::draft::{Apart, Draft};
use crate::pace::Pace;

/// Leaves out of the counts what may be replaced, and forgets what was waited for long enough.
pub(crate) fn wait(draft: &mut Draft<'_>) {
    let (now, strategy) = (draft.view.now, draft.unreachable_strategy());
    let mut waited_for = Vec::new();
    let mut until = None;
    let mut due = Vec::new();
    for instance in draft.view.app.instances.odd() {
        if instance.condition != Condition::Unreachable {
            continue;
        }
        waited_for.push(instance);
        let UnreachableStrategy::Replace { inactive_after, expunge_after } = strategy else { continue };
        let (inactive_at, expunge_at) = (instance.since + inactive_after, instance.since + expunge_after);
        if inactive_at.min(expunge_at) <= now {
            due.push((instance, expunge_at <= now));
        }
        let next = [inactive_at, expunge_at].into_iter().filter(|at| *at > now).min();
        if let Some(next) = next {
            draft.wake(next);
            until = Some(until.map_or(next, |until| next.min(until)));
        }
    }
    give_up(draft, due);
    waited_for.retain(|instance| !draft.is_forgotten(instance.key));
    if !waited_for.is_empty() {
        let hosts: Hosts = waited_for.iter().map(|instance| &instance.agent.hostname).collect();
        let count = waited_for.len() as u32;
        draft.waits().unreachable = Some(Reason::Unreachable { count, hosts, until });
    }
}

/// Gives up instances that are due, as far as the pace allows: those that are to be forgotten when it is settled that
/// they may be, the others for as long as they do not answer.
fn give_up(draft: &mut Draft<'_>, due: Vec<(&Instance, bool)>) {
    let pace = Pace::of(draft, due.iter().map(|(instance, _)| *instance));
    for (instance, is_to_be_forgotten) in due {
        if !pace.allows(instance) {
            continue;
        }
        if is_to_be_forgotten && draft.is_settled() {
            draft.forget(instance);
        } else {
            draft.leave_out(instance, Apart::Absent);
        }
    }
    pace.report(draft);
}

#[cfg(test)]
mod tests {
    use ekiden_model::Condition;
    use ekiden_model::app::{KillSelection, UnreachableStrategy};
    use ekiden_model::report::KillCause;
    use ekiden_model::view::{Again, Settled};

    use crate::testing::{BEGIN, World, kills, launches, second, told};

    fn lost() -> World {
        let mut world = World::of(2).running(0, "a0").running(1, "a1").agent("a2", "z0", 4);
        world.becomes(1, Condition::Unreachable);
        world
    }

    #[test]
    fn it_is_waited_for_then_replaced_in_its_slot_then_forgotten() {
        let mut world = lost();
        let decision = world.step();
        assert!(decision.actions.is_empty());
        assert_eq!(decision.again, Again::At(second(BEGIN + 60)));
        assert_eq!(
            told(&decision),
            ["1 on an agent that does not answer (a1), waited for until 1970-01-02T03:47:40.000Z"]
        );
        world.pass(60);
        assert_eq!(launches(&world.step())[0].0, "1#2");
        world.settle();
        assert!(world.step().actions.is_empty());
        world.pass(239);
        assert!(world.step().actions.is_empty());
        world.pass(1);
        world.go();
        assert_eq!(world.app.instances.len(), 2);
        assert_eq!(world.slots(), [0, 1]);
        assert!(world.step().actions.is_empty() && world.decide().report.is_empty());
    }

    #[test]
    fn of_one_that_returns_and_its_replacement_kill_selection_keeps_one() {
        let mut world = lost();
        world.pass(60);
        world.go();
        world.settle();
        world.pass(5);
        world.becomes_returned(1);
        let decision = world.step();
        assert_eq!(kills(&decision), [(1, KillCause::Redundant)]);
        // Youngest first: the replacement goes.
        assert_eq!(world.places(), ["a0", "a1"]);
        world.settle();
        world.go();
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn the_cause_says_which_of_the_two_goes() {
        let mut world = lost().declare(|app| app.kill_selection = KillSelection::OldestFirst);
        world.pass(60);
        world.go();
        world.settle();
        world.pass(5);
        world.becomes_returned(1);
        assert_eq!(kills(&world.step()), [(1, KillCause::Returned)]);
        let left = world.app.instances.wanted().map(|instance| instance.key.incarnation.0.get());
        assert_eq!(left.collect::<Vec<_>>(), [1, 2], "the replacement stays");
    }

    #[test]
    fn nothing_is_forgotten_before_all_is_known() {
        let mut world = lost();
        world.settled = Settled::No("the cluster has not answered");
        world.pass(300);
        let decision = world.step();
        assert_eq!(world.app.instances.len(), 3);
        assert_eq!(told(&decision)[0], "nothing is stopped yet: the cluster has not answered");
    }

    #[test]
    fn without_a_strategy_it_is_waited_for_for_ever() {
        let mut world = lost().declare(|app| app.unreachable = UnreachableStrategy::Disabled);
        world.pass(1_000_000);
        let decision = world.step();
        assert!(decision.actions.is_empty());
        assert_eq!(decision.again, Again::OnChange);
        assert_eq!(told(&decision), ["1 on an agent that does not answer (a1)"]);
    }

    #[test]
    fn both_times_zero_replace_at_once() {
        let zero = std::time::Duration::ZERO;
        let strategy = UnreachableStrategy::Replace { inactive_after: zero, expunge_after: zero };
        let mut world = lost().declare(|app| app.unreachable = strategy);
        assert_eq!(launches(&world.step())[0].0, "1#2");
        assert_eq!(world.app.instances.len(), 2);
    }
}
