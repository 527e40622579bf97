//! Probes against real servers on the loopback interface.
#![expect(clippy::expect_used, reason = "what a test rests on is said where it would break")]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ekiden::probe::{ProbeOptions, Prober};
use ekiden_model::app::{CheckAddress, CheckKind};
use ekiden_model::effect::Probe;
use ekiden_model::health::{Outcome, ProbeKind};
use ekiden_model::view::Sample;
use ekiden_model::{AppId, Incarnation, InstanceKey, Port, Slot};
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

/// Long enough for the slowest machine; nothing waits for it that works.
const DEADLINE: Duration = Duration::from_secs(20);

/// Serves each connection by `answer`, on a port of its own.
async fn server<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

/// A server that reads the head of a request and writes these bytes.
async fn answering(bytes: &'static str) -> SocketAddr {
    server(move |mut stream| async move {
        head(&mut stream).await;
        // The prober may be gone already: it reads no more than it needs.
        let _ = stream.write_all(bytes.as_bytes()).await;
    })
    .await
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

fn http(address: SocketAddr) -> Probe {
    Probe {
        instance: InstanceKey { slot: Slot(0), incarnation: Incarnation::FIRST },
        kind: ProbeKind::Health(0),
        host: address.ip().to_string().into(),
        port: Port::new(address.port()),
        check: CheckKind::Http {
            tls: false,
            address: CheckAddress::PortIndex(0),
            path: "/health?deep=1".into(),
            by_executor: false,
        },
        ready_statuses: Vec::new(),
        ignore_http_1xx: false,
        first_after: Duration::ZERO,
        eager_for: Duration::ZERO,
        interval: Duration::from_millis(50),
        timeout: DEADLINE,
    }
}

fn https(address: SocketAddr) -> Probe {
    let mut probe = http(address);
    if let CheckKind::Http { tls, .. } = &mut probe.check {
        *tls = true;
    }
    probe
}

fn tcp(address: SocketAddr) -> Probe {
    let check = CheckKind::Tcp { address: CheckAddress::PortIndex(0), by_executor: false };
    Probe { check, ..http(address) }
}

fn app() -> AppId {
    AppId::parse("/web").expect("a good id")
}

fn prober() -> (Prober, mpsc::Receiver<(AppId, Sample)>) {
    let (results, samples) = mpsc::channel(1_000);
    // A machine that is busy with other tests may be late; what is asked here is what answers mean.
    let late_after = DEADLINE;
    let options = ProbeOptions { repeat_after: Duration::ZERO, late_after, ..ProbeOptions::default() };
    (Prober::new(options, results), samples)
}

async fn next(samples: &mut mpsc::Receiver<(AppId, Sample)>) -> Sample {
    let (id, sample) =
        tokio::time::timeout(DEADLINE, samples.recv()).await.expect("in time").expect("the prober is there");
    assert_eq!(id, app());
    sample
}

/// The outcome of probing once, and the status that came with it.
async fn outcome(probe: Probe) -> (Outcome, Option<u16>) {
    let (prober, mut samples) = prober();
    prober.start(app(), probe);
    let sample = next(&mut samples).await;
    (sample.outcome, sample.http_status)
}

fn failure(cause: &str) -> Outcome {
    Outcome::Failure(cause.into())
}

/// A probe of an answer that is only a status line.
async fn status(line: &'static str, change: impl FnOnce(&mut Probe)) -> (Outcome, Option<u16>) {
    let mut probe = http(answering(line).await);
    change(&mut probe);
    outcome(probe).await
}

#[tokio::test]
async fn a_status_from_200_to_399_is_healthy_and_no_other() {
    for (line, code, healthy) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, true),
        ("HTTP/1.0 399 Odd\r\n\r\n", 399, true),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", 400, false),
        ("HTTP/1.1 404 Not Found\r\n\r\n", 404, false),
        ("HTTP/1.1 500 Oops\r\n\r\n", 500, false),
    ] {
        let expected = if healthy { Outcome::Success } else { failure(&format!("answered {code}")) };
        assert_eq!(status(line, |_| ()).await, (expected, Some(code)));
    }
}

#[tokio::test]
async fn a_redirection_is_healthy_and_not_followed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let elsewhere = server(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    let text = format!("HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/\r\n\r\n");
    let redirecting = answering(Box::leak(text.into_boxed_str())).await;
    let (prober, mut samples) = prober();
    prober.start(app(), http(redirecting));
    for _ in 0..3 {
        assert_eq!(next(&mut samples).await.outcome, Outcome::Success);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_request_says_who_asks_for_what() {
    let (heads, mut received) = mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let heads = heads.clone();
        async move {
            let head = head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let _ = heads.send(head);
        }
    })
    .await;
    assert_eq!(outcome(http(address)).await.0, Outcome::Success);
    let head = received.recv().await.expect("it was asked").to_lowercase();
    let lines: Vec<_> = head.lines().collect();
    assert_eq!(lines[0], "get /health?deep=1 http/1.1");
    let agent = format!("user-agent: ekiden/{}", env!("CARGO_PKG_VERSION"));
    for line in [&*format!("host: {address}"), &agent, "connection: close"] {
        assert!(lines.contains(&line), "no `{line}` in {head}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_fails_by_its_timeout() {
    let silent = server(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let probe = Probe { timeout: Duration::from_millis(100), ..http(silent) };
    assert_eq!(outcome(probe).await, (failure("no answer within 100 ms"), None));
    let probe = Probe { timeout: Duration::from_millis(100), ..https(silent) };
    assert_eq!(outcome(probe).await, (failure("no answer within 100 ms"), None));
    // A connection that opens is all that a TCP check asks for.
    assert_eq!(outcome(tcp(silent)).await, (Outcome::Success, None));
}

#[tokio::test]
async fn nobody_there_is_connection_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    for probe in [http(address), https(address), tcp(address)] {
        assert_eq!(outcome(probe).await, (failure("connection refused"), None));
    }
}

/// A server whose answer is cut off notes an error, once per probe and for ever.
#[tokio::test]
async fn a_short_body_is_read_to_its_end() {
    let (ends, mut ended) = mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let ends = ends.clone();
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n").await;
            let _ = stream.write_all(&[b'x'; 4096]).await;
            let _ = ends.send(stream.read(&mut [0]).await.map_err(|error| error.kind()));
        }
    })
    .await;
    assert_eq!(outcome(http(address)).await, (Outcome::Success, Some(200)));
    assert_eq!(ended.recv().await, Some(Ok(0)), "the connection was closed, not reset");
}

#[tokio::test]
async fn a_body_that_takes_too_long_spoils_no_success() {
    let slow = server(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    for timeout in [Duration::from_millis(50), DEADLINE] {
        let probe = Probe { timeout, ..http(slow) };
        assert_eq!(outcome(probe).await, (Outcome::Success, Some(200)), "{timeout:?}");
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let ended = Arc::new(Notify::new());
    let done = ended.clone();
    let endless = server(move |mut stream| {
        let done = done.clone();
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            done.notify_one();
        }
    })
    .await;
    assert_eq!(outcome(http(endless)).await, (Outcome::Success, Some(200)));
    tokio::time::timeout(DEADLINE, ended.notified()).await.expect("the connection was closed");
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let endless = server(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let (outcome, status) = outcome(http(endless)).await;
    let Outcome::Failure(cause) = outcome else { panic!("{outcome:?}") };
    assert!(cause.contains("head is larger than 16384 bytes"), "{cause}");
    assert_eq!(status, None);
}

#[tokio::test]
async fn what_is_not_http_or_ends_too_soon_fails_with_a_cause() {
    assert_eq!(status("SSH-2.0-OpenSSH_9.9\r\n\r\n", |_| ()).await.0, failure("the answer is not HTTP"));
    assert_eq!(status("", |_| ()).await.0, failure("the connection was closed before an answer"));
    assert_eq!(status("HTTP/1.1 2", |_| ()).await.0, failure("the connection was closed before an answer"));
}

#[tokio::test]
async fn an_answer_below_200_is_unhealthy_or_ignored_as_declared() {
    let early = "HTTP/1.1 102 Processing\r\n\r\n";
    assert_eq!(status(early, |_| ()).await, (failure("answered 102"), Some(102)));
    let ignored = status(early, |probe| probe.ignore_http_1xx = true).await;
    let expected = Outcome::NoResult("answered 102, which is to be ignored".into());
    assert_eq!(ignored, (expected, Some(102)));
    let switching = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    let ignored = status(switching, |probe| probe.ignore_http_1xx = true).await;
    assert_eq!(ignored.1, Some(101));
    assert!(matches!(ignored.0, Outcome::NoResult(_)), "{ignored:?}");
    // The real answer counts when there is one.
    let both = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(status(both, |_| ()).await, (Outcome::Success, Some(200)));
}

#[tokio::test]
async fn an_interim_answer_and_then_silence_is_that_answer() {
    let silent = server(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let probe = Probe { timeout: Duration::from_millis(300), ignore_http_1xx: true, ..http(silent) };
    assert_eq!(outcome(probe).await.1, Some(102));
}

#[tokio::test]
async fn readiness_is_one_of_the_named_statuses() {
    let ready = |probe: &mut Probe| {
        probe.kind = ProbeKind::Readiness;
        probe.ready_statuses = vec![200, 418];
    };
    assert_eq!(status("HTTP/1.1 418 Teapot\r\n\r\n", ready).await, (Outcome::Success, Some(418)));
    assert_eq!(status("HTTP/1.1 204 No Content\r\n\r\n", ready).await, (failure("answered 204"), Some(204)));
}

#[tokio::test]
async fn https_takes_any_certificate() {
    let certified = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a certificate with its key");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let address = server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve_hyper(stream).await;
            }
        }
    })
    .await;
    assert_eq!(outcome(https(address)).await, (Outcome::Success, Some(200)));
    let by_name = Probe { host: "localhost".into(), ..https(address) };
    assert_eq!(outcome(by_name).await, (Outcome::Success, Some(200)));

    let plain = answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let refused = Probe { timeout: Duration::from_millis(500), ..https(plain) };
    assert!(matches!(outcome(refused).await, (Outcome::Failure(_), None)));
}

async fn serve_hyper(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
        let found = request.uri().path() == "/health";
        let status = if found { 200 } else { 404 };
        let body = Full::new(Bytes::from_static(b"hello"));
        Ok::<_, Infallible>(Response::builder().status(status).body(body).expect("a response"))
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[tokio::test]
async fn a_name_that_is_none_is_not_the_instances_fault() {
    let address = answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let probe = Probe { host: "no such host.invalid".into(), ..http(address) };
    let (outcome, _) = outcome(probe).await;
    let Outcome::NoResult(cause) = outcome else { panic!("{outcome:?}") };
    assert!(cause.starts_with("cannot resolve `no such host.invalid`"), "{cause}");
}

#[tokio::test]
async fn a_path_that_cannot_be_asked_for_is_not_the_instances_fault() {
    let mut probe = http(answering("HTTP/1.1 200 OK\r\n\r\n").await);
    if let CheckKind::Http { path, .. } = &mut probe.check {
        *path = "/a b".into();
    }
    let (outcome, _) = outcome(probe).await;
    assert!(matches!(outcome, Outcome::NoResult(_)), "{outcome:?}");
}

/// Each probe is a connection of its own; once `stop` has returned there are no more samples, and soon no more
/// connections.
#[tokio::test]
async fn stop_really_stops() {
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = accepted.clone();
    let address = server(move |mut stream| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    })
    .await;
    let (prober, mut samples) = prober();
    let other = Probe { kind: ProbeKind::Health(1), ..http(address) };
    prober.start(app(), http(address));
    for _ in 0..3 {
        let _ = next(&mut samples).await;
    }
    prober.stop(app(), other.instance, ProbeKind::Health(0));
    while samples.try_recv().is_ok() {}
    let before = accepted.load(Ordering::SeqCst);
    assert!(before >= 3);
    // Another probe of the same pace measures the time in which the first would have come many times.
    prober.start(app(), other);
    for _ in 0..10 {
        assert_eq!(next(&mut samples).await.kind, ProbeKind::Health(1));
    }
    let made = accepted.load(Ordering::SeqCst) - before;
    assert!((10..=12).contains(&made), "{made} connections for 10 probes");
}
