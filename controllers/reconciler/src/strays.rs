//! Tasks that live, that were ours, and that nobody wants: launched for an instance that has been forgotten since.
//!
//! They are ended once all is known, and not before; and again until the cluster says that they have ended, since a kill
//! can be lost. Each reconciliation begins with none: whatever still lives is told of again.

use std::collections::BTreeMap;
use std::time::Duration;

use ekiden_model::{TaskId, Timestamp};

/// Most tasks remembered. More than that is a lost store rather than forgotten instances; reconciliation tells of the
/// others when these have ended.
const STRAYS_MAX: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    /// When the kill of each is due.
    due: BTreeMap<TaskId, Timestamp>,
}

impl Strays {
    /// This one lives.
    pub(crate) fn seen(&mut self, task: &TaskId, now: Timestamp) {
        if self.due.len() < STRAYS_MAX && !self.due.contains_key(task) {
            self.due.insert(task.clone(), now);
        }
    }

    /// This one has ended.
    pub(crate) fn ended(&mut self, task: &TaskId) {
        self.due.remove(task);
    }

    /// Nothing is known of any.
    pub(crate) fn clear(&mut self) {
        self.due.clear();
    }

    /// Those whose kill is due; the next one is due a `retry` later.
    pub(crate) fn take_due(&mut self, now: Timestamp, retry: Duration) -> Vec<TaskId> {
        let due = self.due.iter_mut().filter(|(_, at)| **at <= now);
        let taken = due.map(|(task, at)| {
            *at = now + retry;
            task.clone()
        });
        taken.collect()
    }

    /// When the next kill is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_repeated_until_the_task_has_ended() {
        let (task, retry) = (TaskId::new("stray"), Duration::from_secs(30));
        let killed = [task.clone()];
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let mut strays = Strays::default();
        strays.seen(&task, at(0));
        assert_eq!(strays.take_due(at(0), retry), killed);
        strays.seen(&task, at(1));
        assert_eq!(strays.take_due(at(29), retry), []);
        assert_eq!(strays.next_due(), Some(at(30)));
        assert_eq!(strays.take_due(at(30), retry), killed);
        strays.ended(&task);
        assert_eq!(strays.take_due(at(99), retry), []);
        assert_eq!(strays.next_due(), None);
    }
}
