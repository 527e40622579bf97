//! The event stream, `GET /v2/events` (§1.9, §4.16), with what Marathon's lacks: a frame's `id:`, by which a client
//! that was cut off resumes (`Last-Event-ID`).
//!
//! One of our events may be several of Marathon's. The last frame of an event carries its id, so that a client that
//! was cut off between two frames gets both again rather than neither.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ekiden_model::deployment::{Ending, Progress};
use ekiden_model::event::Event;
use ekiden_model::health::Verdict;
use ekiden_model::report::KillCause;
use ekiden_model::{AppId, Condition, Deployment, InstanceId, InstanceKey, TaskId, Timestamp};
use futures_util::stream;
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;
use warp::Reply;

use super::deployments::{current_step, plan};
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::clock::wall;
use crate::runtime::event_log::{EventId, Logged};
use crate::telemetry::Metrics;

/// Some clients take 300 s of silence for a dead connection, many gateways 30 or 60.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A frame's event type and its data.
type Frame = (&'static str, Map<String, Value>);

/// Everything that happens, from now on or from where the client stopped.
pub(in crate::api) fn stream(api: &Api, request: &Request) -> Response {
    if !request.accepts("text/event-stream") {
        return reply::method_not_allowed(&["GET with `Accept: text/event-stream`"]);
    }
    let types: BTreeSet<String> = request.all("event_type").map(str::to_owned).collect();
    let after = request.header("last-event-id").and_then(|id| id.parse::<EventId>().ok());
    let subscription = api.events.subscribe(after);

    let mut ready = VecDeque::new();
    let attached = Map::from_iter([("remoteAddress".to_owned(), json!(request.remote))]);
    ready.extend(rendered(("event_stream_attached", attached), wall(), None, &types));
    if subscription.gap {
        // A comment: no client trips over it, and who debugs one sees it.
        ready.push_back(Bytes::from_static(b": events before this are no longer kept\r\n\r\n"));
    }
    for logged in &subscription.missed {
        ready.extend(frames_of(logged, &types));
    }
    let stop = api.stop.clone();
    let open = Open::count(api.metrics.clone());
    let state = (ready, subscription.live, types, stop, open);
    let frames = stream::unfold(state, |(mut ready, mut live, types, stop, open)| async move {
        loop {
            if let Some(frame) = ready.pop_front() {
                return Some((Ok::<_, Infallible>(frame), (ready, live, types, stop, open)));
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(HEARTBEAT) => ready.push_back(Bytes::from_static(b":\r\n\r\n")),
                logged = live.recv() => match logged {
                    Ok(logged) => ready.extend(frames_of(&logged, &types)),
                    // Too slow: cut off, to come back and resume.
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        open.0.events_dropped.inc_by(missed);
                        return None;
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    });
    let mut response = warp::reply::stream(frames).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Keeps gateways that understand it from collecting frames.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Counts a stream for as long as it is open.
struct Open(Metrics);

impl Open {
    fn count(metrics: Metrics) -> Self {
        metrics.event_streams.inc();
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.event_streams.dec();
    }
}

/// The frames of one event, as far as they are asked for.
fn frames_of(logged: &Arc<Logged>, types: &BTreeSet<String>) -> Vec<Bytes> {
    let wanted: Vec<Frame> =
        frames(logged).into_iter().filter(|(kind, _)| types.is_empty() || types.contains(*kind)).collect();
    let last = wanted.len().saturating_sub(1);
    let all = BTreeSet::new();
    wanted
        .into_iter()
        .enumerate()
        .filter_map(|(index, frame)| rendered(frame, logged.at, (index == last).then_some(logged.id), &all))
        .collect()
}

fn rendered(frame: Frame, at: Timestamp, id: Option<EventId>, types: &BTreeSet<String>) -> Option<Bytes> {
    let (kind, mut data) = frame;
    if !types.is_empty() && !types.contains(kind) {
        return None;
    }
    data.insert("eventType".to_owned(), json!(kind));
    data.insert("timestamp".to_owned(), json!(at.to_string()));
    let id = id.map_or_else(String::new, |id| format!("id: {id}\r\n"));
    Some(format!("event: {kind}\r\n{id}data: {}\r\n\r\n", Value::Object(data)).into())
}

/// What Marathon would say.
fn frames(logged: &Logged) -> Vec<Frame> {
    match &logged.event {
        Event::DesiredChanged { version, .. } => {
            let version = version.unwrap_or(logged.at).to_string();
            vec![("group_change_success", members(json!({ "groupId": "/", "version": version })))]
        }
        Event::DeploymentStarted(deployment) => {
            vec![("deployment_info", plan_and_step(deployment, None))]
        }
        Event::DeploymentStep(deployment, app) => {
            let failed = deployment.changes.get(app).is_some_and(|c| matches!(c.progress, Progress::Failed(..)));
            let kind = if failed { "deployment_step_failure" } else { "deployment_step_success" };
            vec![(kind, plan_and_step(deployment, Some(app)))]
        }
        Event::DeploymentEnded(deployment, ending) => {
            let ended = json!({ "id": deployment.id.to_string(), "plan": plan(deployment) });
            vec![match ending {
                Ending::Success => ("deployment_success", members(ended)),
                Ending::Failure(reason) => {
                    let mut ended = members(ended);
                    ended.insert("reason".to_owned(), json!(reason));
                    ("deployment_failed", ended)
                }
            }]
        }
        // Marathon has no word for the passage of one app; it is part of a deployment.
        Event::RolloutStarted { .. } | Event::RolloutComplete { .. } | Event::RolloutFailed { .. } => Vec::new(),
        Event::InstanceChanged { app, condition, version, agent, host, ports, message, task, .. } => {
            let changed = json!({
                "instanceId": instance_of(task),
                "condition": format!("{condition:?}"),
                "runSpecId": app.as_str(),
                "agentId": agent,
                "host": host,
                "runSpecVersion": version.to_string(),
            });
            let status = json!({
                "slaveId": agent,
                "taskId": task.as_str(),
                "taskStatus": condition.task_state(),
                "message": message,
                "appId": app.as_str(),
                "host": host,
                "ipAddresses": [],
                "ports": ports.iter().map(|port| port.get()).collect::<Vec<_>>(),
                "version": version.to_string(),
            });
            let mut frames = vec![("instance_changed_event", members(changed))];
            if *condition != Condition::Provisioned {
                frames.push(("status_update_event", members(status)));
            }
            frames
        }
        Event::HealthChanged { app, instance, verdict, version } => {
            let id = instance_id(logged, app, *instance);
            let alive = match verdict {
                Verdict::Unknown => None,
                Verdict::Healthy => Some(true),
                Verdict::Unhealthy | Verdict::Condemned => Some(false),
            };
            let version = version.to_string();
            let changed = json!({
                "instanceId": id, "runSpecId": app.as_str(), "healthy": alive, "runSpecVersion": version,
            });
            let mut frames = vec![("instance_health_changed_event", members(changed))];
            if let Some(alive) = alive {
                let status =
                    json!({ "appId": app.as_str(), "instanceId": id, "version": version, "alive": alive });
                frames.push(("health_status_changed_event", members(status)));
            }
            frames
        }
        Event::Killing { app, instance, cause: cause @ KillCause::Unhealthy, version, host } => {
            let task =
                logged.key.map(|key| InstanceId { app: key, slot: instance.slot }.task(app, instance.incarnation));
            let instance_id = instance_id(logged, app, *instance);
            let killed = json!({
                "appId": app.as_str(),
                "taskId": task.as_ref().map(TaskId::as_str),
                "instanceId": instance_id,
                "version": version.to_string(),
                "reason": cause.to_string(),
                "host": host,
                "slaveId": null,
            });
            vec![("unhealthy_instance_kill_event", members(killed))]
        }
        // Marathon has no word for a kill of another cause; the instance's end is told by its status.
        Event::Killing { .. } => Vec::new(),
        Event::AppTerminated { app } => {
            vec![("app_terminated_event", members(json!({ "appId": app.as_str() })))]
        }
    }
}

fn plan_and_step(deployment: &Deployment, app: Option<&AppId>) -> Map<String, Value> {
    members(json!({ "plan": plan(deployment), "currentStep": current_step(deployment, app) }))
}

/// The instance's part of a task's id.
fn instance_of(task: &TaskId) -> &str {
    task.as_str().rsplit_once("._app.").map_or(task.as_str(), |(instance, _)| instance)
}

fn instance_id(logged: &Logged, app: &AppId, instance: InstanceKey) -> Option<String> {
    logged.key.map(|key| InstanceId { app: key, slot: instance.slot }.full(app))
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(event: Event) -> Arc<Logged> {
        let id = EventId { boot: 7, number: 3 };
        Arc::new(Logged { id, at: Timestamp::from_millis(1_795_168_800_000), event, key: None })
    }

    #[test]
    fn a_frame_is_marathons_with_an_id() {
        let app = AppId::parse("/web").expect("a good id");
        let frames = frames_of(&logged(Event::AppTerminated { app }), &BTreeSet::new());
        let text: Vec<&str> = frames.iter().map(|frame| std::str::from_utf8(frame).expect("text")).collect();
        assert_eq!(
            text,
            ["event: app_terminated_event\r\nid: 7-3\r\ndata: {\"appId\":\"/web\",\"eventType\":\
              \"app_terminated_event\",\"timestamp\":\"2026-11-20T10:00:00.000Z\"}\r\n\r\n"]
        );
    }

    #[test]
    fn only_the_last_frame_asked_for_has_the_id() {
        let app = AppId::parse("/web").expect("a good id");
        let instance = InstanceKey { slot: ekiden_model::Slot(0), incarnation: ekiden_model::Incarnation::FIRST };
        let (verdict, version) = (Verdict::Healthy, Timestamp::EPOCH);
        let changed = logged(Event::HealthChanged { app, instance, verdict, version });
        let both = frames_of(&changed, &BTreeSet::new());
        let has_id = |frame: &Bytes| frame.windows(6).any(|part| part == b"\r\nid: ");
        assert_eq!(both.iter().map(has_id).collect::<Vec<_>>(), [false, true]);
        let one = frames_of(&changed, &BTreeSet::from(["instance_health_changed_event".to_owned()]));
        assert_eq!(one.iter().map(has_id).collect::<Vec<_>>(), [true]);
    }
}
