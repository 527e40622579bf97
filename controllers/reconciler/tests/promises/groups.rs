//! Groups and pods are kept, and nothing that runs depends on them but the environment of tasks to come.

use std::collections::BTreeSet;

use ekiden_kit::build;
use ekiden_model::edit::{Answer, Edit, GroupEdit, PodEdit, Refusal};
use ekiden_model::event::Event;
use ekiden_model::input::Command;
use ekiden_model::{Effect, GroupId, Input};

use crate::story::{Story, command, connected, launches, reconciled};

fn group(id: &str) -> GroupId {
    GroupId::resolve(id, &GroupId::root()).expect("a good id")
}

fn edit(edit: Edit) -> Input {
    command(Command::Edit(Box::new(edit)))
}

fn answer(effects: &[Effect]) -> &Answer {
    let mut answers = effects.iter().filter_map(|effect| match effect {
        Effect::Answer(_, answer) => Some(answer),
        _ => None,
    });
    answers.next_back().expect("an answer")
}

#[test]
fn what_is_said_of_a_group_is_kept_with_what_was_said_before() {
    let mut story = Story::new();
    let prod = group("/prod");
    let said =
        GroupEdit::Put { id: prod.clone(), dependencies: BTreeSet::from([group("/base")]), enforce_role: false };
    story.settle([edit(Edit { groups: vec![said], ..Edit::default() })]);
    let effects = story.settle([command(Command::EnforceRole(prod.clone(), true))]);
    assert_eq!(answer(&effects), &Answer::Done);
    let deployed = effects.iter().any(|effect| matches!(effect, Effect::Notify(Event::DeploymentStarted(_))));
    assert!(!deployed, "what is declared stays as it is: {effects:?}");
    story.restart();
    let kept = story.reconciler.groups()[&prod].clone();
    let [first, second] = kept.versions.as_slice() else { panic!("two versions: {kept:?}") };
    assert!(first.at < second.at && !first.enforce_role && second.enforce_role);
    assert_eq!(first.dependencies, second.dependencies);

    // Later versions are later than those of groups, whatever else is forgotten.
    let app = build::app("/prod/web").cpus(1.0).mem(32.0).arc();
    let offer = story.offer();
    let effects =
        story.settle([edit(Edit { declare: vec![app], ..Edit::default() }), connected(), reconciled(), offer]);
    assert!(matches!(answer(&effects), Answer::Deployed { version, .. } if *version > second.at));
    let tasks = launches(&effects);
    assert!(tasks.len() == 1 && tasks[0].enforces_group_role, "{tasks:?}");

    story.settle([edit(Edit { groups: vec![GroupEdit::Remove(prod.clone())], ..Edit::default() })]);
    story.restart();
    assert!(!story.reconciler.groups().contains_key(&prod));
}

#[test]
fn an_edit_made_from_a_pod_that_is_another_by_now_is_not_followed() {
    let mut story = Story::new();
    let id = build::app_id("/pair");
    let put = |made_from| {
        let pod = PodEdit::Put { id: id.clone(), definition: "{}".into() };
        edit(Edit { pods: vec![pod], made_from: vec![(id.clone(), made_from)], ..Edit::default() })
    };
    let effects = story.settle([put(None)]);
    let Answer::Deployed { version, .. } = *answer(&effects) else { panic!("{effects:?}") };
    assert_eq!(answer(&story.settle([put(None)])), &Answer::Refused(Refusal::Stale(id.clone())));
    assert!(matches!(answer(&story.settle([put(Some(version))])), Answer::Deployed { .. }));
    assert_eq!(answer(&story.settle([put(Some(version))])), &Answer::Refused(Refusal::Stale(id)));
}
