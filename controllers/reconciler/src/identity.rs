//! Whose task it is, by its id alone.

use std::collections::BTreeMap;

use ekiden_model::id::InstanceId;
use ekiden_model::memo::Memo;
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
        if let Some(entry) = known.filter(|entry| task.names(&entry.state.id) || task.app().is_some()) {
            let key = InstanceKey { slot, incarnation };
            return match entry.state.instances.get(key) {
                Some(_) => Identity::Known(entry.state.id.clone(), key),
                None if was_launched(entry, key) => Identity::Forgotten,
                None => Identity::Foreign,
            };
        }
        let Some(path) = task.app() else { return Identity::Stranger };
        // Who never was a framework has launched nothing, whatever was declared.
        let births = if self.is_member() { self.installation.births } else { 0 };
        let ours = self.installation.predecessors.contains(&key)
            || self.births.birth_of(self.installation.realm, key, path, births).is_some();
        if ours { Identity::Forgotten } else { Identity::Foreign }
    }
}

/// Apps that were looked for among all that were ever declared: that is one hash for each of these, and a store that is
/// an old copy is told of thousands of tasks of apps that it never had.
#[derive(Debug, Default)]
pub(crate) struct Births(Memo<BTreeMap<(AppKey, AppId), Sought>>);

/// Most apps that are remembered; beyond that all are looked for anew.
const SOUGHT_MAX: usize = 20_000;

#[derive(Debug, Clone, Copy, Default)]
struct Sought {
    birth: Option<u64>,
    /// Later ones were not looked at.
    up_to: u64,
}

impl Births {
    /// Which of the first `births` apps of an installation has this key and path.
    fn birth_of(&self, realm: u64, key: AppKey, path: AppId, births: u64) -> Option<u64> {
        let mut known = self.0.lock();
        let mut sought = known.get(&(key, path.clone())).copied().unwrap_or_default();
        if sought.birth.is_none() && sought.up_to < births {
            let mut unseen = sought.up_to + 1..=births;
            sought =
                Sought { birth: unseen.find(|birth| AppKey::new(realm, *birth, &path) == key), up_to: births };
            if known.len() >= SOUGHT_MAX {
                known.clear();
            }
            known.insert((key, path), sought);
        }
        sought.birth.filter(|birth| *birth <= births)
    }
}

/// Whether an instance that is not there any more ever was.
fn was_launched(entry: &Entry, key: InstanceKey) -> bool {
    entry.state.instances.last_incarnation(key.slot).is_some_and(|last| key.incarnation <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_found_among_those_declared_so_far_and_among_no_others() {
        let (births, realm) = (Births::default(), 7);
        let web = AppId::parse("/web").expect("a good id");
        let key = AppKey::new(realm, 5, &web);
        let found = |among| births.birth_of(realm, key, web.clone(), among);
        assert_eq!(
            [found(4), found(4), found(6), found(9), found(0), found(5)],
            [None, None, Some(5), Some(5), None, Some(5)]
        );
        let elsewhere = AppId::parse("/elsewhere").expect("a good id");
        assert_eq!(births.birth_of(realm, key, elsewhere, 9), None, "it is another app's key");
    }
}
