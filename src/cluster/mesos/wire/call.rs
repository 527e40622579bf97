//! Calls: the bodies of what is posted to `/api/v1/scheduler`.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ekiden_model::effect::TaskLaunch;
use ekiden_model::input::Ack;
use ekiden_model::{AgentId, FrameworkId, OfferId, Role, TaskId};
use serde::Serialize;

use super::super::super::Call;
use super::framework::{FrameworkInfo, Subscription};
use super::resources::Reservations;
use super::task::{KillPolicy, TaskInfo};
use super::values::{Value, id};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    framework_id: Option<Value<&'a str>>,
    #[serde(flatten)]
    said: Said<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Said<'a> {
    Subscribe { subscribe: Subscription<'a> },
    UpdateFramework { update_framework: Subscription<'a> },
    Accept { accept: Accept<'a> },
    Decline { decline: Decline<'a> },
    AcceptInverseOffers { accept_inverse_offers: AcceptInverse<'a> },
    Revive { revive: Roles<'a> },
    Suppress { suppress: Roles<'a> },
    Kill { kill: Kill<'a> },
    Acknowledge { acknowledge: Acknowledge<'a> },
    Reconcile { reconcile: Reconcile<'a> },
    Teardown,
}

#[derive(Serialize)]
struct Accept<'a> {
    offer_ids: Vec<Value<&'a str>>,
    operations: [Operation<'a>; 1],
    filters: Filters,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
enum Operation<'a> {
    Launch { launch: Launch<'a> },
}

#[derive(Serialize)]
struct Launch<'a> {
    task_infos: Vec<TaskInfo<'a>>,
}

#[derive(Serialize)]
struct Decline<'a> {
    offer_ids: Vec<Value<&'a str>>,
    filters: Filters,
}

#[derive(Serialize)]
struct AcceptInverse<'a> {
    inverse_offer_ids: Vec<Value<&'a str>>,
}

#[derive(Serialize)]
struct Filters {
    refuse_seconds: f64,
}

#[derive(Serialize)]
struct Roles<'a> {
    roles: [&'a str; 1],
}

#[expect(clippy::struct_field_names, reason = "these are Mesos' names")]
#[derive(Serialize)]
struct Kill<'a> {
    task_id: Value<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<Value<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kill_policy: Option<KillPolicy>,
}

#[derive(Serialize)]
struct Acknowledge<'a> {
    agent_id: Value<&'a str>,
    task_id: Value<&'a str>,
    uuid: String,
}

#[derive(Serialize)]
struct Reconcile<'a> {
    tasks: Vec<Question<'a>>,
}

#[derive(Serialize)]
struct Question<'a> {
    task_id: Value<&'a str>,
    agent_id: Value<&'a str>,
}

/// An agent that never was.
const NOWHERE: &str = "ekiden-no-such-agent";

/// The body of SUBSCRIBE.
pub(in super::super) fn subscribe(info: FrameworkInfo<'_>, suppressed: &BTreeSet<Role>) -> Vec<u8> {
    body(info.id, Said::Subscribe { subscribe: Subscription::new(info, suppressed) })
}

/// The body of `UPDATE_FRAMEWORK`, which adds roles.
pub(in super::super) fn update_framework(info: FrameworkInfo<'_>, suppressed: &BTreeSet<Role>) -> Vec<u8> {
    body(info.id, Said::UpdateFramework { update_framework: Subscription::new(info, suppressed) })
}

/// The body of a call; none for what is no call of Mesos' (a survey, and becoming a framework). The reservations of
/// offers that it uses up are forgotten. `prefix` is that of [`environment::of`](super::super::super::environment::of).
pub(in super::super) fn call(
    framework: &FrameworkId,
    call: &Call,
    prefix: &str,
    reservations: &mut Reservations,
) -> Option<Vec<u8>> {
    let said = match call {
        Call::Survey { .. } | Call::Subscribe(_) => return None,
        Call::Accept { offers, agent: _, tasks } => accept(offers, tasks, prefix, reservations),
        Call::Decline { offers, refuse_for } => {
            reservations.take(offers);
            Said::Decline { decline: Decline { offer_ids: ids(offers), filters: filters(*refuse_for) } }
        }
        Call::Revive(role) => Said::Revive { revive: Roles { roles: [role.as_str()] } },
        Call::Suppress(role) => Said::Suppress { suppress: Roles { roles: [role.as_str()] } },
        Call::Kill { task, agent, grace } => Said::Kill { kill: kill(task, agent.as_ref(), *grace) },
        Call::Acknowledge(ack) => Said::Acknowledge { acknowledge: acknowledge(ack) },
        Call::Reconcile(tasks) => Said::Reconcile { reconcile: reconcile(tasks) },
    };
    Some(body(Some(framework), said))
}

/// The body of a RECONCILE for a task that nobody ever had, on an agent that never was: its answer comes after those of
/// the implicit reconciliation asked for before. Without the agent the master would wait with it until all agents of
/// before its own start are back, ten minutes if need be.
pub(in super::super) fn reconcile_marker(framework: &FrameworkId, marker: &TaskId) -> Vec<u8> {
    let tasks = vec![Question { task_id: id(marker.as_str()), agent_id: id(NOWHERE) }];
    body(Some(framework), Said::Reconcile { reconcile: Reconcile { tasks } })
}

/// The body of `ACCEPT_INVERSE_OFFERS`: maintenance may go ahead.
pub(in super::super) fn accept_inverse(framework: &FrameworkId, offers: &[OfferId]) -> Vec<u8> {
    let accept_inverse_offers = AcceptInverse { inverse_offer_ids: ids(offers) };
    body(Some(framework), Said::AcceptInverseOffers { accept_inverse_offers })
}

/// The body of TEARDOWN.
pub(in super::super) fn teardown(framework: &FrameworkId) -> Vec<u8> {
    body(Some(framework), Said::Teardown)
}

fn body(framework: Option<&FrameworkId>, said: Said<'_>) -> Vec<u8> {
    let body = Body { framework_id: framework.map(|framework| id(framework.as_str())), said };
    // It cannot fail: nothing here is a map with keys other than texts, and memory takes any byte.
    serde_json::to_vec(&body).unwrap_or_default()
}

fn ids(offers: &[OfferId]) -> Vec<Value<&str>> {
    offers.iter().map(|offer| id(offer.as_str())).collect()
}

fn filters(refuse_for: Duration) -> Filters {
    Filters { refuse_seconds: refuse_for.as_secs_f64() }
}

fn accept<'a>(
    offers: &'a [OfferId],
    tasks: &'a [TaskLaunch],
    prefix: &str,
    reservations: &mut Reservations,
) -> Said<'a> {
    let mut pool = reservations.take(offers);
    let task_infos = tasks.iter().map(|task| TaskInfo::new(task, prefix, &mut pool)).collect();
    Said::Accept {
        accept: Accept {
            offer_ids: ids(offers),
            operations: [Operation::Launch { launch: Launch { task_infos } }],
            // What is left over may be offered again at once; Mesos would otherwise wait five seconds.
            filters: filters(Duration::ZERO),
        },
    }
}

fn kill<'a>(task: &'a TaskId, agent: Option<&'a AgentId>, grace: Option<Duration>) -> Kill<'a> {
    Kill {
        task_id: id(task.as_str()),
        agent_id: agent.map(|agent| id(agent.as_str())),
        kill_policy: grace.map(KillPolicy::new),
    }
}

fn acknowledge(ack: &Ack) -> Acknowledge<'_> {
    Acknowledge {
        agent_id: id(ack.agent.as_str()),
        task_id: id(ack.task.as_str()),
        uuid: BASE64_STANDARD.encode(&ack.uuid),
    }
}

fn question((task, agent): &(TaskId, AgentId)) -> Question<'_> {
    Question { task_id: id(task.as_str()), agent_id: id(agent.as_str()) }
}

fn reconcile(tasks: &[(TaskId, AgentId)]) -> Reconcile<'_> {
    Reconcile { tasks: tasks.iter().map(question).collect() }
}
