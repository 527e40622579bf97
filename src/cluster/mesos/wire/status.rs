//! What is known of a task: `TaskStatus`.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ekiden_model::input::{Ack, TaskStatus};
use ekiden_model::{AgentId, Condition, TaskId};
use serde::Deserialize;

use super::Event;
use super::values::{Number, Text, Value};

/// Longest message kept, in characters; Marathon's bound (§4.13). Executors write whole stack traces.
const MESSAGE_MAX_CHARS: usize = 10_000;

/// `TaskStatus`.
#[derive(Debug, Deserialize)]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    task_id: Value<Text<'a>>,
    #[serde(borrow)]
    pub(super) state: Text<'a>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    agent_id: Option<Value<Text<'a>>>,
    #[serde(borrow)]
    uuid: Option<Text<'a>>,
    pub(super) healthy: Option<bool>,
    pub(super) timestamp: Option<Number>,
}

impl Status<'_> {
    /// What has become of the task, in the model's words.
    pub(super) fn event(self) -> Event {
        let ack = self.ack();
        let Some(condition) = self.condition() else {
            return Event::StrangeUpdate { state: self.state.0.into_owned(), ack };
        };
        Event::Update(TaskStatus {
            task: TaskId::new(&*self.task_id.value.0),
            condition,
            message: self.message.as_ref().map_or("", |message| first_chars(&message.0)).into(),
            reason: self.reason.as_ref().map(|reason| old_name(&reason.0)),
            healthy: self.healthy,
            ack,
        })
    }

    /// What is to be acknowledged. Statuses that the master makes up have no uuid and want no acknowledgement.
    fn ack(&self) -> Option<Ack> {
        let uuid = BASE64_STANDARD.decode(self.uuid.as_ref()?.0.as_bytes()).ok()?;
        let agent = AgentId::new(&*self.agent_id.as_ref()?.value.0);
        Some(Ack { agent, task: TaskId::new(&*self.task_id.value.0), uuid: uuid.into() })
    }

    /// Nothing, for a state that did not exist when this was written.
    pub(super) fn condition(&self) -> Option<Condition> {
        let reason = self.reason.as_ref().map(|reason| old_name(&reason.0));
        let message = self.message.as_ref().map_or("", |message| &*message.0);
        condition(&self.state.0, reason.as_deref(), message)
    }
}

/// The condition that a state stands for. A master that takes us for partition aware never says `TASK_LOST`; what it
/// means otherwise is read off the reason, as Marathon does (§4.8).
pub(super) fn condition(state: &str, reason: Option<&str>, message: &str) -> Option<Condition> {
    Some(match state {
        "TASK_STAGING" => Condition::Staging,
        "TASK_STARTING" => Condition::Starting,
        "TASK_RUNNING" => Condition::Running,
        "TASK_KILLING" => Condition::Killing,
        "TASK_FINISHED" => Condition::Finished,
        "TASK_FAILED" => Condition::Failed,
        "TASK_KILLED" => Condition::Killed,
        "TASK_ERROR" => Condition::Error,
        "TASK_UNREACHABLE" => Condition::Unreachable,
        "TASK_DROPPED" => Condition::Dropped,
        "TASK_GONE" | "TASK_GONE_BY_OPERATOR" => Condition::Gone,
        "TASK_UNKNOWN" => Condition::Unknown,
        "TASK_LOST" if message.contains("Task is unknown") => Condition::Unknown,
        "TASK_LOST" => match reason {
            Some("REASON_TASK_UNKNOWN") => Condition::Unknown,
            Some("REASON_RECONCILIATION" | "REASON_SLAVE_DISCONNECTED" | "REASON_SLAVE_REMOVED") => {
                Condition::Unreachable
            }
            _ => Condition::Lost,
        },
        _ => return None,
    })
}

/// Version 1 of the API says `REASON_AGENT_DRAINING` for what everything that knows Marathon calls
/// `REASON_SLAVE_DRAINING`.
fn old_name(reason: &str) -> Arc<str> {
    match reason.strip_prefix("REASON_AGENT_") {
        Some(rest) => format!("REASON_SLAVE_{rest}").into(),
        None => reason.into(),
    }
}

fn first_chars(message: &str) -> &str {
    message.char_indices().nth(MESSAGE_MAX_CHARS).map_or(message, |(end, _)| &message[..end])
}
