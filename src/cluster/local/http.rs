//! HTTP GET, as little of it as fetching and checking need.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::crypto::ring;

use crate::tls;

/// Which certificates will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Those that this machine trusts.
    Machine,
    /// Any, as for health checks: they ask whether something answers, not who it is.
    Anyone,
}

/// Why there is no answer. Its text is complete.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

/// Asks once; redirects are answers like others. Over a connection of its own, so that nothing is left open.
pub(super) async fn get(uri: Uri, trust: Trust) -> Result<Response<Incoming>, NoAnswer> {
    let config = config(&uri, trust)?;
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let request = Request::get(uri)
        .header(http::header::USER_AGENT, concat!("ekiden/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| NoAnswer(error.to_string()))?;
    client.request(request).await.map_err(|error| NoAnswer(chain(&error)))
}

/// The machine's certificates take a while to read, so they are read only where they are needed.
fn config(uri: &Uri, trust: Trust) -> Result<ClientConfig, NoAnswer> {
    let is_tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    if !is_tls || trust == Trust::Anyone {
        return tls::with_anybody().map_err(|error| NoAnswer(error.to_string()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| NoAnswer(error.to_string()))?;
    let roots = config.with_native_roots().map_err(|error| NoAnswer(error.to_string()))?;
    Ok(roots.with_no_client_auth())
}

/// An error with all its causes; hyper's outermost says no more than that there is one.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
