//! Ports and sets of them.

use std::fmt;
use std::ops::RangeInclusive;

/// A port number, 1 to 65535. Port 0 means *choose one* in a declaration and never reaches here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(std::num::NonZeroU16);

impl Port {
    /// The port, unless it is 0.
    pub const fn new(number: u16) -> Option<Self> {
        match std::num::NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What is spoken on a port. Marathon's `udp,tcp` is [`Protocol::Both`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protocol {
    /// `tcp`
    #[default]
    Tcp,
    /// `udp`
    Udp,
    /// `udp,tcp`
    Both,
}

impl Protocol {
    /// As Marathon writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Both => "udp,tcp",
        }
    }
}

/// A set of ports as sorted, disjoint, non-adjacent ranges: what Mesos offers and what is left of it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct PortSet {
    ranges: Vec<(u16, u16)>,
}

impl PortSet {
    /// No ports.
    pub const EMPTY: Self = Self { ranges: Vec::new() };

    /// All the ports of the ranges, which may overlap and come in any order; port 0 is left out.
    pub fn from_ranges(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let mut sorted: Vec<(u16, u16)> = ranges
            .into_iter()
            .map(|r| ((*r.start()).max(1), *r.end()))
            .filter(|(low, high)| low <= high)
            .collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(sorted.len());
        for (low, high) in sorted {
            match merged.last_mut() {
                Some((_, end)) if u32::from(low) <= u32::from(*end) + 1 => *end = (*end).max(high),
                _ => merged.push((low, high)),
            }
        }
        Self { ranges: merged }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|(low, high)| usize::from(high - low) + 1).sum()
    }

    /// Whether `port` is one of them.
    pub fn contains(&self, port: Port) -> bool {
        let at = self.ranges.partition_point(|(_, high)| *high < port.get());
        self.ranges.get(at).is_some_and(|(low, _)| *low <= port.get())
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u16>> + '_ {
        self.ranges.iter().map(|(low, high)| *low..=*high)
    }

    /// The ports, in order.
    pub fn iter(&self) -> impl Iterator<Item = Port> + '_ {
        self.ranges().flatten().filter_map(Port::new)
    }

    /// The `index`-th port, counted from 0.
    pub fn nth(&self, index: usize) -> Option<Port> {
        let mut left = index;
        for (low, high) in &self.ranges {
            let here = usize::from(high - low) + 1;
            if left < here {
                return Port::new(low + left as u16);
            }
            left -= here;
        }
        None
    }

    /// The lowest and the highest port.
    pub fn bounds(&self) -> Option<(Port, Port)> {
        let (low, _) = self.ranges.first()?;
        let (_, high) = self.ranges.last()?;
        Some((Port::new(*low)?, Port::new(*high)?))
    }

    /// The lowest port that is `from` or above it. Takes time logarithmic in the number of ranges.
    pub fn at_or_above(&self, from: Port) -> Option<Port> {
        let at = self.ranges.partition_point(|(_, high)| *high < from.get());
        let (low, _) = self.ranges.get(at)?;
        Port::new(*low).map(|low| low.max(from))
    }

    /// Takes `port` out; says whether it was there.
    pub fn remove(&mut self, port: Port) -> bool {
        let port = port.get();
        let at = self.ranges.partition_point(|(_, high)| *high < port);
        let Some(&(low, high)) = self.ranges.get(at).filter(|(low, _)| *low <= port) else {
            return false;
        };
        let below = (low < port).then(|| (low, port - 1));
        let above = (port < high).then(|| (port + 1, high));
        self.ranges.splice(at..=at, below.into_iter().chain(above));
        true
    }

    /// Puts all of `other` in.
    pub fn extend(&mut self, other: &Self) {
        *self = Self::from_ranges(self.ranges().chain(other.ranges()));
    }
}

impl FromIterator<Port> for PortSet {
    fn from_iter<T: IntoIterator<Item = Port>>(ports: T) -> Self {
        Self::from_ranges(ports.into_iter().map(|port| port.get()..=port.get()))
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (low, high)) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if low == high { write!(f, "{comma}{low}")? } else { write!(f, "{comma}{low}-{high}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: u16) -> Port {
        Port::new(number).expect("not 0")
    }

    #[test]
    fn removing_splits_and_adding_merges() {
        let mut set = PortSet::from_ranges([20..=25, 10..=12, 13..=14, 0..=1]);
        assert_eq!(set.to_string(), "1,10-14,20-25");
        assert!(set.remove(port(12)) && !set.remove(port(12)));
        assert_eq!(set.to_string(), "1,10-11,13-14,20-25");
        assert_eq!(set.nth(3), Some(port(13)));
        assert_eq!(set.len(), 11);
        set.extend(&PortSet::from_iter([port(12)]));
        assert_eq!(set.to_string(), "1,10-14,20-25");
        assert!(set.contains(port(14)) && !set.contains(port(15)));
        assert_eq!(set.bounds(), Some((port(1), port(25))));
        assert_eq!(set.at_or_above(port(12)), Some(port(12)));
        assert_eq!(set.at_or_above(port(15)), Some(port(20)));
        assert_eq!(set.at_or_above(port(26)), None);
        assert_eq!(PortSet::EMPTY.bounds(), None);
    }
}
