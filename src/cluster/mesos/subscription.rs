//! One subscription: the request that opens it, and the frames that come of it for as long as it lives.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::address::Endpoint;
use super::http::{Fault, Line, STREAM_ID, Transport};
use super::record_io::{RecordError, RecordIo};
use super::sender::SCHEDULER;
use crate::telemetry::Metrics;

/// An open stream of events. Dropping it ends the subscription.
pub(super) struct Subscription {
    line: Line,
    stream: HeaderValue,
    body: Incoming,
    records: RecordIo,
    metrics: Metrics,
}

/// Why no more events come.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    /// The master closed the stream, or its process has ended.
    #[error("{0} has closed the stream of events")]
    Closed(Endpoint),
    /// In the middle of an event.
    #[error("{0} has closed the stream of events in the middle of one")]
    Torn(Endpoint),
    /// Not even a heartbeat.
    #[error("nothing was heard from {master} for {} s, not even a heartbeat", .after.as_secs_f64())]
    Silent {
        /// Who is silent.
        master: Endpoint,
        /// For how long.
        after: Duration,
    },
    /// The connection broke.
    #[error("the connection to {master} broke: {cause}")]
    Broken {
        /// To whom.
        master: Endpoint,
        /// As the network says it.
        cause: String,
    },
    /// No `RecordIO`.
    #[error("{master}: {cause}")]
    Garbled {
        /// Who says it.
        master: Endpoint,
        /// What is wrong.
        cause: RecordError,
    },
}

impl Subscription {
    /// Subscribes with whoever leads, asking `master` first. `body` is a SUBSCRIBE.
    pub(super) async fn open(
        transport: &Transport,
        master: &Endpoint,
        body: Bytes,
        metrics: Metrics,
    ) -> Result<Self, Fault> {
        let (line, answer) = transport.post_to_leader(master, SCHEDULER, body).await?;
        if answer.status() != StatusCode::OK {
            return Err(line.refusal(answer).await);
        }
        let Some(stream) = answer.headers().get(STREAM_ID).cloned() else {
            let cause = "it answers without `Mesos-Stream-Id`: this is no Mesos master".to_owned();
            return Err(Fault::Broken { master: line.master().clone(), cause });
        };
        Ok(Self { line, stream, body: answer.into_body(), records: RecordIo::default(), metrics })
    }

    /// With whom.
    pub(super) fn master(&self) -> &Endpoint {
        self.line.master()
    }

    /// What calls must carry.
    pub(super) fn stream(&self) -> &HeaderValue {
        &self.stream
    }

    /// The next event's bytes. `silence` is how long nothing at all may come; a long event that comes slowly is life.
    pub(super) async fn frame(&mut self, silence: Duration) -> Result<Bytes, Cut> {
        let master = || self.line.master().clone();
        loop {
            if let Some(frame) = self.records.next().map_err(|cause| Cut::Garbled { master: master(), cause })? {
                return Ok(frame);
            }
            let part = timeout(silence, self.body.frame()).await;
            match part.map_err(|_| Cut::Silent { master: master(), after: silence })? {
                Some(Ok(part)) => {
                    if let Ok(bytes) = part.into_data() {
                        self.metrics.mesos_received_bytes.inc_by(bytes.len() as u64);
                        self.records.extend(&bytes);
                    }
                }
                Some(Err(error)) if !self.records.is_between_records() => {
                    tracing::debug!(%error, "the stream was cut");
                    return Err(Cut::Torn(master()));
                }
                Some(Err(error)) => return Err(Cut::Broken { master: master(), cause: error.to_string() }),
                None if self.records.is_between_records() => return Err(Cut::Closed(master())),
                None => return Err(Cut::Torn(master())),
            }
        }
    }
}
