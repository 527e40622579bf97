//! How many placed instances there are per value of an agent's field, kept up to date rather than counted again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::fixed_hash::FixedState;

/// Instances per value.
///
/// ```text
/// a: 3, b: 1, c: 3   →   distinct 3,  groups of size 1: 1, of size 3: 2,  beyond 2: (3-2)*2 = 2
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: HashMap<Arc<str>, u32, FixedState>,
    /// How many values have a given count; few entries, since constraints that ask keep counts even.
    sizes: BTreeMap<u32, u32>,
}

impl Tally {
    /// How many instances have `value`.
    pub fn count(&self, value: &str) -> u32 {
        self.counts.get(value).copied().unwrap_or(0)
    }

    /// How many values any instance has.
    pub fn distinct(&self) -> u32 {
        self.counts.len() as u32
    }

    /// Instances in excess of `share` per value, over all values.
    pub fn beyond(&self, share: u32) -> u64 {
        let above = self.sizes.range(share.saturating_add(1)..);
        above.map(|(size, values)| u64::from(size - share) * u64::from(*values)).sum()
    }

    pub(super) fn add(&mut self, value: &Arc<str>) {
        let count = if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
            *count
        } else {
            self.counts.insert(value.clone(), 1);
            1
        };
        self.resize(count - 1, count);
    }

    pub(super) fn subtract(&mut self, value: &Arc<str>) {
        let Some(count) = self.counts.get_mut(value) else { return };
        *count -= 1;
        let now = *count;
        if now == 0 {
            self.counts.remove(value);
        }
        self.resize(now + 1, now);
    }

    fn resize(&mut self, from: u32, to: u32) {
        if let Some(values) = self.sizes.get_mut(&from) {
            *values -= 1;
            if *values == 0 {
                self.sizes.remove(&from);
            }
        }
        if to > 0 {
            *self.sizes.entry(to).or_insert(0) += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_values_and_what_goes_beyond_a_share() {
        let mut tally = Tally::default();
        for value in ["a", "c", "b", "a", "c", "a", "c"] {
            tally.add(&value.into());
        }
        assert_eq!((tally.count("a"), tally.count("b"), tally.count("d")), (3, 1, 0));
        assert_eq!((tally.distinct(), tally.beyond(2), tally.beyond(0), tally.beyond(3)), (3, 2, 7, 0));
        tally.subtract(&"b".into());
        tally.subtract(&"a".into());
        assert_eq!((tally.distinct(), tally.beyond(2), tally.beyond(1)), (2, 1, 3));
    }
}
