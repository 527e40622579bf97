//! What holds whatever happens: random lives of an app, checked after every decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::app::{HostPort, Operator, Pattern, Strategy as Preference};
use ekiden_model::health::Verdict;
use ekiden_model::instance::KillOrder;
use ekiden_model::report::KillCause;
use ekiden_model::{Action, Condition, Goal, Instance, InstanceKey, PortSet, RevisionId};
use proptest::prelude::*;

use crate::testing::{World, constraint, kills, port, resources, surge};

/// Something that happens to an app.
#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Condition(usize, Condition),
    Verdict(usize, Verdict),
    Scale(u32),
    Roll(u32),
    Offer(usize, u64),
    Settle,
    Withdraw(usize),
    Maintain(usize, i64),
    Cancel(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let condition = prop::sample::select(vec![
        Condition::Staging,
        Condition::Running,
        Condition::Killing,
        Condition::Unreachable,
        Condition::Failed,
        Condition::Finished,
        Condition::Killed,
        Condition::Gone,
        Condition::Dropped,
    ]);
    let verdict = prop::sample::select(vec![Verdict::Healthy, Verdict::Unhealthy, Verdict::Condemned]);
    let event = prop_oneof![
        (0_u64..400).prop_map(Event::Pass),
        (0_usize..12, condition).prop_map(|(index, condition)| Event::Condition(index, condition)),
        (0_usize..12, verdict).prop_map(|(index, verdict)| Event::Verdict(index, verdict)),
        (0_u32..9).prop_map(Event::Scale),
        (0_u32..9).prop_map(Event::Roll),
        (0_usize..6, 1_u64..6).prop_map(|(agent, cpus)| Event::Offer(agent, cpus)),
        Just(Event::Settle),
        (0_usize..6).prop_map(Event::Withdraw),
        (0_usize..6, 0_i64..300).prop_map(|(agent, ahead)| Event::Maintain(agent, ahead)),
        (0_usize..6).prop_map(Event::Cancel),
    ];
    prop::collection::vec(event, 1..60)
}

fn operators() -> impl Strategy<Value = Option<(&'static str, Operator)>> {
    let pattern = Pattern::new("z[01]").expect("a pattern");
    prop::sample::select(vec![
        None,
        Some(("hostname", Operator::Unique)),
        Some(("zone", Operator::MaxPer(2))),
        Some(("zone", Operator::GroupBy(Some(3)))),
        Some(("zone", Operator::GroupBy(None))),
        Some(("zone", Operator::Cluster(None))),
        Some(("zone", Operator::Like(pattern.clone()))),
        Some(("zone", Operator::Unlike(pattern))),
    ])
}

fn preferences() -> impl Strategy<Value = Preference> {
    prop::sample::select(vec![Preference::Spread, Preference::Binpack, Preference::Random])
}

fn world(
    instances: u32,
    operator: Option<&(&str, Operator)>,
    preference: Preference,
    bounds: (u32, u32),
) -> World {
    let mut world = World::of(instances).with_ports(&[HostPort::Dynamic]).declare(|app| {
        app.placement.strategy = preference;
        app.capacity = surge(bounds.0, bounds.1);
        app.constraints.extend(operator.map(|(field, operator)| constraint(field, operator.clone())));
    });
    for agent in 0..6 {
        world.know(&format!("a{agent}"), &format!("z{}", agent % 3));
        happen(&mut world, &Event::Offer(agent, 3));
    }
    world
}

fn happen(world: &mut World, event: &Event) {
    let keys: Vec<InstanceKey> = world.app.instances.iter().map(|instance| instance.key).collect();
    let nth = |index: &usize| keys.get(index % keys.len().max(1)).copied();
    let now = world.now;
    match event {
        Event::Pass(seconds) => world.pass(*seconds),
        Event::Condition(index, condition) => {
            let Some(key) = nth(index) else { return };
            world.app.instances.update(key, |instance| {
                // Conditions only move forward, but for agents that come back.
                let back = instance.condition == Condition::Unreachable && *condition == Condition::Running;
                if instance.condition.is_live() && (back || *condition > instance.condition) {
                    instance.condition = *condition;
                    instance.since = now;
                }
            });
        }
        Event::Verdict(index, verdict) => {
            let Some(key) = nth(index) else { return };
            let condemned = world.app.instances.update(key, |instance| {
                let judged = instance.condition == Condition::Running && instance.health.verdict != *verdict;
                // Until its end is ordered, a condemned one may recover.
                if judged && instance.goal == Goal::Running {
                    instance.health.verdict = *verdict;
                    return *verdict == Verdict::Condemned;
                }
                false
            });
            if condemned == Some(true) {
                world.app.condemned.push(now);
            }
        }
        Event::Scale(instances) => {
            world.desired = *instances;
            let newest = world.app.revisions.last().expect("a revision").id.0;
            world.app.revisions.iter_mut().for_each(|revision| revision.target = 0);
            world.revision(newest, *instances);
        }
        Event::Roll(new) => {
            // As upgrade does: one passage at a time, from all old to all new.
            let new = (*new).min(world.desired);
            let newest = world.app.revisions.last().expect("a revision").id.0.max(2);
            world.revision(newest - 1, world.desired - new);
            world.revision(newest, new);
        }
        Event::Offer(agent, cpus) => offer_what_is_free(world, &format!("a{agent}"), *cpus),
        Event::Settle => world.settle(),
        Event::Maintain(agent, ahead) => {
            let begin = now.as_millis() / 1000 + ahead;
            world.maintain(&format!("a{agent}"), begin, Some(200));
        }
        Event::Cancel(agent) => world.cancel(&format!("a{agent}")),
        Event::Withdraw(agent) => {
            let agent = ekiden_model::AgentId::new(format!("a{agent}"));
            if let Some(lot) = world.book.of_agent(&agent, &ekiden_model::Role::any()) {
                world.book.use_up(lot);
            }
        }
    }
}

/// Ports that are in use are not offered again.
fn offer_what_is_free(world: &mut World, agent: &str, cpus: u64) {
    let here = world.app.instances.iter().filter(|i| i.agent.id.as_str() == agent && i.condition.is_live());
    let in_use: BTreeSet<_> = here.flat_map(|instance| instance.host_ports.iter().flatten().copied()).collect();
    let free: PortSet = (31_000..31_010).map(port).filter(|port| !in_use.contains(port)).collect();
    world.offer(agent, |offer| {
        offer.unreserved.resources = resources(cpus, cpus * 100);
        offer.unreserved.ports = free;
    });
}

/// One offer per agent at a time, as from Mesos: what is in use is not offered again.
fn withdraw_all(world: &mut World) {
    let lots: Vec<_> = world.book.lots().map(|(ix, _)| ix).collect();
    for ix in lots {
        world.book.use_up(ix);
    }
}

fn healthy(world: &World) -> u32 {
    world.app.instances.iter().filter(|instance| instance.is_healthy()).count() as u32
}

/// Decides, checks the decision against the world, and follows it.
fn decide_and_check(world: &mut World) -> Result<(), TestCaseError> {
    let decision = world.decide();
    prop_assert_eq!(&decision, &world.decide(), "the same view, the same decision");
    prop_assert_eq!(&decision, &world.clone().decide(), "with nothing remembered, too");
    let bounds = world.app.declared.as_ref().expect("declared").app.bounds(world.desired);
    let before = world.clone();
    let launch = |action: &Action| match action {
        Action::Launch(launch) => Some(launch.instance),
        _ => None,
    };
    let launched: Vec<InstanceKey> = decision.actions.iter().filter_map(launch).collect();
    prop_assert!(launched.len() <= world.launches as usize);

    world.follow(&decision);

    // S2: our kills leave the floor standing, or whatever there was of it.
    prop_assert!(healthy(world) >= bounds.floor.min(healthy(&before)), "the floor holds");
    // S1: launches stop at the ceiling. Replacements for unreachable ones, and for those that the cluster ends, are
    // counted apart.
    let is_lost = |i: &Instance| {
        i.condition == Condition::Unreachable || (i.goal == Goal::Running && i.condition == Condition::Killing)
    };
    let counted = |world: &World| {
        let all = world.app.instances.iter().filter(|i| i.is_placed() && !is_lost(i));
        all.count() as u32
    };
    for new in launched.iter().filter_map(|key| world.app.instances.get(*key)) {
        prop_assert!(!is_left(world, new), "{} goes to {}, which is to be left", new.key, new.agent.id);
    }
    prop_assert!(launched.is_empty() || counted(world) <= bounds.ceiling, "the ceiling holds");
    // S3: no port twice on an agent.
    let mut ports = BTreeSet::new();
    for instance in world.app.instances.iter().filter(|i| i.is_placed() && i.condition != Condition::Unreachable) {
        for port in instance.host_ports.iter().flatten() {
            prop_assert!(ports.insert((instance.agent.id.clone(), *port)), "port {} twice", port);
        }
    }
    check_constraints(world, &launched)?;
    // Kills of healthy ones have a cause that a person can understand from the targets.
    for (_, cause) in kills(&decision) {
        prop_assert!(cause != KillCause::Removed && cause != KillCause::Misplaced);
    }
    prop_assert_eq!(world.decide().actions, Vec::new(), "followed, there is nothing more to say");
    Ok(())
}

/// Whether an instance is on an agent that is to be left.
fn is_left(world: &World, instance: &Instance) -> bool {
    leaving(world).contains(&instance.agent.id)
}

fn leaving(world: &World) -> Arc<BTreeSet<ekiden_model::AgentId>> {
    world.agents.leaving(world.now, world.settings.drain_before).agents
}

/// S4: what was launched by this decision is within the constraints, against what is placed.
fn check_constraints(world: &World, launched: &[InstanceKey]) -> Result<(), TestCaseError> {
    for constraint in &world.app.declared.as_ref().expect("declared").app.constraints {
        for new in launched.iter().filter_map(|key| world.app.instances.get(*key)) {
            let value = new.agent.value(&constraint.field).expect("all agents have a value");
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            let placed = world.app.instances.iter().filter(|other| {
                other.revision == new.revision && other.is_placed() && other.condition != Condition::Unreachable
            });
            // Those that are to leave are replaced already.
            let placed = placed.filter(|other| other.goal != Goal::Running || !is_left(world, other));
            for other in placed {
                *counts.entry(other.agent.value(&constraint.field).expect("a value")).or_insert(0) += 1;
            }
            let count = counts[&**value];
            let holds = match &constraint.operator {
                Operator::Unique => count == 1,
                Operator::MaxPer(most) => count <= *most,
                Operator::Like(pattern) => pattern.matches(value),
                Operator::Unlike(pattern) => !pattern.matches(value),
                // With fewer zones to stay in there are more to each.
                Operator::GroupBy(_) => count <= world.desired.div_ceil(3) || !leaving(world).is_empty(),
                Operator::Cluster(_) | Operator::Is(_) => true,
            };
            prop_assert!(holds, "{} with {:?}", constraint, counts);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn an_app_keeps_within_its_bounds_whatever_happens(
        instances in 0_u32..9,
        operator in operators(),
        preference in preferences(),
        bounds in (0_u32..3, 0_u32..3),
        entropy in any::<u64>(),
        events in events(),
    ) {
        let mut world = world(instances, operator.as_ref(), preference, bounds);
        world.entropy = entropy;
        decide_and_check(&mut world)?;
        for event in &events {
            happen(&mut world, event);
            decide_and_check(&mut world)?;
        }
    }

    #[test]
    fn with_room_enough_everything_wanted_comes_to_run(
        instances in 0_u32..9,
        operator in operators(),
        preference in preferences(),
        bounds in (0_u32..3, 0_u32..3),
        left in prop::collection::btree_set(0_usize..6, 0..5),
        events in events(),
    ) {
        let mut world = world(instances, operator.as_ref(), preference, bounds);
        for event in &events {
            happen(&mut world, event);
            world.go();
        }
        // From now on nothing goes wrong: agents are back, waits are over, offers are plenty.
        // Nobody wants more than can be: a rollout that the constraints leave no room for waits at the floor.
        let desired = world.desired;
        let possible = match &operator {
            Some((_, Operator::Unique)) => desired.min(6),
            Some((_, Operator::MaxPer(most))) => desired.min(most * 3),
            _ => desired,
        };
        happen(&mut world, &Event::Scale(possible));
        (0..6).for_each(|agent| happen(&mut world, &Event::Cancel(agent)));
        if operator.is_none() {
            for agent in &left {
                world.maintain(&format!("a{agent}"), 0, None);
            }
        }
        let keys: Vec<_> = world.app.instances.iter().map(|instance| instance.key).collect();
        for key in keys {
            let now = world.now;
            world.app.instances.update(key, |instance| {
                if instance.condition == Condition::Unreachable {
                    instance.condition = Condition::Running;
                    instance.since = now;
                }
            });
        }
        for _ in 0..60 {
            world.pass(61);
            withdraw_all(&mut world);
            (0..6).for_each(|agent| happen(&mut world, &Event::Offer(agent, 8)));
            world.go();
            world.settle();
        }
        let newest = world.app.revisions.last().expect("a revision").id;
        prop_assert_eq!(world.app.instances.census(newest).healthy, possible);
        prop_assert_eq!(world.app.instances.total().placed(), possible);
        prop_assert!(world.app.instances.iter().all(|one| !is_left(&world, one)), "nothing stays where all is to leave");
    }

    #[test]
    fn counts_are_what_counting_gives(events in events(), instances in 0_u32..9) {
        let mut world = world(instances, None, Preference::Spread, (1, 1));
        let some: Arc<BTreeSet<_>> = Arc::new(world.agents.keys().take(3).cloned().collect());
        for event in &events {
            happen(&mut world, event);
            world.go();
            let all = &world.app.instances;
            let count = |is: &dyn Fn(&Instance) -> bool| all.iter().filter(|instance| is(instance)).count() as u32;
            let total = all.total();
            prop_assert_eq!(total.wanted, count(&|instance| instance.is_wanted()));
            prop_assert_eq!(total.healthy, count(&|instance| instance.is_healthy()));
            prop_assert_eq!(total.placed(), count(&|instance| instance.is_placed()));
            prop_assert_eq!(all.starting().count() as u32, total.starting);
            for agent in world.agents.keys() {
                let here = count(&|instance| instance.is_placed() && instance.agent.id == *agent);
                prop_assert_eq!(all.on_agent(agent), here);
            }
            // Kept up to date since the first round; a clone looks anew.
            prop_assert_eq!(all.wanted_outside(&some), all.clone().wanted_outside(&some));
            let taken: BTreeSet<u32> = world.slots().into_iter().collect();
            let vacant: Vec<u32> = all.vacant_slots().map(|slot| slot.0).take_while(|slot| *slot < 40).collect();
            let expected: Vec<u32> = (0..40).filter(|slot| !taken.contains(slot)).collect();
            prop_assert_eq!(vacant, expected);
            for (revision, _) in all.by_revision() {
                let zone = ekiden_model::app::Field::parse("zone");
                let tallied = all.tally(revision, &zone);
                // A clone has no tallies yet and counts anew.
                prop_assert_eq!(&tallied, &all.clone().tally(revision, &zone));
            }
        }
    }
}

#[test]
fn a_kill_keeps_its_first_cause_and_time() {
    let mut world = World::of(1).running(0, "a0").scaled_to(0);
    world.go();
    world.pass(30);
    world.go();
    let order = world.app.instances.get(world.in_slot(0)).and_then(|instance| instance.kill.clone());
    let KillOrder { cause, at, sent } = order.expect("an order");
    assert_eq!((cause, sent.since(at).as_secs()), (KillCause::ScaledIn, 30));
    assert_eq!(world.app.revisions[0].id, RevisionId(1));
}
