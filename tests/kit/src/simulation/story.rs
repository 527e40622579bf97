//! What a scenario's transcript is made of: what was announced and done, in order.

use std::collections::BTreeSet;
use std::time::Duration;

use ekiden_model::effect::Effect;
use ekiden_model::record::{Record, Write};
use ekiden_model::{AppId, Input, Timestamp};

use super::{BEGINNING, Simulation};
use crate::script::{changes, effect_told};
use crate::store::Records;
use crate::timeline::Happening;

impl Simulation {
    /// From now on, what is announced and done is remembered.
    pub fn record_story(&mut self) {
        self.story = Some(Vec::new());
    }

    /// What was announced and done since last asked.
    pub fn take_story(&mut self) -> Vec<(Timestamp, String)> {
        self.story.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Ekiden starts at once.
    pub fn set_off(&mut self) {
        self.line.at(self.line.now, Happening::Start);
        self.run_for(Duration::from_millis(200));
    }

    /// Ekiden dies in its next step that has any, after so many effects.
    pub fn cut_next_step(&mut self, effects: usize) {
        self.cut_after = Some(effects);
    }

    /// Ekiden dies once so many more effects have been carried out, wherever in a step that is.
    pub fn die_after(&mut self, effects: usize) {
        self.dies_after = Some(effects);
    }

    /// Whether the death that was ordered has not come yet.
    pub fn is_to_die(&self) -> bool {
        self.dies_after.is_some()
    }

    /// The store takes no writes; or does again.
    pub fn stall_store(&mut self, stalled: bool) {
        self.store_stalled = stalled;
        self.store_next();
    }

    /// What the reconciler wants when it is asked a second time at the same moment, with nothing that happened in
    /// between: nothing, if its first answer was complete.
    pub fn second_decision(&mut self) -> Vec<Effect> {
        self.run_for(Duration::from_secs(1));
        let told_now = self.told_now();
        let Some(brain) = self.reconciler_mut() else { return Vec::new() };
        let _ = brain.step(told_now, vec![Input::Tick]);
        brain.step(told_now, vec![Input::Tick])
    }

    pub(super) fn tell_effect(&mut self, effect: &Effect) {
        let now = self.line.now;
        if let Some(story) = &mut self.story {
            story.extend(effect_told(effect).into_iter().map(|text| (now, text)));
        }
    }

    pub(super) fn announced_before(&self) -> Option<Records> {
        self.story.as_ref().map(|_| self.ledger.announced.clone())
    }

    pub(super) fn tell_writes(&mut self, before: &Records, writes: &[Write]) {
        let apps: BTreeSet<&AppId> = writes
            .iter()
            .filter_map(|write| match write {
                Write::Put(Record::App(app)) => Some(&app.id),
                Write::Put(Record::Slot(slot)) => Some(&slot.app),
                Write::DeleteApp(app) => Some(app),
                Write::Put(_) | Write::Delete(_) => None,
            })
            .collect();
        let now = self.line.now;
        let lines = apps.into_iter().flat_map(|app| changes(app, before, &self.ledger.announced, BEGINNING));
        let told: Vec<_> = lines.map(|text| (now, text)).collect();
        if let Some(story) = &mut self.story {
            story.extend(told);
        }
    }
}
