//! The HTTP API of the whole program while it works: 10,000 apps that run, and a hundred durable writes a second, each of
//! which becomes a deployment, a launch or a kill.
//!
//! Requests are sent when they are due and not when the last one was answered, so a slow answer makes those behind it
//! late, too, as it would in the field. What the client's timer adds (it ticks once a millisecond) is left out.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ekiden_kit::master::Options;
use memchr::memmem;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client;
use crate::fleet::spec;
use crate::program::{PATIENCE, Program};
use crate::{start_masters, tell};

/// Apps that are declared, each with one instance.
const APPS: usize = 10_000;

/// What a burst of the offers of thousands costs is measured by itself.
const AGENTS: u32 = 100;

/// Apps that are written to, one after the other: scaled up in one round, and down in the next.
const WRITTEN: usize = 1000;

/// How long nothing is asked between the first launches and the first measurement.
const RESTS: Duration = Duration::from_secs(5);

/// How long each kind of request is measured.
const MEASURED: Duration = Duration::from_secs(10);

const WRITES: Load = Load { name: "write", path: "", unchanged: false, rate: 100, connections: 8, aim_ms: 20 };

/// One kind of request.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    path: &'static str,
    /// Whether it is asked for only if it is another than it was.
    unchanged: bool,
    /// A second, over all connections.
    rate: u32,
    connections: u32,
    aim_ms: u64,
}

const READS: [Load; 5] = [
    Load { name: "all apps", path: "/v2/apps", unchanged: false, rate: 20, connections: 4, aim_ms: 60 },
    Load { name: "one app", path: APP, unchanged: false, rate: 10_000, connections: 64, aim_ms: 2 },
    Load { name: "one app", path: APP, unchanged: false, rate: 20_000, connections: 64, aim_ms: 2 },
    Load { name: "one app, 304", path: APP, unchanged: true, rate: 20_000, connections: 64, aim_ms: 1 },
    // While somebody writes there is no such answer, since something has changed: this one is asked without.
    Load { name: ALL_UNCHANGED, path: "/v2/apps", unchanged: true, rate: 1000, connections: 4, aim_ms: 1 },
];

const ALL_UNCHANGED: &str = "all apps, 304";

/// One that nobody writes to.
const APP: &str = "/v2/apps/fleet/app-9999";

/// What came of the requests of a kind.
struct Times {
    /// From the first request to the last answer.
    took: Duration,
    /// Of each, from when it was due, in order of length.
    sorted: Vec<Duration>,
    /// How many had the status that was expected.
    good: usize,
}

impl Times {
    fn shown(&self, load: &Load) -> String {
        let Self { took, sorted, good } = self;
        let at = |percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)];
        let answered = (*good as f64 / took.as_secs_f64()).round();
        let Load { name, rate, aim_ms, .. } = load;
        let mut text = format!("{name:>14} {rate:>6}/s {answered:>6}/s");
        for time in [at(50), at(99), at(100)] {
            let _ = write!(text, " {:>9}", format!("{time:.1?}"));
        }
        let _ = write!(text, " {:>8}", format!("{aim_ms} ms"));
        text
    }
}

pub(crate) async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("manifests")).expect("a folder");
    let options = Options { agents: (0..AGENTS).map(spec).collect(), ..Options::default() };
    let fake = start_masters(options).await;
    let program = Program::start(folder.path(), &fake.address());
    program.says("/v1/status", "\"settled\":true").await;
    let address = program.address().to_owned();

    let began = Instant::now();
    let apps: Vec<_> = (0..APPS)
        .map(|number| json!({ "id": format!("/fleet/app-{number}"), "cmd": "exec service", "cpus": 0.01, "mem": 1 }))
        .collect();
    let answer = client::send(&address, &put("/v2/apps", &json!(apps).to_string(), "Connection: close\r\n")).await;
    assert_eq!(answer.expect("it answers").status, 200);
    let declared = began.elapsed();
    while fake.running_count() < APPS {
        assert!(began.elapsed() < PATIENCE, "not all are launched:\n{}", program.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = began.elapsed();
    program.says("/v2/deployments", "[]").await;
    let over = began.elapsed();
    let asked = Instant::now();
    let size = program.get("/v2/apps").await.expect("it answers").len();
    tell(format_args!(
        "{APPS} apps, declared by one request within {declared:.1?}; all run after {all:.1?}, and the deployment is over \
         after {over:.1?}; {size} bytes, rendered for the first time within {:.1?}",
        asked.elapsed()
    ));

    while program.number("ekiden_mesos_calls_waiting").await > 0.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The master and its agents, which share the processors, are given time to come to rest, too. A second after they were
    // launched, the apps' records change once more; what that makes of the answers is rendered here.
    tokio::time::sleep(RESTS).await;
    program.get("/v2/apps").await.expect("it answers");
    tell(format_args!(
        "{:>14} {:>8} {:>8} {:>9} {:>9} {:>9} {:>8}",
        "", "asked", "answered", "p50", "p99", "max", "aim p99"
    ));
    let mut round = 0;
    tell(writes(&address, &mut round).await.shown(&WRITES));
    for load in READS {
        if load.name == ALL_UNCHANGED {
            program.says("/v2/deployments", "[]").await;
            tell(reads(&address, load).await.shown(&load));
        } else {
            let (read, written) = tokio::join!(reads(&address, load), writes(&address, &mut round));
            tell(read.shown(&load));
            tell(format_args!("{}  meanwhile", written.shown(&WRITES)));
        }
    }
    program.kill().await;
}

async fn reads(address: &str, load: Load) -> Times {
    let Load { path, unchanged, .. } = load;
    let tag = if unchanged {
        let answer = client::get(address, path, "*/*").await.expect("it answers");
        let tag = answer.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
        format!("If-None-Match: {tag}\r\n")
    } else {
        String::new()
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{tag}\r\n");
    let expected = if unchanged { 304 } else { 200 };
    ask(address, load, expected, move |_| request.clone()).await
}

/// Scales one app after the other.
async fn writes(address: &str, round: &mut usize) -> Times {
    let first = *round;
    *round += MEASURED.as_secs() as usize * WRITES.rate as usize;
    ask(address, WRITES, 200, move |number| {
        let number = first + number;
        let instances = if (number / WRITTEN).is_multiple_of(2) { 2 } else { 1 };
        put(&format!("/v2/apps/fleet/app-{}", number % WRITTEN), &format!("{{\"instances\":{instances}}}"), "")
    })
    .await
}

fn put(path: &str, body: &str, headers: &str) -> String {
    let length = body.len();
    format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Sends the requests of a kind over its connections.
async fn ask(
    address: &str,
    load: Load,
    expected: u16,
    request: impl Fn(usize) -> String + Clone + Send + 'static,
) -> Times {
    let began = Instant::now();
    let clients: Vec<_> = (0..load.connections)
        .map(|number| tokio::spawn(connection(address.to_owned(), load, number, request.clone())))
        .collect();
    let (mut sorted, mut good) = (Vec::new(), 0);
    for client in clients {
        for (time, status) in client.await.expect("no panic") {
            sorted.push(time);
            good += usize::from(status == expected);
        }
    }
    sorted.sort_unstable();
    Times { took: began.elapsed(), sorted, good }
}

/// One connection's share of the requests: how long each took from when it was due, and its status.
async fn connection(
    address: String,
    load: Load,
    first: u32,
    request: impl Fn(usize) -> String + Send,
) -> Vec<(Duration, u16)> {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    let every = Duration::from_secs(1) * load.connections / load.rate;
    let mut due = Instant::now() + every * first / load.connections;
    let end = due + MEASURED;
    let mut woken = Instant::now();
    let mut number = first as usize;
    let mut times = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    while due < end {
        if Instant::now() < due {
            tokio::time::sleep_until(due.into()).await;
            woken = Instant::now();
        }
        stream.write_all(request(number).as_bytes()).await.expect("sent");
        let status = read_answer(&mut stream, &mut buffer).await;
        times.push((due.max(woken).elapsed(), status));
        due += every;
        number += load.connections as usize;
    }
    times
}

/// Reads one answer to its end, and throws it away but for its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> u16 {
    let mut filled = 0;
    let (head, mut rest) = loop {
        let count = stream.read(&mut buffer[filled..]).await.expect("readable");
        assert!(count > 0, "the server has closed");
        filled += count;
        if let Some(end) = memmem::find(&buffer[..filled], b"\r\n\r\n") {
            break (&buffer[..end], filled - end - 4);
        }
    };
    let status = std::str::from_utf8(&head[9..12]).expect("digits").parse().expect("a status");
    let length = memmem::find(head, b"\r\ncontent-length: ").map_or(0, |at| {
        let digits = head[at + 18..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
    });
    while rest < length {
        let count = stream.read(buffer).await.expect("readable");
        assert!(count > 0, "the server has closed");
        rest += count;
    }
    status
}
