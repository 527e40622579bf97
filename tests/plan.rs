//! Plans of the real binary: what is foreseen is what then happens, and planning does nothing.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "support/commands.rs"]
mod commands;
#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden;
#[path = "support/writes.rs"]
mod writes;

use ekiden::Ekiden;
use serde_json::{Value, json};

const WEB: &str = "id: /web\ncmd: exec sleep 1000\ncpus: 1\nmem: 16\ninstances: 2\n";

async fn plan(ekiden: &Ekiden, asked: &Value) -> Value {
    let (status, answer) = ekiden.write_json("POST", "/v1/plan", asked).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn lengths(placement: &Value) -> (usize, usize) {
    let length = |what: &str| placement[what].as_array().map_or(0, Vec::len);
    (length("starts"), length("stops"))
}

#[tokio::test]
async fn what_is_foreseen_is_what_then_happens_and_planning_does_nothing() {
    let ekiden = Ekiden::start("42360-42399", &[("web.yaml", WEB)]).await;
    let before = ekiden.until_running("/web", 2).await;

    let rolled = json!({ "files": { "web.yaml": WEB.replace("1000", "2000") } });
    let answer = plan(&ekiden, &rolled).await;
    let web = &answer["changes"][0];
    assert_eq!((&web["kind"], lengths(&web["placement"])), (&json!("roll"), (2, 2)), "{web}");
    assert!(web["diff"].as_str().is_some_and(|diff| diff.contains("+  \"cmd\": \"exec sleep 2000\"")), "{web}");
    assert_eq!((&web["owner"]["path"], &web["owner"]["line"]), (&json!("web.yaml"), &json!(1)));
    assert!(web["placement"]["steps"].as_array().is_some_and(|steps| steps.len() > 1), "{web}");
    assert_eq!((&web["placement"]["floor"], &web["placement"]["ceiling"]), (&json!(2), &json!(4)));

    // More than the 8 cpus have room for, beside the two that run.
    let more = "id: /batch\ncmd: exec sleep 1000\ncpus: 2\nmem: 16\ninstances: 4\n";
    let asked = json!({ "files": { "web.yaml": WEB, "batch.yaml": more }, "prune": true });
    let answer = plan(&ekiden, &asked).await;
    assert_eq!(answer["placementKnown"], true, "{answer}");
    assert_eq!(answer["summary"], "1 to create");
    let [batch] = &answer["changes"].as_array().expect("a list")[..] else { panic!("{answer}") };
    assert_eq!((&batch["app"], &batch["kind"]["create"]["instances"]), (&json!("/batch"), &json!(4)));
    assert_eq!(batch["owner"], Value::Null);
    let missing = batch["placement"]["missing"].as_u64().expect("a number");
    let (starts, _) = lengths(&batch["placement"]);
    assert!(starts > 0 && missing > 0 && starts as u64 + missing == 4, "{batch}");
    assert!(batch["placement"]["waitingFor"].to_string().contains("lacks cpus"), "{batch}");

    assert_eq!(ekiden.until_running("/web", 2).await, before, "planning restarts nothing");
    assert_eq!(ekiden.get("/v2/apps/batch", "*/*").await.status, 404, "and stores nothing");
    assert_eq!(ekiden.json("/v2/deployments").await, json!([]));

    ekiden.write("batch.yaml", more);
    ekiden.until_running("/batch", starts).await;
    let host = &batch["placement"]["starts"][0]["agent"]["host"];
    assert_eq!(ekiden.json("/v2/apps/batch/tasks").await["tasks"][0]["host"], *host);

    let queue = ekiden.json("/v2/queue?embed=lastUnusedOffers").await;
    let unused = &queue["queue"][0]["lastUnusedOffers"][0];
    assert_eq!(unused["reason"], json!(["InsufficientCpus"]), "{queue}");
    assert_eq!(unused["offer"]["hostname"], *host);
    assert!(unused["offer"]["resources"].to_string().contains("\"mem\"") && unused["timestamp"].is_string());
}

#[tokio::test]
async fn what_is_wrong_is_told_with_file_and_line_and_who_owns_an_app_is_told() {
    let ekiden = Ekiden::start("42400-42439", &[("web.yaml", WEB)]).await;
    ekiden.until_running("/web", 2).await;
    let asked =
        json!({ "files": { "ok.yaml": "id: /ok\ncmd: x\n", "prod/bad.yaml": "id: api\ncmd: x\ncpus: many\n" } });
    let (status, answer) = ekiden.write_json("POST", "/v1/plan", &asked).await;
    assert_eq!(status, 422, "{answer}");
    let found = &answer["diagnostics"][0];
    assert_eq!((&found["file"], &found["line"]), (&json!("prod/bad.yaml"), &json!(3)), "{answer}");
    for wrong in [json!({}), json!({ "files": { "/etc/passwd": "" } }), json!({ "apps": [], "files": {} })] {
        assert_eq!(ekiden.write_json("POST", "/v1/plan", &wrong).await.0, 400, "{wrong}");
    }
    let (status, answer) = ekiden.write_json("POST", "/v1/plan", &json!({ "lost": ["nowhere"] })).await;
    assert!(status == 422 && answer["message"].as_str().is_some_and(|text| text.contains("nowhere")), "{answer}");

    // Through the API the app is its file's; a list of apps is what a client would send.
    let list = json!([{ "id": "/web", "cmd": "exec sleep 1000", "cpus": 1, "mem": 16, "instances": 3 }]);
    let answer = plan(&ekiden, &list).await;
    let change = &answer["changes"][0];
    assert_eq!(change["kind"], "scale");
    assert!(change["conflicts"][0].as_str().is_some_and(|text| text.starts_with("web.yaml, line 1")), "{change}");
    assert_eq!(lengths(&change["placement"]), (1, 0), "{change}");
    let gone = plan(&ekiden, &json!({ "apps": [], "prune": true })).await;
    assert_eq!(gone["changes"], json!([]), "files are not the API's to withdraw");
    let stopped = plan(&ekiden, &json!({ "files": {}, "prune": true })).await;
    assert_eq!(lengths(&stopped["changes"][0]["placement"]), (0, 2), "{stopped}");
}

#[tokio::test]
async fn the_command_says_where_instances_go_and_what_the_loss_of_an_agent_would_mean() {
    let ekiden = Ekiden::start("42440-42479", &[("web.yaml", WEB)]).await;
    let tasks = ekiden.until_running("/web", 2).await;
    let host = tasks[0]["host"].as_str().expect("a host").to_owned();
    let run = async |arguments: &[&str]| {
        let output = ekiden.command(arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, shown) = run(&["plan", "manifests"]).await;
    assert!(code == Some(0) && shown.contains("no changes"), "{shown}");
    let next = ekiden.folder.path().join("next");
    std::fs::create_dir(&next).expect("made");
    std::fs::write(next.join("web.yaml"), WEB.replace("instances: 2", "instances: 4")).expect("written");
    let (code, shown) = run(&["plan", "next"]).await;
    assert!(code == Some(2) && shown.contains("~ /web: scale") && shown.contains("instances: 2 -> 4"), "{shown}");
    assert!(shown.contains(&format!("    starts 2: {host} (2)")), "{shown}");

    let (code, shown) = run(&["plan", "--lose", &host]).await;
    assert!(code == Some(2) && shown.contains("= /web: is not changed, and"), "{shown}");
    assert!(shown.contains(&format!("    loses 2: {host} (2)")) && shown.contains("then waits:"), "{shown}");
    assert_eq!(ekiden.until_running("/web", 2).await, tasks, "nothing was done");
}
