//! Forecasts: what would start where, what would end, what would wait, and that it is what then happens.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ekiden_kit::build;
use ekiden_kit::instant::InstantWorld;
use ekiden_model::input::Desired;
use ekiden_model::report::{KillCause, Refusal};
use ekiden_model::{Agent, AgentId, App, AppId, AppState, Offer, Reason, Scalar, Source};
use ekiden_reconciler::forecast::{Change, Forecast, Outlook, forecast, refused};

/// Steps that a world may take to settle: some for each app.
const STEPS: u32 = 1000;

/// Agents, each with so much of processor.
fn world(agents: &[(&Arc<Agent>, f64)]) -> InstantWorld {
    let offer = |(number, (agent, cpus)): (usize, &(&Arc<Agent>, f64))| -> Offer {
        build::offer(&format!("offer-of-{number}"), agent, *cpus, 4096.0, 31_000..=31_099)
    };
    let mut world = InstantWorld::new(agents.iter().enumerate().map(offer)).expect("a new world");
    world.declare([]);
    world.settle(STEPS);
    world
}

/// An app of instances that take one processor each.
fn app(id: &str, instances: u32) -> build::AppBuilder {
    build::app(id).instances(instances).cpus(1.0).mem(32.0)
}

fn declared(apps: impl IntoIterator<Item = Arc<App>>) -> Change {
    let declare = apps.into_iter().map(|app| (app, Source::Api)).collect();
    Change { desired: Desired { declare, ..Desired::default() }, ..Change::default() }
}

fn foreseen(world: &InstantWorld, change: Change) -> Forecast {
    let apps: Vec<AppState> = world.reconciler.apps().cloned().collect();
    let found = forecast(world.reconciler.outset().with_apps(&apps), change).expect("a whole world");
    assert!(found.complete, "it comes to rest");
    found
}

fn of<'a>(forecast: &'a Forecast, app: &str) -> &'a Outlook {
    forecast.apps.get(&build::app_id(app)).expect("something comes of it")
}

fn starts(outlook: &Outlook) -> Vec<&str> {
    let mut hosts: Vec<&str> = outlook.starts.iter().map(|start| &*start.agent.hostname).collect();
    hosts.sort_unstable();
    hosts
}

#[test]
fn an_instance_goes_where_its_constraint_lets_it_as_it_then_does() {
    let (a, b) = (build::agent_with("a", "a", &[("rack", "1")]), build::agent_with("b", "b", &[("rack", "2")]));
    let mut world = world(&[(&a, 4.0), (&b, 4.0)]);
    let web = app("/web", 2).constraint("rack", "IS", "2").arc();
    let found = foreseen(&world, declared([web.clone()]));
    let outlook = of(&found, "/web");
    assert_eq!(starts(outlook), ["b", "b"]);
    assert!(outlook.stops.is_empty() && outlook.report.is_empty(), "{outlook:?}");
    assert_eq!(outlook.rounds.len(), 1);
    assert!(world.reconciler.app(&web.id).is_none() && world.tasks().next().is_none(), "nothing was done");

    world.declare([web]);
    world.settle(STEPS);
    let hosts: Vec<&str> = world.tasks().map(|task| &*task.agent.hostname).collect();
    assert_eq!(hosts, ["b", "b"]);
}

#[test]
fn what_finds_no_place_is_told_with_what_is_missing() {
    let a = build::agent("a");
    let world = world(&[(&a, 2.0)]);
    let found = foreseen(&world, declared([app("/web", 3).cpus(1.5).arc()]));
    let outlook = of(&found, "/web");
    assert_eq!(outlook.starts.len(), 1);
    let waits = outlook.report.reasons.iter().find_map(|reason| match reason {
        Reason::AwaitingOffers { missing, refusals, .. } => Some((*missing, refusals.clone())),
        _ => None,
    });
    let (missing, refusals) = waits.expect("two wait");
    assert_eq!(missing, 2);
    let lacks_cpus = |(refusal, _): (&Refusal, _)| matches!(refusal, Refusal::Cpus(short) if short.largest == Scalar::from_f64(0.5));
    assert!(refusals.rows().any(lacks_cpus), "{refusals}");
}

#[test]
fn resources_are_known_when_no_offer_is_at_hand_and_come_back_with_what_ends() {
    let a = build::agent("a");
    let mut world = world(&[(&a, 4.0)]);
    let old = app("/old", 3).arc();
    world.declare([old.clone()]);
    world.settle(STEPS);
    world.pass(Duration::from_secs(1), STEPS);
    assert_eq!(world.reconciler.book().len(), 0, "nobody wants any");
    let more = foreseen(&world, declared([app("/new", 3).arc()]));
    assert!(!of(&more, "/new").starts.is_empty());
    let mut swapped = declared([app("/new", 3).arc()]);
    swapped.desired.withdraw = vec![old.id.clone()];
    swapped.desired.declare.retain(|(app, _)| app.id != old.id);
    // What the API declares is not withdrawn by a file, so the old one is taken for a file's.
    let file = Source::File { path: "old.yaml".into(), line: 1 };
    let mut apps: Vec<AppState> = world.reconciler.apps().cloned().collect();
    for app in &mut apps {
        app.declared.as_mut().expect("declared").source = file.clone();
    }
    let found = forecast(world.reconciler.outset().with_apps(&apps), swapped).expect("a whole world");
    let stopped = of(&found, "/old");
    assert!(stopped.stops.len() == 3 && stopped.bounds.is_none());
    assert!(stopped.stops.iter().all(|stop| stop.cause == Some(KillCause::Removed)));
    assert_eq!(of(&found, "/new").starts.len(), 3);
}

#[test]
fn a_roll_is_told_step_by_step_and_keeps_its_floor() {
    let a = build::agent("a");
    let mut world = world(&[(&a, 16.0)]);
    let web = app("/web", 4).upgrade_strategy(1.0, 0.5);
    world.declare([web.clone().arc()]);
    world.settle(STEPS);
    let found = foreseen(&world, declared([web.cmd("another").arc()]));
    let outlook = of(&found, "/web");
    assert_eq!((outlook.starts.len(), outlook.stops.len()), (4, 4));
    assert_eq!(outlook.bounds.map(|bounds| (bounds.floor, bounds.ceiling)), Some((4, 6)));
    assert!(outlook.rounds.iter().all(|round| round.healthy >= 4 && round.starts <= 2), "{:?}", outlook.rounds);
    assert_eq!((outlook.rounds[0].starts, outlook.rounds[0].stops), (2, 0));
    assert!(outlook.report.is_empty(), "{:?}", outlook.report);
}

#[test]
fn a_roll_that_finds_no_room_is_told_to_be_stuck() {
    let a = build::agent("a");
    let mut small = world(&[(&a, 2.0)]);
    let web = app("/web", 2).upgrade_strategy(1.0, 0.0);
    small.declare([web.clone().arc()]);
    small.settle(STEPS);
    let found = foreseen(&small, declared([web.cpus(3.0).arc()]));
    let outlook = of(&found, "/web");
    assert!(outlook.starts.is_empty() && outlook.stops.is_empty(), "{outlook:?}");
    assert!(!outlook.report.is_empty());
}

#[test]
fn what_is_started_with_checks_passes_them() {
    let a = build::agent("a");
    let world = world(&[(&a, 8.0)]);
    let db = app("/db", 2).http_check();
    let web = app("/web", 1).depends_on("/db");
    let found = foreseen(&world, declared([db.arc(), web.arc()]));
    assert_eq!((of(&found, "/db").starts.len(), of(&found, "/web").starts.len()), (2, 1));
    assert!(found.apps.values().all(|outlook| outlook.report.is_empty()), "{found:?}");
}

#[test]
fn what_is_lost_with_an_agent_is_replaced_where_there_is_room() {
    let (a, b) = (build::agent("a"), build::agent("b"));
    let mut world = world(&[(&a, 2.0), (&b, 2.0)]);
    world.declare([app("/web", 2).constraint("hostname", "UNIQUE", "").arc()]);
    world.settle(STEPS);
    let lost = Change { lost: BTreeSet::from([AgentId::new("a")]), ..Change::default() };
    let found = foreseen(&world, lost);
    let outlook = of(&found, "/web");
    assert_eq!(outlook.lost.iter().map(|lost| &*lost.agent.hostname).collect::<Vec<_>>(), ["a"]);
    assert!(outlook.starts.is_empty(), "b has one already");
    assert!(
        outlook.report.reasons.iter().any(|reason| matches!(reason, Reason::AwaitingOffers { missing: 1, .. }))
    );

    let id: AppId = build::app_id("/web");
    let instances = world.reconciler.app(&id).expect("declared").instances.len();
    assert_eq!(instances, 2, "nothing was done");
}

#[test]
fn the_offers_that_do_not_do_are_told_one_by_one() {
    let agents: Vec<Arc<Agent>> = ["a", "b", "c"].map(build::agent).into();
    let mut world = world(&[(&agents[0], 1.0), (&agents[1], 2.0), (&agents[2], 4.0)]);
    let web = app("/web", 1).cpus(3.0).constraint("hostname", "UNLIKE", "c").arc();
    world.declare([web.clone()]);
    world.settle(STEPS);
    let state = world.reconciler.app(&web.id).expect("declared");
    let refused = refused(&world.reconciler.outset(), state, 10);
    let mut told: Vec<(&str, &str)> =
        refused.iter().map(|one| (&*one.spare.agent.hostname, one.why[0].marathon_name())).collect();
    told.sort_unstable();
    let expected = [("a", "InsufficientCpus"), ("b", "InsufficientCpus"), ("c", "UnfulfilledConstraint")];
    assert_eq!(told, expected);
    assert!(refused.iter().all(|one| one.spare.offer.is_some() && one.why.len() == 1));
}

#[test]
fn nothing_comes_of_nothing() {
    let a = build::agent("a");
    let mut world = world(&[(&a, 4.0)]);
    world.declare([app("/web", 2).http_check().arc()]);
    world.settle(STEPS);
    let same = foreseen(&world, Change::default());
    let idle = |outlook: &Outlook| outlook.starts.is_empty() && outlook.stops.is_empty();
    assert!(same.apps.values().all(idle), "{same:?}");
}
