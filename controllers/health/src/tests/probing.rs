//! Which probes run, and what they ask.

use std::time::Duration;

use ekiden_model::app::{CheckAddress, CheckKind, HealthCheck};
use ekiden_model::health::{Outcome, ProbeKind};
use ekiden_model::{Port, Reason};

use super::world::{World, command, failure, http, key, readiness, started, tcp};
use crate::probes::{EAGER_FIRST_AFTER, FIRST_AFTER};

#[test]
fn every_running_instance_is_probed_for_each_check_of_ours() {
    let mut world = World::new(2, vec![http(), command("true"), tcp()]);
    let decision = world.turn();
    let probes = started(&decision);
    let asked: Vec<_> = probes.iter().map(|probe| (probe.instance, probe.kind, probe.port)).collect();
    let expected = [(0, 0, 31_000), (0, 2, 31_001), (1, 0, 31_002), (1, 2, 31_003)];
    assert_eq!(asked, expected.map(|(slot, index, port)| (key(slot), ProbeKind::Health(index), Port::new(port))));
    assert_eq!(&*probes[0].host, "node-1");
}

#[test]
fn a_probe_in_the_grace_period_is_eager_and_one_after_it_is_not() {
    let check = HealthCheck { grace_period: Duration::from_secs(300), ..http() };
    let mut world = World::new(1, vec![check]);
    world.now = world.now + Duration::from_secs(20);
    let decision = world.turn();
    let probe = started(&decision)[0];
    assert_eq!((probe.first_after, probe.eager_for), (EAGER_FIRST_AFTER, Duration::from_secs(280)));

    let mut world = World::new(1, vec![http()]);
    let decision = world.turn();
    let probe = started(&decision)[0];
    assert_eq!((probe.first_after, probe.eager_for), (FIRST_AFTER, Duration::ZERO));
}

#[test]
fn after_a_restart_probing_starts_again_spread_over_the_interval() {
    let check = HealthCheck { grace_period: Duration::from_secs(300), ..http() };
    let mut world = World::new(1, vec![check]);
    let _ = world.turn();
    let _ = world.hear(0, 1, Outcome::Success);
    let before = world.health(0).clone();
    world.restart();
    let decision = world.turn();
    let probe = started(&decision)[0];
    assert_eq!((probe.first_after, probe.eager_for), (Duration::from_secs(10), Duration::ZERO));
    assert_eq!(*world.health(0), before, "what was known is known");
}

#[test]
fn readiness_is_asked_at_once_and_until_it_is_reached() {
    let mut world = World::new(1, Vec::new());
    world.edit(|app| app.readiness = Some(readiness()));
    let decision = world.turn();
    let probe = started(&decision)[0];
    assert_eq!((probe.kind, probe.first_after), (ProbeKind::Readiness, Duration::ZERO));
    assert_eq!(probe.ready_statuses, [200]);
    world.sample(0, ProbeKind::Readiness, 1, failure("answered 503"), Some(503));
    let _ = world.turn();
    assert_eq!(world.probed(), [(key(0), ProbeKind::Readiness)]);
    world.sample(0, ProbeKind::Readiness, 2, Outcome::Success, Some(200));
    let _ = world.turn();
    assert_eq!(world.probed(), []);
}

#[test]
fn a_port_number_is_asked_as_it_is_and_an_unmapped_port_is_reported() {
    let fixed = CheckAddress::Port(Port::new(8080).expect("not 0"));
    let kind = CheckKind::Tcp { address: fixed, by_executor: false };
    let mut world = World::new(1, vec![HealthCheck { kind, ..http() }, tcp()]);
    world.set(0, |instance| instance.host_ports[1] = None);
    let decision = world.turn();
    let ports: Vec<_> = started(&decision).iter().map(|probe| probe.port).collect();
    assert_eq!(ports, [Port::new(8080)]);
    assert_eq!(decision.report.reasons, [Reason::UnreachablePort { index: 1 }]);
    let text = decision.report.reasons[0].to_string();
    assert!(text.starts_with("port 1 is checked but not mapped to the host"), "{text}");
}
