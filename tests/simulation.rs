//! The simulator's tests: every seed that ever failed, a fresh batch, planted mistakes, and written scenarios.
//!
//! * `EKIDEN_SIM_SEED=123 cargo test --test simulation replay -- --nocapture` shows one run, line by line.
//! * `EKIDEN_SIM_SEEDS=5000 EKIDEN_SIM_FROM=1 cargo test --test simulation fresh` runs another batch.
//! * `cargo run --release -p ekiden-kit --bin simulate -- --seeds 10000 --jobs 2` is the long one: 10,000 seeds in less
//!   than five minutes on two cores.
//! * `EXPECTORATE=overwrite cargo test --test simulation scenario` takes the transcripts as they are now.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ekiden_kit::mutant::{MUTANTS, Mutant};
use ekiden_kit::script::play;
use ekiden_kit::simulation::{Outcome, run_mutant, run_seed, run_without_requests};
use ekiden_model::Fingerprint;

/// Seeds of a fresh batch when nobody says otherwise: some 20 s of the debug profile on one core.
const FRESH: u64 = 300;
/// Seeds within which a planted mistake must be seen.
const SEEDS_PER_MUTANT: u64 = 150;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}: no number")))
}

/// Each commit has a batch of its own, so that the seeds are new again and again, and a commit's verdict is the same
/// wherever and whenever it is asked for. Without a checkout it is the version's batch.
fn first_of_this_commit() -> u64 {
    let asked = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let commit = asked.ok().filter(|answer| answer.status.success()).map(|answer| answer.stdout);
    let name = commit.unwrap_or_else(|| env!("CARGO_PKG_VERSION").into());
    Fingerprint::of(format_args!("{}", String::from_utf8_lossy(&name))).as_u64()
}

fn must_hold(outcome: &Outcome) {
    assert!(outcome.violation.is_none(), "\n{}", outcome.explain());
}

#[test]
fn replay() {
    let seed = number("EKIDEN_SIM_SEED").unwrap_or(1);
    let outcome = run_mutant(seed, None, usize::MAX);
    println!("{}", outcome.explain());
    must_hold(&outcome);
}

#[test]
fn every_seed_that_ever_failed() {
    let list = include_str!("scenarios/seeds.txt");
    let seeds =
        list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next());
    for seed in seeds {
        let seed = seed.parse().expect("each line begins with a seed");
        must_hold(&run_seed(seed));
        // What was found before there were clients of the API is to be found as it was.
        must_hold(&run_without_requests(seed));
    }
}

#[test]
fn a_fresh_batch_of_seeds() {
    let from = number("EKIDEN_SIM_FROM").unwrap_or_else(first_of_this_commit);
    let count = number("EKIDEN_SIM_SEEDS").unwrap_or(FRESH);
    let began = Instant::now();
    println!("{count} seeds from {from}");
    for seed in (0..count).map(|number| from.wrapping_add(number)) {
        must_hold(&run_seed(seed));
    }
    println!("in {:?}", began.elapsed());
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in [3, 5, 8] {
        let (once, again) = (run_seed(seed), run_seed(seed));
        assert_eq!((once.hash, once.steps), (again.hash, again.steps), "seed {seed}");
        assert!(once.steps > 0);
    }
    assert_ne!(run_seed(3).hash, run_seed(5).hash);
}

/// What a run without the mistake survives must break with it, and as the invariant says that was meant for it.
fn is_caught(mutant: Mutant, expected: &[&str]) {
    let mut seen = Vec::new();
    for seed in 1..=SEEDS_PER_MUTANT {
        let Some(violation) = run_mutant(seed, Some(mutant), 0).violation else { continue };
        if expected.contains(&violation.invariant) {
            must_hold(&run_seed(seed));
            return;
        }
        seen.push(violation.to_string());
    }
    panic!("{mutant:?} was not seen as {expected:?} within {SEEDS_PER_MUTANT} seeds, but as {seen:#?}");
}

#[test]
fn every_planted_mistake_is_seen() {
    for (mutant, expected) in MUTANTS {
        is_caught(mutant, expected);
    }
}

/// A life with everything in it: a start in order of dependency, scaling, a rollout that is superseded, a crash, an
/// edit in place and an end.
const A_LIFE: &str = "
agents 3
declare /db instances=1 cmd=\"run v1\"
declare /web http instances=3 surge=1,1 depends=/db cmd=\"run v1\"
run 15s
declare /web instances=4
run 5s
declare /web cmd=\"run v2\"
run 2s
declare /web cmd=\"run v3\" label=new
run 10s
crash /web 0
declare /db label=new
run 10s
withdraw /db
declare /web instances=2
run 20s
expect matched
";

/// The first part of a life of which the store is lost, and the second: something else is declared meanwhile, an operator
/// adopts what runs, one of two apps runs on as it is, the other is replaced, a third one ends.
const A_LOST_LIFE: &str = "
remember
agents 3
declare /web instances=3 cmd=\"run v1\"
declare /api http instances=2 surge=1,1 cmd=\"run v1\"
declare /old instances=1
run 10s
";
const AN_ADOPTION: &str = "
wipe
declare /api cmd=\"run v2\"
withdraw /old
run 10s
command adopt
run 60s
command adopt
run 60s
expect 3 first /web
expect 2 running /api
expect 0 running /old
expect matched
";

#[test]
fn a_death_after_any_effect_of_a_life_changes_nothing_in_the_end() {
    a_death_after_any_effect_changes_nothing("", A_LIFE, 100);
}

#[test]
fn a_death_after_any_effect_of_an_adoption_changes_nothing_in_the_end() {
    a_death_after_any_effect_changes_nothing(A_LOST_LIFE, AN_ADOPTION, 30);
}

/// Plays a life again and again, and lets it end after one more effect of its second part each time, until there are no
/// more; there must be as many as `least`.
fn a_death_after_any_effect_changes_nothing(before: &str, life: &str, least: usize) {
    for effects in 0.. {
        assert!(effects < 10_000, "a life of so many effects is none that was meant");
        let script = format!("{before}restart-after {effects}\n{life}");
        let played = play(&script).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            played.failures.is_empty(),
            "restart-after {effects}: {:#?}\n{}",
            played.failures,
            played.transcript
        );
        if played.run.is_to_die() {
            assert!(effects > least, "the life has only {effects} effects");
            return;
        }
    }
}

fn scenarios() -> std::io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut scripts: Vec<PathBuf> = entries
        .iter()
        .map(std::fs::DirEntry::path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "seeds"))
        .collect();
    scripts.sort();
    Ok(scripts)
}

#[test]
fn every_scenario_goes_as_written() {
    let scripts = scenarios().expect("the scenarios are there");
    assert!(scripts.len() >= 15, "{scripts:?}");
    let mut failures = Vec::new();
    for script in scripts {
        let text = std::fs::read_to_string(&script).expect("a readable scenario");
        let mut played = play(&text).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        expectorate::assert_contents(script.with_extension("out"), &played.transcript);
        let name = script.file_name().expect("a file").display().to_string();
        failures.extend(played.failures.iter().map(|failure| format!("{name}: {failure}")));
        let second = played.run.second_decision();
        if !second.is_empty() {
            failures.push(format!("{name}: a second decision has {second:?}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
