//! HTTP that holds: raw sockets against the listeners, in this process. What clients may do wrong, and what they may not
//! do at all.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/offered.rs"]
mod offered;
#[path = "http/rig.rs"]
mod rig;

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use ekiden::api::access::{Credential, CredentialSources, Scope};
use ekiden::api::{BindError, CertificateFiles, Exposure, HttpOptions};
use rig::{Answer, PATIENCE, Rig, get, pem, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn options() -> HttpOptions {
    HttpOptions::plain(([127, 0, 0, 1], 0).into(), Exposure::Never)
}

fn basic(name: &str, password: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("Authorization: Basic {pair}\r\n")
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_and_the_next_client_is_served() {
    let rig = Rig::start(options(), 3).await;
    let garbage: [(&[u8], &[u16]); 8] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400, 0]),
        (b"GET\r\n\r\n", &[400, 0]),
        (b"GET /v2/apps HTTP/9.9\r\n\r\n", &[400, 0]),
        (b"GET /v2/%ff%00%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &[404]),
        (b"GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &[400, 404]),
        (b"POST /v2/apps HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", &[400]),
        (
            b"POST /v1/adoption HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
            &[400],
        ),
        (
            b"POST /v1/adoption HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
            &[413],
        ),
    ];
    for (bytes, expected) in garbage {
        let answer = rig.raw(bytes).await;
        let shown = String::from_utf8_lossy(bytes).into_owned();
        assert!(expected.contains(&answer.status), "{shown:?}: {} {}", answer.status, answer.body());
        assert_eq!(rig.get("/v2/apps", "").await.status, 200, "after {shown:?}");
    }
    let mut many = "GET /v2/apps HTTP/1.1\r\nHost: localhost\r\n".to_owned();
    many.extend(["X-Padding: ", &"x".repeat(100 << 10), "\r\n\r\n"]);
    assert_eq!(rig.raw(many.as_bytes()).await.status, 431, "headers have their limit");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_slow_is_not_waited_for() {
    let rig = Rig::start(options(), 1).await;
    // Time passes at once while all wait, so only what the server does about it is seen.
    let slow_head = b"GET /v2/apps HTTP/1.1\r\nHost: loc";
    let mut stream = TcpStream::connect(rig.http()).await.expect("connected");
    stream.write_all(slow_head).await.expect("sent");
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "a head that never ends holds no connection");

    let slow_body =
        b"POST /v1/adoption HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{";
    let answer = rig.raw(slow_body).await;
    assert_eq!(answer.status, 408, "{}", answer.body());
}

#[tokio::test]
async fn each_route_has_its_methods_and_says_which() {
    let rig = Rig::start(options(), 1).await;
    let wrong = rig.ask("PATCH", "/v2/queue", "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD, OPTIONS".to_owned())));
    let asked = rig.ask("OPTIONS", "/v2/queue", "").await;
    assert_eq!((asked.status, asked.header("allow")), (204, Some("GET, HEAD, OPTIONS".to_owned())));
    assert_eq!(rig.get("/v2/nothing", "").await.status, 404);
    assert!(rig.get("/", "Accept: text/html\r\n").await.body().contains("/v2/apps"));
    let whole = rig.get("/v2/apps", "").await;
    let head = rig.ask("HEAD", "/v2/apps", "").await;
    assert_eq!(head.header("content-length"), Some(whole.bytes.len().to_string()));
    assert!(head.bytes.is_empty());
}

#[tokio::test]
async fn a_read_that_would_say_the_same_costs_nothing() {
    let mut rig = Rig::start(options(), 50).await;
    let first = rig.get("/v2/apps", "").await;
    let tag = first.header("etag").expect("a tag");
    let same = rig.get("/v2/apps", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((same.status, same.bytes.len()), (304, 0));
    assert_eq!(same.header("etag").as_ref(), Some(&tag));
    let other = rig.get("/v2/apps?id=1", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!(other.status, 200, "another query is another answer");

    let one = rig.get("/v2/apps/app-1", "").await.header("etag").expect("a tag");
    rig.change(2);
    let of_all = rig.get("/v2/apps", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!(of_all.status, 200, "the world has changed");
    let unchanged = rig.get("/v2/apps/app-1", &format!("If-None-Match: \"x\", W/{one}\r\n")).await;
    assert_eq!(unchanged.status, 304, "this app has not");
    rig.change(1);
    let changed = rig.get("/v2/apps/app-1", &format!("If-None-Match: {one}\r\n")).await;
    assert_eq!(changed.status, 200);
    assert_eq!(rig.get("/v2/apps/none", "If-None-Match: *\r\n").await.status, 404);
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_asks_and_streams_never() {
    let rig = Rig::start(options(), 500).await;
    let plain = rig.get("/v2/apps", "").await;
    assert_eq!(plain.header("vary").as_deref(), Some("accept-encoding"));
    let small = rig.get("/v2/apps", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(small.header("content-encoding").as_deref(), Some("gzip"));
    assert!(small.bytes.len() < plain.bytes.len() / 4, "{} of {}", small.bytes.len(), plain.bytes.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&small.bytes[..]).read_to_string(&mut text).expect("gzip");
    assert!(text == plain.body());
    let tag = small.header("etag").expect("a tag");
    assert!(tag.ends_with("-gzip\""), "{tag}");
    let same = rig.get("/v2/apps", &format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n")).await;
    assert_eq!((same.status, same.header("etag")), (304, Some(tag)));

    let mut stream = TcpStream::connect(rig.http()).await.expect("connected");
    let request =
        "GET /v2/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut seen = String::new();
    let first = async {
        while !seen.contains("event_stream_attached") {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).await.expect("readable");
            assert!(count > 0, "it ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    tokio::time::timeout(PATIENCE, first).await.expect("frames come as they are");
    assert!(!seen.contains("content-encoding"), "{seen}");
}

#[tokio::test]
async fn only_whoever_has_credentials_gets_in_and_the_file_may_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    let ann = Credential::with_password("ann", Scope::Write, "hush").expect("made").credential;
    let ci = Credential::with_token("ci", Scope::Read).expect("made");
    let bearer = format!("Authorization: Bearer {}\r\n", ci.token.clone().expect("a token"));
    std::fs::write(&file, format!("{}\n{}\n", ann.line(), ci.credential.line())).expect("written");
    let credentials = CredentialSources { file: Some(file.clone()), single: None };
    let rig = Rig::start(HttpOptions { credentials, ..options() }, 1).await;

    assert_eq!(rig.get("/ping", "").await.status, 200, "pings need none");
    let nobody = rig.get("/v2/apps", "").await;
    assert_eq!(nobody.status, 401);
    assert!(
        nobody.head.contains("basic realm=\"ekiden\"") && nobody.body().starts_with("{\"message\":"),
        "{nobody:?}"
    );
    assert_eq!(rig.get("/v9/none", "").await.status, 401, "nobody learns what is not there, either");
    assert_eq!(rig.get("/v2/apps", &bearer).await.status, 200);
    assert_eq!(rig.ask("DELETE", "/v1/adoption", &bearer).await.status, 403);
    let ann_says = basic("ann", "hush");
    assert_eq!(rig.get("/v2/apps", &ann_says).await.status, 200);
    let foreign = format!("{ann_says}Origin: http://evil.example\r\n");
    assert_eq!(rig.ask("DELETE", "/v1/adoption", &foreign).await.status, 403, "a page of another site");

    std::fs::write(&file, "nonsense\n").expect("written");
    std::fs::write(&file, format!("{}\n", ann.line())).expect("written");
    until("the file is read again", async || (rig.get("/v2/apps", &bearer).await.status == 401).then_some(()))
        .await;
    assert_eq!(rig.get("/v2/apps", &ann_says).await.status, 200);
}

#[tokio::test]
async fn whoever_guesses_has_to_wait_longer_and_longer() {
    let single = Some(Credential::given("ann:hush").expect("a pair"));
    let credentials = CredentialSources { file: None, single };
    let rig = Rig::start(HttpOptions { credentials, ..options() }, 1).await;
    let mut statuses = Vec::new();
    for guess in 0..8 {
        statuses.push(rig.get("/v2/apps", &basic("ann", &guess.to_string())).await.status);
    }
    assert!(statuses.starts_with(&[401; 5]) && statuses.ends_with(&[429]), "{statuses:?}");
    let refused = rig.get("/v2/apps", &basic("ann", "x")).await;
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(rig.get("/v2/apps", &basic("ann", "hush")).await.status, 200, "who knows it is let in");
}

#[tokio::test]
async fn a_public_address_needs_credentials() {
    let public = |credentials| HttpOptions {
        http: Some(([0, 0, 0, 0], 0).into()),
        exposure: Exposure::Refused,
        credentials,
        ..options()
    };
    let refused = ekiden::api::bind(public(CredentialSources::default())).await.map(drop);
    assert!(matches!(refused, Err(BindError::Public(..))), "{refused:?}");
    let single = Some(Credential::given("ann:hush").expect("a pair"));
    assert!(ekiden::api::bind(public(CredentialSources { file: None, single })).await.is_ok());
    let nowhere = ekiden::api::bind(HttpOptions { http: None, ..options() }).await.map(drop);
    assert!(matches!(nowhere, Err(BindError::Nowhere)), "{nowhere:?}");
}

#[tokio::test]
async fn tls_is_spoken_with_the_newest_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let files =
        CertificateFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let issue = || {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        std::fs::write(&files.certificate, pem("CERTIFICATE", pair.cert.der())).expect("written");
        std::fs::write(&files.key, pem("PRIVATE KEY", &pair.signing_key.serialize_der())).expect("written");
        pair.cert.der().clone()
    };
    let first = issue();
    let https = Some((([127, 0, 0, 1], 0).into(), files.clone()));
    let rig = Rig::start(HttpOptions { http: None, https, ..options() }, 1).await;

    let answer = rig.secure(&first, "/v2/info").await.expect("trusted");
    assert!(answer.head.contains("x-marathon-leader: https://127.0.0.1:"), "{}", answer.head);
    let info: serde_json::Value = serde_json::from_slice(&answer.bytes).expect("JSON");
    assert_eq!(info["http_config"]["http_port"], serde_json::Value::Null);
    assert_eq!(info["http_config"]["https_port"], rig.https().port());
    // Whoever speaks clear text to it, or nothing, hinders nobody.
    let mut mute = TcpStream::connect(rig.https()).await.expect("connected");
    mute.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");

    std::fs::write(&files.key, "no key").expect("written");
    let second = issue();
    until("the new certificate is served", async || rig.secure(&second, "/ping").await).await;
    assert!(rig.secure(&first, "/ping").await.is_none(), "the old one is no more");
}

#[tokio::test]
async fn many_connections_are_served_and_more_requests_than_allowed_are_told_so() {
    let rig = Rig::start(HttpOptions { at_once: Some(1), ..options() }, 1).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(rig.http()).await.expect("connected"));
    }
    assert_eq!(rig.get("/v2/apps", "").await.status, 200, "idle connections hinder nobody");
    // A request whose body has not arrived is under way.
    let mut half = TcpStream::connect(rig.http()).await.expect("connected");
    let head = "POST /v1/adoption HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{";
    half.write_all(head.as_bytes()).await.expect("sent");
    let refused = until("it counts", async || {
        let answer = rig.get("/v2/apps", "").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(rig.get("/ping", "").await.status, 200);
    drop(half);
    until("it counts no more", async || (rig.get("/v2/apps", "").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn pages_of_sites_the_operator_named_may_read() {
    let rig = Rig::start(HttpOptions { origins: vec!["https://dash.example".to_owned()], ..options() }, 1).await;
    let allowed = rig.get("/v2/apps", "Origin: https://dash.example\r\n").await;
    assert_eq!(allowed.header("access-control-allow-origin").as_deref(), Some("https://dash.example"));
    assert_eq!(allowed.header("access-control-allow-methods").as_deref(), Some("get, head, options"));
    let other = rig.get("/v2/apps", "Origin: https://other.example\r\n").await;
    assert_eq!(other.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_server_that_is_told_to_end_lets_open_requests_end_first() {
    let rig = Rig::start(options(), 2000).await;
    let mut stream = TcpStream::connect(rig.http()).await.expect("connected");
    stream.write_all(b"GET /v2/apps HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut bytes = vec![0; 1];
    stream.read_exact(&mut bytes).await.expect("it has begun");
    let address = rig.http();
    let stopped = rig.stop();
    let rest = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
    let (rest, ()) = tokio::join!(rest, stopped);
    rest.expect("in time").expect("readable");
    let answer = Answer::of(&bytes).expect("whole");
    let length: usize = answer.header("content-length").and_then(|length| length.parse().ok()).expect("a length");
    assert_eq!(answer.bytes.len(), length);
    assert!(get(address, "/ping", "").await.is_none(), "nobody is there any more");
}

#[tokio::test]
async fn a_group_shows_its_apps_as_they_are_now() {
    let mut rig = Rig::start(options(), 2).await;
    let instances = async |rig: &Rig, path: &str| {
        let answer = rig.get(path, "").await;
        let group: serde_json::Value = serde_json::from_slice(&answer.bytes).expect("JSON");
        let apps = group["apps"].as_array().cloned().unwrap_or_default();
        apps.into_iter().map(|app| app["instances"].clone()).collect::<Vec<_>>()
    };
    for path in ["/v2/groups", "/v2/groups/apps", "/v2/groups?embed=group.apps.counts"] {
        assert_eq!(instances(&rig, path).await, [1, 1], "{path}");
    }
    rig.change(1);
    for path in ["/v2/groups", "/v2/groups/apps", "/v2/groups?embed=group.apps.counts"] {
        assert_eq!(instances(&rig, path).await, [1, 7], "{path}");
    }
    let bare = rig.get("/v2/groups?embed=group.groups", "").await.body();
    let version = "2026-11-20T10:00:00.000Z";
    assert_eq!(bare, format!(r#"{{"id":"/","groups":[],"dependencies":[],"version":"{version}"}}"#));
}
