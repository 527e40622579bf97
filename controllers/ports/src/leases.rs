//! Who holds which service port, over all apps.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ekiden_model::view::ServicePorts;
use ekiden_model::{AppId, Port};

/// Words of 64 ports that cover all port numbers.
const WORDS: usize = (u16::MAX as usize + 1) / 64;

/// The service ports of all apps. The reconciler keeps it in step with [`AppState::service_ports`], by
/// [`Leases::set`] for every `Lease` and [`Leases::clear`] for every `Release`.
///
/// [`AppState::service_ports`]: ekiden_model::AppState::service_ports
#[derive(Debug, Clone)]
pub struct Leases {
    holders: BTreeMap<Port, Holder>,
    /// One bit per port, set where it is held: the first free port of 10,000 is found by looking at 160 words.
    held: Box<[u64; WORDS]>,
}

#[derive(Debug, Clone)]
struct Holder {
    app: AppId,
    /// How many of the app's ports have this service port. Two may declare the same one (one for TCP, one for UDP),
    /// and it is free when both have given it back.
    ports: u32,
}

impl Default for Leases {
    fn default() -> Self {
        Self { holders: BTreeMap::new(), held: Box::new([0; WORDS]) }
    }
}

impl Leases {
    /// One more port of `app` has the service port `port`. Where another app holds it, that one goes on holding it.
    pub fn set(&mut self, port: Port, app: &AppId) {
        let holder = self.holders.entry(port).or_insert_with(|| Holder { app: app.clone(), ports: 0 });
        if holder.app == *app {
            holder.ports += 1;
        }
        let (word, bit) = place(port);
        self.held[word] |= bit;
    }

    /// One port of the holder of `port` no longer has it.
    pub fn clear(&mut self, port: Port) {
        let Some(holder) = self.holders.get_mut(&port) else { return };
        holder.ports -= 1;
        if holder.ports == 0 {
            self.holders.remove(&port);
            let (word, bit) = place(port);
            self.held[word] &= !bit;
        }
    }
}

impl ServicePorts for Leases {
    fn holder(&self, port: Port) -> Option<&AppId> {
        self.holders.get(&port).map(|holder| &holder.app)
    }

    fn first_free(&self, range: RangeInclusive<u16>) -> Option<Port> {
        // Port 0 is none.
        let (low, high) = ((*range.start()).max(1), *range.end());
        let (first, last) = (usize::from(low / 64), usize::from(high / 64));
        (first..=last).find_map(|word| {
            let below_low = if word == first { (1_u64 << (low % 64)) - 1 } else { 0 };
            let free = !(self.held[word] | below_low);
            let port = u16::try_from(word * 64 + free.trailing_zeros() as usize).ok()?;
            (free != 0 && port <= high).then(|| Port::new(port))?
        })
    }
}

fn place(port: Port) -> (usize, u64) {
    (usize::from(port.get() / 64), 1 << (port.get() % 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn port(number: u16) -> Port {
        Port::new(number).expect("not 0")
    }

    fn app(text: &str) -> AppId {
        AppId::parse(text).expect("a good id")
    }

    #[test]
    fn a_service_port_has_one_holder_until_all_its_ports_gave_it_back() {
        let mut leases = Leases::default();
        leases.set(port(80), &app("/a"));
        leases.set(port(80), &app("/b"));
        assert_eq!(leases.holder(port(80)), Some(&app("/a")), "nobody steals");
        leases.set(port(80), &app("/a"));
        leases.clear(port(80));
        assert_eq!(leases.holder(port(80)), Some(&app("/a")));
        assert_eq!(leases.first_free(80..=81), Some(port(81)));
        leases.clear(port(80));
        leases.clear(port(80));
        assert_eq!((leases.holder(port(80)), leases.first_free(80..=81)), (None, Some(port(80))));
    }

    #[test]
    fn the_ends_of_the_numbers() {
        let mut leases = Leases::default();
        assert_eq!(leases.first_free(0..=3), Some(port(1)));
        leases.set(port(u16::MAX), &app("/a"));
        assert_eq!(leases.first_free(u16::MAX..=u16::MAX), None);
        #[expect(clippy::reversed_empty_ranges, reason = "an empty range has no free port")]
        let empty = 9..=3;
        assert_eq!(leases.first_free(empty), None);
    }

    proptest! {
        #[test]
        fn the_first_free_port_is_the_first_that_is_free(
            held in prop::collection::btree_set(1..400_u16, 0..400),
            low in 0..420_u16,
            length in 0..200_u16,
        ) {
            let mut leases = Leases::default();
            for number in &held {
                leases.set(port(*number), &app("/a"));
            }
            let naive = (low.max(1)..=low + length).find(|number| !held.contains(number));
            prop_assert_eq!(leases.first_free(low..=low + length), naive.and_then(Port::new));
        }
    }
}
