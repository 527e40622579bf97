//! Names to addresses, remembered for a while: thousands of instances live on each agent's one name, and asking a name
//! server ten thousand times a second for what it said before would be the larger part of all work.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ekiden_model::health::Outcome;
use tokio::time::Instant;

use super::fault;

/// How long an answer is good for. A host that moves is found again before an instance on it has failed three probes
/// ten seconds apart.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// Most names remembered; a cluster has 10,000 agents at most. Beyond them every probe asks.
const NAMES_MAX: usize = 16_384;

#[derive(Default)]
pub(super) struct Resolver {
    known: Mutex<HashMap<Arc<str>, Known>>,
}

struct Known {
    addresses: Arc<[IpAddr]>,
    at: Instant,
}

impl Resolver {
    /// The addresses of a host; at least one. That there are none is held against nobody: which of the two is at
    /// fault, the name or the name server, does not show, and a kill needs certainty.
    pub(super) async fn resolve(&self, host: &Arc<str>) -> Result<Arc<[IpAddr]>, Outcome> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Arc::new([address]));
        }
        let now = Instant::now();
        if let Some(addresses) = self.fresh(host, now) {
            return Ok(addresses);
        }
        let found = tokio::net::lookup_host((&**host, 0))
            .await
            .map_err(|error| Outcome::NoResult(fault::text(format_args!("cannot resolve `{host}`: {error}"))))?;
        let addresses: Arc<[IpAddr]> = found.map(|address| address.ip()).collect();
        if addresses.is_empty() {
            return Err(Outcome::NoResult(fault::text(format_args!("`{host}` has no address"))));
        }
        self.remember(host.clone(), Known { addresses: addresses.clone(), at: now });
        Ok(addresses)
    }

    fn fresh(&self, host: &str, now: Instant) -> Option<Arc<[IpAddr]>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(host).filter(|known| known.is_fresh(now)).map(|known| known.addresses.clone())
    }

    fn remember(&self, host: Arc<str>, found: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NAMES_MAX {
            known.retain(|_, known| known.is_fresh(found.at));
        }
        if known.len() < NAMES_MAX {
            known.insert(host, found);
        }
    }
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < FRESH_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_remembered_for_its_time_and_no_longer() {
        let resolver = Resolver::default();
        let host: Arc<str> = "localhost".into();
        let known = Known { addresses: Arc::new([IpAddr::from([192, 0, 2, 1])]), at: Instant::now() };
        resolver.remember(host.clone(), known);
        assert_eq!(*resolver.resolve(&host).await.expect("known"), [IpAddr::from([192, 0, 2, 1])]);
        tokio::time::advance(FRESH_FOR).await;
        assert!(resolver.resolve(&host).await.expect("found").iter().all(IpAddr::is_loopback));
    }

    #[tokio::test]
    async fn no_more_names_are_remembered_than_the_bound() {
        let resolver = Resolver::default();
        for number in 0..NAMES_MAX + 10 {
            let known = Known { addresses: Arc::new([]), at: Instant::now() };
            resolver.remember(format!("host-{number}").into(), known);
        }
        assert_eq!(resolver.known.lock().expect("nobody panicked").len(), NAMES_MAX);
    }
}
