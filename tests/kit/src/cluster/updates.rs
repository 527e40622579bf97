//! Status updates: in order per task, sent again until acknowledged.

use std::sync::Arc;
use std::time::Duration;

use ekiden_model::input::{Ack, ClusterEvent, TaskStatus};
use ekiden_model::{Condition, TaskId};

use super::{Cluster, Link};
use crate::timeline::{Happening, Timeline};

/// How long an agent waits for an acknowledgement before it sends an update again, as in Mesos.
const RESEND_AFTER: Duration = Duration::from_secs(10);

/// What an agent has to say about a task.
#[derive(Debug, Clone)]
pub struct Update {
    /// Names it.
    pub number: u64,
    /// How the task is.
    pub condition: Condition,
    /// For people.
    pub message: Arc<str>,
    /// What the executor's check says.
    pub healthy: Option<bool>,
}

impl Cluster {
    /// An agent has something to say about a task.
    pub(super) fn report(
        &mut self,
        id: &TaskId,
        condition: Condition,
        message: &str,
        healthy: Option<bool>,
        line: &mut Timeline,
    ) {
        let number = line.number();
        let Some(task) = self.tasks.get_mut(id) else { return };
        let healthy = healthy.or(if condition == Condition::Running { task.said_healthy } else { None });
        task.updates.push_back(Update { number, condition, message: message.into(), healthy });
        if task.updates.len() == 1 {
            self.send_front(id, line);
        }
    }

    /// Sends the oldest unacknowledged update of a task, and will do so again.
    pub(super) fn send_front(&mut self, id: &TaskId, line: &mut Timeline) {
        let Some(task) = self.tasks.get(id) else { return };
        let Some(update) = task.updates.front().cloned() else { return };
        line.after(RESEND_AFTER, Happening::Resend(id.clone(), update.number));
        if self.agents.get(&task.agent).is_none_or(|agent| agent.link != Link::Up) {
            return;
        }
        let uuid: Arc<[u8]> = u128::from(update.number).to_be_bytes().into();
        let ack = Ack { agent: task.agent.clone(), task: id.clone(), uuid };
        if line.rng.chance(line.knobs.status_lost) {
            line.log(format_args!("{id}: update {} is lost", update.condition.task_state()));
            return;
        }
        let doubled = line.rng.chance(line.knobs.status_doubled);
        for _ in 0..=u32::from(doubled) {
            self.tell_status(id, update.condition, &update.message, update.healthy, Some(ack.clone()), line);
        }
    }

    /// An update was not acknowledged for a while.
    pub fn resend(&mut self, id: &TaskId, number: u64, line: &mut Timeline) {
        let front = self.tasks.get(id).and_then(|task| task.updates.front());
        if front.is_some_and(|update| update.number == number) {
            self.send_front(id, line);
        }
    }

    pub(super) fn acknowledged(&mut self, ack: &Ack, line: &mut Timeline) {
        let Some(task) = self.tasks.get_mut(&ack.task) else { return };
        let Some(update) = task.updates.front() else { return };
        if *ack.uuid != u128::from(update.number).to_be_bytes() {
            return;
        }
        task.updates.pop_front();
        if task.updates.is_empty() && task.state.is_terminal() {
            if let Some(agent) = self.agents.get_mut(&task.agent) {
                agent.tasks.remove(&ack.task);
            }
            self.tasks.remove(&ack.task);
        } else {
            self.send_front(&ack.task, line);
        }
    }

    /// A status goes to Ekiden: in order with others of its task, and in no order with those of other tasks.
    pub(super) fn tell_status(
        &mut self,
        id: &TaskId,
        condition: Condition,
        message: &str,
        healthy: Option<bool>,
        ack: Option<Ack>,
        line: &mut Timeline,
    ) -> Option<ekiden_model::Timestamp> {
        let connection = self.connection?;
        if self.tasks.contains_key(id) && !self.is_current(id) {
            return None;
        }
        let late = line.rng.chance(line.knobs.status_late);
        let delay = if late { line.rng.millis(1_000, 30_000) } else { line.jitter(1, 50) };
        let last = self.last_of_task.get(id).copied().unwrap_or_default();
        let at = (line.now + delay).max(last);
        self.last_of_task.insert(id.clone(), at);
        let ends = matches!(condition, Condition::Killing | Condition::Killed | Condition::Gone);
        let drained = ends && self.tasks.get(id).is_some_and(|task| task.drained);
        let reason = drained.then(|| Arc::from("REASON_SLAVE_DRAINING"));
        let status = TaskStatus { task: id.clone(), condition, message: message.into(), reason, healthy, ack };
        line.at(at, Happening::Arrive(connection, ClusterEvent::Status(status)));
        Some(at)
    }

    /// The master says of a task on an agent that does not answer that it is unreachable.
    pub(super) fn tell_unreachable(&mut self, id: &TaskId, line: &mut Timeline) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.reported().is_live()) else { return };
        task.ever_unreachable = true;
        self.tell_status(id, Condition::Unreachable, "the agent does not answer", None, None, line);
    }

    /// The master says how a task is on an agent that is back.
    pub(super) fn tell_present(&mut self, id: &TaskId, line: &mut Timeline) {
        let Some(task) = self.tasks.get(id) else { return };
        if !task.updates.is_empty() {
            self.send_front(id, line);
            return;
        }
        let (state, said) = (task.state, task.said_healthy);
        self.tell_status(id, state, "the agent is back", said, None, line);
    }
}
