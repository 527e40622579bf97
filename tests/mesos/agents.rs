//! Agents that are killed, cut off, set up anew, given up by the operator, and that come back.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::ekiden::{Ekiden, ids};
use crate::truth::{self, Running};

/// An unreachable instance is waited for.
const PATIENT: &str = "unreachableStrategy: { inactiveAfterSeconds: 3600, expungeAfterSeconds: 7200 }\n";

/// An unreachable instance is replaced soon, and remembered.
const IMPATIENT: &str = "unreachableStrategy: { inactiveAfterSeconds: 1, expungeAfterSeconds: 3600 }\n";

/// An unreachable instance is replaced soon, and forgotten soon after.
const FORGETFUL: &str = "unreachableStrategy: { inactiveAfterSeconds: 1, expungeAfterSeconds: 3 }\n";

fn sleeper(instances: usize, more: &str) -> String {
    format!("id: sleeper\ncmd: exec sleep 1000\ninstances: {instances}\ncpus: 0.1\nmem: 16\n{more}")
}

/// One instance on one of two agents; says which agent that is, and what runs.
async fn one_of_two(more: &str) -> (Cluster, Ekiden, String, Running) {
    let mut cluster = Cluster::of(2).await;
    let ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(1, more))], &[]).await;
    let first = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    let agent = agent_of(&cluster, &ekiden.tasks("sleeper").await[0]).await;
    (cluster, ekiden, agent, first)
}

async fn agent_of(cluster: &Cluster, task: &Value) -> String {
    for name in ["agent-1", "agent-2"] {
        if task["slaveId"] == json!(cluster.until_registered(name).await) {
            return name.to_owned();
        }
    }
    panic!("an agent that nobody started: {task}");
}

/// Waits until ekiden has an instance of this task that is not `id`, running.
async fn replaced(ekiden: &Ekiden, id: &str) -> String {
    ekiden
        .until(&format!("{id} is replaced"), async || {
            let tasks = ekiden.tasks("sleeper").await;
            let other = tasks.iter().find(|task| task["id"] != json!(id) && task["state"] == "TASK_RUNNING")?;
            Some(other["id"].as_str()?.to_owned())
        })
        .await
}

async fn seen_unreachable(ekiden: &Ekiden) {
    ekiden
        .until("ekiden knows that it cannot be reached", async || {
            let tasks = ekiden.tasks("sleeper").await;
            tasks.iter().any(|task| task["state"] == "TASK_UNREACHABLE").then_some(())
        })
        .await;
}

fn only(tasks: &Running) -> String {
    let mut names = tasks.keys();
    let (Some(name), None) = (names.next(), names.next()) else { panic!("not one: {tasks:?}") };
    name.clone()
}

#[tokio::test]
async fn an_agent_that_is_killed_and_comes_back_in_time_keeps_its_task() {
    let (mut cluster, ekiden, agent, first) = one_of_two(PATIENT).await;
    cluster.kill(&agent);
    seen_unreachable(&ekiden).await;
    let why = ekiden.explain("sleeper").await;
    assert!(why.contains("unreachable"), "{why}");
    cluster.start_again(&agent).await;
    let last = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    assert_eq!(last, first, "the same task, the same processes");
    assert_eq!(truth::tasks(&cluster).await.len(), 1, "and no other ever");
}

#[tokio::test]
async fn an_agent_that_is_cut_off_and_comes_back_in_time_keeps_its_task() {
    let (mut cluster, ekiden, agent, first) = one_of_two(PATIENT).await;
    cluster.freeze(&agent);
    seen_unreachable(&ekiden).await;
    cluster.thaw(&agent);
    let last = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    assert_eq!(last, first, "the same task, the same processes");
    assert_eq!(truth::tasks(&cluster).await.len(), 1, "and no other ever");
}

#[tokio::test]
async fn a_task_that_comes_back_after_it_was_replaced_stays_if_the_youngest_goes_first() {
    let (mut cluster, ekiden, agent, first) =
        one_of_two(&format!("{IMPATIENT}killSelection: YOUNGEST_FIRST\n")).await;
    cluster.freeze(&agent);
    let replacement = replaced(&ekiden, &only(&first)).await;
    cluster.thaw(&agent);
    let last = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    assert_eq!(last, first, "{replacement} was the younger one");
    assert_eq!(truth::tasks(&cluster).await.len(), 2, "it was replaced once");
}

#[tokio::test]
async fn a_task_that_comes_back_after_it_was_replaced_goes_if_the_oldest_goes_first() {
    let (mut cluster, ekiden, agent, first) =
        one_of_two(&format!("{IMPATIENT}killSelection: OLDEST_FIRST\n")).await;
    cluster.kill(&agent);
    let replacement = replaced(&ekiden, &only(&first)).await;
    cluster.start_again(&agent).await;
    cluster.until_registered(&agent).await;
    let last = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    assert_eq!(only(&last), replacement);
    assert_eq!(truth::tasks(&cluster).await.len(), 2, "it was replaced once");
}

#[tokio::test]
async fn a_task_that_comes_back_after_it_was_forgotten_is_ended() {
    let (mut cluster, ekiden, agent, first) = one_of_two(FORGETFUL).await;
    cluster.freeze(&agent);
    let replacement = replaced(&ekiden, &only(&first)).await;
    let forgotten = ekiden.until("the first is forgotten", async || {
        let tasks = ekiden.tasks("sleeper").await;
        (ids(&tasks) == [replacement.as_str()]).then_some(())
    });
    forgotten.await;
    cluster.thaw(&agent);
    cluster.until_registered(&agent).await;
    let last = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    assert_eq!(only(&last), replacement);
}

#[tokio::test]
async fn an_agent_set_up_anew_is_another_agent() {
    let (mut cluster, ekiden, agent, first) = one_of_two(FORGETFUL).await;
    let old = cluster.until_registered(&agent).await;
    cluster.kill(&agent);
    cluster.set_up_anew(&agent);
    cluster.start_again(&agent).await;
    cluster
        .until("it is known by a new id", async || (cluster.until_registered(&agent).await != old).then_some(()))
        .await;
    let replacement = replaced(&ekiden, &only(&first)).await;
    let last = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    assert_eq!(only(&last), replacement);

    let spread = format!("{FORGETFUL}constraints: [[hostname, GROUP_BY]]\n");
    ekiden.write("sleeper.yaml", &sleeper(4, &spread));
    truth::until_exactly(&cluster, &ekiden, &[("sleeper", 4)]).await;
    let tasks = ekiden.tasks("sleeper").await;
    let new = json!(cluster.until_registered(&agent).await);
    assert!(tasks.iter().any(|task| task["slaveId"] == new), "the new one is used: {tasks:?}");
}

#[tokio::test]
async fn the_tasks_of_an_agent_that_the_operator_declares_gone_are_replaced_at_once() {
    let (mut cluster, ekiden, agent, first) = one_of_two(PATIENT).await;
    let id = cluster.until_registered(&agent).await;
    cluster.freeze(&agent);
    seen_unreachable(&ekiden).await;
    cluster
        .operate(&json!({ "type": "MARK_AGENT_GONE", "mark_agent_gone": { "agent_id": { "value": id } } }))
        .await;
    let replacement = replaced(&ekiden, &only(&first)).await;
    // What is gone for Mesos may still run: the agent hears it, and ends its tasks, when it comes back.
    cluster.thaw(&agent);
    let last = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 1)]).await;
    assert_eq!(only(&last), replacement);
    assert_eq!(truth::tasks(&cluster).await.len(), 2, "it was replaced once");
}

#[tokio::test]
async fn losing_an_agent_of_many_instances_replaces_each_once() {
    let mut cluster = Cluster::of(2).await;
    let spread = format!("{IMPATIENT}constraints: [[hostname, GROUP_BY]]\n");
    let ekiden = Ekiden::start(&mut cluster, &[("sleeper.yaml", &sleeper(6, &spread))], &[]).await;
    let first = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 6)]).await;
    let id = cluster.until_registered("agent-1").await;
    let lost = ekiden.tasks("sleeper").await.iter().filter(|task| task["slaveId"] == json!(id)).count();
    assert!(lost > 0);
    // Without its constraint all find a place on the agent that is left.
    cluster.freeze("agent-1");
    cluster.until_unreachable("agent-1").await;
    ekiden
        .until("six run again", async || {
            let tasks = ekiden.tasks("sleeper").await;
            (tasks.iter().filter(|task| task["state"] == "TASK_RUNNING").count() == 6).then_some(())
        })
        .await;
    cluster.thaw("agent-1");
    let again = truth::until_exactly(&cluster, &ekiden, &[("sleeper", 6)]).await;
    assert_eq!(again.len(), 6);
    assert_eq!(truth::tasks(&cluster).await.len(), first.len() + lost, "each that was lost was replaced once");
}
