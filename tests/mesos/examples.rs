//! The examples in `manifests/examples`, those that need no container: they run on Mesos as they are.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use crate::cluster::Cluster;
use crate::ekiden::{Ekiden, ids};
use crate::{client, truth};

/// The port of `fixed-port.yaml`. Nobody else uses it while these tests run.
const FIXED_PORT: u16 = 31080;

#[tokio::test]
async fn every_example_runs_answers_scales_and_stops() {
    let mut cluster = Cluster::new();
    cluster.master("master", &[]).await;
    let fixed =
        format!("--resources=cpus:4;mem:4096;disk:10000;ports:[{}, {FIXED_PORT}-{FIXED_PORT}]", cluster.tasks(1));
    cluster.agent("agent-1", &[&fixed]).await;
    cluster.agent("agent-2", &[]).await;
    let manifests = examples();
    let text_of = |name: &str| manifests.iter().find(|(found, _)| found == name).expect("an example").1.as_str();
    // Who wants one port of many comes first: others might have got it.
    let fixed = ("fixed-port.yaml", text_of("fixed-port.yaml"));
    let ekiden = Ekiden::start(&mut cluster, &[fixed], &["--prune-share", "100"]).await;
    ekiden.until_running("fixed-port", 1).await;
    for (name, text) in &manifests {
        ekiden.write(name, text);
    }
    let apps = ekiden.until("the examples are read", async || {
        let apps = ekiden.look("/v2/apps").await?["apps"].as_array()?.clone();
        (apps.len() >= 10).then_some(apps)
    });
    let apps = apps.await;
    run_as_declared(&ekiden).await;
    for app in &apps {
        answers(&ekiden, app).await;
    }

    let two = ekiden.until_running("any-port", 2).await;
    ekiden.write("any-port.yaml", &text_of("any-port.yaml").replace("instances: 2", "instances: 4"));
    let four = ekiden.until_running("any-port", 4).await;
    assert!(ids(&two).iter().all(|id| ids(&four).contains(id)), "scaling restarts nothing: {two:?} {four:?}");

    for (name, _) in &manifests {
        ekiden.remove(name);
    }
    truth::until_exactly(&cluster, &ekiden, &[]).await;
}

/// Waits until all apps run as declared, and are healthy if they have checks.
async fn run_as_declared(ekiden: &Ekiden) {
    ekiden
        .until("all run as declared", async || {
            let apps = ekiden.look("/v1/apps").await?["apps"].as_array()?.clone();
            let runs = |app: &Value| {
                let (instances, counts) = (&app["instances"], &app["counts"]);
                instances.as_u64() > Some(0) && counts["running"] == *instances && counts["healthy"] == *instances
            };
            apps.iter().all(runs).then_some(())
        })
        .await;
}

/// Asks each instance of an app that serves.
async fn answers(ekiden: &Ekiden, app: &Value) {
    let command = app["cmd"].as_str().expect("a command");
    if !command.contains("$PORT") {
        return;
    }
    for task in ekiden.tasks(id(app)).await {
        let address = format!("{}:{}", task["host"].as_str().expect("a host"), task["ports"][0]);
        ekiden
            .until(&format!("{task} answers"), async || {
                if command.contains("http.server") {
                    let answer = client::get(&address, "/", "*/*").await.ok()?;
                    return (answer.status == 200).then_some(());
                }
                listen(&address).await.ok().filter(|said| said.starts_with("hello ")).map(drop)
            })
            .await;
    }
}

/// The line that a server says by itself. Then the connection is closed by us, which many an nc waits for.
async fn listen(address: &str) -> std::io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut said = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_line(&mut said)).await??;
    Ok(said)
}

fn id(app: &Value) -> &str {
    app["id"].as_str().expect("an id").trim_start_matches('/')
}

/// Names and texts. What needs a container is in folders of its own.
fn examples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples");
    let files = std::fs::read_dir(folder).expect("a folder of the project").flatten();
    let files = files.filter(|entry| entry.path().is_file());
    files
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path()).expect("a text");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect()
}
