//! A reconciler by itself: its clock, its store, and a cluster that says what it is told to say.

use std::sync::Arc;
use std::time::Duration;

use ekiden_kit::build;
use ekiden_model::edit::RequestId;
use ekiden_model::effect::TaskLaunch;
use ekiden_model::input::{Abilities, Ack, ClusterEvent, Command, Desired, TaskStatus, WriteSeq};
use ekiden_model::limits::Settings;
use ekiden_model::record::{Installation, Record, RecordKey, Write};
use ekiden_model::{App, AppId, Condition, Effect, Input, Source, TaskId, Timestamp};
use ekiden_reconciler::{Reconciler, RestoreError};

pub(crate) const REALM: u64 = 42;

/// A reconciler, its clock, and what its store has.
pub(crate) struct Story {
    pub(crate) reconciler: Reconciler,
    pub(crate) now: Timestamp,
    pub(crate) offers: u32,
    pub(crate) records: Vec<Record>,
}

pub(crate) fn start(records: Vec<Record>) -> Result<Reconciler, RestoreError> {
    start_with(Settings::default(), records)
}

fn start_with(settings: Settings, mut records: Vec<Record>) -> Result<Reconciler, RestoreError> {
    // A store hands in the installation first, and each app before what is of it.
    records.sort_by_key(|record| match record {
        Record::Installation(_) => 0,
        Record::App(_) => 1,
        _ => 2,
    });
    let abilities =
        Abilities { docker: false, mesos_images: false, networks: false, kill_grace: Duration::from_secs(3) };
    Reconciler::restore(settings, abilities, Installation::new(REALM), records)
}

impl Story {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let reconciler = start_with(settings, Vec::new()).expect("nothing to be wrong");
        Self { reconciler, now: Timestamp::from_millis(1_000_000), offers: 0, records: Vec::new() }
    }

    /// Everything not durable is forgotten, and time has passed.
    pub(crate) fn restart(&mut self) {
        self.reconciler = start(self.records.clone()).expect("what was stored is whole");
        self.now = self.now + Duration::from_secs(1);
    }

    pub(crate) fn step(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<Effect> {
        self.now = self.now + Duration::from_millis(1);
        self.reconciler.step(self.now, inputs.into_iter().collect())
    }

    /// Steps until nothing more happens by itself; the store is quick, the cluster says nothing.
    pub(crate) fn settle(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<Effect> {
        let mut all = Vec::new();
        let mut inputs: Vec<Input> = inputs.into_iter().collect();
        for _ in 0..100 {
            let effects = self.step(inputs.drain(..));
            inputs.extend(self.store(&effects).map(Input::Stored));
            all.extend(effects);
            let due = self.reconciler.next_wake().is_some_and(|wake| wake <= self.now);
            if inputs.is_empty() && !due {
                return all;
            }
        }
        panic!("it never comes to rest: {all:#?}");
    }

    /// Keeps what is to be kept; the number of the batch, if there was one.
    pub(crate) fn store(&mut self, effects: &[Effect]) -> Option<WriteSeq> {
        let mut last = None;
        for effect in effects {
            let Effect::Persist { seq, writes } = effect else { continue };
            last = Some(*seq);
            for write in writes {
                match write {
                    Write::Put(record) => {
                        self.records.retain(|other| key_of(other) != key_of(record));
                        self.records.push(record.clone());
                    }
                    Write::Delete(key) => {
                        self.records.retain(|record| RecordKey::of(record).as_ref() != Some(key));
                    }
                    Write::DeleteApp(id) => self.records.retain(|record| app_of(record) != Some(id)),
                }
            }
        }
        last
    }

    pub(crate) fn offer(&mut self) -> Input {
        self.offers += 1;
        let agent = build::agent("agent");
        let offer = build::offer(&format!("offer-{}", self.offers), &agent, 8.0, 8192.0, 31000..=31099);
        cluster(ClusterEvent::Offers(vec![offer]))
    }

    /// An app that runs with all its instances, on a cluster that has answered for every task.
    pub(crate) fn running(app: Arc<App>) -> (Self, Vec<TaskLaunch>) {
        let mut story = Self::new();
        let offer = story.offer();
        let effects = story.settle([connected(), reconciled(), declared(app), offer]);
        let tasks = launches(&effects);
        let running: Vec<Input> = tasks.iter().map(|task| told(&task.task, Condition::Running)).collect();
        story.settle(running);
        (story, tasks)
    }
}

pub(crate) fn key_of(record: &Record) -> (Option<AppId>, Option<u32>, Option<RecordKey>) {
    match record {
        Record::Installation(_) => (None, None, None),
        Record::App(app) => (Some(app.id.clone()), None, None),
        Record::Slot(slot) => (Some(slot.app.clone()), Some(slot.slot.0), None),
        other => (None, None, RecordKey::of(other)),
    }
}

/// The app with which a record goes.
fn app_of(record: &Record) -> Option<&AppId> {
    match record {
        Record::App(app) => Some(&app.id),
        Record::Slot(slot) => Some(&slot.app),
        _ => None,
    }
}

/// The file that apps are declared in where nothing else is said.
pub(crate) fn file() -> Source {
    Source::File { path: "apps.json".into(), line: 1 }
}

/// A request, as the API hands it in.
pub(crate) fn command(command: Command) -> Input {
    Input::Command(RequestId(1), command)
}

pub(crate) fn cluster(event: ClusterEvent) -> Input {
    Input::Cluster(event)
}

pub(crate) fn connected() -> Input {
    cluster(ClusterEvent::Connected)
}

pub(crate) fn reconciled() -> Input {
    cluster(ClusterEvent::Reconciled)
}

pub(crate) fn declared(app: Arc<App>) -> Input {
    Input::Desired(Desired { declare: vec![(app, file())], withdraw: Vec::new(), complete: true, commit: None })
}

pub(crate) fn withdrawn(app: &str) -> Input {
    Input::Desired(Desired {
        declare: Vec::new(),
        withdraw: vec![build::app_id(app)],
        complete: true,
        commit: None,
    })
}

pub(crate) fn told(task: &TaskId, condition: Condition) -> Input {
    let ack = Ack { agent: build::agent("agent").id.clone(), task: task.clone(), uuid: [1, 2, 3].into() };
    cluster(ClusterEvent::Status(TaskStatus {
        task: task.clone(),
        condition,
        message: "".into(),
        reason: None,
        healthy: None,
        ack: Some(ack),
    }))
}

pub(crate) fn launches(effects: &[Effect]) -> Vec<TaskLaunch> {
    let accepted = effects.iter().filter_map(|effect| match effect {
        Effect::Accept { tasks, .. } => Some(tasks.clone()),
        _ => None,
    });
    accepted.flatten().collect()
}

pub(crate) fn kills(effects: &[Effect]) -> Vec<TaskId> {
    let killed = effects.iter().filter_map(|effect| match effect {
        Effect::Kill { task, .. } => Some(task.clone()),
        _ => None,
    });
    killed.collect()
}

pub(crate) fn acknowledges(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Acknowledge(_)))
}

pub(crate) fn web(instances: u32) -> Arc<App> {
    build::app("/web").instances(instances).cpus(1.0).mem(32.0).arc()
}
