//! Writing apps through the API, against the real binary: what Marathon's clients do, and what ours add.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/deployed.rs"]
mod deployed;
#[path = "support/ekiden.rs"]
mod ekiden;
#[path = "support/writes.rs"]
mod writes;

use std::sync::Arc;

use ekiden::Ekiden;
use ekiden::client::write;
use serde_json::{Value, json};

const BY_FILE: &str = "id: /by-file\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\n";

fn app(id: &str, instances: u32) -> Value {
    json!({ "id": id, "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": instances })
}

async fn tasks(ekiden: &Ekiden, app: &str, count: usize) -> Vec<String> {
    let mut ids: Vec<String> = ekiden
        .until_running(app, count)
        .await
        .iter()
        .filter_map(|task| task["id"].as_str().map(str::to_owned))
        .collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn an_app_is_made_changed_rolled_back_restarted_and_removed() {
    let ekiden = Ekiden::start("42000-42039", &[("a.yaml", BY_FILE)]).await;
    let made = ekiden.send("POST", "/v2/apps", &app("web", 2).to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(
        made.head.contains("location: /web") && made.head.contains("marathon-deployment-id: "),
        "{}",
        made.head
    );
    let shown: Value = serde_json::from_str(&made.body).expect("JSON");
    assert_eq!((&shown["tasksRunning"], shown["deployments"].as_array().map(Vec::len)), (&json!(0), Some(1)));
    let first = shown["version"].as_str().expect("a version").to_owned();
    let before = tasks(&ekiden, "/web", 2).await;
    ekiden.until_deployed().await;

    let (status, again) = ekiden.write_json("POST", "/v2/apps", &app("/web", 2)).await;
    assert_eq!((status, again["message"].as_str()), (409, Some("An app with id [/web] already exists.")));

    let (status, scaled) = ekiden.write_json("PUT", "/v2/apps//web?force=True", &json!({ "instances": 3 })).await;
    assert!(status == 200 && scaled["deploymentId"].is_string(), "{scaled}");
    let after = tasks(&ekiden, "/web", 3).await;
    assert!(before.iter().all(|task| after.contains(task)), "scaling restarts nothing: {before:?} {after:?}");

    let (status, changed) = ekiden.write_json("PATCH", "/v2/apps/web", &json!({ "env": { "A": "1" } })).await;
    assert_eq!(status, 200, "{changed}");
    ekiden
        .until("all are replaced", async || {
            let now = tasks(&ekiden, "/web", 3).await;
            now.iter().all(|task| !after.contains(task)).then_some(())
        })
        .await;
    ekiden.until_deployed().await;
    let versions = ekiden.json("/v2/apps/web/versions").await;
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(3), "{versions}");
    let then = ekiden.json(&format!("/v2/apps/web/versions/{first}")).await;
    assert_eq!((&then["instances"], &then["env"]), (&json!(2), &json!({})));

    let (status, back) = ekiden.write_json("PUT", "/v2/apps/web", &json!({ "version": first })).await;
    assert_eq!(status, 200, "{back}");
    let old = tasks(&ekiden, "/web", 2).await;
    ekiden.until_deployed().await;
    assert_eq!(ekiden.json("/v2/apps/web").await["app"]["env"], json!({}));

    let (status, restarted) = ekiden.write_json("POST", "/v2/apps/web/restart", &Value::Null).await;
    assert_eq!(status, 200, "{restarted}");
    ekiden.until_deployed().await;
    let new = tasks(&ekiden, "/web", 2).await;
    assert!(new.iter().all(|task| !old.contains(task)), "{old:?} {new:?}");

    let (status, gone) = ekiden.write_json("DELETE", "/v2/apps/web", &Value::Null).await;
    assert_eq!(status, 200, "{gone}");
    ekiden
        .until("it is gone", async || (ekiden.get("/v2/apps/web", "*/*").await.status == 404).then_some(()))
        .await;
    let (status, nothing) = ekiden.write_json("DELETE", "/v2/apps/web", &Value::Null).await;
    assert_eq!((status, nothing["message"].as_str()), (404, Some("App '/web' does not exist")));
}

#[tokio::test]
async fn several_apps_change_in_one_deployment_and_what_is_sent_back_as_shown_changes_nothing() {
    let ekiden = Ekiden::start("42040-42079", &[("a.yaml", BY_FILE)]).await;
    let both = json!([app("/one", 1), { "id": "/two", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16,
        "dependencies": ["/one"] }]);
    let (status, made) = ekiden.write_json("PUT", "/v2/apps", &both).await;
    assert_eq!(status, 200, "{made}");
    let before = (tasks(&ekiden, "/one", 1).await, tasks(&ekiden, "/two", 1).await);
    ekiden.until_deployed().await;

    let shown = ekiden.json("/v2/apps/one").await["app"].clone();
    let (status, same) = ekiden.write_json("PUT", "/v2/apps/one", &shown).await;
    assert_eq!(status, 200, "{same}");
    let (status, missing) = ekiden.write_json("PATCH", "/v2/apps", &json!([{ "id": "/three" }])).await;
    assert_eq!((status, missing["message"].as_str()), (404, Some("App '/three' does not exist")));
    let round = json!([{ "id": "/one", "dependencies": ["/two"] }]);
    let (status, cycle) = ekiden.write_json("PATCH", "/v2/apps", &round).await;
    assert_eq!((status, &cycle["details"][0]["path"]), (422, &json!("/dependencies")), "{cycle}");
    ekiden.until_deployed().await;
    assert_eq!((tasks(&ekiden, "/one", 1).await, tasks(&ekiden, "/two", 1).await), before);
}

#[tokio::test]
async fn a_write_can_be_meant_for_what_was_read_alone() {
    let ekiden = Ekiden::start("42360-42399", &[("a.yaml", BY_FILE)]).await;
    ekiden.write_json("POST", "/v2/apps", &app("/idle", 0)).await;
    ekiden.until_deployed().await;
    let read = ekiden.get("/v2/apps/idle", "application/json").await;
    let tag = read.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
    let shown: Value = serde_json::from_str(&read.body).expect("JSON");
    let version = shown["app"]["version"].as_str().expect("a version").to_owned();
    let with = async |name: &str, value: &str, body: &Value| {
        let body = body.to_string();
        let (address, length) = (ekiden.address(), body.len());
        let request = format!(
            "PUT /v2/apps/idle HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{name}: {value}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        ekiden::client::send(address, &request).await.expect("answered").status
    };
    let label = |value: &str| json!({ "labels": { "a": value } });
    assert_eq!(with("If-None-Match", "*", &label("0")).await, 412);
    assert_eq!(with("If-Match", &tag, &label("1")).await, 200);
    assert_eq!(with("If-Match", &tag, &label("2")).await, 412, "it was changed since");
    assert_eq!(with("If-Match", &format!("\"{version}\""), &label("3")).await, 412);
    assert_eq!(with("If-Match", "*", &label("4")).await, 200);
}

#[tokio::test]
async fn tasks_are_ended_and_replaced_or_scaled_away() {
    let ekiden = Ekiden::start("42080-42119", &[("a.yaml", BY_FILE)]).await;
    ekiden.write_json("POST", "/v2/apps", &app("/web", 3)).await;
    let before = tasks(&ekiden, "/web", 3).await;
    ekiden.until_deployed().await;
    let (status, killed) =
        ekiden.write_json("DELETE", &format!("/v2/apps/web/tasks/{}", before[0]), &Value::Null).await;
    assert_eq!((status, &killed["task"]["id"]), (200, &json!(before[0])), "{killed}");
    let after = ekiden
        .until("it is replaced", async || {
            let now = tasks(&ekiden, "/web", 3).await;
            (!now.contains(&before[0])).then_some(now)
        })
        .await;
    let ids = json!({ "ids": [after[0], after[1]] });
    let (status, scaled) = ekiden.write_json("POST", "/v2/tasks/delete?scale=true", &ids).await;
    assert!(status == 200 && scaled["deploymentId"].is_string(), "{scaled}");
    assert_eq!(tasks(&ekiden, "/web", 1).await, [after[2].clone()], "the others stay");
    assert_eq!(ekiden.json("/v2/apps/web").await["app"]["instances"], 1);
    let (status, wrong) =
        ekiden.write_json("DELETE", "/v2/apps/web/tasks?scale=true&wipe=true", &Value::Null).await;
    assert_eq!(status, 400, "{wrong}");
    let (status, wrong) = ekiden.write_json("POST", "/v2/tasks/delete", &json!({ "ids": ["nothing"] })).await;
    assert_eq!(status, 400, "{wrong}");
}

#[tokio::test]
async fn a_deployment_is_superseded_without_force_and_turned_round_by_its_id() {
    let ekiden = Ekiden::start("42120-42159", &[("a.yaml", BY_FILE)]).await;
    ekiden.write_json("POST", "/v2/apps", &app("/web", 1)).await;
    tasks(&ekiden, "/web", 1).await;
    ekiden.until_deployed().await;
    // Nothing has so many processors: this never comes to its end.
    let (status, stuck) = ekiden.write_json("PUT", "/v2/apps/web", &json!({ "cpus": 64 })).await;
    assert_eq!(status, 200, "{stuck}");
    let (status, next) = ekiden.write_json("PUT", "/v2/apps/web", &json!({ "cpus": 63 })).await;
    assert_eq!(status, 200, "no lock: {next}");
    let open = ekiden.json("/v2/deployments").await;
    assert_eq!(open.as_array().map(Vec::len), Some(1), "{open}");
    assert_eq!(open[0]["id"], next["deploymentId"]);
    assert_eq!(open[0]["currentActions"][0]["action"], "RestartApplication");
    assert_eq!(ekiden.json("/v2/apps/web").await["app"]["deployments"], json!([{ "id": next["deploymentId"] }]));

    let id = next["deploymentId"].as_str().expect("an id").to_owned();
    let (status, back) = ekiden.write_json("DELETE", &format!("/v2/deployments/{id}"), &Value::Null).await;
    assert!(status == 200 && back["deploymentId"] != next["deploymentId"], "{back}");
    assert_eq!(ekiden.json("/v2/apps/web").await["app"]["cpus"], 64, "what was declared before");
    let id = back["deploymentId"].as_str().expect("an id");
    let left = ekiden.send("DELETE", &format!("/v2/deployments/{id}?force=true"), "").await;
    assert_eq!((left.status, left.body.as_str()), (202, ""));
    ekiden.until_deployed().await;
}

#[tokio::test]
async fn what_a_file_declares_is_changed_there_or_overridden_for_a_while() {
    let ekiden = Ekiden::start("42160-42199", &[("a.yaml", BY_FILE)]).await;
    let before = tasks(&ekiden, "/by-file", 1).await;
    let more = json!({ "instances": 2 });
    let (status, owned) = ekiden.write_json("PUT", "/v2/apps/by-file", &more).await;
    assert_eq!((status, &owned["file"], &owned["line"]), (409, &json!("a.yaml"), &json!(1)), "{owned}");
    let (status, unreasoned) = ekiden.write_json("PUT", "/v2/apps/by-file?override=true", &more).await;
    assert_eq!(status, 422, "{unreasoned}");
    let over = "/v2/apps/by-file?override=true&reason=load+test&expires=1h";
    let (status, done) = ekiden.write_json("PUT", over, &more).await;
    assert_eq!(status, 200, "{done}");
    let both = tasks(&ekiden, "/by-file", 2).await;
    assert!(both.contains(&before[0]));
    // The same file again, as after a restart or with another app in it, leaves the override alone …
    ekiden.write("b.yaml", "id: /other\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\n");
    tasks(&ekiden, "/other", 1).await;
    assert_eq!(tasks(&ekiden, "/by-file", 2).await, both);
    // … and another word of it ends it.
    ekiden.write("a.yaml", &format!("{BY_FILE}labels: {{a: b}}\n"));
    assert_eq!(tasks(&ekiden, "/by-file", 1).await.len(), 1);

    let short = "/v2/apps/by-file?override=true&reason=try&expires=1s";
    let (status, done) = ekiden.write_json("PUT", short, &more).await;
    assert_eq!(status, 200, "{done}");
    ekiden
        .until("it is over by itself", async || {
            let shown = ekiden.json("/v2/apps/by-file").await;
            (shown["app"]["instances"] == 1).then_some(())
        })
        .await;
}

#[tokio::test]
async fn apps_of_the_api_outlive_a_restart_and_move_to_a_file_without_one() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::create_dir_all(folder.path().join("manifests")).expect("made");
    let state = &["--state", "state"];
    let mut ekiden = Ekiden::start_in(Arc::clone(&folder), "42200-42239", state).await;
    let (status, made) = ekiden.write_json("POST", "/v2/apps", &app("/web", 1)).await;
    assert_eq!(status, 201, "{made}");
    tasks(&ekiden, "/web", 1).await;
    ekiden.process.start_kill().expect("it runs");
    ekiden.process.wait().await.expect("ended");

    let ekiden = Ekiden::start_in(folder, "42200-42239", state).await;
    let running = tasks(&ekiden, "/web", 1).await;
    ekiden.until_deployed().await;
    assert_eq!(ekiden.json("/v2/apps/web/versions").await["versions"].as_array().map(Vec::len), Some(1));
    let version = ekiden.json("/v2/apps/web").await["app"]["version"].clone();
    let file = "id: /web\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\ninstances: 1\n";
    ekiden.write("web.yaml", file);
    ekiden
        .until("the file owns it", async || {
            let status = ekiden.json("/v1/apps/web/status").await;
            status["spec"]["source"].to_string().contains("web.yaml").then_some(())
        })
        .await;
    assert_eq!(tasks(&ekiden, "/web", 1).await, running);
    assert_eq!(ekiden.json("/v2/apps/web").await["app"]["version"], version, "no new version");
}

#[tokio::test]
async fn where_deployments_lock_only_force_changes_what_is_under_way() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    write(&folder.path().join("manifests/nothing.yaml"), "[]");
    let ekiden = Ekiden::start_in(folder, "42860-42869", &["--deployment_locks"]).await;
    let mut large = app("large", 1);
    large["cpus"] = json!(1000);
    let (status, made) = ekiden.write_json("POST", "/v2/apps", &large).await;
    assert_eq!(status, 201, "{made}");
    let one_more = json!({ "instances": 2 });
    let (status, locked) = ekiden.write_json("PUT", "/v2/apps/large", &one_more).await;
    assert_eq!((status, &locked["deployments"]), (409, &made["deployments"]), "{locked}");
    assert_eq!(ekiden.write_json("PUT", "/v2/apps/large?force=true", &one_more).await.0, 200);
}
