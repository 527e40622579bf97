//! The API of a world of some apps, offered in this process, and a client of raw sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use ekiden::api::{self, HttpOptions, Terms};
use ekiden::runtime::snapshot::Publisher;
use ekiden::runtime::{AppSnapshot, EventLog};
use ekiden_model::app::{App, Command, Template};
use ekiden_model::id::AppKey;
use ekiden_model::report::Report;
use ekiden_model::view::Settled;
use ekiden_model::{AppId, AppState, Declared, Source, Timestamp};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::offered::offered;

/// A loaded machine may take its time, a broken build forever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An API on a port of its own.
pub(crate) struct Rig {
    terms: Terms,
    publisher: Publisher,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) bytes: Vec<u8>,
}

impl Rig {
    /// Offers a world of apps called `app-0` and so on.
    pub(crate) async fn start(options: HttpOptions, apps: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listeners = api::bind(options).await.expect("it can be offered");
        let terms = listeners.terms.clone().named(None);
        let (mut publisher, snapshots) = Publisher::new();
        for number in 0..apps {
            let app = app(number, 1);
            publisher.put(&app.state.id.clone(), Some(app));
        }
        publisher.publish(Timestamp::from_millis(1), Settled::Yes);
        let stop = CancellationToken::new();
        let events = EventLog::new(Timestamp::from_millis(1));
        let api = offered(snapshots, events, folder.path(), terms.clone(), stop.clone());
        let served = api::serve(listeners, api, stop.clone());
        let serving = tokio::spawn(async move { served.await.expect("it serves") });
        Self { terms, publisher, stop, serving, _folder: folder }
    }

    /// Where it answers in clear text.
    pub(crate) fn http(&self) -> SocketAddr {
        self.terms.addresses.http.expect("offered")
    }

    /// Where it answers under TLS.
    pub(crate) fn https(&self) -> SocketAddr {
        self.terms.addresses.https.expect("offered")
    }

    /// Changes one app.
    pub(crate) fn change(&mut self, number: usize) {
        let app = app(number, 7);
        self.publisher.put(&app.state.id.clone(), Some(app));
        self.publisher.publish(Timestamp::from_millis(2), Settled::Yes);
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.serving.await.expect("no panic");
    }

    /// Asks in clear text.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask("GET", path, headers).await
    }

    /// Asks for something else.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.raw(request(method, path, headers).as_bytes()).await
    }

    /// Sends bytes, whatever they are, and reads until the connection ends. Status 0 is no answer at all.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let stream = TcpStream::connect(self.http()).await.expect("connected");
        let none = Answer { status: 0, head: String::new(), bytes: Vec::new() };
        exchange(stream, bytes).await.unwrap_or(none)
    }

    /// Asks under TLS, trusting one certificate; nothing when there is no trust.
    pub(crate) async fn secure(&self, trusted: &CertificateDer<'static>, path: &str) -> Option<Answer> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.https()).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        exchange(stream, request("GET", path, "").as_bytes()).await
    }
}

/// Asks whoever is there; nothing when nobody is.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &str) -> Option<Answer> {
    let stream = TcpStream::connect(address).await.ok()?;
    exchange(stream, request("GET", path, headers).as_bytes()).await
}

/// Waits until `look` finds what it looks for.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// As files hold certificates and keys.
pub(crate) fn pem(what: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n")
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Option<Answer> {
    let mut bytes = Vec::new();
    let talk = async {
        stream.write_all(request).await.ok()?;
        // A server that has enough may close before all was sent; what it said before counts.
        let _ = stream.read_to_end(&mut bytes).await;
        Some(())
    };
    tokio::time::timeout(PATIENCE, talk).await.ok()??;
    Answer::of(&bytes)
}

impl Answer {
    /// Takes apart what was received.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.get(9..12)?.parse().ok()?;
        let mut answer = Self { status, head: head.to_ascii_lowercase(), bytes: bytes[end + 4..].to_vec() };
        if answer.header("transfer-encoding").as_deref() == Some("chunked") {
            answer.bytes = unchunked(&answer.bytes)?;
        }
        Some(answer)
    }

    /// A header's value, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned)).map(
            |value| {
                // Methods are written in capitals.
                if name == "allow" { value.to_ascii_uppercase() } else { value }
            },
        )
    }

    /// The body as text.
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = bytes.windows(2).position(|window| window == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(line + 2..line + 2 + length)?);
        bytes = bytes.get(line + 4 + length..)?;
    }
}

fn app(number: usize, instances: u32) -> AppSnapshot {
    let id = AppId::parse(&format!("/app-{number}")).expect("a good id");
    let template = Template::new(Command::Shell(format!("sleep {number}")));
    let app = App { instances, ..App::new(id.clone(), template) };
    let version = Timestamp::from_millis(1_795_168_800_000);
    let mut state = AppState::new(id.clone(), AppKey::new(1, 1, &id), 1);
    state.declared = Some(Declared::first(Arc::new(app), version, Source::Api));
    AppSnapshot::new(state, Report::empty(), instances, None)
}
