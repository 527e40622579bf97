//! Calls: in their order, on the stream they belong to, no more of them than needed; and what comes of them.

use std::time::{Duration, SystemTime};

use ekiden::cluster::Call;
use ekiden_kit::build;
use ekiden_kit::master::{AgentSpec, Fault, Options, Registry, Rule};
use ekiden_model::input::ClusterEvent;
use ekiden_model::instance::Condition;
use ekiden_model::{AgentId, Role, TaskId};

use crate::rig::{QUIET, Rig, decline, kill, kinds};

#[tokio::test]
async fn calls_arrive_in_the_order_in_which_they_were_made_and_not_on_the_stream_s_connection() {
    let (mut rig, id) = Rig::subscribed(Options::default()).await;
    rig.drained().await;
    rig.fake.forget_seen();
    let mut expected = Vec::new();
    for number in 0..100 {
        let task = format!("task-{number}");
        rig.mesos.call(kill(&task)).await;
        rig.mesos.call(decline(&format!("offer-{number}"))).await;
        expected.extend([task, format!("offer-{number}")]);
    }
    rig.seen_calls("DECLINE", 100).await;
    let seen = rig.fake.seen();
    let order: Vec<&str> = seen
        .iter()
        .filter_map(|seen| {
            let kill = seen.body["kill"]["task_id"]["value"].as_str();
            kill.or_else(|| seen.body["decline"]["offer_ids"][0]["value"].as_str())
        })
        .collect();
    assert_eq!(order, expected);
    let stream = rig.fake.stream_connection(id.as_str());
    assert!(seen.iter().all(|seen| Some(seen.connection) != stream), "calls have a connection of their own");
    let used: std::collections::BTreeSet<u64> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(used.len(), 1, "and no more than one");
}

#[tokio::test]
async fn no_call_decided_for_one_subscription_is_sent_on_another() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    rig.drained().await;
    rig.fake.forget_seen();
    rig.fake.script(Rule::next("KILL", Fault::Late(Duration::from_millis(500))));
    for number in 0..50 {
        rig.mesos.call(kill(&format!("old-{number}"))).await;
    }
    rig.seen_calls("KILL", 1).await;
    rig.fake.break_streams();
    // The loss is not read for a while: whoever decides does not know, and goes on making calls.
    tokio::time::sleep(QUIET).await;
    for number in 0..50 {
        rig.mesos.call(decline(&format!("old-{number}"))).await;
    }
    rig.disconnected().await;
    rig.connected().await;
    rig.mesos.call(kill("new")).await;
    rig.seen("the new one", |fake| {
        fake.calls("KILL").iter().any(|seen| seen.body["kill"]["task_id"]["value"] == "new").then_some(())
    })
    .await;
    let late: Vec<String> = kinds(&rig.fake).into_iter().skip_while(|kind| kind != "SUBSCRIBE").collect();
    assert_eq!(late.iter().filter(|kind| *kind == "KILL").count(), 1, "{late:?}");
    assert_eq!(rig.fake.count("DECLINE"), 0, "{late:?}");
    // The one that was under way met the loss; nothing after it named a stream of before.
    assert!(rig.fake.calls("KILL")[1..].iter().all(|seen| seen.status == Some(202)), "{late:?}");
}

#[tokio::test]
async fn of_many_words_about_a_roles_offers_the_last_is_sent() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    rig.drained().await;
    rig.fake.forget_seen();
    rig.fake.script(Rule::next("KILL", Fault::Late(Duration::from_millis(300))));
    rig.mesos.call(kill("slow")).await;
    rig.seen_calls("KILL", 1).await;
    for _ in 0..100 {
        rig.mesos.call(Call::Suppress(Role::any())).await;
        rig.mesos.call(Call::Revive(Role::any())).await;
    }
    rig.seen_calls("REVIVE", 1).await;
    rig.drained().await;
    assert_eq!(kinds(&rig.fake), ["KILL", "REVIVE"]);
}

#[tokio::test]
async fn a_role_is_made_ours_before_its_offers_are_asked_for_and_stays_so() {
    let agent = AgentSpec::new("reserving.test").reserve("web", "cpus", 2.0).reserve("web", "mem", 512.0);
    let (mut rig, _) = Rig::subscribed(Options { agents: vec![agent], ..Options::default() }).await;
    let first = rig.offer().await;
    assert!(first.reserved.is_empty());
    settled(&rig).await;
    let web = Role::new("web");
    rig.mesos.call(Call::Revive(web.clone())).await;
    let offer = rig
        .until("an offer to the role", |event| match event {
            ClusterEvent::Offers(offers) => offers.iter().find(|offer| offer.role == web).cloned(),
            _ => None,
        })
        .await;
    assert!(!offer.reserved.is_empty(), "what is reserved to it");
    rig.seen_calls("REVIVE", 1).await;
    assert_eq!(kinds(&rig.fake), ["UPDATE_FRAMEWORK", "REVIVE"]);
    rig.mesos.call(Call::Revive(web)).await;
    rig.seen_calls("REVIVE", 2).await;
    assert_eq!(rig.fake.count("UPDATE_FRAMEWORK"), 1);

    rig.fake.break_streams();
    rig.disconnected().await;
    rig.connected().await;
    let again = rig.fake.calls("SUBSCRIBE");
    let roles = &again.last().expect("subscribed again").body["subscribe"]["framework_info"]["roles"];
    assert_eq!(*roles, serde_json::json!(["*", "web"]));
}

#[tokio::test]
async fn a_role_that_is_refused_costs_its_revival_and_suppression_of_others_survives_a_new_role() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    rig.offer().await;
    settled(&rig).await;
    rig.mesos.call(Call::Suppress(Role::any())).await;
    rig.mesos.call(Call::Revive(Role::new("web"))).await;
    rig.seen_calls("REVIVE", 1).await;
    let update = &rig.fake.calls("UPDATE_FRAMEWORK")[0].body["update_framework"];
    assert_eq!(update["suppressed_roles"], serde_json::json!(["*"]), "an update replaces what is suppressed");

    rig.fake.script(Rule::next("UPDATE_FRAMEWORK", Fault::answer(400, "FrameworkInfo update is not valid: no")));
    rig.mesos.call(Call::Revive(Role::new("forbidden"))).await;
    rig.mesos.call(kill("next")).await;
    rig.seen_calls("KILL", 1).await;
    assert_eq!(rig.fake.calls("REVIVE").len(), 1, "none for a role that is not ours");
}

#[tokio::test]
async fn a_task_is_launched_told_of_step_by_step_and_killed() {
    let (mut rig, id) = Rig::subscribed(Options::default()).await;
    let offer = rig.offer().await;
    let app = build::app("/a").build();
    let task = rig.launch(&offer, &app, 0).await;
    for condition in [Condition::Starting, Condition::Running] {
        let status = rig.status(&task).await;
        assert_eq!(status.condition, condition);
        rig.mesos.call(Call::Acknowledge(status.ack.expect("to be acknowledged"))).await;
    }
    rig.seen_calls("ACKNOWLEDGE", 2).await;
    let running = rig.fake.running();
    assert_eq!((running.len(), &*running[task.as_str()].state), (1, "TASK_RUNNING"));
    assert_eq!(running[task.as_str()].framework, id.as_str());

    let agent = Some(offer.agent.id.clone());
    rig.mesos.call(Call::Kill { task: task.clone(), agent, grace: Some(Duration::from_secs(7)) }).await;
    for condition in [Condition::Killing, Condition::Killed] {
        let status = rig.status(&task).await;
        assert_eq!(status.condition, condition);
        rig.mesos.call(Call::Acknowledge(status.ack.expect("to be acknowledged"))).await;
    }
    rig.seen("its end", |fake| (fake.completed().len() == 1).then_some(())).await;
    let grace = &rig.fake.calls("KILL")[0].body["kill"]["kill_policy"]["grace_period"]["nanoseconds"];
    assert_eq!(*grace, 7_000_000_000_i64);
}

#[tokio::test]
async fn an_update_is_told_as_often_as_it_comes_until_it_is_acknowledged() {
    let options = Options { resend_after: Duration::from_millis(50), ..Options::default() };
    let (mut rig, _) = Rig::subscribed(options).await;
    let offer = rig.offer().await;
    let task = rig.launch(&offer, &build::app("/a").build(), 0).await;
    let first = rig.status(&task).await;
    for _ in 0..3 {
        assert_eq!(rig.status(&task).await.ack, first.ack, "the same one");
    }
    rig.mesos.call(Call::Acknowledge(first.ack.expect("to be acknowledged"))).await;
    let next = rig.until("the next", |event| match event {
        ClusterEvent::Status(status) if status.condition == Condition::Running => Some(status.clone()),
        _ => None,
    });
    assert!(next.await.ack.is_some());
}

#[tokio::test]
async fn updates_come_again_after_a_new_subscription() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    let offer = rig.offer().await;
    let task = rig.launch(&offer, &build::app("/a").build(), 0).await;
    let first = rig.status(&task).await;
    rig.fake.script(Rule::next("ACKNOWLEDGE", Fault::Lost));
    rig.mesos.call(Call::Acknowledge(first.ack.clone().expect("to be acknowledged"))).await;
    rig.seen_calls("ACKNOWLEDGE", 1).await;
    rig.fake.break_streams();
    rig.connected().await;
    assert_eq!(rig.status(&task).await.ack, first.ack);
}

#[tokio::test]
async fn what_is_not_in_an_offer_is_not_launched_and_it_is_said() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    let offer = rig.offer().await;
    rig.fake.rescind_offers();
    let task = rig.launch(&offer, &build::app("/a").build(), 0).await;
    let status = rig.status(&task).await;
    assert_eq!(status.condition, Condition::Dropped);
    assert_eq!(status.ack, None, "the master's own word is not acknowledged");
}

#[tokio::test]
async fn reconciliation_is_complete_when_all_has_been_told() {
    let mut rig = Rig::new(Options { registry: Registry::Replicated, ..two_agents() }).await;
    place_tasks(&rig, 0, 0..20);
    place_tasks(&rig, 1, 20..40);
    rig.mesos.call(Call::Subscribe(Some(ekiden_model::FrameworkId::new("known-0000")))).await;
    rig.connected().await;
    rig.mesos.call(Call::Reconcile(Vec::new())).await;
    assert_eq!(told_before_reconciled(&mut rig).await.len(), 40);

    // Half of the agents have not come to the new master: of their tasks nothing is heard, and that is all there is.
    rig.fake.fail_over(0);
    rig.disconnected().await;
    rig.connected().await;
    rig.fake.agent_registers(0);
    let asked: Vec<_> = [("task-0", 0), ("task-20", 1)]
        .map(|(task, agent)| (TaskId::new(task), AgentId::new(rig.fake.agent_id(agent))))
        .into();
    rig.mesos.call(Call::Reconcile(asked)).await;
    rig.mesos.call(Call::Reconcile(Vec::new())).await;
    let told = told_before_reconciled(&mut rig).await;
    assert!(!told.iter().any(|task| task.as_str() == "task-20"), "silence about an agent that is not back");
    assert_eq!(told.len(), 21, "once by name, and all of the one agent's");
}

#[tokio::test]
async fn only_the_last_of_several_reconciliations_is_told_to_be_complete() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    rig.drained().await;
    rig.fake.script(Rule::next("RECONCILE", Fault::Late(Duration::from_millis(200))));
    for _ in 0..3 {
        rig.mesos.call(Call::Reconcile(Vec::new())).await;
    }
    let told = rig.drained().await;
    let complete = told.iter().filter(|event| **event == ClusterEvent::Reconciled).count();
    assert_eq!(complete, 1, "{told:?}");
}

#[tokio::test]
async fn many_tasks_are_asked_about_in_calls_of_a_bounded_size() {
    let (rig, _) = Rig::subscribed(Options::default()).await;
    let tasks = (0..2_500).map(|number| (TaskId::new(format!("task-{number}")), AgentId::new("a"))).collect();
    rig.mesos.call(Call::Reconcile(tasks)).await;
    rig.seen_calls("RECONCILE", 3).await;
    let sizes: Vec<usize> = rig
        .fake
        .calls("RECONCILE")
        .iter()
        .map(|seen| seen.body["reconcile"]["tasks"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(sizes, [1_000, 1_000, 500]);
}

#[tokio::test]
async fn agents_that_are_lost_and_agents_that_are_to_be_away_are_told() {
    let (mut rig, _) = Rig::subscribed(two_agents()).await;
    rig.offer().await;
    let window = (SystemTime::now() + Duration::from_secs(3600), Some(Duration::from_secs(600)));
    rig.fake.schedule_maintenance(1, Some(window));
    let agent = AgentId::new(rig.fake.agent_id(1));
    let announced = rig.until("the window", |event| match event {
        ClusterEvent::Maintenance(of, Some((_, lasts))) if *of == agent => Some(*lasts),
        _ => None,
    });
    assert_eq!(announced.await, Some(Duration::from_secs(600)));
    rig.seen_calls("ACCEPT_INVERSE_OFFERS", 1).await;

    rig.fake.agent_unreachable(0);
    let lost = AgentId::new(rig.fake.agent_id(0));
    rig.until("the loss", |event| (*event == ClusterEvent::AgentUnreachable(lost.clone())).then_some(())).await;
}

/// Waits until what every subscription begins with has been said, and forgets it.
async fn settled(rig: &Rig) {
    rig.seen_calls("REVIVE", 1).await;
    rig.fake.forget_seen();
}

fn two_agents() -> Options {
    let agents = vec![AgentSpec::new("one.test"), AgentSpec::new("two.test")];
    Options { agents, ..Options::default() }
}

fn place_tasks(rig: &Rig, agent: usize, numbers: std::ops::Range<u32>) {
    crate::survey::place(rig, "known-0000", "under-test", agent, numbers);
}

async fn told_before_reconciled(rig: &mut Rig) -> Vec<TaskId> {
    let mut told = Vec::new();
    rig.until("all of it", |event| match event {
        ClusterEvent::Status(status) => {
            told.push(status.task.clone());
            None
        }
        ClusterEvent::Reconciled => Some(()),
        _ => None,
    })
    .await;
    told
}
