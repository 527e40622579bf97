//! A request, as handlers see it: decoded, bounded, without the web server.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode, header};

use super::reply::{self, Response};

/// Largest body taken: a plan of 10,000 apps, each with a long environment, fits in twice.
const BODY_MAX_BYTES: usize = 32 << 20;

/// A body arrives within this: nobody holds a place by sending a byte now and then.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// What is left of the body, as it arrives.
type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync>>;

/// How a request has reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Whose connection it is.
    pub remote: SocketAddr,
    /// Whether it came to an address that only this machine has.
    pub to_loopback: bool,
}

/// One request.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, decoded.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, once it is read; requests that change nothing have none.
    pub body: Bytes,
    /// How it has reached us; nothing when it was made in this process.
    pub caller: Option<Caller>,
    /// The name of the credential that it was let in by.
    pub credential: Option<Arc<str>>,
    query: Vec<(String, String)>,
    incoming: Option<BodyStream>,
}

impl Request {
    /// Takes a request apart.
    pub fn new(method: Method, path: &str, query: &str, headers: HeaderMap, caller: Option<Caller>) -> Self {
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(decoded_pair).collect();
        let path = decoded(path, false);
        Self { method, path, headers, body: Bytes::new(), caller, credential: None, query, incoming: None }
    }

    /// Adds the body that is on its way.
    #[must_use]
    pub fn with_body(
        mut self,
        body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + Sync + 'static,
    ) -> Self {
        let chunks = body.map(|chunk| chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining())));
        self.incoming = Some(Box::pin(chunks));
        self
    }

    /// Every value of a query parameter, also written `name[]`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query
            .iter()
            .filter(move |(key, _)| key.strip_suffix("[]").unwrap_or(key) == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of a query parameter; an empty one is none.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// Whether the client asks for, or would take, this kind of content by name (`*/*` names nothing).
    pub fn accepts(&self, kind: &str) -> bool {
        let accept = self.headers.get_all(header::ACCEPT);
        accept
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|range| range.split(';').next().unwrap_or_default().trim() == kind))
    }

    /// Whether the client would rather have text than JSON. Web pages name both, and mean JSON.
    pub(super) fn prefers_text(&self) -> bool {
        self.accepts("text/plain") && !self.accepts("application/json")
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The query's parameters, in their order.
    pub(super) fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// Where it comes from, for people; nothing when it was made in this process.
    pub fn remote(&self) -> Option<Arc<str>> {
        self.caller.map(|caller| caller.remote.to_string().into())
    }

    /// Who asks, for people: by name where credentials are asked for, and otherwise where from.
    pub fn who(&self) -> Option<Arc<str>> {
        self.credential.clone().or_else(|| self.remote())
    }

    /// Refuses a request that a web page sent here by a name of its own (DNS rebinding): it came to an address that only
    /// this machine has, so whoever means it calls it by address or as `localhost`.
    pub(super) fn check_host(&self) -> Result<(), Box<Response>> {
        let Some(host) = self.header("host") else { return Ok(()) };
        let name = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        if name == "localhost" || name.parse::<IpAddr>().is_ok() {
            return Ok(());
        }
        let text = format!("this API answers to `localhost` and to addresses, not to `{name}`");
        Err(Box::new(reply::message(StatusCode::FORBIDDEN, &text)))
    }

    /// Whether this asks for something to be looked at, and nothing to be changed.
    pub fn only_reads(&self) -> bool {
        [Method::GET, Method::HEAD, Method::OPTIONS].contains(&self.method)
    }

    /// Reads the body of a request that may have one.
    pub(super) async fn read_body(&mut self) -> Result<(), Box<Response>> {
        if self.only_reads() {
            return Ok(());
        }
        // To restart or to remove something takes no body, and some clients name no kind, or another, for none.
        let is_empty = self.header("content-length").is_none_or(|length| length.trim() == "0");
        if is_empty && self.header("transfer-encoding").is_none() {
            return Ok(());
        }
        // A page of another site can send plain forms here unasked, but never JSON. Whoever says nothing means JSON.
        let kind = self.header("content-type").and_then(|kind| kind.split(';').next()).map(str::trim);
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("application/json")) {
            let text = "send the body as JSON, with `Content-Type: application/json`";
            return Err(Box::new(reply::message(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)));
        }
        let declared: Option<u64> = self.header("content-length").and_then(|length| length.parse().ok());
        if declared.is_some_and(|length| length > BODY_MAX_BYTES as u64) {
            return Err(Box::new(too_large()));
        }
        let Some(incoming) = self.incoming.take() else { return Ok(()) };
        let body = tokio::time::timeout(BODY_WITHIN, whole(incoming)).await.map_err(|_| {
            let text = format!("the body has not arrived within {} s: send it again", BODY_WITHIN.as_secs());
            reply::message(StatusCode::REQUEST_TIMEOUT, &text)
        })?;
        self.body = body?;
        Ok(())
    }
}

async fn whole(mut incoming: BodyStream) -> Result<Bytes, Box<Response>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = incoming.next().await {
        let chunk = chunk.map_err(|_| {
            let text = "the body ended early, or is no body: send the request again";
            Box::new(reply::message(StatusCode::BAD_REQUEST, text))
        })?;
        if body.len() + chunk.len() > BODY_MAX_BYTES {
            return Err(Box::new(too_large()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large() -> Response {
    let text = format!("the body is larger than {} MiB", BODY_MAX_BYTES >> 20);
    reply::message(StatusCode::PAYLOAD_TOO_LARGE, &text)
}

fn decoded_pair(pair: &str) -> (String, String) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    (decoded(key, true), decoded(value, true))
}

/// Undoes percent-encoding; what is not well-formed stays as it is.
fn decoded(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16);
        rest = after;
        match (first, after) {
            (b'%', [high, low, tail @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                bytes.push((hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0)) as u8);
                rest = tail;
            }
            (b'+', _) if plus_is_space => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str, headers: &[(&'static str, &'static str)]) -> Request {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), header::HeaderValue::from_static(value)))
            .collect();
        Request::new(Method::GET, "/v2/apps/%2Fprod/a+b%zz", query, headers, None)
    }

    #[test]
    fn paths_and_queries_are_decoded() {
        let request = request("label=a%3D%3Db&status[]=running&status=staging&id=&&cmd=x+y", &[]);
        assert_eq!(request.path, "/v2/apps//prod/a+b%zz");
        assert_eq!(request.one("label"), Some("a==b"));
        assert_eq!(request.one("cmd"), Some("x y"));
        assert_eq!(request.one("id"), None);
        assert_eq!(request.all("status").collect::<Vec<_>>(), ["running", "staging"]);
    }

    #[test]
    fn only_named_kinds_are_accepted() {
        assert!(request("", &[("accept", "application/json, text/plain;q=0.5")]).accepts("text/plain"));
        assert!(!request("", &[("accept", "*/*")]).accepts("text/plain"));
        assert!(request("", &[("accept", "text/plain, */*")]).prefers_text());
        assert!(!request("", &[("accept", "application/json, text/plain, */*")]).prefers_text());
    }

    #[test]
    fn a_foreign_name_is_refused() {
        for host in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
            assert!(request("", &[("host", host)]).check_host().is_ok(), "{host}");
        }
        assert!(request("", &[("host", "evil.example:8080")]).check_host().is_err());
    }
}
