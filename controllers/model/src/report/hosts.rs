//! Some hosts by name, and how many there are: enough for a person to begin with, and never more to keep.

use std::fmt;
use std::sync::Arc;

/// Most names that are kept.
const NAMED: usize = 3;

/// Which hosts something is true of: the first few by name, and the number of all.
///
/// The first by name and not the first seen, so that the same hosts seen in another order are no change that readers
/// would have to be told of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts {
    /// Sorted, each once; empty places at the end.
    names: [Option<Arc<str>>; NAMED],
    count: u32,
}

impl Hosts {
    /// Counts another one.
    pub fn add(&mut self, name: &Arc<str>) {
        self.count += 1;
        let place = |known: &Option<Arc<str>>| known.as_ref().is_none_or(|known| **known >= **name);
        let Some(at) = self.names.iter().position(place) else { return };
        if self.names[at].as_ref().is_none_or(|known| known != name) {
            self.names[at..].rotate_right(1);
            self.names[at] = Some(name.clone());
        }
    }

    /// The names that are kept, in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter().flatten()
    }

    /// How many there are; two agents of one host count twice and are named once.
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl<'a> FromIterator<&'a Arc<str>> for Hosts {
    fn from_iter<T: IntoIterator<Item = &'a Arc<str>>>(names: T) -> Self {
        let mut hosts = Self::default();
        names.into_iter().for_each(|name| hosts.add(name));
        hosts
    }
}

impl fmt::Display for Hosts {
    /// `node1`, `node1 and node2`, `node1, node2, node3 and 4 more`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.names().count();
        let more = (self.count as usize).saturating_sub(named);
        // Of agents that share a host some are named without being seen; only where not all names fit are there others.
        let more = if named == NAMED { more } else { 0 };
        for (index, name) in self.names().enumerate() {
            let before = match index {
                0 => "",
                last if last + 1 == named && more == 0 => " and ",
                _ => ", ",
            };
            write!(f, "{before}{name}")?;
        }
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Hosts {
        let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
        names.iter().collect()
    }

    #[test]
    fn the_first_few_are_named_and_the_rest_is_counted() {
        assert_eq!(hosts(&[]).to_string(), "");
        assert_eq!(hosts(&["b"]).to_string(), "b");
        assert_eq!(hosts(&["b", "a"]).to_string(), "a and b");
        assert_eq!(hosts(&["c", "a", "b"]).to_string(), "a, b and c");
        assert_eq!(hosts(&["e", "c", "d", "a", "b"]).to_string(), "a, b, c and 2 more");
    }

    #[test]
    fn the_order_in_which_they_are_seen_makes_no_difference() {
        assert_eq!(hosts(&["d", "b", "a", "c"]), hosts(&["a", "b", "c", "d"]));
    }

    #[test]
    fn agents_of_one_host_are_named_once() {
        assert_eq!(hosts(&["a", "a", "b"]).to_string(), "a and b");
        assert_eq!(hosts(&["a", "a", "b"]).count(), 3);
    }
}
