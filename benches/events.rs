//! How late events reach those who listen: 1,000 of them on one machine, 2,000 events a second.
//!
//! `cargo bench --bench events`. The API is served as in production, in this process; its clients are in it, too, and read
//! and understand what they get as far as the number of each event. So both share the machine, and its loopback.

#[path = "../tests/support/offered.rs"]
mod offered;

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use ekiden::api::{self, Exposure, HttpOptions};
use ekiden::runtime::EventLog;
use ekiden::runtime::snapshot::Publisher;
use ekiden_model::event::Event;
use ekiden_model::id::AppKey;
use ekiden_model::view::Settled;
use ekiden_model::{AppId, Condition, Incarnation, InstanceId, InstanceKey, Port, Slot, Timestamp};
use futures_util::stream::{FuturesUnordered, StreamExt};
use memchr::memmem::Finder;
use offered::offered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const LISTENERS: usize = 1000;
const PER_SECOND: u32 = 2000;
const FOR: Duration = Duration::from_secs(5);

/// What was aimed at.
const AIM: Duration = Duration::from_millis(100);

/// Events are pushed in ticks, as the loop does after each step.
const TICK: Duration = Duration::from_millis(5);

/// All must have come by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Before the number of an event in its frame. Each event is one frame of this type.
const MARK: &[u8] = b"\"message\":\"";

/// There are more bytes than this from one number to the next mark: clients need not look at them.
const BETWEEN: usize = 350;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let http = HttpOptions::plain(SocketAddr::from(([127, 0, 0, 1], 0)), Exposure::Never);
    let listeners = api::bind(http).await?;
    let address = listeners.terms.addresses.http.ok_or("no address")?;
    let events = EventLog::new(Timestamp::from_millis(1));
    let stop = CancellationToken::new();
    let (mut publisher, snapshots) = Publisher::new();
    publisher.publish(Timestamp::from_millis(1), Settled::Yes);
    let api = offered(snapshots, events.clone(), folder.path(), listeners.terms.clone(), stop.clone());
    let serving = tokio::spawn(api::serve(listeners, api, stop.clone()));

    let mut streams = Vec::with_capacity(LISTENERS);
    for _ in 0..LISTENERS {
        streams.push(listen(address).await?);
    }
    let count = PER_SECOND as usize * FOR.as_secs() as usize;
    let began = Instant::now() + Duration::from_secs(1);
    // All clients in one task: what they cost is one thread's time.
    let reading = tokio::spawn(async move {
        let mut readers: FuturesUnordered<_> =
            streams.into_iter().map(|stream| read(stream, began, count)).collect();
        let mut lags = Vec::with_capacity(LISTENERS * count);
        let mut cut_off = 0;
        while let Some(read) = readers.next().await {
            cut_off += usize::from(read.len() < count);
            lags.extend(read);
        }
        (lags, cut_off)
    });
    push(&events, began, count).await;
    let (mut lags, cut_off) = tokio::time::timeout(PATIENCE, reading).await??;
    stop.cancel();
    serving.await??;

    lags.sort_unstable();
    let at = |share: f64| lags.get((lags.len() as f64 * share) as usize).copied().map_or(Duration::ZERO, micros);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{LISTENERS} listeners, {PER_SECOND} events/s for {} s: {} frames read",
        FOR.as_secs(),
        lags.len()
    )?;
    writeln!(out, "  lag p50 {:>9.1?}  p99 {:>9.1?}  max {:>9.1?}", at(0.5), at(0.99), at(1.0 - f64::EPSILON))?;
    writeln!(out, "  cut off: {cut_off} of {LISTENERS}")?;
    writeln!(out, "  aim: p99 of at most {AIM:?}, nobody cut off")?;
    Ok(())
}

fn micros(lag: u32) -> Duration {
    Duration::from_micros(u64::from(lag))
}

/// Opens a stream, and waits until it is one.
async fn listen(address: SocketAddr) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /v2/events?event_type=status_update_event HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        head.extend_from_slice(&byte);
    }
    Ok(stream)
}

/// When the `number`-th event happens.
fn due(began: Instant, number: usize) -> Instant {
    let ticks = number as u32 / (PER_SECOND * TICK.as_millis() as u32 / 1000);
    began + TICK * ticks
}

async fn push(events: &EventLog, began: Instant, count: usize) {
    let Ok(app) = AppId::parse("/bench/app") else { return };
    let key = AppKey::new(1, 1, &app);
    let instance = InstanceKey { slot: Slot(0), incarnation: Incarnation::FIRST };
    let task = InstanceId { app: key, slot: instance.slot }.task(&app, instance.incarnation);
    let ports: Vec<Port> = Port::new(31_000).into_iter().collect();
    for number in 0..count {
        tokio::time::sleep_until(due(began, number)).await;
        let event = Event::InstanceChanged {
            app: app.clone(),
            instance,
            condition: Condition::Running,
            version: Timestamp::from_millis(1),
            agent: "2b6fa1a8-8d6f-4c4a-9a3e-0a1b2c3d4e5f-S12".into(),
            host: "agent-12.example.com".into(),
            ports: ports.clone(),
            message: format!("{number:06}").into(),
            task: task.clone(),
        };
        events.push(Timestamp::from_millis(2), event, Some(key));
    }
}

/// Reads all events of one stream; how late each was, in microseconds after it happened.
async fn read(mut stream: TcpStream, began: Instant, count: usize) -> Vec<u32> {
    let mark = Finder::new(MARK);
    let mut lags = Vec::with_capacity(count);
    let mut bytes = vec![0; 64 << 10];
    let (mut filled, mut skip) = (0, 0);
    while lags.len() < count {
        let Ok(read) = stream.read(&mut bytes[filled..]).await else { break };
        if read == 0 {
            break;
        }
        let now = Instant::now();
        let end = filled + read;
        let mut start = skip;
        while let Some(at) = bytes.get(start..end).and_then(|bytes| mark.find(bytes)) {
            let from = start + at + MARK.len();
            let Some(digits) = bytes[..end].get(from..from + 6) else { break };
            let number =
                digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit.wrapping_sub(b'0')));
            lags.push(u32::try_from(now.duration_since(due(began, number)).as_micros()).unwrap_or(u32::MAX));
            start = from + 6 + BETWEEN;
        }
        // What may be the beginning of a mark, and of its number.
        let keep = start.max(end.saturating_sub(MARK.len() + 6)).min(end);
        skip = start.saturating_sub(end);
        bytes.copy_within(keep..end, 0);
        filled = end - keep;
    }
    lags
}
