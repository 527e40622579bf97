//! `ekiden serve`, the real binary, with a fake Mesos: what becomes of tasks when it ends, how it ends, and what it is
//! told by flags, variables and a file.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/commands.rs"]
mod commands;
#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use ekiden::Ekiden;
use ekiden::client::{LOOK_EVERY, PATIENCE, send, write};
use ekiden_kit::master::{AgentSpec, FakeMesos, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const WEB: &str = "id: web\ncmd: exec sleep 1000\ninstances: 2\ncpus: 0.1\nmem: 16\n";

const USUAL: [&str; 7] = ["serve", "--manifests", "manifests", "--state", "state", "--http", "127.0.0.1:0"];

fn folder() -> Arc<TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("manifests").join("web.yaml"), WEB);
    Arc::new(folder)
}

async fn mesos() -> FakeMesos {
    let options = Options { agents: vec![AgentSpec::new("agent-0.test")], ..Options::default() };
    FakeMesos::start(options).await.expect("a port")
}

/// Marathon's spelling, as somebody would type it who comes from there.
async fn serve(folder: &Arc<TempDir>, master: &str) -> Ekiden {
    serve_with(folder, master, &["--framework_name", "relay"]).await
}

/// With further flags.
async fn serve_with(folder: &Arc<TempDir>, master: &str, flags: &[&str]) -> Ekiden {
    Ekiden::spawn(Arc::clone(folder), &[&USUAL[..], &["--master", master], flags].concat()).await
}

/// Runs a command to its end.
async fn run(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let running = Command::new(env!("CARGO_BIN_EXE_ekiden"))
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("RUST_LOG")
        .envs(variables.iter().copied())
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, running).await.expect("in time").expect("the binary starts")
}

/// Runs `serve` to its end.
async fn refused(folder: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(folder, &[&USUAL[..], arguments].concat(), &[]).await;
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn ended(ekiden: &mut Ekiden) -> Option<i32> {
    let ended = tokio::time::timeout(PATIENCE, ekiden.process.wait()).await;
    ended.unwrap_or_else(|_| panic!("it runs on:\n{}", ekiden.log())).expect("ended").code()
}

async fn terminate(ekiden: &mut Ekiden) -> Option<i32> {
    let own = ekiden.process.id().expect("it runs").to_string();
    Command::new("kill").args(["-TERM", &own]).status().await.expect("signalled");
    ended(ekiden).await
}

/// Waits until it has said so: what it said last may still be on its way when it has ended.
async fn said(ekiden: &Ekiden, text: &str) {
    let waiting = async {
        while !ekiden.log().contains(text) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let said = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(said.is_ok(), "it does not say `{text}`:\n{}", ekiden.log());
}

fn ids(tasks: &[Value]) -> BTreeSet<String> {
    tasks.iter().filter_map(|task| task["id"].as_str().map(str::to_owned)).collect()
}

fn running(mesos: &FakeMesos) -> BTreeSet<String> {
    mesos.running().into_keys().collect()
}

#[tokio::test]
async fn a_signal_leaves_tasks_running_and_a_restart_finds_them_as_they_were() {
    let (folder, mesos) = (folder(), mesos().await);
    let mut first = serve(&folder, &mesos.address()).await;
    let tasks = ids(&first.until_running("web", 2).await);
    assert_eq!(running(&mesos), tasks, "Mesos says the same");
    let framework = first.json("/v2/info").await["frameworkId"].clone();
    assert_eq!(terminate(&mut first).await, Some(0), "{}", first.log());
    said(&first, "tasks run on").await;
    assert_eq!(running(&mesos), tasks, "nobody has ended them");

    let mut second = serve(&folder, &mesos.address()).await;
    second
        .until("it has heard of every task", async || {
            second.json("/v1/status").await["settled"].as_bool().filter(|settled| *settled)
        })
        .await;
    assert_eq!(ids(&second.until_running("web", 2).await), tasks);
    assert_eq!(running(&mesos), tasks, "none was killed, none was doubled");
    assert_eq!(second.json("/v2/info").await["frameworkId"], framework);
    assert_eq!(terminate(&mut second).await, Some(0));
}

#[tokio::test]
async fn it_says_how_it_is_and_who_it_is() {
    let (folder, mesos) = (folder(), mesos().await);
    let ekiden = serve(&folder, &mesos.address()).await;
    ekiden.until_running("web", 2).await;
    let framework = mesos.frameworks().into_keys().next().expect("it has registered");
    let status = ekiden.json("/v1/status").await;
    assert_eq!(
        (&status["cluster"]["framework"], &status["cluster"]["name"]),
        (&json!(framework), &json!("relay"))
    );
    assert_eq!((&status["cluster"]["connected"], &status["tasks"]), (&json!(true), &json!(2)));
    let info = ekiden.json("/v2/info").await;
    assert_eq!(info["frameworkId"], json!(framework));
    assert_eq!(info["marathon_config"]["master"], json!(mesos.address()));
    assert_eq!(info["marathon_config"]["failover_timeout"], json!(604_800));
    let shown = ekiden.command(&["get", "status"]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&format!("relay ({framework})")) && shown.contains("1 app, 2 tasks"), "{shown}");
    assert!(shown.contains(&format!("to http://{}", mesos.address())), "{shown}");
}

#[tokio::test]
async fn a_master_that_is_away_keeps_nobody_from_reading() {
    let folder = folder();
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let mut ekiden = serve(&folder, &nobody).await;
    ekiden
        .until("it is trying", async || {
            let status = ekiden.json("/v1/status").await;
            (status["cluster"]["connection"]["state"] == "trying").then_some(())
        })
        .await;
    assert_eq!(ekiden.json("/v2/apps").await["apps"].as_array().map(Vec::len), Some(1));
    let shown = ekiden.command(&["get", "status"]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.starts_with("connected  no"), "{shown}");
    assert_eq!(terminate(&mut ekiden).await, Some(0), "{}", ekiden.log());
}

#[tokio::test]
async fn a_second_server_on_the_same_state_is_refused() {
    let (folder, mesos) = (folder(), mesos().await);
    let first = serve(&folder, &mesos.address()).await;
    first.until_running("web", 2).await;
    let (code, said) = refused(&folder, &["--master", &mesos.address()]).await;
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains("in use by another ekiden"), "{said}");
    assert_eq!(mesos.frameworks().len(), 1);
}

#[tokio::test]
async fn a_framework_that_was_removed_ends_it_for_good() {
    let (folder, mesos) = (folder(), mesos().await);
    let mut ekiden = serve(&folder, &mesos.address()).await;
    ekiden.until_running("web", 2).await;
    let framework = mesos.frameworks().into_keys().next().expect("it has registered");
    mesos.remove_framework(&framework);
    assert_eq!(ended(&mut ekiden).await, Some(80), "{}", ekiden.log());
    said(&ekiden, "Mesos has removed framework").await;
    let (code, said) = refused(&folder, &["--master", &mesos.address()]).await;
    assert_eq!(code, Some(80), "starting it again mends nothing: {said}");
}

#[tokio::test]
async fn another_scheduler_that_takes_over_ends_it() {
    let (folder, mesos) = (folder(), mesos().await);
    let mut ekiden = serve(&folder, &mesos.address()).await;
    let tasks = ids(&ekiden.until_running("web", 2).await);
    mesos.tell(&json!({"type": "ERROR", "error": {"message": "Framework failed over"}}));
    assert_eq!(ended(&mut ekiden).await, Some(81), "{}", ekiden.log());
    assert_eq!(running(&mesos), tasks, "they are the other's now");
}

#[tokio::test]
async fn a_master_that_wants_credentials_gets_them_from_a_file_or_refuses() {
    let folder = folder();
    let credentials = Some(("ann".to_owned(), "hush".to_owned()));
    let mesos = FakeMesos::start(Options { credentials, ..Options::default() }).await.expect("a port");
    let (code, said) = refused(&folder, &["--master", &mesos.address()]).await;
    assert_eq!(code, Some(77), "{said}");

    write(&folder.path().join("secret"), "hush\n");
    let flags = ["--mesos_authentication_principal", "ann", "--mesos_authentication_secret_file", "secret"];
    let ekiden = serve_with(&folder, &mesos.address(), &flags).await;
    ekiden.until_running("web", 2).await;
    assert!(!ekiden.log().contains("hush"), "{}", ekiden.log());
}

/// The stores that were put aside.
fn put_aside(folder: &TempDir) -> Vec<PathBuf> {
    let state = std::fs::read_dir(folder.path().join("state")).expect("a folder");
    let names = state.filter_map(|entry| Some(entry.ok()?.path()));
    names
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("uninstalled")))
        .collect()
}

#[tokio::test]
async fn uninstall_asks_and_then_removes_everything_and_the_server_ends() {
    let (folder, mesos) = (folder(), mesos().await);
    let mut ekiden = serve(&folder, &mesos.address()).await;
    let tasks = ids(&ekiden.until_running("web", 2).await);

    let server = [("EKIDEN_SERVER", ekiden.server.as_str())];
    let asked = run(&folder, &["uninstall"], &server).await;
    let question = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert_eq!(asked.status.code(), Some(64), "nobody said yes: {question}");
    assert!(question.contains("2 tasks will be killed, of 1 app: /web"), "{question}");
    assert_eq!(running(&mesos), tasks, "nothing has happened");

    let done = run(&folder, &["uninstall", "--yes"], &server).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(ended(&mut ekiden).await, Some(0), "{}", ekiden.log());
    let gone =
        mesos.wait(PATIENCE, |mesos| (mesos.frameworks().is_empty() && running(mesos).is_empty()).then_some(()));
    assert!(gone.await.is_some(), "{:?}", mesos.frameworks());
    assert_eq!(put_aside(&folder).len(), 1);

    let again = serve(&folder, &mesos.address()).await;
    said(&again, "beginning anew").await;
    let anew = ids(&again.until_running("web", 2).await);
    assert!(anew.is_disjoint(&tasks));
}

#[tokio::test]
async fn uninstall_does_it_alone_where_no_server_runs() {
    let (folder, mesos) = (folder(), mesos().await);
    let mut ekiden = serve(&folder, &mesos.address()).await;
    ekiden.until_running("web", 2).await;
    let address = mesos.address();
    let alone = ["uninstall", "--yes", "--state", "state", "--framework_name", "relay", "--master", &address];
    let refused = run(&folder, &alone, &[]).await;
    assert_eq!(refused.status.code(), Some(75), "a server runs: {}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(terminate(&mut ekiden).await, Some(0));

    let done = run(&folder, &alone, &[]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(mesos.frameworks().is_empty() && running(&mesos).is_empty(), "{:?}", mesos.frameworks());
    assert_eq!(put_aside(&folder).len(), 1);
}

#[tokio::test]
async fn what_cannot_be_started_says_why_and_ends_with_its_own_number() {
    let folder = folder();
    write(&folder.path().join("typo.toml"), "framework_nmae = \"x\"\n");
    write(&folder.path().join("wrong.toml"), "http_port = \"eighty\"\n");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("bound").to_string();
    let master = ["--master", "127.0.0.1:1"];
    let cases: [(&[&str], i32, &str); 13] = [
        (&["--http", "0.0.0.0:0"], 69, "--http-credentials-file"),
        (&["--http", &taken], 69, "is another ekiden running?"),
        (&["--manifests", "none"], 66, "none is no directory"),
        (&["--config", "typo.toml"], 78, "did you mean `framework_name`?"),
        (&["--config", "wrong.toml"], 78, "wrong.toml: invalid value 'eighty'"),
        (&["--config", "none.toml"], 78, "none.toml cannot be read"),
        (&["--http_credentials", "hush"], 64, "write it as `user:password`"),
        (&["--http-credentials-file", "wrong.toml"], 78, "wrong.toml:1: the scope is `read` or `write`"),
        (&["--https", "127.0.0.1:0"], 64, "`--tls_cert` is missing"),
        (
            &["--https", "127.0.0.1:0", "--tls-cert", "wrong.toml", "--tls-key", "wrong.toml"],
            78,
            "wrong.toml holds no certificate",
        ),
        (&["--http", "none"], 64, "`--http none` needs `--https`"),
        (&["--ssl_keystore_password", "hush"], 64, "--ssl_keystore_password is not there yet"),
        (&["--mesos_authentication_principal", "ann"], 64, "`--mesos_authentication_secret_file` is missing"),
    ];
    for (arguments, expected, text) in cases {
        let mut usual = vec!["serve", "--state", "state"];
        for [flag, value] in [["--manifests", "manifests"], ["--http", "127.0.0.1:0"], master] {
            if !arguments.contains(&flag) {
                usual.extend([flag, value]);
            }
        }
        let output = run(&folder, &[&usual[..], arguments].concat(), &[]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
        assert!(!said.contains("hush"), "{said}");
    }
    let (code, said) = refused(&folder, &[]).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("`--master` is missing") && said.contains("EKIDEN_MASTER"), "{said}");
}

#[tokio::test]
async fn a_flag_wins_over_a_variable_that_over_the_file_and_that_over_the_default() {
    let folder = folder();
    let file = "master = [\"a:1\", \"b:2\"]\nmesos_role = \"file\"\nhttp_port = 1\ncheckpoint = false\n\
                mesos_authentication_secret = \"hush\"\nhttp_credentials = \"ann:hush\"\n";
    write(&folder.path().join("ekiden.toml"), file);
    let arguments = ["serve", "--config", "ekiden.toml", "--http_port=3", "--print-config", "--output", "json"];
    let variables = [("EKIDEN_HTTP_PORT", "2"), ("EKIDEN_MESOS_ROLE", "variable")];
    let output = run(&folder, &arguments, &variables).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let expected = [
        ("http_port", "3", "flag"),
        ("mesos_role", "variable", "variable"),
        ("master", "a:1,b:2", "file"),
        ("checkpoint", "false", "file"),
        ("mesos_authentication_secret", "***", "file"),
        ("http_credentials", "***", "file"),
        ("framework_name", "ekiden", "default"),
    ];
    for (name, value, from) in expected {
        assert_eq!(all[name], json!({ "value": value, "from": from }), "{name}: {all:#}");
    }
    let toggled = ["serve", "--config", "ekiden.toml", "--checkpoint", "--print-config"];
    let shown = run(&folder, &toggled, &[]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("checkpoint = \"true\" # flag\n") && !shown.contains("hush"), "{shown}");
}

#[tokio::test]
async fn commands_say_who_asks_and_learn_what_to_set() {
    let (folder, mesos) = (folder(), mesos().await);
    let made = run(&folder, &["credential", "ci", "--scope", "read", "--token", "--output", "json"], &[]).await;
    let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let (line, token) = (made["line"].as_str().expect("a line"), made["token"].as_str().expect("a token"));
    write(&folder.path().join("credentials"), &format!("{line}\n"));
    let flags = ["--http_credentials=ann:hush", "--http-credentials-file=credentials"];
    let ekiden = serve_with(&folder, &mesos.address(), &flags).await;
    let server = ("EKIDEN_SERVER", ekiden.server.as_str());
    for (variables, arguments, code, text) in [
        (vec![server], vec!["get", "apps"], 1, "set `--user NAME` and EKIDEN_PASSWORD, or EKIDEN_TOKEN"),
        (vec![server], vec!["get", "apps", "--user", "ann"], 1, "`--user` needs its password"),
        (vec![server, ("EKIDEN_TOKEN", "x")], vec!["get", "apps"], 1, "does not take these credentials"),
        (vec![server, ("EKIDEN_TOKEN", token)], vec!["get", "apps"], 0, ""),
        (vec![server, ("EKIDEN_TOKEN", token)], vec!["confirm-prune"], 1, "may only read"),
        (vec![server, ("EKIDEN_PASSWORD", "hush")], vec!["confirm-prune", "--user", "ann"], 0, ""),
    ] {
        let output = run(&folder, &arguments, &variables).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
    // `GET /config` says what `--print-config` does, to whoever may read.
    let request = "GET /config HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YW5uOmh1c2g=\r\n\
                   Connection: close\r\n\r\n";
    let answer = send(ekiden.address(), request).await.expect("it answers");
    let config: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(config["http_credentials"], json!({ "value": "***", "from": "flag" }), "{config:#}");
    assert_eq!(config["framework_name"], json!({ "value": "ekiden", "from": "default" }));
    assert!(!answer.body.contains("hush"), "{}", answer.body);
    assert!(!ekiden.log().contains("hush") && !ekiden.log().contains(token), "{}", ekiden.log());
}
