//! GET over one connection, as far as the answer's status. The body is never read: what a server sends there, and for
//! how long, is its own business. Redirections are answers (healthy ones), and are not followed: a probe never leaves
//! the instance that it asks.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use ekiden_model::Port;
use ekiden_model::effect::Probe;
use ekiden_model::health::Outcome;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ask::Answer;
use super::fault;

/// Most bytes of a status line with headers that are taken in: more than servers send, little enough for thousands of
/// probes at once.
const HEAD_MAX: usize = 16 * 1024;

const AGENT: &str = concat!("ekiden/", env!("CARGO_PKG_VERSION"));

/// Asks for `path`. An answer of 100–199 that comes before, or instead of, the real one is noted in `interim`.
pub(super) async fn get(
    probe: &Probe,
    path: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    interim: &Arc<AtomicU16>,
) -> Answer {
    let request = match request(probe, path, interim) {
        Ok(request) => request,
        Err(error) => {
            let text = fault::text(format_args!("`{path}` on `{}` cannot be asked for: {error}", probe.host));
            return Outcome::NoResult(text).into();
        }
    };
    match exchange(stream, request).await {
        Ok(response) => judge(probe, response.status().as_u16()),
        Err(error) => match interim.load(Ordering::Relaxed) {
            0 => Outcome::Failure(described(&error)).into(),
            status => judge(probe, status),
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

fn request(probe: &Probe, path: &str, interim: &Arc<AtomicU16>) -> Result<Request<Empty<Bytes>>, http::Error> {
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
    let interim = interim.clone();
    hyper::ext::on_informational(&mut request, move |response| {
        interim.store(response.status().as_u16(), Ordering::Relaxed);
    });
    Ok(request)
}

/// Sends the request and waits for the head of the answer. The connection closes when this returns, whatever the
/// server still wants to say.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream)).await?;
    let mut connection = std::pin::pin!(connection);
    let mut response = std::pin::pin!(sender.send_request(request));
    tokio::select! {
        biased;
        response = &mut response => response,
        ended = &mut connection => {
            ended?;
            response.await
        }
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
