//! What programs listen to, and what explains an app, against the real binary.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/ekiden.rs"]
mod ekiden;
#[path = "watch/events.rs"]
mod events;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/writes.rs"]
mod writes;

use std::path::Path;
use std::sync::Arc;

use ekiden::Ekiden;
use ekiden::client::{PATIENCE, write};
use lines::Lines;
use serde_json::{Value, json};

const WEB: &str = "id: /prod/web\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\nlabels: {tier: web}\n";

/// A directory without manifests.
const NOTHING: &[(&str, &str)] = &[("about.txt", "Nothing is declared here.")];

fn app(id: &str, instances: u32) -> Value {
    json!({ "id": id, "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": instances })
}

/// The next line that is about something.
async fn told(lines: &mut Lines) -> Value {
    loop {
        let line = lines.next().await.expect("the stream goes on");
        if line.starts_with('{') {
            return serde_json::from_str(&line).expect("JSON");
        }
    }
}

/// The next line of such a type.
async fn of_type(lines: &mut Lines, kind: &str) -> Value {
    let found = async {
        loop {
            let line = told(lines).await;
            if line["type"] == kind {
                return line;
            }
        }
    };
    // The stream itself never falls silent for long.
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no `{kind}` within {PATIENCE:?}"))
}

/// Apps and `synced`, up to `synced`.
async fn snapshot(lines: &mut Lines) -> (Vec<String>, String) {
    let mut apps = Vec::new();
    loop {
        let line = told(lines).await;
        match line["type"].as_str() {
            Some("app") => apps.push(line["id"].as_str().expect("an id").to_owned()),
            Some("synced") => return (apps, line["revision"].as_str().expect("a revision").to_owned()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_watcher_is_told_everything_and_then_every_change() {
    let ekiden = Ekiden::start("42200-42219", &[("web.yaml", WEB)]).await;
    ekiden.until_running("/prod/web", 1).await;
    let mut lines = Lines::open(&ekiden, "/v1/watch", "").await;
    assert!(lines.head.contains("content-type: application/x-ndjson"), "{}", lines.head);
    let (apps, revision) = snapshot(&mut lines).await;
    assert_eq!(apps, ["/prod/web"]);

    // What comes and goes between two looks of the watcher is not told: this deployment waits for a place, for ever.
    let mut large = app("/large", 1);
    large["cpus"] = json!(100_000);
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &large).await.0, 201);
    let deployment = of_type(&mut lines, "deployment").await;
    assert_eq!(deployment["deployment"]["affectedApps"], json!(["/large"]));
    assert_eq!(ekiden.write_json("DELETE", "/v2/apps//large", &Value::Null).await.0, 200);
    assert_eq!(of_type(&mut lines, "deploymentGone").await["id"], deployment["id"]);

    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app("/new", 1)).await.0, 201);
    let runs = async {
        loop {
            let line = of_type(&mut lines, "app").await;
            if line["id"] == "/new" && line["app"]["counts"]["running"] == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, runs).await.expect("the running app is told of");
    assert_eq!(ekiden.write_json("DELETE", "/v2/apps//new", &Value::Null).await.0, 200);
    assert_eq!(of_type(&mut lines, "gone").await["id"], "/new");

    // What was missed is told folded: that the apps are gone, and nothing of their lives.
    let mut resumed = Lines::open(&ekiden, &format!("/v1/watch?since={revision}&kinds=apps"), "").await;
    for id in ["/large", "/new"] {
        let gone = told(&mut resumed).await;
        assert_eq!((&gone["type"], &gone["id"]), (&json!("gone"), &json!(id)));
    }
    assert_eq!(told(&mut resumed).await["type"], "synced");
}

#[tokio::test]
async fn a_watcher_is_told_only_what_it_asks_for() {
    let ekiden = Ekiden::start("42220-42239", &[("web.yaml", WEB)]).await;
    ekiden.until_running("/prod/web", 1).await;
    let by_label = "/v1/watch?kinds=apps&label=tier%3D%3Dweb&fields=status";
    let mut lines = Lines::open(&ekiden, by_label, "Accept: text/event-stream\r\n").await;
    assert!(lines.head.contains("content-type: text/event-stream"), "{}", lines.head);
    assert_eq!(lines.beginning("event: ").await, "app");
    let status: Value = serde_json::from_str(&lines.beginning("data: ").await).expect("JSON");
    assert_eq!(status["app"]["spec"]["definition"]["id"], "/prod/web");
    assert_eq!(lines.beginning("event: ").await, "synced");
    let mut below = Lines::open(&ekiden, "/v1/watch?kinds=apps&id=/other", "").await;
    assert_eq!(snapshot(&mut below).await.0, Vec::<String>::new());
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app("/third", 1)).await.0, 201);
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app("/other/one", 1)).await.0, 201);
    assert_eq!(told(&mut below).await["id"], "/other/one");

    // An app that has the label no more is gone for whoever asked for the label.
    ekiden.write("web.yaml", &WEB.replace("tier: web", "tier: none"));
    assert_eq!(lines.beginning("event: ").await, "gone");
    let gone: Value = serde_json::from_str(&lines.beginning("data: ").await).expect("JSON");
    assert_eq!(gone["id"], "/prod/web");
}

#[tokio::test]
async fn what_is_not_known_any_more_is_to_be_read_anew() {
    let ekiden = Ekiden::start("42240-42249", NOTHING).await;
    let gone = ekiden.get("/v1/watch?since=1.1", "*/*").await;
    assert_eq!(gone.status, 410, "{}", gone.body);
    assert!(gone.body.contains("anew"), "{}", gone.body);
    for query in ["since=yesterday", "kinds=pods", "fields=all", "label=%3D", "id=/UPPER"] {
        let wrong = ekiden.get(&format!("/v1/watch?{query}"), "*/*").await;
        assert_eq!(wrong.status, 400, "{query}: {}", wrong.body);
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let ran = std::process::Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("git is installed");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test]
async fn an_app_says_how_it_is_where_it_comes_from_and_what_it_was() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let manifests = folder.path().join("manifests");
    write(&manifests.join("web.yaml"), WEB);
    git(&manifests, &["init", "-q"]);
    git(&manifests, &["add", "."]);
    git(&manifests, &["commit", "-q", "-m", "web"]);
    let ekiden = Ekiden::start_in(folder, "42260-42279", &[]).await;
    ekiden.until_running("/prod/web", 1).await;
    let condition = async |kind: &str| {
        let status = ekiden.json("/v1/apps/prod/web/status").await;
        let conditions = status["conditions"].as_array().expect("conditions").clone();
        conditions.into_iter().find(|condition| condition["type"] == kind).expect("always there")
    };
    ekiden
        .until("it is complete", async || (condition("Progressing").await["reason"] == "Complete").then_some(()))
        .await;
    assert_eq!(condition("Available").await["status"], true);
    let status = ekiden.json("/v1/apps/prod/web/status").await;
    let from = &status["provenance"];
    assert_eq!((&from["kind"], &from["path"], &from["line"]), (&json!("file"), &json!("web.yaml"), &json!(1)));
    assert_eq!(from["commit"]["author"], "Ann <ann@example.com>");
    // `sha256sum web.yaml`
    assert!(from["contentHash"].as_str().is_some_and(|hash| hash.len() == "sha256:".len() + 64), "{from}");
    assert_eq!(status["drift"], Value::Null);

    let path = "/v2/apps//prod/web?override=true&reason=incident%207&expires=1h";
    let (code, changed) = ekiden.write_json("PUT", path, &json!({ "instances": 2 })).await;
    assert_eq!(code, 200, "{changed}");
    let over = condition("Overridden").await;
    assert!(over["status"] == true && over["message"].as_str().is_some_and(|text| text.contains("incident 7")));
    let drift = ekiden.json("/v1/apps/prod/web/status").await["drift"].take();
    assert_eq!(drift["fields"], json!([{ "field": "instances", "takes": "scale", "old": "1", "new": "2" }]));
    assert!(drift["diff"].as_str().is_some_and(|diff| diff.contains("+  \"instances\": 2,")), "{drift}");

    let history = ekiden.json("/v1/apps/prod/web/history").await;
    let kinds: Vec<&Value> = history["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|version| &version["cause"]["kind"])
        .collect();
    assert_eq!(kinds, ["overridden", "declared"]);
    let page = ekiden.json("/v1/apps/prod/web/history?limit=1").await;
    let next = page["next"].as_str().expect("there is more");
    let rest = ekiden.json(&format!("/v1/apps/prod/web/history?limit=1&after={next}")).await;
    assert_eq!((&rest["versions"][0], &rest["next"]), (&history["versions"][1], &Value::Null));
}

#[tokio::test]
async fn lists_are_read_in_pages() {
    let three =
        ["a", "b", "c"].map(|id| format!("id: {id}\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\n")).join("---\n");
    let ekiden = Ekiden::start("42280-42299", &[("apps.yaml", &three)]).await;
    for app in ["/a", "/b", "/c"] {
        ekiden.until_running(app, 1).await;
    }
    for (path, list, id) in [("/v1/apps", "apps", "id"), ("/v1/instances", "instances", "app")] {
        let (mut found, mut query) = (Vec::new(), String::new());
        loop {
            let page = ekiden.json(&format!("{path}?limit=2{query}")).await;
            let entries = page[list].as_array().expect("a list");
            found.extend(entries.iter().filter_map(|entry| entry[id].as_str().map(str::to_owned)));
            let Some(next) = page["next"].as_str() else { break };
            query = format!("&after={next}");
        }
        assert_eq!(found, ["/a", "/b", "/c"], "{path}");
    }
    assert_eq!(ekiden.get("/v1/apps?limit=0", "*/*").await.status, 400);
}
