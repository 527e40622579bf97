//! A handler that goes wrong: caught, counted, told to the log and to the client by the same number. Nobody else
//! notices. So is a stream that goes wrong while it is read; its client is past being told, and is cut off.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde_json::json;
use warp::Reply;

use super::reply::{self, Response};
use crate::telemetry::Metrics;

/// Answers with what `answer` comes to; with 500 if it panics. What handlers share is snapshots, channels and counters,
/// none of which a handler leaves half changed.
pub(super) async fn caught(answer: impl Future<Output = Response>, metrics: &Metrics) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let number = told(&*panic, metrics);
            let message = format!("this is a bug of ekiden's: its log has more, at request {number}");
            reply::with_status(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": message }))
        }
    }
}

/// The answer, whose body, if it is made while it is sent, is cut off where that panics: a client that knows of ends
/// takes it for none.
pub(super) fn body_caught(response: Response, metrics: &Metrics) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let (head, body) = response.into_parts();
    let metrics = metrics.clone();
    let pieces = AssertUnwindSafe(body.into_data_stream()).catch_unwind().map(move |piece| match piece {
        Ok(piece) => piece.map_err(Cut::from),
        Err(panic) => Err(format!("the stream went wrong: request {}", told(&*panic, &metrics)).into()),
    });
    let mut response = warp::reply::stream(pieces).into_response();
    (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
    response
}

/// Why an answer ends early.
type Cut = Box<dyn Error + Send + Sync>;

/// Counts and logs it; the number by which it is found.
fn told(panic: &(dyn Any + Send), metrics: &Metrics) -> String {
    metrics.http_panics.inc();
    let number = number();
    let cause = text_of(panic);
    tracing::error!(request = number, cause, "a request went wrong: this is a bug of ekiden's");
    number
}

/// By which client and log speak of one request.
fn number() -> String {
    // Zero where the system has no randomness: the log line is found by its time, then.
    format!("{:016x}", getrandom::u64().unwrap_or_default())
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::stream;
    use http::header;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_500_and_counted() {
        let metrics = Metrics::default();
        let broken = async { panic!("on purpose") };
        assert_eq!(caught(broken, &metrics).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(metrics.http_panics.get(), 1);
        let well = async { reply::empty(StatusCode::OK) };
        assert_eq!(caught(well, &metrics).await.status(), StatusCode::OK);
        assert_eq!(metrics.http_panics.get(), 1);
    }

    #[tokio::test]
    async fn a_stream_that_panics_is_cut_off_and_counted() {
        let metrics = Metrics::default();
        let pieces = stream::iter([1, 2, 3]).map(|number| {
            assert_ne!(number, 2, "on purpose");
            Ok::<_, Infallible>(Bytes::from_static(b"whole"))
        });
        let mut response = warp::reply::stream(pieces).into_response();
        *response.status_mut() = StatusCode::ACCEPTED;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
        let response = body_caught(response, &metrics);
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        let mut body = response.into_body().into_data_stream();
        assert_eq!(body.next().await.and_then(Result::ok).as_deref(), Some(&b"whole"[..]));
        assert!(body.next().await.is_some_and(|piece| piece.is_err()));
        assert!(body.next().await.is_none(), "it does not go on");
        assert_eq!(metrics.http_panics.get(), 1);
    }

    #[tokio::test]
    async fn a_body_that_is_whole_already_stays_as_it_is() {
        let response = body_caught(reply::message(StatusCode::OK, "well"), &Metrics::default());
        assert!(response.body().size_hint().exact().is_some());
    }
}
