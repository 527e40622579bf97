//! Deployments: what it costs to follow one, and that it is followed on after a death.

use ekiden_kit::build;
use ekiden_model::deployment::{Ending, Stage, StepEnd};
use ekiden_model::event::Event;
use ekiden_model::input::Desired;
use ekiden_model::record::{Record, RecordKey, Write};
use ekiden_model::{Condition, Effect, Input};

use crate::story::{Story, connected, file, launches, reconciled, told};

const APPS: u32 = 100;

fn declared(count: u32) -> Input {
    let app = |number: u32| build::app(&format!("/app-{number}")).instances(1).cpus(0.01).mem(1.0).arc();
    let declare = (0..count).map(|number| (app(number), file())).collect();
    Input::Desired(Desired { declare, withdraw: Vec::new(), complete: true, commit: None })
}

/// How often a deployment is written, and how often it is taken off the record.
fn writes(effects: &[Effect]) -> (usize, usize) {
    let writes = effects.iter().filter_map(|effect| match effect {
        Effect::Persist { writes, .. } => Some(writes),
        _ => None,
    });
    let (mut put, mut deleted) = (0, 0);
    for write in writes.flatten() {
        put += usize::from(matches!(write, Write::Put(Record::Deployment(_))));
        deleted += usize::from(matches!(write, Write::Delete(RecordKey::Deployment(_))));
    }
    (put, deleted)
}

fn steps_and_ends(effects: &[Effect]) -> (Vec<(Stage, StepEnd)>, Vec<Ending>) {
    let (mut steps, mut ends) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Notify(Event::DeploymentStep(_, stage, end)) => steps.push((*stage, *end)),
            Effect::Notify(Event::DeploymentEnded(_, ending)) => ends.push(ending.clone()),
            _ => {}
        }
    }
    (steps, ends)
}

#[test]
fn a_deployment_of_many_apps_is_written_once_and_told_step_by_step_and_not_app_by_app() {
    let mut story = Story::new();
    let offer = story.offer();
    let begun = story.settle([connected(), reconciled(), declared(APPS), offer]);
    assert_eq!(writes(&begun), (1, 0));
    let tasks = launches(&begun);
    assert_eq!(tasks.len(), APPS as usize);

    let (first, last) = tasks.split_at(APPS as usize / 2);
    let mut effects = Vec::new();
    for task in first {
        effects.extend(story.settle([told(&task.task, Condition::Running)]));
    }
    assert_eq!(writes(&effects), (0, 0), "what has come of an app is in the record of its version");
    assert_eq!(steps_and_ends(&effects), (vec![], vec![]));
    assert_eq!(story.reconciler.deployments().values().next().map(|course| course.left()), Some(last.len()));

    // It is followed on from where it was.
    story.restart();
    assert_eq!(story.reconciler.deployments().values().next().map(|course| course.left()), Some(last.len()));
    let all = tasks.iter().map(|task| told(&task.task, Condition::Running));
    let complete = Input::Desired(Desired { complete: true, ..Desired::default() });
    let ended = story.settle([connected(), complete].into_iter().chain(all).chain([reconciled()]));
    assert_eq!(writes(&ended), (0, 1));
    let through = (Stage::Level(1), StepEnd::Through(None));
    assert_eq!(steps_and_ends(&ended), (vec![through], vec![Ending::Success]));
    assert!(story.reconciler.deployments().is_empty());
}
