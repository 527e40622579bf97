//! What listeners are told beside what instances go through.

use ekiden_kit::build;
use ekiden_model::event::Event;
use ekiden_model::health::{Outcome, ProbeKind};
use ekiden_model::input::{ClusterEvent, FrameworkMessage};
use ekiden_model::view::Sample;
use ekiden_model::{AgentId, Condition, Effect, Input, TaskId};

use super::story::{Story, connected, declared, reconciled, told, web, withdrawn};

fn events(effects: &[Effect]) -> Vec<&Event> {
    let events = effects.iter().filter_map(|effect| match effect {
        Effect::Notify(event) => Some(event),
        _ => None,
    });
    events.collect()
}

/// Checks that came, checks that went.
fn checks(effects: &[Effect]) -> (usize, usize) {
    let count = |is: fn(&Event) -> bool| events(effects).into_iter().filter(|event| is(event)).count();
    (
        count(|event| matches!(event, Event::CheckAdded { .. })),
        count(|event| matches!(event, Event::CheckRemoved { .. })),
    )
}

#[test]
fn health_checks_are_told_as_they_come_and_go_and_not_again() {
    let with = |instances: u32| build::app("/web").instances(instances).dynamic_ports(1).http_check();
    let mut story = Story::new();
    story.settle([connected(), reconciled()]);
    assert_eq!(checks(&story.settle([declared(with(1).arc())])), (1, 0));
    assert_eq!(checks(&story.settle([declared(with(2).arc())])), (0, 0), "it is the same check");
    assert_eq!(checks(&story.settle([declared(with(2).tcp_check().arc())])), (1, 0));
    assert_eq!(checks(&story.settle([withdrawn("/web")])), (0, 2));
}

#[test]
fn a_check_that_fails_is_told_with_the_check_and_a_success_is_not() {
    let app = build::app("/web").instances(1).cpus(1.0).mem(32.0).dynamic_ports(1).http_check().arc();
    let (mut story, tasks) = Story::running(app.clone());
    let at = story.now;
    let sample = |outcome| {
        let (instance, kind) = (tasks[0].instance, ProbeKind::Health(0));
        let sample = Sample { instance, kind, at, outcome, http_status: None };
        Input::Probe(app.id.clone(), sample)
    };
    let failed = |effects: &[Effect]| {
        let failed = events(effects).into_iter().filter(|event| {
            matches!(event, Event::CheckFailed { app: of, check, .. } if *of == app.id && **check == app.health_checks[0])
        });
        failed.count()
    };
    // Before the first success, failures do not count while the app may still be starting.
    assert_eq!(failed(&story.settle([sample(Outcome::Success)])), 0);
    assert_eq!(failed(&story.settle([sample(Outcome::Failure("refused".into()))])), 1);
    assert_eq!(failed(&story.settle([sample(Outcome::Success)])), 0);
}

#[test]
fn the_end_of_a_task_that_is_not_known_is_told() {
    let (mut story, tasks) = Story::running(web(1));
    let foreign = TaskId::new("cassandra-7");
    let unknown = |effects: &[Effect]| {
        let ended = events(effects).into_iter().filter_map(|event| match event {
            Event::UnknownTerminated { task, condition } => Some((task.clone(), *condition)),
            _ => None,
        });
        ended.collect::<Vec<_>>()
    };
    assert_eq!(unknown(&story.settle([told(&foreign, Condition::Running)])), []);
    assert_eq!(
        unknown(&story.settle([told(&foreign, Condition::Failed)])),
        [(foreign.clone(), Condition::Failed)]
    );
    assert_eq!(unknown(&story.settle([told(&tasks[0].task, Condition::Failed)])), [], "it is known");
}

#[test]
fn what_an_executor_says_is_told_and_nothing_else_comes_of_it() {
    let (mut story, _) = Story::running(web(1));
    let (agent, executor, data) = (AgentId::new("agent"), "e-1".into(), [1, 2].into());
    let message = FrameworkMessage { agent, executor, data };
    let effects = story.settle([Input::Cluster(ClusterEvent::Message(message.clone()))]);
    assert_eq!(effects, [Effect::Notify(Event::Message(message))]);
}
