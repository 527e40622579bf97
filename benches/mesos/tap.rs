//! Stands between ekiden and a master, passes everything on, and notes when what passed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Ekiden asks for offers.
    Revive,
    /// Mesos offers.
    Offers,
    /// Ekiden uses offers up.
    Accept,
    /// A task in what is launched.
    Launch,
    /// Mesos says that a task runs.
    Running,
}

/// What is looked for, in what goes up to the master and in what comes down. Each occurs once in what it stands for.
const UP: [(&str, Passed); 3] = [
    (r#""type":"REVIVE""#, Passed::Revive),
    (r#""type":"ACCEPT""#, Passed::Accept),
    (r#""name":"MESOS_TASK_ID""#, Passed::Launch),
];
const DOWN: [(&str, Passed); 2] =
    [(r#"{"type":"OFFERS""#, Passed::Offers), (r#""state":"TASK_RUNNING""#, Passed::Running)];

/// How often what has passed is looked at: part of no figure, as what passes is noted when it does.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Nothing takes so long, unless it never happens.
const PATIENCE: Duration = Duration::from_secs(120);

/// The notes.
#[derive(Debug, Clone)]
pub(crate) struct Tap {
    address: String,
    notes: Arc<Mutex<Vec<(Instant, Passed)>>>,
}

impl Tap {
    /// Stands before this master.
    pub(crate) async fn before(master: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("it listens").to_string();
        let tap = Self { address, notes: Arc::default() };
        let notes = Arc::clone(&tap.notes);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&master).await.expect("the master listens");
                // Waiting for more to send is no part of what is measured.
                client.set_nodelay(true).and(server.set_nodelay(true)).expect("sockets");
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_client, to_server, &UP, Arc::clone(&notes)));
                tokio::spawn(pass(from_server, to_client, &DOWN, Arc::clone(&notes)));
            }
        });
        tap
    }

    /// Where ekiden is to find it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.notes.lock().expect("no panic").clear();
    }

    /// What has passed, in order.
    pub(crate) fn notes(&self) -> Vec<(Instant, Passed)> {
        self.notes.lock().expect("no panic").clone()
    }

    /// Waits until so many of a kind have passed.
    pub(crate) async fn until(&self, kind: Passed, count: usize) {
        let began = Instant::now();
        while self.notes().iter().filter(|(_, passed)| *passed == kind).count() < count {
            assert!(began.elapsed() < PATIENCE, "{count} times {kind:?}: only {:?}", self.notes());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    patterns: &'static [(&'static str, Passed)],
    notes: Arc<Mutex<Vec<(Instant, Passed)>>>,
) {
    let longest = patterns.iter().map(|(pattern, _)| pattern.len()).max().unwrap_or(1);
    let mut chunk = vec![0; 64 * 1024];
    // The end of what came before, in which nothing was found that is not in there again with what follows.
    let mut seen: Vec<u8> = Vec::new();
    loop {
        let Ok(length) = from.read(&mut chunk).await else { return };
        if length == 0 {
            // The other side is told; an error means that it has gone, too.
            let _ = to.shutdown().await;
            return;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
        let now = Instant::now();
        let before = seen.len();
        seen.extend_from_slice(&chunk[..length]);
        let mut found: Vec<(usize, Passed)> = Vec::new();
        for (pattern, passed) in patterns {
            let windows = seen.windows(pattern.len()).enumerate();
            let new = windows.filter(|(at, window)| at + pattern.len() > before && *window == pattern.as_bytes());
            found.extend(new.map(|(at, _)| (at, *passed)));
        }
        found.sort_by_key(|(at, _)| *at);
        notes.lock().expect("no panic").extend(found.into_iter().map(|(_, passed)| (now, passed)));
        seen.drain(..seen.len().saturating_sub(longest - 1));
    }
}
