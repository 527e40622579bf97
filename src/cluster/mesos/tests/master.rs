//! A master that answers as the test says, request by request.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONNECTION, HeaderMap, LOCATION};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;

use super::LONG;

/// Long enough for a request that should not come to show itself.
const A_WHILE: Duration = Duration::from_millis(50);

type Body = BoxBody<Bytes, Infallible>;

/// It listens, and hands every request to the test.
pub(super) struct Master {
    /// `host:port`
    pub(super) address: String,
    requests: mpsc::Receiver<Asked>,
    closed: watch::Receiver<BTreeSet<usize>>,
    serving: AbortOnDropHandle<()>,
}

/// A request that waits for its answer. Dropped, its connection breaks.
pub(super) struct Asked {
    /// Over which connection it came.
    pub(super) connection: usize,
    pub(super) stream_id: Option<String>,
    pub(super) authorization: Option<String>,
    pub(super) body: Value,
    answer: oneshot::Sender<Response<Body>>,
}

/// The open answer to a SUBSCRIBE. Dropped, it ends.
pub(super) struct Stream(mpsc::Sender<Result<Frame<Bytes>, Infallible>>);

impl Master {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (sender, requests) = mpsc::channel(64);
        let (closing, closed) = watch::channel(BTreeSet::new());
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, sender, Arc::new(closing))));
        Self { address, requests, closed, serving }
    }

    /// Where it listened.
    pub(super) async fn leave(self) -> String {
        self.serving.abort();
        _ = self.serving.await;
        self.address
    }

    /// The next request.
    pub(super) async fn asked(&mut self) -> Asked {
        tokio::time::timeout(LONG, self.requests.recv()).await.expect("a request in time").expect("it serves")
    }

    /// Whether nothing comes for a while.
    pub(super) async fn nothing_asked(&mut self) -> bool {
        tokio::time::timeout(A_WHILE, self.requests.recv()).await.is_err()
    }

    /// Waits until a connection is closed on this side.
    pub(super) async fn closed(&mut self, connection: usize) {
        let closed = self.closed.wait_for(|closed| closed.contains(&connection));
        tokio::time::timeout(LONG, closed).await.expect("it closes in time").expect("it serves");
    }
}

impl Asked {
    /// The type of the call.
    pub(super) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or("no type")
    }

    pub(super) fn answer(self, status: u16, text: &str) {
        self.respond(Response::builder().status(status), full(text));
    }

    /// Answers, and closes the connection after that.
    pub(super) fn answer_and_close(self, status: u16) {
        self.respond(Response::builder().status(status).header(CONNECTION, "close"), full(""));
    }

    pub(super) fn redirect(self, location: &str) {
        self.respond(Response::builder().status(307).header(LOCATION, location), full(""));
    }

    /// Confirms a subscription, as framework `f1` with heartbeats so many seconds apart.
    pub(super) fn subscribed(self, heartbeat: f64) -> Stream {
        self.stream(&json!({"type": "SUBSCRIBED", "subscribed":
            {"framework_id": {"value": "f1"}, "heartbeat_interval_seconds": heartbeat}}))
    }

    /// Answers a subscription with an error event.
    pub(super) fn refused_as(self, message: &str) -> Stream {
        self.stream(&json!({"type": "ERROR", "error": {"message": message}}))
    }

    fn stream(self, first: &Value) -> Stream {
        let (sender, frames) = mpsc::channel(16);
        let first = record(first);
        let frames = futures_util::stream::iter([Ok(Frame::data(first))]).chain(ReceiverStream::new(frames));
        let stream_id = Response::builder().header("Mesos-Stream-Id", "stream-1");
        self.respond(stream_id, BoxBody::new(StreamBody::new(frames)));
        Stream(sender)
    }

    fn respond(self, builder: http::response::Builder, body: Body) {
        // The other side may have had enough.
        _ = self.answer.send(builder.body(body).expect("a good answer"));
    }
}

impl Stream {
    pub(super) async fn event(&self, event: &Value) {
        self.send(record(event)).await;
    }

    pub(super) async fn raw(&self, bytes: &str) {
        self.send(Bytes::from(bytes.to_owned())).await;
    }

    async fn send(&self, bytes: Bytes) {
        self.0.send(Ok(Frame::data(bytes))).await.expect("somebody listens");
    }
}

fn record(event: &Value) -> Bytes {
    let text = event.to_string();
    format!("{}\n{text}", text.len()).into()
}

fn full(text: &str) -> Body {
    BoxBody::new(Full::new(Bytes::from(text.to_owned())))
}

async fn serve(
    listener: TcpListener,
    requests: mpsc::Sender<Asked>,
    closing: Arc<watch::Sender<BTreeSet<usize>>>,
) {
    let connections = AtomicUsize::new(0);
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("it listens");
        let connection = connections.fetch_add(1, Ordering::Relaxed);
        let (requests, closing) = (requests.clone(), closing.clone());
        tasks.spawn(async move {
            let service = service_fn(move |request| hand_over(request, connection, requests.clone()));
            _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            closing.send_modify(|closed| _ = closed.insert(connection));
        });
    }
}

async fn hand_over(
    request: Request<Incoming>,
    connection: usize,
    requests: mpsc::Sender<Asked>,
) -> Result<Response<Body>, &'static str> {
    let text = |headers: &HeaderMap, name: &str| Some(headers.get(name)?.to_str().expect("text").to_owned());
    let stream_id = text(request.headers(), "Mesos-Stream-Id");
    let authorization = text(request.headers(), "Authorization");
    let body = request.into_body().collect().await.map_err(|_| "cut")?.to_bytes();
    let body = serde_json::from_slice(&body).expect("JSON");
    let (answer, answered) = oneshot::channel();
    let asked = Asked { connection, stream_id, authorization, body, answer };
    requests.send(asked).await.map_err(|_| "the test is over")?;
    answered.await.map_err(|_| "the test wants no answer")
}
