//! The event stream, `GET /v2/events` (§1.9, §4.16), with what Marathon's lacks: a frame's `id:`, by which a client
//! that was cut off resumes (`Last-Event-ID`, or `?after=`).
//!
//! A stream holds a place in the log and nothing else: what it sends is put into text once for all who want the same,
//! and the next batch is asked for when the last one is written. Whoever falls too far behind is cut off.

mod frames;
mod kind;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use tokio_util::sync::CancellationToken;
use warp::Reply;

use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::EventLog;
use crate::runtime::clock::wall;
use crate::runtime::event_log::{Batch, Logged, Occurrence, Position, Subscription, Wanted};
use crate::telemetry::Metrics;
pub use frames::frames;
use kind::Kind;

/// Some clients take 300 s of silence for a dead connection, many gateways 30 or 60.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A comment: no client trips over it.
const STILL_HERE: Bytes = Bytes::from_static(b":\r\n\r\n");

/// Who debugs a client sees this; the client does not.
const GAP: &[u8] = b": events before this are no longer kept\r\n\r\n";

/// The types that there are.
pub(in crate::api) fn types() -> [&'static str; 29] {
    Kind::ALL.map(Kind::name)
}

/// Everything that happens, from now on or from where the client stopped.
pub(in crate::api) fn stream(api: &Api, request: &Request) -> Response {
    if !request.accepts("text/event-stream") {
        return reply::method_not_allowed(&["GET with `Accept: text/event-stream`"]);
    }
    let after = match request.one("after").map(str::parse::<Position>).transpose() {
        Ok(after) => after,
        Err(error) => return reply::message(StatusCode::BAD_REQUEST, &format!("`after`: {error}")),
    };
    let held = request.header("last-event-id").and_then(|id| id.parse().ok());
    let wanted = Wanted {
        kinds: Kind::bits(request.all("event_type")),
        light: request.one("plan-format") == Some("light"),
    };
    if request.method == http::Method::HEAD {
        return event_stream(stream::empty());
    }
    let subscription = api.events.subscribe(held.or(after));
    let at = wall();
    let mut first = BytesMut::new();
    let remote = request.remote().unwrap_or_default();
    if let Some(attached) = frames::attached(&remote, at).wanted(wanted) {
        first.extend_from_slice(attached);
    }
    if subscription.gap {
        first.extend_from_slice(GAP);
    }
    // To the others; to itself it was just told.
    let own = api.events.say(at, Occurrence::Attached { remote: Arc::clone(&remote) }).number;
    let open = Open::begin(api, remote);
    let stop = api.stop.clone();
    let listener = Listener { subscription, wanted, own, first: Some(first.freeze()), stop, open };
    event_stream(stream::unfold(listener, |mut listener| async move {
        let text = listener.next().await?;
        Some((text, listener))
    }))
}

fn event_stream(frames: impl stream::Stream<Item = Bytes> + Send + Sync + 'static) -> Response {
    let frames = futures_util::StreamExt::map(frames, Ok::<_, Infallible>);
    let mut response = warp::reply::stream(frames).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Keeps gateways that understand it from collecting frames.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One client.
struct Listener {
    subscription: Subscription,
    wanted: Wanted,
    /// The event that tells the others of it.
    own: u64,
    /// What it is told before anything happens.
    first: Option<Bytes>,
    stop: CancellationToken,
    open: Open,
}

impl Listener {
    /// What is to be sent next; nothing when it is over.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Some(first);
        }
        let heartbeat = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(heartbeat);
        loop {
            let batch = tokio::select! {
                () = self.stop.cancelled() => return None,
                () = &mut heartbeat => return Some(STILL_HERE),
                batch = self.subscription.next() => batch,
            };
            let batch = match batch {
                Ok(batch) => batch,
                // Cut off, to come back and resume.
                Err(slow) => {
                    tracing::debug!(remote = %self.open.remote, "a listener was cut off: {slow}");
                    self.open.metrics.events_dropped.inc_by(slow.0);
                    return None;
                }
            };
            let text = self.text(batch);
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    fn text(&mut self, batch: Batch) -> Bytes {
        let has_frames = std::mem::take(&mut self.subscription.has_frames);
        let (wanted, own, log) = (self.wanted, self.own, &self.open.log);
        if has_frames == 0 && !(batch.after < own && own <= batch.to) {
            return log.text(batch, wanted, |events| joined(events.iter().map(|logged| (logged, 0)), wanted));
        }
        let events = log.events(batch);
        let first = events.first().map(|first| first.id.number);
        let others = events.iter().filter(|logged| logged.id.number != own);
        joined(others.map(|logged| (logged, if Some(logged.id.number) == first { has_frames } else { 0 })), wanted)
    }
}

/// The frames that are wanted of events, without the first so many of each.
fn joined<'a>(events: impl Iterator<Item = (&'a Arc<Logged>, usize)>, wanted: Wanted) -> Bytes {
    let mut text = BytesMut::new();
    for (logged, has) in events {
        for frame in logged.frames(frames).iter().skip(has).filter_map(|frame| frame.wanted(wanted)) {
            text.extend_from_slice(frame);
        }
    }
    text.freeze()
}

/// Counts a stream for as long as it is open, and tells of its end.
struct Open {
    metrics: Metrics,
    log: EventLog,
    remote: Arc<str>,
}

impl Open {
    fn begin(api: &Api, remote: Arc<str>) -> Self {
        api.metrics.event_streams.inc();
        Self { metrics: api.metrics.clone(), log: api.events.clone(), remote }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.event_streams.dec();
        self.log.say(wall(), Occurrence::Detached { remote: Arc::clone(&self.remote) });
    }
}
