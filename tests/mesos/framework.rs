//! Whom Mesos takes us for: a lost store, a removed framework, roles, authentication.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::ekiden::Ekiden;
use crate::truth;

fn sleeper(instances: usize) -> String {
    format!("id: sleeper\ncmd: exec sleep 1000\ninstances: {instances}\ncpus: 0.1\nmem: 16\n")
}

async fn framework(cluster: &Cluster) -> Value {
    cluster
        .until("our framework", async || {
            cluster.ask("/master/state").await?["frameworks"].as_array()?.first().cloned()
        })
        .await
}

#[tokio::test]
async fn a_stop_leaves_tasks_running_and_a_start_takes_them_up_again() {
    let mut cluster = Cluster::of(1).await;
    let mut ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(2))], &[]).await;
    let first = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await;
    let id = framework(&cluster).await["id"].clone();
    assert!(ekiden.stop().await.success(), "{}", ekiden.log());
    assert_eq!(truth::processes(&cluster), first);
    ekiden.start_again();
    assert_eq!(truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await, first);
    assert_eq!(framework(&cluster).await["id"], id);
}

#[tokio::test]
async fn a_lost_store_stops_everything_but_the_tasks_until_they_are_adopted() {
    let mut cluster = Cluster::of(1).await;
    let mut ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(2))], &[]).await;
    let first = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await;
    let id = framework(&cluster).await["id"].clone();
    ekiden.kill();
    std::fs::remove_dir_all(ekiden.folder().join("state")).expect("removed");
    ekiden.write("sleeper.yaml", &sleeper(3));
    ekiden.start_again();
    ekiden
        .until("it is in safe mode", async || ekiden.explain("sleeper").await.contains("adopt").then_some(()))
        .await;
    assert_eq!(truth::processes(&cluster), first, "nothing launched, nothing killed");
    let adopted = ekiden.command(&["adopt", "--yes"]).await;
    assert!(adopted.status.success(), "{adopted:?}");
    let last = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 3)]).await;
    assert!(first.iter().all(|(task, processes)| last.get(task) == Some(processes)), "{first:?} {last:?}");
    assert_eq!(framework(&cluster).await["id"], id);
}

#[tokio::test]
async fn a_lost_store_is_no_new_beginning_while_a_new_master_waits_for_the_agents() {
    let mut cluster = Cluster::new();
    // It remembers its agents, and so it waits for them.
    cluster.master("master", &["--quorum=1"]).await;
    cluster.agent("agent-1", &[]).await;
    let mut ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(2))], &[]).await;
    let first = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await;
    ekiden.kill();
    std::fs::remove_dir_all(ekiden.folder().join("state")).expect("removed");
    cluster.freeze("agent-1");
    cluster.kill("master");
    cluster.start_again("master").await;
    ekiden.start_again();
    // By then the master knows neither the framework nor a task of it.
    ekiden
        .until("it waits, and says for what", async || {
            ekiden.look("/v1/status").await?.to_string().contains("waits for 1 agent").then_some(())
        })
        .await;
    cluster.thaw("agent-1");
    ekiden
        .until("it is in safe mode", async || ekiden.explain("sleeper").await.contains("adopt").then_some(()))
        .await;
    assert_eq!(truth::processes(&cluster), first, "nothing launched, nothing killed");
}

#[tokio::test]
async fn a_framework_that_an_operator_tears_down_ends_ekiden_and_says_what_to_do() {
    let mut cluster = Cluster::of(1).await;
    let mut ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(1))], &[]).await;
    truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    let id = framework(&cluster).await["id"].clone();
    cluster.operate(&json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": id } } })).await;
    let ended = ekiden.until_ended().await;
    assert_eq!(ended.code(), Some(80), "{}", ekiden.log());
    assert!(ekiden.log().contains("Mesos has removed framework"), "{}", ekiden.log());
    // A supervisor that starts it again gets the same answer, and nothing runs.
    ekiden.start_again();
    assert_eq!(ekiden.until_ended().await.code(), Some(80), "{}", ekiden.log());
    assert!(truth::live(&cluster).await.is_empty());
}

#[tokio::test]
async fn another_scheduler_in_its_place_ends_ekiden_and_a_later_start_takes_everything_up_again() {
    let mut cluster = Cluster::of(1).await;
    let mut ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(2))], &[]).await;
    let first = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await;
    let id = framework(&cluster).await["id"].clone();
    let other = cluster.subscribe_as(&id).await;
    let ended = ekiden.until_ended().await;
    assert_eq!(ended.code(), Some(81), "{}", ekiden.log());
    assert!(ekiden.log().contains("another scheduler has taken over framework"), "{}", ekiden.log());
    assert_eq!(truth::processes(&cluster), first, "whose tasks they are, they run on");
    drop(other);
    ekiden.start_again();
    assert_eq!(truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await, first);
    assert_eq!(framework(&cluster).await["id"], id);
}

#[tokio::test]
async fn uninstalling_ends_all_tasks_and_a_start_after_it_is_a_new_framework() {
    let mut cluster = Cluster::of(1).await;
    let mut ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(2))], &[]).await;
    truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await;
    let id = framework(&cluster).await["id"].clone();
    let uninstalled = ekiden.command(&["uninstall", "--yes"]).await;
    assert!(uninstalled.status.success(), "{uninstalled:?}");
    assert!(ekiden.until_ended().await.success(), "{}", ekiden.log());
    cluster.until("nothing runs", async || truth::processes(&cluster).is_empty().then_some(())).await;
    ekiden.start_again();
    truth::until_exactly(&cluster, &ekiden, &[("sleeper", 2)]).await;
    assert_ne!(framework(&cluster).await["id"], id);
}

#[tokio::test]
async fn reserved_resources_are_used_by_whom_they_are_reserved_for() {
    let mut cluster = Cluster::new();
    cluster.master("master", &[]).await;
    let resources =
        format!("--resources=cpus(prod):1;mem(prod):512;cpus:0.5;mem:512;ports:[{}]", cluster.tasks(1));
    cluster.agent("agent-1", &[&resources]).await;
    let of = |id: &str, more: &str| {
        format!("id: {id}\ncmd: exec sleep 1000\ncpus: 0.4\nmem: 64\nportDefinitions: []\n{more}")
    };
    let manifests = [
        ("reserved.yaml", of("reserved", "instances: 2\nacceptedResourceRoles: [prod]\n")),
        ("open.yaml", of("open", "acceptedResourceRoles: ['*']\n")),
    ];
    let manifests = manifests.each_ref().map(|(name, text)| (*name, text.as_str()));
    let ekiden = Ekiden::start(&mut cluster, &manifests, &["--mesos_role", "prod"]).await;
    truth::until_exactly(&cluster, &ekiden, &[("reserved", 2), ("open", 1)]).await;
    let tasks = framework(&cluster).await["tasks"].as_array().cloned().expect("tasks");
    assert!(tasks.iter().all(|task| task["role"] == "prod"), "{tasks:?}");
    let agents = cluster.ask("/master/slaves").await.expect("the master answers");
    let used = |role: &str| -> f64 {
        let used = agents["slaves"][0]["used_resources_full"].as_array().expect("a list");
        let ours = used.iter().filter(|resource| resource["name"] == "cpus" && resource["role"] == role);
        ours.filter_map(|resource| resource["scalar"]["value"].as_f64()).sum()
    };
    assert!((used("prod") - 0.8).abs() < 0.01 && (used("*") - 0.4).abs() < 0.01, "{agents}");

    // There is room for one more without reservation, but it would not do.
    ekiden.write("reserved.yaml", &of("reserved", "instances: 3\nacceptedResourceRoles: [prod]\n"));
    let why = ekiden
        .until("it waits, and says why", async || {
            let why = ekiden.explain("reserved").await;
            why.contains("cpus").then_some(why)
        })
        .await;
    assert!(why.contains("2 of 3") || why.contains("1 of 3"), "{why}");
    truth::until_exactly(&cluster, &ekiden, &[("reserved", 2), ("open", 1)]).await;
}

#[tokio::test]
async fn masters_that_ask_for_credentials_get_them_and_wrong_ones_end_ekiden() {
    let mut cluster = Cluster::new();
    let credentials = cluster.folder().join("credentials");
    let known = json!({ "credentials": [{ "principal": "ekiden", "secret": "sash" }] });
    std::fs::write(&credentials, known.to_string()).expect("written");
    let file = format!("--credentials={}", credentials.display());
    let flags = ["--authenticate_http_frameworks", "--http_framework_authenticators=basic", &file];
    cluster.master("master", &flags).await;
    cluster.agent("agent-1", &[]).await;
    let secret = cluster.folder().join("secret");
    std::fs::write(&secret, "sash").expect("written");
    let path = secret.display().to_string();
    let flags = ["--mesos_authentication_principal", "ekiden", "--mesos_authentication_secret_file", &path];
    let mut ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(1))], &flags).await;
    truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    assert_eq!(framework(&cluster).await["principal"], "ekiden");

    assert!(ekiden.stop().await.success());
    std::fs::write(&secret, "baton").expect("written");
    ekiden.start_again();
    assert_eq!(ekiden.until_ended().await.code(), Some(77), "{}", ekiden.log());
    assert!(!ekiden.log().contains("baton") && !ekiden.log().contains("sash"), "secrets are not logged");
    assert_eq!(truth::live(&cluster).await.len(), 1, "tasks run on");
}
