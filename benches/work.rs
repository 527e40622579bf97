//! What one small change costs in time, in fleets of 100 and of 10,000 apps: the ratio should stay near 1.
//!
//! `cargo bench --bench work`. The counts behind it are tested in `tests/work.rs`.

use std::io::Write;
use std::time::{Duration, Instant};

use ekiden_kit::fleet::{Change, Fleet};

const SMALL: u32 = 100;
const LARGE: u32 = 10_000;
/// Changes of each kind that are timed; a fleet of 100 apps has 20 agents to lose.
const REPETITIONS: usize = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let mut small = Fleet::settled(SMALL)?;
    let mut large = Fleet::settled(LARGE)?;
    writeln!(out, "{:12} {:>14} {:>14} {:>7}   apps visited", "change", "100 apps", "10,000 apps", "ratio")?;
    for change in [Change::Edit, Change::Status, Change::LostAgent] {
        let (of_small, visits_small) = median(&mut small, change);
        let (of_large, visits_large) = median(&mut large, change);
        let ratio = of_large.as_secs_f64() / of_small.as_secs_f64();
        let (name, visits) = (format!("{change:?}"), format!("{visits_small:.1} and {visits_large:.1}"));
        writeln!(
            out,
            "{name:12} {of_small:>14.1?} {of_large:>14.1?} {ratio:>7.2}   {visits} per instance concerned"
        )?;
    }
    Ok(())
}

/// The median time and the mean number of visits of a change, per instance that it is about.
fn median(fleet: &mut Fleet, change: Change) -> (Duration, f64) {
    let mut times = Vec::new();
    let mut visits = 0.0;
    for _ in 0..REPETITIONS {
        let start = Instant::now();
        let (work, about) = fleet.undergo(change);
        times.push(start.elapsed() / about.max(1));
        visits += work.apps_visited as f64 / f64::from(about.max(1));
    }
    times.sort_unstable();
    (times[times.len() / 2], visits / REPETITIONS as f64)
}
