//! HTTP to masters: a connection at a time, each under its owner's eyes, so that order is kept and a loss is seen.
//!
//! Bounds: every answer has to begin in time, redirections are followed a few times only, and bodies that are read in
//! full have a longest length. Credentials never go where TLS was asked for and is not spoken.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::ConfigBuilderExt;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::Credentials;
use super::address::Endpoint;

/// How long a master is given to accept a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the first byte of an answer may take. A master under load takes seconds; one that is stopped, for ever.
const ANSWER: Duration = Duration::from_secs(15);

/// Most redirections in a row: a master that does not lead names the one that does, who may have been replaced just
/// then. More than that is a circle.
const REDIRECTIONS: usize = 5;

/// The longest text of a refusal that is read; it is for a log line.
const LONGEST_REFUSAL: usize = 64 << 10;

/// Mesos' header that ties calls to a subscription.
pub(super) const STREAM_ID: &str = "mesos-stream-id";

/// What went wrong between us and a master. All of it passes, perhaps.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Fault {
    /// No connection.
    #[error("{master} cannot be reached: {cause}")]
    Unreachable { master: Endpoint, cause: String },
    /// A connection that broke, or gave no answer that is one.
    #[error("the connection to {master} broke: {cause}")]
    Broken { master: Endpoint, cause: String },
    /// Silence.
    #[error("{master} has not answered for {} s", .after.as_secs())]
    Silent { master: Endpoint, after: Duration },
    /// Round and round.
    #[error("masters send us from one to the other: after {REDIRECTIONS} redirections {master} names yet another")]
    Circle { master: Endpoint },
    /// A redirection that leads nowhere, or out of TLS.
    #[error("{master} redirects us to `{location}`, where we do not go: {why}")]
    Astray { master: Endpoint, location: String, why: &'static str },
    /// An answer that is none of those that were hoped for.
    #[error("{master} answers {status}{}{text}", if .text.is_empty() { "" } else { ": " })]
    Answer { master: Endpoint, status: StatusCode, text: String },
    /// More than is taken.
    #[error("{master} answers with more than {longest} bytes")]
    TooMuch { master: Endpoint, longest: usize },
}

impl Fault {
    /// Whether the master knows us not, or does not let us.
    pub(super) fn is_refusal(&self) -> bool {
        let refusals = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        matches!(self, Self::Answer { status, .. } if refusals.contains(status))
    }
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct BadCertificates(String);

/// What all connections have in common.
pub(super) struct Transport {
    authorization: Option<HeaderValue>,
    /// The machine's certificates take a while to read, so they are read only where they are needed.
    tls: OnceCell<TlsConnector>,
}

/// A connection to a master. Dropping it closes it.
pub(super) struct Line {
    master: Endpoint,
    requests: SendRequest<Full<Bytes>>,
    authorization: Option<HeaderValue>,
    _driver: AbortOnDropHandle<()>,
}

impl Transport {
    /// `authority` are the certificates to trust in place of this machine's.
    pub(super) fn new(
        credentials: Option<&Credentials>,
        authority: Option<&Path>,
    ) -> Result<Self, BadCertificates> {
        let tls = match authority {
            Some(path) => OnceCell::new_with(Some(connector(roots(path)?)?)),
            None => OnceCell::new(),
        };
        Ok(Self { authorization: credentials.and_then(basic), tls })
    }

    /// Opens a connection.
    pub(super) async fn connect(&self, master: &Endpoint) -> Result<Line, Fault> {
        let unreachable = |cause: String| Fault::Unreachable { master: master.clone(), cause };
        match timeout(CONNECT, self.open(master)).await {
            Ok(line) => line.map_err(unreachable),
            Err(_) => Err(unreachable(format!("no connection within {} s", CONNECT.as_secs()))),
        }
    }

    async fn open(&self, master: &Endpoint) -> Result<Line, String> {
        let stream = TcpStream::connect((&*master.host, master.port)).await.map_err(|error| error.to_string())?;
        // Calls are small, and each waits for its answer.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        if !master.tls {
            return self.handshake(master, stream).await;
        }
        let name = ServerName::try_from(master.host.to_string())
            .map_err(|_| format!("`{}` is no name that a certificate can have", master.host))?;
        let connector = self.tls().await?;
        let stream = connector.connect(name, stream).await.map_err(|error| format!("no TLS: {error}"))?;
        self.handshake(master, stream).await
    }

    async fn tls(&self) -> Result<&TlsConnector, String> {
        let machine = async || -> Result<TlsConnector, String> {
            let read = tokio::task::spawn_blocking(|| {
                let config = provided()?.with_native_roots().map_err(|error| error.to_string())?;
                Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
            });
            read.await.map_err(|error| error.to_string())?
        };
        self.tls.get_or_try_init(machine).await
    }

    async fn handshake<S>(&self, master: &Endpoint, stream: S) -> Result<Line, String>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let (requests, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
        // Whoever waits for an answer is told why there is none.
        let driver = tokio::spawn(async move { _ = connection.await });
        Ok(Line {
            master: master.clone(),
            requests,
            authorization: self.authorization.clone(),
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// Posts to whoever leads, beginning with `master` and following redirections. What another answer than 307 says is
    /// up to the caller.
    pub(super) async fn post_to_leader(
        &self,
        master: &Endpoint,
        path: &str,
        body: Bytes,
    ) -> Result<(Line, Response<Incoming>), Fault> {
        let mut master = master.clone();
        for _ in 0..=REDIRECTIONS {
            let mut line = self.connect(&master).await?;
            let answer = line.post(path, None, body.clone()).await?;
            if answer.status() != StatusCode::TEMPORARY_REDIRECT {
                return Ok((line, answer));
            }
            let next = redirection(&master, &answer)?;
            tracing::debug!(%master, leader = %next, "redirected to the leading master");
            master = next;
        }
        Err(Fault::Circle { master })
    }
}

impl Line {
    /// Whose it is.
    pub(super) fn master(&self) -> &Endpoint {
        &self.master
    }

    /// Whether it can take a request. The other side may close it at any time while it is idle.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.requests.ready().await.is_ok()
    }

    /// Posts, and waits for the head of the answer. The answer before must have been read in full.
    pub(super) async fn post(
        &mut self,
        path: &str,
        stream: Option<&HeaderValue>,
        body: Bytes,
    ) -> Result<Response<Incoming>, Fault> {
        let broken = |cause: String| Fault::Broken { master: self.master.clone(), cause };
        let json = HeaderValue::from_static("application/json");
        let mut request = Request::post(path)
            .header(HOST, self.master.authority())
            .header(USER_AGENT, concat!("ekiden/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, json.clone())
            .header(ACCEPT, json);
        if let Some(stream) = stream {
            request = request.header(STREAM_ID, stream);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|error| broken(error.to_string()))?;
        let exchange = async {
            self.requests.ready().await?;
            self.requests.send_request(request).await
        };
        match timeout(ANSWER, exchange).await {
            Ok(answer) => answer.map_err(|error| broken(chain(&error))),
            Err(_) => Err(Fault::Silent { master: self.master.clone(), after: ANSWER }),
        }
    }

    /// Reads the rest of an answer.
    pub(super) async fn body(&self, answer: Response<Incoming>, longest: usize) -> Result<Bytes, Fault> {
        let mut body = Limited::new(answer.into_body(), longest);
        let mut read = bytes::BytesMut::new();
        loop {
            // A long body may take its time, as long as it comes at all.
            let part = timeout(ANSWER, body.frame()).await;
            let part = part.map_err(|_| Fault::Silent { master: self.master.clone(), after: ANSWER })?;
            match part {
                None => return Ok(read.freeze()),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        read.extend_from_slice(&bytes);
                    }
                }
                Some(Err(error)) if error.is::<LengthLimitError>() => {
                    return Err(Fault::TooMuch { master: self.master.clone(), longest });
                }
                Some(Err(error)) => {
                    return Err(Fault::Broken { master: self.master.clone(), cause: chain(&*error) });
                }
            }
        }
    }

    /// What an answer that was not hoped for says.
    pub(super) async fn refusal(&self, answer: Response<Incoming>) -> Fault {
        let status = answer.status();
        // Without its text it still has a status.
        let text = self.body(answer, LONGEST_REFUSAL).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Fault::Answer { master: self.master.clone(), status, text }
    }
}

/// Where an answer sends us. Mesos leaves the scheme out: `//host:port/path`.
fn redirection(master: &Endpoint, answer: &Response<Incoming>) -> Result<Endpoint, Fault> {
    let location = answer.headers().get(LOCATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let location = String::from_utf8_lossy(location).into_owned();
    leader_named(master, &location).map_err(|why| Fault::Astray { master: master.clone(), location, why })
}

fn leader_named(master: &Endpoint, location: &str) -> Result<Endpoint, &'static str> {
    let scheme = if master.tls { "https:" } else { "http:" };
    let full = if location.starts_with("//") { format!("{scheme}{location}") } else { location.to_owned() };
    let uri: Uri = full.parse().map_err(|_| "it is no address")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it is neither http nor https");
    }
    let leader = Endpoint::of(&uri).ok_or("it has no host")?;
    if master.tls && !leader.tls {
        return Err("what we say would be sent in the clear");
    }
    Ok(leader)
}

/// `Authorization: Basic …`, marked as not to be shown.
fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    let plain = format!("{}:{}", credentials.principal, credentials.secret);
    let encoded = base64::engine::general_purpose::STANDARD.encode(plain);
    let mut header = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

fn provided() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, BadCertificates> {
    let config = provided().map_err(BadCertificates)?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(path: &Path) -> Result<RootCertStore, BadCertificates> {
    let bad = |cause: String| BadCertificates(cause);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

/// An error with all its causes; hyper's outermost says no more than that there is one.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::of(&text.parse().expect("a uri")).expect("an endpoint")
    }

    #[test]
    fn a_redirection_without_scheme_keeps_ours_and_tls_is_never_left() {
        let (clear, tls) = (endpoint("http://m1:5050"), endpoint("https://m1:5050"));
        let named =
            |master: &Endpoint, location: &str| leader_named(master, location).map(|leader| leader.to_string());
        assert_eq!(named(&clear, "//m2:5051/api/v1/scheduler"), Ok("http://m2:5051".to_owned()));
        assert_eq!(named(&tls, "//m2:5051/api/v1/scheduler"), Ok("https://m2:5051".to_owned()));
        assert_eq!(named(&clear, "https://m2:5051/x"), Ok("https://m2:5051".to_owned()));
        assert!(named(&tls, "http://m2:5051/x").is_err());
        for nowhere in ["", "/api/v1/scheduler", "ftp://m2:1/", "//", "http://m2:port/"] {
            assert!(named(&clear, nowhere).is_err(), "{nowhere:?}");
        }
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let credentials = Credentials { principal: "ekiden".to_owned(), secret: "s3cret".into() };
        let header = basic(&credentials).expect("a header");
        assert_eq!(header, "Basic ZWtpZGVuOnMzY3JldA==");
        assert!(header.is_sensitive() && !format!("{header:?}").contains("ZWtp"));
    }
}
