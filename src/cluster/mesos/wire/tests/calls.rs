//! The calls that launch nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use ekiden_model::input::Ack;
use ekiden_model::{AgentId, FrameworkId, OfferId, Role, TaskId};
use serde_json::{Value, json};

use super::super::super::FrameworkOptions;
use super::super::{
    FrameworkInfo, Reservations, accept_inverse, call, reconcile_marker, subscribe, teardown, update_framework,
};
use crate::cluster::Call;

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

fn said(wanted: &Call) -> Value {
    read(&call(&FrameworkId::new("F"), wanted, "", &mut Reservations::default()).expect("a call of Mesos'"))
}

/// The call with what all calls have.
fn whole(kind: &str, field: &str, content: Value) -> Value {
    let mut whole = json!({"framework_id": {"value": "F"}, "type": kind});
    whole[field] = content;
    whole
}

fn options() -> FrameworkOptions {
    FrameworkOptions {
        name: "ekiden".to_owned(),
        user: "nobody".to_owned(),
        hostname: "here.example".to_owned(),
        webui_url: Some("http://here.example:8080".to_owned()),
        role: Role::any(),
        failover_timeout: Duration::from_secs(604_800),
        checkpoint: true,
        env_vars_prefix: String::new(),
    }
}

fn roles(names: &[&str]) -> BTreeSet<Role> {
    names.iter().map(|name| Role::new(*name)).collect()
}

fn framework_info() -> Value {
    json!({
        "name": "ekiden", "user": "nobody", "hostname": "here.example", "webui_url": "http://here.example:8080",
        "roles": ["*", "web"], "failover_timeout": 604_800.0, "checkpoint": true,
        "capabilities": [{"type": "PARTITION_AWARE"}, {"type": "MULTI_ROLE"}, {"type": "TASK_KILLING_STATE"},
                         {"type": "REGION_AWARE"}, {"type": "RESERVATION_REFINEMENT"}],
    })
}

#[test]
fn a_new_framework_subscribes_without_an_id() {
    let (options, roles) = (options(), roles(&["*", "web"]));
    let info = FrameworkInfo { options: &options, id: None, roles: &roles, principal: None };
    let expected = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info()}});
    assert_eq!(read(&subscribe(info, &BTreeSet::new())), expected);
}

#[test]
fn a_known_framework_says_its_id_twice_and_what_it_wants_no_offers_for() {
    let (options, roles) = (options(), roles(&["*", "web"]));
    let id = FrameworkId::new("F");
    let info = FrameworkInfo { options: &options, id: Some(&id), roles: &roles, principal: Some("ops") };
    let mut framework_info = framework_info();
    framework_info["id"] = json!({"value": "F"});
    framework_info["principal"] = json!("ops");
    let content = json!({"framework_info": framework_info, "suppressed_roles": ["web"]});
    let suppressed = [Role::new("web")].into();
    assert_eq!(read(&subscribe(info, &suppressed)), whole("SUBSCRIBE", "subscribe", content.clone()));
    let expected = whole("UPDATE_FRAMEWORK", "update_framework", content);
    assert_eq!(read(&update_framework(info, &suppressed)), expected);
}

#[test]
fn offers_are_given_back_for_a_while() {
    let decline = Call::Decline {
        offers: vec![OfferId::new("O1"), OfferId::new("O2")],
        refuse_for: Duration::from_millis(2500),
    };
    let content = json!({"offer_ids": [{"value": "O1"}, {"value": "O2"}], "filters": {"refuse_seconds": 2.5}});
    assert_eq!(said(&decline), whole("DECLINE", "decline", content));
}

#[test]
fn an_accept_lets_the_rest_be_offered_again_at_once() {
    let accept = Call::Accept { offers: vec![OfferId::new("O1")], agent: AgentId::new("S1"), tasks: Vec::new() };
    let content = json!({"offer_ids": [{"value": "O1"}], "filters": {"refuse_seconds": 0.0},
        "operations": [{"type": "LAUNCH", "launch": {"task_infos": []}}]});
    assert_eq!(said(&accept), whole("ACCEPT", "accept", content));
}

#[test]
fn offers_are_asked_for_and_not_asked_for_per_role() {
    let role = Role::new("web");
    let content = json!({"roles": ["web"]});
    assert_eq!(said(&Call::Revive(role.clone())), whole("REVIVE", "revive", content.clone()));
    assert_eq!(said(&Call::Suppress(role)), whole("SUPPRESS", "suppress", content));
}

#[test]
fn a_kill_says_as_much_as_is_known() {
    let task = TaskId::new("t");
    let kill = Call::Kill { task: task.clone(), agent: None, grace: None };
    assert_eq!(said(&kill), whole("KILL", "kill", json!({"task_id": {"value": "t"}})));
    let kill = Call::Kill { task, agent: Some(AgentId::new("S1")), grace: Some(Duration::from_millis(1500)) };
    let content = json!({"task_id": {"value": "t"}, "agent_id": {"value": "S1"},
        "kill_policy": {"grace_period": {"nanoseconds": 1_500_000_000}}});
    assert_eq!(said(&kill), whole("KILL", "kill", content));
}

#[test]
fn an_acknowledgement_repeats_what_it_acknowledges() {
    let ack = Ack { agent: AgentId::new("S1"), task: TaskId::new("t"), uuid: (0..16).collect::<Vec<u8>>().into() };
    let content =
        json!({"agent_id": {"value": "S1"}, "task_id": {"value": "t"}, "uuid": "AAECAwQFBgcICQoLDA0ODw=="});
    assert_eq!(said(&Call::Acknowledge(ack)), whole("ACKNOWLEDGE", "acknowledge", content));
}

#[test]
fn tasks_are_asked_about_by_name_or_all_together() {
    assert_eq!(said(&Call::Reconcile(Vec::new())), whole("RECONCILE", "reconcile", json!({"tasks": []})));
    let question = json!({"task_id": {"value": "t"}, "agent_id": {"value": "S1"}});
    let asked = Call::Reconcile(vec![(TaskId::new("t"), AgentId::new("S1"))]);
    assert_eq!(said(&asked), whole("RECONCILE", "reconcile", json!({"tasks": [question]})));
}

#[test]
fn the_marker_is_asked_about_on_an_agent_that_cannot_be_waited_for() {
    let body = read(&reconcile_marker(&FrameworkId::new("F"), &TaskId::new("m")));
    let question = json!({"task_id": {"value": "m"}, "agent_id": {"value": "ekiden-no-such-agent"}});
    assert_eq!(body, whole("RECONCILE", "reconcile", json!({"tasks": [question]})));
}

#[test]
fn maintenance_is_agreed_to() {
    let body = read(&accept_inverse(&FrameworkId::new("F"), &[OfferId::new("I1")]));
    let content = json!({"inverse_offer_ids": [{"value": "I1"}]});
    assert_eq!(body, whole("ACCEPT_INVERSE_OFFERS", "accept_inverse_offers", content));
}

#[test]
fn a_teardown_has_nothing_to_add() {
    assert_eq!(
        read(&teardown(&FrameworkId::new("F"))),
        json!({"framework_id": {"value": "F"}, "type": "TEARDOWN"})
    );
}

#[test]
fn what_concerns_the_connection_is_no_call() {
    for wanted in [Call::Survey { except: None }, Call::Subscribe(None)] {
        assert_eq!(call(&FrameworkId::new("F"), &wanted, "", &mut Reservations::default()), None);
    }
}
