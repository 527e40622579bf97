//! The journal: what must become durable, and what waits for it.
//!
//! Everything that a step wants done leaves through here, in order. **Persist, then act, then acknowledge** is not a
//! matter of care at each place but of one rule: an effect leaves when all writes made before it are durable.
//!
//! Writes are noted by key while a step goes on, so a record that changes ten times is written once, as it is at the
//! end. While too many batches are on their way to a slow store, no new one is cut: notes and effects gather, and the
//! reconciler stops deciding ([`Journal::is_congested`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ekiden_model::input::WriteSeq;
use ekiden_model::{AppId, DeploymentId, Effect, GroupId, Slot, Timestamp};

/// Most batches of writes on their way to the store at once. A store that commits in a millisecond is never waited
/// for; one that takes a second holds 8 steps' worth of effects, not an hour's.
const BATCHES_MAX: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    notes: Notes,
    /// Effects of the batch that is not cut yet.
    open: Vec<Effect>,
    /// Effects that wait for the batch of that number.
    waiting: VecDeque<(WriteSeq, Vec<Effect>)>,
    /// The last batch cut.
    last: WriteSeq,
    /// The last batch known to be durable.
    durable: WriteSeq,
}

/// Which records have changed since the last batch.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The one installation record.
    pub(crate) installation: bool,
    /// Apps whose own record changed.
    pub(crate) apps: BTreeSet<AppId>,
    /// Slots whose record changed, by app.
    pub(crate) slots: BTreeMap<AppId, BTreeSet<Slot>>,
    /// Apps to be removed with all their slots. An app that is declared again meanwhile is in `apps`, too, and is
    /// written after its removal.
    pub(crate) deleted: BTreeSet<AppId>,
    /// Versions that came, changed or went.
    pub(crate) versions: BTreeSet<(AppId, Timestamp)>,
    /// Deployments that came, changed or went.
    pub(crate) deployments: BTreeSet<DeploymentId>,
    /// Groups that came, changed or went.
    pub(crate) groups: BTreeSet<GroupId>,
    /// Pods that came, changed or went.
    pub(crate) pods: BTreeSet<AppId>,
}

impl Notes {
    fn is_empty(&self) -> bool {
        let Self { installation, apps, slots, deleted, versions, deployments, groups, pods } = self;
        let none_of_apps = apps.is_empty() && slots.is_empty() && deleted.is_empty() && versions.is_empty();
        !installation && none_of_apps && deployments.is_empty() && groups.is_empty() && pods.is_empty()
    }
}

impl Journal {
    /// The app's own record has changed.
    pub(crate) fn note_app(&mut self, app: &AppId) {
        if !self.notes.apps.contains(app) {
            self.notes.apps.insert(app.clone());
        }
    }

    /// A slot's record has changed.
    pub(crate) fn note_slot(&mut self, app: &AppId, slot: Slot) {
        if let Some(slots) = self.notes.slots.get_mut(app) {
            slots.insert(slot);
        } else {
            self.notes.slots.insert(app.clone(), BTreeSet::from([slot]));
        }
    }

    /// The installation's record has changed.
    pub(crate) fn note_installation(&mut self) {
        self.notes.installation = true;
    }

    /// A version has come, changed or gone.
    pub(crate) fn note_version(&mut self, app: &AppId, version: Timestamp) {
        self.notes.versions.insert((app.clone(), version));
    }

    /// A deployment has come, changed or gone.
    pub(crate) fn note_deployment(&mut self, deployment: DeploymentId) {
        self.notes.deployments.insert(deployment);
    }

    /// A group has come, changed or gone.
    pub(crate) fn note_group(&mut self, group: &GroupId) {
        self.notes.groups.insert(group.clone());
    }

    /// A pod has come, changed or gone.
    pub(crate) fn note_pod(&mut self, pod: &AppId) {
        self.notes.pods.insert(pod.clone());
    }

    /// The app is gone, and all of its slots.
    pub(crate) fn note_deleted(&mut self, app: &AppId) {
        self.notes.apps.remove(app);
        self.notes.slots.remove(app);
        self.notes.deleted.insert(app.clone());
    }

    /// Wants `effect` done, after everything noted so far is durable.
    pub(crate) fn push(&mut self, effect: Effect) {
        self.open.push(effect);
    }

    /// All batches up to `seq` are durable: returns what waited for them, in order.
    pub(crate) fn stored(&mut self, seq: WriteSeq) -> Vec<Effect> {
        self.durable = self.durable.max(seq.min(self.last));
        let mut released = Vec::new();
        while let Some((_, effects)) = self.waiting.pop_front_if(|(wanted, _)| *wanted <= self.durable) {
            released.extend(effects);
        }
        released
    }

    /// Ends a step: cuts a batch of what was noted. Returns the notes to be written as the batch of that number, if
    /// there are any, and the effects that wait for nothing.
    pub(crate) fn cut(&mut self) -> (Option<(WriteSeq, Notes)>, Vec<Effect>) {
        if self.is_congested() {
            return (None, Vec::new());
        }
        let effects = std::mem::take(&mut self.open);
        if self.notes.is_empty() {
            if self.waiting.is_empty() {
                return (None, effects);
            }
            if !effects.is_empty() {
                self.waiting.push_back((self.last, effects));
            }
            return (None, Vec::new());
        }
        self.last = WriteSeq(self.last.0 + 1);
        self.waiting.push_back((self.last, effects));
        (Some((self.last, std::mem::take(&mut self.notes))), Vec::new())
    }

    /// Whether the store is so far behind that nothing more should be decided.
    pub(crate) fn is_congested(&self) -> bool {
        self.last.0 - self.durable.0 >= BATCHES_MAX as u64
    }

    /// Whether something waits to be cut although it could be.
    pub(crate) fn has_open(&self) -> bool {
        !self.is_congested() && (!self.open.is_empty() || !self.notes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> AppId {
        AppId::parse("/a").expect("a good id")
    }

    fn effect(role: &str) -> Effect {
        Effect::Suppress(ekiden_model::Role::new(role))
    }

    #[test]
    fn effects_leave_in_order_and_after_the_writes_before_them() {
        let mut journal = Journal::default();
        journal.push(effect("0"));
        assert_eq!(journal.cut().1, [effect("0")], "nothing to wait for");

        journal.note_app(&app());
        journal.push(effect("1"));
        let (batch, now) = journal.cut();
        assert_eq!(batch.map(|(seq, _)| seq), Some(WriteSeq(1)));
        assert_eq!(now, []);

        journal.push(effect("2"));
        assert_eq!(journal.cut().1, [], "it must not overtake the one before");
        assert_eq!(journal.stored(WriteSeq(1)), [effect("1"), effect("2")]);
    }

    #[test]
    fn a_slow_store_stops_the_cutting_and_loses_nothing() {
        let mut journal = Journal::default();
        for _ in 0..BATCHES_MAX {
            journal.note_app(&app());
            assert!(journal.cut().0.is_some());
        }
        assert!(journal.is_congested());
        journal.note_app(&app());
        journal.push(effect("late"));
        assert!(journal.cut().0.is_none());
        assert_eq!(journal.stored(WriteSeq(BATCHES_MAX as u64)), []);
        assert!(journal.cut().0.is_some());
        assert_eq!(journal.stored(WriteSeq(BATCHES_MAX as u64 + 1)), [effect("late")]);
    }

    #[test]
    fn the_store_cannot_confirm_what_was_never_cut() {
        let mut journal = Journal::default();
        assert_eq!(journal.stored(WriteSeq(9)), []);
        journal.note_app(&app());
        journal.push(effect("1"));
        journal.cut();
        assert_eq!(journal.stored(WriteSeq(0)), []);
        assert_eq!(journal.stored(WriteSeq(1)), [effect("1")]);
    }
}
