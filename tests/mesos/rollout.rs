//! A rolling upgrade under load.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::cluster::Cluster;
use crate::ekiden::Ekiden;
use crate::{truth, web};

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_upgrade_under_load_loses_no_request() {
    let mut cluster = Cluster::of(2).await;
    let ekiden = Ekiden::start(&mut cluster, &[("web.json", &web::manifest("v1"))], &[]).await;
    ekiden.until("v1 serves", async || (healthy(&ekiden).await == 3).then_some(())).await;

    // A client as a load balancer is one: it asks any of the running instances and tries another when one has gone.
    let stop = AtomicBool::new(false);
    let answers = AtomicU32::new(0);
    let poll = async {
        while !stop.load(Ordering::Relaxed) {
            let healthy = healthy(&ekiden).await;
            assert!(healthy >= 3, "{healthy} healthy, the floor is 3");
            assert!(ask_any(&ekiden).await.is_some(), "no instance answered");
            answers.fetch_add(1, Ordering::Relaxed);
        }
    };
    let roll = async {
        ekiden.write("web.json", &web::manifest("v2"));
        ekiden
            .until("v2 alone serves", async || {
                let status = ekiden.look("/v1/apps/web/status").await?;
                let instances = status["observed"]["instances"].as_array()?.clone();
                let settled = instances.len() == 3 && instances.iter().all(|one| one["revision"] == 2);
                (settled && status["waitingFor"].as_array()?.is_empty()).then_some(())
            })
            .await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(poll, roll);
    assert!(answers.load(Ordering::Relaxed) > 10, "the client has hardly asked");
    assert_eq!(ask_any(&ekiden).await.as_deref(), Some("v2"));
    truth::until_exactly(&cluster, &ekiden, &[("web", 3)]).await;
    let launched = truth::tasks(&cluster).await.len();
    assert_eq!(launched, 6, "three of each version, and none twice");
}

async fn healthy(ekiden: &Ekiden) -> u64 {
    let apps = ekiden.look("/v2/apps/web").await;
    apps.and_then(|apps| apps["app"]["tasksHealthy"].as_u64()).unwrap_or(0)
}

/// What some instance answers; nothing when none does.
async fn ask_any(ekiden: &Ekiden) -> Option<String> {
    for task in ekiden.tasks("web").await.iter().filter(|task| task["state"] == "TASK_RUNNING") {
        let host = task["host"].as_str()?;
        if let Some(answer) = web::ask(&format!("{host}:{}", task["ports"][0])).await {
            return Some(answer);
        }
    }
    None
}
