//! The instances of an app by slot, cut into pages that copies share.
//!
//! Readers get a copy of an app after every step that touched it. Of an app of 100,000 instances a copy costs as many
//! pointers as there are pages, and a change after it the copy of one page and of one instance.

use std::sync::Arc;

use super::Instance;
use crate::id::{Incarnation, InstanceKey, Slot};

/// Slots per page: about as many as there are pages where an app is as large as apps get in practice, so that copying
/// the list of pages and copying one page cost the same.
const SLOTS: u32 = 64;

/// Instances, and the last incarnation of each slot that ever had one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pages {
    /// By number. A list and no tree: an app of one instance does not hold a tree node of eleven.
    pages: Vec<(u32, Arc<Page>)>,
    /// Instances in all.
    len: usize,
}

/// What is known of so many slots beside each other.
#[derive(Debug, Clone, Default, PartialEq)]
struct Page {
    /// By key. Each is shared, so that the copy of a page copies no instance but the one that changes.
    instances: Vec<(InstanceKey, Arc<Instance>)>,
    /// By slot.
    last: Vec<(Slot, Incarnation)>,
}

impl Pages {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: InstanceKey) -> Option<&Instance> {
        let page = self.page(key.slot)?;
        Some(&page.instances[page.position(key).ok()?].1)
    }

    /// An instance to be changed; its key must stay what it is.
    pub(super) fn get_mut(&mut self, key: InstanceKey) -> Option<&mut Instance> {
        let at = self.position(key.slot).ok()?;
        // Looked up before the page is copied, which would be in vain.
        let instance = self.pages[at].1.position(key).ok()?;
        Some(Arc::make_mut(&mut Arc::make_mut(&mut self.pages[at].1).instances[instance].1))
    }

    /// Adds an instance, in place of the one with its key if there is one.
    pub(super) fn insert(&mut self, instance: Instance) {
        let key = instance.key;
        let page = self.page_mut(key.slot);
        match page.position(key) {
            Ok(at) => page.instances[at].1 = Arc::new(instance),
            Err(at) => {
                page.instances.insert(at, (key, Arc::new(instance)));
                self.len += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, key: InstanceKey) -> Option<Arc<Instance>> {
        let at = self.position(key.slot).ok()?;
        let instance = self.pages[at].1.position(key).ok()?;
        self.len -= 1;
        Some(Arc::make_mut(&mut self.pages[at].1).instances.remove(instance).1)
    }

    /// All of them, by key.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Instance> {
        self.pages.iter().flat_map(|(_, page)| page.instances.iter().map(|(_, instance)| &**instance))
    }

    /// Those in one slot, oldest first.
    pub(super) fn in_slot(&self, slot: Slot) -> impl DoubleEndedIterator<Item = &Instance> {
        let instances = self.page(slot).map(|page| page.instances.as_slice()).unwrap_or_default();
        let begin = instances.partition_point(|(key, _)| key.slot < slot);
        let end = instances.partition_point(|(key, _)| key.slot <= slot);
        instances[begin..end].iter().map(|(_, instance)| &**instance)
    }

    /// The last incarnation that is noted of a slot.
    pub(super) fn last(&self, slot: Slot) -> Option<Incarnation> {
        let page = self.page(slot)?;
        let at = page.last.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        Some(page.last[at].1)
    }

    /// Notes an incarnation of a slot, unless a later one is noted.
    pub(super) fn note_last(&mut self, slot: Slot, incarnation: Incarnation) {
        if self.last(slot).is_some_and(|last| last >= incarnation) {
            return;
        }
        let page = self.page_mut(slot);
        match page.last.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => page.last[at].1 = incarnation,
            Err(at) => page.last.insert(at, (slot, incarnation)),
        }
    }

    /// The last incarnation of each slot of which one is noted.
    pub(super) fn lasts(&self) -> impl Iterator<Item = (Slot, Incarnation)> + '_ {
        self.pages.iter().flat_map(|(_, page)| page.last.iter().copied())
    }

    fn position(&self, slot: Slot) -> Result<usize, usize> {
        self.pages.binary_search_by_key(&(slot.0 / SLOTS), |(number, _)| *number)
    }

    fn page(&self, slot: Slot) -> Option<&Page> {
        self.position(slot).ok().map(|at| &*self.pages[at].1)
    }

    fn page_mut(&mut self, slot: Slot) -> &mut Page {
        let at = self.position(slot).unwrap_or_else(|at| {
            self.pages.insert(at, (slot.0 / SLOTS, Arc::default()));
            at
        });
        Arc::make_mut(&mut self.pages[at].1)
    }
}

impl Page {
    fn position(&self, key: InstanceKey) -> Result<usize, usize> {
        self.instances.binary_search_by_key(&key, |(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(from: impl IntoIterator<Item = u32>) -> Pages {
        let mut pages = Pages::default();
        for slot in from {
            pages.note_last(Slot(slot), Incarnation::FIRST);
        }
        pages
    }

    #[test]
    fn what_is_noted_comes_out_in_order_whatever_the_order_it_went_in() {
        let noted = [700, 3, 64, 63, u32::MAX, 0, 65];
        let out: Vec<u32> = slots(noted).lasts().map(|(slot, _)| slot.0).collect();
        assert_eq!(out, [0, 3, 63, 64, 65, 700, u32::MAX]);
    }

    #[test]
    fn a_change_after_a_copy_copies_one_page() {
        let mut pages = slots(0..1000);
        let copy = pages.clone();
        pages.note_last(Slot(500), Incarnation::FIRST.next());
        assert_eq!(copy.last(Slot(500)), Some(Incarnation::FIRST), "the copy stays as it was");
        let shared = pages.pages.iter().zip(&copy.pages).filter(|((_, page), (_, copy))| Arc::ptr_eq(page, copy));
        assert_eq!(shared.count(), copy.pages.len() - 1);
    }

    #[test]
    fn an_earlier_incarnation_than_the_noted_one_changes_nothing() {
        let mut pages = slots([5]);
        pages.note_last(Slot(5), Incarnation::FIRST.next());
        let copy = pages.clone();
        pages.note_last(Slot(5), Incarnation::FIRST);
        assert_eq!(pages, copy);
        assert!(Arc::ptr_eq(&pages.pages[0].1, &copy.pages[0].1), "nor does it copy anything");
    }
}
