//! A large installation whose store is lost: the loop has to go on answering just when an operator has to decide.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ekiden_kit::build;
use ekiden_model::app_state::Source;
use ekiden_model::id::AppKey;
use ekiden_model::input::{Abilities, ClusterEvent, Desired, Found, FoundTask};
use ekiden_model::limits::Settings;
use ekiden_model::record::Installation;
use ekiden_model::{
    App, Condition, Effect, FrameworkId, Incarnation, Input, InstanceId, Reason, Role, Slot, TaskId, Timestamp,
};
use ekiden_reconciler::Reconciler;

const APPS: u32 = 1_000;
const TASKS: u32 = 10_000;

/// What stands above all reports counts all tasks. It is worked out once, and not for each app.
#[test]
fn a_large_lost_store_is_reported_of_in_time() {
    let abilities =
        Abilities { docker: false, mesos_images: false, networks: false, kill_grace: Duration::from_secs(3) };
    let mut reconciler = Reconciler::restore(Settings::default(), abilities, Installation::new(42), Vec::new())
        .expect("nothing to be wrong");
    let apps: Vec<Arc<App>> = (0..APPS).map(|number| build::app(&format!("/app-{number}")).arc()).collect();
    let found = Found {
        framework: Some(FrameworkId::new("old")),
        connected_from: None,
        tasks: (0..TASKS).map(|number| found(&apps[(number % APPS) as usize], Slot(number / APPS))).collect(),
        beside: Vec::new(),
    };
    let declare = apps.iter().map(|app| (app.clone(), Source::Api)).collect();
    let desired = Desired { declare, withdraw: Vec::new(), complete: true, commit: None };

    let began = Instant::now();
    let mut inputs = vec![Input::Cluster(ClusterEvent::Found(found)), Input::Desired(desired)];
    let mut now = Timestamp::from_millis(1_000_000);
    while !inputs.is_empty() || reconciler.next_wake().is_some_and(|wake| wake <= now) {
        now = now + Duration::from_millis(1);
        let effects = reconciler.step(now, std::mem::take(&mut inputs));
        inputs.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Persist { seq, .. } => Some(Input::Stored(*seq)),
            _ => None,
        }));
    }
    for app in &apps {
        let report = reconciler.report(&app.id);
        assert!(matches!(report.reasons.first(), Some(Reason::SafeMode { tasks: TASKS, .. })), "{report:?}");
    }
    // A second or two, and minutes if the tasks were counted for each app.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// A task that an ekiden of another store has launched.
fn found(app: &App, slot: Slot) -> FoundTask {
    let instance = InstanceId { app: AppKey::new(1_234, 1, &app.id), slot };
    let task: TaskId = instance.task(&app.id, Incarnation::FIRST);
    FoundTask {
        task,
        condition: Condition::Running,
        since: Timestamp::from_millis(1),
        agent: build::agent("agent"),
        role: Role::any(),
        host_ports: Vec::new(),
        template: Some(app.fingerprint()),
        healthy: None,
    }
}
