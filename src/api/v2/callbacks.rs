//! `/v2/eventSubscriptions` (§1.9, gone from Marathon since 1.5): addresses that every event is sent to. Off, unless
//! `--event_subscriber http_callback` turns it on.

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::edit::Answer;
use ekiden_model::input::Command;
use http::{StatusCode, Uri};
use serde_json::json;

use super::change;
use super::posted;
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::clock::wall;
use crate::runtime::event_log::Occurrence;

/// Longest address that is taken.
const ADDRESS_MAX_BYTES: usize = 2048;

/// Most addresses.
const ADDRESSES_MAX: usize = 64;

/// All addresses.
pub(in crate::api) fn list(api: &Api) -> Response {
    let Some(fixed) = &api.callbacks else { return off() };
    let snapshot = api.snapshots.latest();
    let addresses: BTreeSet<&str> =
        fixed.iter().chain(&snapshot.shelf.listeners).map(|address| &**address).collect();
    reply::json(&json!({ "callbackUrls": addresses }))
}

/// Sends events to one more.
pub(in crate::api) async fn add(api: &Api, request: &Request) -> Response {
    let address = match address(api, request) {
        Ok(address) => address,
        Err(refusal) => return *refusal,
    };
    let known = api.snapshots.latest().shelf.listeners.clone();
    if known.len() >= ADDRESSES_MAX && !known.contains(&*address) {
        let text = format!("events are sent to {ADDRESSES_MAX} addresses at most: remove one first");
        return reply::message(StatusCode::UNPROCESSABLE_ENTITY, &text);
    }
    match change::carry_out(api, Command::Listen(Arc::clone(&address))).await {
        Ok(Answer::Refused(refusal)) => change::refused(&refusal),
        Ok(_) => said(api, request, "subscribe_event", &address),
        Err(response) => *response,
    }
}

/// Sends events to one less.
pub(in crate::api) async fn remove(api: &Api, request: &Request) -> Response {
    let address = match address(api, request) {
        Ok(address) => address,
        Err(refusal) => return *refusal,
    };
    match change::carry_out(api, Command::Unlisten(Arc::clone(&address))).await {
        Ok(Answer::Refused(refusal)) => change::refused(&refusal),
        Ok(_) => said(api, request, "unsubscribe_event", &address),
        Err(response) => *response,
    }
}

/// The event that says so is the answer, too.
fn said(api: &Api, request: &Request, kind: &'static str, address: &Arc<str>) -> Response {
    let (client, callback) = (posted::client(request), Arc::clone(address));
    let at = wall();
    let event = json!({
        "clientIp": client, "callbackUrl": callback, "eventType": kind, "timestamp": at.to_string(),
    });
    let what = if kind == "subscribe_event" {
        Occurrence::Subscribed { client, callback }
    } else {
        Occurrence::Unsubscribed { client, callback }
    };
    api.events.say(at, what);
    reply::json(&event)
}

fn address(api: &Api, request: &Request) -> Result<Arc<str>, Box<Response>> {
    if api.callbacks.is_none() {
        return Err(Box::new(off()));
    }
    let wrong = |text: &str| Box::new(reply::message(StatusCode::BAD_REQUEST, text));
    let Some(address) = request.one("callbackUrl") else {
        return Err(wrong("name the address: `?callbackUrl=http://host:port/path`"));
    };
    if !is_address(address) {
        return Err(wrong("`callbackUrl` is no address of HTTP: write `http://host:port/path` or `https://…`"));
    }
    Ok(address.into())
}

/// Whether events can be sent there: over HTTP, and nowhere else.
pub fn is_address(text: &str) -> bool {
    let is_http = |uri: Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    };
    text.len() <= ADDRESS_MAX_BYTES && text.parse::<Uri>().is_ok_and(is_http)
}

fn off() -> Response {
    let text = "http event callback system is not running on this Marathon instance: start ekiden with \
                `--event_subscriber http_callback` to turn it on, or read the event stream at /v2/events";
    reply::message(StatusCode::NOT_FOUND, text)
}
