//! Who we are to the cluster, what it has not answered, and tasks that run under our name and are on no record.

use std::sync::Arc;
use std::time::Duration;

use ekiden_kit::build;
use ekiden_model::health::Verdict;
use ekiden_model::id::AppKey;
use ekiden_model::input::{ClusterEvent, Command, Desired, Found, FoundTask, TaskStatus};
use ekiden_model::{
    App, Condition, Effect, Fate, FrameworkId, Incarnation, Input, InstanceId, Reason, Role, Slot, TaskId,
};

use crate::story::{
    Story, acknowledges, cluster, command, connected, declared, kills, launches, reconciled, told, web, withdrawn,
};

fn framework(name: &str) -> FrameworkId {
    FrameworkId::new(name)
}

fn registered(name: &str) -> Input {
    cluster(ClusterEvent::Registered(framework(name)))
}

/// The id of a task that an ekiden of another store has launched.
fn lost_task(app: &str, slot: u32, incarnation: u32) -> TaskId {
    let id = build::app_id(app);
    let instance = InstanceId { app: AppKey::new(1_234, 1, &id), slot: Slot(slot) };
    (1..incarnation).fold(instance.task(&id, Incarnation::FIRST), |task, _| {
        let (_, last) = task.instance().expect("one of ours");
        instance.task(&id, last.next())
    })
}

fn found_task(task: TaskId, app: &App, story: &Story) -> FoundTask {
    FoundTask {
        task,
        condition: Condition::Running,
        since: story.now,
        agent: build::agent("agent"),
        role: Role::any(),
        host_ports: Vec::new(),
        template: Some(app.fingerprint()),
        healthy: None,
    }
}

fn found(tasks: Vec<FoundTask>) -> Input {
    cluster(ClusterEvent::Found(Found {
        framework: Some(framework("old")),
        connected_from: None,
        tasks,
        beside: Vec::new(),
    }))
}

fn is_survey(effect: &Effect) -> bool {
    matches!(effect, Effect::Survey { .. })
}

fn subscriptions(effects: &[Effect]) -> Vec<Option<FrameworkId>> {
    let subscribed = effects.iter().filter_map(|effect| match effect {
        Effect::Subscribe(framework) => Some(framework.clone()),
        _ => None,
    });
    subscribed.collect()
}

fn asked_about(effects: &[Effect]) -> Vec<Vec<TaskId>> {
    let asked = effects.iter().filter_map(|effect| match effect {
        Effect::Reconcile(tasks) => Some(tasks.iter().map(|(task, _)| task.clone()).collect()),
        _ => None,
    });
    asked.collect()
}

fn sorted(mut tasks: Vec<TaskId>) -> Vec<TaskId> {
    tasks.sort();
    tasks
}

/// Three tasks of `/web` run, one of them something else, and one of `/old`; the store is empty.
fn lost_store() -> (Story, Arc<App>, Vec<FoundTask>) {
    let mut story = Story::new();
    let app = web(3);
    let other = build::app("/web").cmd("something else").arc();
    let tasks = vec![
        found_task(lost_task("/web", 0, 4), &app, &story),
        found_task(lost_task("/web", 1, 1), &app, &story),
        found_task(lost_task("/web", 2, 2), &other, &story),
        found_task(lost_task("/old", 0, 1), &app, &story),
    ];
    assert!(story.settle([declared(app.clone())]).iter().any(is_survey));
    assert_eq!(subscriptions(&story.settle([found(tasks.clone())])), []);
    (story, app, tasks)
}

#[test]
fn an_empty_store_asks_first_and_becomes_new_where_nothing_runs() {
    let mut story = Story::new();
    let effects = story.settle([Input::Tick]);
    assert!(effects.iter().any(is_survey) && subscriptions(&effects).is_empty());
    let effects = story.settle([cluster(ClusterEvent::Found(Found::default()))]);
    assert_eq!(subscriptions(&effects), [None]);
    story.settle([registered("ours"), connected(), reconciled()]);

    story.restart();
    let effects = story.settle([Input::Tick]);
    assert!(!effects.iter().any(is_survey), "it knows who it is");
    assert_eq!(subscriptions(&effects), [Some(framework("ours"))]);
}

#[test]
fn a_name_that_was_lost_on_its_way_is_found_and_taken() {
    let mut story = Story::new();
    story.settle([Input::Tick]);
    let effects = story.settle([cluster(ClusterEvent::Found(Found::default()))]);
    assert_eq!(subscriptions(&effects), [None]);
    // The cluster has made a framework of us, and we have not heard of it.
    let effects = story.settle([cluster(ClusterEvent::Disconnected)]);
    assert!(effects.iter().any(is_survey) && subscriptions(&effects).is_empty());
    assert_eq!(subscriptions(&story.settle([found(Vec::new())])), [Some(framework("old"))]);
    story.settle([registered("old"), connected(), reconciled()]);
    assert_eq!(story.reconciler.standstill(), None);
    // From now on it knows who it is.
    assert!(!story.settle([cluster(ClusterEvent::Disconnected)]).iter().any(is_survey));
}

#[test]
fn a_name_that_is_lost_beside_a_disowned_framework_is_taken_and_the_disowned_one_is_not() {
    let (mut story, _, _) = lost_store();
    story.settle([command(Command::Disown)]);
    let tasks = vec![found_task(lost_task("/web", 0, 4), &web(3), &story)];
    assert_eq!(subscriptions(&story.settle([found(tasks.clone())])), [None]);
    // Asked for is whoever is there beside it, since it would hide others of our name.
    let beside = Effect::Survey { except: Some(framework("old")) };
    assert!(story.settle([cluster(ClusterEvent::Disconnected)]).contains(&beside));
    assert!(story.settle([found(tasks)]).contains(&beside), "that was asked before it was disowned");
    // The new one did not come to be.
    let nobody = cluster(ClusterEvent::Found(Found::default()));
    assert_eq!(subscriptions(&story.settle([nobody])), [None]);
    // It did.
    story.settle([cluster(ClusterEvent::Disconnected)]);
    let new = Found { framework: Some(framework("new")), ..Found::default() };
    let effects = story.settle([cluster(ClusterEvent::Found(new))]);
    assert_eq!(subscriptions(&effects), [Some(framework("new"))]);
}

#[test]
fn a_survey_that_is_not_answered_is_asked_again() {
    let mut story = Story::new();
    story.settle([Input::Tick]);
    story.now = story.now + Duration::from_secs(60);
    assert!(story.settle([Input::Tick]).iter().any(is_survey));
}

#[test]
fn nothing_is_launched_before_the_cluster_has_told_of_all_that_it_has() {
    let mut story = Story::new();
    let offer = story.offer();
    let effects = story.settle([registered("ours"), connected(), declared(web(1)), offer]);
    assert_eq!(launches(&effects), []);
    assert_eq!(launches(&story.settle([reconciled()])).len(), 1);
}

#[test]
fn a_lost_store_starts_and_ends_nothing_until_somebody_says_whose_the_tasks_are() {
    let (mut story, _, tasks) = lost_store();
    let web = build::app_id("/web");
    for _ in 0..5 {
        story.now = story.now + Duration::from_secs(100);
        let offer = story.offer();
        let empty = cluster(ClusterEvent::Found(Found::default()));
        let effects = story.settle([empty, connected(), reconciled(), offer]);
        assert!(launches(&effects).is_empty() && kills(&effects).is_empty() && subscriptions(&effects).is_empty());
    }
    let reason = Reason::SafeMode { tasks: 4, framework: Some(framework("old")), connected_from: None };
    assert_eq!(story.reconciler.report(&web).reasons.first(), Some(&reason));
    let plan = story.reconciler.adoption().expect("safe mode");
    let fates: Vec<(String, Fate)> =
        plan.tasks.iter().map(|(found, fate)| (found.task.to_string(), *fate)).collect();
    let expected =
        [(&tasks[3], Fate::Ended), (&tasks[0], Fate::Kept), (&tasks[1], Fate::Kept), (&tasks[2], Fate::Replaced)];
    assert_eq!(fates, expected.map(|(found, fate)| (found.task.to_string(), fate)));
}

#[test]
fn adopted_tasks_are_instances_from_then_on_and_none_is_restarted_for_nothing() {
    let (mut story, _, tasks) = lost_store();
    assert_eq!(subscriptions(&story.settle([command(Command::Adopt)])), [], "it asks once more");
    let effects = story.settle([found(tasks.clone())]);
    assert_eq!(subscriptions(&effects), [Some(framework("old"))]);
    // All of it was durable before that left: a crash right now changes nothing.
    story.restart();
    assert_eq!(subscriptions(&story.settle([Input::Tick])), [Some(framework("old"))]);
    let effects = story.settle([registered("old"), connected()]);
    let asked = asked_about(&effects);
    assert_eq!(asked[0], tasks[..3].iter().map(|found| found.task.clone()).collect::<Vec<_>>());

    let running: Vec<Input> = tasks.iter().map(|found| told(&found.task, Condition::Running)).collect();
    let offer = story.offer();
    let complete = Input::Desired(Desired { complete: true, ..Desired::default() });
    let mut effects = story.settle(running);
    effects.extend(story.settle([reconciled(), complete, offer]));
    assert!(kills(&effects).contains(&tasks[3].task), "nobody declares /old");
    let launched = launches(&effects);
    assert_eq!(launched.len(), 1, "what differs is replaced, one by one: {launched:?}");
    assert_eq!(launched[0].instance.incarnation.0.get(), 1_000_001, "no id is given twice");
    let new = &launched[0].task;
    let effects = story.settle([told(new, Condition::Running)]);
    let kept = [&tasks[0].task, &tasks[1].task];
    assert!(kills(&effects).iter().all(|task| !kept.contains(&task)), "{:?}", kills(&effects));
}

#[test]
fn who_goes_back_after_an_adoption_keeps_what_runs_of_what_was_before() {
    let version = |command: &str| build::app("/web").instances(4).cpus(1.0).mem(32.0).cmd(command).arc();
    let (before, after) = (version("before"), version("after"));
    let (mut story, old) = Story::running(before.clone());
    story.settle([registered("old")]);
    // A rollout is under way, in which an instance that an older store launched runs something else again.
    story.settle([declared(after.clone())]);
    let key = story.reconciler.app(&before.id).expect("declared").key;
    let unknown = InstanceId { app: key, slot: Slot(7) }.task(&before.id, Incarnation::FIRST);
    let differing = vec![found_task(unknown.clone(), &version("something else"), &story)];
    story.settle([told(&unknown, Condition::Running)]);
    story.settle([command(Command::Adopt), found(differing)]);
    let mut inputs: Vec<Input> = old.iter().map(|launch| told(&launch.task, Condition::Running)).collect();
    inputs.extend([told(&unknown, Condition::Running), reconciled()]);
    story.settle(inputs);
    assert_eq!(story.reconciler.standstill(), None);

    let offer = story.offer();
    let effects = story.settle([declared(before), offer]);
    assert_eq!(launches(&effects), [], "what is declared again runs");
    let ended = kills(&effects);
    assert!(old.iter().all(|launch| !ended.contains(&launch.task)), "nobody has asked for a restart: {ended:?}");
}

#[test]
fn adopted_tasks_that_come_back_are_not_all_ended_before_a_check_has_said_that_they_serve() {
    let mut story = Story::new();
    let app = build::app("/web").instances(2).cpus(1.0).mem(32.0).dynamic_ports(1).http_check().arc();
    let other = build::app("/web").cmd("something else").arc();
    let lost = |slot: u32| FoundTask {
        condition: Condition::Unreachable,
        ..found_task(lost_task("/web", slot, 1), &other, &story)
    };
    let tasks = vec![lost(0), lost(1)];
    let found_at = story.now;
    story.settle([declared(app), found(tasks.clone()), command(Command::Adopt), found(tasks.clone())]);
    story.settle([registered("old"), connected(), reconciled()]);
    story.now = story.now + Duration::from_secs(5);
    let effects = story.settle(tasks.iter().map(|found| told(&found.task, Condition::Running)));
    assert_eq!(kills(&effects), [], "both must be healthy, and nothing says that they are not");
    let web = story.reconciler.app(&build::app_id("/web")).expect("declared");
    assert!(
        web.instances.iter().all(|one| one.started == Some(found_at)),
        "their grace period is not to begin anew"
    );
}

#[test]
fn an_adopted_task_that_comes_back_and_has_never_run_has_never_served() {
    let mut story = Story::new();
    let app = build::app("/web").instances(1).cpus(1.0).mem(32.0).dynamic_ports(1).http_check().arc();
    let lost =
        FoundTask { condition: Condition::Unreachable, ..found_task(lost_task("/web", 0, 1), &app, &story) };
    story.settle([declared(app), found(vec![lost.clone()]), command(Command::Adopt), found(vec![lost.clone()])]);
    story.settle([registered("old"), connected(), reconciled(), told(&lost.task, Condition::Staging)]);
    let web = story.reconciler.app(&build::app_id("/web")).expect("declared");
    let one = web.instances.iter().next().expect("taken over");
    assert_eq!((one.health.verdict, one.started), (Verdict::Unknown, None));
}

#[test]
fn what_a_paused_app_takes_over_is_not_too_many() {
    let mut story = Story::new();
    let app = build::app("/web").instances(2).cpus(1.0).mem(32.0).paused(true).arc();
    let tasks: Vec<FoundTask> = (0..2).map(|slot| found_task(lost_task("/web", slot, 1), &app, &story)).collect();
    story.settle([declared(app), found(tasks.clone()), command(Command::Adopt), found(tasks.clone())]);
    let mut inputs = vec![registered("old"), connected()];
    inputs.extend(tasks.iter().map(|found| told(&found.task, Condition::Running)));
    inputs.push(reconciled());
    let effects = story.settle(inputs);
    assert_eq!((kills(&effects), launches(&effects)), (Vec::new(), Vec::new()));
}

#[test]
fn a_crash_before_an_adoption_is_durable_leaves_safe_mode_as_it_was() {
    let (mut story, app, tasks) = lost_store();
    story.settle([command(Command::Adopt)]);
    let effects = story.step([found(tasks.clone())]);
    assert_eq!(subscriptions(&effects), [], "nothing leaves before it is durable");
    story.restart();
    let effects = story.settle([declared(app), found(tasks)]);
    assert!(effects.iter().any(is_survey) && subscriptions(&effects).is_empty());
    assert!(story.reconciler.adoption().is_some());
}

#[test]
fn nothing_is_adopted_before_the_directory_has_been_read() {
    let mut story = Story::new();
    let tasks = vec![found_task(lost_task("/web", 0, 1), &web(1), &story)];
    story.settle([found(tasks.clone())]);
    let effects = story.settle([command(Command::Adopt), found(tasks.clone())]);
    assert_eq!(subscriptions(&effects), []);
    let effects = story.settle([declared(web(1))]);
    assert!(effects.iter().any(is_survey), "what runs may be something else by now");
    assert_eq!(subscriptions(&story.settle([found(tasks)])), [Some(framework("old"))]);
}

#[test]
fn from_a_scheduler_that_is_connected_nothing_is_adopted() {
    let mut story = Story::new();
    let tasks = vec![found_task(lost_task("/web", 0, 1), &web(1), &story)];
    let connected_from = Some("other-host".into());
    let taken = Found { framework: Some(framework("old")), connected_from, tasks, beside: Vec::new() };
    story.settle([declared(web(1)), cluster(ClusterEvent::Found(taken.clone()))]);
    let effects = story.settle([command(Command::Adopt), cluster(ClusterEvent::Found(taken))]);
    assert_eq!(subscriptions(&effects), []);
    let report = story.reconciler.report(&build::app_id("/web"));
    assert!(report.reasons[0].to_string().contains("A scheduler on other-host is connected"), "{report:?}");
}

#[test]
fn a_disowned_framework_is_left_alone_also_after_a_restart() {
    let (mut story, app, tasks) = lost_store();
    story.settle([command(Command::Disown)]);
    assert_eq!(subscriptions(&story.settle([found(tasks)])), [None]);
    story.restart();
    let effects = story.settle([declared(app)]);
    assert!(effects.contains(&Effect::Survey { except: Some(framework("old")) }), "it was said once and for all");
    let nobody = cluster(ClusterEvent::Found(Found::default()));
    assert_eq!(subscriptions(&story.settle([nobody])), [None]);
}

#[test]
fn a_store_that_knows_less_than_the_cluster_stands_still() {
    let mut story = Story::new();
    story.settle([cluster(ClusterEvent::Found(Found::default())), registered("old"), declared(web(2))]);
    let later = lost_task("/web", 1, 7);
    let effects = story.settle([connected(), told(&lost_task("/web", 0, 1), Condition::Failed), reconciled()]);
    assert!(acknowledges(&effects) && story.reconciler.standstill().is_none(), "what has ended is no evidence");
    let offer = story.offer();
    let effects = story.settle([told(&later, Condition::Running), offer]);
    assert!(effects.iter().any(is_survey) && acknowledges(&effects));
    assert_eq!(launches(&effects), []);
    assert_eq!(kills(&effects), []);

    // Disowned, it is left alone until it ends, and what is declared is launched beside it.
    story.settle([command(Command::Disown)]);
    let found_later = vec![found_task(later.clone(), &web(2), &story)];
    story.settle([found(found_later)]);
    story.restart();
    let offer = story.offer();
    let again = [registered("old"), connected(), told(&later, Condition::Running), reconciled()];
    let mut effects = story.settle(again);
    effects.extend(story.settle([declared(web(2)), offer]));
    assert_eq!(launches(&effects).len(), 2);
    assert_eq!(kills(&effects), []);
    assert!(story.reconciler.installation().disowned.contains(&later));
    story.settle([told(&later, Condition::Finished)]);
    assert!(story.reconciler.installation().disowned.is_empty());
}

#[test]
fn the_id_of_an_unknown_task_that_ended_while_nobody_listened_is_not_given_again() {
    let mut story = Story::new();
    story.settle([cluster(ClusterEvent::Found(Found::default())), registered("old"), declared(web(1))]);
    // An older copy of a store: the task's id is one that this app would give next.
    let key = story.reconciler.app(&build::app_id("/web")).expect("declared").key;
    let unknown = InstanceId { app: key, slot: Slot(0) }.task(&build::app_id("/web"), Incarnation::FIRST);
    story.settle([connected(), told(&unknown, Condition::Running), reconciled()]);
    assert!(story.reconciler.standstill().is_some());

    story.restart();
    let offer = story.offer();
    let effects = story.settle([registered("old"), connected(), reconciled(), declared(web(1)), offer]);
    let launched = launches(&effects);
    assert_eq!(launched.len(), 1, "nothing is told of it any more, and somebody may have ended it");
    assert_ne!(launched[0].task, unknown);
    assert_eq!(launched[0].instance.incarnation.0.get(), 1_000_001);
}

#[test]
fn safe_mode_that_comes_again_and_again_uses_up_no_ids() {
    let mut story = Story::new();
    story.settle([cluster(ClusterEvent::Found(Found::default())), registered("old"), declared(web(1))]);
    let unknown = lost_task("/web", 0, 3);
    for _ in 0..5 {
        story.restart();
        story.settle([registered("old"), connected(), told(&unknown, Condition::Running), reconciled()]);
        assert_eq!(story.reconciler.installation().life, 1);
    }
}

#[test]
fn who_has_a_name_adopts_nothing_that_runs_under_another() {
    let mut story = Story::new();
    story.settle([cluster(ClusterEvent::Found(Found::default())), registered("ours"), declared(web(1))]);
    let unknown = lost_task("/web", 0, 1);
    story.settle([connected(), told(&unknown, Condition::Running), reconciled()]);
    let tasks = vec![found_task(unknown, &web(1), &story)];
    story.settle([command(Command::Adopt), found(tasks)]);
    assert!(story.reconciler.standstill().is_some(), "what was found is of framework `old`");
    let instances = &story.reconciler.app(&build::app_id("/web")).expect("declared").instances;
    assert_eq!(instances.len(), 0);
}

#[test]
fn an_adopted_task_with_other_checks_of_the_executor_is_replaced_as_after_any_edit_of_them() {
    let checked = |check: &str| build::app("/web").instances(1).cpus(1.0).mem(32.0).command_check(check).arc();
    let mut story = Story::new();
    let task = lost_task("/web", 0, 1);
    let tasks = vec![found_task(task, &checked("before"), &story)];
    story.settle([declared(checked("now")), found(tasks)]);
    let plan = story.reconciler.adoption().expect("safe mode");
    assert_eq!(plan.tasks[0].1, Fate::Replaced, "a running task cannot be told of other checks");
}

#[test]
fn the_id_of_a_task_of_another_framework_of_our_name_is_not_given_again() {
    let mut story = Story::new();
    story.settle([declared(web(1))]);
    // Begun by a store of which this one is a copy.
    let key = story.reconciler.app(&build::app_id("/web")).expect("declared").key;
    let other = InstanceId { app: key, slot: Slot(0) }.task(&build::app_id("/web"), Incarnation::FIRST);
    let beside = Found { beside: vec![other.clone()], ..Found::default() };
    assert_eq!(subscriptions(&story.settle([cluster(ClusterEvent::Found(beside))])), [None]);
    let offer = story.offer();
    let launched = launches(&story.settle([registered("ours"), connected(), reconciled(), offer]));
    assert_eq!(launched.len(), 1);
    assert_ne!(launched[0].task, other);
    assert_eq!(launched[0].instance.incarnation.0.get(), 1_000_001);
}

#[test]
fn a_name_that_is_not_ours_is_not_taken() {
    let mut story = Story::new();
    story.settle([cluster(ClusterEvent::Found(Found::default())), registered("ours"), connected(), reconciled()]);
    let offer = story.offer();
    let effects = story.settle([registered("another"), connected(), reconciled(), declared(web(1)), offer]);
    assert_eq!(subscriptions(&effects), [Some(framework("ours"))], "it says again who it is");
    assert_eq!(launches(&effects), []);
    assert_eq!(story.reconciler.installation().framework, Some(framework("ours")));
    let report = story.reconciler.report(&build::app_id("/web"));
    assert!(report.reasons[0].to_string().contains("takes us for framework another"), "{report:?}");
    let offer = story.offer();
    let effects = story.settle([registered("ours"), connected(), reconciled(), offer]);
    assert_eq!(launches(&effects).len(), 1);
}

#[test]
fn silence_about_a_task_holds_up_its_own_app_and_no_other() {
    let mut story = Story::new();
    let other = build::app("/other").instances(2).cpus(1.0).mem(32.0).arc();
    let offer = story.offer();
    let effects = story.settle([connected(), reconciled(), declared(web(2)), declared(other), offer]);
    let tasks: Vec<TaskId> = launches(&effects).into_iter().map(|launch| launch.task).collect();
    let of = |app: &str| sorted(tasks.iter().filter(|task| task.as_str().starts_with(app)).cloned().collect());
    story.settle(tasks.iter().map(|task| told(task, Condition::Running)));

    // The master was replaced: of one task of /web it says nothing.
    let mut inputs = vec![cluster(ClusterEvent::Disconnected), connected(), reconciled()];
    inputs.extend(of("other").iter().chain(&of("web")[..1]).map(|task| told(task, Condition::Running)));
    story.settle(inputs);
    let effects = story.settle([withdrawn("/web"), withdrawn("/other")]);
    assert_eq!(sorted(kills(&effects)), of("other"));
    let since = story.now;
    let report = story.reconciler.report(&build::app_id("/web"));
    assert!(matches!(report.reasons[0], Reason::Unanswered { tasks: 1, .. }), "{report:?}");

    // It is asked about again, and only it; `unknown` so soon after a failover is no answer.
    story.now = story.now + Duration::from_secs(15);
    assert_eq!(asked_about(&story.settle([Input::Tick])), [vec![of("web")[1].clone()]]);
    assert_eq!(kills(&story.settle([told(&of("web")[1], Condition::Unknown)])), []);
    assert_eq!(sorted(kills(&story.settle([told(&of("web")[1], Condition::Running)]))), of("web"));
    assert!(story.now.since(since) < Duration::from_secs(60));
}

#[test]
fn a_task_that_a_new_master_does_not_know_is_not_launched_a_second_time_before_its_agents_had_time() {
    let (mut story, tasks) = Story::running(web(1));
    let unknown = || told(&tasks[0].task, Condition::Unknown);
    story.settle([cluster(ClusterEvent::Disconnected), connected(), reconciled()]);
    let offer = story.offer();
    assert_eq!(launches(&story.settle([unknown(), offer])), []);
    story.now = story.now + Duration::from_secs(600);
    let offer = story.offer();
    assert_eq!(launches(&story.settle([unknown(), offer])).len(), 1, "by now it would be known");
    let gone = TaskStatus {
        task: tasks[0].task.clone(),
        condition: Condition::Running,
        message: "".into(),
        reason: None,
        healthy: None,
        ack: None,
    };
    assert_eq!(
        kills(&story.settle([cluster(ClusterEvent::Status(gone))])),
        [tasks[0].task.clone()],
        "one is enough"
    );
}
