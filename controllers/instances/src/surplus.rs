//! More instances of a revision than its target: the surplus is killed, as far as the budget permits.

use ekiden_model::report::KillCause;
use ekiden_model::revision::Phase;
use ekiden_model::{Instance, RevisionId};

use crate::draft::Draft;
use crate::victims;

/// Kills what is too many of each revision, old revisions first.
pub(crate) fn kill(draft: &mut Draft<'_>) {
    let revisions: Vec<RevisionId> = draft.view.app.instances.by_revision().map(|(id, _)| id).collect();
    for revision in revisions {
        let target = draft.target(revision);
        if target == 0 {
            // All of it goes, what does not count included: it is not to come back either.
            let all = of_revision(draft, revision, Draft::is_wanted);
            let surplus = all.len();
            kill_some(draft, revision, all, surplus);
        } else if draft.counted(revision) > target && !is_held_at_floor(draft, revision) {
            let surplus = draft.counted(revision) - target;
            let all = of_revision(draft, revision, Draft::counts);
            kill_some(draft, revision, all, surplus as usize);
        }
    }
}

/// Whether every candidate is healthy and none may go: there is no need to look at each of them then. In a rollout
/// of a large app this is so in most decisions.
fn is_held_at_floor(draft: &mut Draft<'_>, revision: RevisionId) -> bool {
    let census = draft.view.app.instances.census(revision);
    let held = draft.budget.left() == 0 && census.healthy == census.wanted && draft.is_settled();
    draft.waits().at_floor |= held;
    held
}

fn of_revision<'a>(
    draft: &Draft<'a>,
    revision: RevisionId,
    is_candidate: impl Fn(&Draft<'a>, &Instance) -> bool,
) -> Vec<&'a Instance> {
    let all = draft.view.app.instances.iter();
    all.filter(|instance| instance.revision == revision && is_candidate(draft, instance)).collect()
}

fn kill_some(draft: &mut Draft<'_>, revision: RevisionId, candidates: Vec<&Instance>, mut surplus: usize) {
    if candidates.is_empty() || !draft.is_settled() {
        return;
    }
    let cause = cause(draft, revision);
    // Where all go, nobody goes for another's sake.
    let some_stay = surplus < candidates.len();
    let at_floor_before = draft.waits().at_floor;
    for victim in victims::in_order(draft, revision, candidates) {
        if surplus == 0 {
            break;
        }
        let cause = match victim.beside {
            Some(beside) if cause == KillCause::ScaledIn && some_stay => beside,
            _ => cause,
        };
        if draft.kill(victim.instance, cause) {
            surplus -= 1;
        }
    }
    if surplus == 0 {
        // Those that were refused a permit need not go: others went in their stead.
        draft.waits().at_floor = at_floor_before;
    }
}

/// Why the surplus of a revision goes.
fn cause(draft: &Draft<'_>, revision: RevisionId) -> KillCause {
    if draft.declared.is_none() {
        KillCause::Removed
    } else if is_replaced(draft, revision) {
        KillCause::Replaced
    } else {
        KillCause::ScaledIn
    }
}

/// Whether a rollout leads away from this revision.
pub(crate) fn is_replaced(draft: &Draft<'_>, revision: RevisionId) -> bool {
    let app = draft.view.app;
    let destination =
        app.rollout.as_ref().map(|rollout| rollout.to).or_else(|| app.newest().map(|newest| newest.id));
    destination != Some(revision)
}

/// Whether a rollout that moves leads away from this revision, so that it replaces its instances anyway.
pub(crate) fn is_replaced_by_a_rollout(draft: &Draft<'_>, revision: RevisionId) -> bool {
    let moves = |phase: Phase| matches!(phase, Phase::Rolling | Phase::RollingBack { .. });
    is_replaced(draft, revision) && draft.view.app.rollout.as_ref().is_some_and(|rollout| moves(rollout.phase))
}

#[cfg(test)]
mod tests {
    use ekiden_model::app::{KillSelection, Operator};
    use ekiden_model::health::Verdict;
    use ekiden_model::report::KillCause;
    use ekiden_model::view::Settled;
    use ekiden_model::{Condition, RevisionId};

    use crate::testing::{BEGIN, World, kills, second, surge, told};

    fn five() -> World {
        (0..5).fold(World::of(5), |world, slot| world.running(slot, &format!("a{slot}")))
    }

    fn victims(world: &mut World) -> Vec<u32> {
        kills(&world.step()).into_iter().map(|(slot, _)| slot).collect()
    }

    #[test]
    fn scaling_in_goes_by_weight_then_age_then_slot() {
        let mut world = five().scaled_to(3);
        assert_eq!(victims(&mut world), [4, 3]);
        let mut world = five().declare(|app| app.kill_selection = KillSelection::OldestFirst).scaled_to(3);
        assert_eq!(victims(&mut world), [0, 1]);
        let mut world = five().scaled_to(2);
        let (staged, key) = (second(BEGIN - 10), world.in_slot(0));
        world.becomes(0, Condition::Staging);
        world.app.instances.update(key, |instance| instance.staged = staged);
        world.becomes(2, Condition::Unreachable);
        assert_eq!(victims(&mut world), [2, 0, 4]);
        let mut world = five().scaled_to(4);
        world.put(5, "a5", |instance| instance.staged = second(1004));
        assert_eq!(victims(&mut world), [5, 4]);
    }

    #[test]
    fn who_is_beside_another_goes_with_all_the_rest_where_none_is_to_stay() {
        let mut world = five();
        world.becomes(2, Condition::Killing);
        world.put(2, "a5", |_| {});
        let mut world = world.scaled_to(0);
        let killed = kills(&world.step());
        assert_eq!(killed.len(), 6);
        assert!(killed.iter().all(|(_, cause)| *cause == KillCause::ScaledIn), "{killed:?}");
    }

    #[test]
    fn scaling_in_evens_the_groups() {
        let mut world = World::of(6).constrained("zone", Operator::GroupBy(Some(3))).scaled_to(4);
        for (slot, zone) in ["z0", "z1", "z0", "z0", "z2", "z1"].into_iter().enumerate() {
            world.know(&format!("a{slot}"), zone);
            world = world.running(slot as u32, &format!("a{slot}"));
        }
        // z0 has three: its youngest goes; then z0 and z1 have two each, and the youngest of these is in slot 5.
        assert_eq!(victims(&mut world), [3, 5]);
    }

    #[test]
    fn the_floor_holds_and_unhealthy_ones_go_in_the_place_of_healthy_ones() {
        let mut world = five().scaled_to(3);
        for slot in [0, 1] {
            let key = world.in_slot(slot);
            world.app.instances.update(key, |instance| instance.health.verdict = Verdict::Unhealthy);
        }
        let decision = world.step();
        assert_eq!(kills(&decision).iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(told(&decision), ["2 ending"]);
    }

    #[test]
    fn a_rollout_takes_unhealthy_old_ones_first_and_then_those_with_a_successor() {
        let mut world = five().declare(|app| app.capacity = surge(2, 2));
        world.revision(1, 2);
        world.revision(2, 3);
        let key = world.in_slot(3);
        world.app.instances.update(key, |instance| instance.health.verdict = Verdict::Unknown);
        world.put(1, "b1", |instance| instance.revision = RevisionId(2));
        let decision = world.step();
        let expected = [3, 1, 4].map(|slot| (slot, KillCause::Replaced));
        // Five are healthy and three must be: two permits, and one victim that needs none.
        assert_eq!(kills(&decision), expected);
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn at_the_floor_old_instances_stay() {
        let mut world = five().declare(|app| app.capacity = surge(1, 0));
        world.revision(1, 4);
        world.revision(2, 1);
        let decision = world.step();
        assert!(kills(&decision).is_empty());
        assert!(told(&decision).contains(&"old instances stay: 5 healthy, at least 5 must be".to_owned()));
    }

    #[test]
    fn an_app_that_is_no_longer_declared_ends_once_all_is_known() {
        let mut world = five().scaled_to(0);
        world.app.declared = None;
        world.settled = Settled::No("the directory has not been read");
        let decision = world.step();
        assert!(decision.actions.is_empty());
        assert_eq!(told(&decision), ["nothing is stopped yet: the directory has not been read"]);
        world.settled = Settled::Yes;
        assert_eq!(kills(&world.step()), [4, 3, 2, 1, 0].map(|slot| (slot, KillCause::Removed)));
    }

    #[test]
    fn an_unreachable_one_of_a_revision_that_nobody_wants_is_not_waited_for() {
        let mut world = World::of(1).agents(1, 1, 4).running(0, "b0").declare(|app| app.capacity = surge(0, 1));
        world.becomes(0, Condition::Unreachable);
        world.revision(1, 0);
        world.revision(2, 1);
        let decision = world.step();
        assert_eq!(kills(&decision), [(0, KillCause::Replaced)]);
        assert_eq!(crate::testing::launches(&decision)[0].0, "0#2");
        assert!(world.step().actions.is_empty());
    }
}
