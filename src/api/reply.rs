//! Replies: JSON, Marathon's error bodies (§1.2), and the headers that every answer carries (§1.1).

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Body as _;
use serde::Serialize;
use serde_json::json;
use warp::Reply;

/// An answer on its way.
pub type Response = warp::reply::Response;

/// 200 with JSON.
pub(super) fn json(body: &impl Serialize) -> Response {
    with_status(StatusCode::OK, body)
}

/// JSON with a status.
pub(super) fn with_status(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => with_body(status, "application/json", bytes),
        // Our own values always have a form in JSON; should one not, the client learns it as what it is: our fault.
        Err(error) => with_body(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

/// Some other body with a status.
pub(super) fn with_body(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response {
    let body: Bytes = body.into();
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A status and nothing else.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// `{"message": …}` with a status.
pub(super) fn message(status: StatusCode, text: &str) -> Response {
    with_status(status, &json!({ "message": text }))
}

/// 404, with what does not exist.
pub(super) fn not_found(text: &str) -> Response {
    message(StatusCode::NOT_FOUND, text)
}

/// 404 for an app, in Marathon's words.
pub(super) fn no_such_app(id: &str) -> Response {
    not_found(&format!("App '/{}' does not exist", id.trim_start_matches('/')))
}

/// 405, with what would do.
pub(super) fn method_not_allowed(allowed: &[&str]) -> Response {
    let text = format!("the method is not allowed here, only {}", allowed.join(", "));
    allowing(message(StatusCode::METHOD_NOT_ALLOWED, &text), allowed)
}

/// 204, with what would do.
pub(super) fn options(allowed: &[&str]) -> Response {
    allowing(empty(StatusCode::NO_CONTENT), allowed)
}

fn allowing(mut response: Response, allowed: &[&str]) -> Response {
    if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// 200 with JSON that is made of pieces, which are sent as they are.
pub(super) fn json_of(pieces: Vec<Bytes>) -> Response {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let pieces = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
    let mut response = warp::reply::stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// The same answer without its body, as HEAD has it: its length is still told.
pub(super) fn without_body(mut response: Response) -> Response {
    if let Some(length) = length(&response) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = empty(StatusCode::OK).into_body();
    response
}

/// The length of an answer, as far as it is known.
pub(super) fn length(response: &Response) -> Option<u64> {
    let told =
        response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    told.or_else(|| response.body().size_hint().exact())
}

/// Adds what every answer carries.
pub(super) fn with_common_headers(mut response: Response, leader: Option<&HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::EXPIRES, HeaderValue::from_static("0"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(leader) = leader {
        headers.insert(HeaderName::from_static("x-marathon-leader"), leader.clone());
    }
    response
}
