//! Sets of slots as ranges: which slots of an app are vacant.

use crate::id::Slot;

/// Slots that nothing wanted is in, as sorted, disjoint, non-adjacent inclusive ranges.
///
/// An app's instances sit in slots 0..n-1 but for a few holes, so that its vacant slots are a handful of ranges
/// however many instances there are, and the lowest one is always the first.
#[derive(Debug, Clone)]
pub(super) struct Vacancies {
    ranges: Vec<(u32, u32)>,
}

impl Vacancies {
    /// Every slot is vacant.
    pub(super) fn all() -> Self {
        Self { ranges: vec![(0, u32::MAX)] }
    }

    /// Takes a slot; nothing happens when it is taken already.
    pub(super) fn take(&mut self, Slot(slot): Slot) {
        let at = self.ranges.partition_point(|(_, high)| *high < slot);
        let Some(range) = self.ranges.get_mut(at).filter(|(low, _)| *low <= slot) else { return };
        let (low, high) = *range;
        match (low == slot, high == slot) {
            (true, true) => {
                self.ranges.remove(at);
            }
            (true, false) => range.0 = slot + 1,
            (false, true) => range.1 = slot - 1,
            (false, false) => {
                range.1 = slot - 1;
                self.ranges.insert(at + 1, (slot + 1, high));
            }
        }
    }

    /// Gives a slot back; nothing happens when it is vacant already.
    pub(super) fn give(&mut self, Slot(slot): Slot) {
        let at = self.ranges.partition_point(|(_, high)| *high < slot);
        if self.ranges.get(at).is_some_and(|(low, _)| *low <= slot) {
            return;
        }
        let joins_left = at > 0 && self.ranges[at - 1].1.checked_add(1) == Some(slot);
        let joins_right = self.ranges.get(at).is_some_and(|(low, _)| slot.checked_add(1) == Some(*low));
        match (joins_left, joins_right) {
            (true, true) => {
                let (_, high) = self.ranges.remove(at);
                self.ranges[at - 1].1 = high;
            }
            (true, false) => self.ranges[at - 1].1 = slot,
            (false, true) => self.ranges[at].0 = slot,
            (false, false) => self.ranges.insert(at, (slot, slot)),
        }
    }

    /// The vacant slots, lowest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.ranges.iter().flat_map(|(low, high)| *low..=*high).map(Slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_plain_set_holds(steps in prop::collection::vec((any::<bool>(), 0_u32..40), 0..200)) {
            let mut ranges = Vacancies::all();
            let mut taken = BTreeSet::new();
            for (take, slot) in steps {
                if take {
                    ranges.take(Slot(slot));
                    taken.insert(slot);
                } else {
                    ranges.give(Slot(slot));
                    taken.remove(&slot);
                }
                let vacant: Vec<u32> = (0..50).filter(|slot| !taken.contains(slot)).collect();
                let seen: Vec<u32> = ranges.iter().map(|slot| slot.0).take_while(|slot| *slot < 50).collect();
                prop_assert_eq!(seen, vacant);
                prop_assert!(ranges.ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }
}
