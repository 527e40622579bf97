//! Whether we are there, how we are set up, and our numbers (§1.3).

use http::StatusCode;

use super::reply::{self, Response};
use super::{Api, Request};
use crate::telemetry::TEXT_CONTENT_TYPE;

/// `pong`, in the form the client asks for.
pub(super) fn ping(request: &Request) -> Response {
    let wants_anything = request.header("accept").is_none_or(|accept| accept.contains("*/*"));
    if request.accepts("application/json") {
        reply::json(&"pong")
    } else if wants_anything || request.accepts("text/plain") || request.accepts("text/html") {
        reply::with_body(StatusCode::OK, "text/plain", "pong")
    } else {
        reply::empty(StatusCode::NO_CONTENT)
    }
}

/// Every setting, and where its value comes from.
pub(super) fn config(api: &Api) -> Response {
    reply::json(&api.introduction.settings)
}

/// Our numbers: as text where that is asked for by name, else as Marathon shows its own.
pub(super) fn metrics(api: &Api, request: &Request) -> Response {
    if request.prefers_text() || request.accepts("application/openmetrics-text") {
        return metrics_text(api);
    }
    reply::json(&api.metrics.to_marathon_json())
}

/// Our numbers as text.
pub(super) fn metrics_text(api: &Api) -> Response {
    reply::with_body(StatusCode::OK, TEXT_CONTENT_TYPE, api.metrics.encode_text())
}
