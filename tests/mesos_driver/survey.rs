//! What is found of us, or of who was here before us.

use ekiden::cluster::Call;
use ekiden::cluster::mesos::ConnectionStatus;
use ekiden_kit::master::{AgentSpec, Fault, Options, Rule};
use ekiden_model::FrameworkId;
use ekiden_model::input::{ClusterEvent, Found};
use serde_json::json;

use crate::rig::{PATIENCE, QUIET, Rig};

/// Puts tasks where a framework of before has left them.
pub(crate) fn place(rig: &Rig, framework: &str, name: &str, agent: usize, numbers: std::ops::Range<u32>) {
    let info = json!({
        "id": {"value": framework}, "name": name, "user": "nobody", "roles": ["*"], "hostname": "before.test",
        "failover_timeout": 600.0, "checkpoint": true, "capabilities": [{"type": "PARTITION_AWARE"}],
    });
    for number in numbers {
        let task = json!({
            "name": "app", "task_id": {"value": format!("task-{number}")},
            "agent_id": {"value": rig.fake.agent_id(agent)},
            "labels": {"labels": [{"key": "ekiden.template", "value": "00000000000000ff"}]},
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.01}, "allocation_info": {"role": "*"}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": 1.0}, "allocation_info": {"role": "*"}},
            ],
        });
        rig.fake.place_running(&info, agent, task).expect("resources");
    }
}

async fn found(rig: &mut Rig) -> Found {
    rig.mesos.call(Call::Survey { except: None }).await;
    rig.until("what is found", |event| match event {
        ClusterEvent::Found(found) => Some(found.clone()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn nothing_is_found_where_nobody_of_our_name_was() {
    let mut rig = Rig::new(Options::default()).await;
    place(&rig, "other-0000", "somebody-else", 0, 0..3);
    assert_eq!(found(&mut rig).await, Found::default());
    assert_eq!(rig.fake.count("SUBSCRIBE"), 0, "looking is no subscription");
}

#[tokio::test]
async fn a_framework_of_our_name_is_found_with_its_tasks() {
    let mut rig = Rig::new(Options::default()).await;
    place(&rig, "other-0000", "somebody-else", 0, 10..13);
    place(&rig, "ours-0000", "under-test", 0, 0..3);
    let found = found(&mut rig).await;
    assert_eq!(found.framework.as_ref().map(FrameworkId::as_str), Some("ours-0000"));
    assert_eq!(found.connected_from, None);
    let tasks: Vec<&str> = found.tasks.iter().map(|task| task.task.as_str()).collect();
    assert_eq!(tasks, ["task-0", "task-1", "task-2"]);
    assert_eq!(found.tasks[0].template.map(ekiden_model::Fingerprint::as_u64), Some(255));
    assert_eq!(&*found.tasks[0].agent.hostname, "agent-0.test");
}

#[tokio::test]
async fn a_scheduler_that_is_connected_as_us_is_named() {
    let (rig, id) = Rig::subscribed(Options::default()).await;
    let other = crate::rig::options(&rig.fake.address());
    let Rig { fake, .. } = &rig;
    assert_eq!(fake.frameworks().len(), 1);
    let mut second =
        Rig::with(ekiden_kit::master::FakeMesos::start(Options::default()).await.expect("a port"), other);
    let found = found(&mut second).await;
    assert_eq!(found.framework, Some(id));
    assert_eq!(found.connected_from.as_deref(), Some("here.test"));
}

#[tokio::test]
async fn what_a_new_master_does_not_know_yet_is_waited_for_and_told_of() {
    let agents = ["agent-0.test", "agent-1.test", "agent-2.test"].map(AgentSpec::new).to_vec();
    let mut rig = Rig::new(Options { agents, ..Options::default() }).await;
    for (agent, numbers) in [0..3, 3..5, 5..6].into_iter().enumerate() {
        place(&rig, "ours-0000", "under-test", agent, numbers);
    }
    rig.fake.fail_over(0);
    rig.fake.agent_registers(0);
    rig.mesos.call(Call::Survey { except: None }).await;
    let waits = |status: &ConnectionStatus| match status {
        ConnectionStatus::Trying { what, .. } => what.contains("waits for 2 agent(s)"),
        _ => false,
    };
    let mut status = rig.mesos.status();
    tokio::time::timeout(PATIENCE, status.wait_for(waits)).await.expect("it says so").expect("it runs");
    // It is asked again, and there is no answer while one is away.
    rig.fake.agent_registers(1);
    rig.seen_calls("GET_AGENTS", 3).await;
    assert_eq!(rig.event_within(QUIET).await, None, "half of the truth");
    assert_eq!(rig.fake.count("GET_TASKS"), 0, "what is not all is not read");
    rig.fake.agent_registers(2);
    let found = rig
        .until("what is found", |event| match event {
            ClusterEvent::Found(found) => Some(found.clone()),
            _ => None,
        })
        .await;
    assert_eq!(found.framework, Some(FrameworkId::new("ours-0000")));
    assert_eq!(found.tasks.len(), 6);
    assert_eq!(*rig.mesos.status().borrow(), ConnectionStatus::NotWanted, "all is well again");
}

#[tokio::test]
async fn a_first_subscription_whose_answer_is_lost_is_not_made_again_before_it_is_found_what_came_of_it() {
    for fault in [Fault::DoneAndHangUp, Fault::HangUp] {
        let is_done = fault == Fault::DoneAndHangUp;
        let mut rig = Rig::new(Options::default()).await;
        rig.fake.script(Rule::next("SUBSCRIBE", fault));
        rig.mesos.call(Call::Subscribe(None)).await;
        rig.disconnected().await;
        assert_eq!(rig.drained().await, []);
        assert_eq!(rig.fake.count("SUBSCRIBE"), 1, "not by itself");
        let found = found(&mut rig).await;
        assert_eq!((found.framework.is_some(), found.connected_from), (is_done, None));
        rig.mesos.call(Call::Subscribe(found.framework.clone())).await;
        let id = rig.connected().await;
        assert_eq!(found.framework, is_done.then_some(id));
        assert_eq!(rig.fake.frameworks().len(), 1, "nobody's framework is left behind");
    }
}

#[tokio::test]
async fn a_survey_that_meets_trouble_is_made_again() {
    let mut rig = Rig::new(Options::default()).await;
    place(&rig, "ours-0000", "under-test", 0, 0..2);
    rig.fake.script(Rule::next("GET_FRAMEWORKS", Fault::answer(503, "")));
    rig.fake.script(Rule::next("GET_TASKS", Fault::HangUp));
    rig.fake.script(Rule::next("GET_AGENTS", Fault::answer(200, "{\"type\":")));
    assert_eq!(found(&mut rig).await.tasks.len(), 2);
}
