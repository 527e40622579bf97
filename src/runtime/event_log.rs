//! The latest events, kept so that a listener who was cut off can go on where it stopped.
//!
//! It owns the numbering of events and nothing of their meaning: how an event looks to a client is the API's work.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use ekiden_model::Timestamp;
use ekiden_model::event::Event;
use ekiden_model::id::AppKey;
use tokio::sync::broadcast;

/// How many events are kept: several minutes of a large cluster's busy times, some 5 MB.
pub const EVENTS_KEPT: usize = 10_000;

/// How far a listener may fall behind before it is cut off, as in Marathon 1.8 and later (§1.9). It can come back
/// and resume.
pub const LISTENER_BACKLOG: usize = 1024;

/// An event's number. Those of one process count up; `boot` tells processes apart, so that a number of an earlier
/// process is never taken for one of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// When the process started, in milliseconds.
    pub boot: u64,
    /// 1, 2, 3, …
    pub number: u64,
}

/// The text is no event's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event's id looks like `1795168800000-42`")]
pub struct EventIdError;

/// One event in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// Its number.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The key of the app it is about, for as long as there was one: what its instance ids are made of.
    pub key: Option<AppKey>,
}

/// The log. Clones share it.
#[derive(Debug, Clone)]
pub struct EventLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    boot: u64,
    ring: Mutex<Ring>,
    listeners: broadcast::Sender<Arc<Logged>>,
}

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    kept: VecDeque<Arc<Logged>>,
}

/// What a listener gets.
#[derive(Debug)]
pub struct Subscription {
    /// What it has missed, oldest first.
    pub missed: Vec<Arc<Logged>>,
    /// Whether events between the one it named and the first of `missed` are no longer kept.
    pub gap: bool,
    /// What happens from now on. Ends with `Lagged` for a listener that is too slow.
    pub live: broadcast::Receiver<Arc<Logged>>,
}

impl EventLog {
    /// An empty log of a process that started at `boot`.
    pub fn new(boot: Timestamp) -> Self {
        let boot = u64::try_from(boot.as_millis()).unwrap_or(0);
        let (listeners, _) = broadcast::channel(LISTENER_BACKLOG);
        Self(Arc::new(Shared { boot, ring: Mutex::default(), listeners }))
    }

    /// Adds an event and tells the listeners.
    pub fn push(&self, at: Timestamp, event: Event, key: Option<AppKey>) {
        let mut ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last += 1;
        let id = EventId { boot: self.0.boot, number: ring.last };
        let logged = Arc::new(Logged { id, at, event, key });
        if ring.kept.len() == EVENTS_KEPT {
            ring.kept.pop_front();
        }
        ring.kept.push_back(Arc::clone(&logged));
        // Sent under the lock, so that a subscription sees every event exactly once. Without listeners, sending
        // fails, which is nothing to anybody.
        let _ = self.0.listeners.send(logged);
    }

    /// Listens from now on; after the event `after`, where one is given.
    pub fn subscribe(&self, after: Option<EventId>) -> Subscription {
        let ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.0.listeners.subscribe();
        let Some(after) = after else {
            return Subscription { missed: Vec::new(), gap: false, live };
        };
        let ours = after.boot == self.0.boot;
        let first = ring.kept.front().map_or(ring.last + 1, |oldest| oldest.id.number);
        let missed = ring.kept.iter().filter(|logged| !ours || logged.id.number > after.number).cloned().collect();
        Subscription { missed, gap: !ours || after.number + 1 < first, live }
    }

    /// The number of the latest event.
    pub fn latest(&self) -> EventId {
        let ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        EventId { boot: self.0.boot, number: ring.last }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.boot, self.number)
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let (boot, number) = text.trim().split_once('-').ok_or(EventIdError)?;
        Ok(Self {
            boot: boot.parse().map_err(|_| EventIdError)?,
            number: number.parse().map_err(|_| EventIdError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use ekiden_model::AppId;

    use super::*;

    fn log_of(count: u64) -> EventLog {
        let log = EventLog::new(Timestamp::from_millis(7));
        for _ in 0..count {
            let app = AppId::parse("/web").expect("a good id");
            log.push(Timestamp::EPOCH, Event::AppTerminated { app }, None);
        }
        log
    }

    fn numbers(subscription: &Subscription) -> Vec<u64> {
        subscription.missed.iter().map(|logged| logged.id.number).collect()
    }

    #[test]
    fn a_listener_goes_on_where_it_stopped() {
        let log = log_of(5);
        let after = "7-3".parse().expect("an id");
        let subscription = log.subscribe(Some(after));
        assert_eq!((numbers(&subscription), subscription.gap), (vec![4, 5], false));
        assert_eq!(numbers(&log.subscribe(None)), Vec::<u64>::new());
        assert_eq!("seven".parse::<EventId>(), Err(EventIdError));
    }

    #[test]
    fn what_is_no_longer_kept_or_of_another_process_is_told_as_a_gap() {
        let log = log_of(EVENTS_KEPT as u64 + 10);
        let early = log.subscribe(Some(EventId { boot: 7, number: 5 }));
        assert!(early.gap);
        assert_eq!(early.missed.len(), EVENTS_KEPT);
        assert!(!log.subscribe(Some(EventId { boot: 7, number: 10 })).gap);
        let foreign = log.subscribe(Some(EventId { boot: 6, number: 99_999 }));
        assert!(foreign.gap && foreign.missed.len() == EVENTS_KEPT);
    }

    #[tokio::test]
    async fn a_listener_that_is_too_slow_is_cut_off() {
        let log = log_of(0);
        let mut slow = log.subscribe(None).live;
        for _ in 0..=LISTENER_BACKLOG {
            let app = AppId::parse("/web").expect("a good id");
            log.push(Timestamp::EPOCH, Event::AppTerminated { app }, None);
        }
        assert!(matches!(slow.recv().await, Err(broadcast::error::RecvError::Lagged(_))));
    }
}
