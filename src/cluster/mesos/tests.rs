//! The connection against a master that does as the test tells it, over loopback.

mod master;

use std::time::Duration;

use ekiden_model::input::{Ack, ClusterEvent};
use ekiden_model::{AgentId, FrameworkId, OfferId, Role, TaskId};
use serde_json::json;
use tokio::sync::mpsc;

use self::master::{Asked, Master};
use super::*;

/// Longer than anything here takes, unless it never comes.
const LONG: Duration = Duration::from_secs(30);

fn options(master: &str) -> MesosOptions {
    MesosOptions {
        master: master.to_owned(),
        framework: FrameworkOptions {
            name: "ekiden".to_owned(),
            user: "nobody".to_owned(),
            hostname: "localhost".to_owned(),
            webui_url: None,
            role: Role::any(),
            failover_timeout: Duration::from_secs(3600),
            checkpoint: true,
            env_vars_prefix: String::new(),
        },
        credentials: None,
        certificate_authority: None,
        metrics: Metrics::default(),
    }
}

/// One that wants to be connected to this master.
async fn connecting(master: &Master) -> (Mesos, mpsc::Receiver<ClusterEvent>) {
    let (mesos, events) = start(options(&master.address)).expect("good options");
    mesos.call(Call::Subscribe(None)).await;
    (mesos, events)
}

async fn next(events: &mut mpsc::Receiver<ClusterEvent>) -> ClusterEvent {
    tokio::time::timeout(LONG, events.recv()).await.expect("an event in time").expect("an open stream")
}

/// Takes the two events that every connection begins with.
async fn connected(events: &mut mpsc::Receiver<ClusterEvent>) {
    assert_eq!(next(events).await, ClusterEvent::Registered(FrameworkId::new("f1")));
    assert_eq!(next(events).await, ClusterEvent::Connected);
}

fn kill(task: &str) -> Call {
    Call::Kill { task: TaskId::new(task), agent: None, grace: None }
}

/// The next call that is not the revival with which every connection begins.
async fn call(master: &mut Master) -> Asked {
    loop {
        let asked = master.asked().await;
        if asked.kind() != "REVIVE" {
            return asked;
        }
        asked.answer(202, "");
    }
}

#[tokio::test]
async fn calls_are_sent_in_order_each_when_the_one_before_is_taken_and_never_on_the_subscriptions_connection() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let subscribe = master.asked().await;
    assert_eq!(subscribe.kind(), "SUBSCRIBE");
    let subscribed_over = subscribe.connection;
    let _stream = subscribe.subscribed(15.0);
    connected(&mut events).await;
    for task in ["t1", "t2", "t3"] {
        mesos.call(kill(task)).await;
    }
    let mut over = Vec::new();
    for task in ["t1", "t2", "t3"] {
        let asked = call(&mut master).await;
        assert_eq!(asked.body["kill"]["task_id"]["value"], task);
        assert_eq!(asked.stream_id.as_deref(), Some("stream-1"));
        assert!(master.nothing_asked().await, "the next waits until this is taken");
        over.push(asked.connection);
        asked.answer(202, "");
    }
    assert!(over.iter().all(|connection| *connection == over[0] && *connection != subscribed_over));
}

#[tokio::test]
async fn acknowledgements_are_sent_several_at_a_time_and_hold_up_nothing() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let _stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    master.asked().await.answer(202, "");
    for task in ["t1", "t2", "t3", "t4", "t5", "t6"] {
        let ack = Ack { agent: AgentId::new("a1"), task: TaskId::new(task), uuid: [1; 16].into() };
        mesos.call(Call::Acknowledge(ack)).await;
    }
    let waiting = [master.asked().await, master.asked().await, master.asked().await, master.asked().await];
    assert!(waiting.iter().all(|asked| asked.kind() == "ACKNOWLEDGE"));
    assert!(master.nothing_asked().await, "no more than that");
    mesos.call(kill("t7")).await;
    assert_eq!(master.asked().await.kind(), "KILL");
}

#[tokio::test]
async fn redirections_are_followed_to_the_leader_and_a_circle_is_left() {
    let (mut follower, mut leader) = (Master::start().await, Master::start().await);
    let (mesos, mut events) = connecting(&follower).await;
    // Each names itself, or the other: no end is in sight.
    for _ in 0..6 {
        follower.asked().await.redirect(&format!("//{}/api/v1/scheduler", follower.address));
    }
    // A new attempt, later.
    follower.asked().await.redirect(&format!("//{}/api/v1/scheduler", leader.address));
    let _stream = leader.asked().await.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(kill("t1")).await;
    assert_eq!(call(&mut leader).await.kind(), "KILL");
}

#[tokio::test]
async fn masters_of_a_list_are_tried_in_turn() {
    let mut second = Master::start().await;
    let first = Master::start().await.leave().await;
    let (mesos, mut events) = start(options(&format!("{first},{}", second.address))).expect("good options");
    mesos.call(Call::Subscribe(Some(FrameworkId::new("f1")))).await;
    let subscribe = second.asked().await;
    assert_eq!(subscribe.body["subscribe"]["framework_info"]["id"]["value"], "f1");
    let _stream = subscribe.subscribed(15.0);
    connected(&mut events).await;
}

#[tokio::test]
async fn a_lost_stream_is_told_once_and_subscribed_anew_under_the_same_id_without_the_calls_of_before() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(kill("t1")).await;
    let unanswered = call(&mut master).await;
    mesos.call(kill("t2")).await;
    drop(stream);
    assert_eq!(next(&mut events).await, ClusterEvent::Disconnected);
    drop(unanswered);
    let subscribe = master.asked().await;
    assert_eq!(subscribe.kind(), "SUBSCRIBE");
    assert_eq!(subscribe.body["framework_id"]["value"], "f1");
    assert_eq!(subscribe.stream_id, None);
    let _stream = subscribe.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(kill("t3")).await;
    assert_eq!(call(&mut master).await.body["kill"]["task_id"]["value"], "t3");
    let text = mesos.queue.metrics().encode_text();
    assert!(text.contains("ekiden_mesos_calls_lost_total{kind=\"kill\"} 2"), "{text}");
}

#[tokio::test]
async fn a_call_made_before_the_loss_is_known_to_the_reader_is_void() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    master.asked().await.answer(202, "");
    drop(stream);
    // The loss waits to be read; whoever decides now decides on offers that are void.
    assert!(master.nothing_asked().await);
    mesos.call(kill("t1")).await;
    assert!(master.nothing_asked().await, "no subscription while the loss has not been read");
    assert_eq!(next(&mut events).await, ClusterEvent::Disconnected);
    let _stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(kill("t2")).await;
    assert_eq!(call(&mut master).await.body["kill"]["task_id"]["value"], "t2");
}

#[tokio::test]
async fn a_master_that_falls_silent_is_left_and_heartbeats_keep_it() {
    let mut master = Master::start().await;
    let (_mesos, mut events) = connecting(&master).await;
    // Four heartbeats of 0.1 s may be missed.
    let stream = master.asked().await.subscribed(0.1);
    connected(&mut events).await;
    let quiet = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            stream.event(&json!({"type": "HEARTBEAT"})).await;
            tokio::select! {
                event = events.recv() => return event,
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    });
    assert!(quiet.await.is_err(), "heartbeats are heard");
    assert_eq!(next(&mut events).await, ClusterEvent::Disconnected);
    assert_eq!(call(&mut master).await.kind(), "SUBSCRIBE");
}

#[tokio::test]
async fn garbage_and_torn_events_end_the_subscription_and_what_is_merely_strange_does_not() {
    let mut master = Master::start().await;
    let (_mesos, mut events) = connecting(&master).await;
    for ending in ["no record", "3\n{]}", "100\n{\"type\":\"HEART"] {
        let stream = loop {
            let asked = call(&mut master).await;
            if asked.kind() == "SUBSCRIBE" {
                break asked.subscribed(15.0);
            }
        };
        connected(&mut events).await;
        stream.event(&json!({"type": "PIGEONS", "pigeons": 3})).await;
        stream.event(&json!({"type": "RESCIND", "rescind": {"offer_id": 3}})).await;
        stream.event(&json!({"type": "RESCIND", "rescind": {"offer_id": {"value": "o1"}}})).await;
        assert_eq!(next(&mut events).await, ClusterEvent::Rescinded(OfferId::new("o1")), "it goes on");
        stream.raw(ending).await;
        drop(stream);
        assert_eq!(next(&mut events).await, ClusterEvent::Disconnected);
    }
}

#[tokio::test]
async fn a_call_that_is_refused_for_itself_leaves_the_others_and_one_of_another_stream_ends_the_subscription() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let _stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(kill("t1")).await;
    mesos.call(kill("t2")).await;
    call(&mut master).await.answer(400, "Failed to validate scheduler::Call: no such thing");
    call(&mut master).await.answer(400, "The stream ID 'a' included in this request didn't match the stream ID");
    assert_eq!(next(&mut events).await, ClusterEvent::Disconnected);
    assert_eq!(call(&mut master).await.kind(), "SUBSCRIBE");
}

#[tokio::test]
async fn a_call_connection_that_was_closed_while_idle_is_opened_anew_and_nothing_is_lost() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let _stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(kill("t1")).await;
    let asked = call(&mut master).await;
    let before = asked.connection;
    asked.answer_and_close(202);
    master.closed(before).await;
    mesos.call(kill("t2")).await;
    let asked = call(&mut master).await;
    assert_ne!(asked.connection, before);
    assert_eq!(asked.body["kill"]["task_id"]["value"], "t2");
}

#[tokio::test]
async fn another_scheduler_in_our_place_ends_us_even_if_a_refused_call_is_the_first_to_say_so() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(kill("t1")).await;
    call(&mut master).await.answer(400, "The stream ID 'a' included in this request didn't match the stream ID");
    stream.event(&json!({"type": "ERROR", "error": {"message": "Framework failed over"}})).await;
    let ended = tokio::time::timeout(LONG, mesos.ended()).await.expect("it ends");
    assert!(matches!(ended, MesosError::Superseded { .. }), "{ended}");
    assert_eq!(next(&mut events).await, ClusterEvent::Disconnected);
    assert_eq!(events.recv().await, None, "the stream ends after there is something to tell");
}

#[tokio::test]
async fn who_is_refused_again_and_again_ends_and_503_does_not_count() {
    let mut master = Master::start().await;
    let (mesos, _events) = connecting(&master).await;
    master.asked().await.answer(503, "Master has not finished recovery");
    for _ in 0..5 {
        master.asked().await.answer(401, "401 Unauthorized.");
    }
    let ended = tokio::time::timeout(LONG, mesos.ended()).await.expect("it ends");
    assert!(matches!(ended, MesosError::Refused { .. }), "{ended}");
}

#[tokio::test]
async fn credentials_go_with_every_request() {
    let mut master = Master::start().await;
    let credentials = Credentials { principal: "ekiden".to_owned(), secret: "s3cret".into() };
    let with = MesosOptions { credentials: Some(credentials), ..options(&master.address) };
    let (mesos, mut events) = start(with).expect("good options");
    mesos.call(Call::Subscribe(None)).await;
    let subscribe = master.asked().await;
    assert_eq!(subscribe.authorization.as_deref(), Some("Basic ZWtpZGVuOnMzY3JldA=="));
    let _stream = subscribe.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(kill("t1")).await;
    assert_eq!(call(&mut master).await.authorization.as_deref(), Some("Basic ZWtpZGVuOnMzY3JldA=="));
}

#[tokio::test]
async fn a_new_role_is_made_ours_before_offers_are_asked_for_and_stays_ours() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    master.asked().await.answer(202, "");
    // Of a role that Mesos does not know of us there are no offers to be stopped.
    mesos.call(Call::Suppress(Role::new("web"))).await;
    mesos.call(Call::Revive(Role::new("web"))).await;
    let update = master.asked().await;
    assert_eq!(update.kind(), "UPDATE_FRAMEWORK");
    assert_eq!(update.body["update_framework"]["framework_info"]["roles"], json!(["*", "web"]));
    update.answer(200, "");
    let revive = master.asked().await;
    assert_eq!(revive.body["revive"]["roles"], json!(["web"]));
    revive.answer(202, "");
    drop(stream);
    assert_eq!(next(&mut events).await, ClusterEvent::Disconnected);
    let subscribe = master.asked().await;
    assert_eq!(subscribe.body["subscribe"]["framework_info"]["roles"], json!(["*", "web"]));
}

#[tokio::test]
async fn the_answer_about_a_task_that_never_was_tells_that_all_are_answered_for() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    mesos.call(Call::Reconcile(Vec::new())).await;
    let implicit = call(&mut master).await;
    assert_eq!(implicit.kind(), "RECONCILE");
    implicit.answer(202, "");
    let marker = call(&mut master).await;
    let task = marker.body["reconcile"]["tasks"][0]["task_id"]["value"].clone();
    marker.answer(202, "");
    stream
        .event(&json!({"type": "UPDATE", "update": {"status": {
            "task_id": {"value": task}, "state": "TASK_UNKNOWN", "source": "SOURCE_MASTER",
            "reason": "REASON_RECONCILIATION"}}}))
        .await;
    assert_eq!(next(&mut events).await, ClusterEvent::Reconciled);
}

#[tokio::test]
async fn whoever_does_not_read_events_can_call_all_the_same() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    for n in 0..2 * EVENTS {
        stream.event(&json!({"type": "RESCIND", "rescind": {"offer_id": {"value": format!("o{n}")}}})).await;
    }
    for n in 0..50 {
        mesos.call(kill(&format!("t{n}"))).await;
    }
    for n in 0..50 {
        let asked = call(&mut master).await;
        assert_eq!(asked.body["kill"]["task_id"]["value"], format!("t{n}"));
        asked.answer(202, "");
    }
    for n in 0..2 * EVENTS {
        assert_eq!(next(&mut events).await, ClusterEvent::Rescinded(OfferId::new(format!("o{n}"))));
    }
}

#[tokio::test]
async fn what_was_called_before_the_end_is_still_sent() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let _stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    let ack = Ack { agent: AgentId::new("a1"), task: TaskId::new("t1"), uuid: [1; 16].into() };
    mesos.call(Call::Acknowledge(ack)).await;
    let ending = tokio::spawn(mesos.shutdown());
    let asked = call(&mut master).await;
    assert_eq!(asked.kind(), "ACKNOWLEDGE");
    asked.answer(202, "");
    ending.await.expect("it ends");
    assert_eq!(events.recv().await, None);
}

#[tokio::test]
async fn a_removal_that_is_lost_on_its_way_is_asked_for_again_and_removed_is_removed() {
    let mut master = Master::start().await;
    let (mesos, mut events) = connecting(&master).await;
    let stream = master.asked().await.subscribed(15.0);
    connected(&mut events).await;
    let removal = tokio::spawn(mesos.tear_down());
    let lost = call(&mut master).await;
    assert_eq!(lost.kind(), "TEARDOWN");
    drop(stream);
    assert_eq!(next(&mut events).await, ClusterEvent::Disconnected);
    drop(lost);
    let stream = master.asked().await.refused_as("Framework has been removed");
    assert_eq!(removal.await.expect("no crash"), Ok(()));
    drop(stream);
}

#[tokio::test]
async fn a_survey_is_answered_before_any_subscription() {
    let mut master = Master::start().await;
    let (mesos, mut events) = start(options(&master.address)).expect("good options");
    mesos.call(Call::Survey { except: None }).await;
    master.asked().await.answer(503, "no leader elected");
    for (kind, answer) in [
        ("GET_AGENTS", json!({"type": "GET_AGENTS", "get_agents": {}})),
        ("GET_FRAMEWORKS", json!({"type": "GET_FRAMEWORKS", "get_frameworks": {}})),
        ("GET_TASKS", json!({"type": "GET_TASKS", "get_tasks": {}})),
    ] {
        let asked = master.asked().await;
        assert_eq!(asked.kind(), kind);
        asked.answer(200, &answer.to_string());
    }
    assert_eq!(next(&mut events).await, ClusterEvent::Found(ekiden_model::input::Found::default()));
}

#[test]
fn options_that_name_no_master_or_no_certificates_are_refused_without_their_password() {
    let refused = start(options("zk://user:s3cret@z1:2181")).expect_err("no path").to_string();
    assert!(refused.contains("zk://***@z1:2181") && !refused.contains("s3cret"), "{refused}");
    let nowhere =
        MesosOptions { certificate_authority: Some("/nowhere.pem".into()), ..options("https://m1:5050") };
    let refused = start(nowhere).expect_err("no file").to_string();
    assert!(refused.contains("/nowhere.pem"), "{refused}");
}
