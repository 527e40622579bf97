//! A store that was lost or is an old copy, a master that was replaced, and the operator who is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use ekiden_model::edit::RequestId;
use ekiden_model::input::{ClusterEvent, Command};
use ekiden_model::{FrameworkId, Input, Reason, TaskId};

use super::Simulation;
use crate::mutant::Mutant;
use crate::store::Records;
use crate::timeline::Happening;

/// Most earlier copies of the store that are kept.
const COPIES: usize = 4;

/// A copy of the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StoreCopy {
    records: Records,
    /// What had been taken over by then, as the books have it: what is taken over later this copy knows otherwise.
    taken_over: BTreeMap<TaskId, bool>,
}

impl Simulation {
    /// Ekiden asks what runs under its name; the answer takes a moment.
    pub(super) fn survey(&mut self, except: Option<FrameworkId>) {
        if self.cluster.memory.is_some() {
            let wait = self.line.jitter(5, 3_000);
            self.line.after(wait, Happening::Survey(self.lives, except));
        }
    }

    pub(super) fn surveyed(&mut self, life: u64, except: Option<&FrameworkId>) {
        if life == self.lives {
            let is_member = self.process.as_ref().is_some_and(|process| process.has_subscribed);
            let found = self.cluster.survey(is_member, except);
            self.receive(Input::Cluster(ClusterEvent::Found(found)));
        }
    }

    /// Ekiden says who it is, and is connected a moment later.
    pub(super) fn subscribe(&mut self, wanted: Option<FrameworkId>) {
        if self.cluster.memory.is_none() {
            return;
        }
        if wanted.is_none() && !self.ledger.word_given && !self.visible_unknown().is_empty() {
            self.line.violate("S7", "it subscribes as a new framework while tasks of the old one run".to_owned());
        }
        let _ = self.cluster.become_framework(wanted);
        // What runs under another name is nobody's from now on, and what runs under this one is ours (again).
        let disowned =
            self.ledger.announced.installation.as_ref().map(|one| one.disowned.clone()).unwrap_or_default();
        let (ours, others): (Vec<TaskId>, Vec<TaskId>) =
            self.cluster.tasks.keys().cloned().partition(|task| self.cluster.is_current(task));
        for task in ours.iter().filter(|task| !disowned.contains(*task)) {
            self.ledger.strangers.remove(task);
        }
        self.ledger.strangers.extend(others);
        if let Some(process) = &mut self.process {
            process.has_subscribed = true;
        }
        let wait = self.line.jitter(5, 1_000);
        self.line.after(wait, Happening::Connect(self.lives));
    }

    /// A copy of the store is put aside.
    pub fn copy_store(&mut self) {
        if self.copies.len() == COPIES {
            self.copies.remove(0);
        }
        let (records, taken_over) = (self.store.durable.clone(), self.ledger.taken_over.clone());
        self.copies.push(StoreCopy { records, taken_over });
    }

    /// The store is lost, and Ekiden with it.
    pub fn wipe_store(&mut self, down_for: Duration) {
        self.replace_store(StoreCopy::default(), down_for);
    }

    /// The store is replaced by one of its earlier copies.
    pub fn restore_copy(&mut self, down_for: Duration) {
        // Not one of when we were another framework: its tasks are none of ours, and their ids may be the same.
        let current = self.cluster.memory.as_ref().and_then(|memory| memory.current.clone());
        let is_ours = |copy: &&StoreCopy| {
            copy.records
                .installation
                .as_ref()
                .is_some_and(|one| one.framework.is_none() || one.framework == current)
        };
        let copies: Vec<StoreCopy> = self.copies.iter().filter(is_ours).cloned().collect();
        let Some(copy) = self.line.rng.pick(&copies).cloned() else { return };
        // What was copied later is of a store that is given up with this: it and the one that goes on from here would give
        // the same ids to different tasks (docs/safe-mode.md, limits).
        if let Some(at) = self.copies.iter().position(|other| *other == copy) {
            self.copies.truncate(at + 1);
        }
        self.replace_store(copy, down_for);
    }

    fn replace_store(&mut self, StoreCopy { records, taken_over }: StoreCopy, down_for: Duration) {
        if self.cluster.memory.is_none() {
            return;
        }
        if self.process.is_some() {
            self.die(down_for);
        }
        self.line.log(format_args!("the store is replaced: {} apps on record", records.apps.len()));
        self.store.crash(0);
        self.ledger.clock_forgotten(&records);
        self.look_at_other_store(&records);
        self.ledger.deployments.clear();
        // The breaker remembers by what is on record.
        self.ledger.health_kills.clear();
        self.store.durable = records;
        // A task on an agent that nobody hears of is found too late: another may have its slot by then (docs/safe-mode.md).
        let heard_of = |task: &&crate::cluster::SimTask| {
            self.cluster.agents.get(&task.agent).is_some_and(|agent| agent.link == crate::cluster::Link::Up)
        };
        // A copy may hold the word that a framework is not ours, or that tasks are not, even if they were taken over since:
        // nobody is asked about them again.
        let word = self.store.durable.installation.as_ref();
        let disowned = word.map(|one| one.disowned.clone()).unwrap_or_default();
        let disowned_framework = word.and_then(|one| one.disowned_framework.as_ref());
        let ours = |task: &&crate::cluster::SimTask| {
            let framework = self.cluster.memory.as_ref().and_then(|memory| memory.of.get(&task.id));
            framework.is_some() && framework != disowned_framework && !disowned.contains(&task.id)
        };
        let living = self.cluster.living().filter(heard_of).filter(ours);
        self.ledger.unknown = living.map(|task| task.id.clone()).collect();
        self.ledger.unknown_noted.clear();
        let known: Vec<TaskId> =
            self.ledger.unknown.iter().filter(|task| self.store.durable.knows(task)).cloned().collect();
        for task in known {
            self.ledger.unknown.remove(&task);
        }
        self.ledger.word_given = self.ledger.unknown.is_empty();
        // Nobody can know of tasks that have ended and are on no record, nor what was said of them. Their ids may be given
        // again.
        let known: Vec<TaskId> =
            self.ledger.launched.iter().filter(|task| !self.store.durable.knows(task)).cloned().collect();
        for task in known.into_iter().filter(|task| !self.ledger.unknown.contains(task)) {
            self.ledger.launched.remove(&task);
            self.ledger.told.remove(&task);
        }
        self.ledger.taken_over = taken_over;
        let (store, cluster) = (&self.store.durable, &self.cluster);
        let lives = |task: &TaskId| cluster.tasks.get(task).is_some_and(|task| task.state.is_live());
        self.ledger.strangers.retain(|task| store.knows(task) || lives(task));
        self.ledger.strangers.extend(disowned);
        if self.story.is_none() {
            self.ask_operator_later();
        }
    }

    fn ask_operator_later(&mut self) {
        let wait =
            if self.healing { self.line.jitter(2_000, 5_000) } else { self.line.rng.millis(10_000, 60_000) };
        self.line.after(wait, Happening::Operator);
    }

    /// An operator looks, and says whose the tasks are.
    pub(super) fn operator(&mut self) {
        let standstill = self.reconciler().and_then(ekiden_reconciler::Reconciler::standstill);
        if matches!(standstill, Some(Reason::SafeMode { .. })) {
            let command = if self.line.rng.chance(0.85) { Command::Adopt } else { Command::Disown };
            self.command(command);
        }
        self.ask_operator_later();
    }

    /// Tasks of ours that the store does not know, on agents that the master knows.
    pub(super) fn visible_unknown(&self) -> Vec<TaskId> {
        let visible = |task: &&TaskId| {
            self.cluster.tasks.get(*task).is_some_and(|task| {
                let agent = self.cluster.agents.get(&task.agent);
                task.state.is_live() && agent.is_some_and(|agent| agent.link == crate::cluster::Link::Up)
            })
        };
        self.ledger.unknown.iter().filter(visible).cloned().collect()
    }

    /// Whether every task that the store does not know has told of itself to a process that lived on to write it down.
    pub(super) fn is_told_of_all_unknown(&self) -> bool {
        self.visible_unknown().iter().all(|task| self.ledger.unknown_noted.contains(task))
    }

    /// S7: as long as nobody has said whose the unknown tasks are that it was told of, nothing is launched or killed. (It
    /// is told of all that the master knows before it may do either.)
    pub(super) fn must_stand_still(&mut self, what: &str) {
        let unknown = self.visible_unknown();
        if !self.ledger.word_given && unknown.iter().any(|task| self.ledger.unknown_told.contains(task)) {
            self.line
                .violate("S7", format!("{what} while the cluster runs tasks that the store knows nothing of"));
        }
    }

    /// Another master takes over. Its agents come back one by one, some late.
    pub fn fail_over(&mut self, registry: bool, back_within: Duration, no_offers_for: Duration) {
        self.disconnect(Duration::from_secs(2));
        for agent in self.cluster.fail_over(registry, no_offers_for, &mut self.line) {
            let wait = self.line.rng.millis(100, (back_within.as_millis() as u64).max(101));
            self.line.after(wait, Happening::Registers(agent));
        }
    }

    pub(super) fn mutate_found(&self, event: ClusterEvent) -> Vec<Input> {
        match event {
            ClusterEvent::Found(_) if self.has(Mutant::SubscribeAsNew) => {
                vec![Input::Cluster(ClusterEvent::Found(ekiden_model::input::Found::default()))]
            }
            found if self.has(Mutant::LaunchInSafeMode) => {
                vec![Input::Cluster(found), Input::Command(RequestId::default(), Command::Disown)]
            }
            ClusterEvent::Found(mut found) if self.has(Mutant::RestartAdopted) => {
                for task in &mut found.tasks {
                    task.template = None;
                }
                vec![Input::Cluster(ClusterEvent::Found(found))]
            }
            found => vec![Input::Cluster(found)],
        }
    }
}
