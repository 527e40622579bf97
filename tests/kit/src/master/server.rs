//! The fake masters' HTTP: connections, headers, authentication, redirections, and faults in place of answers.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::calls::{Reply, Request};
use super::fault::Fault;
use super::world::World;
use super::{Seen, Shared};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The header that a subscription is named by.
const STREAM_ID: &str = "Mesos-Stream-Id";

/// Larger than any call that a test makes.
const MAX_CALL: usize = 64 << 20;

/// Takes connections until it is aborted, and drops them all then.
pub(super) async fn serve(shared: Arc<Shared>, master: usize, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // Small frames are to leave at once.
                let _ = stream.set_nodelay(true);
                let number = shared.world().serial();
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => connection(shared, master, number, stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(shared, master, number, stream).await;
                            }
                        }
                    }
                });
            }
        }
    }
}

async fn connection<S>(shared: Arc<Shared>, master: usize, number: u64, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| answer(Arc::clone(&shared), master, number, request));
    // It ends with an error when either side hangs up, which is a thing to happen here.
    let mut http = hyper::server::conn::http1::Builder::new();
    let _ = http.title_case_headers(true).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    shared: Arc<Shared>,
    master: usize,
    connection: u64,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, HungUp> {
    let (head, body) = request.into_parts();
    let bytes = http_body_util::Limited::new(body, MAX_CALL).collect().await.map_err(|_| HungUp)?.to_bytes();
    let path = head.uri.path().to_owned();
    let body: Result<Value, _> = serde_json::from_slice(&bytes);
    let call = body.as_ref().ok().and_then(|body| body["type"].as_str()).unwrap_or(&path).to_owned();
    let (fault, seen) = {
        let mut world = shared.world();
        let fault = world.script.meet(&call);
        let seen = world.seen.len();
        world.seen.push(Seen {
            at: Instant::now(),
            master,
            connection,
            path: path.clone(),
            call: call.clone(),
            stream: header(&head.headers, STREAM_ID),
            authorization: header(&head.headers, AUTHORIZATION.as_str()),
            body: body.as_ref().cloned().unwrap_or_default(),
            status: None,
        });
        (fault, seen)
    };
    let seen_body = body.as_ref().cloned().unwrap_or_default();
    shared.changed();
    let handle = |reaches: bool| {
        let reply = respond(&shared, master, connection, &head, &path, body.as_ref(), reaches);
        shared.changed();
        reply
    };
    let response = match fault {
        None => handle(true),
        Some(Fault::Lost) => {
            shared.world().lose(&seen_body);
            plain(StatusCode::ACCEPTED, "")
        }
        Some(Fault::LostAtAgent) => handle(false),
        Some(Fault::Answer { status, location, body }) => {
            let mut response = plain(StatusCode::from_u16(status).map_err(|_| HungUp)?, &body);
            if let Some(location) = location.and_then(|location| location.parse().ok()) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
        Some(Fault::Late(by)) => {
            tokio::time::sleep(by).await;
            handle(true)
        }
        Some(Fault::HangUp) => return Err(HungUp),
        Some(Fault::DoneAndHangUp) => {
            drop(handle(true));
            return Err(HungUp);
        }
        Some(Fault::Never) => std::future::pending().await,
    };
    if let Some(seen) = shared.world().seen.get_mut(seen) {
        seen.status = Some(response.status().as_u16());
    }
    shared.changed();
    Ok(response)
}

fn respond(
    shared: &Shared,
    master: usize,
    connection: u64,
    head: &http::request::Parts,
    path: &str,
    body: Result<&Value, &serde_json::Error>,
    reaches: bool,
) -> Response<Body> {
    let mut world = shared.world();
    let Ok(principal) = authenticate(&world, &head.headers) else { return unauthorized(path) };
    let bare = path.strip_prefix("/master").unwrap_or(path);
    if bare == "/redirect" {
        return redirect(&world, "");
    }
    if master != world.leader {
        return redirect(&world, path);
    }
    if matches!(bare, "/api/v1/scheduler" | "/api/v1") {
        if head.method != Method::POST {
            let text =
                format!("405 Method Not Allowed. Expecting one of {{ 'POST' }}, but received '{}'.", head.method);
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, &text);
            response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("POST"));
            return response;
        }
        if header(&head.headers, CONTENT_TYPE.as_str()).as_deref() != Some("application/json") {
            let text = "Expecting 'Content-Type' of application/json or application/x-protobuf";
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        }
    }
    let now = Instant::now();
    let reply = match (bare, body) {
        ("/api/v1/scheduler" | "/api/v1", Err(error)) => {
            Reply::Plain(400, format!("Failed to parse body into JSON: {error}"))
        }
        ("/api/v1/scheduler", Ok(body)) => {
            let stream = header(&head.headers, STREAM_ID);
            let request = Request { connection, stream, principal, body: body.clone(), reaches_agents: reaches };

            world.scheduler_call(now, &request)
        }
        ("/api/v1", Ok(body)) => world.operator_call(body),
        ("/state" | "/state.json", _) => Reply::Json(world.state()),
        ("/health", _) => Reply::Plain(200, String::new()),
        ("/version", _) => Reply::Json(serde_json::json!({"version": "1.11.0"})),
        _ => Reply::Plain(404, "404 Not Found.".to_owned()),
    };
    // What follows at once (an offer after REVIVE, the next update after ACKNOWLEDGE) does not wait for the clock.
    world.tick(now);
    drop(world);
    match reply {
        Reply::Plain(status, text) => plain(StatusCode::from_u16(status).unwrap_or_default(), &text),
        Reply::Json(value) => {
            let mut response = plain(StatusCode::OK, &value.to_string());
            response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            response
        }
        Reply::Stream(id, chunks) => {
            let mut response =
                Response::new(BodyExt::boxed_unsync(StreamBody::new(UnboundedReceiverStream::new(chunks))));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            if let Ok(id) = id.parse() {
                headers.insert(STREAM_ID, id);
            }
            response
        }
    }
}

/// The principal, where one is asked for.
fn authenticate(world: &World, headers: &HeaderMap) -> Result<Option<String>, ()> {
    let Some((principal, secret)) = &world.options.credentials else { return Ok(None) };
    let expected = format!("Basic {}", STANDARD.encode(format!("{principal}:{secret}")));
    if header(headers, AUTHORIZATION.as_str()).as_deref() == Some(expected.as_str()) {
        Ok(Some(principal.clone()))
    } else {
        Err(())
    }
}

fn unauthorized(path: &str) -> Response<Body> {
    let realm = match path {
        "/api/v1/scheduler" => "scheduler",
        "/api/v1" => "readwrite",
        _ => "readonly",
    };
    let mut response = plain(StatusCode::UNAUTHORIZED, "401 Unauthorized.");
    if let Ok(value) = format!("Basic realm=\"mesos-master-{realm}\"").parse() {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

/// To the leader, without a scheme, as Mesos does it.
fn redirect(world: &World, path: &str) -> Response<Body> {
    let mut response = plain(StatusCode::TEMPORARY_REDIRECT, "");
    if let Ok(value) = format!("//{}{path}", world.masters[world.leader].address).parse() {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    if !text.is_empty() {
        let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
    }
    response
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up, as the script says")]
struct HungUp;
