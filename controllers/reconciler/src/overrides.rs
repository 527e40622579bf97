//! Overrides: what holds for a while instead of what an app's file says, and when that is over.

use ekiden_model::history::{Cause, Why};
use ekiden_model::{AppId, Timestamp};

use crate::Reconciler;

impl Reconciler {
    /// What files say holds again where an override is over.
    pub(crate) fn end_overrides_when_due(&mut self) {
        while let Some((until, id)) = self.overrides.first().cloned() {
            if until > self.now {
                return;
            }
            self.overrides.pop_first();
            let Some(declared) = self.declared(&id) else { continue };
            let Some(over) = &declared.over else { continue };
            let (file, source) = (over.file.clone(), declared.source.clone());
            let cause = Cause { source, commit: None, by: None, why: Why::OverrideOver };
            let mut set = self.begin_changes();
            self.declare(&mut set, &file, None, cause);
            self.end_changes(set);
        }
    }

    /// When the next override is over.
    pub(crate) fn overrides_wake(&self) -> Option<Timestamp> {
        self.overrides.first().map(|(until, _)| *until)
    }

    /// Nothing is overridden of that app any more.
    pub(crate) fn forget_override(&mut self, id: &AppId) {
        self.overrides.retain(|(_, overridden)| overridden != id);
    }
}
