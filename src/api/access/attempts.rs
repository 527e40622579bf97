//! Wrong passwords, by where they come from: after a few, each further one has to wait longer.
//!
//! What is remembered is bounded: whoever has a million addresses makes us forget the oldest, and still pays for each
//! guess with a slow hash of which only few are made at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many mistakes are free.
const FREE: u32 = 5;

/// The wait after the first that is not; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// After so long without a mistake all are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Most places remembered.
const PLACES: usize = 4096;

/// Who made how many mistakes.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Mistakes>>);

#[derive(Debug, Clone, Copy)]
struct Mistakes {
    count: u32,
    last: Instant,
}

impl Attempts {
    /// How long whoever is there has to wait before the next attempt; nothing when it may be made now.
    pub(super) fn wait(&self, remote: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mistakes = places.get(&place(remote?))?;
        let beyond = mistakes.count.checked_sub(FREE)?;
        let pause = FIRST_WAIT.saturating_mul(1 << beyond.min(10)).min(LONGEST_WAIT);
        pause.checked_sub(now.saturating_duration_since(mistakes.last)).filter(|wait| !wait.is_zero())
    }

    /// Notes a mistake.
    pub(super) fn failed(&self, remote: Option<IpAddr>, now: Instant) {
        let Some(remote) = remote else { return };
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place(remote);
        if places.len() >= PLACES && !places.contains_key(&place) {
            places.retain(|_, mistakes| now.saturating_duration_since(mistakes.last) < FORGOTTEN_AFTER);
            let oldest = places.iter().min_by_key(|(_, mistakes)| mistakes.last).map(|(place, _)| *place);
            if let (true, Some(oldest)) = (places.len() >= PLACES, oldest) {
                places.remove(&oldest);
            }
        }
        let mistakes = places.entry(place).or_insert(Mistakes { count: 0, last: now });
        if now.saturating_duration_since(mistakes.last) >= FORGOTTEN_AFTER {
            mistakes.count = 0;
        }
        (mistakes.count, mistakes.last) = (mistakes.count.saturating_add(1), now);
    }
}

/// One machine has one address of the old kind, and 2^64 of the new.
fn place(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_mistakes_are_free_and_then_each_waits_twice_as_long() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let remote = Some(IpAddr::from([10, 0, 0, 1]));
        for _ in 0..FREE {
            assert_eq!(attempts.wait(remote, now), None);
            attempts.failed(remote, now);
        }
        assert_eq!(attempts.wait(remote, now), Some(FIRST_WAIT));
        attempts.failed(remote, now);
        assert_eq!(attempts.wait(remote, now), Some(FIRST_WAIT * 2));
        assert_eq!(attempts.wait(remote, now + FIRST_WAIT * 2), None);
        assert_eq!(attempts.wait(Some(IpAddr::from([10, 0, 0, 2])), now), None);
        for _ in 0..1000 {
            attempts.failed(remote, now);
        }
        assert_eq!(attempts.wait(remote, now), Some(LONGEST_WAIT));
        let later = now + FORGOTTEN_AFTER;
        attempts.failed(remote, later);
        assert_eq!(attempts.wait(remote, later), None, "all before it is forgotten");
    }

    #[test]
    fn however_many_places_mistakes_come_from_few_are_remembered() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for place in 0..20_000_u32 {
            let remote = Some(IpAddr::from(place.to_be_bytes()));
            attempts.failed(remote, now + Duration::from_micros(u64::from(place)));
        }
        assert_eq!(attempts.0.lock().expect("no panic").len(), PLACES);
    }

    #[test]
    fn one_network_of_the_new_kind_is_one_place() {
        let place_of = |text: &str| place(text.parse().expect("an address"));
        assert_eq!(place_of("2001:db8:1:2::3"), place_of("2001:db8:1:2:ffff::1"));
        assert_ne!(place_of("2001:db8:1:2::3"), place_of("2001:db8:1:3::3"));
        assert_eq!(place_of("::ffff:10.0.0.1"), place_of("10.0.0.1"));
    }
}
