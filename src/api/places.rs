//! How many may be connected at once: all together, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most connections at once; further ones wait in the kernel's queue. Enough for a thousand event streams beside all the
/// polling of load balancers; each costs some 100 KiB at worst.
const CONNECTIONS: usize = 4096;

/// Most connections of one address: one that goes wrong leaves room for the others. Who is on this machine is not
/// counted: a proxy there speaks for everybody.
const OF_ONE_ADDRESS: usize = CONNECTIONS / 4;

/// How many each address has.
type Taken = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The places, taken and free.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Taken,
}

/// A place for a connection, wherever it will come from.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    of: Option<(IpAddr, Taken)>,
}

impl Places {
    /// All free.
    pub(super) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(CONNECTIONS)), taken: Arc::default() }
    }

    /// Waits for a place.
    pub(super) async fn next(&self) -> Option<Place> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Place { _permit: permit, of: None })
    }

    /// Gives a place to a connection from an address; nothing when that has enough.
    pub(super) fn give(&self, mut place: Place, remote: IpAddr) -> Option<Place> {
        let remote = remote.to_canonical();
        if remote.is_loopback() {
            return Some(place);
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(remote).or_insert(0);
        if *count >= OF_ONE_ADDRESS {
            return None;
        }
        *count += 1;
        place.of = Some((remote, Arc::clone(&self.taken)));
        Some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((remote, taken)) = self.of.take() else { return };
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&remote) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&remote);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_takes_its_share_and_gives_it_back() {
        let places = Places::new();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut taken = Vec::new();
        for _ in 0..OF_ONE_ADDRESS {
            let place = places.next().await.expect("free");
            taken.push(places.give(place, one).expect("its share"));
        }
        let place = places.next().await.expect("free");
        assert!(places.give(place, one).is_none());
        let place = places.next().await.expect("free");
        assert!(places.give(place, other).is_some());
        for _ in 0..=OF_ONE_ADDRESS {
            let place = places.next().await.expect("free");
            taken.push(places.give(place, IpAddr::from([127, 0, 0, 1])).expect("who is here is not counted"));
        }
        taken.clear();
        assert!(places.taken.lock().expect("no panic").is_empty(), "nothing is kept of who has gone");
        assert_eq!(places.free.available_permits(), CONNECTIONS);
    }
}
