//! Host ports.

use std::collections::BTreeSet;

use ekiden_model::app::HostPort;
use ekiden_model::view::HostPorts;
use ekiden_model::{Port, PortSet};
use ekiden_ports::{HostPortChoice, RequiredPorts};
use proptest::prelude::*;

use crate::world::{definition, lot, port, state, template};

fn choose(
    ports: &[HostPort],
    leased: &[Option<u16>],
    offered: [&[std::ops::RangeInclusive<u16>]; 2],
    taken: &[u16],
    entropy: u64,
) -> Result<Vec<Option<u16>>, String> {
    choose_beside(&RequiredPorts::default(), ports, leased, offered, taken, entropy)
}

fn choose_beside(
    required: &RequiredPorts,
    ports: &[HostPort],
    leased: &[Option<u16>],
    offered: [&[std::ops::RangeInclusive<u16>]; 2],
    taken: &[u16],
    entropy: u64,
) -> Result<Vec<Option<u16>>, String> {
    let definitions: Vec<_> = ports.iter().map(|host| definition(*host, None)).collect();
    let mut app = state("/a", definitions.clone());
    app.service_ports = leased.iter().map(|number| number.map(port)).collect();
    let [unreserved, reserved] = offered.map(|ranges| PortSet::from_ranges(ranges.iter().cloned()));
    let taken: Vec<Port> = taken.iter().map(|number| port(*number)).collect();
    let lot = lot(unreserved, reserved);
    let chosen = HostPortChoice { required }.choose(&app, &template(definitions), &lot, &taken, entropy)?;
    Ok(chosen.into_iter().map(|port| port.map(Port::get)).collect())
}

fn fixed(number: u16) -> HostPort {
    HostPort::Fixed(port(number))
}

#[test]
fn dynamic_ports_lie_side_by_side_from_anywhere() {
    let starts: BTreeSet<u16> = (0..200)
        .map(|entropy| {
            let chosen = choose(&[HostPort::Dynamic; 3], &[], [&[31_000..=31_999], &[]], &[], entropy)
                .expect("there are enough");
            let first = chosen[0].expect("a dynamic port is a port");
            let next = |offset| Some(31_000 + (first - 31_000 + offset) % 1000);
            assert_eq!(chosen[1..], [next(1), next(2)]);
            first
        })
        .collect();
    assert!(starts.len() > 150, "200 launches begin at {} places", starts.len());
    assert!(starts.first() < Some(&31_100) && starts.last() > Some(&31_900));
}

#[test]
fn fixed_ports_are_exact_and_dynamic_ones_keep_off_them() {
    for entropy in 0..20 {
        let chosen =
            choose(&[HostPort::Dynamic, fixed(80), HostPort::Unmapped], &[], [&[80..=81], &[]], &[], entropy);
        assert_eq!(chosen, Ok(vec![Some(81), Some(80), None]));
    }
}

#[test]
fn what_another_app_requires_is_taken_last() {
    let mut other =
        state("/other", vec![definition(fixed(31_001), None), definition(HostPort::ServicePort, Some(31_003))]);
    let mut required = RequiredPorts::default();
    required.note(&other);
    let offered: [&[std::ops::RangeInclusive<u16>]; 2] = [&[31_000..=31_003], &[]];
    let chosen = |required: &RequiredPorts, count: usize, entropy| -> BTreeSet<Option<u16>> {
        let ports = vec![HostPort::Dynamic; count];
        choose_beside(required, &ports, &[], offered, &[], entropy)
            .expect("there are enough")
            .into_iter()
            .collect()
    };
    for entropy in 0..50 {
        assert_eq!(chosen(&required, 2, entropy), BTreeSet::from([Some(31_000), Some(31_002)]));
        assert_eq!(chosen(&required, 4, entropy).len(), 4, "where no others are free, they do");
    }
    // Not declared any more, it requires nothing.
    other.declared = None;
    required.note(&other);
    assert_eq!(required, RequiredPorts::default());
    assert!((0..50).any(|entropy| chosen(&required, 1, entropy) == BTreeSet::from([Some(31_001)])));
}

#[test]
fn reserved_ports_do_as_well() {
    assert_eq!(choose(&[fixed(443)], &[], [&[80..=80], &[443..=443]], &[], 7), Ok(vec![Some(443)]));
    let all: BTreeSet<Option<u16>> = choose(&[HostPort::Dynamic; 4], &[], [&[1..=1, 4..=4], &[2..=3]], &[], 7)
        .expect("there are four")
        .into_iter()
        .collect();
    assert_eq!(all, BTreeSet::from([Some(1), Some(2), Some(3), Some(4)]));
}

#[test]
fn a_service_port_is_taken_as_it_is_leased() {
    let ports = [HostPort::Dynamic, HostPort::ServicePort];
    let range = [10_000..=10_001];
    let leased = [Some(10_000), Some(10_001)];
    assert_eq!(choose(&ports, &leased, [&range, &[]], &[], 0), Ok(vec![Some(10_000), Some(10_001)]));
    assert_eq!(choose(&ports, &[None], [&range, &[]], &[], 0), Err("a service port for its port 1".into()));
}

#[test]
fn what_is_missing_is_said() {
    let offered: [&[_]; 2] = [&[31_000..=31_001], &[]];
    assert_eq!(choose(&[fixed(8080)], &[], offered, &[], 0), Err("port 8080".into()));
    assert_eq!(choose(&[fixed(31_000)], &[], offered, &[31_000], 0), Err("port 31000".into()));
    assert_eq!(choose(&[fixed(31_000); 2], &[], offered, &[], 0), Err("port 31000 a second time".into()));
    assert_eq!(choose(&[HostPort::Dynamic; 3], &[], offered, &[], 9), Err("1 of 3 free ports".into()));
    assert_eq!(choose(&[HostPort::Dynamic; 2], &[], [&[], &[]], &[], 9), Err("2 free ports".into()));
    let taken = [31_000, 31_001];
    assert_eq!(choose(&[HostPort::Dynamic], &[], offered, &taken, 9), Err("a free port".into()));
    assert_eq!(choose(&[HostPort::Unmapped], &[], [&[], &[]], &[], 9), Ok(vec![None]));
    assert_eq!(choose(&[], &[], [&[], &[]], &[], 9), Ok(vec![]));
}

#[test]
fn the_ends_of_the_numbers() {
    for entropy in 0..10 {
        let all = choose(&[HostPort::Dynamic; 2], &[], [&[1..=1, 65_535..=65_535], &[]], &[], entropy);
        let all: BTreeSet<_> = all.expect("there are two").into_iter().collect();
        assert_eq!(all, BTreeSet::from([Some(1), Some(65_535)]));
    }
}

fn any_port() -> impl Strategy<Value = HostPort> {
    prop_oneof![
        4 => Just(HostPort::Dynamic),
        1 => Just(HostPort::Unmapped),
        1 => (1..60_u16).prop_map(fixed),
    ]
}

proptest! {
    #[test]
    fn what_is_chosen_is_free_once_and_found_if_it_exists(
        ports in prop::collection::vec(any_port(), 0..6),
        offered in prop::collection::btree_set(1..60_u16, 0..30),
        split in 1..60_u16,
        taken in prop::collection::vec(1..60_u16, 0..6),
        entropy in any::<u64>(),
    ) {
        let ranges = |is: &dyn Fn(u16) -> bool| {
            offered.iter().filter(|number| is(**number)).map(|number| *number..=*number).collect::<Vec<_>>()
        };
        let (unreserved, reserved) = (ranges(&|number| number < split), ranges(&|number| number >= split));
        let chosen = choose(&ports, &[], [&unreserved, &reserved], &taken, entropy);

        let free: BTreeSet<u16> = offered.iter().filter(|number| !taken.contains(number)).copied().collect();
        let exact: Vec<u16> = ports.iter().filter_map(|p| match p {
            HostPort::Fixed(port) => Some(port.get()),
            _ => None,
        }).collect();
        let wanted = ports.iter().filter(|port| **port != HostPort::Unmapped).count();
        let distinct = exact.iter().collect::<BTreeSet<_>>().len() == exact.len();
        let possible = distinct && exact.iter().all(|number| free.contains(number)) && free.len() >= wanted;
        prop_assert_eq!(chosen.is_ok(), possible, "{:?}", chosen);
        let Ok(chosen) = chosen else { return Ok(()) };

        prop_assert_eq!(chosen.len(), ports.len());
        for (wish, got) in ports.iter().zip(&chosen) {
            match wish {
                HostPort::Unmapped => prop_assert_eq!(*got, None),
                HostPort::Fixed(port) => prop_assert_eq!(*got, Some(port.get())),
                _ => prop_assert!(got.is_some()),
            }
        }
        let got: Vec<u16> = chosen.into_iter().flatten().collect();
        prop_assert!(got.iter().all(|number| free.contains(number)));
        prop_assert_eq!(got.iter().collect::<BTreeSet<_>>().len(), got.len());
    }
}
