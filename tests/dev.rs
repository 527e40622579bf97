//! `ekiden dev`, the real binary: files in, processes out.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/commands.rs"]
mod commands;
#[path = "support/ekiden.rs"]
mod ekiden;
#[path = "support/web.rs"]
mod web;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ekiden::Ekiden;
use ekiden::client::{self, PATIENCE};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

fn ids(tasks: &[Value]) -> Vec<&str> {
    tasks.iter().filter_map(|task| task["id"].as_str()).collect()
}

fn sleeper(instances: u32) -> String {
    format!("id: sleeper\ncmd: exec sleep 1000\ninstances: {instances}\ncpus: 0.1\nmem: 16\n")
}

#[tokio::test]
async fn apps_start_and_an_edit_scales_them_up_and_down() {
    let ekiden = Ekiden::start("41000-41019", &[("sleeper.yaml", &sleeper(2))]).await;
    let two = ekiden.until_running("sleeper", 2).await;

    ekiden.write("sleeper.yaml", &sleeper(5));
    let five = ekiden.until_running("sleeper", 5).await;
    assert!(ids(&two).iter().all(|id| ids(&five).contains(id)), "scaling restarts nothing: {two:?} {five:?}");

    ekiden.write("sleeper.yaml", &sleeper(1));
    let one = ekiden.until_running("sleeper", 1).await;
    assert!(ids(&five).contains(&ids(&one)[0]), "scaling restarts nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_edit_rolls_over_without_going_under_the_floor() {
    let ekiden = Ekiden::start("41020-41059", &[("web.json", &web::manifest("v1"))]).await;
    ekiden.until("v1 serves", async || (ekiden.healthy("web").await == 3).then_some(())).await;

    // A client as a load balancer is one: it asks any of the running instances and tries another when one has gone.
    let stop = AtomicBool::new(false);
    let answers = AtomicU32::new(0);
    let poll = async {
        while !stop.load(Ordering::Relaxed) {
            let healthy = ekiden.healthy("web").await;
            assert!(healthy >= 3, "{healthy} healthy, the floor is 3\n{}", ekiden.log());
            assert!(ekiden.ask_any("web").await.is_some(), "no instance answered\n{}", ekiden.log());
            answers.fetch_add(1, Ordering::Relaxed);
        }
    };
    let roll = async {
        ekiden.write("web.json", &web::manifest("v2"));
        ekiden
            .until("v2 alone serves", async || {
                let status = ekiden.json("/v1/apps/web/status").await;
                let instances = status["observed"]["instances"].as_array()?.clone();
                let settled = instances.len() == 3 && instances.iter().all(|one| one["revision"] == 2);
                (settled && status["waitingFor"].as_array()?.is_empty()).then_some(())
            })
            .await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(poll, roll);
    assert_eq!(ekiden.ask_any("web").await.as_deref(), Some("v2"));
    assert!(answers.load(Ordering::Relaxed) > 10, "the client has hardly asked");
}

#[tokio::test]
async fn a_crash_looping_app_backs_off_and_says_so() {
    let crash = "id: crash\ncmd: exit 3\ncpus: 0.1\nmem: 16\nbackoffSeconds: 1\nbackoffFactor: 2\n";
    let ekiden = Ekiden::start("41060-41069", &[("crash.yaml", crash)]).await;
    let reason = ekiden
        .until("it backs off", async || {
            let status = ekiden.json("/v1/apps/crash/status").await;
            let waiting = status["waitingFor"].as_array()?.clone();
            waiting
                .into_iter()
                .find(|reason| reason["kind"] == "backingOff" && reason["details"]["failures"].as_u64() >= Some(2))
        })
        .await;
    assert!(reason["text"].as_str().is_some_and(|text| text.contains("backing off until")), "{reason}");
    let queue = ekiden.json("/v2/queue").await;
    assert_eq!(queue["queue"][0]["count"], 1, "{queue}");
    let failure = ekiden.json("/v2/apps/crash?embed=apps.lastTaskFailure").await;
    assert_eq!(failure["app"]["lastTaskFailure"]["state"], "TASK_FAILED", "{failure}");

    let explained = ekiden.command(&["explain", "/crash"]).await;
    let text = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.status.success() && text.contains("backing off until"), "{text}");
}

#[tokio::test]
async fn deleting_a_file_stops_its_apps_and_nothing_else() {
    let keeper = sleeper(1).replace("sleeper", "keeper");
    let ekiden =
        Ekiden::start("41070-41079", &[("keeper.yaml", &keeper), ("sleeper.yaml", &with_pid_file("sleeper"))])
            .await;
    let kept = ekiden.until_running("keeper", 1).await;
    ekiden.until_running("sleeper", 1).await;
    let process = ekiden.pid("sleeper").await;

    std::fs::remove_file(ekiden.manifest("sleeper.yaml")).expect("removed");
    ekiden
        .until("it is gone", async || {
            (ekiden.get("/v2/apps/sleeper", "*/*").await.status == 404 && !lives(&process)).then_some(())
        })
        .await;
    assert_eq!(ids(&ekiden.until_running("keeper", 1).await), ids(&kept));
}

#[tokio::test]
async fn a_broken_file_changes_nothing_else() {
    let other = sleeper(1).replace("sleeper", "other");
    let ekiden = Ekiden::start("41080-41099", &[("sleeper.yaml", &sleeper(2)), ("other.yaml", &other)]).await;
    let before = ekiden.until_running("sleeper", 2).await;
    ekiden.until_running("other", 1).await;

    ekiden.write("sleeper.yaml", "id: sleeper\ncmd: [what\n");
    let wrong = ekiden
        .until("the error is shown", async || {
            let directory = ekiden.json("/v1/directory").await;
            directory["diagnostics"].as_array()?.first().cloned()
        })
        .await;
    assert_eq!(wrong["file"], "sleeper.yaml", "{wrong}");

    ekiden.write("other.yaml", &other.replace("instances: 1", "instances: 3"));
    ekiden.until_running("other", 3).await;
    assert_eq!(ids(&ekiden.until_running("sleeper", 2).await), ids(&before));

    ekiden.write("sleeper.yaml", &sleeper(3));
    ekiden.until_running("sleeper", 3).await;
    let directory = ekiden.json("/v1/directory").await;
    assert_eq!(directory["diagnostics"], serde_json::json!([]));
}

#[tokio::test]
async fn kill_9_leaves_no_process_behind() {
    let ekiden = Ekiden::start("41100-41109", &[("sleeper.yaml", &with_pid_file("sleeper"))]).await;
    ekiden.until_running("sleeper", 1).await;
    let process = ekiden.pid("sleeper").await;
    // A child in a session of its own, which no process group covers.
    let child = ekiden.pid("child").await;
    assert!(lives(&process) && lives(&child));

    let mut ekiden = ekiden;
    ekiden.process.start_kill().expect("signalled");
    ekiden.process.wait().await.expect("ended");
    until_ended(&[process, child]).await;
}

#[tokio::test]
async fn a_signal_stops_everything_and_ends_well() {
    let mut ekiden = Ekiden::start("41110-41119", &[("sleeper.yaml", &with_pid_file("sleeper"))]).await;
    ekiden.until_running("sleeper", 1).await;
    let processes = [ekiden.pid("sleeper").await, ekiden.pid("child").await];
    let own = ekiden.process.id().expect("it runs").to_string();
    Command::new("kill").args(["-TERM", &own]).status().await.expect("signalled");
    let ended = tokio::time::timeout(PATIENCE, ekiden.process.wait()).await.expect("in time");
    assert!(ended.expect("ended").success(), "{}", ekiden.log());
    until_ended(&processes).await;
    let left: Vec<PathBuf> = std::fs::read_dir(ekiden.folder.path())
        .expect("a folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ekiden-")))
        .collect();
    assert!(left.is_empty(), "its work folder is gone, too: {left:?}");
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_tasks_that_take_their_time() {
    let stubborn = "id: stubborn\ncmd: trap '' TERM; echo $$ > @FOLDER@/stubborn.pid; while true; do sleep 1; done\n\
                    cpus: 0.1\nmem: 16\ntaskKillGracePeriodSeconds: 600\n";
    let mut ekiden = Ekiden::start("41120-41129", &[("stubborn.yaml", stubborn)]).await;
    ekiden.until_running("stubborn", 1).await;
    let process = ekiden.pid("stubborn").await;
    let own = ekiden.process.id().expect("it runs").to_string();
    Command::new("kill").args(["-INT", &own]).status().await.expect("signalled");
    ekiden.until_said("stopping every task").await;
    assert!(lives(&process), "it has its time");
    Command::new("kill").args(["-INT", &own]).status().await.expect("signalled");
    let ended = tokio::time::timeout(PATIENCE, ekiden.process.wait()).await.expect("in time");
    assert_eq!(ended.expect("ended").code(), Some(1), "{}", ekiden.log());
    until_ended(&[process]).await;
}

#[tokio::test]
async fn logs_for_programs_are_json_from_the_first_line_to_the_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut dev = Command::new(env!("CARGO_BIN_EXE_ekiden"))
        .args(["dev", ".", "--http", "127.0.0.1:0", "--log-format", "json", "--resources", "ports:[41150-41159]"])
        .current_dir(folder.path())
        .env("TMPDIR", folder.path())
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(dev.stderr.take().expect("piped")).lines();
    let read = async {
        let (mut all, mut last) = (Vec::new(), String::new());
        while last != "started" {
            let line = lines.next_line().await.expect("text").expect("it runs on");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            last = line["message"].as_str().unwrap_or_default().to_owned();
            all.push(line);
        }
        all
    };
    let said = tokio::time::timeout(PATIENCE, read).await.expect("in time");
    let started = said.last().expect("a line");
    assert!(started["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.1:")), "{started}");
    let own = dev.id().expect("it runs").to_string();
    Command::new("kill").args(["-TERM", &own]).status().await.expect("signalled");
    while let Some(line) = lines.next_line().await.expect("text") {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
    assert!(dev.wait().await.expect("ended").success());
}

#[tokio::test]
async fn what_state_keeps_is_taken_up_again_after_a_crash() {
    let ekiden = Ekiden::start("41130-41149", &[("sleeper.yaml", &sleeper(2))]).await;
    let folder = Arc::clone(&ekiden.folder);
    drop(ekiden);
    let mut first = Ekiden::start_in(Arc::clone(&folder), "41130-41149", &["--state", "state"]).await;
    let before = first.until_running("sleeper", 2).await;
    let version = first.json("/v2/apps/sleeper").await["app"]["version"].clone();
    first.process.start_kill().expect("signalled");
    first.process.wait().await.expect("ended");

    let second = Ekiden::start_in(folder, "41130-41149", &["--state", "state"]).await;
    // What the store remembers is shown at once, until it turns out to have died with the first.
    let after = second.until("both are launched again", async || {
        let tasks = second.until_running("sleeper", 2).await;
        ids(&tasks).iter().all(|id| !ids(&before).contains(id)).then_some(tasks)
    });
    let after = after.await;
    assert_eq!(second.json("/v2/apps/sleeper").await["app"]["version"], version, "nobody edited anything");
    let instances = |tasks: &[Value]| -> Vec<String> {
        ids(tasks).iter().filter_map(|id| Some(id.rsplit_once('.')?.0.to_owned())).collect()
    };
    assert_eq!(instances(&after), instances(&before), "slots are kept");
}

impl Ekiden {
    async fn healthy(&self, app: &str) -> u64 {
        let apps = self.json(&format!("/v2/apps/{app}")).await;
        apps["app"]["tasksHealthy"].as_u64().unwrap_or(0)
    }

    /// What some instance answers; nothing when none does.
    async fn ask_any(&self, app: &str) -> Option<String> {
        let tasks = self.json(&format!("/v2/apps/{app}/tasks")).await;
        for task in tasks["tasks"].as_array()?.iter().filter(|task| task["state"] == "TASK_RUNNING") {
            if let Some(answer) = web::ask(&format!("127.0.0.1:{}", task["ports"][0])).await {
                return Some(answer);
            }
        }
        None
    }

    async fn until_said(&self, text: &str) {
        let said = async {
            while !self.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, said).await.expect("it says so");
    }

    /// The process that a task says it is.
    async fn pid(&self, name: &str) -> PathBuf {
        let file = self.folder.path().join(format!("{name}.pid"));
        self.until(&format!("{} is written", file.display()), async || {
            let text = std::fs::read_to_string(&file).ok()?;
            text.ends_with('\n').then(|| Path::new("/proc").join(text.trim()))
        })
        .await
    }
}

/// An app that writes down which process it is, and which its child is.
fn with_pid_file(id: &str) -> String {
    format!(
        "id: {id}\ncpus: 0.1\nmem: 16\ncmd: |\n  setsid sh -c 'echo $$ > \"$FOLDER/child.pid\"; exec sleep 1000' &\n  \
         echo $$ > \"$FOLDER/{id}.pid\"\n  exec sleep 1000\nenv:\n  FOLDER: @FOLDER@\n"
    )
}

fn lives(process: &Path) -> bool {
    // A zombie has ended; only its parent has not asked yet.
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    !status.is_empty() && !status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}

async fn until_ended(processes: &[PathBuf]) {
    let ended = async {
        while processes.iter().any(|process| lives(process)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("its tasks have outlived it");
}
