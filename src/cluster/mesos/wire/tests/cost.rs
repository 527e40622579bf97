//! What reading costs.

use std::time::Instant;

use serde_json::Value;

use super::super::{Event, read_event};

/// `cargo test --release --lib two_thousand -- --nocapture` prints how long it takes.
#[test]
fn two_thousand_offers_are_read_in_one_go() {
    let captured = include_str!("data/stream.jsonl").lines().find(|line| line.contains("OFFERS")).expect("offers");
    let mut frame: Value = serde_json::from_str(captured).expect("JSON");
    let offer = frame["offers"]["offers"][0].take();
    let numbered = |number: usize| {
        let mut offer = offer.clone();
        offer["id"]["value"] = format!("74902d2a-d5bc-459a-bf4e-2592398c8abb-O{number}").into();
        offer["agent_id"]["value"] = format!("74902d2a-d5bc-459a-bf4e-2592398c8abb-S{number}").into();
        offer
    };
    frame["offers"]["offers"] = (0..2000).map(numbered).collect();
    let bytes = frame.to_string().into_bytes();
    let began = Instant::now();
    let Ok(Event::Offers(offers, reservations)) = read_event(&bytes) else { panic!("no offers") };
    println!("2,000 offers of {} bytes each: {:.1?}", bytes.len() / 2000, began.elapsed());
    assert_eq!(offers.len(), 2000);
    drop(reservations);
}
