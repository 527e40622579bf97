//! Sends every event to the addresses that asked for it (Marathon §1.9, `--event_subscriber http_callback`).
//!
//! Each address has a place in the log of events and no queue. One event is sent after the other, and again if the
//! receiver does not take it; an event that is refused to the end is dropped and counted, and so are all that an address
//! falls too far behind with. No receiver holds up another one, or anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::crypto::ring;
use tokio::task::{AbortHandle, JoinSet};

use super::event_log::{Frame, Logged};
use super::{EventLog, Snapshots};
use crate::telemetry::Metrics;

/// A receiver answers within this.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How long is waited before an event is sent again, each time.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Sends events.
#[derive(Debug, Clone)]
pub struct Callbacks {
    /// What happens.
    pub events: EventLog,
    /// Where the addresses are that were named through the API.
    pub snapshots: Snapshots,
    /// Addresses that were named on the command line.
    pub fixed: Arc<BTreeSet<Arc<str>>>,
    /// How an event looks.
    pub frames: fn(&Logged) -> Vec<Frame>,
    /// Counts what is dropped.
    pub metrics: Metrics,
}

impl Callbacks {
    /// Sends what happens from now on. Never ends.
    pub async fn run(mut self) -> Infallible {
        let mut senders = JoinSet::new();
        let mut running: BTreeMap<Arc<str>, AbortHandle> = BTreeMap::new();
        loop {
            let mut wanted = self.snapshots.latest().shelf.listeners.clone();
            wanted.extend(self.fixed.iter().cloned());
            running.retain(|address, sender| {
                let stays = wanted.contains(address);
                if !stays {
                    sender.abort();
                }
                stays
            });
            for address in wanted {
                running.entry(address).or_insert_with_key(|address| {
                    senders.spawn(Sender::new(self.clone(), Arc::clone(address)).run())
                });
            }
            while senders.try_join_next().is_some() {}
            self.snapshots.next().await;
        }
    }
}

/// What sends to one address.
struct Sender {
    callbacks: Callbacks,
    address: Arc<str>,
    client: Option<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>,
    /// Whether the last event was taken; what changes is told.
    takes: bool,
}

impl Sender {
    fn new(callbacks: Callbacks, address: Arc<str>) -> Self {
        let client = config(&address).inspect_err(|error| {
            tracing::warn!(%address, cause = %error, "no events can be sent to this address under TLS");
        });
        let client = client.ok().map(|config| {
            let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector.build())
        });
        Self { callbacks, address, client, takes: true }
    }

    async fn run(mut self) {
        let log = self.callbacks.events.clone();
        let mut place = log.subscribe(None);
        loop {
            match place.next().await {
                Ok(batch) => {
                    for logged in log.events(batch) {
                        for frame in logged.frames(self.callbacks.frames) {
                            self.send(frame.text.slice(frame.data.clone())).await;
                        }
                    }
                }
                Err(slow) => {
                    tracing::warn!(address = %self.address, dropped = slow.0, "a receiver of events is too slow");
                    self.callbacks.metrics.callbacks_dropped.inc_by(slow.0);
                    place = log.subscribe(None);
                }
            }
        }
    }

    /// Sends one event, again and again for a while.
    async fn send(&mut self, event: Bytes) {
        let mut pauses = PAUSES.iter();
        let refused = loop {
            let Err(error) = self.post(event.clone()).await else {
                if !std::mem::replace(&mut self.takes, true) {
                    tracing::info!(address = %self.address, "events are taken again");
                }
                return;
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => break error,
            }
        };
        self.callbacks.metrics.callbacks_dropped.inc();
        if std::mem::replace(&mut self.takes, false) {
            tracing::warn!(address = %self.address, cause = refused, "events are not taken, and dropped");
        }
    }

    async fn post(&self, event: Bytes) -> Result<(), String> {
        let client = self.client.as_ref().ok_or("TLS is not to be had")?;
        let request = Request::post(&*self.address)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("ekiden/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(event))
            .map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(ANSWERS_WITHIN, client.request(request)).await;
        let answer = answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status())) }
    }
}

/// The machine's certificates take a while to read, so they are read only where they are needed.
fn config(address: &str) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let is_tls = address.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    let roots = if is_tls {
        builder.with_native_roots()?
    } else {
        builder.with_root_certificates(rustls::RootCertStore::empty())
    };
    Ok(roots.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use ekiden_model::event::Event;
    use ekiden_model::{AppId, Timestamp};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::runtime::snapshot::Publisher;

    /// A deadline that only a broken build misses.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// The body of the next request; it gets this answer.
    async fn taken(listener: &TcpListener, answer: &str) -> String {
        let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("in time").expect("one");
        exchange(stream, answer).await
    }

    async fn exchange(mut stream: TcpStream, answer: &str) -> String {
        let mut text = String::new();
        let mut bytes = [0; 4096];
        loop {
            let count = stream.read(&mut bytes).await.expect("a request");
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && head.to_lowercase().contains(&format!("content-length: {}", body.len()))
            {
                stream.write_all(answer.as_bytes()).await.expect("written");
                return body.to_owned();
            }
        }
    }

    fn frames(_: &Logged) -> Vec<Frame> {
        vec![Frame { kind: 1, text: Bytes::from_static(b"data: {\"is\":1}\r\n"), data: 6..14, light: None }]
    }

    #[tokio::test]
    async fn an_event_that_is_not_taken_is_sent_again_and_each_is_sent_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address: Arc<str> = format!("http://{}/events", listener.local_addr().expect("bound")).into();
        let events = EventLog::new(Timestamp::EPOCH);
        let (_publisher, snapshots) = Publisher::new();
        let fixed = Arc::new(BTreeSet::from([address]));
        let metrics = Metrics::default();
        let callbacks = Callbacks { events: events.clone(), snapshots, fixed, frames, metrics };
        let running = tokio::spawn(callbacks.run());
        let closing = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        // Until it listens, nothing is sent; so it is told until something comes.
        let first = tokio::select! {
            body = taken(&listener, closing) => body,
            () = async {
                loop {
                    let app = AppId::parse("/web").expect("a good id");
                    events.push(Timestamp::EPOCH, Event::AppTerminated { app }, None);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            } => String::new(),
        };
        assert_eq!(first, "{\"is\":1}");
        let again = taken(&listener, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        assert_eq!(again, "{\"is\":1}");
        running.abort();
    }
}
