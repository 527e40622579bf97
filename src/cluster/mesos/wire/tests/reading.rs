//! Frames of the event stream.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::offer::Bundle;
use ekiden_model::{Condition, Offer, Port, PortSet, Resources, Scalar, Timestamp};
use serde_json::{Value, json};

use super::super::{Event, Reservations, read_event};

fn event(frame: &Value) -> Event {
    read_event(frame.to_string().as_bytes()).expect("a well-formed frame")
}

fn offers(resources: &Value) -> (Vec<Offer>, Reservations) {
    let offer = json!({
        "id": {"value": "O1"}, "agent_id": {"value": "S1"}, "hostname": "a", "framework_id": {"value": "F"},
        "allocation_info": {"role": "web"}, "resources": resources,
    });
    match event(&json!({"type": "OFFERS", "offers": {"offers": [offer]}})) {
        Event::Offers(offers, reservations) => (offers, reservations),
        other => panic!("{other:?}"),
    }
}

fn offer(resources: &Value) -> Offer {
    offers(resources).0.remove(0)
}

fn status(fields: &Value) -> Event {
    let mut status = json!({"task_id": {"value": "t"}, "state": "TASK_RUNNING", "agent_id": {"value": "S1"}});
    let all = status.as_object_mut().expect("an object");
    all.extend(fields.as_object().expect("an object").clone());
    event(&json!({"type": "UPDATE", "update": {"status": status}}))
}

fn condition(fields: &Value) -> Condition {
    match status(fields) {
        Event::Update(status) => status.condition,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_real_master_says_is_understood() {
    let mut shown = String::new();
    for line in include_str!("data/stream.jsonl").lines() {
        let event = read_event(line.as_bytes()).expect("a real frame");
        assert!(!matches!(event, Event::Unknown(_) | Event::StrangeUpdate { .. }), "{event:?}");
        writeln!(shown, "{event:?}").expect("memory");
    }
    expectorate::assert_contents("src/cluster/mesos/wire/tests/data/stream.out", &shown);
}

#[test]
fn what_is_reserved_is_kept_apart_and_what_is_special_is_left_out() {
    let reserved = json!([{"type": "STATIC", "role": "web"}]);
    let labelled = json!([{"type": "DYNAMIC", "role": "web", "labels": {"labels": [{"key": "who"}]}}]);
    let unlabelled = json!([{"type": "STATIC", "role": "web"}, {"type": "DYNAMIC", "role": "web", "labels": {}}]);
    let cpus = |amount: f64, more: Value| {
        let mut resource = json!({"name": "cpus", "type": "SCALAR", "scalar": {"value": amount}});
        resource.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        resource
    };
    let found = offer(&json!([
        cpus(1.0, json!({})),
        cpus(0.5, json!({})),
        cpus(2.0, json!({"reservations": reserved})),
        cpus(0.25, json!({"reservations": unlabelled})),
        cpus(4.0, json!({"reservations": labelled})),
        cpus(8.0, json!({"revocable": {}})),
        cpus(16.0, json!({"shared": {}})),
        cpus(32.0, json!({"disk": {"persistence": {"id": "x"}}})),
        cpus(64.0, json!({"provider_id": {"value": "p"}})),
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 2, "end": 4}]}, "reservations": reserved},
        {"name": "licences", "type": "SET", "set": {"item": ["a"]}},
    ]));
    let cpus = |thousandths| Resources { cpus: Scalar(thousandths), ..Resources::NONE };
    assert_eq!(found.unreserved, Bundle { resources: cpus(1500), ports: PortSet::EMPTY });
    assert_eq!(found.reserved, Bundle { resources: cpus(2250), ports: PortSet::from_ranges([2..=4]) });
}

#[test]
fn absurd_amounts_and_ranges_do_no_harm() {
    let scalar = |value: Value| json!({"name": "mem", "type": "SCALAR", "scalar": {"value": value}});
    let mem = |values: &[Value]| offer(&values.iter().cloned().map(scalar).collect()).unreserved.resources.mem;
    for nothing in [json!(-1), json!("NaN"), json!(null), json!([1]), json!({"a": 1}), json!(true), json!(0.0004)]
    {
        assert_eq!(mem(&[nothing.clone(), json!(0.0005)]), Scalar(1), "{nothing}");
    }
    let most = Scalar(1 << 53);
    assert_eq!(mem(&[json!("Infinity")]), most);
    assert_eq!(mem(&vec![json!(1e300); 5000]), most);
    let ports = |ranges: Value| offer(&json!([{"name": "ports", "ranges": {"range": ranges}}])).unreserved.ports;
    let strange = json!([{"begin": 9, "end": 3}, {"begin": 0, "end": 1}, {"begin": 65_534, "end": u64::MAX},
                         {"begin": 70_000, "end": 80_000}, {"begin": 1, "end": 1}]);
    assert_eq!(ports(strange).to_string(), "1,65534-65535");
}

#[test]
fn attributes_read_as_constraints_see_them() {
    let attributes = json!([
        {"name": "rack", "type": "TEXT", "text": {"value": "r \"1\""}},
        {"name": "speed", "type": "SCALAR", "scalar": {"value": 2.5}},
        {"name": "whole", "type": "SCALAR", "scalar": {"value": 4.0}},
        {"name": "fine", "type": "SCALAR", "scalar": {"value": -0.123_45}},
        {"name": "slots", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 2}, {"begin": 7, "end": 9}]}},
        {"name": "disks", "type": "SET", "set": {"item": ["ssd", "hdd"]}},
        {"name": "nothing", "type": "TEXT"},
    ]);
    let frame = json!({"type": "OFFERS", "offers": {"offers": [{
        "id": {"value": "O"}, "agent_id": {"value": "S"}, "hostname": "h", "attributes": attributes,
        "domain": {"fault_domain": {"region": {"name": "eu"}, "zone": {"name": "a"}}},
    }]}});
    let Event::Offers(offers, _) = event(&frame) else { panic!("no offers") };
    let agent = &offers[0].agent;
    let expected = [
        ("disks", "{ssd,hdd}"),
        ("fine", "-0.123"),
        ("rack", "r \"1\""),
        ("slots", "[1-2,7-9]"),
        ("speed", "2.5"),
        ("whole", "4"),
    ];
    let expected: BTreeMap<String, Arc<str>> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), Arc::from(*value))).collect();
    assert_eq!(agent.attributes, expected);
    assert_eq!((agent.region.as_deref(), agent.zone.as_deref()), (Some("eu"), Some("a")));
    assert_eq!(offers[0].role.as_str(), "*");
}

#[test]
fn an_offer_that_comes_twice_in_a_frame_counts_once() {
    let offer = |id: &str, cpus: f64| {
        json!({"id": {"value": id}, "agent_id": {"value": "S"}, "hostname": "h",
               "resources": [{"name": "cpus", "scalar": {"value": cpus}}]})
    };
    let twice = [offer("O1", 1.0), offer("O2", 2.0), offer("O1", 3.0), offer("O1", 4.0)];
    let Event::Offers(offers, _) = event(&json!({"type": "OFFERS", "offers": {"offers": twice}})) else {
        panic!("no offers")
    };
    let seen: Vec<String> =
        offers.iter().map(|offer| format!("{} {}", offer.id, offer.unreserved.resources.cpus)).collect();
    assert_eq!(seen, ["O1 4", "O2 2"]);
    assert_eq!(offers[0].unreserved.ports.nth(0), None::<Port>);
}

#[test]
fn maintenance_comes_with_offers_and_without() {
    let unavailability = json!({"start": {"nanoseconds": 1_800_000_000_123_456_789_i64},
                                "duration": {"nanoseconds": 60_000_000_000_i64}});
    let start = Timestamp::from_millis(1_800_000_000_123);
    let frame = json!({"type": "OFFERS", "offers": {"offers": [{
        "id": {"value": "O"}, "agent_id": {"value": "S"}, "hostname": "h", "unavailability": unavailability,
    }]}});
    let Event::Offers(offers, _) = event(&frame) else { panic!("no offers") };
    assert_eq!(offers[0].maintenance, Some((start, Some(Duration::from_secs(60)))));

    let for_ever = json!({"start": unavailability["start"]});
    let frame = json!({"type": "INVERSE_OFFERS", "inverse_offers": {"inverse_offers": [
        {"id": {"value": "I"}, "agent_id": {"value": "S"}, "unavailability": for_ever},
    ]}});
    let Event::InverseOffers(inverse) = event(&frame) else { panic!("no inverse offers") };
    assert_eq!(inverse[0].window, (start, None));
}

#[test]
fn every_state_of_a_task_has_its_condition() {
    for (state, expected) in [
        ("TASK_STAGING", Condition::Staging),
        ("TASK_STARTING", Condition::Starting),
        ("TASK_RUNNING", Condition::Running),
        ("TASK_KILLING", Condition::Killing),
        ("TASK_FINISHED", Condition::Finished),
        ("TASK_FAILED", Condition::Failed),
        ("TASK_KILLED", Condition::Killed),
        ("TASK_ERROR", Condition::Error),
        ("TASK_UNREACHABLE", Condition::Unreachable),
        ("TASK_DROPPED", Condition::Dropped),
        ("TASK_GONE", Condition::Gone),
        ("TASK_GONE_BY_OPERATOR", Condition::Gone),
        ("TASK_UNKNOWN", Condition::Unknown),
        ("TASK_LOST", Condition::Lost),
    ] {
        assert_eq!(condition(&json!({"state": state})), expected, "{state}");
    }
}

#[test]
fn of_a_lost_task_the_reason_says_whether_it_may_come_back() {
    let lost = |reason: &str, message: &str| {
        condition(&json!({"state": "TASK_LOST", "reason": reason, "message": message}))
    };
    assert_eq!(lost("REASON_SLAVE_REMOVED", ""), Condition::Unreachable);
    assert_eq!(lost("REASON_AGENT_REMOVED", ""), Condition::Unreachable);
    assert_eq!(lost("REASON_AGENT_DISCONNECTED", ""), Condition::Unreachable);
    assert_eq!(lost("REASON_RECONCILIATION", ""), Condition::Unreachable);
    assert_eq!(lost("REASON_RECONCILIATION", "Reconciliation: Task is unknown"), Condition::Unknown);
    assert_eq!(lost("REASON_TASK_UNKNOWN", ""), Condition::Unknown);
    assert_eq!(lost("REASON_INVALID_OFFERS", ""), Condition::Lost);
}

#[test]
fn a_state_that_nobody_knows_is_still_acknowledged() {
    match status(&json!({"state": "TASK_DREAMING", "uuid": "AAECAwQFBgcICQoLDA0ODw=="})) {
        Event::StrangeUpdate { state, ack: Some(ack) } => {
            assert_eq!(state, "TASK_DREAMING");
            assert_eq!(*ack.uuid, (0..16).collect::<Vec<u8>>());
            assert_eq!((ack.agent.as_str(), ack.task.as_str()), ("S1", "t"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_from_an_agent_wants_no_acknowledgement() {
    for fields in [json!({}), json!({"uuid": "%%%"}), json!({"uuid": "AAEC", "agent_id": null})] {
        match status(&fields) {
            Event::Update(status) => assert_eq!(status.ack, None, "{fields}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_message_without_end_is_cut_between_characters() {
    let Event::Update(status) = status(&json!({"message": "ü".repeat(20_000), "reason": "REASON_AGENT_DRAINING"}))
    else {
        panic!("no update")
    };
    assert_eq!(*status.message, "ü".repeat(10_000));
    assert_eq!(status.reason.as_deref(), Some("REASON_SLAVE_DRAINING"));
}

#[test]
fn what_came_after_our_time_is_named_and_what_says_nothing_is_refused() {
    assert!(
        matches!(event(&json!({"type": "HOLIDAY", "holiday": [1]})), Event::Unknown(name) if name == "HOLIDAY")
    );
    assert!(matches!(event(&json!({"type": "OFFERS"})), Event::Offers(offers, _) if offers.is_empty()));
    for frame in ["", "{", "[]", "{}", r#"{"type": 1}"#, r#"{"type": "UPDATE"}"#, r#"{"type": "SUBSCRIBED"}"#] {
        assert!(read_event(frame.as_bytes()).is_err(), "{frame}");
    }
}

#[test]
fn what_an_executor_says_is_read_and_what_is_too_long_is_cut() {
    let said = |data: &str| {
        let message = json!({"agent_id": {"value": "S1"}, "executor_id": {"value": "E1"}, "data": data});
        read_event(json!({"type": "MESSAGE", "message": message}).to_string().as_bytes())
    };
    match said("AGj/") {
        Ok(Event::Message(message)) => {
            assert_eq!((message.agent.as_str(), &*message.executor), ("S1", "E1"));
            assert_eq!(*message.data, [0, 104, 255]);
        }
        other => panic!("{other:?}"),
    }
    match said(&"AAAA".repeat(10_000)) {
        Ok(Event::Message(message)) => assert_eq!(message.data.len(), 10_000),
        other => panic!("{other:?}"),
    }
    assert!(said("%").is_err());
    assert!(read_event(br#"{"type": "MESSAGE"}"#).is_err());
}
