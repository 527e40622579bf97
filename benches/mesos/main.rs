//! From saved edit to running task on real Mesos, and what many tasks and many agents cost.
//!
//! Everything is real: masters and agents of the kit in `tests/mesos`, and the program as it was built. Between ekiden and
//! the master stands a tap, which notes when what passes it; so who took how long is seen from outside, and nothing is
//! measured by the program itself but how long its loop was busy at once. Parts can be chosen by name: `cargo bench
//! --bench mesos -- edit scale agents`.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on has nothing to print")]

#[path = "../../tests/support/client.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod client;
#[path = "../../tests/mesos/cluster.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod cluster;
#[path = "../../tests/mesos/kit.rs"]
mod kit;
#[path = "../../tests/mesos/ports.rs"]
mod ports;
#[path = "../../tests/mesos/process.rs"]
mod process;

mod agents;
mod bare;
mod edit;
mod local;
mod scale;
mod serve;
mod tap;

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

#[tokio::main]
async fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|name| name == part);
    if wanted("edit") {
        edit::measure().await;
    }
    if wanted("scale") {
        scale::measure().await;
    }
    if wanted("agents") {
        agents::measure().await;
    }
}

/// One line of the result.
fn tell(line: impl Display) {
    writeln!(std::io::stdout(), "{line}").expect("there is somebody to tell");
}

/// A row of percentiles. `aim` is what was aimed at.
fn tell_percentiles(name: &str, mut times: Vec<Duration>, aim: &str) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    tell(format_args!("  {name:<46} p50 {:>9.1?}  p99 {:>9.1?}  max {:>9.1?}   {aim}", at(50), at(99), at(100)));
}
