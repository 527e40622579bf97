//! Which agents are to go into maintenance. A master asks about each of them again every few seconds; told on is only
//! what changes.

use std::collections::BTreeMap;
use std::time::Duration;

use ekiden_model::{AgentId, OfferId, Timestamp};
use tokio::time::Instant;

/// A maintenance that was not asked about for so long has been called off. A master asks again after each allocation
/// that a refusal does not keep it from: 5 s after an answer, unless configured otherwise.
const CALLED_OFF_AFTER: Duration = Duration::from_secs(60);

/// From when, and for how long (for ever when not given).
pub(super) type Window = (Timestamp, Option<Duration>);

/// The maintenances known.
#[derive(Debug, Default)]
pub(super) struct Windows {
    agents: BTreeMap<AgentId, Announced>,
}

#[derive(Debug)]
struct Announced {
    window: Window,
    last_offer: OfferId,
    heard: Instant,
}

impl Windows {
    /// An agent is to go into maintenance. Whether that is news is returned.
    pub(super) fn announced(&mut self, offer: OfferId, agent: AgentId, window: Window, now: Instant) -> bool {
        let announced = Announced { window, last_offer: offer, heard: now };
        self.agents.insert(agent, announced).is_none_or(|before| before.window != window)
    }

    /// That question is taken back: whose it was.
    pub(super) fn called_off(&mut self, offer: &OfferId) -> Option<AgentId> {
        let agent = self.agents.iter().find(|(_, announced)| announced.last_offer == *offer)?.0.clone();
        self.agents.remove(&agent);
        Some(agent)
    }

    /// The agents that are not asked about any more; they are forgotten.
    pub(super) fn fallen_silent(&mut self, now: Instant) -> Vec<AgentId> {
        let silent = |_: &AgentId, announced: &mut Announced| now - announced.heard >= CALLED_OFF_AFTER;
        self.agents.extract_if(.., silent).map(|(agent, _)| agent).collect()
    }

    /// A new subscription: until now nobody could have been asked.
    pub(super) fn heard_of_all(&mut self, now: Instant) {
        for announced in self.agents.values_mut() {
            announced.heard = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> AgentId {
        AgentId::new("a1")
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_is_news_once_and_again_when_it_moves() {
        let mut windows = Windows::default();
        let window = (Timestamp::from_millis(1000), None);
        assert!(windows.announced(OfferId::new("o1"), agent(), window, Instant::now()));
        assert!(!windows.announced(OfferId::new("o2"), agent(), window, Instant::now()));
        let moved = (Timestamp::from_millis(2000), None);
        assert!(windows.announced(OfferId::new("o3"), agent(), moved, Instant::now()));
        assert_eq!(windows.called_off(&OfferId::new("o1")), None);
        assert_eq!(windows.called_off(&OfferId::new("o3")), Some(agent()));
        assert!(windows.announced(OfferId::new("o4"), agent(), moved, Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_maintenance_that_nobody_asks_about_any_more_is_called_off() {
        let mut windows = Windows::default();
        windows.announced(OfferId::new("o1"), agent(), (Timestamp::EPOCH, None), Instant::now());
        tokio::time::advance(CALLED_OFF_AFTER / 2).await;
        windows.heard_of_all(Instant::now());
        tokio::time::advance(CALLED_OFF_AFTER / 2).await;
        assert_eq!(windows.fallen_silent(Instant::now()), []);
        tokio::time::advance(CALLED_OFF_AFTER / 2).await;
        assert_eq!(windows.fallen_silent(Instant::now()), [agent()]);
        assert_eq!(windows.fallen_silent(Instant::now()), []);
    }
}
