//! A master and its agents in one process, with Mesos' own timing: those of the tests give an agent up after two seconds,
//! which one that starts many tasks on a busy machine does not survive.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::kit;
use crate::process::Process;

/// How long their start may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts them, waits until all agents are registered, and says where the master is. They end with the cluster.
pub(crate) async fn start(cluster: &mut Cluster, agents: usize) -> String {
    let port = cluster.port();
    let arguments = [
        "local".to_owned(),
        format!("--agents={agents}"),
        format!("--port={port}"),
        format!("--work_dir={}", cluster.folder().join("mesos").display()),
        "--hostname=agent-%d".to_owned(),
        "--resources=cpus:4;mem:4096;disk:10000;ports:[31000-31999]".to_owned(),
        "--logging_level=ERROR".to_owned(),
    ];
    let mut process = Process::start("mesos", cluster.folder(), &kit::launcher(), arguments.to_vec());
    let address = format!("127.0.0.1:{port}");
    let began = Instant::now();
    while registered(&address).await != Some(agents as f64) {
        assert!(process.ended().is_none() && began.elapsed() < PATIENCE, "not all agents register");
        // The master answers no more than twice a second.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    address
}

async fn registered(address: &str) -> Option<f64> {
    let answer = crate::client::get(address, "/metrics/snapshot", "application/json").await.ok()?;
    let metrics: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    metrics["master/slaves_active"].as_f64()
}
