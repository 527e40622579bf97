//! What the reconciler promises whatever the controllers decide: order of effects, identity of tasks, starting again.
//!
//! Single promises, one small story each. How they hold together under faults is the simulator's business.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod deployments;
mod events;
mod groups;
mod safe_mode;
mod story;

use std::time::Duration;

use ekiden_kit::build;
use ekiden_model::agent::Presence;
use ekiden_model::edit::{Authority, Edit, KillTasks, OverrideAsked};
use ekiden_model::health::Verdict;
use ekiden_model::input::{ClusterEvent, Command, Desired, TaskStatus};
use ekiden_model::limits::Settings;
use ekiden_model::record::Record;
use ekiden_model::{Condition, Effect, Input, Role, Source, TaskId};
use ekiden_reconciler::RestoreError;

use story::{
    Story, acknowledges, cluster, command, connected, declared, file, kills, launches, reconciled, start, told,
    web, withdrawn,
};

#[test]
fn a_launch_leaves_when_its_record_is_durable_and_not_before() {
    let mut story = Story::new();
    let offer = story.offer();
    let mut effects = story.step([connected(), reconciled(), declared(web(1)), offer]);
    for _ in 0..10 {
        effects.extend(story.step([Input::Tick]));
    }
    assert!(launches(&effects).is_empty(), "the store has not answered");
    let last = story.store(&effects).expect("there is something to store");
    let effects = story.step([Input::Stored(last)]);
    assert_eq!(launches(&effects).len(), 1);
    let task = launches(&effects).remove(0);
    let on_record = story.records.iter().any(|record| match record {
        Record::Slot(slot) => slot.instances.iter().any(|instance| instance.key == task.instance),
        _ => false,
    });
    assert!(on_record, "what is launched is on record");
}

#[test]
fn a_service_port_that_two_apps_have_on_record_stays_with_the_one_that_was_declared_first() {
    let port = ekiden_model::Port::new(10_000);
    let app = |id: &str| build::app(id).instances(0).dynamic_ports(1).arc();
    let mut story = Story::new();
    story.settle([connected(), reconciled(), declared(app("/second-by-name")), declared(app("/first-by-name"))]);
    for record in &mut story.records {
        if let Record::App(app) = record {
            app.service_ports = vec![port];
        }
    }
    story.restart();
    story.settle([connected(), reconciled(), Input::Desired(Desired { complete: true, ..Desired::default() })]);
    let held = |id: &str| story.reconciler.app(&build::app_id(id)).expect("on record").service_ports.clone();
    assert_eq!(held("/second-by-name"), [port]);
    assert_eq!(held("/first-by-name"), [ekiden_model::Port::new(10_001)]);
    let visited = story.reconciler.work().apps_visited;
    story.settle([Input::Tick]);
    assert_eq!(story.reconciler.work().apps_visited, visited, "that was settled once and for all");
}

#[test]
fn what_holds_instead_of_a_file_does_so_until_the_clock_says_although_it_was_set_back() {
    let (mut story, _) = Story::running(web(1));
    story.now = story.now - Duration::from_secs(600);
    story.settle([Input::Tick]);
    let until = story.now + Duration::from_secs(60);
    let over = Some(OverrideAsked { reason: "more load".into(), until });
    let authority = Authority { over, ..Authority::default() };
    let edit = Edit { declare: vec![web(2)], authority, ..Edit::default() };
    let instances = |story: &Story| {
        let app = story.reconciler.app(&build::app_id("/web")).expect("declared");
        app.declared.as_ref().expect("declared").app.instances
    };
    story.settle([command(Command::Edit(Box::new(edit)))]);
    assert_eq!(instances(&story), 2);
    story.now = until - Duration::from_secs(1);
    story.settle([Input::Tick]);
    assert_eq!(instances(&story), 2, "it is not over");
    assert_eq!(story.reconciler.next_wake(), Some(until));
    story.now = until;
    story.settle([Input::Tick]);
    assert_eq!(instances(&story), 1, "it is over");
}

#[test]
fn a_dynamic_port_is_none_that_another_app_requires() {
    let mut story = Story::new();
    let fixed = build::app("/fixed").instances(1).cpus(1.0).mem(32.0).fixed_port(31_001);
    let dynamic = build::app("/dynamic").instances(3).cpus(1.0).mem(32.0).dynamic_ports(1).arc();
    // Declared in one change set: the one that is asked first knows of the other already.
    let both = Desired {
        declare: vec![(dynamic, Source::Api), (fixed.arc(), Source::Api)],
        withdraw: Vec::new(),
        complete: true,
        ..Desired::default()
    };
    let offer = build::offer("offer", &build::agent("agent"), 8.0, 8192.0, 31_000..=31_003);
    let offer = cluster(ClusterEvent::Offers(vec![offer]));
    let effects = story.settle([connected(), reconciled(), Input::Desired(both), offer]);
    assert_eq!(launches(&effects).len(), 4, "the three get the three ports that nobody requires");
}

#[test]
fn no_version_on_record_is_of_a_time_that_is_yet_to_come() {
    let (mut story, tasks) = Story::running(web(1));
    let version = story.records.iter().find_map(|record| match record {
        Record::Version(_, version) => Some(version.clone()),
        _ => None,
    });
    let mut version = version.expect("what is declared has a version");
    version.at = story.now + Duration::from_secs(3600);
    let latest = version.at;
    story.records.push(Record::Version(build::app_id("/gone"), version));
    story.restart();
    story.settle([connected(), reconciled(), declared(web(1)), told(&tasks[0].task, Condition::Failed)]);
    let app = story.reconciler.app(&build::app_id("/web")).expect("declared");
    let failure = app.last_failure.as_ref().expect("its task has failed");
    assert!(failure.at >= latest, "the next version would be later than all that happens until then");
}

#[test]
fn an_executors_word_counts_once_its_task_is_said_to_run() {
    let mut story = Story::new();
    let app = build::app("/web").instances(1).cpus(1.0).mem(32.0).command_check("true").arc();
    let offer = story.offer();
    let tasks = launches(&story.settle([connected(), reconciled(), declared(app), offer]));
    let says = |condition, healthy| match told(&tasks[0].task, condition) {
        Input::Cluster(ClusterEvent::Status(status)) => {
            cluster(ClusterEvent::Status(TaskStatus { healthy, ..status }))
        }
        other => other,
    };
    let verdict = |story: &Story| {
        let app = story.reconciler.app(&build::app_id("/web")).expect("declared");
        app.instances.get(tasks[0].instance).expect("launched").health.verdict
    };
    // Taken in at once or one by one: the answer to a question tells of a check that only a later update makes known.
    story.settle([says(Condition::Starting, Some(true)), says(Condition::Running, None)]);
    assert_eq!(verdict(&story), Verdict::Unknown);
    story.settle([says(Condition::Running, Some(true))]);
    assert_eq!(verdict(&story), Verdict::Healthy);
}

#[test]
fn who_runs_when_its_app_gets_a_check_serves_on_although_nobody_has_looked_yet() {
    let with = |check: bool| {
        let app = build::app("/web").instances(1).cpus(1.0).mem(32.0).dynamic_ports(1);
        if check { app.http_check().arc() } else { app.arc() }
    };
    for withdraws in [false, true] {
        let mut story = Story::new();
        let offer = story.offer();
        let tasks = launches(&story.settle([connected(), reconciled(), declared(with(false)), offer]));
        let mut at_once = vec![told(&tasks[0].task, Condition::Running)];
        at_once.extend(withdraws.then(|| withdrawn("/web")));
        at_once.push(declared(with(true)));
        story.settle(at_once);
        let app = story.reconciler.app(&build::app_id("/web")).expect("declared");
        let instance = app.instances.get(tasks[0].instance).expect("launched");
        assert_eq!(instance.health.verdict, Verdict::Healthy, "withdrawn before: {withdraws}");
    }
}

#[test]
fn an_agent_whose_task_repeats_itself_is_there() {
    let (mut story, tasks) = Story::running(web(1));
    let agent = tasks[0].agent.id.clone();
    let presence = |story: &Story| story.reconciler.agents().get(&agent).map(|state| state.presence);
    story.settle([cluster(ClusterEvent::AgentUnreachable(agent.clone()))]);
    assert_eq!(presence(&story), Some(Presence::Unreachable(story.now)));
    // Its return was told while we were not connected: what is told of the task is what we knew of it.
    story.settle([cluster(ClusterEvent::Disconnected)]);
    story.settle([connected(), told(&tasks[0].task, Condition::Running), reconciled()]);
    assert_eq!(presence(&story), Some(Presence::Present));
}

#[test]
fn what_was_offered_to_an_app_that_is_no_more_is_given_back_soon() {
    for role in [None, Some("prod")] {
        let too_large = build::app("/web").instances(1).cpus(99.0).mem(32.0);
        let too_large = role.map_or(too_large.clone(), |role| too_large.role(role));
        let mut story = Story::new();
        story.settle([connected(), reconciled(), declared(too_large.arc())]);
        let mut offer = build::offer("offer", &build::agent("agent"), 8.0, 8192.0, 31_000..=31_099);
        offer.role = role.map_or(Role::any(), Role::new);
        let effects = story.settle([cluster(ClusterEvent::Offers(vec![offer.clone()]))]);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Decline { .. })), "it is held: {effects:?}");
        let effects = story.settle([withdrawn("/web")]);
        assert!(effects.contains(&Effect::Suppress(offer.role)), "{effects:?}");
        // The next launch may be a moment away; but no longer.
        story.now = story.now + Duration::from_secs(1);
        let effects = story.settle([Input::Tick]);
        let is_returned =
            |effect: &Effect| matches!(effect, Effect::Decline { offers, .. } if *offers == [offer.id.clone()]);
        assert!(effects.iter().any(is_returned), "{effects:?}");
    }
}

#[test]
fn an_update_is_acknowledged_when_what_it_changed_is_durable() {
    let (mut story, tasks) = Story::running(web(1));
    let effects = story.step([told(&tasks[0].task, Condition::Failed)]);
    assert!(!acknowledges(&effects));
    let last = story.store(&effects).expect("a failure is on record");
    assert!(acknowledges(&story.step([Input::Stored(last)])));
    // What changes nothing is acknowledged as well, or the cluster would repeat it for ever.
    assert!(acknowledges(&story.settle([told(&tasks[0].task, Condition::Failed)])));
}

#[test]
fn a_store_that_says_nothing_stops_the_deciding_and_not_the_listening() {
    let mut story = Story::new();
    story.step([connected(), reconciled()]);
    let mut batches = 0;
    for round in 0..50 {
        let effects = story.step([declared(build::app(&format!("/app-{round}")).arc())]);
        batches += effects.iter().filter(|effect| matches!(effect, Effect::Persist { .. })).count();
    }
    assert!(batches < 20, "{batches} batches are on their way to a store that does not answer");
    assert_eq!(story.reconciler.apps().count(), 50);
}

#[test]
fn a_task_of_somebody_else_is_never_killed() {
    let (mut story, _) = Story::running(web(1));
    let foreign = [
        // Of another scheduler, of another installation of ours, and of an app that we never declared.
        "cassandra-7",
        "web.instance-9ac35a56-0e29-81ea-9d3b-70b300000000._app.1",
        "web.instance-9ac35a56-0e29-11ea-9d3b-70b3d5800001._app.1",
    ];
    for task in foreign {
        let effects = story.settle([told(&TaskId::new(task), Condition::Running)]);
        assert_eq!(kills(&effects), [], "{task}");
        assert!(acknowledges(&effects), "{task}");
    }
}

#[test]
fn a_task_that_was_ours_and_is_not_wanted_is_killed_once_all_is_known() {
    let (mut story, tasks) = Story::running(web(1));
    let old = tasks[0].task.clone();
    story.settle([withdrawn("/web")]);
    story.settle([told(&old, Condition::Killed)]);
    assert!(story.reconciler.app(&build::app_id("/web")).is_none(), "the app is over");

    story.restart();
    assert_eq!(kills(&story.settle([connected(), told(&old, Condition::Running)])), [], "not everything is known");
    let complete = Input::Desired(Desired { complete: true, ..Desired::default() });
    assert_eq!(kills(&story.settle([complete])), [], "the cluster has not answered");
    assert_eq!(kills(&story.settle([reconciled()])), [old]);
}

#[test]
fn nothing_is_stopped_before_the_directory_has_been_read() {
    let (mut story, tasks) = Story::running(web(3));
    story.restart();
    let mut inputs = vec![connected(), reconciled()];
    inputs.extend(tasks.iter().map(|task| told(&task.task, Condition::Running)));
    assert_eq!(kills(&story.settle(inputs)), []);
    let fewer = Desired { declare: vec![(web(1), file())], withdraw: Vec::new(), complete: false, commit: None };
    assert_eq!(kills(&story.settle([Input::Desired(fewer)])), []);
    let complete = Input::Desired(Desired { complete: true, ..Desired::default() });
    assert_eq!(kills(&story.settle([complete])).len(), 2);
}

#[test]
fn an_accept_whose_offer_is_void_is_not_sent_and_its_task_id_not_used_again() {
    let mut story = Story::new();
    let offer = story.offer();
    let effects = story.step([connected(), reconciled(), declared(web(1)), offer]);
    let last = story.store(&effects).expect("there is something to store");
    let mut effects = story.step([cluster(ClusterEvent::Disconnected), Input::Stored(last)]);
    let offer = story.offer();
    effects.extend(story.settle([connected(), reconciled(), offer]));
    let tasks = launches(&effects);
    assert_eq!(tasks.len(), 1, "it is launched with the new offer");
    assert!(tasks[0].task.as_str().ends_with("._app.2"), "{}", tasks[0].task);
    let backoff = story.reconciler.app(&build::app_id("/web")).expect("declared").backoff;
    assert_eq!(backoff.failures, 0, "and nobody is blamed");
}

#[test]
fn an_app_declared_again_gets_other_task_ids() {
    let (mut story, tasks) = Story::running(web(1));
    story.settle([withdrawn("/web")]);
    story.settle([told(&tasks[0].task, Condition::Killed)]);
    let offer = story.offer();
    let again = launches(&story.settle([declared(web(1)), offer]));
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].instance, tasks[0].instance, "the same slot and incarnation");
    assert_ne!(again[0].task, tasks[0].task, "of another life");
}

#[test]
fn a_declaration_that_moves_to_another_place_is_no_new_version() {
    let (mut story, _) = Story::running(web(1));
    let version = |story: &Story| {
        let app = story.reconciler.app(&build::app_id("/web")).expect("declared");
        app.declared.as_ref().expect("declared").version
    };
    let before = version(&story);
    let file = Source::File { path: "web.yaml".into(), line: 3 };
    let moved =
        Desired { declare: vec![(web(1), file.clone())], withdraw: Vec::new(), complete: true, commit: None };
    let effects = story.settle([Input::Desired(moved)]);
    assert_eq!(version(&story), before);
    assert!(launches(&effects).is_empty() && kills(&effects).is_empty());
    let app = story.reconciler.app(&build::app_id("/web")).expect("declared");
    assert_eq!(app.declared.as_ref().expect("declared").source, file);
}

#[test]
fn announced_maintenance_is_heeded_where_it_is_to_be_and_nowhere_else() {
    for heed_maintenance in [true, false] {
        let mut story = Story::with(Settings { heed_maintenance, ..Settings::default() });
        let window = (story.now, None);
        let offer = match story.offer() {
            Input::Cluster(ClusterEvent::Offers(mut offers)) => {
                offers[0].maintenance = Some(window);
                cluster(ClusterEvent::Offers(offers))
            }
            other => panic!("{other:?}"),
        };
        let effects = story.settle([connected(), reconciled(), declared(web(1)), offer]);
        assert_eq!(launches(&effects).is_empty(), heed_maintenance);
        for task in launches(&effects) {
            // Nor does what runs move away.
            let announced = ClusterEvent::Maintenance(build::agent("agent").id.clone(), Some(window));
            story.settle([told(&task.task, Condition::Running), cluster(announced)]);
            let mut elsewhere = build::offer("other", &build::agent("other"), 8.0, 8192.0, 31000..=31099);
            elsewhere.maintenance = None;
            let effects = story.settle([cluster(ClusterEvent::Offers(vec![elsewhere]))]);
            assert!(launches(&effects).is_empty() && kills(&effects).is_empty());
        }
    }
}

#[test]
fn an_operators_kill_is_followed_by_another_launch() {
    let (mut story, tasks) = Story::running(web(1));
    let effects = story.settle([command(Command::Kill(KillTasks {
        tasks: vec![tasks[0].task.clone()],
        ..KillTasks::default()
    }))]);
    assert_eq!(kills(&effects), [tasks[0].task.clone()]);
    let offer = story.offer();
    let effects = story.settle([told(&tasks[0].task, Condition::Killed), offer]);
    assert_eq!(launches(&effects).len(), 1);
    let app = story.reconciler.app(&build::app_id("/web")).expect("declared");
    assert_eq!(app.backoff.failures, 0, "no failure of the app's");
}

#[test]
fn a_damaged_store_is_refused() {
    let (story, _) = Story::running(web(1));
    let without = |left_out: fn(&Record) -> bool| {
        start(story.records.iter().filter(|record| !left_out(record)).cloned().collect()).map(|_| ())
    };
    assert_eq!(without(|_| false), Ok(()));
    assert_eq!(without(|record| matches!(record, Record::Installation(_))), Err(RestoreError::NoInstallation));
    let is_installation = |record: &&Record| matches!(record, Record::Installation(_));
    let twice = story.records.iter().chain(story.records.iter().filter(is_installation)).cloned();
    assert_eq!(start(twice.collect()).map(|_| ()), Err(RestoreError::SecondInstallation));
    let orphan = Err(RestoreError::OrphanSlot(build::app_id("/web")));
    assert_eq!(without(|record| matches!(record, Record::App(_))), orphan);
}
