//! TLS for probes: with whomever answers.

use std::sync::Arc;

use ekiden_model::health::Outcome;
use rustls::pki_types::{IpAddr, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fault;
use crate::tls;

/// Speaks TLS with whomever.
#[derive(Clone)]
pub(super) struct AnyCertificate {
    /// Or why this build cannot speak TLS; no instance is to blame for that.
    connector: Result<TlsConnector, Arc<str>>,
}

impl AnyCertificate {
    pub(super) fn new() -> Self {
        let connector = tls::with_anybody().map(|config| TlsConnector::from(Arc::new(config)));
        Self {
            connector: connector
                .map_err(|error| fault::text(format_args!("the checker cannot speak TLS: {error}"))),
        }
    }

    /// Opens TLS over `stream`. `host` is told to the server, which may hold several certificates.
    pub(super) async fn handshake(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Outcome> {
        let connector = self.connector.as_ref().map_err(|cause| Outcome::NoResult(cause.clone()))?;
        // A name that is none in DNS (an underscore) cannot be told. An address stands in for it, since none is told
        // for addresses either.
        let nameless = || ServerName::from(IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED));
        let name = ServerName::try_from(host.to_owned()).unwrap_or_else(|_| nameless());
        connector
            .connect(name, stream)
            .await
            .map_err(|error| Outcome::Failure(fault::text(format_args!("no TLS: {error}"))))
    }
}
