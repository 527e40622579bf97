//! How fast instances on agents that do not answer are given up (S10).
//!
//! Without anything unusual: as soon as their app's strategy says so. Not so when much of the cluster vanished at once
//! ([`Agents::vanished`]): that is more likely a broken network, or a master that cannot see, than so many broken
//! machines; what runs there runs on, and starting all of it a second time on what is left would break that, too. Then
//!
//! * until a window has passed since the last agent vanished nothing more is given up: such instances count as before;
//! * after that an app launches at most a [`SHARE`] of its instances per window, and `breaker_minimum` where that is
//!   more, as long as the agents stay away. With the defaults an app of 8 gets 3 per minute; one of 1,000 gets 100, and
//!   is whole again in ten minutes at the worst: soon enough for an outage that lasts, and slow enough for what is left
//!   of the cluster to take the load, and for agents to come back, before there are two of everything.
//!
//! What was given up before the burst was known stays given up: an app that has more instances than it shall, counting
//! those on lost agents, has replacements for the difference. This is also how the next decision knows what this one
//! gave up; nothing is remembered. Instances that end for other reasons are replaced as always, at any time, and their
//! launches use up the pace; one that the cluster was ending when its agent vanished is such a one, since it runs on
//! nowhere. A global app replaces nothing elsewhere, and an instance that is to end is not replaced: neither is held.
//!
//! The first agents of a burst vanish before there is one: up to the share that makes it a burst, they are replaced.
//!
//! [`Agents::vanished`]: ekiden_model::Agents::vanished

use std::collections::{BTreeMap, BTreeSet};

use ekiden_model::agent::Vanished;
use ekiden_model::app::App;
use ekiden_model::{Instance, InstanceKey, Reason, RevisionId, Timestamp};

use crate::draft::Draft;

/// One in so many instances of an app is launched per window. See the module.
const SHARE: u32 = 10;

/// Which of the instances that are due are given up in this decision.
pub(crate) enum Pace {
    /// All.
    Free,
    /// All but these, because so many agents vanished; more are given up then.
    Held { keys: BTreeSet<InstanceKey>, vanished: Vanished, until: Timestamp },
}

impl Pace {
    /// For the instances that are due.
    pub(crate) fn of<'a>(draft: &Draft<'_>, due: impl Iterator<Item = &'a Instance>) -> Self {
        let is_replaced_elsewhere = draft.declared.is_some_and(|app| !App::is_global(app));
        let mut due: Vec<&Instance> =
            due.filter(|instance| is_replaced_elsewhere && draft.is_wanted(instance)).collect();
        // Asked last, since it may mean to look at all agents.
        let vanished = if due.is_empty() { None } else { draft.view.agents.vanished(draft.view.settings) };
        let Some(vanished) = vanished else { return Self::Free };

        // Those beside which there is another already are most likely the ones that were replaced.
        due.sort_by_key(|instance| (!is_beside_another(draft, instance), instance.key));
        let (mut more, until) = launches_left(draft, vanished.last);
        let mut replaced: BTreeMap<RevisionId, u32> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        for instance in due {
            let revision = instance.revision;
            let beyond = || draft.counted(revision).saturating_sub(draft.target(revision));
            let replaced = replaced.entry(revision).or_insert_with(beyond);
            let left = if *replaced > 0 { replaced } else { &mut more };
            if *left > 0 {
                *left -= 1;
            } else {
                keys.insert(instance.key);
            }
        }
        Self::Held { keys, vanished, until }
    }

    /// Whether this one is given up.
    pub(crate) fn allows(&self, instance: &Instance) -> bool {
        match self {
            Self::Free => true,
            Self::Held { keys, .. } => !keys.contains(&instance.key),
        }
    }

    /// Says what is held, and asks again when it need not be any more.
    pub(crate) fn report(self, draft: &mut Draft<'_>) {
        let Self::Held { keys, vanished: Vanished { agents, of, .. }, until } = self else { return };
        if !keys.is_empty() {
            draft.wake(until);
            let held = keys.len() as u32;
            draft.waits().agents_vanished = Some(Reason::AgentsVanished { agents, of, held, until });
        }
    }
}

fn is_beside_another(draft: &Draft<'_>, instance: &Instance) -> bool {
    let mut others = draft.view.app.instances.in_slot(instance.key.slot);
    others.any(|other| other.key != instance.key && draft.is_wanted(other))
}

/// How many more may be given up now, and when that is to be looked at again: after the last agent's window, or when
/// the earliest launch is a window old.
///
/// Worked example, an app of 8 that may launch 3 per window: with 1 launched 20 s ago, and 1 given up that waits for an
/// offer, 1 more may be given up, and the next in 40 s.
fn launches_left(draft: &Draft<'_>, last: Timestamp) -> (u32, Timestamp) {
    let (view, window) = (draft.view, draft.view.settings.breaker_window);
    if last + window > view.now {
        return (0, last + window);
    }
    let most = view.desired.div_ceil(SHARE).max(view.settings.breaker_minimum);
    let launches = view.app.instances.wanted().map(|instance| instance.staged + window);
    let recent: Vec<Timestamp> = launches.filter(|over| *over > view.now).collect();
    let short = |revision: &ekiden_model::Revision| revision.target.saturating_sub(draft.counted(revision.id));
    let missing: u32 = view.app.revisions.iter().map(short).sum();
    let left = most.saturating_sub(recent.len() as u32).saturating_sub(missing);
    (left, recent.into_iter().min().unwrap_or(view.now + window))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ekiden_model::agent::Presence;
    use ekiden_model::app::{PlacementMode, UnreachableStrategy};
    use ekiden_model::view::Again;
    use ekiden_model::{AgentId, Condition, Decision};

    use crate::testing::{BEGIN, World, kills, launches, second, told};

    /// Eight instances on an agent each, and a ninth agent with room for all of them.
    fn eight(inactive_after: u64, expunge_after: u64) -> World {
        let [inactive_after, expunge_after] = [inactive_after, expunge_after].map(Duration::from_secs);
        let strategy = UnreachableStrategy::Replace { inactive_after, expunge_after };
        let mut world = World::of(8).declare(|app| app.unreachable = strategy).agent("b0", "z0", 16);
        for slot in 0..8 {
            world.know(&format!("a{slot}"), "z0");
            world = world.running(slot, &format!("a{slot}"));
        }
        world
    }

    fn lose(world: &mut World, slots: std::ops::Range<u32>) {
        for slot in slots {
            world.lose(&format!("a{slot}"));
            world.becomes(slot, Condition::Unreachable);
        }
    }

    fn keys(decision: &Decision) -> Vec<String> {
        launches(decision).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn many_lost_at_once_are_held_for_a_window_and_then_replaced_by_and_by() {
        let mut world = eight(0, 0);
        lose(&mut world, 0..5);
        let decision = world.step();
        assert!(decision.actions.is_empty());
        assert_eq!(decision.again, Again::At(second(BEGIN + 60)));
        assert_eq!(
            told(&decision),
            [
                "5 of 9 agents stopped answering at once: 5 instances on such agents are not replaced before \
                 1970-01-02T03:47:40.000Z, since the agents may come back",
                "5 on agents that do not answer (a0, a1, a2 and 2 more)"
            ]
        );
        world.pass(59);
        assert!(world.step().actions.is_empty());
        world.pass(1);
        let decision = world.step();
        assert_eq!(keys(&decision), ["0#2", "1#2", "2#2"]);
        assert_eq!(decision.again, Again::At(second(BEGIN + 120)));
        assert!(world.step().actions.is_empty());
        world.settle();
        world.pass(59);
        assert!(world.step().actions.is_empty());
        world.pass(1);
        assert_eq!(keys(&world.step()), ["3#2", "4#2"]);
        world.settle();
        assert!(world.step().actions.is_empty() && world.decide().report.is_empty());
        assert_eq!(world.slots(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn one_that_vanishes_later_prolongs_the_wait() {
        let mut world = eight(0, 0);
        lose(&mut world, 0..5);
        world.go();
        world.pass(50);
        lose(&mut world, 5..6);
        assert_eq!(world.step().again, Again::At(second(BEGIN + 110)));
        world.pass(59);
        assert!(world.step().actions.is_empty());
        world.pass(1);
        assert_eq!(keys(&world.step()).len(), 3);
    }

    #[test]
    fn who_comes_back_is_not_replaced() {
        let mut world = eight(0, 0);
        lose(&mut world, 0..6);
        world.go();
        world.pass(30);
        for slot in 0..6 {
            let state = world.agents.get_mut(&AgentId::new(format!("a{slot}"))).expect("a known agent");
            state.presence = Presence::Present;
            world.becomes_returned(slot);
        }
        for _ in 0..10 {
            assert!(world.step().actions.is_empty());
            world.pass(60);
        }
    }

    #[test]
    fn once_enough_are_back_the_rest_is_replaced_as_always() {
        let mut world = eight(0, 0);
        lose(&mut world, 0..5);
        world.go();
        let state = world.agents.get_mut(&AgentId::new("a0")).expect("a known agent");
        state.presence = Presence::Present;
        world.becomes_returned(0);
        assert_eq!(keys(&world.step()), ["1#2", "2#2", "3#2", "4#2"], "4 of 9 are no burst");
    }

    #[test]
    fn few_of_many_are_replaced_as_always() {
        let mut world = eight(0, 0);
        lose(&mut world, 0..4);
        assert_eq!(keys(&world.step()).len(), 4);
    }

    #[test]
    fn what_ends_for_another_reason_is_replaced_meanwhile() {
        let mut world = eight(0, 0);
        lose(&mut world, 0..5);
        world.becomes(7, Condition::Lost);
        assert_eq!(keys(&world.step()), ["7#2"]);
        assert!(world.step().actions.is_empty());
        // That launch is of the same window: two more are left.
        world.pass(30);
        world.settle();
        world.becomes(6, Condition::Lost);
        assert_eq!(keys(&world.step()), ["6#2"]);
        world.pass(30);
        assert_eq!(keys(&world.step()), ["0#2", "1#2"]);
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn what_waits_for_an_offer_uses_up_the_pace() {
        let mut world = eight(0, 0);
        let lot = world.book.of_agent(&AgentId::new("b0"), &ekiden_model::Role::any()).expect("an offer");
        world.book.use_up(lot);
        lose(&mut world, 0..5);
        world.pass(60);
        world.go();
        assert_eq!(world.app.instances.len(), 5, "three are given up");
        for _ in 0..5 {
            world.pass(60);
            assert!(world.step().actions.is_empty());
        }
        world.offer("b0", |_| {});
        assert_eq!(keys(&world.step()), ["0#2", "1#2", "2#2"]);
    }

    #[test]
    fn given_up_and_not_forgotten_yet_they_stay_given_up_and_nobody_is_killed() {
        let mut world = eight(10, 300);
        lose(&mut world, 0..1);
        world.pass(10);
        assert_eq!(keys(&world.step()), ["0#2"]);
        world.settle();
        lose(&mut world, 1..6);
        let mut launched = Vec::new();
        for _ in 0..100 {
            world.pass(10);
            let decision = world.step();
            assert!(kills(&decision).is_empty());
            assert!(keys(&decision).len() <= 3);
            launched.extend(keys(&decision));
            assert!(world.step().actions.is_empty());
            world.settle();
        }
        assert_eq!(launched, ["1#2", "2#2", "3#2", "4#2", "5#2"]);
        assert_eq!(world.slots(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(world.decide().report.is_empty());
    }

    #[test]
    fn a_large_app_replaces_a_tenth_per_window() {
        let mut world = World::of(40).declare(|app| {
            app.unreachable =
                UnreachableStrategy::Replace { inactive_after: Duration::ZERO, expunge_after: Duration::ZERO };
        });
        for index in 0..5 {
            world.know(&format!("a{index}"), "z0");
        }
        let mut world = (0..40).fold(world, |world, slot| world.running(slot, &format!("a{}", slot % 5)));
        (0..5).for_each(|index| world.lose(&format!("a{index}")));
        (0..40).for_each(|slot| world.becomes(slot, Condition::Unreachable));
        let mut world = world.agent("b0", "z0", 100);
        world.pass(60);
        for _ in 0..10 {
            assert_eq!(keys(&world.step()).len(), 4);
            world.settle();
            world.pass(60);
        }
        assert!(keys(&world.step()).is_empty());
    }

    #[test]
    fn a_global_app_has_nothing_to_hold() {
        let mut world = eight(0, 0).declare(|app| app.placement.mode = PlacementMode::Global);
        world = world.scaled_to(9);
        world.go();
        world.settle();
        lose(&mut world, 0..5);
        let mut world = world.scaled_to(4);
        let decision = world.step();
        assert!(keys(&decision).is_empty() && kills(&decision).is_empty());
        assert_eq!(world.app.instances.len(), 4);
    }
}
