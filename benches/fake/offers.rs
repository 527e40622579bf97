//! 2,000 agents that offer in one burst: how long the loop is busy at once, and whoever else has something to ask waits.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ekiden_kit::master::Options;

use crate::client::write;
use crate::fleet::{AGENTS, spec};
use crate::program::{PATIENCE, Program};
use crate::{start_masters, tell};

/// Instances of each app that waits.
const EACH: usize = 10;

/// How long it is looked at after everything has been launched, or, where nothing is, after the offers.
const LOOKED_AT: Duration = Duration::from_secs(1);

/// How often it is asked whether it is there.
const PING_EVERY: Duration = Duration::from_millis(2);

/// Of each; the longest is told.
const REPETITIONS: usize = 3;

/// Who waits for offers.
#[derive(Clone, Copy)]
struct Waiting {
    apps: usize,
    /// Whether any agent is large enough for them.
    fit: bool,
}

pub(crate) async fn measure() {
    tell(format_args!("a burst of the offers of {AGENTS} agents, longest of {REPETITIONS}"));
    tell(format_args!(
        "{:>24} {:>14} {:>12} {:>14}",
        "apps that wait", "longest turn", "/ping within", "all launched"
    ));
    for (apps, fit) in [(0, true), (1, true), (100, true), (100, false)] {
        let (mut turn, mut ping, mut launched) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for _ in 0..REPETITIONS {
            let burst = burst(Waiting { apps, fit }).await;
            (turn, ping, launched) = (turn.max(burst.0), ping.max(burst.1), launched.max(burst.2));
        }
        let who = format!("{apps}{}", if fit { "" } else { ", too large" });
        let launched = if apps > 0 && fit { format!("{launched:.1?}") } else { "-".to_owned() };
        tell(format_args!("{who:>24} {turn:>14.1?} {ping:>12.1?} {launched:>14}"));
    }
    tell("     aim: a turn of 50 ms");
}

/// The longest turn, the longest answer to `/ping`, and when the last launch arrived.
async fn burst(waiting: Waiting) -> (Duration, Duration, Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("manifests")).expect("a folder");
    for number in 0..waiting.apps {
        let cpus = if waiting.fit { "0.01" } else { "1000" };
        let text = format!(
            "id: waits-{number}\ncmd: exec sleep 1000\ninstances: {EACH}\ncpus: {cpus}\nmem: 8\n\
             constraints: [[rack, GROUP_BY, \"4\"]]\n"
        );
        write(&folder.path().join(format!("manifests/waits-{number}.yaml")), &text);
    }
    let options = Options { agents: (0..AGENTS).map(spec).collect(), ..Options::default() };
    let fake = start_masters(options).await;
    // Who waits for nothing asks for no offers: there the burst is the one that begins every subscription.
    fake.withhold_offers(waiting.apps > 0);
    let program = Program::start(folder.path(), &fake.address());
    program.says("/v1/status", "\"settled\":true").await;
    let began = Instant::now();
    fake.withhold_offers(false);
    let expected = if waiting.fit { waiting.apps * EACH } else { 0 };
    let launched = async {
        let all = fake.wait(PATIENCE, |fake| (fake.running_count() >= expected).then(|| began.elapsed())).await;
        let launched = all.expect("all are launched");
        tokio::time::sleep(LOOKED_AT).await;
        launched
    };
    let longest = Cell::new(Duration::ZERO);
    let pinging = async {
        loop {
            let asked = Instant::now();
            program.get("/ping").await.expect("it answers");
            longest.set(longest.get().max(asked.elapsed()));
            tokio::time::sleep(PING_EVERY).await;
        }
    };
    let launched = tokio::select! {
        launched = launched => launched,
        () = pinging => unreachable!("it pings for ever"),
    };
    let turn = program.number("ekiden_longest_turn_seconds").await;
    program.kill().await;
    (Duration::from_secs_f64(turn), longest.get(), launched)
}
