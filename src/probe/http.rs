//! GET over one connection, as far as the answer's status. What a server sends after that, and for how long, is its own
//! business. Redirections are answers (healthy ones), and are not followed: a probe never leaves the instance that it
//! asks.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ekiden_model::Port;
use ekiden_model::effect::Probe;
use ekiden_model::health::Outcome;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ask::{Answer, StatusSeen};
use super::fault;

/// Most bytes of a status line with headers that are taken in: more than servers send, little enough for thousands of
/// probes at once.
const HEAD_MAX: usize = 16 * 1024;

/// How much of a body is read, and thrown away, before the connection is closed, and for how long. A server that is cut
/// off in the middle of a short answer notes an error each time; nothing more is owed to it.
const BODY_MAX: usize = 16 * 1024;
const BODY_TIME: Duration = Duration::from_millis(100);

const AGENT: &str = concat!("ekiden/", env!("CARGO_PKG_VERSION"));

/// Asks for `path`. Each status that comes, 100–199 included, is noted in `seen`.
pub(super) async fn get(
    probe: &Probe,
    path: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    seen: &StatusSeen,
) -> Answer {
    let request = match request(probe, path, seen) {
        Ok(request) => request,
        Err(error) => {
            let text = fault::text(format_args!("`{path}` on `{}` cannot be asked for: {error}", probe.host));
            return Outcome::NoResult(text).into();
        }
    };
    match exchange(stream, request, seen).await {
        Ok(status) => judge(probe, status.as_u16()),
        Err(error) => match seen.get() {
            Some(status) => judge(probe, status),
            None => Outcome::Failure(described(&error)).into(),
        },
    }
}

/// What an answer of this status means.
pub(super) fn judge(probe: &Probe, status: u16) -> Answer {
    let success = match status {
        _ if !probe.ready_statuses.is_empty() => probe.ready_statuses.contains(&status),
        _ => (200..400).contains(&status),
    };
    let outcome = if success {
        Outcome::Success
    } else if probe.ignore_http_1xx && (100..200).contains(&status) {
        Outcome::NoResult(fault::text(format_args!("answered {status}, which is to be ignored")))
    } else {
        Outcome::Failure(fault::text(format_args!("answered {status}")))
    };
    Answer { outcome, http_status: Some(status) }
}

fn request(probe: &Probe, path: &str, seen: &StatusSeen) -> Result<Request<Empty<Bytes>>, http::Error> {
    let port = probe.port.map_or(0, Port::get);
    let host = match probe.host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) => format!("{}:{port}", probe.host),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut request = Request::get(format!("{slash}{path}"))
        .header(HOST, host)
        .header(USER_AGENT, HeaderValue::from_static(AGENT))
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .header(CONNECTION, HeaderValue::from_static("close"))
        .body(Empty::new())?;
    let seen = seen.clone();
    hyper::ext::on_informational(&mut request, move |response| seen.note(response.status().as_u16()));
    Ok(request)
}

/// Sends the request and waits for the head of the answer, and a moment for the rest of it. The connection closes when
/// this returns.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
    seen: &StatusSeen,
) -> hyper::Result<StatusCode> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream)).await?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        seen.note(status.as_u16());
        // Not to the end, or not in time: both are all the same.
        let _ = tokio::time::timeout(BODY_TIME, skip(response.into_body())).await;
        Ok(status)
    });
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // Of two errors the connection's is the cause: `connection reset`, not `canceled`.
        ended = &mut connection => answer.await.map_err(|error| ended.err().unwrap_or(error)),
    }
}

async fn skip(mut body: Incoming) {
    let mut read = 0;
    while read < BODY_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
}

fn described(error: &hyper::Error) -> Arc<str> {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        "the connection was closed before an answer".into()
    } else if error.is_parse_too_large() {
        fault::text(format_args!("the answer's head is larger than {HEAD_MAX} bytes"))
    } else if error.is_parse() {
        "the answer is not HTTP".into()
    } else {
        // What hyper knows of the cause is one level down: `connection error: reset by peer`.
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        fault::text(format_args!("{error}{cause}"))
    }
}
