//! The real binary, running `ekiden dev` on a folder of its own, and a client of its API.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// Whatever is waited for takes a second or two; a loaded machine may take its time, a broken build forever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running `ekiden dev`.
pub(crate) struct Ekiden {
    pub(crate) process: Child,
    pub(crate) server: String,
    pub(crate) folder: Arc<TempDir>,
    log: Arc<Mutex<String>>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Ekiden {
    /// Starts on these manifests, with host ports of its own. `@FOLDER@` in a manifest is the test's folder.
    pub(crate) async fn start(ports: &str, manifests: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in manifests {
            let text = text.replace("@FOLDER@", &folder.path().to_string_lossy());
            write(&folder.path().join("manifests").join(name), &text);
        }
        Self::start_in(Arc::new(folder), ports, &[]).await
    }

    /// Starts in a folder that may have been used before.
    pub(crate) async fn start_in(folder: Arc<TempDir>, ports: &str, options: &[&str]) -> Self {
        let resources = format!("cpus:8;mem:4096;disk:10000;ports:[{ports}]");
        let dev = ["dev", "manifests", "--http", "127.0.0.1:0", "--resources", &resources];
        Self::spawn(folder, &[&dev, options].concat()).await
    }

    /// Starts a command that serves, in a folder that may have been used before.
    pub(crate) async fn spawn(folder: Arc<TempDir>, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args(arguments)
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (found, server) = oneshot::channel();
        let stderr = process.stderr.take().expect("piped");
        tokio::spawn(follow(stderr, Arc::clone(&log), found));
        let server = tokio::time::timeout(PATIENCE, server).await;
        let Ok(Ok(server)) = server else { panic!("it did not start:\n{}", log.lock().expect("no panic")) };
        Self { process, server, folder, log }
    }

    /// Writes a manifest, as an editor does: beside it, then renamed.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.manifest(name);
        let beside = path.with_extension("tmp");
        write(&beside, text);
        std::fs::rename(&beside, &path).expect("renamed");
    }

    /// Where a manifest is.
    pub(crate) fn manifest(&self, name: &str) -> PathBuf {
        self.folder.path().join("manifests").join(name)
    }

    /// Asks for JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path, "application/json").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body))
    }

    /// Asks.
    pub(crate) async fn get(&self, path: &str, accept: &str) -> Answer {
        let address = self.address();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
        send(address, &request).await.unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> &str {
        self.server.trim_start_matches("http://")
    }

    /// Runs another command of the binary against this server.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("EKIDEN_SERVER", &self.server)
            .output()
            .await
            .expect("the binary starts")
    }

    /// Waits until `look` finds what it looks for.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}\n{}", self.state().await);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until an app runs so many instances, no more, none on their way up or down.
    pub(crate) async fn until_running(&self, app: &str, count: usize) -> Vec<Value> {
        self.until(&format!("{app} runs {count}"), async || {
            let answer = self.get(&format!("/v2/apps/{app}/tasks"), "application/json").await;
            let tasks: Value = serde_json::from_str(&answer.body).ok()?;
            let tasks = tasks["tasks"].as_array()?.clone();
            let all_run = tasks.iter().all(|task| task["state"] == "TASK_RUNNING");
            (tasks.len() == count && all_run).then_some(tasks)
        })
        .await
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    async fn state(&self) -> String {
        let mut text = self.log();
        for path in ["/v1/apps", "/v1/instances", "/v1/directory"] {
            let answer = self.get(path, "*/*").await;
            let _ = write!(text, "\n{path}: {}", answer.body);
        }
        text
    }
}

impl Drop for Ekiden {
    /// A test that has failed leaves nothing running.
    fn drop(&mut self) {
        // It fails for a process that has ended, which is as well.
        let _ = self.process.start_kill();
    }
}

/// One request on one connection.
pub(crate) async fn send(address: &str, request: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// Writes a file, and makes the folders it is in.
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}

/// Keeps what the process says, and finds the address in it.
async fn follow(stderr: tokio::process::ChildStderr, log: Arc<Mutex<String>>, found: oneshot::Sender<String>) {
    let mut found = Some(found);
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let address = line.strip_prefix("ekiden ").and_then(|rest| rest.split_once(" at "));
        if let (Some((_, address)), Some(found)) = (address, found.take_if(|_| address.is_some())) {
            let _ = found.send(address.to_owned());
        }
        let mut log = log.lock().expect("no panic");
        log.push_str(&line);
        log.push('\n');
    }
}
