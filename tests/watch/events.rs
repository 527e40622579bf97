//! Events, against the real binary: what clients of Marathon's wait for, and how to go on after a break.

use serde_json::{Value, json};

use crate::ekiden::Ekiden;
use crate::lines::Lines;
use crate::{NOTHING, app};

const STREAM: &str = "Accept: text/event-stream\r\n";

/// The next event: its id, if it has one, its type and its data.
async fn event(lines: &mut Lines) -> (Option<String>, String, Value) {
    let kind = lines.beginning("event: ").await;
    let (mut id, mut line) = (None, lines.next().await.expect("more of the frame"));
    if let Some(found) = line.strip_prefix("id: ") {
        id = Some(found.to_owned());
        line = lines.next().await.expect("more of the frame");
    }
    let data = line.strip_prefix("data: ").expect("the data");
    (id, kind, serde_json::from_str(data).expect("JSON"))
}

/// All types that come up to this one.
async fn kinds_up_to(lines: &mut Lines, last: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != last) {
        kinds.push(event(lines).await.1);
    }
    kinds
}

#[tokio::test]
async fn an_app_made_and_removed_is_told_in_the_order_that_clients_wait_for() {
    let ekiden = Ekiden::start("42100-42119", NOTHING).await;
    let headers = format!("{STREAM}Accept-Encoding: gzip\r\n");
    let mut lines = Lines::open(&ekiden, "/v2/events?plan-format=light", &headers).await;
    assert!(lines.head.contains("content-type: text/event-stream"), "{}", lines.head);
    assert!(!lines.head.contains("content-encoding"), "frames must not wait in a compressor: {}", lines.head);
    let (id, kind, attached) = event(&mut lines).await;
    assert_eq!((id, kind.as_str()), (None, "event_stream_attached"));
    assert!(
        attached["remoteAddress"].as_str().is_some_and(|remote| remote.starts_with("127.0.0.1:")),
        "{attached}"
    );

    let (status, made) = ekiden.write_json("POST", "/v2/apps", &app("/prod/web", 1)).await;
    assert_eq!(status, 201, "{made}");
    let mut of_group = None;
    let info = loop {
        let (_, kind, data) = event(&mut lines).await;
        match kind.as_str() {
            "group_change_success" => of_group = Some(data["groupId"].clone()),
            "deployment_info" => break data,
            _ => {}
        }
    };
    assert_eq!(of_group, Some(json!("/prod")));
    assert_eq!(info["plan"]["id"], made["deployments"][0]["id"]);
    assert!(info["plan"].get("original").is_none(), "the light form was asked for: {info}");
    let kinds = kinds_up_to(&mut lines, "deployment_success").await;
    for kind in ["instance_changed_event", "status_update_event", "deployment_step_success"] {
        assert!(kinds.iter().any(|found| found == kind), "{kind} is not among {kinds:?}");
    }
    let (status, gone) = ekiden.write_json("DELETE", "/v2/apps//prod/web", &Value::Null).await;
    assert_eq!(status, 200, "{gone}");
    let kinds = kinds_up_to(&mut lines, "app_terminated_event").await;
    assert!(kinds.contains(&"deployment_info".to_owned()), "{kinds:?}");
}

#[tokio::test]
async fn a_listener_that_was_cut_off_goes_on_after_what_it_has_read() {
    let ekiden = Ekiden::start("42120-42139", NOTHING).await;
    let path = "/v2/events?event_type=group_change_success&event_type=app_terminated_event";
    let mut lines = Lines::open(&ekiden, path, STREAM).await;
    for name in ["/a", "/b", "/c"] {
        assert_eq!(ekiden.write_json("POST", "/v2/apps", &app(name, 1)).await.0, 201);
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (id, kind, _) = event(&mut lines).await;
        assert_eq!(kind, "group_change_success", "nothing else was asked for");
        ids.push(id.expect("each has an id"));
    }
    drop(lines);
    for (headers, query) in [
        (format!("{STREAM}Last-Event-ID: {}\r\n", ids[0]), String::new()),
        (STREAM.to_owned(), format!("&after={}", ids[0])),
    ] {
        let mut resumed = Lines::open(&ekiden, &format!("{path}{query}"), &headers).await;
        for id in &ids[1..] {
            assert_eq!(event(&mut resumed).await.0.as_ref(), Some(id));
        }
    }
    let mut foreign = Lines::open(&ekiden, &format!("{path}&after=1-1"), STREAM).await;
    assert_eq!(foreign.beginning(": ").await, "events before this are no longer kept");
    let wrong = ekiden.get("/v2/events?after=yesterday", "text/event-stream").await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    assert_eq!(ekiden.get("/v2/events", "application/json").await.status, 405);
}

#[tokio::test]
async fn callbacks_are_off_and_say_how_to_turn_them_on() {
    let ekiden = Ekiden::start("42140-42149", NOTHING).await;
    for (method, path) in [
        ("GET", "/v2/eventSubscriptions"),
        ("POST", "/v2/eventSubscriptions?callbackUrl=http://localhost:1/"),
        ("DELETE", "/v2/eventSubscriptions?callbackUrl=http://localhost:1/"),
    ] {
        let answer = ekiden.send(method, path, "").await;
        assert_eq!(answer.status, 404, "{method}: {}", answer.body);
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        assert!(answer.body.contains("--event_subscriber http_callback"), "{}", answer.body);
    }
}
