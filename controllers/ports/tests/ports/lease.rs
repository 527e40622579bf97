//! Service ports.

use ekiden_model::app::{HostPort, PortDefinition};
use ekiden_model::{Again, Port};
use proptest::prelude::*;

use crate::world::{World, definition, id, launch};

fn any() -> PortDefinition {
    definition(HostPort::Dynamic, None)
}

fn exactly(number: u16) -> PortDefinition {
    definition(HostPort::Dynamic, Some(number))
}

#[test]
fn every_port_gets_one_even_if_it_is_not_mapped() {
    let mut world = World::new(10_000..=20_000);
    world.declare("/a", vec![any(), exactly(80), definition(HostPort::Unmapped, None)]);
    assert_eq!(world.ports("/a"), [Some(10_000), Some(80), Some(10_001)]);
    assert_eq!((world.reasons.len(), world.again), (0, Again::OnChange));
    world.declare("/b", vec![any(), exactly(10_002), any()]);
    assert_eq!(world.ports("/b"), [Some(10_003), Some(10_002), Some(10_004)]);
}

#[test]
fn they_stay_by_index_and_go_with_their_port() {
    let mut world = World::new(10_000..=20_000);
    world.declare("/a", vec![any(), any(), any()]);
    world.declare("/a", vec![any(), exactly(99), any()]);
    assert_eq!(world.ports("/a"), [Some(10_000), Some(99), Some(10_002)]);
    world.declare("/a", vec![any()]);
    assert_eq!(world.ports("/a"), [Some(10_000), None, None]);
    world.declare("/b", vec![any()]);
    assert_eq!(world.ports("/b"), [Some(10_001)], "what was given back is free");
    world.declare("/a", vec![any(), any()]);
    assert_eq!(world.ports("/a"), [Some(10_000), Some(10_002), None]);
}

#[test]
fn a_declared_port_moves_out_of_the_way_of_nobody_but_its_own_app() {
    let mut world = World::new(10_000..=20_000);
    world.declare("/a", vec![any(), any()]);
    world.declare("/a", vec![any(), exactly(10_000)]);
    assert_eq!(world.ports("/a"), [Some(10_002), Some(10_000)]);

    world.declare("/b", vec![exactly(10_000), any()]);
    assert_eq!(world.ports("/b"), [None, Some(10_001)], "the other one is not affected");
    assert_eq!(world.reasons, ["service port 10000 is taken by /a"]);
    assert!(matches!(world.again, Again::At(_)));
    world.declare("/a", vec![any()]);
    world.decide("/b");
    assert_eq!((world.ports("/b"), world.reasons.len()), (vec![Some(10_000), Some(10_001)], 0));
}

#[test]
fn two_protocols_may_share_a_declared_port() {
    let mut world = World::new(10_000..=20_000);
    world.declare("/dns", vec![exactly(53), exactly(53)]);
    world.declare("/dns", vec![exactly(53)]);
    assert_eq!(world.ports("/dns"), [Some(53), None]);
    world.declare("/other", vec![exactly(53)]);
    assert_eq!(world.reasons, ["service port 53 is taken by /dns"]);
}

#[test]
fn an_app_keeps_them_until_its_last_instance_is_gone() {
    let mut world = World::new(10_000..=20_000);
    world.declare("/a", vec![any()]);
    launch(world.apps.get_mut(&id("/a")).expect("the app exists"));
    world.withdraw("/a");
    assert_eq!(world.ports("/a"), [Some(10_000)]);
    world.apps.get_mut(&id("/a")).expect("the app exists").instances = ekiden_model::Instances::default();
    world.decide("/a");
    assert_eq!(world.ports("/a"), [None]);
}

#[test]
fn an_exhausted_range_is_said_and_breaks_nothing_else() {
    let mut world = World::new(10_000..=10_001);
    world.declare("/a", vec![any(), any(), any(), exactly(80)]);
    assert_eq!(world.ports("/a"), [Some(10_000), Some(10_001), None, Some(80)]);
    assert_eq!(world.reasons, ["no service port of 10000-10001 is free for port 2"]);
    assert!(matches!(world.again, Again::At(_)));
}

#[test]
fn the_last_port_number_is_a_port() {
    let mut world = World::new(65_535..=65_535);
    world.declare("/a", vec![any(), any()]);
    assert_eq!(world.ports("/a"), [Some(65_535)]);
    assert_eq!(world.reasons.len(), 1);
}

proptest! {
    /// Apps are declared, changed and withdrawn in any order.
    #[test]
    fn no_port_has_two_holders_and_what_can_stay_stays(
        story in prop::collection::vec(
            (0..4_usize, prop::option::of(prop::collection::vec(prop::option::of(95..125_u16), 0..5))),
            1..40,
        ),
    ) {
        let mut world = World::new(100..=112);
        for (which, ports) in story {
            let name = ["/a", "/b", "/c", "/d"][which];
            let before = if world.apps.contains_key(&id(name)) { world.ports(name) } else { Vec::new() };
            match ports {
                Some(declared) => {
                    let definitions: Vec<_> =
                        declared.iter().map(|service| definition(HostPort::Dynamic, *service)).collect();
                    world.declare(name, definitions);
                    let after = world.ports(name);
                    for (index, wished) in declared.iter().enumerate() {
                        let got = after.get(index).copied().flatten();
                        let had = before.get(index).copied().flatten();
                        match wished {
                            Some(_) => prop_assert!(got.is_none() || got == *wished),
                            None if had.is_some() && !declared.contains(&had) => prop_assert_eq!(got, had),
                            None => prop_assert!(got.is_none_or(|port| (100..=112).contains(&port))),
                        }
                        prop_assert!(got.is_some() || !world.reasons.is_empty());
                    }
                    prop_assert!(after.iter().skip(declared.len()).all(Option::is_none));
                }
                None if world.apps.contains_key(&id(name)) => {
                    world.withdraw(name);
                    prop_assert!(world.ports(name).iter().all(Option::is_none));
                }
                None => {}
            }
            let mut holders = std::collections::BTreeMap::new();
            for (id, app) in &world.apps {
                for port in app.service_ports.iter().flatten() {
                    prop_assert_eq!(ekiden_model::view::ServicePorts::holder(&world.leases, *port), Some(id));
                    prop_assert_eq!(holders.entry(Port::get(*port)).or_insert(id), &id);
                }
            }
        }
    }
}
