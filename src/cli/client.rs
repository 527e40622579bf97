//! The HTTP client of the commands that ask a running ekiden.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::Global;

/// Where ekiden is found when nobody says.
pub(super) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Largest answer read: all apps of a cluster of 10,000 with their instances fit.
const ANSWER_MAX_BYTES: usize = 512 << 20;

/// The variable with the password of `--user`. It is no flag: everybody on a machine can read flags.
const PASSWORD: &str = "EKIDEN_PASSWORD";

/// The variable with a token.
const TOKEN: &str = "EKIDEN_TOKEN";

/// Asks one server.
#[derive(Debug)]
pub(super) struct Client {
    server: String,
    /// Marked as a secret, so that it is not shown.
    authorization: Option<HeaderValue>,
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The address is none.
    #[error("`{0}` is no address of a server: write it as `http://host:port` or `https://host:port`")]
    Address(String),
    /// The certificates to trust are none.
    #[error("the certificates in {file} cannot be used: {cause}")]
    Authority { file: String, cause: String },
    /// A name without a password.
    #[error("`--user` needs its password: set {PASSWORD}")]
    NoPassword,
    /// Credentials that cannot be sent.
    #[error("the credentials have characters in them that cannot be sent")]
    Unsendable,
    /// Nobody there knows us.
    #[error("{server} asks for credentials: set `--user NAME` and {PASSWORD}, or {TOKEN}")]
    Unknown { server: String },
    /// Somebody there knows others.
    #[error("{server} does not take these credentials: check `--user` and {PASSWORD}, or {TOKEN}")]
    Wrong { server: String },
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
        let parsed: Option<Uri> = server.parse().ok().filter(|uri: &Uri| uri.host().is_some());
        let tls = match parsed.as_ref().and_then(Uri::scheme_str) {
            Some("http") => trusting(RootCertStore::empty()),
            Some("https") => trusting_as_told(global.ca.as_deref()),
            _ => return Err(ClientError::Address(server.to_owned())),
        };
        let tls = tls.map_err(|cause| {
            let file =
                global.ca.as_deref().map_or_else(|| "this system".into(), |file| file.display().to_string());
            ClientError::Authority { file, cause }
        })?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let http = HyperClient::builder(TokioExecutor::new()).build(connector);
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let authorization = authorization(global.user.as_deref(), variable(PASSWORD), variable(TOKEN))?;
        Ok(Self { server: server.to_owned(), authorization, http })
    }

    /// Gets JSON.
    pub(super) async fn json(&self, path: &str) -> Result<Value, ClientError> {
        let answer = self.get(path).await?;
        self.parsed(&answer)
    }

    /// Posts nothing, and gets JSON.
    pub(super) async fn post(&self, path: &str) -> Result<Value, ClientError> {
        self.write(Method::POST, path, None).await
    }

    /// Deletes, and gets JSON.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.write(Method::DELETE, path, None).await
    }

    /// Sends JSON, if any, and gets JSON; nothing where nothing is answered.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let answer = self.send(method, path, body).await?;
        if answer.body.is_empty() { Ok(Value::Null) } else { self.parsed(&answer) }
    }

    /// Opens a stream that goes on until one side has enough.
    pub(super) async fn stream(&self, path: &str) -> Result<Incoming, ClientError> {
        let request = self.request(Method::GET, path, "text/event-stream", Bytes::new())?;
        let response = self.http.request(request).await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await.map_err(|error| self.nonsense(&*error))?;
        Err(self.refusal(head.status, &body.to_bytes()))
    }

    fn parsed(&self, answer: &Answer) -> Result<Value, ClientError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.nonsense(&error))
    }

    /// Gets whatever is there.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, ClientError> {
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.answer(method, path, body)).await;
        answer.unwrap_or_else(|_| {
            Err(ClientError::Silent { server: self.server.clone(), seconds: ANSWER_WITHIN.as_secs() })
        })
    }

    async fn answer(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, ClientError> {
        let request = self.request(method, path, "application/json, */*", body)?;
        let response = self.http.request(request).await.map_err(|error| self.unreachable(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES);
        let body = body.collect().await.map_err(|error| self.nonsense(&*error))?.to_bytes();
        if head.status.is_success() { Ok(Answer { body }) } else { Err(self.refusal(head.status, &body)) }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("content-type", "application/json")
            .header("accept", accept);
        if let Some(authorization) = &self.authorization {
            request = request.header(http::header::AUTHORIZATION, authorization);
        }
        request.body(Full::new(body)).map_err(|_| ClientError::Address(format!("{}{path}", self.server)))
    }

    /// Why the answer is no, as the server says it: its message, and what is wrong where.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        if status == StatusCode::UNAUTHORIZED {
            let server = self.server.clone();
            let given = self.authorization.is_some();
            return if given { ClientError::Wrong { server } } else { ClientError::Unknown { server } };
        }
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(message) = said["message"].as_str() else {
            return ClientError::Refused(format!("{} answered {status}", self.server));
        };
        let mut text = message.to_owned();
        for detail in said["details"].as_array().into_iter().flatten() {
            let errors: Vec<&str> =
                detail["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            // Writing to a text cannot fail.
            let _ = write!(text, "\n  {}: {}", detail["path"].as_str().unwrap_or("/"), errors.join("; "));
        }
        ClientError::Refused(text)
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        ClientError::Unreachable { server: self.server.clone(), cause: root_cause(error) }
    }

    fn nonsense(&self, cause: &dyn std::error::Error) -> ClientError {
        ClientError::Nonsense { server: self.server.clone(), cause: cause.to_string() }
    }
}

/// What is sent with each request, if anything is given.
fn authorization(
    user: Option<&str>,
    password: Option<String>,
    token: Option<String>,
) -> Result<Option<HeaderValue>, ClientError> {
    let text = match (user, password, token) {
        (Some(user), Some(password), _) => {
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
        }
        (Some(_), None, _) => return Err(ClientError::NoPassword),
        (None, _, Some(token)) => format!("Bearer {token}"),
        (None, _, None) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::Unsendable)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Trusts the certificates in a file, or those that this system trusts.
fn trusting_as_told(authority: Option<&Path>) -> Result<ClientConfig, String> {
    let Some(file) = authority else {
        let builder = versions()?.with_native_roots().map_err(|error| error.to_string())?;
        return Ok(builder.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("there is none in it (PEM)".to_owned()) } else { trusting(roots) }
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, String> {
    Ok(versions()?.with_root_certificates(roots).with_no_client_auth())
}

fn versions() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.map_err(|error| error.to_string())
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
