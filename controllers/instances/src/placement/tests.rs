//! Placement, seen through decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ekiden_model::app::{HostPort, Operator, Pattern, Strategy};
use ekiden_model::limits::AcceptedRoles;
use ekiden_model::offer::Bundle;
use ekiden_model::report::KillCause;
use ekiden_model::{Action, Condition, PortSet, Role, Scalar};

use crate::testing::{World, kills, launches, port, resources, surge, told};

fn launch_of(action: &Action) -> &ekiden_model::action::Launch {
    match action {
        Action::Launch(launch) => launch,
        other => panic!("not a launch: {other:?}"),
    }
}

/// How many wanted instances each zone has.
fn zones(world: &World) -> BTreeMap<String, u32> {
    let mut zones = BTreeMap::new();
    for instance in world.app.instances.wanted() {
        let zone = instance.agent.attributes.get("zone").map(ToString::to_string).unwrap_or_default();
        *zones.entry(zone).or_insert(0) += 1;
    }
    zones
}

fn counts(world: &World) -> Vec<u32> {
    zones(world).into_values().collect()
}

fn like(pattern: &str) -> Operator {
    Operator::Like(Pattern::new(pattern).expect("a pattern"))
}

fn unlike(pattern: &str) -> Operator {
    Operator::Unlike(Pattern::new(pattern).expect("a pattern"))
}

#[test]
fn reserved_resources_are_used_before_everybodys() {
    let role = Role::new("prod");
    let mut world = World::of(1).needing(|need| *need = resources(3, 100)).with_ports(&[HostPort::Dynamic; 2]);
    world.settings.default_role = role.clone();
    world.know("a0", "z0");
    world.offer("a0", |offer| {
        offer.role = role.clone();
        offer.reserved = Bundle { resources: resources(2, 500), ports: PortSet::from_iter([port(80)]) };
    });
    let decision = world.step();
    let claim = &launch_of(&decision.actions[0]).claim;
    assert_eq!(claim.reserved, Bundle { resources: resources(2, 100), ports: PortSet::from_iter([port(80)]) });
    assert_eq!(claim.unreserved, Bundle { resources: resources(1, 0), ports: PortSet::from_iter([port(31_000)]) });
}

#[test]
fn only_accepted_roles_are_used() {
    let (prod, any) = (Role::new("prod"), Role::any());
    let offered = |accepted: BTreeSet<Role>| {
        let mut world = World::of(1).declare(|app| app.accepted_roles = Some(accepted.clone()));
        world.settings.default_role = prod.clone();
        world.know("a0", "z0");
        world.offer("a0", |offer| {
            offer.role = prod.clone();
            offer.reserved.resources = resources(1, 50);
        });
        world
    };
    let mut world = offered(BTreeSet::from([any]));
    assert_eq!(launch_of(&world.step().actions[0]).claim.reserved, Bundle::default());
    let mut world = offered(BTreeSet::from([prod.clone()]));
    assert_eq!(told(&world.step()), ["1 of 1 wait for offers: 1 agent lacks mem (largest has 50, needs 100): a0"]);
    let mut world = World::of(1).agents(1, 1, 8);
    world.settings.default_role = prod;
    assert_eq!(told(&world.step()), ["1 of 1 wait for offers: 1 agent offers only to role *: a0"]);
}

#[test]
fn an_app_that_names_no_roles_uses_what_the_default_says() {
    let prod = Role::new("prod");
    let claimed = |accepted: AcceptedRoles, role: &Role| {
        let mut world = World::of(1);
        (world.settings.default_role, world.settings.accepted_roles) = (role.clone(), accepted);
        world.know("a0", "z0");
        world.offer("a0", |offer| {
            offer.role = role.clone();
            offer.reserved = offer.unreserved.clone();
        });
        let decision = world.step();
        let claim = &launch_of(&decision.actions[0]).claim;
        (!claim.reserved.is_empty(), !claim.unreserved.is_empty())
    };
    assert_eq!(claimed(AcceptedRoles::Any, &prod), (true, false), "what is reserved first");
    assert_eq!(claimed(AcceptedRoles::Reserved, &prod), (true, false));
    assert_eq!(claimed(AcceptedRoles::Unreserved, &prod), (false, true));
    for accepted in [AcceptedRoles::Any, AcceptedRoles::Reserved, AcceptedRoles::Unreserved] {
        let mut world = World::of(1).agents(1, 1, 8);
        world.settings.accepted_roles = accepted;
        assert_eq!(launches(&world.step()).len(), 1, "to the role * everything is everybody's");
    }
    let mut world = World::of(1).declare(|app| app.accepted_roles = Some([Role::any()].into()));
    (world.settings.default_role, world.settings.accepted_roles) = (prod.clone(), AcceptedRoles::Reserved);
    world.know("a0", "z0");
    world.offer("a0", |offer| offer.role = prod.clone());
    assert_eq!(launches(&world.step()).len(), 1, "an app that says so itself knows better");
}

#[test]
fn one_agents_offers_get_no_more_launches_than_they_may_and_the_rest_waits_for_the_next() {
    let mut world = World::of(5).agents(2, 1, 8);
    world.settings.launches_per_lot = 2;
    let decision = world.step();
    let mut per_lot = BTreeMap::<_, usize>::new();
    for (_, lot) in launches(&decision) {
        *per_lot.entry(lot).or_default() += 1;
    }
    assert_eq!(per_lot.into_values().collect::<Vec<_>>(), [2, 2]);
    assert_eq!(told(&decision)[0], "1 of 5 wait for offers: nothing is offered", "what was used up goes back");
}

#[test]
fn refusals_are_counted_under_the_first_reason_of_the_funnel() {
    let mut world = World::of(1).constrained("zone", unlike("z9")).with_ports(&[HostPort::Fixed(port(8080))]);
    let now = world.now;
    for (name, zone) in [("role", "z0"), ("zone", "z9"), ("down", "z0"), ("cpus", "z0"), ("ports", "z0")] {
        world.know(name, zone);
    }
    world.offer("role", |offer| offer.role = Role::new("other"));
    world.offer("zone", |offer| offer.unreserved.resources = resources(0, 0));
    world.offer("down", |offer| offer.maintenance = Some((now, None)));
    world.offer("cpus", |offer| offer.unreserved.resources.cpus = Scalar::from_f64(0.5));
    world.offer("ports", |_| {});
    assert_eq!(
        told(&world.step()),
        [
            "1 of 1 wait for offers: 1 agent offers only to role other: role; 1 agent refuses constraint UNLIKE zone \
          z9: zone; 1 agent goes into maintenance: down; 1 agent lacks cpus (largest has 0.5, needs 1): cpus; 1 agent \
          lacks port 8080: ports"
        ]
    );
}

#[test]
fn agents_with_gpus_are_kept_for_those_who_need_them() {
    let with_gpus = |mut world: World| {
        world.know("a0", "z0");
        world.offer("a0", |offer| offer.unreserved.resources.gpus = Scalar::whole(1));
        world
    };
    assert_eq!(
        told(&with_gpus(World::of(1)).step()),
        ["1 of 1 wait for offers: 1 agent is kept for those who need gpus: a0"]
    );
    assert_eq!(launches(&with_gpus(World::of(1).needing(|need| need.gpus = Scalar::whole(1))).step()).len(), 1);
    let label = |app: &mut ekiden_model::App| {
        app.labels.insert("GPU_SCHEDULING_BEHAVIOR".into(), "unrestricted".into());
    };
    assert_eq!(launches(&with_gpus(World::of(1).declare(label)).step()).len(), 1);
}

#[test]
fn an_agent_is_refused_during_its_maintenance_only() {
    let mut world = World::of(1);
    let (start, duration) = (world.now + Duration::from_secs(10), Duration::from_secs(5));
    world.know("a0", "z0");
    world.offer("a0", |offer| offer.maintenance = Some((start, Some(duration))));
    let mut placed = Vec::new();
    for _ in 0..4 {
        placed.push(launches(&world.decide()).len());
        world.pass(5);
    }
    assert_eq!(placed, [1, 1, 0, 1]);
}

#[test]
fn launches_of_one_decision_share_no_port() {
    let mut world = World::of(3).agents(1, 1, 8).with_ports(&[HostPort::Dynamic, HostPort::Unmapped]);
    world.know("a0", "z0");
    world.offer("a0", |_| {});
    world.go();
    let ports: BTreeSet<_> = world.app.instances.iter().map(|instance| instance.host_ports[0]).collect();
    assert_eq!(ports.len(), 3);
    assert!(world.app.instances.iter().all(|instance| instance.host_ports[1].is_none()));
    let mut world = World::of(2).with_ports(&[HostPort::Fixed(port(31_005))]);
    world.know("a0", "z0");
    world.offer("a0", |_| {});
    assert_eq!(told(&world.step()), ["1 of 2 wait for offers: 1 agent lacks port 31005: a0", "1 starting"]);
}

#[test]
fn unique_takes_each_value_once() {
    let mut world = World::of(3).agents(2, 2, 8).constrained("hostname", Operator::Unique);
    let decision = world.step();
    assert_eq!(
        told(&decision),
        ["1 of 3 wait for offers: 2 agents refuse constraint UNIQUE hostname: a0 and a1", "2 starting"]
    );
    assert!(world.step().actions.is_empty());
    // One that is told to end is still there.
    let mut world = world.declare(|app| app.capacity = surge(2, 2));
    world.settle();
    world.condemn(0);
    assert!(launches(&world.step()).is_empty());
    world.settle();
    assert_eq!(launches(&world.step()).len(), 1);
}

#[test]
fn cluster_keeps_to_the_given_value_or_the_first() {
    let mut world = World::of(4).agents(4, 2, 2).constrained("zone", Operator::Cluster(Some("z1".into())));
    world.go();
    assert_eq!(zones(&world), BTreeMap::from([("z1".into(), 4)]));
    let mut world = World::of(4).agents(4, 2, 2).constrained("zone", Operator::Cluster(None));
    world.go();
    assert_eq!(counts(&world), [4]);
    let mut world = World::of(2).agents(2, 2, 8).constrained("zone", Operator::Cluster(None)).running(0, "a1");
    world.go();
    assert_eq!(zones(&world), BTreeMap::from([("z1".into(), 2)]));
}

#[test]
fn cluster_is_where_the_wanted_are_and_not_where_one_is_ending() {
    let mut world = World::of(2).agents(2, 2, 8).constrained("zone", Operator::Cluster(None));
    world = world.running(0, "a1").running(1, "a0");
    world.condemn(0);
    let decision = world.step();
    assert_eq!(kills(&decision), [(0, KillCause::Unhealthy)]);
    world.settle();
    world.go();
    assert_eq!(zones(&world), BTreeMap::from([("z0".into(), 2)]), "its place is with the one that stays");
}

#[test]
fn like_unlike_and_is_look_at_the_whole_value() {
    for (operator, places) in
        [(like("z0"), 1), (like("z"), 0), (like("z.*"), 2), (unlike("z0"), 2), (Operator::Is("z1".into()), 1)]
    {
        let mut world = World::of(3).declare(|app| app.capacity = surge(3, 0));
        // The third agent has no such attribute: only UNLIKE holds for it.
        for (name, zone) in [("a0", "z0"), ("a1", "z1"), ("a2", "")] {
            world = world.agent(name, zone, 1);
        }
        let mut world = world.constrained("zone", operator.clone());
        world.go();
        assert_eq!(world.places().len(), places, "{operator:?}");
    }
}

#[test]
fn max_per_limits_each_value() {
    let mut world = World::of(5).agents(4, 2, 8).constrained("zone", Operator::MaxPer(2));
    world.go();
    assert_eq!(counts(&world), [2, 2]);
}

#[test]
fn group_by_with_a_number_is_marathons_rule() {
    let mut world = World::of(10).agents(6, 3, 8).constrained("zone", Operator::GroupBy(Some(3)));
    world.go();
    let mut sizes = counts(&world);
    sizes.sort_unstable();
    assert_eq!(sizes, [3, 3, 4]);
    // Two values are expected: no third is used.
    let mut world = World::of(6).agents(6, 3, 8).constrained("zone", Operator::GroupBy(Some(2)));
    world.go();
    assert_eq!(counts(&world), [3, 3]);
}

#[test]
fn group_by_without_a_number_spreads_over_the_values_that_there_are() {
    for number in [None, Some(0)] {
        let mut world = World::of(8).agents(6, 3, 8).constrained("zone", Operator::GroupBy(number));
        world.go();
        let mut sizes = counts(&world);
        sizes.sort_unstable();
        assert_eq!(sizes, [2, 3, 3]);
    }
    // A value that another constraint excludes is none to wait for.
    let mut world = World::of(4).agents(6, 3, 8).constrained("zone", Operator::GroupBy(None));
    world = world.constrained("zone", unlike("z1"));
    world.go();
    assert_eq!(counts(&world), [2, 2]);
    // No agent has the attribute: nothing is placed, and nothing is divided by zero.
    let mut world = World::of(2).agents(2, 1, 8).constrained("rack", Operator::GroupBy(None));
    assert_eq!(
        told(&world.step()),
        ["2 of 2 wait for offers: 2 agents refuse constraint GROUP_BY rack: a0 and a1"]
    );
}

#[test]
fn replaced_unreachable_instances_are_not_counted() {
    let mut world = World::of(2).agents(2, 2, 8).constrained("zone", Operator::Unique).agent("a9", "z1", 8);
    world = world.running(0, "a0").running(1, "a1");
    world.becomes(1, Condition::Unreachable);
    assert!(launches(&world.step()).is_empty());
    world.pass(60);
    world.go();
    assert_eq!(zones(&world), BTreeMap::from([("z0".into(), 1), ("z1".into(), 2)]));
}

#[test]
fn spread_evens_agents_and_binpack_fills_them() {
    let placed = |strategy| {
        let mut world = World::of(8).agents(4, 1, 4).declare(|app| app.placement.strategy = strategy);
        world.go();
        let mut per_agent = BTreeMap::new();
        world.places().into_iter().for_each(|agent| *per_agent.entry(agent).or_insert(0) += 1);
        per_agent.into_values().collect::<Vec<u32>>()
    };
    assert_eq!(placed(Strategy::Spread), [2, 2, 2, 2]);
    assert_eq!(placed(Strategy::Binpack), [4, 4]);
    assert_eq!(placed(Strategy::Random).iter().sum::<u32>(), 8);
}

#[test]
fn entropy_chooses_among_equals_and_nothing_else_does() {
    let first = |entropy: u64| {
        let mut world = World::of(1).agents(50, 1, 4);
        world.entropy = entropy;
        let decision = world.decide();
        assert_eq!(decision, world.decide());
        launches(&decision)[0].1
    };
    let chosen: BTreeSet<_> = (0..20).map(first).collect();
    assert!(chosen.len() > 5, "{chosen:?}");
}

#[test]
fn an_app_that_found_nothing_looks_at_new_lots_only_and_still_says_all() {
    let mut world = World::of(1).agents(3, 1, 8).needing(|need| need.cpus = Scalar::whole(9));
    let said = |world: &World| told(&world.decide())[0].clone();
    assert_eq!(said(&world), "1 of 1 wait for offers: 3 agents lack cpus (largest has 8, needs 9): a0, a1 and a2");
    world = world.agent("b0", "z0", 5);
    assert_eq!(
        said(&world),
        "1 of 1 wait for offers: 4 agents lack cpus (largest has 8, needs 9): a0, a1, a2 and 1 more"
    );
    let lots: Vec<_> = world.book.lots().map(|(ix, _)| ix).collect();
    world.book.use_up(lots[0]);
    assert_eq!(said(&world), "1 of 1 wait for offers: 3 agents lack cpus (largest has 8, needs 9): a1, a2 and b0");
    world = world.agent("b1", "z0", 9);
    assert_eq!(launches(&world.decide()).len(), 1);
}

#[test]
fn what_was_refused_for_maintenance_is_asked_again_when_that_is_over() {
    let mut world = World::of(1);
    let (now, duration) = (world.now, Duration::from_secs(5));
    world.know("a0", "z0");
    world.offer("a0", |offer| offer.maintenance = Some((now, Some(duration))));
    assert!(launches(&world.decide()).is_empty());
    world.pass(5);
    assert_eq!(launches(&world.decide()).len(), 1);
}

#[test]
fn another_declaration_is_another_question() {
    let world = World::of(1).agents(1, 1, 8).constrained("zone", like("z9"));
    assert!(launches(&world.decide()).is_empty());
    let world = world.declare(|app| app.constraints.clear());
    assert_eq!(launches(&world.decide()).len(), 1);
}
