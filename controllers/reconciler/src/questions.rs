//! What the cluster was asked about tasks, and what it has not answered.
//!
//! Two questions complement each other. The *explicit* one names every task that should be alive: it finds what is missing
//! there. The *implicit* one asks for all that the cluster has: it finds what is missing here. Mesos answers the second
//! at once, and the first as soon as it can: it is silent about tasks whose agents have not come back since the master
//! was replaced, for ten minutes at most. Silence says nothing about a task, so it is asked about again, ever more seldom,
//! and until it is answered for nothing of its app is killed or forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ekiden_model::{AppId, InstanceKey, Timestamp};

/// First wait for the answers; doubled at each repetition, as Mesos' reconciliation guide asks.
const ASK_AGAIN_MIN: Duration = Duration::from_secs(15);
/// Longest wait for them.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(240);
/// So long after the master was replaced agents come back (Mesos' `--agent_reregister_timeout`). A master that keeps no
/// registry knows none of them until then, and calls their tasks unknown.
const AGENTS_BACK_WITHIN: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// Asked about by name, since we connected, and not answered for.
    open: BTreeMap<AppId, BTreeSet<InstanceKey>>,
    /// When we connected.
    since: Timestamp,
    /// Whether the cluster has told of all tasks that it has, since we connected.
    told_all: bool,
    /// How often we have asked.
    asked: u32,
    /// When to ask again.
    again: Option<Timestamp>,
}

impl Questions {
    /// The questions of a connection that begins, about these instances.
    pub(crate) fn new(now: Timestamp, about: impl IntoIterator<Item = (AppId, BTreeSet<InstanceKey>)>) -> Self {
        let open = about.into_iter().filter(|(_, keys)| !keys.is_empty()).collect();
        Self { open, since: now, ..Self::default() }
    }

    /// They were asked just now. Where all is answered they are asked again after `every`.
    pub(crate) fn asked(&mut self, now: Timestamp, every: Duration) {
        let wait = if self.is_answered() {
            every
        } else {
            ASK_AGAIN_MIN.saturating_mul(1 << self.asked.min(8)).min(ASK_AGAIN_MAX)
        };
        self.asked += 1;
        self.again = Some(now + wait);
    }

    /// The cluster has told of all that it has. Says whether that is news.
    pub(crate) fn told_all(&mut self, now: Timestamp, every: Duration) -> bool {
        let news = !std::mem::replace(&mut self.told_all, true);
        self.rest_if_answered(news, now, every);
        news
    }

    /// An instance was answered for, or is no more. Says whether it was the last one of its app that was asked about.
    pub(crate) fn answered(&mut self, app: &AppId, key: InstanceKey, now: Timestamp, every: Duration) -> bool {
        let Some(open) = self.open.get_mut(app) else { return false };
        if !open.remove(&key) || !open.is_empty() {
            return false;
        }
        self.open.remove(app);
        self.rest_if_answered(true, now, every);
        true
    }

    fn rest_if_answered(&mut self, news: bool, now: Timestamp, every: Duration) {
        if news && self.is_answered() {
            self.again = Some(now + every);
        }
    }

    /// Whether nothing is open.
    fn is_answered(&self) -> bool {
        self.told_all && self.open.is_empty()
    }

    /// Whether the cluster has told of all that it has.
    pub(crate) fn has_told_all(&self) -> bool {
        self.told_all
    }

    /// How many tasks of an app were asked about and not answered for.
    pub(crate) fn open_of(&self, app: &AppId) -> u32 {
        self.open.get(app).map_or(0, |open| open.len() as u32)
    }

    /// Those that were not answered for; nothing, if all were: then all are to be asked about.
    pub(crate) fn open(&self) -> Option<impl Iterator<Item = (&AppId, InstanceKey)>> {
        let open = self.open.iter().flat_map(|(app, keys)| keys.iter().map(move |key| (app, *key)));
        (!self.is_answered()).then_some(open)
    }

    /// Since when it is asked.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether the cluster may know less than there is, because its agents have had no time to come back.
    pub(crate) fn agents_may_be_missing(&self, now: Timestamp) -> bool {
        now < self.since + AGENTS_BACK_WITHIN
    }

    /// When to ask again.
    pub(crate) fn again(&self) -> Option<Timestamp> {
        self.again
    }
}

#[cfg(test)]
mod tests {
    use ekiden_model::{Incarnation, Slot};

    use super::*;

    const EVERY: Duration = Duration::from_secs(600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn key(slot: u32) -> InstanceKey {
        InstanceKey { slot: Slot(slot), incarnation: Incarnation::FIRST }
    }

    fn web() -> AppId {
        AppId::parse("/web").expect("a good id")
    }

    #[test]
    fn who_does_not_answer_is_asked_ever_more_seldom_and_then_now_and_then() {
        let mut questions = Questions::new(at(0), [(web(), BTreeSet::from([key(0), key(1)]))]);
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..6 {
            questions.asked(now, EVERY);
            let next = questions.again().expect("it is asked again");
            waits.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 240]);
        assert!(questions.told_all(now, EVERY));
        assert_eq!(questions.open_of(&web()), 2);
        assert!(!questions.answered(&web(), key(0), now, EVERY));
        assert_eq!(questions.open().map(Iterator::count), Some(1), "only the one that is open is asked about");
        assert!(questions.answered(&web(), key(1), now, EVERY));
        assert!(questions.open().is_none());
        assert_eq!(questions.again(), Some(now + EVERY));
        assert!(!questions.answered(&web(), key(1), now, EVERY), "said once");
    }
}
