//! The examples in `manifests/examples`: they run, all of them, as a newcomer's first command runs them.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/commands.rs"]
mod commands;
#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ekiden::Ekiden;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

/// Where the examples' fixed ports are. Nobody else in these tests uses them.
const PORTS: &str = "31000-31999";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder of the project").flatten() {
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            std::fs::copy(&path, &copied).expect("a copy");
        }
    }
}

async fn start() -> Ekiden {
    let folder = tempfile::tempdir().expect("a folder");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples");
    copy(&examples, &folder.path().join("manifests"));
    Ekiden::start_in(Arc::new(folder), PORTS, &[]).await
}

#[tokio::test]
async fn they_run_as_declared_and_those_that_cannot_say_why() {
    let ekiden = start().await;
    let apps = ekiden.json("/v2/apps").await;
    let apps = apps["apps"].as_array().expect("a list of apps").clone();
    assert!(apps.len() >= 10, "only {} examples", apps.len());
    let (docker, plain): (Vec<_>, Vec<_>) = apps.iter().partition(|app| app["container"]["type"] == "DOCKER");
    assert!(docker.len() >= 3, "only {} examples of Docker", docker.len());

    for app in plain {
        let id = app["id"].as_str().expect("an id").trim_start_matches('/');
        let wanted = app["instances"].as_u64().expect("a number");
        ekiden
            .until(&format!("{id} runs {wanted}"), async || {
                let now = ekiden.json(&format!("/v2/apps/{id}")).await;
                let checked = now["app"]["healthChecks"].as_array().is_some_and(|checks| !checks.is_empty());
                let count = if checked { &now["app"]["tasksHealthy"] } else { &now["app"]["tasksRunning"] };
                (count.as_u64() == Some(wanted)).then_some(())
            })
            .await;
    }
    for app in docker {
        let id = app["id"].as_str().expect("an id");
        let explained = ekiden.command(&["explain", id]).await;
        let text = String::from_utf8_lossy(&explained.stdout).into_owned();
        assert!(text.contains("a Docker container cannot run on this cluster"), "{text}");
    }
}

/// The line that a server says by itself. Then the connection is closed by us, which many an nc waits for.
async fn listen(address: &str) -> std::io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut said = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_line(&mut said)).await??;
    Ok(said)
}

#[tokio::test]
async fn a_one_shot_server_answers_once_under_each_task_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifests = folder.path().join("manifests");
    std::fs::create_dir_all(&manifests).expect("a folder");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples/one-shot.yaml");
    std::fs::copy(example, manifests.join("one-shot.yaml")).expect("a copy");
    let ekiden = Ekiden::start_in(Arc::new(folder), "41300-41319", &[]).await;

    let mut said = Vec::new();
    for _ in 0..2 {
        let hello = ekiden
            .until("somebody says hello", async || {
                let tasks = ekiden.json("/v2/apps/one-shot/tasks").await;
                let task = tasks["tasks"].as_array()?.first()?.clone();
                let (host, port) = (task["host"].as_str()?, task["ports"][0].as_u64()?);
                let hello = listen(&format!("{host}:{port}")).await.ok()?;
                hello.contains("hello one-shot.instance-").then_some(hello)
            })
            .await;
        said.push(hello);
    }
    assert_ne!(said[0], said[1], "each launch has a task id of its own");
}
