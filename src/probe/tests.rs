//! The scheduler in virtual time, against instances that answer as they are told. Sockets are in `tests/probe.rs`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ekiden_model::app::{CheckAddress, CheckKind};
use ekiden_model::effect::Probe;
use ekiden_model::health::{Outcome, ProbeKind};
use ekiden_model::view::Sample;
use ekiden_model::{AppId, Incarnation, InstanceKey, Slot, Timestamp};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ask::{Answer, Ask};
use super::{ProbeOptions, Prober};

/// Answers from a script (then with success), each after `takes`, and notes when it was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Outcome>>>,
    takes: Duration,
    asked: Arc<Mutex<Vec<(Slot, Instant)>>>,
}

impl Script {
    fn failing() -> Self {
        Self { answers: Arc::new(Mutex::new(vec![refused(); 10_000].into())), ..Self::default() }
    }

    fn asked(&self) -> Vec<(Slot, Instant)> {
        self.asked.lock().expect("nobody panicked").clone()
    }

    /// How long after `start` it was asked each time.
    fn times(&self, start: Instant) -> Vec<Duration> {
        self.asked().into_iter().map(|(_, at)| at - start).collect()
    }
}

impl Ask for Script {
    fn ask(&self, probe: Arc<Probe>) -> BoxFuture<'static, Answer> {
        let script = self.clone();
        Box::pin(async move {
            script.asked.lock().expect("nobody panicked").push((probe.instance.slot, Instant::now()));
            tokio::time::sleep(script.takes).await;
            let answer = script.answers.lock().expect("nobody panicked").pop_front();
            answer.unwrap_or(Outcome::Success).into()
        })
    }
}

fn refused() -> Outcome {
    Outcome::Failure("connection refused".into())
}

fn app() -> AppId {
    AppId::parse("/web").expect("a good id")
}

fn probe(slot: u32) -> Probe {
    Probe {
        instance: InstanceKey { slot: Slot(slot), incarnation: Incarnation::FIRST },
        kind: ProbeKind::Health(0),
        host: "127.0.0.1".into(),
        port: None,
        check: CheckKind::Tcp { address: CheckAddress::PortIndex(0), by_executor: false },
        ready_statuses: Vec::new(),
        ignore_http_1xx: false,
        first_after: Duration::from_secs(5),
        eager_for: Duration::ZERO,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
    }
}

/// Every outcome is sent, however often it was sent before.
fn chatty() -> ProbeOptions {
    ProbeOptions { repeat_after: Duration::ZERO, clock: || Timestamp::EPOCH, ..ProbeOptions::default() }
}

fn prober(script: &Script, options: ProbeOptions) -> (Prober, mpsc::Receiver<(AppId, Sample)>) {
    let (results, samples) = mpsc::channel(100_000);
    (Prober::asking(script.clone(), options, results), samples)
}

fn outcomes(samples: &mut mpsc::Receiver<(AppId, Sample)>) -> Vec<Outcome> {
    std::iter::from_fn(|| samples.try_recv().ok()).map(|(_, sample)| sample.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn probes_come_an_interval_apart_from_a_first_one_within_its_time() {
    let script = Script::default();
    let (prober, mut samples) = prober(&script, chatty());
    let start = Instant::now();
    prober.start(app(), probe(0));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let times = script.times(start);
    assert!(times[0] <= Duration::from_secs(5), "{times:?}");
    assert_eq!(times.len(), 6);
    for pair in times.windows(2) {
        let apart = pair[1].abs_diff(pair[0]).as_millis();
        assert!((9_998..=10_002).contains(&apart), "{times:?}");
    }
    assert_eq!(outcomes(&mut samples), vec![Outcome::Success; 6]);
}

#[tokio::test(start_paused = true)]
async fn probes_that_start_together_are_spread_and_each_time_alike() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let script = Script::default();
        let (prober, _samples) = prober(&script, chatty());
        let start = Instant::now();
        for slot in 0..1_000 {
            prober.start(app(), Probe { first_after: Duration::from_secs(10), ..probe(slot) });
        }
        tokio::time::sleep(Duration::from_millis(10_005)).await;
        let mut per_second = [0; 11];
        for at in script.times(start) {
            per_second[at.as_secs() as usize] += 1;
        }
        runs.push(per_second);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0][..10].iter().all(|count| (50..200).contains(count)), "{:?}", runs[0]);
}

#[tokio::test(start_paused = true)]
async fn eager_probes_slow_down_until_the_first_success() {
    let script = Script { answers: Arc::new(Mutex::new(vec![refused(); 8].into())), ..Script::default() };
    let (prober, mut samples) = prober(&script, chatty());
    let start = Instant::now();
    let eager_for = Duration::from_secs(300);
    prober.start(app(), Probe { first_after: Duration::ZERO, eager_for, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(30)).await;
    let times = script.times(start);
    let apart: Vec<_> = times.windows(2).map(|pair| pair[1].abs_diff(pair[0]).as_millis()).collect();
    let expected = [100, 150, 225, 337, 506, 759, 1_139, 1_708, 10_000, 10_000];
    for (apart, expected) in apart.iter().zip(expected) {
        assert!(apart.abs_diff(expected) <= 4, "{apart} and not {expected} in {times:?}");
    }
    assert_eq!(outcomes(&mut samples)[..9], [vec![refused(); 8], vec![Outcome::Success]].concat());
}

#[tokio::test(start_paused = true)]
async fn eagerness_ends_with_the_grace_period() {
    let script = Script::failing();
    let (prober, _samples) = prober(&script, chatty());
    let start = Instant::now();
    let eager_for = Duration::from_secs(2);
    prober.start(app(), Probe { first_after: Duration::ZERO, eager_for, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(60)).await;
    let after_grace = script.times(start).into_iter().filter(|at| *at > eager_for).count();
    assert!((5..=6).contains(&after_grace), "{after_grace} in 58 s at an interval of 10 s");
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_of_a_probe_that_was_stopped_under_way() {
    let script = Script { takes: Duration::from_secs(3), ..Script::default() };
    let (prober, mut samples) = prober(&script, chatty());
    prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(script.asked().len(), 1, "it is under way");
    prober.stop(app(), probe(0).instance, ProbeKind::Health(0));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(outcomes(&mut samples), []);
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn starting_again_replaces_what_is_under_way() {
    let script = Script { takes: Duration::from_secs(3), ..Script::default() };
    let (prober, mut samples) = prober(&script, chatty());
    prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(outcomes(&mut samples).len(), 1);
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_instance_is_not_asked_twice_at_once() {
    let script = Script { takes: Duration::from_secs(25), ..Script::default() };
    let (prober, _samples) = prober(&script, chatty());
    let start = Instant::now();
    prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(65)).await;
    let seconds: Vec<_> = script.times(start).iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [0, 30, 60], "the beats at 10, 20, 40 and 50 find it still under way");
}

#[tokio::test(start_paused = true)]
async fn failures_of_probes_that_had_to_wait_are_no_result() {
    let script = Script { takes: Duration::from_secs(2), ..Script::failing() };
    let (prober, mut samples) = prober(&script, ProbeOptions { concurrency: 1, ..chatty() });
    for slot in 0..3 {
        prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(slot) });
    }
    tokio::time::sleep(Duration::from_secs(7)).await;
    let outcomes = outcomes(&mut samples);
    assert_eq!(outcomes.len(), 3);
    assert_eq!(outcomes[0], refused());
    for late in &outcomes[1..] {
        let Outcome::NoResult(text) = late else { panic!("{late:?} of a probe that was late") };
        assert!(text.contains("the checker is overloaded"), "{text}");
    }
    assert_eq!(script.asked().len(), 3);
}

/// The whole process is held up, as by SIGSTOP, while a probe is under way; then its timeout fires at once.
#[tokio::test(start_paused = true)]
async fn a_failure_after_a_stall_is_no_result() {
    let script = Script { takes: Duration::from_secs(2), ..Script::failing() };
    let (prober, mut samples) = prober(&script, chatty());
    prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let [Outcome::NoResult(text)] = &outcomes(&mut samples)[..] else { panic!("one outcome, and no failure") };
    assert!(text.contains("it stalled"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_full_channel_loses_samples_and_counts_them() {
    let script = Script::failing();
    let options = chatty();
    let metrics = options.metrics.clone();
    let (results, mut samples) = mpsc::channel(2);
    let prober = Prober::asking(script.clone(), options, results);
    prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert_eq!(script.asked().len(), 5);
    assert_eq!(outcomes(&mut samples).len(), 2);
    assert_eq!(metrics.probe_results_dropped.get(), 3);
    assert!(metrics.encode_text().contains("ekiden_probes_total{outcome=\"failure\"} 5"));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_news_is_said_again_only_now_and_then() {
    let script = Script {
        answers: Arc::new(Mutex::new([Outcome::Success, refused(), refused()].into())),
        ..Script::default()
    };
    let (prober, mut samples) = prober(&script, ProbeOptions { clock: || Timestamp::EPOCH, ..Default::default() });
    prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(300)).await;
    let said = outcomes(&mut samples);
    assert_eq!(said, [Outcome::Success, refused(), refused(), Outcome::Success], "and 27 more successes unsaid");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(outcomes(&mut samples), [Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_prober_asks_no_more() {
    let script = Script { takes: Duration::from_secs(3), ..Script::default() };
    let (prober, mut samples) = prober(&script, chatty());
    prober.start(app(), Probe { first_after: Duration::ZERO, ..probe(0) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(prober);
    assert_eq!(samples.recv().await, None, "the channel is closed");
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(script.asked().len(), 1);
}

/// 20,000 instances every 10 s, each of which takes 100 ms to answer: 200 under way on average, of 512 that may be.
#[tokio::test(start_paused = true)]
async fn twenty_thousand_instances_keep_their_beat() {
    let script = Script { takes: Duration::from_millis(100), ..Script::default() };
    let options = ProbeOptions { clock: || Timestamp::EPOCH, ..ProbeOptions::default() };
    let metrics = options.metrics.clone();
    let (prober, mut samples) = prober(&script, options);
    for slot in 0..20_000 {
        prober.start(app(), Probe { first_after: Duration::from_secs(10), ..probe(slot) });
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let asked = script.asked().len();
    assert!((39_990..=40_000).contains(&asked), "{asked}");
    assert_eq!(outcomes(&mut samples).len(), 20_000, "the second success of each is no news");
    let slip = metrics.to_marathon_json()["histograms"]["ekiden_probe_slip_seconds"].clone();
    assert!(slip["max"].as_f64().is_some_and(|max| max < 0.1), "{slip}");
}

#[test]
fn probes_take_no_more_than_half_of_the_file_descriptors() {
    let concurrency = |open_files| ProbeOptions::default().with_open_files(open_files).concurrency;
    assert_eq!(concurrency(1_024), ProbeOptions::CONCURRENCY);
    assert_eq!([concurrency(0), concurrency(u64::MAX)], [32, 8_192]);
}
