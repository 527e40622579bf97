//! The kit itself: what it starts is Mesos, and nothing of it outlives a test.

use std::path::Path;

use serde_json::json;

use crate::cluster::Cluster;

#[tokio::test]
async fn a_master_and_an_agent_are_real_and_leave_nothing_behind() {
    let cluster = Cluster::of(1).await;
    let version = cluster.ask("/version").await.expect("the master answers");
    assert_eq!(version["version"], json!("1.11.0"));
    let state = cluster.state().await;
    assert_eq!(state["activated_slaves"], json!(1.0), "{state}");
    assert_eq!(state["slaves"][0]["hostname"], json!("127.0.0.11"));

    let folder = cluster.folder().to_owned();
    drop(cluster);
    assert!(!folder.exists());
    let workers = std::fs::read_dir("/proc").expect("Linux").flatten().filter(|process| {
        std::fs::read_link(process.path().join("cwd"))
            .is_ok_and(|place: std::path::PathBuf| place.starts_with(&folder))
    });
    let workers: Vec<_> = workers.map(|process| process.path()).collect();
    assert_eq!(workers, Vec::<&Path>::new());
}

#[tokio::test]
async fn three_masters_elect_one_through_zookeeper_and_an_agent_finds_it() {
    let mut cluster = Cluster::elected().await;
    let first = cluster.leader().await;
    cluster.kill(&first);
    cluster.until("another leads", async || (cluster.leader().await != first).then_some(())).await;
    cluster.until_registered("agent-1").await;
}
