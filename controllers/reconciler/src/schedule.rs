//! Whose turn it is: apps that something happened to, apps whose time has come, and apps that wait for offers.
//!
//! One queue, first come, first served. An app that wants more than its share of a turn goes to the back of it, so
//! one with 10,000 instances to place never holds up one with a single instance. An app is in the queue at most once,
//! however much happens to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use ekiden_model::{AppId, Timestamp};

use crate::secret::Secret;

/// See the module.
#[derive(Debug)]
pub(crate) struct Schedule {
    queue: VecDeque<AppId>,
    queued: HashSet<AppId, Secret>,
    timers: BTreeSet<(Timestamp, AppId)>,
    wakes: HashMap<AppId, Timestamp, Secret>,
    awaiting_offers: BTreeMap<AppId, Wait>,
}

/// An app's wait for offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// None of the offers up to this epoch does.
    pub(crate) seen: u64,
    /// The declaration whose needs they do not meet. Another one may be met by offers that were given back, so its
    /// wait is a new one.
    pub(crate) version: Timestamp,
}

/// What became of an app's wait for offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It did not wait, and does.
    Begun,
    /// It waited, and does not.
    Over,
    /// Neither.
    AsBefore,
}

impl Schedule {
    /// Nobody waits.
    pub(crate) fn new(secret: Secret) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: HashSet::with_hasher(secret),
            timers: BTreeSet::new(),
            wakes: HashMap::with_hasher(secret),
            awaiting_offers: BTreeMap::new(),
        }
    }

    /// Something happened to `app`: it gets a turn.
    pub(crate) fn mark(&mut self, app: &AppId) {
        if self.queued.insert(app.clone()) {
            self.queue.push_back(app.clone());
        }
    }

    /// Whether `app` waits for a turn: something may have happened to it that nobody has looked at.
    pub(crate) fn is_marked(&self, app: &AppId) -> bool {
        self.queued.contains(app)
    }

    /// Takes the next app whose turn it is.
    pub(crate) fn next(&mut self) -> Option<AppId> {
        let app = self.queue.pop_front()?;
        self.queued.remove(&app);
        Some(app)
    }

    /// Whether nobody waits for a turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// `app` gets a turn at `wake` even if nothing happens; or at no set time. Replaces what was asked for before.
    pub(crate) fn wake_at(&mut self, app: &AppId, wake: Option<Timestamp>) {
        if self.wakes.get(app).copied() == wake {
            return;
        }
        if let Some(old) = self.wakes.remove(app) {
            self.timers.remove(&(old, app.clone()));
        }
        if let Some(wake) = wake {
            self.wakes.insert(app.clone(), wake);
            self.timers.insert((wake, app.clone()));
        }
    }

    /// Marks every app whose time has come.
    pub(crate) fn ring(&mut self, now: Timestamp) {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, app)) = self.timers.pop_first() else { return };
            self.wakes.remove(&app);
            self.mark(&app);
        }
    }

    /// When the next app's time comes.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// `app` waits for offers, or does not.
    pub(crate) fn await_offers(&mut self, app: &AppId, wait: Option<Wait>) -> Waiting {
        let before = match wait {
            Some(wait) => self.awaiting_offers.insert(app.clone(), wait),
            None => self.awaiting_offers.remove(app),
        };
        match (before, wait) {
            (Some(before), Some(wait)) if before.version == wait.version => Waiting::AsBefore,
            (_, Some(_)) => Waiting::Begun,
            (Some(_), None) => Waiting::Over,
            (None, None) => Waiting::AsBefore,
        }
    }

    /// Offers came: marks the apps that wait for them and have not seen those up to `epoch`.
    pub(crate) fn offers_came(&mut self, epoch: u64) {
        let waiting: Vec<AppId> = self
            .awaiting_offers
            .iter()
            .filter(|(app, wait)| wait.seen < epoch && !self.queued.contains(*app))
            .map(|(app, _)| app.clone())
            .collect();
        for app in waiting {
            self.mark(&app);
        }
    }

    /// The apps that wait for offers.
    pub(crate) fn awaiting_offers(&self) -> impl Iterator<Item = &AppId> {
        self.awaiting_offers.keys()
    }

    /// Forgets an app. Says what that makes of its wait for offers.
    pub(crate) fn forget(&mut self, app: &AppId) -> Waiting {
        self.wake_at(app, None);
        if self.queued.remove(app) {
            self.queue.retain(|queued| queued != app);
        }
        self.await_offers(app, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> AppId {
        AppId::parse(name).expect("a good id")
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn an_app_gets_one_turn_however_often_it_is_marked() {
        let mut schedule = Schedule::new(Secret(7));
        schedule.mark(&app("/b"));
        schedule.mark(&app("/a"));
        schedule.mark(&app("/b"));
        assert_eq!(schedule.next(), Some(app("/b")));
        schedule.mark(&app("/b"));
        assert_eq!(schedule.next(), Some(app("/a")));
        assert_eq!(schedule.next(), Some(app("/b")));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn only_the_latest_wake_counts() {
        let mut schedule = Schedule::new(Secret(7));
        schedule.wake_at(&app("/a"), Some(at(10)));
        schedule.wake_at(&app("/a"), Some(at(20)));
        schedule.ring(at(15));
        assert!(schedule.is_idle());
        assert_eq!(schedule.next_wake(), Some(at(20)));
        schedule.ring(at(20));
        assert_eq!(schedule.next(), Some(app("/a")));
        assert_eq!(schedule.next_wake(), None);
    }

    #[test]
    fn offers_wake_those_who_have_not_seen_them() {
        let mut schedule = Schedule::new(Secret(7));
        let wait = |seen, version| Some(Wait { seen, version: at(version) });
        assert_eq!(schedule.await_offers(&app("/old"), wait(1, 0)), Waiting::Begun);
        assert_eq!(schedule.await_offers(&app("/new"), wait(1, 0)), Waiting::Begun);
        assert_eq!(schedule.await_offers(&app("/new"), wait(2, 0)), Waiting::AsBefore);
        assert_eq!(schedule.await_offers(&app("/new"), wait(2, 9)), Waiting::Begun, "it wants something else");
        schedule.offers_came(2);
        assert_eq!(schedule.next(), Some(app("/old")));
        assert!(schedule.is_idle());
    }
}
