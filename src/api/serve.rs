//! The listener: who may connect, how many at once, and how long they may take.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use warp::Filter;
use warp::filters::BoxedFilter;

use super::{Api, Request, Response};

/// Most connections at once; further ones wait in the kernel's queue. Enough for some hundred event streams beside
/// all the polling of load balancers; each costs some 100 KiB at worst.
const CONNECTIONS: usize = 1024;

/// A request's headers arrive within this, or the connection is closed: nobody holds a place by saying nothing.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Headers larger than this are refused. Tokens and cookies of gateways fit.
const HEADERS_MAX_BYTES: usize = 64 << 10;

/// How long open requests have to come to their end when we stop.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Why the API cannot be offered at an address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Others could reach it, and nothing keeps them out.
    #[error(
        "{0} can be reached by others and this API asks nobody for credentials yet: use an address of this machine \
         only, as in `--http 127.0.0.1:{port}`, and let a proxy in front of it ask for them{rest}",
        port = .0.port(), rest = otherwise(*.1)
    )]
    Public(SocketAddr, Exposure),
    /// The system says no.
    #[error("cannot listen on {0}: is another ekiden running? choose another address with `--http`")]
    Refused(SocketAddr, #[source] io::Error),
}

/// Who may reach the API, which asks nobody for credentials yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Only who is on this machine, whatever is asked for.
    Never,
    /// Only who is on this machine; others when the operator says so (`--allow-unauthenticated-http`).
    Refused,
    /// Whoever can reach the address: the operator has said so.
    Allowed,
}

fn otherwise(exposure: Exposure) -> &'static str {
    match exposure {
        Exposure::Refused => {
            ". Where everybody who can reach it may do everything, `--allow-unauthenticated-http` offers it all the same"
        }
        Exposure::Never | Exposure::Allowed => "",
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
struct Remote(SocketAddr);

/// Takes the address, so that whoever starts us learns at once when it cannot be had.
pub async fn bind(address: SocketAddr, exposure: Exposure) -> Result<TcpListener, BindError> {
    if !address.ip().is_loopback() {
        if exposure != Exposure::Allowed {
            return Err(BindError::Public(address, exposure));
        }
        tracing::warn!(
            %address,
            "the API is offered to everybody who can reach this address: nobody is asked for credentials, and whoever \
             connects may stop every app"
        );
    }
    TcpListener::bind(address).await.map_err(|error| BindError::Refused(address, error))
}

/// Answers until `stop`.
pub async fn serve(listener: TcpListener, api: Api, stop: CancellationToken) -> io::Result<()> {
    let service = warp::service(filter(Arc::new(api)));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let open = GracefulShutdown::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, remote) = listener.accept().await?;
            Ok::<_, io::Error>((place, stream, remote))
        };
        let (place, stream, remote) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a connection that ended before it began: the next may do better.
                    tracing::warn!(cause = %error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let service = TowerToHyperService::new(service.clone());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Remote(remote));
            hyper::service::Service::call(&service, request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .max_buf_size(HEADERS_MAX_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(remote = %remote, cause = %error, "a connection ended early");
            }
            drop(place);
        });
    }
    // Whoever is still reading after this is cut off.
    let _ = tokio::time::timeout(LAST_ANSWERS_WITHIN, open.shutdown()).await;
    Ok(())
}

/// Everything warp has to do: take the request apart and hand it to the table of routes.
fn filter(api: Arc<Api>) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Remote>())
        .and(warp::body::stream())
        .then(
            move |method,
                  path: warp::path::FullPath,
                  query: String,
                  headers: HeaderMap,
                  remote: Option<Remote>,
                  body| {
                let api = Arc::clone(&api);
                let remote = remote.map_or_else(String::new, |Remote(address)| address.to_string());
                let request = Request::new(method, path.as_str(), &query, headers, remote).with_body(body);
                async move { api.answer(request).await }
            },
        )
        .boxed()
}
