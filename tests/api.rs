//! The HTTP API and the commands that go through it, against the real binary.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/commands.rs"]
mod commands;
#[path = "support/ekiden.rs"]
mod ekiden;
#[path = "support/writes.rs"]
mod writes;

use std::collections::BTreeSet;
use std::sync::Arc;

use ::ekiden::api::route::{Endpoint, ROUTES};
use ekiden::Ekiden;
use ekiden::client::{Answer, send};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const APPS: &str = "
id: /prod/web
cmd: echo hello; echo oops >&2; exec sleep 1000
cpus: 0.1
mem: 16
instances: 2
labels: {tier: web}
---
id: /prod/db/main
cmd: exec sleep 1000
cpus: 0.1
mem: 16
labels: {tier: db, owner: ann}
---
id: /big
cmd: exec sleep 1000
cpus: 64
mem: 16
";

async fn start(ports: &str) -> Ekiden {
    let ekiden = Ekiden::start(ports, &[("apps.yaml", APPS)]).await;
    ekiden.until_running("/prod/web", 2).await;
    ekiden.until_running("/prod/db/main", 1).await;
    ekiden
}

/// A folder with the manifests, for an ekiden that gets options.
fn folder_with_apps() -> Arc<tempfile::TempDir> {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let manifests = folder.path().join("manifests");
    std::fs::create_dir_all(&manifests).expect("made");
    std::fs::write(manifests.join("apps.yaml"), APPS).expect("written");
    folder
}

fn ids(apps: &Value) -> Vec<&str> {
    apps.as_array().map(|apps| apps.iter().filter_map(|app| app["id"].as_str()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn every_route_answers_and_says_so_in_the_same_headers() {
    let folder = folder_with_apps();
    let ekiden = Ekiden::start_in(folder, "41200-41219", &["--state", "state"]).await;
    let web = ekiden.until_running("/prod/web", 2).await;
    let task = web[0]["id"].as_str().expect("an id");
    let group = |path: &str| path.replace("prod/web", "prod");
    for route in ROUTES {
        let filled = route.path.replace("{id*}", "prod/web").replace("{task}", task).replace("{file}", "stdout");
        // What a file declares is changed there: such a write is answered, with a refusal. See tests/writes.rs.
        let (path, body, fits) = match route.endpoint {
            // `ekiden dev` has nothing to remove; see the tests of `ekiden serve`.
            Endpoint::Uninstall | Endpoint::Events | Endpoint::Watch => continue,
            Endpoint::QueueDelay => ("/v2/queue/big/delay".to_owned(), "", 204..205),
            Endpoint::ChangeLogging => (filled, r#"{"logger": "ekiden", "level": "info"}"#, 200..201),
            Endpoint::CancelDeployment | Endpoint::AppVersion => {
                (filled.replace("{version}", "2020-01-01T00:00:00.000Z"), "", 404..405)
            }
            Endpoint::CreateApp => (filled, r#"{"id": "/prod/web", "cmd": "true"}"#, 409..410),
            Endpoint::PutApp | Endpoint::PatchApp => (filled, r#"{"instances": 3}"#, 409..410),
            Endpoint::PutApps | Endpoint::PatchApps => {
                (filled, r#"[{"id": "/prod/web", "instances": 3}]"#, 409..410)
            }
            Endpoint::DeleteApp | Endpoint::Adopt | Endpoint::Disown | Endpoint::Abdicate => {
                (filled, "", 409..410)
            }
            Endpoint::Group | Endpoint::GroupApps | Endpoint::GroupVersions => (group(&filled), "", 200..201),
            Endpoint::GroupVersion => {
                (group(&filled).replace("{version}", "2020-01-01T00:00:00.000Z"), "", 404..405)
            }
            Endpoint::CreateGroup => (group(&filled), r#"{"id": "/prod"}"#, 409..410),
            Endpoint::PutGroup => (group(&filled), r#"{"scaleBy": 3}"#, 409..410),
            Endpoint::PatchGroup => (group(&filled), r#"{"enforceRole": false}"#, 200..201),
            Endpoint::DeleteGroup => (group(&filled), "", 409..410),
            // There is no pod yet, and an app has the id (tests/pods.rs); callbacks are off (tests/events.rs).
            Endpoint::CreatePod => (filled, r#"{"id": "/prod/web", "containers": 3}"#, 400..401),
            Endpoint::PodVersion => (filled.replace("{version}", "2020-01-01T00:00:00.000Z"), "", 404..405),
            Endpoint::Callbacks
            | Endpoint::AddCallback
            | Endpoint::RemoveCallback
            | Endpoint::Pod
            | Endpoint::PodStatus
            | Endpoint::PodVersions
            | Endpoint::PutPod
            | Endpoint::DeletePod
            | Endpoint::KillPodInstances
            | Endpoint::KillPodInstance => (filled, "", 404..405),
            Endpoint::KillTasks => (filled, r#"{"ids": []}"#, 200..201),
            Endpoint::Plan => (filled, "[]", 200..201),
            // Each ends what the one before has started.
            Endpoint::KillAppTask => (filled, "", 200..405),
            _ => (filled, "", 200..300),
        };
        let method = route.verb.methods()[0];
        let answer = ekiden.send(method, &path, body).await;
        assert!(fits.contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        for header in
            ["cache-control: no-cache, no-store, must-revalidate", "pragma: no-cache", "x-frame-options: deny"]
        {
            assert!(answer.head.contains(header), "{method} {path} lacks {header}: {}", answer.head);
        }
        let other = ekiden.send("TRACE", &path, "").await;
        let message: Value = serde_json::from_str(&other.body).expect("JSON");
        assert_eq!(other.status, 405, "TRACE {path}");
        assert!(other.head.contains("allow: ") && message["message"].is_string(), "TRACE {path}: {}", other.head);
        let options = ekiden.send("OPTIONS", &path, "").await;
        assert_eq!(options.status, 204, "OPTIONS {path}");
        assert!(
            options.head.lines().any(|line| line.starts_with("allow: ") && line.contains(&method.to_lowercase()))
        );
    }
    let nothing = ekiden.get("/v2/nothing", "*/*").await;
    assert_eq!((nothing.status, nothing.body.as_str()), (404, r#"{"message":"nothing is at /v2/nothing"}"#));
}

#[tokio::test]
async fn apps_are_found_filtered_and_counted_as_in_marathon() {
    let ekiden = start("41220-41239").await;
    let listed = async |query: &str| ids_of(&ekiden.json(&format!("/v2/apps{query}")).await);
    assert_eq!(listed("").await, ["/big", "/prod/db/main", "/prod/web"]);
    assert_eq!(listed("?id=PROD").await, ["/prod/db/main", "/prod/web"]);
    assert_eq!(listed("?cmd=hello").await, ["/prod/web"]);
    assert_eq!(listed("?label=tier%20in%20(web,db),owner").await, ["/prod/db/main"]);
    assert_eq!(ekiden.get("/v2/apps?label=%3D", "*/*").await.status, 422);

    let app = ekiden.json("/v2/apps//prod/web").await["app"].take();
    assert_eq!(
        (&app["tasksRunning"], &app["tasksStaged"], &app["tasksHealthy"]),
        (&json!(2), &json!(0), &json!(0))
    );
    assert_eq!(app["tasks"].as_array().map(Vec::len), Some(2));
    assert_eq!(app["deployments"], json!([]));
    let service_port = &app["portDefinitions"][0]["port"];
    assert!(service_port.as_u64() >= Some(10_000), "the leased service port is shown: {service_port}");
    assert_eq!(&app["tasks"][1]["servicePorts"][0], service_port);
    assert_eq!(app["labels"], json!({ "tier": "web" }));
    let group = ekiden.json("/v2/apps/prod/*").await;
    assert_eq!(ids(&group["*"]), ["/prod/db/main", "/prod/web"]);
    assert_eq!(ekiden.json("/v2/apps/prod/*/tasks").await["tasks"].as_array().map(Vec::len), Some(3));

    let missing = ekiden.get("/v2/apps/none", "*/*").await;
    assert_eq!((missing.status, missing.body.as_str()), (404, r#"{"message":"App '/none' does not exist"}"#));
    assert_eq!(ekiden.json("/v2/tasks?status=staging").await["tasks"], json!([]));
    assert_eq!(ekiden.json("/v2/tasks?status[]=running").await["tasks"].as_array().map(Vec::len), Some(3));
}

fn ids_of(answer: &Value) -> Vec<String> {
    ids(&answer["apps"]).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_waits_says_what_it_lacks() {
    let ekiden = start("41240-41259").await;
    let item = ekiden
        .until("the refusal is counted", async || {
            let queue = ekiden.json("/v2/queue").await;
            let item = queue["queue"].as_array()?.iter().find(|item| item["app"]["id"] == "/big")?.clone();
            (item["processedOffersSummary"]["processedOffersCount"].as_u64()? > 0).then_some(item)
        })
        .await;
    assert_eq!((&item["count"], &item["delay"]["overdue"]), (&json!(1), &json!(true)));
    let rows = item["processedOffersSummary"]["rejectSummaryLastOffers"].as_array().expect("rows").clone();
    let names: BTreeSet<&str> = rows.iter().filter_map(|row| row["reason"].as_str()).collect();
    assert_eq!(names.len(), 10, "every reason is listed: {rows:?}");
    let short = rows.iter().find(|row| row["reason"] == "InsufficientCpus").expect("there");
    assert_eq!(short["declined"], 1, "{rows:?}");
    let status = ekiden.json("/v1/apps/big/status").await;
    let text = status["waitingFor"].to_string();
    assert!(text.contains("1 agent lacks cpus (largest has ") && text.contains("needs 64"), "{text}");
    let deployments = ekiden.json("/v2/deployments").await;
    let current = &deployments[0]["currentActions"];
    assert_eq!((&current[0]["app"], &current[0]["action"]), (&json!("/big"), &json!("ScaleApplication")));
    assert_eq!(current.as_array().map(Vec::len), Some(1), "the others are there: {deployments}");
}

#[tokio::test]
async fn events_are_marathons_and_resume_where_the_client_stopped() {
    let ekiden = start("41260-41279").await;
    assert_eq!(ekiden.get("/v2/events", "application/json").await.status, 405);

    let mut live = Events::open(&ekiden, "/v2/events", "").await;
    assert_eq!(live.next().await.0, "event_stream_attached");
    ekiden.write("more.yaml", "id: more\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\n");
    let (id, data) = live.until("deployment_success").await;
    assert_eq!(data["eventType"], "deployment_success");
    assert!(data["timestamp"].is_string() && data["plan"]["id"] == data["id"], "{data}");

    std::fs::remove_file(ekiden.manifest("more.yaml")).expect("removed");
    let (last, _) = live.until("app_terminated_event").await;
    let resume = format!("Last-Event-ID: {id}\r\n");
    let mut resumed = Events::open(&ekiden, "/v2/events?event_type=app_terminated_event", &resume).await;
    let (kind, id, data) = resumed.next().await;
    assert_eq!((kind.as_str(), id, &data["appId"]), ("app_terminated_event", last, &json!("/more")));
}

#[tokio::test]
async fn numbers_and_pings_come_in_the_form_asked_for() {
    let ekiden = start("41280-41299").await;
    let text = ekiden.get("/metrics", "text/plain").await;
    assert!(text.body.contains("ekiden_instances{state=\"TASK_RUNNING\"} 3"), "{}", text.body);
    assert!(text.body.contains("# HELP") && text.body.trim_end().ends_with("# EOF"), "{}", text.body);
    let metrics = ekiden.get("/metrics/prometheus", "*/*").await;
    assert_eq!(metrics.status, 200);
    for counted in ["ekiden_store_batch_seconds_count", "ekiden_store_writes_total", "ekiden_turn_seconds_count"] {
        let of = |line: &str| line.strip_prefix(counted)?.trim().parse::<f64>().ok();
        let count = metrics.body.lines().find_map(of);
        assert!(count.is_some_and(|count| count > 0.0), "{counted}: {count:?}");
    }
    let json = ekiden.json("/metrics").await;
    assert!(json["gauges"].is_object() && json["counters"].is_object(), "{json}");
    assert_eq!(ekiden.get("/ping", "*/*").await.body, "pong");
    assert_eq!(ekiden.get("/ping", "application/json").await.body, "\"pong\"");
    assert_eq!(ekiden.get("/ping", "image/png").await.status, 204);
    assert_eq!(ekiden.json("/v2/info").await["leader"], ekiden.address());
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing_done() {
    let ekiden = start("41300-41319").await;
    let rebound = "GET /v2/apps HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(send(ekiden.address(), rebound).await.expect("answered").status, 403);
    let form = "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(ask(&ekiden, "POST", "/v1/directory/confirm-prune", form).await.status, 415);
    let empty = "Origin: http://evil.example\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(ask(&ekiden, "POST", "/v1/directory/confirm-prune", empty).await.status, 403);
    let public = ekiden.command(&["dev", "manifests", "--http", "0.0.0.0:0"]).await;
    let complaint = String::from_utf8_lossy(&public.stderr);
    assert!(public.status.code() == Some(69) && complaint.contains("--http 127.0.0.1"), "{complaint}");
}

#[tokio::test]
async fn commands_show_what_the_api_tells() {
    let ekiden = start("41320-41339").await;
    let run = async |arguments: &[&str]| {
        let output = ekiden.command(arguments).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("it exited"), text, complaint)
    };
    let (code, apps, _) = run(&["get", "apps"]).await;
    assert!(code == 0 && apps.starts_with("APP ") && apps.contains("/prod/web      2/2"), "{apps}");
    let (code, apps, _) = run(&["get", "apps", "--output", "json"]).await;
    let apps: Value = serde_json::from_str(&apps).expect("JSON");
    assert_eq!((code, ids(&apps)), (0, vec!["/big", "/prod/db/main", "/prod/web"]));
    let (code, instances, _) = run(&["get", "instances", "/prod/web"]).await;
    assert!(code == 0 && instances.lines().count() == 3 && instances.contains("1#1"), "{instances}");
    let (code, explained, _) = run(&["explain", "/big"]).await;
    assert!(code == 0 && explained.contains("lacks cpus") && explained.contains("apps.yaml:"), "{explained}");
    let (code, _, complaint) = run(&["explain", "/none"]).await;
    assert!(code == 1 && complaint.contains("App '/none' does not exist"), "{complaint}");
    let (code, page, _) = run(&["explain", "E0001"]).await;
    assert!(code == 0 && page.contains("E0001"), "{page}");

    let (code, logs, _) = run(&["logs", "/prod/web", "--instance", "1"]).await;
    assert_eq!((code, logs.as_str()), (0, "hello\n"));
    let (code, logs, _) = run(&["logs", "prod/web", "--stderr"]).await;
    assert_eq!((code, logs.as_str()), (0, "oops\n"));

    assert_eq!(run(&["plan", "manifests"]).await.0, 0);
    ekiden::client::write(
        &ekiden.folder.path().join("next/apps.yaml"),
        &APPS.replace("instances: 2", "instances: 5"),
    );
    let (code, plan, _) = run(&["plan", "next"]).await;
    assert!(code == 2 && plan.contains("~ /prod/web: scale") && plan.contains("instances: 2 -> 5"), "{plan}");
    let (code, plan, _) = run(&["plan", "next", "--from-nothing", "--output", "json"]).await;
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!((code, plan["changes"].as_array().map(Vec::len)), (2, Some(3)));
    assert_eq!(run(&["validate", "manifests"]).await.0, 0);
    ekiden::client::write(&ekiden.folder.path().join("next/bad.yaml"), "id: bad\ncdm: sleep 1\n");
    let (code, wrong, _) = run(&["validate", "next"]).await;
    assert!(code == 1 && wrong.contains("bad.yaml:2"), "{wrong}");
    assert_eq!(run(&["plan", "next"]).await.0, 1);
    assert_eq!(run(&["get", "pears"]).await.0, 64);
    let (code, _, complaint) = run(&["get", "apps", "--server", "http://127.0.0.1:9"]).await;
    assert!(
        code == 1
            && complaint.contains(
                "cannot reach http://127.0.0.1:9: connection refused; is ekiden running (`serve`, `dev`)?"
            ),
        "{complaint}"
    );
    assert!(run(&["confirm-prune"]).await.1.starts_with("nothing waits for this"));
}

async fn ask(ekiden: &Ekiden, method: &str, path: &str, headers: &str) -> Answer {
    let address = ekiden.address();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}");
    send(address, &request).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// An event stream, read as it comes.
struct Events(BufReader<TcpStream>);

impl Events {
    async fn open(ekiden: &Ekiden, path: &str, headers: &str) -> Self {
        let address = ekiden.address();
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        Self(BufReader::new(stream))
    }

    /// The next frame: its type, id and data.
    async fn next(&mut self) -> (String, String, Value) {
        let (mut kind, mut id) = (String::new(), String::new());
        let read = async {
            loop {
                let mut line = String::new();
                assert!(self.0.read_line(&mut line).await.expect("readable") > 0, "the stream has ended");
                let line = line.trim_end();
                if let Some(value) = line.strip_prefix("event: ") {
                    value.clone_into(&mut kind);
                } else if let Some(value) = line.strip_prefix("id: ") {
                    value.clone_into(&mut id);
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let data = serde_json::from_str(data).expect("one line of JSON");
                    return (std::mem::take(&mut kind), std::mem::take(&mut id), data);
                }
            }
        };
        tokio::time::timeout(ekiden::client::PATIENCE, read).await.expect("an event in time")
    }

    async fn until(&mut self, wanted: &str) -> (String, Value) {
        loop {
            let (kind, id, data) = self.next().await;
            if kind == wanted {
                return (id, data);
            }
        }
    }
}

#[tokio::test]
async fn the_state_is_exported_while_ekiden_runs_and_imported_elsewhere() {
    let folder = folder_with_apps();
    let ekiden = Ekiden::start_in(folder, "41340-41359", &["--state", "state"]).await;
    ekiden.until_running("/prod/web", 2).await;
    ekiden.until_running("/prod/db/main", 1).await;
    let state = async |arguments: &[&str]| {
        let output = ekiden.command(&[&["state"], arguments].concat()).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let kept = "3 apps with 3 instances, no framework";
    assert_eq!(state(&["export", "backup"]).await, (Some(0), format!("{kept} in backup\n")));
    assert_eq!(state(&["check", "backup"]).await, (Some(0), format!("{kept}: nothing is wrong\n")));
    let metadata = std::fs::metadata(ekiden.folder.path().join("backup")).expect("a file");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o600);
    let (code, lines) = state(&["export"]).await;
    assert_eq!(code, Some(0), "{lines}");
    assert!(lines.contains("\"key\":\"/prod/web#0000000001\""), "{lines}");

    let (code, said) = state(&["export", "--state", "state", "other-backup"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is in use by an ekiden that runs: leave out --state to export through it"), "{said}");
    assert!(!ekiden.folder.path().join("other-backup").exists(), "half of an export is left");
    assert_eq!(state(&["import", "--state", "state", "backup"]).await.0, Some(75));

    let imported = format!("{kept} imported into other\n");
    assert_eq!(state(&["import", "--state", "other", "backup"]).await, (Some(0), imported));
    assert_eq!(state(&["check", "--state", "other"]).await, (Some(0), format!("{kept}: nothing is wrong\n")));
    assert_eq!(state(&["export", "--state", "other", "again"]).await.0, Some(0));
    let file = |name: &str| std::fs::read_to_string(ekiden.folder.path().join(name)).expect("a file");
    assert_eq!(file("again"), file("backup"));
    std::fs::write(ekiden.folder.path().join("cut"), &file("backup")[..500]).expect("written");
    let (code, said) = state(&["import", "--state", "third", "cut"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the export is cut off after"), "{said}");
}

#[tokio::test]
async fn the_log_says_more_for_a_while_when_it_is_told_to() {
    let ekiden = Ekiden::start_in(folder_with_apps(), "41360-41379", &[]).await;
    let level = async || ekiden.json("/logging").await["ekiden"].as_str().map(str::to_owned);
    assert_eq!(level().await.as_deref(), Some("info"));
    assert!(!ekiden.log().contains("answered"), "{}", ekiden.log());

    let change = json!({ "logger": "ekiden", "level": "debug", "durationSeconds": 2 });
    assert_eq!(ekiden.write_json("POST", "/logging", &change).await, (200, change));
    ekiden.until("it says more", async || ekiden.log().contains("answered").then_some(())).await;
    ekiden.until("it is over", async || (level().await.as_deref() == Some("info")).then_some(())).await;

    for (wrong, status) in [
        (json!({ "logger": "ekiden", "level": "loud" }), 422),
        (json!({ "logger": "mesosphere.marathon", "level": "info" }), 422),
        (json!({ "logger": "ekiden", "level": "info", "durationSeconds": 0 }), 422),
        (json!({ "level": "info" }), 400),
    ] {
        let (answered, body) = ekiden.write_json("POST", "/logging", &wrong).await;
        assert!(answered == status && body["message"].is_string(), "{wrong}: {answered} {body}");
    }
}
