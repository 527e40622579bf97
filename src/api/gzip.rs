//! Compressed answers, for clients that ask for them.
//!
//! What is large and of known length is compressed, a bounded piece at a time, with a pause for others between pieces.
//! What has no known length is a stream whose frames somebody waits for, and is left alone.

use std::io::Write;

use bytes::{Buf, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use warp::Reply;

use super::reply::{Response, length};

/// Smaller answers fit into one packet as they are.
const SMALLEST: u64 = 1 << 10;

/// So much is compressed at once: about a millisecond.
const PIECE: usize = 64 << 10;

/// Compressed bytes are handed on when there are so many.
const ENOUGH: usize = 16 << 10;

/// Compresses the answer if it is worth it and the client takes it so.
pub(super) fn compressed(mut response: Response, request: &HeaderMap) -> Response {
    if !is_worth_it(&response) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !takes_gzip(request) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    if let Some(tag) = head.headers.get(header::ETAG).and_then(tagged) {
        head.headers.insert(header::ETAG, tag);
    }
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let state = (body.into_data_stream(), Bytes::new(), Some(encoder));
    let pieces = stream::try_unfold(state, |(mut body, mut rest, encoder)| async move {
        let Some(mut encoder) = encoder else { return Ok(None) };
        loop {
            if rest.is_empty() {
                let Some(more) = body.next().await.transpose()? else {
                    // Writing to memory cannot fail; a cut answer is seen by the client as what it is.
                    let last = encoder.finish().unwrap_or_default();
                    return Ok::<_, warp::Error>(Some((Bytes::from(last), (body, rest, None))));
                };
                rest = more;
            }
            let piece = rest.split_to(rest.len().min(PIECE));
            let _ = encoder.write_all(&piece);
            if encoder.get_ref().len() >= ENOUGH {
                let ready = std::mem::take(encoder.get_mut());
                return Ok(Some((Bytes::from(ready), (body, rest, Some(encoder)))));
            }
            if rest.has_remaining() {
                tokio::task::yield_now().await;
            }
        }
    });
    let mut compressed = warp::reply::stream(pieces).into_response();
    std::mem::swap(compressed.headers_mut(), &mut head.headers);
    *compressed.status_mut() = head.status;
    compressed
}

fn is_worth_it(response: &Response) -> bool {
    let headers = response.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_text = kind.starts_with("application/json") || kind.starts_with("text/");
    is_text
        && kind != "text/event-stream"
        && !headers.contains_key(header::CONTENT_ENCODING)
        && length(response).is_some_and(|length| length >= SMALLEST)
}

/// The tag of the same thing in another form.
fn tagged(tag: &HeaderValue) -> Option<HeaderValue> {
    let tag = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::from_str(&format!("{tag}-gzip\"")).ok()
}

/// Whether the client would rather have it compressed (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut plain, mut any) = (None, None, None);
    for value in headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for coding in value.split(',') {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let quality: f32 = quality.map_or(Ok(1.0), str::parse).unwrap_or(0.0);
            match name.to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(quality),
                "identity" => plain = Some(quality),
                "*" => any = Some(quality),
                _ => {}
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= plain.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http::StatusCode;

    use super::super::reply;
    use super::*;

    fn asking(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn what_the_client_prefers_is_done() {
        for (value, expected) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("GZIP;q=0.5", true),
            ("*", true),
            ("identity, gzip;q=0.5", false),
            ("identity;q=0.5, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("*, gzip;q=0", false),
            ("gzip;q=nonsense", false),
            ("deflate", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&asking(value)), expected, "{value}");
        }
    }

    #[tokio::test]
    async fn a_large_answer_arrives_whole_and_smaller() {
        let numbers: Vec<u32> = (0..200_000).collect();
        let text = serde_json::to_string(&numbers).expect("JSON");
        let mut response = reply::with_body(StatusCode::OK, "application/json", text.clone());
        response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"1.2\""));
        let response = compressed(response, &asking("gzip"));
        assert_eq!(response.headers()[header::ETAG], "\"1.2-gzip\"");
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
        let body = response.into_body().collect().await.expect("whole").to_bytes();
        assert!(body.len() < text.len() / 3, "{} of {}", body.len(), text.len());
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut plain).expect("it is gzip");
        assert!(plain == text);
    }

    #[tokio::test]
    async fn what_is_small_or_has_no_end_stays_as_it_is() {
        let is_plain = |response: Response| {
            !compressed(response, &asking("gzip")).headers().contains_key(header::CONTENT_ENCODING)
        };
        assert!(is_plain(reply::with_body(StatusCode::OK, "application/json", "x".repeat(1023))));
        assert!(!is_plain(reply::with_body(StatusCode::OK, "application/json", "x".repeat(1024))));
        let frames = stream::iter([Ok::<_, std::convert::Infallible>("x".repeat(4096))]);
        let mut endless = warp::reply::stream(frames).into_response();
        endless.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert!(is_plain(endless));
    }
}
