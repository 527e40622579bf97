//! Fewer instances of a revision than its target: launched, as far as there is room, leave and a place.

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::action::{Action, Launch};
use ekiden_model::app::App;
use ekiden_model::app_state::Backoff;
use ekiden_model::report::Refusals;
use ekiden_model::{Incarnation, InstanceKey, Reason, Revision, RevisionId, Slot};

use crate::draft::Draft;
use crate::placement::{Ground, Search};

/// Launches what is missing of each revision, the newest first.
pub(crate) fn launch(draft: &mut Draft<'_>, backoff: &Backoff) {
    let (view, Some(declared)) = (draft.view, draft.view.app.declared.as_ref()) else { return };
    let declared = &declared.app;
    let short: Vec<(&Revision, u32)> = view
        .app
        .revisions
        .iter()
        .rev()
        .map(|revision| (revision, revision.target.saturating_sub(draft.counted(revision.id))))
        .filter(|(_, missing)| *missing > 0)
        .collect();
    let missing: u32 = short.iter().map(|(_, missing)| missing).sum();
    if missing == 0 {
        return;
    }
    if let Some(what) = view.unsupported {
        draft.waits().unsupported = Some(Reason::Unsupported { what: what.into() });
        return;
    }
    if let Some(until) = backoff.until.filter(|until| *until > view.now) {
        draft.wake(until);
        draft.waits().backing_off = Some(Reason::BackingOff { until, failures: backoff.failures, missing });
        return;
    }

    let ceiling = declared.bounds(view.desired).ceiling;
    let room = ceiling.saturating_sub(draft.occupied());
    let places = place(draft, declared, &short, room);
    // What has no room under the ceiling waits for instances to end, not for offers.
    let without = missing.min(room) - places.launched;
    if without > 0 {
        let wanted = view.app.revisions.iter().map(|revision| revision.target).sum();
        let reason = Reason::AwaitingOffers { missing: without, wanted, refusals: places.refusals };
        draft.waits().awaiting_offers = Some(reason);
    }
    draft.waits().launched = places.launched;
}

/// What came of looking for places.
struct Places {
    launched: u32,
    refusals: Refusals,
}

fn place(draft: &mut Draft<'_>, declared: &Arc<App>, short: &[(&Revision, u32)], room: u32) -> Places {
    let view = draft.view;
    let mut places = Places { launched: 0, refusals: Refusals::default() };
    let most = room.min(view.launches);
    if most == 0 {
        return places;
    }
    let mut ground = Ground::default();
    let mut slots = Slots::new(draft);
    for (revision, missing) in short {
        let mut search = Search::new(draft, declared, revision);
        if ground.is_untouched()
            && let Some(refusals) = search.refusals_as_before()
        {
            places.refusals = refusals;
            return places;
        }
        for _ in 0..(*missing).min(most - places.launched) {
            let Some(place) = search.find(&mut ground) else {
                places.refusals = search.refusals(&ground);
                // A place that one revision does not find may do for another; but the newest goes first, and only
                // what it waits for is reported.
                return places;
            };
            let instance = slots.next(draft, revision.id);
            places.launched += 1;
            draft.act(Action::Launch(Box::new(Launch {
                instance,
                revision: revision.id,
                lot: place.lot,
                claim: place.claim,
                host_ports: place.host_ports,
            })));
        }
    }
    places
}

/// Which slots the launches of this decision get.
///
/// First the lowest slot that nothing wanted is in. When all that the app shall have are in use, as in a rollout
/// with surge, the lowest slot that nothing wanted of the same revision is in: the new instance shares it with the
/// one that it will replace.
struct Slots {
    freed: BTreeSet<Slot>,
    given: Vec<(RevisionId, InstanceKey)>,
}

impl Slots {
    fn new(draft: &Draft<'_>) -> Self {
        Self { freed: draft.displaced().map(|instance| instance.key.slot).collect(), given: Vec::new() }
    }

    fn next(&mut self, draft: &Draft<'_>, revision: RevisionId) -> InstanceKey {
        let instances = &draft.view.app.instances;
        let given_any = |slot: Slot| self.given.iter().any(|(_, key)| key.slot == slot);
        let given_same = |slot: Slot| self.given.iter().any(|(id, key)| *id == revision && key.slot == slot);
        let freed = |of_revision: Option<RevisionId>| {
            self.freed.iter().copied().filter(move |slot| {
                let mut others = instances.in_slot(*slot).filter(|other| draft.counts(other));
                others.all(|other| of_revision.is_some_and(|revision| other.revision != revision))
            })
        };
        let lowest = |vacant: Option<Slot>, freed: Option<Slot>| vacant.into_iter().chain(freed).min();
        let empty = lowest(
            instances.vacant_slots().find(|slot| !given_any(*slot)),
            freed(None).find(|slot| !given_any(*slot)),
        );
        let keeps_slots_apart = draft.declared.is_some_and(App::is_global);
        let slot = empty.filter(|slot| keeps_slots_apart || slot.0 < draft.view.desired).or_else(|| {
            lowest(
                instances.slots_without(revision).find(|slot| !given_same(*slot)),
                freed(Some(revision)).find(|slot| !given_same(*slot)),
            )
        });
        // There are more slots than instances that Mesos could ever run, so that one is always vacant.
        let slot = slot.unwrap_or(Slot(u32::MAX));
        let before = self.given.iter().rev().find(|(_, key)| key.slot == slot);
        let incarnation: Incarnation =
            before.map_or_else(|| instances.next_incarnation(slot), |(_, key)| key.incarnation.next());
        let key = InstanceKey { slot, incarnation };
        self.given.push((revision, key));
        key
    }
}

#[cfg(test)]
mod tests {
    use ekiden_model::Condition;

    use crate::testing::{World, kills, launches, surge, told};

    fn keys(decision: &ekiden_model::Decision) -> Vec<String> {
        launches(decision).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_is_missing_is_launched_in_the_lowest_vacant_slots() {
        let mut world = World::of(4).agents(2, 1, 8).running(1, "a0");
        assert_eq!(keys(&world.step()), ["0#1", "2#1", "3#1"]);
        let decision = world.decide();
        assert!(decision.actions.is_empty());
        assert_eq!(told(&decision), ["3 starting"]);
    }

    #[test]
    fn a_turn_has_so_many_launches() {
        let mut world = World::of(10).agents(2, 1, 8);
        world.launches = 4;
        let decision = world.step();
        assert_eq!(keys(&decision).len(), 4);
        assert_eq!(told(&decision), ["6 of 10 wait for offers: nothing is offered", "4 starting"]);
        assert_eq!(keys(&world.step()).len(), 4);
        assert_eq!(keys(&world.step()).len(), 2);
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn what_finds_no_place_says_why() {
        let mut world = World::of(5).agents(2, 1, 1);
        let decision = world.step();
        assert_eq!(keys(&decision).len(), 2);
        assert_eq!(
            told(&decision),
            ["3 of 5 wait for offers: 2 agents lack cpus (largest has 0, needs 1): a0 and a1", "2 starting"]
        );
    }

    #[test]
    fn surge_shares_the_slots_of_the_old_ones() {
        let mut world = World::of(2).agents(2, 1, 8).running(0, "a0").running(1, "a1");
        world = world.declare(|app| app.capacity = surge(2, 0));
        world.revision(2, 2);
        assert_eq!(keys(&world.step()), ["0#2", "1#2"]);
        world.settle();
        world.revision(1, 0);
        assert_eq!(kills(&world.step()).len(), 2);
        world.settle();
        world.go();
        assert_eq!(world.slots(), [0, 1]);
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn nothing_goes_over_the_ceiling_and_ending_ones_count_until_they_have_ended() {
        let mut world = World::of(3).agents(3, 1, 8).declare(|app| app.capacity = surge(0, 1));
        (0..3).for_each(|slot| {
            world.put(slot, "a0", |_| {});
        });
        world.revision(1, 2);
        world.revision(2, 1);
        let decision = world.step();
        assert_eq!(kills(&decision).len(), 1);
        assert!(keys(&decision).is_empty());
        assert_eq!(told(&decision), ["1 ending"]);
        world.settle();
        assert_eq!(keys(&world.step()), ["2#2"]);
    }

    #[test]
    fn what_the_cluster_cannot_run_is_not_launched() {
        let mut world = World::of(1).agents(1, 1, 8);
        world.unsupported = Some("a Docker container");
        let decision = world.step();
        assert!(decision.actions.is_empty());
        assert_eq!(told(&decision), ["a Docker container cannot run on this cluster"]);
    }

    #[test]
    fn an_instance_that_died_in_a_rollout_is_replaced_by_its_own_revision() {
        let mut world = World::of(2).agents(2, 1, 8).running(0, "a0").running(1, "a1");
        world = world.declare(|app| app.capacity = surge(1, 0));
        world.revision(2, 1);
        world.becomes(1, Condition::Lost);
        // Both are to be in the slot of the dead one: the new one is there to replace the old one.
        assert_eq!(keys(&world.step()), ["1#2", "1#3"]);
    }
}
