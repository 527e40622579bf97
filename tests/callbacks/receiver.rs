//! Somebody who is sent events, in clear text or under TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use rcgen::{CertifiedKey, KeyPair};
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Takes every event until it is dropped.
pub(crate) struct Receiver {
    /// Where.
    pub(crate) address: SocketAddr,
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    _listening: JoinSet<()>,
}

impl Receiver {
    /// Listens on a port of its own; under TLS, with a certificate.
    pub(crate) async fn start(certificate: Option<CertifiedKey<KeyPair>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (taken, tls) = (Arc::default(), certificate.as_ref().map(acceptor));
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, tls, Arc::clone(&taken)));
        Self { address, taken, _listening: listening }
    }

    /// The first event of a type of which this is so.
    pub(crate) fn event(&self, kind: &str, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let taken = self.taken.lock().expect("no panic");
        taken.iter().map(|(_, event)| event).find(|event| event["eventType"] == kind && is(event)).cloned()
    }

    /// The path of each request so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.taken.lock().expect("no panic").iter().map(|(path, _)| path.clone()).collect()
    }
}

/// A certificate, as files hold it.
pub(crate) fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn acceptor(pair: &CertifiedKey<KeyPair>) -> TlsAcceptor {
    let key = pair.signing_key.serialize_der().try_into().expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .expect("they belong together");
    TlsAcceptor::from(Arc::new(config))
}

async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, taken: Arc<Mutex<Vec<(String, Value)>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, taken) = (tls.clone(), Arc::clone(&taken));
        connections.spawn(async move {
            match tls {
                None => take(stream, &taken).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => take(stream, &taken).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// Takes the requests of one connection, until it ends.
async fn take(stream: impl AsyncRead + AsyncWrite + Unpin, taken: &Mutex<Vec<(String, Value)>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let path = head.strip_prefix("POST ")?.split(' ').next()?.to_owned();
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        taken.lock().expect("no panic").push((path, serde_json::from_slice(&body).ok()?));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.ok()?;
        stream.flush().await.ok()?;
    }
}
