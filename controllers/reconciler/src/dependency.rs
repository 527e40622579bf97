//! Who waits for whom: from an app's path to those that depend on it.
//!
//! A dependency names an app or a group, so an app's dependents are found under its own path and under each of its
//! groups': as many look-ups as the path is deep, however many apps there are.

use std::collections::{BTreeMap, BTreeSet};

use ekiden_model::app::{App, Dependency};
use ekiden_model::{AppId, GroupId};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    by_path: BTreeMap<GroupId, BTreeSet<AppId>>,
}

impl Dependents {
    /// `app` is declared, as `new`, or no longer; it was declared as `old`.
    pub(crate) fn redeclared(&mut self, id: &AppId, old: Option<&App>, new: Option<&App>) {
        for Dependency(path) in old.into_iter().flat_map(|app| &app.dependencies) {
            if let Some(dependents) = self.by_path.get_mut(path) {
                dependents.remove(id);
                if dependents.is_empty() {
                    self.by_path.remove(path);
                }
            }
        }
        for Dependency(path) in new.into_iter().flat_map(|app| &app.dependencies) {
            self.by_path.entry(path.clone()).or_default().insert(id.clone());
        }
    }

    /// The apps that depend on `app`, itself left out.
    pub(crate) fn of(&self, app: &AppId) -> Vec<AppId> {
        if self.by_path.is_empty() {
            return Vec::new();
        }
        let path = app.as_str();
        let groups = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(end, _)| &path[..end]);
        let mut dependents = BTreeSet::new();
        for path in std::iter::once("/").chain(groups).chain([path]) {
            dependents.extend(self.by_path.get(path).into_iter().flatten().filter(|other| *other != app));
        }
        dependents.into_iter().cloned().collect()
    }
}
