//! `ekiden serve` against the fake Mesos: whatever is lost on the way, what runs in the end is what is declared, task by
//! task, and nothing was started or stopped without cause.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ekiden_kit::master::{AgentSpec, FakeMesos, Fault, Options, Registry, Rule, Seen};
use ekiden_kit::rng::Rng;
use tempfile::TempDir;

use crate::ekiden_process::Ekiden;
use crate::ekiden_process::client::write;
use crate::rig::{PATIENCE, QUIET};

/// A fake Mesos, a folder with manifests, and an `ekiden serve` that comes and goes.
struct Scene {
    fake: FakeMesos,
    folder: Arc<TempDir>,
    more: Vec<&'static str>,
}

impl Scene {
    async fn new(options: Options) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(folder.path().join("manifests")).expect("made");
        Self { fake: FakeMesos::start(options).await.expect("a port"), folder, more: Vec::new() }
    }

    fn arguments<'a>(&self, master: &'a str) -> Vec<&'a str> {
        let fixed = "serve --manifests manifests --state state --http 127.0.0.1:0 --kill_retry_timeout 1s \
                     --reconciliation_interval 1s --master";
        fixed.split(' ').chain([master]).chain(self.more.iter().copied()).collect()
    }

    async fn serve(&self) -> Ekiden {
        Ekiden::spawn(Arc::clone(&self.folder), &self.arguments(&self.fake.address())).await
    }

    /// Declares an app of so many instances; its command says which edit it is of.
    fn declare(&self, app: &str, instances: usize, edit: u64) {
        let path = self.folder.path().join("manifests").join(format!("{app}.yaml"));
        let beside = path.with_extension("tmp");
        let text = format!(
            "id: {app}\ncmd: \"sleep {edit}\"\ninstances: {instances}\ncpus: 0.1\nmem: 8\n\
             backoffSeconds: 0\nportDefinitions: []\n"
        );
        write(&beside, &text);
        std::fs::rename(&beside, &path).expect("renamed");
    }

    /// How many tasks run of each app, by name and command.
    fn running(&self) -> BTreeMap<(String, String), usize> {
        let mut running = BTreeMap::new();
        for task in self.fake.running().into_values() {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let key = (text(&task.info["name"]), text(&task.info["command"]["value"]));
            let state = if task.state == "TASK_RUNNING" { key } else { (key.0, task.state) };
            *running.entry(state).or_default() += 1;
        }
        running
    }

    /// Waits until exactly these run, all of them in `TASK_RUNNING`: name, edit, instances.
    async fn until_running(&self, ekiden: Option<&Ekiden>, expected: &[(&str, u64, usize)]) {
        let expected: BTreeMap<_, _> = expected
            .iter()
            .filter(|(_, _, count)| *count > 0)
            .map(|(app, edit, count)| (((*app).to_owned(), format!("sleep {edit}")), *count))
            .collect();
        let found = self.fake.wait(PATIENCE, |_| (self.running() == expected).then_some(())).await;
        if found.is_none() {
            let log = ekiden.map(Ekiden::log).unwrap_or_default();
            panic!("expected {expected:?}, runs {:?}\n{log}", self.running());
        }
    }

    /// The ids of all that runs.
    fn ids(&self) -> Vec<String> {
        self.fake.running().into_keys().collect()
    }

    /// No task was ever launched twice.
    fn assert_launched_once_each(&self) {
        let mut launched = BTreeMap::<String, usize>::new();
        for accept in self.fake.calls("ACCEPT") {
            let infos = accept.body["accept"]["operations"][0]["launch"]["task_infos"].as_array().cloned();
            for info in infos.unwrap_or_default() {
                *launched.entry(info["task_id"]["value"].as_str().unwrap_or_default().to_owned()).or_default() +=
                    1;
            }
        }
        let twice: Vec<_> = launched.into_iter().filter(|(_, times)| *times > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

fn agents(count: usize) -> Vec<AgentSpec> {
    (0..count).map(|number| AgentSpec::new(&format!("agent-{number}.test"))).collect()
}

#[tokio::test]
async fn killed_at_random_moments_during_edits_it_ends_with_exactly_what_is_declared() {
    let options = Options {
        agents: agents(3),
        start_after: Duration::from_millis(10),
        run_after: Duration::from_millis(10),
        kill_after: Duration::from_millis(30),
        resend_after: Duration::from_millis(500),
        ..Options::default()
    };
    let scene = Scene::new(options).await;
    let mut rng = Rng::new(20_261_121);
    let mut declared = BTreeMap::new();
    for edit in 1..=8 {
        let mut ekiden = scene.serve().await;
        for app in ["a", "b", "c"] {
            if rng.chance(0.6) || edit == 1 {
                let instances = rng.between(0, 5) as usize;
                scene.declare(app, instances, edit);
                declared.insert(app, (edit, instances));
            }
        }
        tokio::time::sleep(rng.millis(0, 400)).await;
        ekiden.process.kill().await.expect("killed");
    }
    let mut ekiden = scene.serve().await;
    let expected: Vec<_> = declared.iter().map(|(app, (edit, count))| (*app, *edit, *count)).collect();
    scene.until_running(Some(&ekiden), &expected).await;
    scene.assert_launched_once_each();
    // It stays so, through another restart and without a call that would change anything.
    let ids = scene.ids();
    ekiden.process.kill().await.expect("killed");
    scene.fake.forget_seen();
    let ekiden = scene.serve().await;
    let reconciled = scene.fake.wait(PATIENCE, |fake| (fake.count("RECONCILE") >= 3).then_some(())).await;
    assert!(reconciled.is_some(), "{}", ekiden.log());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(scene.ids(), ids, "{}", ekiden.log());
    assert_eq!(scene.fake.count("ACCEPT") + scene.fake.count("KILL"), 0);
    assert_eq!(scene.fake.frameworks().len(), 1, "one framework from first to last");
}

#[tokio::test]
async fn launches_that_are_lost_are_made_up_for() {
    let mut scene = Scene::new(Options { agents: agents(2), ..Options::default() }).await;
    scene.more = vec!["--task_launch_timeout", "2s"];
    scene.fake.script(Rule::next("ACCEPT", Fault::Lost).times(2));
    scene.fake.script(Rule::next("ACCEPT", Fault::LostAtAgent).times(2));
    scene.declare("a", 4, 1);
    let ekiden = scene.serve().await;
    scene.until_running(Some(&ekiden), &[("a", 1, 4)]).await;
    scene.assert_launched_once_each();
}

#[tokio::test]
async fn kills_and_acknowledgements_that_are_lost_are_made_again() {
    let options = Options { agents: agents(2), resend_after: Duration::from_millis(300), ..Options::default() };
    let scene = Scene::new(options).await;
    scene.fake.script(Rule::next("KILL", Fault::Lost).times(3));
    scene.fake.script(Rule::next("ACKNOWLEDGE", Fault::Lost).after(1).times(3));
    scene.declare("a", 4, 1);
    let ekiden = scene.serve().await;
    scene.until_running(Some(&ekiden), &[("a", 1, 4)]).await;
    scene.declare("a", 1, 1);
    scene.until_running(Some(&ekiden), &[("a", 1, 1)]).await;
    let killed =
        |fake: &FakeMesos| fake.completed().iter().filter(|(_, task)| task.state == "TASK_KILLED").count();
    let all = scene.fake.wait(PATIENCE, |fake| (killed(fake) == 3).then_some(())).await;
    assert!(all.is_some(), "{} acknowledged\n{}", killed(&scene.fake), ekiden.log());
}

#[tokio::test]
async fn updates_told_twice_change_nothing() {
    let scene = Scene::new(Options { agents: agents(2), ..Options::default() }).await;
    scene.fake.double_updates(true);
    scene.declare("a", 3, 1);
    let ekiden = scene.serve().await;
    scene.until_running(Some(&ekiden), &[("a", 1, 3)]).await;
    scene.declare("a", 3, 2);
    scene.until_running(Some(&ekiden), &[("a", 2, 3)]).await;
    scene.assert_launched_once_each();
}

/// A new master, agents that come back one by one, or never hear of the old: nothing is killed, launched or forgotten.
async fn survives_a_new_master(registry: Registry) {
    let scene = Scene::new(Options { agents: agents(2), registry, ..Options::default() }).await;
    scene.declare("a", 4, 1);
    let ekiden = scene.serve().await;
    scene.until_running(Some(&ekiden), &[("a", 1, 4)]).await;
    let ids = scene.ids();
    let framework = scene.fake.frameworks();
    scene.fake.forget_seen();
    // Asked while no agent is there, while one is, and when both are. It would ask again by itself, after 15 s; a new
    // subscription makes it ask at once.
    asked_after(&scene, &ekiden, |fake| fake.fail_over(0)).await;
    scene.fake.agent_registers(0);
    asked_after(&scene, &ekiden, FakeMesos::break_streams).await;
    scene.fake.agent_registers(1);
    asked_after(&scene, &ekiden, FakeMesos::break_streams).await;
    assert_eq!(scene.ids(), ids, "{}", ekiden.log());
    assert_eq!(scene.fake.count("KILL") + scene.fake.count("ACCEPT"), 0, "{}", ekiden.log());
    assert_eq!(scene.fake.frameworks(), framework);
    // And it goes on working.
    scene.declare("a", 2, 1);
    scene.until_running(Some(&ekiden), &[("a", 1, 2)]).await;
}

/// Does it, and waits until the tasks have been asked about by name and what was asked is answered.
async fn asked_after(scene: &Scene, ekiden: &Ekiden, what: impl FnOnce(&FakeMesos)) {
    let before = scene.fake.seen().len();
    what(&scene.fake);
    let asked = |fake: &FakeMesos| {
        let names = |seen: &Seen| seen.body["reconcile"]["tasks"].as_array().map_or(0, Vec::len);
        let calls: Vec<Seen> =
            fake.seen().into_iter().skip(before).filter(|seen| seen.call == "RECONCILE").collect();
        // By name; all; and the marker, which is the last.
        let complete = calls.len() >= 3 && calls.iter().all(|seen| seen.status.is_some());
        (complete && calls.iter().any(|seen| names(seen) > 1)).then_some(())
    };
    assert!(scene.fake.wait(PATIENCE, asked).await.is_some(), "not asked again\n{}", ekiden.log());
    tokio::time::sleep(QUIET).await;
}

#[tokio::test]
async fn a_new_master_that_knows_its_agents_costs_no_task() {
    survives_a_new_master(Registry::Replicated).await;
}

#[tokio::test]
async fn a_new_master_that_knows_nothing_costs_no_task() {
    survives_a_new_master(Registry::InMemory).await;
}

#[tokio::test]
async fn a_lost_store_kills_nothing_and_launches_nothing() {
    let scene = Scene::new(Options { agents: agents(2), ..Options::default() }).await;
    scene.declare("a", 3, 1);
    let ekiden = scene.serve().await;
    scene.until_running(Some(&ekiden), &[("a", 1, 3)]).await;
    drop(ekiden);
    let ids = scene.ids();
    std::fs::remove_dir_all(scene.folder.path().join("state")).expect("the store is lost");
    scene.declare("b", 2, 1);
    scene.fake.forget_seen();
    let ekiden = scene.serve().await;
    let surveyed = scene.fake.wait(PATIENCE, |fake| (fake.count("GET_TASKS") > 0).then_some(())).await;
    assert!(surveyed.is_some(), "{}", ekiden.log());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.ids(), ids, "{}", ekiden.log());
    assert_eq!(scene.fake.count("KILL") + scene.fake.count("ACCEPT"), 0, "{}", ekiden.log());
}

#[tokio::test]
async fn flags_of_marathons_reach_the_tasks_and_the_offers() {
    let mut scene = Scene::new(Options { agents: agents(1), ..Options::default() }).await;
    scene.more = vec!["--env_vars_prefix", "SASH_", "--max_instances_per_offer", "1"];
    scene.declare("a", 3, 1);
    let ekiden = scene.serve().await;
    scene.until_running(Some(&ekiden), &[("a", 1, 3)]).await;
    let accepts = scene.fake.calls("ACCEPT");
    assert_eq!(accepts.len(), 3, "one launch each");
    for accept in accepts {
        let tasks = accept.body["accept"]["operations"][0]["launch"]["task_infos"].as_array().cloned();
        let tasks = tasks.expect("launches");
        assert_eq!(tasks.len(), 1);
        let environment = tasks[0]["command"]["environment"].to_string();
        assert!(environment.contains("\"SASH_HOST\"") && !environment.contains("\"HOST\""), "{environment}");
    }
}

#[tokio::test]
async fn a_first_subscription_whose_answer_is_lost_leaves_no_framework_behind() {
    let scene = Scene::new(Options { agents: agents(1), ..Options::default() }).await;
    scene.declare("a", 2, 1);
    scene.fake.script(Rule::next("SUBSCRIBE", Fault::DoneAndHangUp));
    let ekiden = scene.serve().await;
    scene.until_running(Some(&ekiden), &[("a", 1, 2)]).await;
    assert_eq!(scene.fake.frameworks().len(), 1, "{}", ekiden.log());
}

async fn ends_with(ekiden: &mut Ekiden, code: i32) {
    let ended = tokio::time::timeout(PATIENCE, ekiden.process.wait()).await;
    let status = ended.unwrap_or_else(|_| panic!("it goes on\n{}", ekiden.log())).expect("a status");
    assert_eq!(status.code(), Some(code), "{}", ekiden.log());
}

#[tokio::test]
async fn what_nobody_but_a_person_can_mend_ends_it_with_a_number_of_its_own() {
    let scene = Scene::new(Options::default()).await;
    let mut ekiden = scene.serve().await;
    let subscribed = scene.fake.wait(PATIENCE, |fake| fake.frameworks().into_keys().next()).await;
    scene.fake.remove_framework(&subscribed.expect("subscribed"));
    ends_with(&mut ekiden, 80).await;

    let scene = Scene::new(Options { forbidden_roles: vec!["*".to_owned()], ..Options::default() }).await;
    let refused = tokio::process::Command::new(env!("CARGO_BIN_EXE_ekiden"))
        .args(scene.arguments(&scene.fake.address()))
        .current_dir(scene.folder.path())
        .kill_on_drop(true)
        .output();
    let refused = tokio::time::timeout(PATIENCE, refused).await.expect("it ends").expect("it starts");
    assert_eq!(refused.status.code(), Some(77), "{}", String::from_utf8_lossy(&refused.stderr));
}
