//! Whose task it is, by its id alone.

use ekiden_model::id::InstanceId;
use ekiden_model::{AppId, AppKey, InstanceKey, TaskId};

use crate::{Entry, Reconciler};

/// Whose task it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// An instance that we have.
    Known(AppId, InstanceKey),
    /// One that we had: positively ours, and not wanted any more.
    Forgotten,
    /// Made by an ekiden, and not by this one as far as its store goes. It runs under our name all the same: so the
    /// store does not know all that it should.
    Foreign,
    /// An operator has said that it is not ours, or no ekiden made it. Left alone.
    Stranger,
}

impl Reconciler {
    /// Whose task it is. The path in its id, the installation's secret realm and the number of apps it ever declared
    /// say for certain whether a task that we do not know was ours: deleting an app does not make its tasks strangers,
    /// and another installation's tasks never look like ours.
    pub(crate) fn identify(&self, task: &TaskId) -> Identity {
        let Some((InstanceId { app: key, slot }, incarnation)) = task.instance() else {
            return Identity::Stranger;
        };
        if self.installation.disowned.contains(task) {
            return Identity::Stranger;
        }
        let known = self.keys.get(&key).and_then(|id| self.apps.get(id));
        // Nearly all are of an app that we have, and to read the path back would be most of the work.
        let named = known.map(|entry| &entry.state.id).filter(|id| task.names(id));
        let Some(path) = named.cloned().or_else(|| task.app()) else { return Identity::Stranger };
        if let Some(entry) = known {
            let key = InstanceKey { slot, incarnation };
            return match entry.state.instances.get(key) {
                Some(_) => Identity::Known(entry.state.id.clone(), key),
                None if was_launched(entry, key) => Identity::Forgotten,
                None => Identity::Foreign,
            };
        }
        let realm = self.installation.realm;
        // Who never was a framework has launched nothing, whatever was declared.
        let births = if self.is_member() { self.installation.births } else { 0 };
        let ours = self.installation.predecessors.contains(&key)
            || (1..=births).any(|birth| AppKey::new(realm, birth, &path) == key);
        if ours { Identity::Forgotten } else { Identity::Foreign }
    }
}

/// Whether an instance that is not there any more ever was.
fn was_launched(entry: &Entry, key: InstanceKey) -> bool {
    entry.state.instances.last_incarnation(key.slot).is_some_and(|last| key.incarnation <= last)
}
