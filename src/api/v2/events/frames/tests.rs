//! Each event, member by member, as §4.16 has it.

use std::time::Duration;

use ekiden_model::app::{CheckAddress, CheckKind, HealthCheck};
use ekiden_model::deployment::{Change, Course, DeploymentAction, Progress};
use ekiden_model::{DeploymentId, Incarnation, Port, RevisionId, Slot};

use super::*;
use crate::runtime::EventLog;
use crate::runtime::event_log::{Batch, Wanted};
use crate::runtime::fixtures;

const AT: Timestamp = Timestamp::from_millis(1_795_168_800_000);
const VERSION: &str = "2026-11-20T10:00:00.000Z";
const INSTANCE: InstanceKey = InstanceKey { slot: Slot(0), incarnation: Incarnation::FIRST };

fn web() -> AppId {
    AppId::parse("/prod/web").expect("a good id")
}

fn key() -> AppKey {
    AppKey::new(1, 1, &web())
}

fn instance() -> String {
    InstanceId { app: key(), slot: Slot(0) }.full(&web())
}

fn task() -> TaskId {
    InstanceId { app: key(), slot: Slot(0) }.task(&web(), Incarnation::FIRST)
}

fn frames_of(what: Occurrence) -> Vec<Frame> {
    let log = EventLog::new(Timestamp::from_millis(7));
    log.say(AT, what);
    let events = log.events(Batch { after: 0, to: 1 });
    events.iter().flat_map(|logged| logged.frames(frames).to_vec()).collect()
}

/// What is said, without the type and the time that each event has.
fn said(what: Occurrence) -> Vec<(String, Value)> {
    frames_of(what)
        .into_iter()
        .map(|frame| {
            let mut data: Value = serde_json::from_slice(&frame.text[frame.data.clone()]).expect("JSON");
            let members = data.as_object_mut().expect("an object");
            let kind = members.remove("eventType").expect("each has a type");
            assert_eq!(members.remove("timestamp"), Some(json!(VERSION)));
            let kind = kind.as_str().expect("a name").to_owned();
            assert!(frame.text.starts_with(format!("event: {kind}\r\n").as_bytes()));
            (kind, data)
        })
        .collect()
}

fn fact(event: Event) -> Occurrence {
    Occurrence::Fact(event, Some(key()))
}

fn one(kind: &str, data: Value) -> Vec<(String, Value)> {
    vec![(kind.to_owned(), data)]
}

fn check() -> HealthCheck {
    let kind = CheckKind::Tcp { address: CheckAddress::PortIndex(0), by_executor: false };
    HealthCheck {
        kind,
        grace_period: Duration::from_secs(300),
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(20),
        delay: Duration::from_secs(15),
        max_failures: 3,
        ignore_http_1xx: false,
        ipv6: false,
    }
}

#[test]
fn a_frame_is_marathons_with_an_id() {
    let frames = frames_of(fact(Event::AppTerminated { app: web() }));
    let text: Vec<&str> = frames.iter().map(|frame| std::str::from_utf8(&frame.text).expect("text")).collect();
    assert_eq!(
        text,
        ["event: app_terminated_event\r\nid: 7-1\r\ndata: {\"appId\":\"/prod/web\",\"eventType\":\
          \"app_terminated_event\",\"timestamp\":\"2026-11-20T10:00:00.000Z\"}\r\n\r\n"]
    );
}

#[test]
fn the_frames_of_one_event_are_told_apart_by_their_ids() {
    let verdict = Verdict::Healthy;
    let frames = frames_of(fact(Event::HealthChanged { app: web(), instance: INSTANCE, verdict, version: AT }));
    let has =
        |frame: &Frame, id: &str| String::from_utf8_lossy(&frame.text).contains(&format!("\r\nid: {id}\r\n"));
    assert!(has(&frames[0], "7-0.1") && has(&frames[1], "7-1"), "{frames:?}");
}

#[test]
fn what_clients_write_and_hear_is_told() {
    let (client, uri): (Arc<str>, Arc<str>) = ("10.0.0.9".into(), "/v2/apps//web".into());
    let app = Arc::new(fixtures::app("/web"));
    let posted = Occurrence::AppPosted { client: client.clone(), uri: uri.clone(), app, version: Some(AT) };
    let posted = said(posted);
    assert_eq!(posted[0].0, "api_post_event");
    assert_eq!((&posted[0].1["clientIp"], &posted[0].1["uri"]), (&json!("10.0.0.9"), &json!("/v2/apps//web")));
    let app = &posted[0].1["appDefinition"];
    assert_eq!((&app["id"], &app["version"], &app["cpus"]), (&json!("/web"), &json!(VERSION), &json!(0.1)));

    let pod = |change| said(Occurrence::PodPosted { change, client: client.clone(), uri: uri.clone() });
    let told = json!({ "clientIp": "10.0.0.9", "uri": "/v2/apps//web" });
    assert_eq!(pod(PodChange::Created), one("pod_created_event", told.clone()));
    assert_eq!(pod(PodChange::Updated), one("pod_updated_event", told.clone()));
    assert_eq!(pod(PodChange::Deleted), one("pod_deleted_event", told));

    let (remote, callback): (Arc<str>, Arc<str>) = ("10.0.0.9:4711".into(), "http://h/e".into());
    let attached = Occurrence::Attached { remote: remote.clone() };
    assert_eq!(said(attached), one("event_stream_attached", json!({ "remoteAddress": "10.0.0.9:4711" })));
    let detached = Occurrence::Detached { remote };
    assert_eq!(said(detached), one("event_stream_detached", json!({ "remoteAddress": "10.0.0.9:4711" })));
    let told = json!({ "clientIp": "10.0.0.9", "callbackUrl": "http://h/e" });
    let subscribed = Occurrence::Subscribed { client: client.clone(), callback: callback.clone() };
    assert_eq!(said(subscribed), one("subscribe_event", told.clone()));
    assert_eq!(said(Occurrence::Unsubscribed { client, callback }), one("unsubscribe_event", told));
}

#[test]
fn the_connection_is_told() {
    let master: Option<Arc<str>> = Some("10.0.0.1".into());
    let registered = Occurrence::Registered { framework: Some(FrameworkId::new("f-1")), master: master.clone() };
    let told = json!({ "frameworkId": "f-1", "master": "10.0.0.1" });
    assert_eq!(said(registered), one("scheduler_registered_event", told));
    let again = json!({ "master": "10.0.0.1" });
    assert_eq!(said(Occurrence::Reregistered { master }), one("scheduler_reregistered_event", again));
    assert_eq!(said(Occurrence::Disconnected), one("scheduler_disconnected_event", json!({})));
}

#[test]
fn instances_are_told() {
    let changed = |condition| {
        fact(Event::InstanceChanged {
            app: web(),
            instance: INSTANCE,
            condition,
            version: AT,
            agent: "a-1".into(),
            host: "10.0.0.2".into(),
            ports: vec![Port::new(31_000).expect("a port")],
            message: "all is well".into(),
            task: task(),
        })
    };
    let instance_changed = json!({
        "instanceId": instance(), "condition": "Running", "runSpecId": "/prod/web", "agentId": "a-1",
        "host": "10.0.0.2", "runSpecVersion": VERSION,
    });
    let status = json!({
        "slaveId": "a-1", "taskId": task().as_str(), "taskStatus": "TASK_RUNNING", "message": "all is well",
        "appId": "/prod/web", "host": "10.0.0.2",
        "ipAddresses": [{ "ipAddress": "10.0.0.2", "protocol": "IPv4" }], "ports": [31_000], "version": VERSION,
    });
    let both =
        [("instance_changed_event".to_owned(), instance_changed), ("status_update_event".to_owned(), status)];
    assert_eq!(said(changed(Condition::Running)), both);
    assert_eq!(said(changed(Condition::Provisioned)).len(), 1, "what is only decided has no status");

    let unknown = Event::UnknownTerminated { task: task(), condition: Condition::Killed };
    let told = json!({ "instanceId": instance(), "runSpecId": "/prod/web", "condition": "Killed" });
    assert_eq!(said(fact(unknown)), one("unknown_instance_terminated_event", told));
    let ended = Event::AppTerminated { app: web() };
    assert_eq!(said(fact(ended)), one("app_terminated_event", json!({ "appId": "/prod/web" })));
}

#[test]
fn kills_are_told_where_health_is_the_cause() {
    let killing = |cause| {
        let (agent, host) = ("a-1".into(), "h".into());
        fact(Event::Killing { app: web(), instance: INSTANCE, cause, version: AT, agent, host })
    };
    let told = json!({
        "appId": "/prod/web", "taskId": task().as_str(), "instanceId": instance(), "version": VERSION,
        "reason": KillCause::Unhealthy.to_string(), "host": "h", "slaveId": "a-1",
    });
    assert_eq!(said(killing(KillCause::Unhealthy)), one("unhealthy_instance_kill_event", told));
    assert_eq!(said(killing(KillCause::ScaledIn)), []);
}

#[test]
fn health_is_told() {
    let judged =
        |verdict| said(fact(Event::HealthChanged { app: web(), instance: INSTANCE, verdict, version: AT }));
    let unhealthy = [
        (
            "instance_health_changed_event".to_owned(),
            json!({ "instanceId": instance(), "runSpecId": "/prod/web", "healthy": false, "runSpecVersion": VERSION }),
        ),
        (
            "health_status_changed_event".to_owned(),
            json!({ "appId": "/prod/web", "instanceId": instance(), "version": VERSION, "alive": false }),
        ),
    ];
    assert_eq!(judged(Verdict::Unhealthy), unhealthy);
    let unknown = judged(Verdict::Unknown);
    assert_eq!((unknown.len(), &unknown[0].1["healthy"]), (1, &Value::Null));

    let check_json = manifest::health_check_to_json(&check());
    assert_eq!(check_json["protocol"], "TCP");
    let added = Event::CheckAdded { app: web(), version: AT, check: Box::new(check()) };
    let told = json!({ "appId": "/prod/web", "version": VERSION, "healthCheck": check_json });
    assert_eq!(said(fact(added)), one("add_health_check_event", told));
    let removed = Event::CheckRemoved { app: web() };
    assert_eq!(said(fact(removed)), one("remove_health_check_event", json!({ "appId": "/prod/web" })));
    let failed = Event::CheckFailed { app: web(), instance: INSTANCE, check: Box::new(check()) };
    let told = json!({ "appId": "/prod/web", "taskId": instance(), "healthCheck": check_json });
    assert_eq!(said(fact(failed)), one("failed_health_check_event", told));
}

fn deployment(changes: &[(&str, DeploymentAction, u32)]) -> Arc<Deployment> {
    let change = |(id, action, step): &(&str, DeploymentAction, u32)| {
        let id = AppId::parse(id).expect("a good id");
        (id, Change { action: *action, before: None, step: *step })
    };
    let changes = changes.iter().map(change).collect();
    Arc::new(Deployment { id: DeploymentId::new(1, AT), version: AT, changes })
}

/// What is told when an app has come so far.
fn come(course: &mut Course, app: &str, progress: &Progress) -> Vec<(String, Value)> {
    let app = AppId::parse(app).expect("a good id");
    let Some((stage, end)) = course.note(&app, progress) else { return Vec::new() };
    said(fact(Event::DeploymentStep(course.deployment.clone(), stage, end)))
}

fn kinds(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[test]
fn a_change_set_is_told_once_for_its_group_and_step_by_step() {
    let done = Progress::Complete(AT);
    let (start, scale) = (DeploymentAction::Start, DeploymentAction::Scale);
    let begun = deployment(&[("/prod/db", start, 1), ("/prod/web", scale, 2)]);
    let told = said(fact(Event::DeploymentStarted(begun.clone())));
    assert_eq!(
        kinds(&told),
        ["group_change_success", "deployment_info", "deployment_step_success", "deployment_info"]
    );
    assert_eq!(told[0].1, json!({ "groupId": "/prod", "version": VERSION }));
    let id = DeploymentId::new(1, AT).to_string();
    assert_eq!((&told[1].1["plan"]["id"], &told[1].1["plan"]["version"]), (&json!(id), &json!(VERSION)));
    let action = |told: &Value| told["currentStep"]["actions"][0]["action"].clone();
    assert_eq!((action(&told[1].1), action(&told[3].1)), (json!("StartApplication"), json!("ScaleApplication")));
    assert_eq!(told[1].1["plan"]["steps"].as_array().map(Vec::len), Some(3));

    let mut course = Course::new(begun.clone());
    assert_eq!(kinds(&come(&mut course, "/prod/db", &done)), ["deployment_step_success", "deployment_info"]);
    assert_eq!(kinds(&come(&mut course, "/prod/web", &done)), ["deployment_step_success"]);
    let told = said(fact(Event::DeploymentEnded(begun, Ending::Success)));
    assert_eq!((kinds(&told), &told[0].1["id"]), (vec!["deployment_success"], &json!(id)));

    let mut course = Course::new(deployment(&[("/prod/a", scale, 1), ("/prod/web", scale, 1)]));
    let told = come(&mut course, "/prod/a", &done);
    assert_eq!(kinds(&told), Vec::<&str>::new(), "the step goes on");
}

#[test]
fn what_is_new_is_registered_when_what_goes_is_gone() {
    let (start, stop) = (DeploymentAction::Start, DeploymentAction::Stop);
    let begun = deployment(&[("/old", stop, 1), ("/new", start, 1)]);
    assert_eq!(
        kinds(&said(fact(Event::DeploymentStarted(begun.clone())))),
        ["group_change_success", "deployment_info"]
    );
    let mut course = Course::new(begun);
    let told = come(&mut course, "/old", &Progress::Complete(AT));
    assert_eq!(
        kinds(&told),
        ["deployment_step_success", "deployment_info", "deployment_step_success", "deployment_info"]
    );
    let action = |told: &Value| told["currentStep"]["actions"][0]["action"].clone();
    assert_eq!((action(&told[2].1), action(&told[3].1)), (json!("StartApplication"), json!("ScaleApplication")));
}

#[test]
fn a_step_and_a_change_that_fail_are_told() {
    let failed = deployment(&[("/a", DeploymentAction::Scale, 1), ("/b", DeploymentAction::Scale, 1)]);
    let (mut course, failure) = (Course::new(failed.clone()), Progress::Failed(AT, "no progress".into()));
    assert_eq!(kinds(&come(&mut course, "/a", &failure)), ["deployment_step_failure"]);
    assert_eq!(come(&mut course, "/b", &failure), [], "a step fails once");
    let both = deployment(&[("/a", DeploymentAction::Scale, 1), ("/b", DeploymentAction::Scale, 1)]);
    let mut course = Course::new(both);
    come(&mut course, "/a", &failure);
    assert_eq!(come(&mut course, "/b", &Progress::Complete(AT)), [], "it is not through although all else is");
    let told = said(fact(Event::DeploymentEnded(failed, Ending::Failure("/a: no progress".into()))));
    assert_eq!((kinds(&told), &told[0].1["reason"]), (vec!["deployment_failed"], &json!("/a: no progress")));
    let reason = "there is no app /x".into();
    let refused = Occurrence::GroupChangeFailed { group: GroupId::root(), reason };
    let told = json!({ "groupId": "/", "version": VERSION, "reason": "there is no app /x" });
    assert_eq!(said(refused), one("group_change_failed", told));
}

#[test]
fn a_light_plan_has_no_groups_and_a_filter_takes_what_it_names() {
    let begun = deployment(&[("/a", DeploymentAction::Scale, 1)]);
    let frames = frames_of(fact(Event::DeploymentStarted(begun)));
    let info = frames.iter().find(|frame| frame.kind == Kind::DeploymentInfo.bit()).expect("told");
    let kinds = Kind::bits(["deployment_info", "nobody_has_this"].into_iter());
    let wanted = |light| info.wanted(Wanted { kinds, light }).expect("wanted").clone();
    let has_groups = |text: Bytes| String::from_utf8_lossy(&text).contains("\"original\"");
    assert!(has_groups(wanted(false)) && !has_groups(wanted(true)));
    assert_eq!(info.wanted(Wanted { kinds: Kind::bits(["nobody_has_this"].into_iter()), light: false }), None);
    assert_eq!(Kind::bits(std::iter::empty()), u32::MAX);
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(Kind::bits([kind.name()].into_iter()), 1 << index, "{}", kind.name());
    }
}

#[test]
fn passages_of_single_apps_are_not_marathons_to_tell() {
    let (app, to, version) = (web(), RevisionId(2), AT);
    assert_eq!(said(fact(Event::RolloutStarted { app, to, version })), []);
    assert_eq!(said(fact(Event::DesiredChanged { app: web(), version: None })), []);
}
