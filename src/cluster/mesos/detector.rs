//! Which master to turn to.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::address::{Endpoint, Masters};
use super::watched::first;
use super::zookeeper;

/// Says which master to turn to. Clones go through the list each on its own, and share the news from ZooKeeper.
#[derive(Debug, Clone)]
pub(super) enum Detector {
    /// Masters to be tried in turn; those that do not lead tell who does.
    Listed { masters: Arc<[Endpoint]>, next: usize },
    /// Whom ZooKeeper names.
    Elected { shown: Arc<str>, leader: watch::Receiver<Option<Endpoint>>, _follower: Arc<AbortOnDropHandle<()>> },
}

impl Detector {
    /// `tls` says whether masters that ZooKeeper names are spoken to with TLS: it does not say so itself.
    pub(super) fn new(masters: Masters, tls: bool) -> Self {
        match masters {
            Masters::Listed(masters) => Self::Listed { masters: masters.into(), next: 0 },
            Masters::Elected(ensemble) => {
                let shown = ensemble.to_string().into();
                let (found, leader) = watch::channel(None);
                let follower = tokio::spawn(zookeeper::follow(ensemble, tls, found));
                Self::Elected { shown, leader, _follower: Arc::new(AbortOnDropHandle::new(follower)) }
            }
        }
    }

    /// The master to turn to now. Waits until there is one.
    pub(super) async fn master(&mut self) -> Endpoint {
        match self {
            Self::Listed { masters, next } => masters[*next % masters.len()].clone(),
            Self::Elected { leader, .. } => first(leader, Clone::clone).await,
        }
    }

    /// What is waited for while [`Self::master`] waits.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Listed { masters, next } => masters[*next % masters.len()].to_string(),
            Self::Elected { shown, .. } => shown.to_string(),
        }
    }

    /// That master could not help: the next one, please. Whether all have been asked by now is returned.
    pub(super) fn failed(&mut self) -> bool {
        match self {
            Self::Listed { masters, next } => {
                *next = (*next + 1) % masters.len();
                *next == 0
            }
            Self::Elected { .. } => true,
        }
    }

    /// Waits until it is known that another master leads than the one given last. That none does is no reason to leave
    /// one that still speaks to us.
    pub(super) async fn changed(&mut self, from: &Endpoint) {
        match self {
            Self::Listed { .. } => std::future::pending().await,
            Self::Elected { leader, .. } => {
                first(leader, |found| found.as_ref().filter(|master| *master != from).map(|_| ())).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listed_masters_are_tried_in_turn() {
        let masters = Masters::parse("m1:1,m2:2").expect("masters");
        let mut detector = Detector::new(masters, false);
        assert_eq!(detector.master().await.port, 1);
        assert!(!detector.failed());
        assert_eq!(detector.master().await.port, 2);
        assert!(detector.failed());
        assert_eq!(detector.master().await.port, 1);
    }
}
