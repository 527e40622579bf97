//! A running `ekiden serve`.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::client;
use crate::processor;

/// How often it is looked again: the error of the measurement.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// On a quiet machine nothing takes so long, on a busy one nothing but what never happens.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Ends with this.
pub(crate) struct Program {
    process: Child,
    log: PathBuf,
    address: String,
    /// When it was started.
    pub(crate) started: Instant,
}

impl Program {
    /// Starts in a folder with `manifests` and perhaps `state` in it; waits for nothing.
    pub(crate) fn start(folder: &Path, master: &str) -> Self {
        // The port was free a moment ago. Its number is needed before the program can tell it.
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let address = free.expect("a port").to_string();
        let log = folder.join("log");
        let started = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args(["serve", "--manifests", "manifests", "--state", "state"])
            .args(["--master", master, "--http", &address])
            .current_dir(folder)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        Self { process, log, address, started }
    }

    /// Waits until it has an answer, and says when.
    pub(crate) async fn answers(&self, path: &str) -> Duration {
        self.until(path, async || self.get(path).await).await;
        self.started.elapsed()
    }

    /// Waits until it answers with a text in which this occurs, and says when.
    pub(crate) async fn says(&self, path: &str, text: &str) -> Duration {
        self.until(path, async || self.get(path).await?.contains(text).then_some(())).await;
        self.started.elapsed()
    }

    /// The answer, if there is one.
    pub(crate) async fn get(&self, path: &str) -> Option<String> {
        // Before the program listens, nobody does.
        drop(TcpStream::connect(&self.address).await.ok()?);
        let answer = client::get(&self.address, path, "*/*").await.ok()?;
        (answer.status == 200).then_some(answer.body)
    }

    /// One of its own numbers.
    pub(crate) async fn number(&self, name: &str) -> f64 {
        let text = self.get("/metrics/prometheus").await.expect("it answers");
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let (_, value) = lines.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}"));
        value.parse().expect("a number")
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How long it has been on a processor, in all: what it takes on a machine that is busy with other things, too.
    pub(crate) fn cpu_time(&self) -> Duration {
        processor::of_process(self.process.id().expect("it runs"))
    }

    /// Ends it as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.expect("it ran");
    }

    async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(self.started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}:\n{}", self.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
