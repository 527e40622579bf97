//! The real binary, running `ekiden dev` or `ekiden serve` on a folder of its own, and a client of its API.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

#[path = "client.rs"]
pub(crate) mod client;

use client::{Answer, PATIENCE, all_run, write};

/// A running ekiden.
pub(crate) struct Ekiden {
    pub(crate) process: Child,
    pub(crate) server: String,
    pub(crate) folder: Arc<TempDir>,
    log: Arc<Mutex<String>>,
}

impl Ekiden {
    /// Starts on these manifests, with host ports of its own. `@FOLDER@` in a manifest is the test's folder.
    pub(crate) async fn start(ports: &str, manifests: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("manifests")).expect("made");
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
        Self::spawn_with(folder, arguments, &[]).await
    }

    /// With variables of its own.
    pub(crate) async fn spawn_with(folder: Arc<TempDir>, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args(arguments)
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .env("TMPDIR", folder.path())
            .envs(variables.iter().copied())
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
        let answer = client::get(self.address(), path, accept).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> &str {
        self.server.trim_start_matches("http://")
    }

    /// Waits until `look` finds what it looks for.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        client::until(what, look, async || self.state().await).await
    }

    /// Waits until an app runs so many instances, no more, none on their way up or down.
    pub(crate) async fn until_running(&self, app: &str, count: usize) -> Vec<Value> {
        self.until(&format!("{app} runs {count}"), async || {
            let answer = self.get(&format!("/v2/apps/{app}/tasks"), "application/json").await;
            let tasks: Value = serde_json::from_str(&answer.body).ok()?;
            all_run(tasks["tasks"].as_array()?.clone(), count)
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
