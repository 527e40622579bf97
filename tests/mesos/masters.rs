//! Masters that die, are elected and come back, with and without ZooKeeper. Tasks run on through all of it.

use crate::cluster::Cluster;
use crate::ekiden::Ekiden;
use crate::truth::{self, of_app};

fn sleeper(instances: usize) -> String {
    format!("id: sleeper\ncmd: exec sleep 1000\ninstances: {instances}\ncpus: 0.1\nmem: 16\n")
}

async fn elected() -> (Cluster, Ekiden) {
    let mut cluster = Cluster::elected().await;
    let ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(3))], &[]).await;
    (cluster, ekiden)
}

/// What ran runs on, and what is edited is followed.
async fn goes_on(cluster: &Cluster, ekiden: &Ekiden, before: &truth::Running, instances: usize) -> truth::Running {
    ekiden.write("sleeper.yaml", &sleeper(instances));
    let after = truth::until_exactly(cluster, ekiden, &[("sleeper", instances)]).await;
    let kept = before.iter().filter(|(task, processes)| after.get(*task) == Some(processes)).count();
    assert_eq!(kept, before.len().min(instances), "nothing is restarted: {before:?} {after:?}");
    after
}

#[tokio::test]
async fn the_leader_of_three_masters_is_killed_and_the_next_is_followed() {
    let (mut cluster, ekiden) = elected().await;
    let mut running = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 3)]).await;
    for instances in [4, 5] {
        let first = cluster.leader().await;
        cluster.kill(&first);
        cluster.until("another leads", async || (cluster.leader().await != first).then_some(())).await;
        running = goes_on(&cluster, &ekiden, &running, instances).await;
        cluster.start_again(&first).await;
    }
    goes_on(&cluster, &ekiden, &running, 2).await;
}

#[tokio::test]
async fn zookeeper_is_stopped_and_started_and_nothing_is_lost_or_restarted() {
    let (mut cluster, mut ekiden) = elected().await;
    let running = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 3)]).await;
    let leader = cluster.leader().await;
    cluster.kill("zookeeper");
    // A leader that has lost ZooKeeper for longer than its session ends, so that no two can lead.
    cluster.until_ended(&leader).await;
    assert_eq!(of_app(&truth::processes(&cluster), "sleeper"), running, "tasks need nobody");
    assert_eq!(ekiden.tasks("sleeper").await.len(), 3, "ekiden goes on, and says what it knows");
    // An edit is heard, and waits; and a restart in these times is nothing special.
    ekiden.write("sleeper.yaml", &sleeper(4));
    ekiden.kill();
    ekiden.start_again();
    ekiden.until_serves().await;
    cluster.start_again("zookeeper").await;
    cluster.start_again(&leader).await;
    goes_on(&cluster, &ekiden, &running, 4).await;
}

#[tokio::test]
async fn a_lone_master_is_killed_and_started_again() {
    let mut cluster = Cluster::new();
    // It remembers its agents, and so it waits for them.
    cluster.master("master", &["--quorum=1"]).await;
    cluster.agent("agent-1", &[]).await;
    cluster.agent("agent-2", &[]).await;
    let ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(3))], &[]).await;
    let running = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 3)]).await;
    cluster.kill("master");
    ekiden.write("sleeper.yaml", &sleeper(5));
    cluster.start_again("master").await;
    goes_on(&cluster, &ekiden, &running, 5).await;
}

#[tokio::test]
async fn a_master_that_stands_still_for_a_while_loses_nothing() {
    let mut cluster = Cluster::of(1).await;
    let ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(2))], &[]).await;
    let running = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await;
    cluster.freeze("master");
    ekiden.write("sleeper.yaml", &sleeper(3));
    ekiden
        .until("the edit is heard", async || {
            (ekiden.look("/v2/apps/sleeper").await?["app"]["instances"] == 3).then_some(())
        })
        .await;
    cluster.thaw("master");
    goes_on(&cluster, &ekiden, &running, 3).await;
}
