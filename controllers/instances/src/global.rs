//! Global placement: exactly one instance on every agent that matches.
//!
//! What counts is what is on agents that are present, match and are not to be left for maintenance. An instance on an
//! agent that does not answer, or of which nothing is known yet after a restart, is neither missing nor too many: it is
//! left alone, and so is its agent's place. An agent is known by what it offers and by our tasks on it: one of which
//! others use everything is not counted until it offers something. One on an agent that is to be left is stopped without
//! replacement, see [`crate::draining`].

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::agent::Presence;
use ekiden_model::app::App;
use ekiden_model::limits::Settings;
use ekiden_model::report::KillCause;
use ekiden_model::{AgentId, Agents, Instance, Timestamp};

use crate::draft::{Apart, Draft};
use crate::placement::constraint;
use crate::surplus;

/// On how many present agents the app's constraints hold, as far as they look at the agent alone (LIKE, UNLIKE, IS,
/// CLUSTER with a value), those left out that are to be left at `now`: the number of instances that a global app shall
/// have.
pub fn matching_agents(app: &App, agents: &Agents, now: Timestamp, settings: &Settings) -> u32 {
    let leaving = agents.leaving(now, settings.drain_before);
    matching(app, agents, &leaving.agents).len() as u32
}

/// As [`matching_agents`], and which, with others left out.
pub(crate) fn matching(app: &App, agents: &Agents, except: &Arc<BTreeSet<AgentId>>) -> Arc<BTreeSet<AgentId>> {
    agents.matching(&app.constraints, except, |agent| constraint::admits(&app.constraints, agent))
}

/// Leaves out of the counts what is not on a present agent that matches and is to stay.
pub(crate) fn leave_out_the_absent(draft: &mut Draft<'_>) {
    let Some(app) = draft.declared.filter(|app| app.is_global()) else { return };
    let (agents, instances) = (draft.view.agents, &draft.view.app.instances);
    let leaving = agents.leaving(draft.view.now, draft.view.settings.drain_before);
    for key in instances.wanted_outside(&matching(app, agents, &leaving.agents)) {
        if let Some(instance) = instances.get(key) {
            draft.leave_out(instance, Apart::Absent);
        }
    }
}

/// Kills what is on agents that are present and do not match (any more).
pub(crate) fn kill_misplaced(draft: &mut Draft<'_>) {
    for instance in misplaced(draft) {
        draft.kill(instance, KillCause::Misplaced);
    }
}

/// Of what a rollout replaces, those that could not be killed are part of what the old revision's target was set for: who
/// nobody misses has to go in their stead, or would stay in the place of a new one, and they for want of a new one.
pub(crate) fn count_in_the_misplaced_of_a_rollout(draft: &mut Draft<'_>) {
    for instance in misplaced(draft) {
        if surplus::is_replaced_by_a_rollout(draft, instance.revision) {
            draft.count_in(instance);
        }
    }
}

/// Those that could not be killed take up places until they can: what is to come in their stead waits for them, or
/// there would be more instances than agents that match. And while an old revision's last ones stay at the floor,
/// nothing of that revision is launched to make up for them.
pub(crate) fn count_in_the_misplaced(draft: &mut Draft<'_>) {
    for instance in misplaced(draft) {
        draft.count_in(instance);
    }
}

fn misplaced<'a>(draft: &Draft<'a>) -> Vec<&'a Instance> {
    let Some(app) = draft.declared.filter(|app| app.is_global()) else { return Vec::new() };
    let is_misplaced = |instance: &&Instance| {
        let state = draft.view.agents.get(&instance.agent.id);
        state.is_some_and(|state| {
            state.presence == Presence::Present && !constraint::admits(&app.constraints, &state.agent)
        })
    };
    draft.apart(Apart::Absent).filter(is_misplaced).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ekiden_model::agent::Presence;
    use ekiden_model::app::{Operator, Pattern, PlacementMode};
    use ekiden_model::health::Verdict;
    use ekiden_model::report::KillCause;
    use ekiden_model::revision::{Phase, Rollout};
    use ekiden_model::{AgentId, Condition, InstanceKey, RevisionId, Role};
    use proptest::prelude::*;

    use crate::testing::{World, kills, launches, surge, told};

    fn global(agents: usize) -> World {
        let world = World::of(agents as u32).declare(|app| app.placement.mode = PlacementMode::Global);
        world.declare(|app| app.capacity = surge(1, 1)).agents(agents, 2, 8)
    }

    #[test]
    fn there_is_one_on_every_matching_agent() {
        let zone = Operator::Like(Pattern::new("z0").expect("a pattern"));
        let mut world = global(5).constrained("zone", zone);
        let app = world.app.declared.as_ref().expect("declared").app.clone();
        assert_eq!(crate::matching_agents(&app, &world.agents, world.now, &world.settings), 3);
        world = world.scaled_to(3);
        world.go();
        let mut places = world.places();
        places.sort();
        assert_eq!(places, ["a0", "a2", "a4"]);
        assert!(world.step().actions.is_empty());
    }

    /// The target of an old revision was set for all that there are of it. Were the misplaced left out, one that nobody
    /// misses would stay in the place of a new one, and they for want of a new one: for ever.
    #[test]
    fn one_too_many_of_an_old_revision_goes_though_the_misplaced_must_stay() {
        let zone = Operator::Like(Pattern::new("z0").expect("a pattern"));
        let mut world = global(8).constrained("zone", zone).scaled_to(4).declare(|app| app.capacity = surge(0, 1));
        world.put(0, "a0", |_| {});
        world.put(1, "a1", |_| {});
        world.put(2, "a2", |instance| instance.health.verdict = Verdict::Unknown);
        world.put(3, "a1", |instance| instance.revision = RevisionId(2));
        world.revision(1, 2);
        world.revision(2, 1);
        world.revision(3, 0);
        let (to, now) = (RevisionId(3), world.now);
        world.app.rollout = Some(Rollout {
            to,
            phase: Phase::Rolling,
            since: now,
            progress: now,
            best: 0,
            held: None,
            wanted: 4,
            highest: to,
        });
        let decision = world.step();
        assert_eq!(kills(&decision), [(2, KillCause::Replaced)], "{:?}", told(&decision));
    }

    #[test]
    fn an_agent_that_has_one_is_refused() {
        let mut world = global(2);
        world.go();
        let mut world = world.scaled_to(3);
        assert_eq!(
            told(&world.step()),
            ["1 of 3 wait for offers: 2 agents already have its one instance: a0 and a1", "2 starting"]
        );
    }

    #[test]
    fn what_is_on_an_agent_that_no_longer_matches_is_killed() {
        let mut world = global(2);
        world.go();
        world.settle();
        let zone = Operator::Like(Pattern::new("z1").expect("a pattern"));
        let mut world = world.constrained("zone", zone).scaled_to(1);
        let decision = world.step();
        assert_eq!(kills(&decision).len(), 1);
        assert_eq!(kills(&decision)[0].1, KillCause::Misplaced);
        assert_eq!(world.places(), ["a1"]);
        assert!(world.step().actions.is_empty());
    }

    #[test]
    fn what_is_misplaced_and_must_stay_for_now_takes_up_a_place() {
        let zone = Operator::Like(Pattern::new("z1").expect("a pattern"));
        let mut world = World::of(1).agents(5, 2, 8).running(0, "a0");
        world = world.declare(|app| app.placement.mode = PlacementMode::Global);
        world = world.declare(|app| app.capacity = surge(1, 1)).constrained("zone", zone).scaled_to(2);
        // The one on a0, in z0, is the last of its revision and the only one that serves.
        world.revision(1, 1);
        world.revision(2, 1);
        let decision = world.step();
        assert!(kills(&decision).is_empty());
        let launched = launches(&decision);
        assert_eq!(launched.len(), 1, "two agents match, one place is taken: {launched:?}");
        assert_eq!(launched[0].0, "1#1");
        assert_eq!(
            world
                .app
                .instances
                .get(InstanceKey { slot: ekiden_model::Slot(1), incarnation: ekiden_model::Incarnation::FIRST })
                .map(|one| one.revision),
            Some(RevisionId(2))
        );
        assert!(world.step().actions.is_empty());
        // Both serve: it may go.
        world.settle();
        assert_eq!(kills(&world.step()), [(0, KillCause::Misplaced)]);
    }

    #[test]
    fn an_agent_that_does_not_answer_keeps_its_instance_and_is_not_counted() {
        let mut world = global(3);
        world.go();
        world.settle();
        world.lose("a1");
        let mut world = world.scaled_to(2);
        assert!(world.step().actions.is_empty(), "neither the instance on a1 nor another is too many");
    }

    #[test]
    fn after_a_restart_nothing_is_killed_for_agents_that_nobody_mentioned_yet() {
        let mut world = global(3);
        world.go();
        world.settle();
        world.agents.clear();
        let mut world = world.scaled_to(0);
        world.revision(1, 1);
        assert!(kills(&world.step()).is_empty());
    }

    #[test]
    fn a_rollout_takes_the_agents_one_after_the_other() {
        let mut world = global(2);
        world.go();
        world.settle();
        world.revision(2, 1);
        assert!(launches(&world.step()).is_empty(), "both agents have their instance");
        world.revision(1, 1);
        let decision = world.step();
        assert_eq!(kills(&decision).len(), 1);
        world.settle();
        world.go();
        let agent_of = |revision: u32, world: &World| -> Vec<String> {
            let wanted = world.app.instances.wanted().filter(|i| i.revision == RevisionId(revision));
            wanted.map(|instance| instance.agent.id.to_string()).collect()
        };
        assert_eq!(agent_of(2, &world).len(), 1, "the freed agent gets the new one");
        assert_ne!(agent_of(1, &world), agent_of(2, &world));
    }

    /// What happens to the agents of a global app.
    #[derive(Debug, Clone)]
    enum Event {
        Lose(usize),
        Return(usize),
        Fail(usize),
        Pass(u64),
        Settle,
        Roll,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0_usize..5).prop_map(Event::Lose),
            (0_usize..5).prop_map(Event::Return),
            (0_usize..5).prop_map(Event::Fail),
            (0_u64..200).prop_map(Event::Pass),
            Just(Event::Settle),
            Just(Event::Roll),
        ];
        prop::collection::vec(event, 0..40)
    }

    fn on(world: &World, agent: &str) -> Vec<InstanceKey> {
        let here = world.app.instances.iter().filter(|instance| instance.agent.id.as_str() == agent);
        here.filter(|instance| instance.condition.is_live()).map(|instance| instance.key).collect()
    }

    fn change(world: &mut World, agent: &str, condition: Condition) {
        let now = world.now;
        for key in on(world, agent) {
            world.app.instances.update(key, |instance| {
                instance.condition = condition;
                instance.since = now;
            });
        }
    }

    fn happen(world: &mut World, event: &Event) {
        let name = |index: &usize| format!("a{index}");
        match event {
            Event::Lose(index) => {
                world.lose(&name(index));
                change(world, &name(index), Condition::Unreachable);
                if let Some(lot) = world.book.of_agent(&AgentId::new(name(index)), &Role::any()) {
                    world.book.use_up(lot);
                }
            }
            Event::Return(index) => {
                let state = world.agents.get_mut(&AgentId::new(name(index))).expect("a known agent");
                if state.presence != Presence::Present {
                    state.presence = Presence::Present;
                    change(world, &name(index), Condition::Running);
                    world.offer(&name(index), |_| {});
                }
            }
            Event::Fail(index) => {
                let state = &world.agents[&AgentId::new(name(index))];
                if state.presence == Presence::Present {
                    change(world, &name(index), Condition::Failed);
                }
            }
            Event::Pass(seconds) => world.pass(*seconds),
            Event::Settle => world.settle(),
            Event::Roll => world.revision(2, 0),
        }
        let app = world.app.declared.as_ref().expect("declared").app.clone();
        world.desired = crate::matching_agents(&app, &world.agents, world.now, &world.settings);
        let newest = world.app.revisions.last().expect("a revision").id.0;
        world.revision(1, 0);
        world.revision(newest, world.desired);
    }

    proptest! {
        #[test]
        fn agents_have_one_each_whatever_happens(events in events()) {
            let mut world = global(5);
            for event in &events {
                happen(&mut world, event);
                world.go();
                prop_assert_eq!(world.decide().actions, Vec::new());
                for index in 0..5 {
                    let here = on(&world, &format!("a{index}"));
                    let revisions: BTreeSet<RevisionId> =
                        here.iter().filter_map(|key| world.app.instances.get(*key)).map(|i| i.revision).collect();
                    prop_assert_eq!(revisions.len(), here.len(), "one of a revision on an agent");
                }
            }
            (0..5).for_each(|index| happen(&mut world, &Event::Return(index)));
            for _ in 0..40 {
                world.pass(61);
                world.go();
                world.settle();
            }
            let mut places = world.places();
            places.sort();
            prop_assert_eq!(places, ["a0", "a1", "a2", "a3", "a4"]);
        }
    }
}
