//! Frames that no master sends.

use proptest::prelude::*;

use super::super::survey::{self, Wanted};
use super::super::{Event, read_event};

/// Real frames with one byte replaced: most are JSON still, of another meaning.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<&'static str> = include_str!("data/stream.jsonl").lines().collect();
    (proptest::sample::select(lines), any::<proptest::sample::Index>(), any::<u8>()).prop_map(
        |(line, at, byte)| {
            let mut bytes = line.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        },
    )
}

/// Well-formed JSON of Mesos' field names in the wrong places.
fn jumbled() -> impl Strategy<Value = serde_json::Value> {
    let names = [
        "type",
        "offers",
        "id",
        "value",
        "agent_id",
        "hostname",
        "resources",
        "name",
        "scalar",
        "ranges",
        "range",
        "begin",
        "end",
        "reservations",
        "role",
        "labels",
        "key",
        "allocation_info",
        "update",
        "status",
        "task_id",
        "state",
        "uuid",
        "unavailability",
        "start",
        "nanoseconds",
        "attributes",
        "domain",
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        proptest::sample::select(&["OFFERS", "UPDATE", "cpus", "ports", "TASK_LOST", "STATIC"][..])
            .prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(proptest::sample::select(names.to_vec()), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

fn survives(bytes: &[u8]) {
    if let Ok(Event::Offers(offers, reservations)) = read_event(bytes) {
        for offer in &offers {
            assert!(offer.reserved.is_empty() || format!("{reservations:?}").contains(offer.id.as_str()));
        }
    }
    let _ = survey::agents_awaited(bytes);
    let _ =
        survey::read(Wanted { name: "ekiden", except: None, id: None, subscribed: false }, [bytes, bytes, bytes]);
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn a_damaged_frame_is_an_event_or_an_error(bytes in damaged()) {
        survives(&bytes);
    }

    #[test]
    fn a_jumbled_frame_is_an_event_or_an_error(json in jumbled()) {
        survives(json.to_string().as_bytes());
    }
}

#[test]
fn a_frame_that_is_nested_without_end_is_an_error() {
    for open in ["[", r#"{"offers":{"offers":[{"resources":[{"scalar":{"value":"#, r#"{"a":"#] {
        survives(open.repeat(200_000).as_bytes());
    }
    let deep = format!(r#"{{"type":"OFFERS","offers":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(read_event(deep.as_bytes()).is_err());
    let in_a_scalar = format!(
        r#"{{"type":"OFFERS","offers":{{"offers":[{{"resources":[{{"scalar":{{"value":{}{}}}}}]}}]}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(read_event(in_a_scalar.as_bytes()).is_err());
}
