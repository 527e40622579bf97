//! A fleet that runs: its manifests, the store that an ekiden leaves that has started it, and its tasks on the agents of
//! a fake Mesos.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ekiden::manifest::{self, SourceText};
use ekiden::runtime::server::store_file;
use ekiden::store::{Opened, Store};
use ekiden_kit::build;
use ekiden_kit::instant::InstantWorld;
use ekiden_kit::master::{AgentSpec, FakeMesos, Options};
use ekiden_model::effect::TaskLaunch;
use ekiden_model::history::Version;
use ekiden_model::input::{ClusterEvent, Desired, TaskStatus, WriteSeq};
use ekiden_model::record::{AppRecord, Installation, Record, SlotRecord, Write};
use ekiden_model::{AgentId, App, Condition, FrameworkId, Input, Source, TaskId};
use serde_json::{Value, json};

use crate::client::write;
use crate::start_masters;

/// How many agents the tasks run on.
pub(crate) const AGENTS: u32 = 2000;

/// As whom the master knows the program that left the store.
const FRAMEWORK: &str = "b1b1b1b1-0000-4000-8000-000000000000-0000";

/// More steps than a settled fleet needs.
const STEPS_MAX: u32 = 1_000_000;

/// Records per batch while the store is filled.
const BATCH: usize = 4096;

/// The manifest of an app, one in a file, as somebody writes it.
pub(crate) fn manifest(number: u32, instances: u32) -> (String, String) {
    let team = number % 50;
    let text = format!(
        "id: service-{number}\n\
         cmd: exec /usr/bin/service --listen 0.0.0.0:$PORT0 --admin 0.0.0.0:$PORT1\n\
         instances: {instances}\n\
         cpus: 0.01\n\
         mem: 1\n\
         env:\n  LOG_LEVEL: info\n  DATABASE: postgres://db-{number}.internal/prod\n\
         labels:\n  owner: team-{team}\n  HAPROXY_GROUP: external\n\
         portDefinitions:\n  - {{port: 0, name: http}}\n  - {{port: 0, name: admin}}\n\
         healthChecks:\n  - {{protocol: MESOS_HTTP, path: /health, portIndex: 0}}\n\
         constraints:\n  - [rack, GROUP_BY, \"4\"]\n"
    );
    (format!("prod/team-{team}/service-{number}.yaml"), text)
}

/// What is left of a fleet.
pub(crate) struct Fleet {
    /// The tasks, each with the number of its agent.
    tasks: Vec<(usize, Value)>,
}

impl Fleet {
    /// Lets `apps` apps of `each` instances run, and leaves their manifests and their store in `folder`: the store as it is
    /// when it was closed, and beside it as it is when the process was killed.
    pub(crate) async fn leave(folder: &Path, apps: u32, each: u32) -> Self {
        let declare = (0..apps).map(|number| {
            let (path, text) = manifest(number, each);
            write(&folder.join("manifests").join(&path), &text);
            read(&path, &text)
        });
        let agents = agents(&master(&[]).await);
        let world = run(declare.collect(), &agents);
        store(folder, &world).await;
        let numbers: HashMap<&AgentId, usize> = agents.iter().zip(0..).collect();
        let tasks = world.tasks().map(|task| (numbers[&task.agent.id], info(task))).collect();
        Self { tasks }
    }

    /// A new master, whose agents have the tasks.
    pub(crate) async fn master(&self) -> FakeMesos {
        master(&self.tasks).await
    }
}

async fn master(tasks: &[(usize, Value)]) -> FakeMesos {
    let agents = (0..AGENTS).map(spec).collect();
    let fake = start_masters(Options { agents, ..Options::default() }).await;
    for (agent, task) in tasks {
        fake.place_running(&framework(), *agent, task.clone()).expect("resources that make sense");
    }
    fake
}

/// The agents' ids, which are the same for every first master of a process.
fn agents(fake: &FakeMesos) -> Vec<AgentId> {
    (0..AGENTS as usize).map(|agent| AgentId::new(fake.agent_id(agent))).collect()
}

/// Agent `number`, as the fake master is told of it.
pub(crate) fn spec(number: u32) -> AgentSpec {
    AgentSpec::new(&hostname(number)).attribute("rack", &rack(number)).with("cpus", 100.0).with("mem", 100_000.0)
}

fn hostname(number: u32) -> String {
    format!("node-{number:05}.test")
}

fn rack(number: u32) -> String {
    format!("r{}", number % 40)
}

fn read(path: &str, text: &str) -> (Arc<App>, Source) {
    let mut reading = manifest::read(&SourceText { path, bytes: text.as_bytes() });
    let declared = reading.apps.pop().unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
    (declared.app, Source::File { path: declared.path, line: declared.line })
}

/// Runs the fleet, until all of it is healthy and nothing more is to be done.
fn run(declare: Vec<(Arc<App>, Source)>, agents: &[AgentId]) -> InstantWorld {
    let offers = agents.iter().zip(0..).map(|(id, number)| {
        let agent = build::agent_with(id.as_str(), &hostname(number), &[("rack", &rack(number))]);
        build::offer(&format!("first-{number}"), &agent, 100.0, 100_000.0, 31_000..=32_000)
    });
    let mut world = InstantWorld::new(offers).expect("an empty store");
    world.happen(Input::Desired(Desired { declare, withdraw: Vec::new(), complete: true, commit: None }));
    world.settle(STEPS_MAX);
    let healthy: Vec<Input> = world.tasks().map(|task| healthy(&task.task)).collect();
    for input in healthy {
        world.happen(input);
    }
    world.settle(STEPS_MAX);
    world.pass(Duration::from_secs(600), STEPS_MAX);
    world
}

fn healthy(task: &TaskId) -> Input {
    let status = TaskStatus {
        task: task.clone(),
        condition: Condition::Running,
        message: "".into(),
        reason: None,
        healthy: Some(true),
        ack: None,
    };
    Input::Cluster(ClusterEvent::Status(status))
}

/// Stores what the fleet's reconciler knows: in `state` as a store that was closed, in `killed` as one that was not.
async fn store(folder: &Path, world: &InstantWorld) {
    let (closed, killed) = (folder.join("state"), folder.join("killed"));
    for folder in [&closed, &killed] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    let path = store_file(&closed);
    let Opened { store, mut stored, .. } = Store::open(&path).expect("a new store");
    let installation = world.reconciler.installation().clone();
    let installation = Installation { framework: Some(FrameworkId::new(FRAMEWORK)), ..installation };
    let mut records = vec![Record::Installation(Box::new(installation))];
    for app in world.reconciler.apps() {
        records.push(Record::App(Box::new(AppRecord::of(app))));
        let versions =
            app.history.iter().map(|version| Record::Version(app.id.clone(), Box::new(Version::clone(version))));
        records.extend(versions);
        for (slot, last) in app.instances.last_incarnations() {
            let instances = app.instances.in_slot(slot).cloned().collect();
            records.push(Record::Slot(SlotRecord { app: app.id.clone(), slot, last, instances }));
        }
    }
    let mut last = 0;
    for records in records.chunks(BATCH) {
        last += 1;
        let writes = records.iter().cloned().map(Write::Put).collect();
        store.persist(WriteSeq(last), writes).await.expect("stored");
    }
    while stored.next().await.expect("stored").0 < last {}
    std::fs::copy(&path, store_file(&killed)).expect("copied");
    store.close().await.expect("closed");
}

fn framework() -> Value {
    json!({
        "id": {"value": FRAMEWORK}, "name": "ekiden", "user": "root", "roles": ["*"], "hostname": "before.test",
        "failover_timeout": 604_800.0, "checkpoint": true,
        "capabilities": [{"type": "PARTITION_AWARE"}, {"type": "MULTI_ROLE"}],
    })
}

/// A task, as far as the fake master asks.
fn info(launch: &TaskLaunch) -> Value {
    let scalar = |name: &str, value: f64| {
        let (scalar, allocation) = (json!({ "value": value }), json!({ "role": "*" }));
        json!({"name": name, "type": "SCALAR", "scalar": scalar, "allocation_info": allocation})
    };
    json!({
        "name": "service", "task_id": {"value": launch.task.as_str()},
        "agent_id": {"value": launch.agent.id.as_str()},
        "resources": [scalar("cpus", 0.01), scalar("mem", 1.0)],
    })
}
