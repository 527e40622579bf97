//! What Mesos' executors do for us: health checks of their own, kills with a grace period; and launches that take too long.

use std::time::Instant;

use serde_json::json;

use crate::cluster::Cluster;
use crate::ekiden::Ekiden;
use crate::truth;

#[tokio::test]
async fn a_check_made_by_mesos_makes_healthy_and_ends_what_is_not() {
    let mut cluster = Cluster::of(1).await;
    let check = |protocol: &str, more: serde_json::Value| {
        let mut check = json!({
            "protocol": protocol, "gracePeriodSeconds": 5, "intervalSeconds": 1, "timeoutSeconds": 5,
            "maxConsecutiveFailures": 2,
        });
        check.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        check
    };
    let app = |id: &str, command: &str, check: serde_json::Value| {
        json!({ "id": id, "cmd": command, "cpus": 0.1, "mem": 32, "backoffSeconds": 1, "healthChecks": [check] })
            .to_string()
    };
    let serve = "exec python3 -m http.server \"$PORT0\"";
    let manifests = [
        ("http.json", app("http", serve, check("MESOS_HTTP", json!({ "path": "/", "portIndex": 0 })))),
        ("tcp.json", app("tcp", serve, check("MESOS_TCP", json!({ "portIndex": 0 })))),
        (
            "command.json",
            app(
                "command",
                "touch well; exec sleep 1000",
                check("COMMAND", json!({ "command": { "value": "test -e well" } })),
            ),
        ),
        (
            "sick.json",
            app(
                "sick",
                "exec sleep 1000",
                check("COMMAND", json!({ "command": { "value": "test ! -e once && touch once" } })),
            ),
        ),
    ];
    let manifests = manifests.each_ref().map(|(name, text)| (*name, text.as_str()));
    let ekiden = Ekiden::start(&mut cluster, &manifests, &[]).await;
    for app in ["http", "tcp", "command"] {
        ekiden
            .until(&format!("{app} is healthy"), async || {
                let app = ekiden.look(&format!("/v2/apps/{app}")).await?["app"].clone();
                (app["tasksHealthy"] == 1).then_some(())
            })
            .await;
    }
    let replaced = ekiden.until("the sick one is ended and replaced", async || {
        let tasks = truth::tasks(&cluster).await;
        let sick: Vec<_> = tasks.iter().filter(|(task, _)| truth::app_of(task) == "sick").collect();
        let ended =
            sick.iter().filter(|(_, task)| task.state == "TASK_KILLED" || task.state == "TASK_FAILED").count();
        (ended > 0 && sick.len() > ended).then_some(())
    });
    replaced.await;
    let tasks = truth::tasks(&cluster).await;
    for app in ["http", "tcp", "command"] {
        assert_eq!(tasks.keys().filter(|task| truth::app_of(task) == app).count(), 1, "{app} is well: {tasks:?}");
    }
}

#[tokio::test]
async fn a_task_has_its_grace_period_between_being_asked_and_being_made_to_end() {
    let mut cluster = Cluster::of(1).await;
    let stubborn = "id: stubborn\ncmd: trap 'echo asked > asked' TERM; while true; do sleep 0.1; done\n\
                    cpus: 0.1\nmem: 16\ntaskKillGracePeriodSeconds: 3\n";
    let ekiden = Ekiden::start(&mut cluster, &[("stubborn.yaml", stubborn)], &[]).await;
    truth::until_exactly(&cluster, &ekiden, &[("stubborn", 1)]).await;
    let killed = Instant::now();
    ekiden.remove("stubborn.yaml");
    ekiden
        .until("it is being killed", async || {
            let tasks = truth::tasks(&cluster).await;
            tasks.values().any(|task| task.state == "TASK_KILLING").then_some(())
        })
        .await;
    truth::until_exactly(&cluster, &ekiden, &[]).await;
    assert!(killed.elapsed().as_secs_f32() >= 3.0, "it had {:?}", killed.elapsed());
    let ended = truth::tasks(&cluster).await;
    assert!(ended.values().all(|task| task.state == "TASK_KILLED") && ended.len() == 1, "{ended:?}");
}

#[tokio::test]
async fn a_launch_that_takes_too_long_is_given_up_and_made_again() {
    let mut cluster = Cluster::of(1).await;
    // The fetcher waits for a server that never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let uri = format!("http://{}/never", silent.local_addr().expect("bound"));
    let slow = json!({
        "id": "slow", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "backoffSeconds": 1,
        "fetch": [{ "uri": uri }],
    });
    let flags = ["--task_launch_timeout", "3000"];
    let ekiden = Ekiden::start(&mut cluster, &[("slow.json", &slow.to_string())], &flags).await;
    let second = ekiden.until("it is launched again", async || {
        let tasks = truth::tasks(&cluster).await;
        (tasks.len() >= 2).then_some(())
    });
    second.await;
    let mut quick = slow.clone();
    quick["fetch"] = json!([]);
    ekiden.write("slow.json", &quick.to_string());
    truth::until_exactly(&cluster, &ekiden, &[("slow", 1)]).await;
}
