//! One event of ours as Marathon's clients get it: no frame, one, or several (§4.16).

use std::sync::Arc;

use bytes::Bytes;
use ekiden_model::app::{App, HealthCheck};
use ekiden_model::deployment::{Deployment, Ending, Stage, StepEnd};
use ekiden_model::event::Event;
use ekiden_model::health::Verdict;
use ekiden_model::id::AppKey;
use ekiden_model::report::KillCause;
use ekiden_model::{AppId, Condition, FrameworkId, GroupId, InstanceId, InstanceKey, TaskId, Timestamp};
use serde_json::{Map, Value, json};

use super::super::deployments::{self, Steps};
use super::kind::Kind;
use crate::manifest;
use crate::runtime::event_log::{EventId, Frame, Logged, Occurrence, PodChange, Position};

/// An event's type and what is said beside type and time.
type Told = (Kind, Value);

/// The frames of one event.
///
/// The last one carries the event's id; one before it, the id of the event before and how many frames have come since, so
/// that a client that was cut off between two of them gets what it lacks.
pub fn frames(logged: &Logged) -> Vec<Frame> {
    let told = told(&logged.what, logged.at);
    let count = told.len();
    let before = EventId { number: logged.id.number - 1, ..logged.id };
    told.into_iter()
        .enumerate()
        .map(|(index, told)| {
            let is_last = index + 1 == count;
            let position = if is_last {
                Position { event: logged.id, frames: 0 }
            } else {
                Position { event: before, frames: index + 1 }
            };
            frame(told, logged.at, Some(position))
        })
        .collect()
}

/// One frame. Without a position it is nothing to go on from.
pub(super) fn frame((kind, data): Told, at: Timestamp, position: Option<Position>) -> Frame {
    let mut data = members(data);
    data.insert("eventType".to_owned(), json!(kind.name()));
    data.insert("timestamp".to_owned(), json!(at.to_string()));
    let (text, place) = written(kind, &data, position);
    let light = without_groups(&mut data).then(|| written(kind, &data, position).0);
    Frame { kind: kind.bit(), text, data: place, light }
}

fn written(kind: Kind, data: &Map<String, Value>, position: Option<Position>) -> (Bytes, std::ops::Range<usize>) {
    let id = position.map_or_else(String::new, |position| format!("id: {position}\r\n"));
    let mut text = format!("event: {}\r\n{id}data: ", kind.name());
    let start = text.len();
    // Written JSON has no line breaks, so one line holds it.
    text.push_str(&Value::Object(data.clone()).to_string());
    let end = text.len();
    text.push_str("\r\n\r\n");
    (text.into(), start..end)
}

/// Takes the groups out of a plan; says whether there were any.
fn without_groups(data: &mut Map<String, Value>) -> bool {
    let Some(Value::Object(plan)) = data.get_mut("plan") else { return false };
    let original = plan.shift_remove("original");
    plan.shift_remove("target").or(original).is_some()
}

/// That somebody listens, as the listener itself is told it first.
pub(super) fn attached(remote: &str, at: Timestamp) -> Frame {
    frame((Kind::Attached, json!({ "remoteAddress": remote })), at, None)
}

fn told(what: &Occurrence, at: Timestamp) -> Vec<Told> {
    match what {
        Occurrence::Fact(event, key) => of_fact(event, *key),
        Occurrence::AppPosted { client, uri, app, version } => {
            let app = definition(app, *version);
            vec![(Kind::ApiPost, json!({ "clientIp": client, "uri": uri, "appDefinition": app }))]
        }
        Occurrence::PodPosted { change, client, uri } => {
            let kind = match change {
                PodChange::Created => Kind::PodCreated,
                PodChange::Updated => Kind::PodUpdated,
                PodChange::Deleted => Kind::PodDeleted,
            };
            vec![(kind, json!({ "clientIp": client, "uri": uri }))]
        }
        Occurrence::GroupChangeFailed { group, reason } => {
            let failed = json!({ "groupId": group.as_str(), "version": at.to_string(), "reason": reason });
            vec![(Kind::GroupChangeFailed, failed)]
        }
        Occurrence::Registered { framework, master } => {
            let framework = framework.as_ref().map(FrameworkId::as_str);
            let registered = json!({ "frameworkId": framework, "master": master });
            vec![(Kind::SchedulerRegistered, registered)]
        }
        Occurrence::Reregistered { master } => vec![(Kind::SchedulerReregistered, json!({ "master": master }))],
        Occurrence::Disconnected => vec![(Kind::SchedulerDisconnected, json!({}))],
        Occurrence::Attached { remote } => vec![(Kind::Attached, json!({ "remoteAddress": remote }))],
        Occurrence::Detached { remote } => vec![(Kind::Detached, json!({ "remoteAddress": remote }))],
        Occurrence::Subscribed { client, callback } => {
            vec![(Kind::Subscribe, json!({ "clientIp": client, "callbackUrl": callback }))]
        }
        Occurrence::Unsubscribed { client, callback } => {
            vec![(Kind::Unsubscribe, json!({ "clientIp": client, "callbackUrl": callback }))]
        }
    }
}

fn of_fact(event: &Event, key: Option<AppKey>) -> Vec<Told> {
    match event {
        Event::DeploymentStarted(deployment) => started(deployment),
        Event::DeploymentStep(deployment, stage, end) => stepped(deployment, *stage, *end),
        Event::DeploymentEnded(deployment, ending) => vec![ended(deployment, ending)],
        Event::InstanceChanged { .. } => changed(event),
        Event::HealthChanged { app, instance, verdict, version } => {
            judged(app, instance_id(key, app, *instance).as_deref(), *verdict, *version)
        }
        Event::Killing { app, instance, cause, version, agent, host } if *cause == KillCause::Unhealthy => {
            let task = key.map(|key| InstanceId { app: key, slot: instance.slot }.task(app, instance.incarnation));
            let killed = json!({
                "appId": app.as_str(),
                "taskId": task.as_ref().map(TaskId::as_str),
                "instanceId": instance_id(key, app, *instance),
                "version": version.to_string(),
                "reason": cause.to_string(),
                "host": host,
                "slaveId": agent,
            });
            vec![(Kind::UnhealthyInstanceKill, killed)]
        }
        Event::CheckAdded { app, version, check } => {
            let (app, version) = (app.as_str(), version.to_string());
            let added = json!({ "appId": app, "version": version, "healthCheck": health_check(check) });
            vec![(Kind::AddHealthCheck, added)]
        }
        Event::CheckRemoved { app } => vec![(Kind::RemoveHealthCheck, json!({ "appId": app.as_str() }))],
        Event::CheckFailed { app, instance, check } => {
            // By its name a task's, by its content an instance's id, as in Marathon.
            let id = instance_id(key, app, *instance);
            let failed = json!({ "appId": app.as_str(), "taskId": id, "healthCheck": health_check(check) });
            vec![(Kind::FailedHealthCheck, failed)]
        }
        Event::UnknownTerminated { task, condition } => {
            let ended = json!({
                "instanceId": instance_of(task),
                "runSpecId": app_of(task),
                "condition": format!("{condition:?}"),
            });
            vec![(Kind::UnknownInstanceTerminated, ended)]
        }
        Event::AppTerminated { app } => vec![(Kind::AppTerminated, json!({ "appId": app.as_str() }))],
        // Told for the whole change set, with its deployment. Marathon has no word for the passage of one app, which is
        // part of a deployment; nor for a kill of another cause, of which the instance's end is told.
        Event::DesiredChanged { .. }
        | Event::RolloutStarted { .. }
        | Event::RolloutComplete { .. }
        | Event::RolloutFailed { .. }
        | Event::Killing { .. } => Vec::new(),
    }
}

/// A change set was taken in. Marathon tells of each step as it begins; what is only noted is through at once.
fn started(deployment: &Deployment) -> Vec<Told> {
    let version = deployment.version.to_string();
    let group = GroupId::common(deployment.changes.keys());
    let group = json!({ "groupId": group.as_str(), "version": version });
    let mut told = vec![(Kind::GroupChangeSuccess, group)];
    let steps = Steps::of(deployment);
    let current = steps.first(|_| true);
    for index in 0..=current.min(steps.len().saturating_sub(1)) {
        told.push((Kind::DeploymentInfo, plan_and_step(deployment, &steps, index)));
        if index < current && index < steps.len() {
            told.push((Kind::DeploymentStepSuccess, plan_and_step(deployment, &steps, index)));
        }
    }
    told
}

/// A step is through, or one of its apps stands still.
fn stepped(deployment: &Deployment, stage: Stage, end: StepEnd) -> Vec<Told> {
    let steps = Steps::of(deployment);
    let Some(index) = steps.place(stage) else { return Vec::new() };
    let tell = |kind, index| (kind, plan_and_step(deployment, &steps, index));
    let next = match end {
        StepEnd::Failed => return vec![tell(Kind::DeploymentStepFailure, index)],
        StepEnd::Through(next) => next.and_then(|next| steps.place(next)),
    };
    let mut told = vec![tell(Kind::DeploymentStepSuccess, index)];
    if let Some(next) = next.filter(|next| *next > index) {
        if let Some(start) = steps.place(Stage::Start).filter(|start| (index..next).contains(start)) {
            told.extend([tell(Kind::DeploymentInfo, start), tell(Kind::DeploymentStepSuccess, start)]);
        }
        told.push(tell(Kind::DeploymentInfo, next));
    }
    told
}

fn ended(deployment: &Deployment, ending: &Ending) -> Told {
    let (id, plan) = (deployment.id.to_string(), deployments::plan(deployment));
    match ending {
        Ending::Success => (Kind::DeploymentSuccess, json!({ "id": id, "plan": plan })),
        Ending::Failure(reason) => (Kind::DeploymentFailed, json!({ "id": id, "plan": plan, "reason": reason })),
    }
}

fn plan_and_step(deployment: &Deployment, steps: &Steps<'_>, index: usize) -> Value {
    json!({ "plan": deployments::plan(deployment), "currentStep": steps.at(index) })
}

fn changed(event: &Event) -> Vec<Told> {
    let Event::InstanceChanged { app, condition, version, agent, host, ports, message, task, .. } = event else {
        return Vec::new();
    };
    let changed = json!({
        "instanceId": instance_of(task),
        "condition": format!("{condition:?}"),
        "runSpecId": app.as_str(),
        "agentId": agent,
        "host": host,
        "runSpecVersion": version.to_string(),
    });
    let mut told = vec![(Kind::InstanceChanged, changed)];
    // What is only decided has no status yet.
    if *condition != Condition::Provisioned {
        let status = json!({
            "slaveId": agent,
            "taskId": task.as_str(),
            "taskStatus": condition.task_state(),
            "message": message,
            "appId": app.as_str(),
            "host": host,
            "ipAddresses": addresses(host),
            "ports": ports.iter().map(|port| port.get()).collect::<Vec<_>>(),
            "version": version.to_string(),
        });
        told.push((Kind::StatusUpdate, status));
    }
    told
}

fn judged(app: &AppId, instance: Option<&str>, verdict: Verdict, version: Timestamp) -> Vec<Told> {
    let alive = match verdict {
        Verdict::Unknown => None,
        Verdict::Healthy => Some(true),
        Verdict::Unhealthy | Verdict::Condemned => Some(false),
    };
    let (app, version) = (app.as_str(), version.to_string());
    let changed = json!({ "instanceId": instance, "runSpecId": app, "healthy": alive, "runSpecVersion": version });
    let mut told = vec![(Kind::InstanceHealthChanged, changed)];
    if let Some(alive) = alive {
        let status = json!({ "appId": app, "instanceId": instance, "version": version, "alive": alive });
        told.push((Kind::HealthStatusChanged, status));
    }
    told
}

/// An instance has its agent's address, where the agent's name is one: networks of containers are not run yet.
fn addresses(host: &str) -> Value {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => {
            let protocol = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            json!([{ "ipAddress": host, "protocol": protocol }])
        }
        Err(_) => json!([]),
    }
}

/// An app as Marathon shows it, as far as the declaration says it.
fn definition(app: &Arc<App>, version: Option<Timestamp>) -> Value {
    let mut definition = manifest::app_to_json(app);
    if let (Some(version), Some(members)) = (version, definition.as_object_mut()) {
        members.insert("version".to_owned(), json!(version.to_string()));
    }
    definition
}

fn health_check(check: &HealthCheck) -> Value {
    manifest::health_check_to_json(check)
}

/// The instance's part of a task's id.
fn instance_of(task: &TaskId) -> &str {
    task.as_str().rsplit_once("._app.").map_or(task.as_str(), |(instance, _)| instance)
}

/// The app that a task's id names (§3.2): its path, with underscores for slashes.
fn app_of(task: &TaskId) -> String {
    let instance = instance_of(task);
    let name = instance.rsplit_once(".instance-").or_else(|| instance.rsplit_once('.'));
    format!("/{}", name.map_or(instance, |(name, _)| name).replace('_', "/"))
}

fn instance_id(key: Option<AppKey>, app: &AppId, instance: InstanceKey) -> Option<String> {
    key.map(|key| InstanceId { app: key, slot: instance.slot }.full(app))
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
