//! Agents that are drained, or are to go into maintenance: instances move away, and never too many at once.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::cluster::Cluster;
use crate::ekiden::Ekiden;
use crate::{truth, web};

async fn on_agent(cluster: &Cluster, ekiden: &Ekiden, agent: &str) -> usize {
    let id = cluster.until_registered(agent).await;
    ekiden.tasks("web").await.iter().filter(|task| task["slaveId"] == json!(id)).count()
}

/// Three servers, on two agents.
async fn three(flags: &[&str]) -> (Cluster, Ekiden) {
    let mut cluster = Cluster::of(2).await;
    let ekiden = Ekiden::start(&mut cluster, &[("web.json", &web::manifest("v1"))], flags).await;
    ekiden.until("all serve", async || (healthy(&ekiden).await == 3).then_some(())).await;
    truth::until_exactly(&cluster, &ekiden, &[("web", 3)]).await;
    (cluster, ekiden)
}

async fn healthy(ekiden: &Ekiden) -> u64 {
    let apps = ekiden.look("/v2/apps/web").await;
    apps.and_then(|apps| apps["app"]["tasksHealthy"].as_u64()).unwrap_or(0)
}

/// The agent that has the most of them.
async fn fullest(cluster: &Cluster, ekiden: &Ekiden) -> &'static str {
    let first = on_agent(cluster, ekiden, "agent-1").await;
    if first >= on_agent(cluster, ekiden, "agent-2").await { "agent-1" } else { "agent-2" }
}

#[tokio::test]
async fn the_instances_of_an_agent_that_is_drained_move_to_another() {
    let (cluster, ekiden) = three(&[]).await;
    let agent = fullest(&cluster, &ekiden).await;
    let drained = cluster.until_registered(agent).await;
    let grace = json!({ "nanoseconds": 1_000_000_000 });
    let call = json!({ "agent_id": { "value": drained }, "max_grace_period": grace });
    cluster.operate(&json!({ "type": "DRAIN_AGENT", "drain_agent": call })).await;
    ekiden
        .until("none is left on it, and three are healthy", async || {
            let left = ekiden.tasks("web").await.iter().filter(|task| task["slaveId"] == json!(drained)).count();
            (left == 0 && healthy(&ekiden).await == 3).then_some(())
        })
        .await;
    truth::until_exactly(&cluster, &ekiden, &[("web", 3)]).await;
}

#[tokio::test]
async fn before_a_maintenance_window_instances_move_away_and_none_is_missing() {
    let (cluster, ekiden) = three(&["--draining_seconds", "3600"]).await;
    let agent = fullest(&cluster, &ekiden).await;
    let (from, host) = (cluster.until_registered(agent).await, hostname(agent));
    let soon = SystemTime::now() + Duration::from_secs(1800);
    let soon = soon.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let hour = 3_600_000_000_000_u64;
    let window = json!({
        "machine_ids": [{ "hostname": host, "ip": "127.0.0.1" }],
        "unavailability": { "start": { "nanoseconds": soon }, "duration": { "nanoseconds": hour } },
    });
    let schedule = json!({ "schedule": { "windows": [window] } });
    cluster
        .operate(&json!({ "type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": schedule }))
        .await;
    ekiden
        .until("none is left on it", async || {
            let healthy = healthy(&ekiden).await;
            assert!(healthy >= 3, "{healthy} healthy, the floor is 3");
            let left = ekiden.tasks("web").await.iter().filter(|task| task["slaveId"] == json!(from)).count();
            (left == 0).then_some(())
        })
        .await;
    truth::until_exactly(&cluster, &ekiden, &[("web", 3)]).await;
}

fn hostname(agent: &str) -> &'static str {
    if agent == "agent-1" { "127.0.0.11" } else { "127.0.0.12" }
}
