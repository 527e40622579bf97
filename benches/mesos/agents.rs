//! A thousand agents: how long the loop is busy at once, and what ekiden costs while nothing happens.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::serve::Serve;
use crate::{local, tell};

/// How many agents.
const AGENTS: usize = 1000;

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(30);

pub(crate) async fn measure() {
    let mut cluster = Cluster::new();
    let master = local::start(&mut cluster, AGENTS).await;

    let spread = "id: spread\ncmd: exec sleep 1000\ninstances: 20\ncpus: 0.1\nmem: 16\nportDefinitions: []\n\
                  constraints: [[hostname, UNIQUE]]\n";
    let mut ekiden = Serve::start(&mut cluster, &master, spread).await;
    ekiden.until_running("spread", 20).await;
    let busy = ekiden.number("ekiden_longest_turn_seconds").await;
    let known = ekiden.number("ekiden_agents").await;
    tell(format_args!("{AGENTS} agents, of which it knows {known}, and 20 instances spread over them"));
    tell(format_args!("  the loop was busy at once for at most {:>7.1} ms   aim: 50 ms", busy * 1000.0));

    let process = process_in(ekiden.folder()).expect("it runs");
    let (before, began) = (cpu_time(process), Instant::now());
    tokio::time::sleep(IDLE).await;
    let share = cpu_time(process).saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
    tell(format_args!("  idle for {IDLE:?}: {:.2} % of a core   aim: under 2 %", share * 100.0));
    let busy = ekiden.number("ekiden_longest_turn_seconds").await;
    tell(format_args!("  the longest turn by then: {:>7.1} ms", busy * 1000.0));
}

/// The process that works in a folder.
fn process_in(folder: &Path) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let mut numbers = processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    numbers.find(|number| std::fs::read_link(format!("/proc/{number}/cwd")).is_ok_and(|place| place == folder))
}

/// How long it has been on a processor, in all.
fn cpu_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks: u64 = fields.split(' ').skip(12).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    // A tick is 10 ms on every Linux.
    Duration::from_millis(ticks * 10)
}
