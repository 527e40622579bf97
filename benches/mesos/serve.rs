//! A running `ekiden serve`, through a tap or not.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::client::{self, LOOK_EVERY, PATIENCE, write};
use crate::cluster::Cluster;
use crate::process::Process;

/// It works in the cluster's folder, so it ends with the cluster.
pub(crate) struct Serve {
    process: Process,
    folder: PathBuf,
    address: String,
}

impl Serve {
    /// Starts with one manifest, and waits until the API answers. `master` is where it is to find one.
    pub(crate) async fn start(cluster: &mut Cluster, master: &str, manifest: &str) -> Self {
        let folder = cluster.folder().join("ekiden");
        write(&folder.join("manifests/app.yaml"), manifest);
        let address = format!("127.0.0.1:{}", cluster.port());
        let arguments =
            ["serve", "--manifests", "manifests", "--state", "state", "--master", master, "--http", &address];
        let arguments = arguments.map(str::to_owned).to_vec();
        let process = Process::start("ekiden", &folder, Path::new(env!("CARGO_BIN_EXE_ekiden")), arguments);
        let mut serve = Self { process, folder, address };
        serve.until("the API answers", async |serve| serve.look("/v1/apps").await.map(drop)).await;
        serve
    }

    /// Saves the manifest, as an editor does: beside it, then renamed. Says when it was there.
    pub(crate) fn save(&self, manifest: &str) -> Instant {
        let path = self.folder.join("manifests/app.yaml");
        let beside = path.with_extension("tmp");
        write(&beside, manifest);
        let now = Instant::now();
        std::fs::rename(&beside, &path).expect("renamed");
        now
    }

    /// Removes the manifest.
    pub(crate) fn remove(&self) {
        std::fs::remove_file(self.folder.join("manifests/app.yaml")).expect("removed");
    }

    /// Waits until an app has so many tasks, and all run. An app that is gone has none.
    pub(crate) async fn until_running(&mut self, app: &str, count: usize) {
        self.until(&format!("{app} runs {count}"), async |serve| {
            let found = serve.look(&format!("/v2/apps/{app}/tasks")).await;
            let tasks = found.and_then(|found| found["tasks"].as_array().cloned()).unwrap_or_default();
            let all_run = tasks.iter().all(|task| task["state"] == "TASK_RUNNING");
            (tasks.len() == count && all_run).then_some(())
        })
        .await;
    }

    /// One of its own numbers.
    pub(crate) async fn number(&self, name: &str) -> f64 {
        let answer = client::get(&self.address, "/metrics/prometheus", "*/*").await.expect("it answers");
        let mut lines = answer.body.lines().filter_map(|line| line.split_once(' '));
        let (_, value) = lines.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}"));
        value.parse().expect("a number")
    }

    /// Where it works.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    async fn look(&self, path: &str) -> Option<Value> {
        let answer = client::get(&self.address, path, "application/json").await.ok()?;
        (answer.status == 200).then(|| serde_json::from_str(&answer.body).expect("JSON"))
    }

    async fn until(&mut self, what: &str, look: impl AsyncFn(&Self) -> Option<()>) {
        let deadline = Instant::now() + PATIENCE;
        while look(self).await.is_none() {
            assert!(self.process.ended().is_none() && Instant::now() < deadline, "{what}: {}", self.process.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
