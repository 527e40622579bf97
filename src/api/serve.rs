//! The listeners: who may connect, how many at once, and how long they may take.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use warp::Filter;
use warp::filters::BoxedFilter;

use super::access::{Access, CredentialSources, CredentialsError};
use super::certificate::{Certificate, CertificateError, CertificateFiles};
use super::patience::Patient;
use super::places::Places;
use super::request::Caller;
use super::terms::{Addresses, Terms};
use super::{Api, Request, Response};

/// A request's headers arrive within this, or the connection is closed: nobody holds a place by saying nothing. It is also
/// how long a connection may rest between two requests, as in Marathon.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// TLS is agreed on within this.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Whoever takes nothing of an answer for so long is cut off.
const READS_WITHIN: Duration = Duration::from_secs(30);

/// Headers larger than this are refused. Tokens and cookies of gateways fit.
const HEADERS_MAX_BYTES: usize = 64 << 10;

/// How long open requests have to come to their end when we stop.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Where and on which terms the API is offered.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// In clear text, there.
    pub http: Option<SocketAddr>,
    /// Under TLS, there, with these.
    pub https: Option<(SocketAddr, CertificateFiles)>,
    /// Who may reach it when nobody is asked for credentials.
    pub exposure: Exposure,
    /// Who is let in; everybody when there are none.
    pub credentials: CredentialSources,
    /// What clients are told that credentials are asked for.
    pub realm: String,
    /// Sites whose pages may read.
    pub origins: Vec<String>,
    /// Most requests answered at once; any number when not given.
    pub at_once: Option<usize>,
    /// Whether answers are compressed for who asks for it.
    pub compresses: bool,
}

impl HttpOptions {
    /// In clear text, asking nobody for anything.
    pub fn plain(http: SocketAddr, exposure: Exposure) -> Self {
        Self {
            http: Some(http),
            https: None,
            exposure,
            credentials: CredentialSources::default(),
            realm: "Ekiden".to_owned(),
            origins: Vec::new(),
            at_once: None,
            compresses: true,
        }
    }
}

/// Why the API cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Others could reach it, and nothing keeps them out.
    #[error(
        "{0} can be reached by others and nobody is asked for credentials: use an address of this machine only, as in \
         `--http 127.0.0.1:{port}`{rest}",
        port = .0.port(), rest = otherwise(*.1)
    )]
    Public(SocketAddr, Exposure),
    /// The system says no.
    #[error("cannot listen on {0}: is another ekiden running? choose another address with `--http` or `--https`")]
    Refused(SocketAddr, #[source] io::Error),
    /// Nobody could ask for anything.
    #[error("the API would be nowhere: `--http none` needs `--https`")]
    Nowhere,
    /// The credentials are none.
    #[error("the credentials for the API cannot be used")]
    Credentials(#[from] CredentialsError),
    /// The certificate is none.
    #[error("the API cannot be offered under TLS")]
    Certificate(#[from] CertificateError),
}

/// Who may reach the API when it asks nobody for credentials.
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
            ", or name a file of credentials with `--http-credentials-file` (`ekiden credential` makes its lines). Where \
             everybody who can reach it may do everything, `--allow-unauthenticated-http` offers it all the same"
        }
        Exposure::Never | Exposure::Allowed => "",
    }
}

/// The listeners that were had, and the terms on which they answer.
#[derive(Debug)]
pub struct Listeners {
    /// The terms.
    pub terms: Terms,
    http: Option<TcpListener>,
    https: Option<(TcpListener, Arc<Certificate>)>,
}

/// Takes the addresses and reads credentials and certificates, so that whoever starts us learns at once what is wrong.
pub async fn bind(options: HttpOptions) -> Result<Listeners, BindError> {
    let asks = !options.credentials.is_empty();
    if options.http.is_none() && options.https.is_none() {
        return Err(BindError::Nowhere);
    }
    for (address, secure) in [(options.http, false), (options.https.as_ref().map(|(address, _)| *address), true)] {
        let Some(address) = address.filter(|address| !address.ip().is_loopback()) else { continue };
        match (asks, secure) {
            (true, true) => {}
            (true, false) => tracing::warn!(
                %address,
                "credentials travel in clear text to this address, and whoever listens on the way can use them: offer the \
                 API with `--https`, and in clear text to this machine only"
            ),
            (false, _) if options.exposure != Exposure::Allowed => {
                return Err(BindError::Public(address, options.exposure));
            }
            (false, _) => tracing::warn!(
                %address,
                "the API is offered to everybody who can reach this address: nobody is asked for credentials, and \
                 whoever connects may stop every app"
            ),
        }
    }
    let access = if asks { Some(Arc::new(Access::new(options.credentials, &options.realm)?)) } else { None };
    let mut addresses = Addresses::default();
    let mut http = None;
    if let Some(address) = options.http {
        let (listener, at) = listen(address).await?;
        (http, addresses.http) = (Some(listener), Some(at));
    }
    let mut https = None;
    if let Some((address, files)) = options.https {
        let certificate = Arc::new(Certificate::new(files)?);
        let (listener, at) = listen(address).await?;
        (https, addresses.https) = (Some((listener, certificate)), Some(at));
    }
    let mut terms = Terms::open(addresses);
    (terms.access, terms.origins, terms.compresses) = (access, options.origins, options.compresses);
    terms.at_once = options.at_once.map(|at_once| Arc::new(Semaphore::new(at_once)));
    Ok(Listeners { terms, http, https })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let refused = |error| BindError::Refused(address, error);
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let at = listener.local_addr().map_err(refused)?;
    Ok((listener, at))
}

/// Answers until `stop`.
pub async fn serve(listeners: Listeners, api: Api, stop: CancellationToken) -> io::Result<()> {
    let Listeners { terms, http, https } = listeners;
    let certificate = https.as_ref().map(|(_, certificate)| Arc::clone(certificate));
    let answering = accept(http.as_ref(), https.as_ref(), Arc::new(api), &stop);
    let following = follow_files(terms.access, certificate);
    tokio::select! {
        () = answering => {}
        () = following => {}
    }
    Ok(())
}

/// Reads credentials and certificates again when their files change. Never ends.
async fn follow_files(access: Option<Arc<Access>>, certificate: Option<Arc<Certificate>>) {
    let credentials = async {
        match access {
            Some(access) => access.follow().await,
            None => std::future::pending().await,
        }
    };
    let pair = async {
        match certificate {
            Some(certificate) => certificate.follow().await,
            None => std::future::pending().await,
        }
    };
    tokio::join!(credentials, pair);
}

async fn accept(
    http: Option<&TcpListener>,
    https: Option<&(TcpListener, Arc<Certificate>)>,
    api: Arc<Api>,
    stop: &CancellationToken,
) {
    let service = filter(api);
    let places = Places::new();
    let open = GracefulShutdown::new();
    loop {
        let next = async {
            let Some(place) = places.next().await else { return std::future::pending().await };
            let accepted = tokio::select! {
                accepted = next_of(http) => accepted.map(|(stream, remote)| (stream, remote, None)),
                accepted = next_of(https.map(|(listener, _)| listener)) => {
                    accepted.map(|(stream, remote)| (stream, remote, https.map(|(_, certificate)| certificate)))
                }
            };
            accepted.map(|accepted| (place, accepted))
        };
        let (place, (stream, remote, certificate)) = tokio::select! {
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
        let Some(place) = places.give(place, remote.ip()) else {
            tracing::debug!(%remote, "a connection was closed: its address has its share of them");
            continue;
        };
        let (service, watcher) = (service.clone(), open.watcher());
        let tls = certificate.map(|certificate| TlsAcceptor::from(certificate.config()));
        tokio::spawn(async move {
            if let Err(error) = connection(stream, remote, tls, service, watcher).await {
                tracing::debug!(%remote, cause = %error, "a connection ended early");
            }
            drop(place);
        });
    }
    // Whoever is still reading after this is cut off.
    let _ = tokio::time::timeout(LAST_ANSWERS_WITHIN, open.shutdown()).await;
}

/// The next connection; none ever, where there is no listener.
async fn next_of(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    tls: Option<TlsAcceptor>,
    service: BoxedFilter<(Response,)>,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Answers are written whole, and the end of one waits for nothing.
    stream.set_nodelay(true)?;
    let to_loopback = stream.local_addr().is_ok_and(|local| is_loopback(local.ip()));
    let caller = Caller { remote, to_loopback };
    let stream = Patient::new(stream, READS_WITHIN);
    match tls {
        None => converse(stream, caller, service, watcher).await?,
        Some(tls) => {
            let stream = tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await??;
            converse(stream, caller, service, watcher).await?;
        }
    }
    Ok(())
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    caller: Caller,
    service: BoxedFilter<(Response,)>,
    watcher: Watcher,
) -> hyper::Result<()> {
    let service = TowerToHyperService::new(warp::service(service));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(caller);
        hyper::service::Service::call(&service, request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_header_size(HEADERS_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    watcher.watch(connection).await
}

/// Everything warp has to do: take the request apart and hand it to the table of routes.
fn filter(api: Arc<Api>) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Caller>())
        .and(warp::body::stream())
        .then(
            move |method,
                  path: warp::path::FullPath,
                  query: String,
                  headers: HeaderMap,
                  caller: Option<Caller>,
                  body| {
                let api = Arc::clone(&api);
                let request = Request::new(method, path.as_str(), &query, headers, caller).with_body(body);
                async move { api.answer(request).await }
            },
        )
        .boxed()
}
