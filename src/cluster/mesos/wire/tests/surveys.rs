//! Surveys.

use ekiden_model::input::Found;
use ekiden_model::{Condition, Fingerprint, FrameworkId, Port, Role, TaskId};
use serde_json::{Value, json};

use super::super::WireError;
use super::super::survey::{self, CALLS, Wanted};

const AGENTS: &str = include_str!("data/agents.json");
const FRAMEWORKS: &str = include_str!("data/frameworks.json");
const TASKS: &str = include_str!("data/tasks.json");

/// The framework in the answers.
const ID: &str = "2a2480fe-c765-4aec-9a4c-6cdb025698f3-0000";

fn read(wanted: Wanted<'_>, frameworks: &str) -> Found {
    survey::read(wanted, [AGENTS.as_bytes(), frameworks.as_bytes(), TASKS.as_bytes()]).expect("real answers")
}

fn by_name(name: &str) -> Wanted<'_> {
    Wanted { name, except: None, id: None, subscribed: false }
}

#[test]
fn the_calls_ask_for_what_is_read() {
    let asked: Vec<String> =
        CALLS.iter().map(|call| serde_json::from_str::<Value>(call).expect("JSON")["type"].to_string()).collect();
    let answered: Vec<String> = [AGENTS, FRAMEWORKS, TASKS]
        .iter()
        .map(|answer| serde_json::from_str::<Value>(answer).expect("JSON")["type"].to_string())
        .collect();
    assert_eq!(asked, answered);
}

#[test]
fn tasks_are_found_on_agents_that_answer_and_on_those_that_do_not() {
    let found = read(by_name("ekiden"), FRAMEWORKS);
    assert_eq!(found.framework.as_ref().map(FrameworkId::as_str), Some(ID));
    assert_eq!(found.connected_from.as_deref(), Some("scheduler.example"));
    let seen: Vec<(&str, Condition, i64, &str)> = found
        .tasks
        .iter()
        .map(|task| (task.task.as_str(), task.condition, task.since.as_millis(), &*task.agent.hostname))
        .collect();
    let lost_agent = "2a2480fe-c765-4aec-9a4c-6cdb025698f3-S1";
    let expected = [
        ("t0", Condition::Running, 1_795_264_304_706, "localhost"),
        ("t1", Condition::Unreachable, 1_795_264_310_400, lost_agent),
    ];
    assert_eq!(seen, expected);
    for task in &found.tasks {
        assert_eq!(task.role, Role::any());
        assert_eq!(task.template, Some(Fingerprint::from_u64(255)));
        assert_eq!(task.host_ports, [Port::new(31_005), None, Port::new(31_007)]);
        assert_eq!(task.healthy, Some(true));
    }
    assert_eq!(found.tasks[1].agent.id.as_str(), lost_agent);
}

#[test]
fn who_is_connected_is_somebody_else_only_while_we_are_not() {
    let id = FrameworkId::new(ID);
    let subscribed = Wanted { name: "whatever", except: None, id: Some(&id), subscribed: true };
    assert_eq!(read(subscribed, FRAMEWORKS).connected_from, None);
    assert_eq!(read(subscribed, FRAMEWORKS).tasks.len(), 2);
    let gone = FRAMEWORKS.replace(r#""connected":true"#, r#""connected":false"#);
    let found = read(by_name("ekiden"), &gone);
    assert_eq!((found.connected_from, found.tasks.len()), (None, 2));
}

#[test]
fn nobody_of_our_name_or_id_is_nobody_and_what_others_of_our_name_run_is_told() {
    let other = FrameworkId::new("other");
    assert_eq!(read(by_name("Ekiden"), FRAMEWORKS), Found::default());
    let ids = |tasks: &[&'static str]| tasks.iter().map(|id| TaskId::new(*id)).collect::<Vec<_>>();
    let beside = Found { beside: ids(&["t0", "t1"]), ..Found::default() };
    assert_eq!(
        read(Wanted { name: "ekiden", except: None, id: Some(&other), subscribed: false }, FRAMEWORKS),
        beside
    );
    assert_eq!(read(Wanted { except: Some(&FrameworkId::new(ID)), ..by_name("ekiden") }, FRAMEWORKS), beside);
}

#[test]
fn of_several_of_our_name_it_is_the_connected_one_or_else_the_last() {
    let framework = |id: &str, connected: bool, registered: i64| {
        json!({"framework_info": {"name": "ekiden", "id": {"value": id}}, "connected": connected,
               "registered_time": {"nanoseconds": registered * 1_000_000_000}})
    };
    let but = |except: Option<&FrameworkId>, frameworks: &[Value]| {
        let answer = json!({"type": "GET_FRAMEWORKS", "get_frameworks": {"frameworks": frameworks}});
        let found = read(Wanted { except, ..by_name("ekiden") }, &answer.to_string());
        found.framework.map(|id| id.to_string())
    };
    let of = |frameworks: &[Value]| but(None, frameworks);
    let (old, new) = (framework("old", false, 5), framework("new", false, 6));
    assert_eq!(of(&[old.clone(), new.clone()]).as_deref(), Some("new"));
    assert_eq!(of(&[new.clone(), old.clone()]).as_deref(), Some("new"));
    assert_eq!(of(&[old.clone(), framework("here", true, 1), new.clone()]).as_deref(), Some("here"));
    // One that was disowned hides no other.
    let disowned = FrameworkId::new("new");
    assert_eq!(but(Some(&disowned), &[old, new.clone()]).as_deref(), Some("old"));
    assert_eq!(but(Some(&disowned), &[new]), None);
}

#[test]
fn what_has_ended_or_is_somebody_elses_is_not_found() {
    let ended = TASKS.replace(r#""state":"TASK_RUNNING","resources""#, r#""state":"TASK_FAILED","resources""#);
    assert_ne!(ended, TASKS);
    let answers = [AGENTS.as_bytes(), FRAMEWORKS.as_bytes(), ended.as_bytes()];
    let found = survey::read(by_name("ekiden"), answers).expect("answers");
    assert_eq!(found.tasks.len(), 1);
    let others = TASKS.replace(ID, "other");
    let answers = [AGENTS.as_bytes(), FRAMEWORKS.as_bytes(), others.as_bytes()];
    assert_eq!(survey::read(by_name("ekiden"), answers).expect("answers").tasks, []);
}

#[test]
fn a_new_master_says_how_many_agents_it_waits_for() {
    assert_eq!(survey::agents_awaited(AGENTS.as_bytes()).expect("an answer"), 0);
    let mut waiting: Value = serde_json::from_str(AGENTS).expect("JSON");
    let agent = waiting["get_agents"]["agents"][0]["agent_info"].take();
    waiting["get_agents"] = json!({"recovered_agents": [agent.clone(), agent]});
    assert_eq!(survey::agents_awaited(waiting.to_string().as_bytes()).expect("an answer"), 2);
    assert!(survey::agents_awaited(TASKS.as_bytes()).is_err());
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let answers = [AGENTS.as_bytes(), TASKS.as_bytes(), TASKS.as_bytes()];
    let result = survey::read(by_name("ekiden"), answers);
    assert!(matches!(result, Err(WireError::Missing("get_frameworks"))), "{result:?}");
}
