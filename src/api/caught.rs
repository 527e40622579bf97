//! A handler that goes wrong: caught, counted, told to the log and to the client by the same number. Nobody else
//! notices.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use http::StatusCode;
use serde_json::json;

use super::reply::{self, Response};
use crate::telemetry::Metrics;

/// Answers with what `answer` comes to; with 500 if it panics. What handlers share is snapshots, channels and counters,
/// none of which a handler leaves half changed.
pub(super) async fn caught(answer: impl Future<Output = Response>, metrics: &Metrics) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            metrics.http_panics.inc();
            let number = number();
            tracing::error!(
                request = number,
                cause = text_of(&*panic),
                "a request went wrong: this is a bug of ekiden's"
            );
            let message = format!("this is a bug of ekiden's: its log has more, at request {number}");
            reply::with_status(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": message }))
        }
    }
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
}
