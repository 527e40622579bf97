//! The real binary, as `ekiden serve` on a cluster, and what it says at its API.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{self, all_run, write};
use crate::cluster::Cluster;
use crate::process::Process;

/// A running `ekiden serve`. It works in the cluster's folder, so it ends with the cluster, and its log is shown.
#[derive(Debug)]
pub(crate) struct Ekiden {
    process: Process,
    folder: PathBuf,
    address: String,
}

impl Ekiden {
    /// Starts on these manifests, and waits until the API answers.
    pub(crate) async fn start(cluster: &mut Cluster, manifests: &[(&str, &str)], flags: &[&str]) -> Self {
        let ekiden = Self::begin(cluster, manifests, flags);
        ekiden.until_serves().await;
        ekiden
    }

    /// Starts on these manifests.
    pub(crate) fn begin(cluster: &mut Cluster, manifests: &[(&str, &str)], flags: &[&str]) -> Self {
        let folder = cluster.folder().join("ekiden");
        std::fs::create_dir_all(folder.join("manifests")).expect("a folder");
        for (name, text) in manifests {
            write(&folder.join("manifests").join(name), text);
        }
        let address = format!("127.0.0.1:{}", cluster.port());
        let master = cluster.address();
        let own =
            ["serve", "--manifests", "manifests", "--state", "state", "--master", &master, "--http", &address];
        let arguments = own.iter().chain(flags).map(|&argument| argument.to_owned()).collect();
        let process = Process::start("ekiden", &folder, Path::new(env!("CARGO_BIN_EXE_ekiden")), arguments);
        Self { process, folder, address }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, just as it was.
    pub(crate) fn start_again(&mut self) {
        self.process.start_again();
    }

    /// SIGTERM, and waits until it has ended.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.until_ended().await
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn until_ended(&mut self) -> ExitStatus {
        self.process.until_ended().await
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Where it works.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a manifest, as an editor does: beside it, then renamed.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.join("manifests").join(name);
        let beside = path.with_extension("tmp");
        write(&beside, text);
        std::fs::rename(&beside, &path).expect("renamed");
    }

    /// Removes a manifest.
    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.join("manifests").join(name)).expect("removed");
    }

    /// What is at a path, if it answers and there is something.
    pub(crate) async fn look(&self, path: &str) -> Option<Value> {
        let answer = client::get(&self.address, path, "application/json").await.ok()?;
        (answer.status == 200).then(|| serde_json::from_str(&answer.body).expect("JSON"))
    }

    /// The tasks of an app that are not over; none, if there is no such app.
    pub(crate) async fn tasks(&self, app: &str) -> Vec<Value> {
        let found = self.look(&format!("/v2/apps/{app}/tasks")).await;
        found.and_then(|found| found["tasks"].as_array().cloned()).unwrap_or_default()
    }

    /// Runs another command of the binary against this server.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args(arguments)
            .current_dir(&self.folder)
            .env("EKIDEN_SERVER", format!("http://{}", self.address))
            .output()
            .await
            .expect("the binary starts")
    }

    /// What `ekiden explain` says.
    pub(crate) async fn explain(&self, app: &str) -> String {
        String::from_utf8_lossy(&self.command(&["explain", app]).await.stdout).into_owned()
    }

    /// Waits until the API answers.
    pub(crate) async fn until_serves(&self) {
        self.until("the API answers", async || self.look("/v1/apps").await).await;
    }

    /// Waits until an app runs so many instances, no more, none on their way up or down, and says which tasks they are.
    pub(crate) async fn until_running(&self, app: &str, count: usize) -> Vec<Value> {
        let what = format!("{app} runs {count}");
        self.until(&what, async || all_run(self.tasks(app).await, count)).await
    }

    /// Waits until `look` finds what it looks for.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        client::until(what, look, async || self.state().await).await
    }

    async fn state(&self) -> String {
        let mut text = String::new();
        for path in ["/v1/status", "/v1/apps", "/v1/instances", "/v1/directory"] {
            let answer = client::get(&self.address, path, "*/*").await.map(|answer| answer.body);
            let _ = write!(text, "\n{path}: {answer:?}");
        }
        text
    }
}

/// The ids of tasks.
pub(crate) fn ids(tasks: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = tasks.iter().filter_map(|task| task["id"].as_str()).collect();
    ids.sort_unstable();
    ids
}
