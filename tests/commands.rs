//! The commands that change apps, as a person or a script uses them, against the real binary.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/commands.rs"]
mod commands;
#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden;

use ekiden::Ekiden;
use serde_json::Value;

const BY_FILE: &str = "id: /by-file\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\n";
const WEB: &str = "id: /web\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\ninstances: 2\n";

/// A command's exit code, and what it printed and said.
async fn run(ekiden: &Ekiden, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = ekiden.command(arguments).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn well(ekiden: &Ekiden, arguments: &[&str]) -> String {
    let (code, printed, said) = run(ekiden, arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {printed}{said}");
    printed
}

#[tokio::test]
async fn an_app_is_declared_scaled_rolled_back_and_removed_from_the_command_line() {
    let ekiden = Ekiden::start("42240-42279", &[("a.yaml", BY_FILE)]).await;
    std::fs::write(ekiden.folder.path().join("web.yaml"), WEB).expect("written");
    let (code, shown, _) = run(&ekiden, &["diff", "-f", "web.yaml"]).await;
    assert!(code == Some(2) && shown.contains("+  \"id\": \"/web\""), "{shown}");
    let (code, _, said) = run(&ekiden, &["apply", "-f", "web.yaml", "--wait", "--timeout", "60s"]).await;
    assert!(code == Some(0) && said.contains("is done"), "{said}");
    ekiden.until_running("/web", 2).await;
    assert_eq!(run(&ekiden, &["diff", "-f", "web.yaml"]).await.0, Some(0), "nothing differs");

    well(&ekiden, &["scale", "web", "+1", "--wait"]).await;
    let tasks = ekiden.until_running("/web", 3).await;
    let history = well(&ekiden, &["history", "/web"]).await;
    assert!(history.lines().nth(1).is_some_and(|line| line.contains("instances")), "{history}");
    let task = tasks[0]["id"].as_str().expect("an id");
    assert!(well(&ekiden, &["kill", task]).await.contains("1 task will end"));
    well(&ekiden, &["restart", "/web", "--wait"]).await;
    let new = ekiden.until_running("/web", 3).await;
    assert!(new.iter().all(|task| !tasks.iter().any(|old| old["id"] == task["id"])));
    well(&ekiden, &["rollback", "/web", "--wait"]).await;
    ekiden.until_running("/web", 3).await;

    let exported: Value = serde_json::from_str(&well(&ekiden, &["export"]).await).expect("JSON");
    assert_eq!(exported.as_array().map(Vec::len), Some(1), "what files declare is left out: {exported}");
    well(&ekiden, &["export", "out"]).await;
    let (code, _, said) = run(&ekiden, &["export", "out"]).await;
    assert!(code == Some(1) && said.contains("exists"), "{said}");
    assert_eq!(well(&ekiden, &["validate", "out"]).await.lines().count(), 1);

    well(&ekiden, &["delete", "/web", "--wait"]).await;
    ekiden
        .until("it is gone", async || (ekiden.get("/v2/apps/web", "*/*").await.status == 404).then_some(()))
        .await;
    let (code, _, said) = run(&ekiden, &["delete", "/web"]).await;
    assert!(code == Some(1) && said.contains("App '/web' does not exist"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_is_said_with_its_exit_code() {
    let ekiden = Ekiden::start("42280-42319", &[("a.yaml", BY_FILE)]).await;
    ekiden.until_running("/by-file", 1).await;
    let (code, _, said) = run(&ekiden, &["scale", "/by-file", "2"]).await;
    assert!(code == Some(1) && said.contains("a.yaml, line 1"), "{said}");
    let over = ["scale", "/by-file", "2", "--override", "load test", "--expires", "1h", "--wait"];
    well(&ekiden, &over).await;
    ekiden.until_running("/by-file", 2).await;
    let (code, _, said) = run(&ekiden, &["scale", "/by-file", "many"]).await;
    assert!(code == Some(1) && said.contains("is no number of instances"), "{said}");

    let big = "id: /big\ncmd: exec sleep 1000\ncpus: 64\nmem: 16\n";
    std::fs::write(ekiden.folder.path().join("big.yaml"), big).expect("written");
    let (code, _, said) = run(&ekiden, &["apply", "-f", "big.yaml", "--wait", "--timeout", "1s"]).await;
    assert!(code == Some(3) && said.contains("is not done within 1s"), "{said}");
    let shown = well(&ekiden, &["deployments"]).await;
    assert!(shown.contains("ScaleApplication /big"), "{shown}");
    let all: Value = serde_json::from_str(&well(&ekiden, &["deployments", "-o", "json"]).await).expect("JSON");
    let id = all[0]["id"].as_str().expect("an id");
    well(&ekiden, &["deployments", "--cancel", id, "--wait"]).await;
    ekiden
        .until("it is gone", async || (ekiden.get("/v2/apps/big", "*/*").await.status == 404).then_some(()))
        .await;

    std::fs::write(ekiden.folder.path().join("bad.yaml"), "id: /Bad\ncmd: x\n").expect("written");
    let (code, _, said) = run(&ekiden, &["apply", "-f", "bad.yaml"]).await;
    assert!(code == Some(1) && said.contains("nothing was done"), "{said}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(well(&ekiden, &["completions", shell]).await.contains("rollback"), "{shell}");
    }
}

#[tokio::test]
async fn an_app_moves_from_its_file_to_the_api_without_a_restart() {
    let two = [("a.yaml", BY_FILE), ("other.yaml", "id: /other\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\n")];
    let ekiden = Ekiden::start("42320-42359", &two).await;
    let before = ekiden.until_running("/by-file", 1).await;
    well(&ekiden, &["keep", "/by-file"]).await;
    std::fs::remove_file(ekiden.manifest("a.yaml")).expect("removed");
    ekiden
        .until("the API owns it", async || {
            let status = ekiden.json("/v1/apps/by-file/status").await;
            (status["spec"]["source"]["kind"] == "api").then_some(())
        })
        .await;
    assert_eq!(ekiden.until_running("/by-file", 1).await[0]["id"], before[0]["id"]);
}
