//! Events: the stream, and addresses that they are sent to (§1.9, §4.16).

use serde_json::{Value, json};

use super::super::EVENTS;
use super::super::operation::Operation;
use super::super::parameters::{header, query, several};
use super::super::schema::{closed, described, list, text, time, word};
use crate::api::v2::events::types;

pub(super) fn stream() -> Operation {
    let frames = described(
        text(),
        "Server-sent events: `event:` is the type, `data:` Marathon's JSON, `id:` where to go on from. A comment every 15 s \
         when nothing happens.",
    );
    Operation::new(EVENTS, "Everything that happens, as it happens.")
        .note("Never ends by itself. A client that reads too slowly is cut off, and can go on from where it was.")
        .asks([
            several("event_type", &types(), "Only events of these types."),
            query("plan-format", word(&["light"]), "`light`: deployments without their groups."),
            query("after", text(), "Go on behind the event of this `id:`."),
            header("Last-Event-ID", "The same, as browsers send it. It counts more than `after`."),
            header("Accept", "Has to name `text/event-stream`."),
        ])
        .gives_as(200, "The stream.", "text/event-stream", frames)
        .refuses(400, "`after` is no `id:` of an event.")
        .refuses(405, "`Accept` does not name `text/event-stream`.")
}

const OFF: &str = "Events are sent nowhere: ekiden was started without `--event_subscriber http_callback`.";

pub(super) fn callbacks() -> Operation {
    Operation::new(EVENTS, "Addresses that every event is sent to.")
        .gives(200, "The addresses.", closed([("callbackUrls", list(text()))]))
        .refuses(404, OFF)
}

pub(super) fn add_callback() -> Operation {
    Operation::new(EVENTS, "Sends every event to one more address.")
        .gives(200, "The event that tells of it.", subscription("subscribe_event"))
        .then(callback)
        .refuses(422, "Events are sent to too many addresses already.")
}

pub(super) fn remove_callback() -> Operation {
    Operation::new(EVENTS, "Sends events to one address less.")
        .gives(200, "The event that tells of it.", subscription("unsubscribe_event"))
        .then(callback)
}

fn callback(operation: Operation) -> Operation {
    let mut address =
        query("callbackUrl", json!({ "type": "string", "format": "uri" }), "The address, of HTTP or HTTPS.");
    address["required"] = json!(true);
    operation.asks([address]).refuses(400, "`callbackUrl` is missing, or is no address of HTTP.").refuses(404, OFF)
}

fn subscription(kind: &str) -> Value {
    closed([
        ("clientIp", text()),
        ("callbackUrl", text()),
        ("eventType", json!({ "const": kind })),
        ("timestamp", time()),
    ])
}
