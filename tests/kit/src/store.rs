//! The simulated store: applies batches of writes in order, after a while, all or none, and forgets on a crash what
//! it had not finished.

use std::collections::{BTreeMap, VecDeque};

use ekiden_model::deployment::{Deployment, Progress};
use ekiden_model::history::Version;
use ekiden_model::id::AppKey;
use ekiden_model::input::WriteSeq;
use ekiden_model::record::{AppRecord, Installation, Record, RecordKey, SlotRecord, Write};
use ekiden_model::{AppId, Instance, InstanceKey, Slot, TaskId, Timestamp};

/// Records by their keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    /// The installation, once there is one.
    pub installation: Option<Installation>,
    /// The apps.
    pub apps: BTreeMap<AppId, AppRecord>,
    /// The slots.
    pub slots: BTreeMap<(AppId, Slot), SlotRecord>,
    /// All others, by their names.
    pub others: BTreeMap<RecordKey, Record>,
}

impl Records {
    /// Whether they know a task, or that it was, or that its app was deleted.
    pub fn knows(&self, task: &TaskId) -> bool {
        let (Some((id, incarnation)), Some(app), Some(installation)) =
            (task.instance(), task.app(), &self.installation)
        else {
            return false;
        };
        if installation.disowned.contains(task) {
            return true;
        }
        let key = |birth| AppKey::new(installation.realm, birth, &app);
        match self.apps.get(&app) {
            Some(record) if record.key.unwrap_or_else(|| key(record.birth)) == id.app => {
                self.slots.get(&(app.clone(), id.slot)).is_some_and(|slot| incarnation <= slot.last)
            }
            _ => {
                installation.predecessors.contains(&id.app)
                    || (1..=installation.births).any(|birth| key(birth) == id.app)
            }
        }
    }

    /// Applies one write.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Put(Record::Installation(installation)) => {
                self.installation = Some(Installation::clone(installation));
            }
            Write::Put(Record::App(app)) => {
                self.apps.insert(app.id.clone(), (**app).clone());
            }
            Write::Put(Record::Slot(slot)) => {
                self.slots.insert((slot.app.clone(), slot.slot), slot.clone());
            }
            Write::Put(other) => {
                if let Some(key) = RecordKey::of(other) {
                    self.others.insert(key, other.clone());
                }
            }
            Write::Delete(key) => _ = self.others.remove(key),
            Write::DeleteApp(app) => {
                self.apps.remove(app);
                let slots: Vec<_> = self.slots_of(app).map(|record| record.slot).collect();
                for slot in slots {
                    self.slots.remove(&(app.clone(), slot));
                }
            }
        }
    }

    /// The slots of one app.
    pub fn slots_of<'a>(&'a self, app: &'a AppId) -> impl Iterator<Item = &'a SlotRecord> {
        let all = (app.clone(), Slot(0))..=(app.clone(), Slot(u32::MAX));
        self.slots.range(all).map(|(_, record)| record)
    }

    /// One instance.
    pub fn instance(&self, app: &AppId, key: InstanceKey) -> Option<&Instance> {
        let record = self.slots.get(&(app.clone(), key.slot))?;
        record.instances.iter().find(|instance| instance.key == key)
    }

    /// The versions of an app, oldest first.
    pub fn versions<'a>(&'a self, app: &AppId) -> impl Iterator<Item = &'a Version> {
        let key = |at| RecordKey::Version(app.clone(), at);
        let all = self.others.range(key(Timestamp::EPOCH)..=key(Timestamp::NEVER));
        all.filter_map(|(_, record)| match record {
            Record::Version(_, version) => Some(&**version),
            _ => None,
        })
    }

    /// Whether an app is on the way that a deployment set.
    pub fn is_under_way(&self, deployment: &Deployment, app: &AppId) -> bool {
        let key = RecordKey::Version(app.clone(), deployment.version);
        let version = self.others.get(&key);
        matches!(version, Some(Record::Version(_, version)) if version.progress == Progress::UnderWay)
    }

    /// What held of an app at that time: its newest version that is not later.
    pub fn as_of<'a>(&'a self, app: &AppId, at: Timestamp) -> Option<&'a Version> {
        self.versions(app).take_while(|version| version.at <= at).last()
    }

    /// All records, as a process that starts reads them.
    pub fn to_vec(&self) -> Vec<Record> {
        let installation = self.installation.clone().map(Box::new).map(Record::Installation);
        let apps = self.apps.values().map(|app| Record::App(Box::new(app.clone())));
        let slots = self.slots.values().cloned().map(Record::Slot);
        installation.into_iter().chain(apps).chain(slots).chain(self.others.values().cloned()).collect()
    }
}

/// The store.
#[derive(Debug, Default)]
pub struct Store {
    /// What survives.
    pub durable: Records,
    /// What is on its way, in order.
    pub in_flight: VecDeque<(WriteSeq, Vec<Write>)>,
}

impl Store {
    /// Makes the oldest batch durable.
    pub fn complete_one(&mut self) -> Option<WriteSeq> {
        let (seq, writes) = self.in_flight.pop_front()?;
        for write in &writes {
            self.durable.apply(write);
        }
        Some(seq)
    }

    /// The process dies: the first `kept` batches on their way become durable, the others never were.
    pub fn crash(&mut self, kept: usize) {
        for _ in 0..kept.min(self.in_flight.len()) {
            self.complete_one();
        }
        self.in_flight.clear();
    }
}
