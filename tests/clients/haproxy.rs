//! A real HAProxy in front of an app, kept in step by a bridge that follows the event stream, while the app is rolled over
//! and scaled under load: no request fails.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinSet;

use crate::ekiden::Ekiden;
use crate::ekiden::client;
use crate::kit::{self, SOURCE};
use crate::script::{self, python_command};

/// How many ask at once, each again as soon as it is answered.
const CLIENTS: usize = 8;

/// HAProxy, and the bridge that runs it.
struct Bridge {
    address: String,
    /// The bridge ends when this does.
    _stdin: ChildStdin,
    _process: Child,
}

impl Bridge {
    /// Starts it for an app with this service port.
    fn start(ekiden: &Ekiden, app: &str, port: u16) -> Self {
        let folder = ekiden.folder.path().join("haproxy");
        std::fs::create_dir(&folder).expect("made");
        let mut process = python_command("bridge.py")
            .args([&ekiden.server, app])
            .arg(kit::part("haproxy/usr/sbin/haproxy"))
            .arg(&folder)
            .env("LD_LIBRARY_PATH", kit::part("haproxy/usr/lib/x86_64-linux-gnu"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the bridge starts");
        let stdin = process.stdin.take().expect("piped");
        Self { address: format!("127.0.0.1:{port}"), _stdin: stdin, _process: process }
    }
}

/// Clients that ask HAProxy without a pause, and keep count of what they get.
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
    answered: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    /// How often each version has answered, and each task.
    seen: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Load {
    fn start(address: &str) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            clients: JoinSet::new(),
            answered: Arc::default(),
            failed: Arc::default(),
            seen: Arc::default(),
        };
        for _ in 0..CLIENTS {
            let (stop, answered) = (Arc::clone(&load.stop), Arc::clone(&load.answered));
            let (failed, seen) = (Arc::clone(&load.failed), Arc::clone(&load.seen));
            let address = address.to_owned();
            load.clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match client::get(&address, "/", "*/*").await {
                        Ok(answer) if answer.status == 200 => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            for word in answer.body.split(' ') {
                                *seen.lock().expect("no panic").entry(word.to_owned()).or_default() += 1;
                            }
                        }
                        Ok(answer) => {
                            failed.lock().expect("no panic").push(format!("{} {}", answer.status, answer.body));
                        }
                        Err(error) => failed.lock().expect("no panic").push(error.to_string()),
                    }
                }
            });
        }
        load
    }

    /// Who has answered, from now on until each of `CLIENTS` has been answered a few times more.
    async fn answering(&self, ekiden: &Ekiden) -> BTreeSet<String> {
        self.seen.lock().expect("no panic").clear();
        let since = self.answered.load(Ordering::Relaxed);
        ekiden
            .until("more answers", async || {
                (self.answered.load(Ordering::Relaxed) > since + 20 * CLIENTS).then_some(())
            })
            .await;
        self.seen.lock().expect("no panic").keys().cloned().collect()
    }

    /// Ends it: how many requests were answered, and what became of the others.
    async fn end(mut self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        let failed = std::mem::take(&mut *self.failed.lock().expect("no panic"));
        (self.answered.load(Ordering::Relaxed), failed)
    }
}

fn app(service_port: u16) -> Value {
    json!({
        "id": "/web",
        "cmd": format!("exec /usr/bin/python3 -B {SOURCE}/python/web.py"),
        "env": { "VERSION": "v1" },
        "instances": 3,
        "cpus": 0.1,
        "mem": 32,
        "taskKillGracePeriodSeconds": 60,
        "portDefinitions": [{ "port": service_port, "name": "http" }],
        "upgradeStrategy": { "minimumHealthCapacity": 1.0, "maximumOverCapacity": 0.4 },
        "healthChecks": [{
            "protocol": "HTTP", "path": "/health", "portIndex": 0,
            "gracePeriodSeconds": 60, "intervalSeconds": 1, "timeoutSeconds": 10,
        }],
    })
}

/// A port that is free now, and outside of those that apps are given.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

async fn change(ekiden: &Ekiden, change: Value) {
    let (status, answer) = ekiden.write_json("PUT", "/v2/apps/web", &change).await;
    assert_eq!(status, 200, "{answer}");
    ekiden
        .until("it is deployed", async || {
            let deployments = ekiden.json("/v2/deployments").await;
            deployments.as_array().is_some_and(Vec::is_empty).then_some(())
        })
        .await;
}

/// Waits until those who answer are of this version alone, and just the app's tasks.
async fn until_answered_by(ekiden: &Ekiden, load: &Load, version: &str, count: usize) {
    let tasks = ekiden.until_running("/web", count).await;
    let wanted: BTreeSet<String> = tasks
        .iter()
        .filter_map(|task| task["id"].as_str().map(str::to_owned))
        .chain([version.to_owned()])
        .collect();
    ekiden
        .until(&format!("{version} answers"), async || (load.answering(ekiden).await == wanted).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_follows_our_events_through_upgrades_and_scaling_and_no_request_fails() {
    let ekiden = script::server("43170-43229").await;
    let port = free_port();
    let (status, made) = ekiden.write_json("POST", "/v2/apps", &app(port)).await;
    assert_eq!(status, 201, "{made}");
    let bridge = Bridge::start(&ekiden, "/web", port);
    ekiden
        .until("HAProxy answers", async || {
            let answer = client::get(&bridge.address, "/", "*/*").await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    ekiden.until_running("/web", 3).await;

    let load = Load::start(&bridge.address);
    until_answered_by(&ekiden, &load, "v1", 3).await;
    change(&ekiden, json!({ "env": { "VERSION": "v2" } })).await;
    until_answered_by(&ekiden, &load, "v2", 3).await;
    change(&ekiden, json!({ "instances": 5 })).await;
    until_answered_by(&ekiden, &load, "v2", 5).await;
    change(&ekiden, json!({ "env": { "VERSION": "v3" } })).await;
    until_answered_by(&ekiden, &load, "v3", 5).await;
    change(&ekiden, json!({ "instances": 2 })).await;
    until_answered_by(&ekiden, &load, "v3", 2).await;
    let (answered, failed) = load.end().await;
    assert!(
        failed.is_empty(),
        "{} of {} failed: {failed:#?}\n{}",
        failed.len(),
        answered + failed.len(),
        ekiden.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn old_bridges_get_tasks_as_lines() {
    let ekiden = script::server("43230-43249").await;
    let sleeper = |id: &str, ports: Value| {
        json!({
            "id": id, "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": 2, "portDefinitions": ports,
        })
    };
    let web = sleeper("/prod/web", json!([{ "port": 12001 }, { "port": 12002 }]));
    let apps = json!([web, sleeper("/none", json!([]))]);
    let (status, answer) = ekiden.write_json("PUT", "/v2/apps", &apps).await;
    assert_eq!(status, 200, "{answer}");
    let tasks = ekiden.until_running("/prod/web", 2).await;
    let hosts = ekiden.until_running("/none", 2).await;
    let places = |index: usize| -> String {
        let place =
            |task: &Value| format!("{}:{}\t", task["host"].as_str().unwrap_or_default(), task["ports"][index]);
        tasks.iter().map(place).collect()
    };
    let hosts: String = hosts.iter().filter_map(|task| Some(format!("{} ", task["host"].as_str()?))).collect();
    let web = format!("prod_web\t12001\t{}\nprod_web\t12002\t{}\n", places(0), places(1));
    for (path, lines) in [
        ("/v2/tasks", format!("none\t \t{hosts}\n{web}")),
        ("/v2/apps/prod/web/tasks", web.clone()),
        ("/v2/apps/prod/*/tasks", web.clone()),
        ("/v2/tasks?containerNetworks=*", format!("none\t \t{hosts}\n{web}")),
    ] {
        let answer = ekiden.get(path, "text/plain").await;
        assert_eq!((answer.status, answer.body), (200, lines), "{path}");
        assert!(answer.head.contains("content-type: text/plain"), "{}", answer.head);
    }
    // A web page names text, too, and means JSON.
    let answer = ekiden.get("/v2/tasks", "application/json, text/plain, */*").await;
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    assert_eq!(ekiden.get("/v2/apps/absent/tasks", "text/plain").await.status, 404);
}
