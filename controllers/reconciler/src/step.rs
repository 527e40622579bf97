//! One step, from top to bottom.

use ekiden_model::edit::{Group, Pod};
use ekiden_model::history::Version;
use ekiden_model::input::Input;
use ekiden_model::record::{AppRecord, Record, RecordKey, SlotRecord, Write};
use ekiden_model::{Deployment, Effect, Timestamp};

use crate::Reconciler;
use crate::journal::Notes;
use crate::questions::Questions;

/// Most visits to apps in one step. A visit takes microseconds to a millisecond (an app of 100,000 instances), so a
/// step stays well under the 50 ms for which the loop around it may be deaf.
const VISITS_MAX: usize = 512;

impl Reconciler {
    /// Takes in what happened, in order, and says what is to be done, in order. Work is bounded: when there is more
    /// to do, [`Reconciler::next_wake`] is `now`. A clock that goes back does no harm: `now` is taken
    /// as no earlier than before.
    pub fn step(&mut self, now: Timestamp, inputs: Vec<Input>) -> Vec<Effect> {
        self.steps += 1;
        self.now = self.time.advance(now);
        let now = self.now;
        let mut effects = Vec::new();
        self.join_when_due();
        for input in inputs {
            if let Input::Stored(seq) = input {
                let released = self.journal.stored(seq);
                effects.extend(self.release(released));
            } else {
                self.fold(input);
            }
        }
        self.end_overrides_when_due();
        self.schedule.ring(now);
        self.join_when_due();
        self.leave_agents_when_due();
        self.ask_again_when_due();
        self.kill_strays_when_due();
        for _ in 0..VISITS_MAX {
            if self.journal.is_congested() {
                break;
            }
            let Some(app) = self.schedule.next() else { break };
            self.visit(&app);
        }
        self.accept_what_was_taken();
        self.tend_offers_when_due();
        effects.extend(self.cut());
        effects
    }

    /// When [`Reconciler::step`] wants to be called although nothing happened; never, if nothing is to come.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.journal.is_congested() {
            return None;
        }
        if !self.schedule.is_idle() || self.journal.has_open() {
            return Some(self.time.outside(self.now));
        }
        let wakes = [
            self.schedule.next_wake(),
            self.offers_wake,
            self.leaving_wake,
            self.cluster.questions.as_ref().and_then(Questions::again),
            self.membership_wake(),
            self.strays_wake(),
            self.overrides_wake(),
        ];
        wakes.into_iter().flatten().min().map(|wake| self.time.outside(wake))
    }

    fn cut(&mut self) -> Vec<Effect> {
        let (batch, mut effects) = self.journal.cut();
        if let Some((seq, notes)) = batch {
            let writes = self.writes(notes);
            effects.push(Effect::Persist { seq, writes });
        } else {
            effects = self.release(effects);
        }
        effects
    }

    /// The records that the notes name, as they are now. Removals come first: an app may be declared again in the
    /// step that removed it.
    fn writes(&self, notes: Notes) -> Vec<Write> {
        let mut writes = Vec::new();
        if notes.installation {
            writes.push(Write::Put(Record::Installation(Box::new(self.installation.clone()))));
        }
        writes.extend(notes.deleted.into_iter().map(Write::DeleteApp));
        for id in notes.apps {
            if let Some(entry) = self.apps.get(&id) {
                writes.push(Write::Put(Record::App(Box::new(AppRecord::of(&entry.state)))));
            }
        }
        for (id, slots) in notes.slots {
            let Some(entry) = self.apps.get(&id) else { continue };
            for slot in slots {
                let Some(last) = entry.state.instances.last_incarnation(slot) else { continue };
                let instances = entry.state.instances.in_slot(slot).cloned().collect();
                writes.push(Write::Put(Record::Slot(SlotRecord { app: id.clone(), slot, last, instances })));
            }
        }
        for (id, at) in notes.versions {
            let entry = self.apps.get(&id);
            let history = entry.map(|entry| &entry.state.history).or_else(|| self.departed.get(&id));
            let version = history.and_then(|history| history.get(at));
            let put = version.map(|version| Record::Version(id.clone(), Box::new(Version::clone(version))));
            writes.push(put.map_or_else(|| Write::Delete(RecordKey::Version(id, at)), Write::Put));
        }
        for id in notes.deployments {
            let course = self.deployments.open.get(&id);
            let put = course.map(|course| Record::Deployment(Box::new(Deployment::clone(&course.deployment))));
            writes.push(put.map_or(Write::Delete(RecordKey::Deployment(id)), Write::Put));
        }
        for id in notes.groups {
            let put = self.groups.get(&id).map(|group| Record::Group(Group::clone(group)));
            writes.push(put.map_or_else(|| Write::Delete(RecordKey::Group(id)), Write::Put));
        }
        for id in notes.pods {
            let put = self.pods.get(&id).map(|pod| Record::Pod(Pod::clone(pod)));
            writes.push(put.map_or_else(|| Write::Delete(RecordKey::Pod(id)), Write::Put));
        }
        writes
    }

    /// What leaves at last.
    fn release(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let release_one = |effect| match effect {
            Effect::Accept { offers, agent, tasks } => self.release_accept(offers, agent, tasks),
            // It is sent again when safe mode is over, as one that was not answered.
            Effect::Kill { .. } if self.is_safe_mode() => None,
            other => Some(other),
        };
        effects.into_iter().filter_map(release_one).collect()
    }
}
