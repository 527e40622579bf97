//! One edit after the other, each of an app of one instance, on a cluster that has nothing else to do.

use std::time::Duration;

use ekiden::desired::WatchOptions;

use crate::cluster::Cluster;
use crate::serve::Serve;
use crate::tap::{Passed, Tap};
use crate::{local, tell, tell_percentiles};

/// How many edits.
const REPETITIONS: usize = 50;

/// Where the time of one edit went.
struct Edit {
    total: Duration,
    /// From the edit to the call that answers it, and from the last offers to the launch.
    ours: Duration,
    /// The part of it from offers to launch: what was decided is durable.
    launching: Duration,
    /// From the call for offers to the offers.
    offering: Duration,
    /// From launch to running.
    starting: Duration,
}

pub(crate) async fn measure() {
    let mut cluster = Cluster::new();
    let tap = Tap::before(local::start(&mut cluster, 2).await).await;
    let mut ekiden = Serve::start(&mut cluster, tap.address(), &manifest("first")).await;
    ekiden.until_running("first", 1).await;
    ekiden.remove();
    ekiden.until_running("first", 0).await;
    let mut edits = Vec::with_capacity(REPETITIONS);
    for number in 0..REPETITIONS {
        edits.push(edit(&mut ekiden, &tap, number).await);
    }
    let debounce = WatchOptions::default().debounce.quiet;
    let of = |part: fn(&Edit) -> Duration| edits.iter().map(part).collect::<Vec<_>>();
    tell(format_args!("from saved edit to TASK_RUNNING, one instance, idle agents, {REPETITIONS} times"));
    tell_percentiles("all of it", of(|edit| edit.total), "aim: p50 300 ms, p99 1 s");
    tell_percentiles(
        &format!("ours, beyond the debounce of {debounce:?}"),
        edits.iter().map(|edit| edit.ours.saturating_sub(debounce)).collect(),
        "aim: p99 20 ms",
    );
    tell_percentiles("  of that, offers received to ACCEPT sent", of(|edit| edit.launching), "");
    tell_percentiles("Mesos: REVIVE to offers", of(|edit| edit.offering), "");
    tell_percentiles("Mesos: ACCEPT to TASK_RUNNING", of(|edit| edit.starting), "");
}

fn manifest(app: &str) -> String {
    format!("id: {app}\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\nportDefinitions: []\n")
}

async fn edit(ekiden: &mut Serve, tap: &Tap, number: usize) -> Edit {
    let app = format!("app-{number}");
    tap.clear();
    let saved = ekiden.save(&manifest(&app));
    tap.until(Passed::Running, 1).await;
    let notes = tap.notes();
    let first = |kind: Passed| notes.iter().find(|(_, passed)| *passed == kind).map(|(at, _)| *at);
    let accept = first(Passed::Accept).expect("it was launched");
    let running = first(Passed::Running).expect("it runs");
    let before = notes.iter().filter(|(at, _)| *at <= accept);
    let revive = first(Passed::Revive).filter(|at| *at < accept);
    // Offers that were at hand are not in the notes.
    let offers = before.filter(|(_, passed)| *passed == Passed::Offers).map(|(at, _)| *at).next_back();
    let edit = match (revive, offers) {
        (Some(revive), Some(offers)) => Edit {
            total: running - saved,
            ours: (revive - saved) + (accept - offers),
            launching: accept - offers,
            offering: offers.saturating_duration_since(revive),
            starting: running - accept,
        },
        _ => Edit {
            total: running - saved,
            ours: accept - saved,
            launching: Duration::ZERO,
            offering: Duration::ZERO,
            starting: running - accept,
        },
    };
    ekiden.remove();
    ekiden.until_running(&app, 0).await;
    edit
}
