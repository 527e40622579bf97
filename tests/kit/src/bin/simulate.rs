//! Runs many seeds and says which fail: `cargo run --release -p ekiden-kit --bin simulate -- --seeds 10000 --jobs 2`.
//!
//! `--from N` is the first seed (default: from the time, and printed), `--seed N` runs one and prints its whole log,
//! `--play FILE` plays a scenario and prints its transcript.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ekiden_kit::script::play;
use ekiden_kit::simulation::{Outcome, run_mutant, run_seed};

/// Most failing seeds that are explained in full; the numbers of all are listed.
const EXPLAINED: usize = 3;

struct Options {
    seeds: u64,
    jobs: usize,
    from: u64,
    one: Option<u64>,
    play: Option<String>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            let usage = "simulate [--seeds N] [--jobs N] [--from N] | simulate --seed N | simulate --play FILE";
            let _ = writeln!(std::io::stderr(), "{wrong}; usage: {usage}");
            return ExitCode::from(2);
        }
    };
    let failed = match (&options.play, options.one) {
        (Some(file), _) => scenario(file),
        (None, Some(seed)) => one(seed),
        (None, None) => many(&options),
    };
    match failed {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Far apart from one second to the next, so that two runs share no seed.
    let mut options = Options { seeds: 1000, jobs: 2, from: now.wrapping_mul(1_000_000), one: None, play: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a number"))?;
        if name == "--play" {
            options.play = Some(value);
            continue;
        }
        let number: u64 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
        match name.as_str() {
            "--seeds" => options.seeds = number,
            "--jobs" => options.jobs = usize::try_from(number).unwrap_or(1).max(1),
            "--from" => options.from = number,
            "--seed" => options.one = Some(number),
            _ => return Err(format!("`{name}` is no option")),
        }
    }
    Ok(options)
}

/// Runs one seed and prints its whole log.
fn one(seed: u64) -> std::io::Result<usize> {
    let outcome = run_mutant(seed, None, usize::MAX);
    let mut out = std::io::stdout().lock();
    write!(out, "{}", outcome.explain())?;
    writeln!(out, "{} steps, trace {:016x}", outcome.steps, outcome.hash)?;
    Ok(usize::from(outcome.violation.is_some()))
}

/// Plays a scenario and prints what came of it.
fn scenario(file: &str) -> std::io::Result<usize> {
    let script = std::fs::read_to_string(file)?;
    let mut played = play(&script).map_err(std::io::Error::other)?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", played.transcript)?;
    let second = played.run.second_decision();
    if !second.is_empty() {
        played.failures.push(format!("a second decision has {second:?}"));
    }
    for failure in &played.failures {
        writeln!(out, "FAILED: {failure}")?;
    }
    Ok(played.failures.len())
}

fn many(options: &Options) -> std::io::Result<usize> {
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let (sender, outcomes) = mpsc::channel::<Outcome>();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} seeds from {}, {} jobs", options.seeds, options.from, options.jobs)?;
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.seeds {
                        return;
                    }
                    if sender.send(run_seed(options.from.wrapping_add(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut failed = Vec::new();
        let (mut done, mut steps, mut excused) = (0_u64, 0_u64, 0);
        for outcome in outcomes {
            done += 1;
            steps += outcome.steps;
            excused += usize::from(outcome.excused > 0);
            if outcome.violation.is_some() {
                if failed.len() < EXPLAINED {
                    writeln!(out, "{}", outcome.explain())?;
                }
                failed.push((outcome.seed, outcome.violation));
            }
            if done.is_multiple_of((options.seeds / 20).max(1)) {
                let seconds = began.elapsed().as_secs_f64();
                writeln!(out, "{done} of {} seeds, {} failed, {seconds:.1} s", options.seeds, failed.len())?;
            }
        }
        for (seed, violation) in &failed {
            if let Some(violation) = violation {
                writeln!(out, "FAILED {seed}: {violation}")?;
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let count = failed.len();
        writeln!(out, "{done} seeds, {steps} steps, {excused} with excuses, {count} failed, in {seconds:.1} s")?;
        Ok(count)
    })
}
