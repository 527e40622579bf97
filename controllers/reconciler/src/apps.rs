//! All apps, by id. Everything that happens to an app begins with looking it up, dozens of times in a step: that is done
//! by a hash of the id, and what goes through all of them does so in their order.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use ekiden_model::AppId;

use crate::Entry;
use crate::secret::Secret;

/// See the module.
#[derive(Debug)]
pub(crate) struct Apps {
    entries: HashMap<AppId, Box<Entry>, Secret>,
    order: BTreeSet<AppId>,
}

impl Apps {
    /// None yet.
    pub(crate) fn new(secret: Secret) -> Self {
        Self { entries: HashMap::with_hasher(secret), order: BTreeSet::new() }
    }

    pub(crate) fn get(&self, id: &AppId) -> Option<&Entry> {
        self.entries.get(id).map(|entry| &**entry)
    }

    pub(crate) fn get_mut(&mut self, id: &AppId) -> Option<&mut Entry> {
        self.entries.get_mut(id).map(|entry| &mut **entry)
    }

    pub(crate) fn contains(&self, id: &AppId) -> bool {
        self.entries.contains_key(id)
    }

    /// Adds an app, in place of the one with its id if there is one.
    pub(crate) fn insert(&mut self, entry: Entry) {
        let id = entry.state.id.clone();
        if self.entries.insert(id.clone(), Box::new(entry)).is_none() {
            self.order.insert(id);
        }
    }

    pub(crate) fn remove(&mut self, id: &AppId) -> Option<Entry> {
        self.order.remove(id);
        self.entries.remove(id).map(|entry| *entry)
    }

    /// The ids, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &AppId> {
        self.order.iter()
    }

    /// All of them, in order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.order.iter().filter_map(|id| self.get(id))
    }

    /// Those whose ids begin with this path, in order. All that do are neighbours.
    pub(crate) fn below(&self, path: &str) -> impl Iterator<Item = &Entry> {
        let from = self.order.range::<str, _>((Bound::Included(path), Bound::Unbounded));
        from.take_while(move |id| id.as_str().starts_with(path)).filter_map(|id| self.get(id))
    }

    /// All of them, in no order: for what is done to each by itself.
    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut().map(|entry| &mut **entry)
    }
}
