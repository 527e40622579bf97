//! Status updates of one task, on their way: in order, each again and again until it is acknowledged.
//!
//! As on a Mesos agent, the next update waits for the acknowledgement of the one before. Bookkeeping without I/O
//! or clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::Condition;
use ekiden_model::input::{Ack, TaskStatus};
use tokio::time::Instant;

/// Between repetitions the time doubles up to this, as on a Mesos agent.
const LONGEST_RETRY: Duration = Duration::from_mins(10);

/// The updates of one task. Bounded without a number of its own: a task passes through few states, and verdicts
/// that nobody has been told yet give way to the latest.
pub(super) struct Updates {
    waiting: VecDeque<TaskStatus>,
    /// The first one waiting has been sent: again at this time, after that long.
    sent: Option<(Instant, Duration)>,
    first_retry: Duration,
}

impl Updates {
    pub(super) fn new(first_retry: Duration) -> Self {
        // 0 would mean without end.
        Self { waiting: VecDeque::new(), sent: None, first_retry: first_retry.max(Duration::from_millis(1)) }
    }

    /// Adds an update, which must have something to acknowledge.
    pub(super) fn push(&mut self, status: TaskStatus) {
        let running = |status: &TaskStatus| status.condition == Condition::Running;
        let first_not_sent = usize::from(self.sent.is_some());
        let replaces_last =
            running(&status) && self.waiting.iter().skip(first_not_sent).next_back().is_some_and(running);
        if replaces_last {
            self.waiting.pop_back();
        }
        self.waiting.push_back(status);
    }

    /// The update to send now, if any: the next one, or the last one again.
    pub(super) fn due(&mut self, now: Instant) -> Option<TaskStatus> {
        let wait = match self.sent {
            None => self.first_retry,
            Some((again, wait)) if again <= now => (wait * 2).min(LONGEST_RETRY),
            Some(_) => return None,
        };
        let status = self.waiting.front()?.clone();
        self.sent = Some((now + wait, wait));
        Some(status)
    }

    /// When the next update is due; none while there is nothing to say.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        self.waiting.front()?;
        Some(self.sent.map_or(now, |(again, _)| again))
    }

    /// Takes an acknowledgement; one of something else than the update last sent is ignored. Says whether the
    /// update was the task's last.
    pub(super) fn acknowledge(&mut self, uuid: &Arc<[u8]>) -> bool {
        let is_it = |ack: &Option<Ack>| ack.as_ref().is_some_and(|ack| ack.uuid == *uuid);
        if self.sent.is_none() || !self.waiting.front().is_some_and(|status| is_it(&status.ack)) {
            return false;
        }
        self.sent = None;
        self.waiting.pop_front().is_some_and(|status| status.condition.is_terminal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ekiden_model::{AgentId, TaskId};

    fn status(condition: Condition, healthy: Option<bool>, uuid: u8) -> TaskStatus {
        let ack = Ack { agent: AgentId::new("a"), task: TaskId::new("t"), uuid: [uuid].as_slice().into() };
        TaskStatus { task: TaskId::new("t"), condition, message: "".into(), reason: None, healthy, ack: Some(ack) }
    }

    fn uuid(number: u8) -> Arc<[u8]> {
        [number].as_slice().into()
    }

    #[test]
    fn each_waits_for_the_one_before_and_is_repeated_ever_more_rarely() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut updates = Updates::new(Duration::from_secs(10));
        assert_eq!(updates.next_due(start), None);
        updates.push(status(Condition::Starting, None, 1));
        updates.push(status(Condition::Finished, None, 2));

        let condition = |update: Option<TaskStatus>| update.map(|status| status.condition);
        assert_eq!(condition(updates.due(at(0))), Some(Condition::Starting));
        assert_eq!(condition(updates.due(at(9))), None);
        assert_eq!(condition(updates.due(at(10))), Some(Condition::Starting));
        assert_eq!(updates.next_due(at(10)), Some(at(30)));

        assert!(!updates.acknowledge(&uuid(2)), "not sent yet");
        assert!(!updates.acknowledge(&uuid(1)));
        assert_eq!(condition(updates.due(at(11))), Some(Condition::Finished));
        assert!(updates.acknowledge(&uuid(2)));
        assert_eq!(updates.next_due(at(12)), None);
    }

    #[test]
    fn verdicts_that_nobody_was_told_give_way_to_the_latest() {
        let now = Instant::now();
        let mut updates = Updates::new(Duration::from_secs(10));
        updates.push(status(Condition::Running, None, 1));
        assert!(updates.due(now).is_some());
        for number in 2..200 {
            updates.push(status(Condition::Running, Some(number % 2 == 0), number));
        }
        assert_eq!(updates.waiting.len(), 2);
        updates.acknowledge(&uuid(1));
        assert_eq!(updates.due(now).and_then(|status| status.healthy), Some(false));
    }
}
