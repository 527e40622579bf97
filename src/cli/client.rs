//! The HTTP client of the commands that ask a running ekiden.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::Global;

/// Where ekiden is found when nobody says.
pub(super) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Largest answer read: all apps of a cluster of 10,000 with their instances fit.
const ANSWER_MAX_BYTES: usize = 512 << 20;

/// Asks one server.
#[derive(Debug)]
pub(super) struct Client {
    server: String,
    http: HyperClient<HttpConnector, Empty<Bytes>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The address is none.
    #[error("`{0}` is no address of a server: write it as `http://host:port`")]
    Address(String),
    /// Nobody there.
    #[error(
        "cannot reach {server}: {cause}; is ekiden running (`serve`, `dev`)? set `--server` or EKIDEN_SERVER to where it is"
    )]
    Unreachable { server: String, cause: String },
    /// Somebody there, who does not answer.
    #[error("{server} does not answer within {seconds} s")]
    Silent { server: String, seconds: u64 },
    /// The answer is no.
    #[error("{0}")]
    Refused(String),
    /// The answer makes no sense.
    #[error("{server} answered something that is not ekiden's: {cause}")]
    Nonsense { server: String, cause: String },
}

/// An answer of bytes.
pub(super) struct Answer {
    /// Its body.
    pub(super) body: Bytes,
}

impl Client {
    /// A client of the server that was asked for.
    pub(super) fn new(global: &Global) -> Result<Self, ClientError> {
        let server = global.server.as_deref().unwrap_or(DEFAULT_SERVER).trim_end_matches('/');
        let parsed: Option<Uri> = server.parse().ok();
        let plain = |uri: &Uri| uri.scheme_str() == Some("http") && uri.host().is_some();
        if !parsed.as_ref().is_some_and(plain) {
            return Err(ClientError::Address(server.to_owned()));
        }
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        Ok(Self { server: server.to_owned(), http })
    }

    /// Gets JSON.
    pub(super) async fn json(&self, path: &str) -> Result<Value, ClientError> {
        let answer = self.get(path).await?;
        self.parsed(&answer)
    }

    /// Posts nothing, and gets JSON.
    pub(super) async fn post(&self, path: &str) -> Result<Value, ClientError> {
        let answer = self.send(Method::POST, path).await?;
        self.parsed(&answer)
    }

    /// Deletes, and gets JSON.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        let answer = self.send(Method::DELETE, path).await?;
        self.parsed(&answer)
    }

    fn parsed(&self, answer: &Answer) -> Result<Value, ClientError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.nonsense(&error))
    }

    /// Gets whatever is there.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path).await
    }

    async fn send(&self, method: Method, path: &str) -> Result<Answer, ClientError> {
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.answer(method, path)).await;
        answer.unwrap_or_else(|_| {
            Err(ClientError::Silent { server: self.server.clone(), seconds: ANSWER_WITHIN.as_secs() })
        })
    }

    async fn answer(&self, method: Method, path: &str) -> Result<Answer, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("content-type", "application/json")
            .header("accept", "application/json, */*")
            .body(Empty::new())
            .map_err(|_| ClientError::Address(format!("{}{path}", self.server)))?;
        let response = self.http.request(request).await.map_err(|error| ClientError::Unreachable {
            server: self.server.clone(),
            cause: root_cause(&error),
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES);
        let body = body.collect().await.map_err(|error| self.nonsense(&*error))?.to_bytes();
        if head.status.is_success() {
            return Ok(Answer { body });
        }
        let said: Option<Value> = serde_json::from_slice(&body).ok();
        let message = said.as_ref().and_then(|said| said.get("message")).and_then(Value::as_str);
        let message = message.map_or_else(|| format!("{} answered {}", self.server, head.status), str::to_owned);
        Err(ClientError::Refused(message))
    }

    fn nonsense(&self, cause: &dyn std::error::Error) -> ClientError {
        ClientError::Nonsense { server: self.server.clone(), cause: cause.to_string() }
    }
}

/// The innermost cause is what says something: `connection refused`.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(error) => error.kind().to_string(),
        None => cause.to_string(),
    }
}

/// Makes an app's id fit for a path or a query: ids are plain, but the user's text may be anything.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/*".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
