//! Reads of the HTTP API: 10,000 apps, server and client in one process on two threads, over loopback, while 100 apps a
//! second change.
//!
//! `cargo bench --bench api`. Requests are sent when they are due and not when the last one was answered, so a slow answer
//! makes those behind it late, too, as it would in the field. What the client's timer adds (it ticks once a millisecond)
//! is left out.

#![expect(clippy::expect_used, reason = "a bench that cannot go on has nothing to say")]

#[path = "../tests/support/offered.rs"]
mod offered;
#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../tests/http/rig.rs"]
mod rig;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ekiden::api::{Exposure, HttpOptions};
use rig::Rig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Apps in the world.
const APPS: usize = 10_000;

/// Apps that change in a second.
const CHANGES: u32 = 100;

/// How long each kind of request is measured.
const MEASURED: Duration = Duration::from_secs(10);

/// One kind of request.
struct Load {
    name: &'static str,
    /// A second, over all connections.
    rate: u32,
    connections: u32,
    aim: Duration,
}

const LOADS: [Load; 4] = [
    Load { name: "all apps", rate: 20, connections: 4, aim: Duration::from_millis(60) },
    Load { name: "all apps, unchanged (304)", rate: 1000, connections: 4, aim: Duration::from_millis(1) },
    Load { name: "one app", rate: 20_000, connections: 16, aim: Duration::from_millis(2) },
    Load { name: "one app, unchanged (304)", rate: 20_000, connections: 16, aim: Duration::from_millis(1) },
];

fn main() {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let lines = threads.expect("threads").block_on(measure());
    std::io::stdout().lock().write_all(lines.as_bytes()).expect("printed");
}

async fn measure() -> String {
    let options = HttpOptions::plain(([127, 0, 0, 1], 0).into(), Exposure::Never);
    let mut rig = Rig::start(options, APPS).await;
    let address = rig.http();
    let bytes = rig.get("/v2/apps", "").await.bytes.len();
    let mut lines = format!("{APPS} apps, {bytes} bytes of them, {CHANGES} changes/s\n");
    for load in &LOADS {
        let (tag, is_unchanged) = match load.name {
            "one app, unchanged (304)" => (rig.get("/v2/apps/app-1", "").await.header("etag"), true),
            // Whatever is published meanwhile: nothing, so that there is something unchanged to ask for.
            "all apps, unchanged (304)" => (rig.get("/v2/apps", "").await.header("etag"), true),
            _ => (None, false),
        };
        let tag = tag.map(|tag| format!("If-None-Match: {tag}\r\n")).unwrap_or_default();
        let path = if load.name.starts_with("all") { "/v2/apps" } else { "/v2/apps/app-1" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{tag}\r\n");
        let began = Instant::now();
        let clients: Vec<_> = (0..load.connections)
            .map(|number| tokio::spawn(client(address, request.clone(), load.rate, load.connections, number)))
            .collect();
        let mut changed = 0;
        while began.elapsed() < MEASURED {
            if !(is_unchanged && path == "/v2/apps") {
                changed += 1;
                // Not the one that is asked for, where its being unchanged is what is measured.
                rig.change(2 + changed % (APPS - 2));
            }
            tokio::time::sleep(Duration::from_secs(1) / CHANGES).await;
        }
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await.expect("no panic"));
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        let (p50, p99, most, answered) = (at(50), at(99), at(100), times.len() as u64 / MEASURED.as_secs());
        let (name, rate, aim) = (load.name, load.rate, load.aim);
        // Writing to a string cannot fail.
        let _ = writeln!(
            lines,
            "{name:28} {rate:>6}/s asked, {answered:>6}/s answered  p50 {p50:>9.1?}  p99 {p99:>9.1?}  max {most:>9.1?}  \
             aim {aim:?}"
        );
    }
    lines
}

/// One connection's share of the requests; how long each took from when it was due.
async fn client(address: SocketAddr, request: String, rate: u32, connections: u32, number: u32) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    let every = Duration::from_secs(1) * connections / rate;
    let mut due = Instant::now() + every * number / connections;
    let end = due + MEASURED;
    let mut woken = Instant::now();
    let mut times = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    while due < end {
        if Instant::now() < due {
            tokio::time::sleep_until(due.into()).await;
            woken = Instant::now();
        }
        stream.write_all(request.as_bytes()).await.expect("sent");
        read_answer(&mut stream, &mut buffer).await;
        times.push(due.max(woken).elapsed());
        due += every;
    }
    times
}

/// Reads one answer to its end, and throws it away.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    let (head, mut rest) = loop {
        let count = stream.read(&mut buffer[filled..]).await.expect("readable");
        assert!(count > 0, "the server has closed");
        filled += count;
        if let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase(), filled - end - 4);
        }
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let length = length.unwrap_or(0);
    while rest < length {
        let count = stream.read(buffer).await.expect("readable");
        assert!(count > 0, "the server has closed");
        rest += count;
    }
}
