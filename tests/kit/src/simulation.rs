//! A run: Ekiden's reconciler, unchanged, in a world of which everything follows from one seed.
//!
//! The world is event-driven: nothing happens between two [`Happening`]s, so an hour of waiting costs nothing. The
//! reconciler is stepped when something arrived for it or its own time has come, as `src/runtime` does, and each of
//! its effects is checked, logged and carried out in order.

mod clients;
mod draw;
mod edits;
mod faults;
mod heal;
mod lines;
mod memory;
mod process;
mod story;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::input::Abilities;
use ekiden_model::limits::Settings;
use ekiden_model::{App, AppId, Input, Role, TaskId, Timestamp};
use ekiden_reconciler::Reconciler;

use crate::cluster::{Cluster, Machine};
use crate::invariants::Check;
use crate::knobs::{Fault, Knobs};
use crate::ledger::Ledger;
use crate::mutant::Mutant;
use crate::rng::Rng;
use crate::store::Store;
use crate::timeline::{Happening, Timeline, Violation};
use crate::trace::LINES_KEPT;

use clients::Clients;
pub use heal::Healed;
use process::Process;

/// When every run begins: a date that people recognise in a log.
pub const BEGINNING: Timestamp = Timestamp::from_millis(1_795_168_800_000);

/// A run.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault that is on or off, independently of the others"
)]
pub struct Simulation {
    /// What everything shares.
    pub line: Timeline,
    /// The cluster, in truth.
    pub cluster: Cluster,
    /// The store.
    pub store: Store,
    /// The books.
    pub ledger: Ledger,
    /// What the manifests say, and what clients were told that it holds.
    pub declared: BTreeMap<AppId, Arc<App>>,
    /// The settings that Ekiden has.
    pub settings: Settings,
    /// Steps that the reconciler made.
    pub steps: u64,
    /// Effects that it had, ever.
    pub effects: u64,
    mutant: Option<Mutant>,
    process: Option<Process>,
    /// Counts processes, so that what belongs to a dead one is ignored.
    lives: u64,
    connections: u64,
    /// How far Ekiden's clock is ahead of the world's, in milliseconds.
    skew: i64,
    overload: bool,
    flapping: bool,
    store_stalled: bool,
    store_busy: bool,
    healing: bool,
    /// Earlier declarations, to go back to.
    history: Vec<Arc<App>>,
    /// Earlier copies of the store.
    copies: Vec<memory::StoreCopy>,
    edits: u64,
    clients: Clients,
    machines: u64,
    /// Whether there are roles and reservations.
    with_roles: bool,
    /// A launch to be sent twice, for [`Mutant::LaunchTwice`].
    again: Option<ekiden_model::Effect>,
    /// The process takes itself for settled in its next step, for [`Mutant::IgnoreSettled`].
    premature: bool,
    /// What a scenario tells, if somebody listens.
    story: Option<Vec<(Timestamp, String)>>,
    /// After how many effects the next step that has any is cut short.
    cut_after: Option<usize>,
    /// How many more effects, over all steps, are carried out before Ekiden dies.
    dies_after: Option<usize>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The first broken invariant, if any.
    pub violation: Option<Violation>,
    /// What went wrong in it.
    pub knobs: Knobs,
    /// The last lines of the log.
    pub lines: Vec<String>,
    /// The same for the same run.
    pub hash: u64,
    /// How much of it was idle waiting for what cannot be had.
    pub excused: usize,
    /// Steps that the reconciler made.
    pub steps: u64,
}

impl Outcome {
    /// What a person needs to find out why a run failed: what broke, what the run was like, how it ended, and how to
    /// see it again.
    pub fn explain(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for line in &self.lines {
            let _ = writeln!(text, "  {line}");
        }
        let broken = self.violation.as_ref().map_or("nothing broke".to_owned(), ToString::to_string);
        let _ = writeln!(text, "seed {}: {broken}", self.seed);
        let _ = writeln!(text, "  {:?}", self.knobs);
        let _ = writeln!(
            text,
            "  replay: EKIDEN_SIM_SEED={} cargo test --test simulation replay -- --nocapture",
            self.seed
        );
        text
    }
}

/// Runs one seed, as Ekiden is.
pub fn run_seed(seed: u64) -> Outcome {
    run_mutant(seed, None, LINES_KEPT)
}

fn draw_knobs(seed: u64, rng: &mut Rng) -> Knobs {
    let mut knobs = Knobs::draw(rng);
    knobs.draw_memory(&mut Rng::new(!seed));
    knobs.draw_requests(&mut Rng::new(seed.rotate_left(32)));
    knobs
}

/// Runs one seed as if there were no API: what was found before there were clients is found in this way.
pub fn run_without_requests(seed: u64) -> Outcome {
    let mut rng = Rng::new(seed);
    let knobs = Knobs { requests: false, ..draw_knobs(seed, &mut rng) };
    run(seed, rng, knobs, None, LINES_KEPT)
}

/// Runs one seed, perhaps with a mistake planted, and keeps so many lines of the log.
pub fn run_mutant(seed: u64, mutant: Option<Mutant>, lines: usize) -> Outcome {
    let mut rng = Rng::new(seed);
    let mut knobs = draw_knobs(seed, &mut rng);
    if let Some(mutant) = mutant {
        knobs.requests = mutant.needs_requests();
        // Whole runs at full length are for finding the unknown; what is planted shows sooner.
        knobs.length = knobs.length.min(Duration::from_secs(150));
        if mutant.needs_memory() {
            knobs.memory = true;
            knobs.faults.extend([Fault::StoreWiped, Fault::StoreOld, Fault::StoreOld]);
        }
    }
    run(seed, rng, knobs, mutant, lines)
}

fn run(seed: u64, mut rng: Rng, knobs: Knobs, mutant: Option<Mutant>, lines: usize) -> Outcome {
    let mut run = Simulation::new(rng.fork(), knobs.clone(), lines);
    run.mutant = mutant;
    if run.line.knobs.memory {
        run.cluster.remember();
    }
    run.draw_world(&mut rng);
    run.draw_clients(seed);
    let excused = run.whole();
    Outcome {
        seed,
        violation: run.line.violation.clone(),
        knobs,
        hash: run.line.trace.hash(),
        lines: run.line.trace.take(),
        excused,
        steps: run.steps,
    }
}

impl Simulation {
    /// An empty world: no agents, nothing declared, Ekiden not started.
    pub fn new(rng: Rng, knobs: Knobs, lines: usize) -> Self {
        let mut cluster = Cluster::default();
        cluster.roles.push(Role::any());
        // Waits are shorter than in production, so that runs are; their proportions are the same.
        let settings = Settings {
            launch_timeout: Duration::from_secs(60),
            kill_retry: Duration::from_secs(10),
            decline_for: Duration::from_secs(30),
            service_ports: 10_000..=10_015,
            ..Settings::default()
        };
        Self {
            line: Timeline::new(BEGINNING, rng, knobs, lines),
            cluster,
            store: Store::default(),
            ledger: Ledger::default(),
            declared: BTreeMap::new(),
            settings,
            steps: 0,
            effects: 0,
            mutant: None,
            process: None,
            lives: 0,
            connections: 0,
            skew: 0,
            overload: false,
            flapping: false,
            store_stalled: false,
            store_busy: false,
            healing: false,
            history: Vec::new(),
            copies: Vec::new(),
            edits: 0,
            clients: Clients::default(),
            machines: 0,
            with_roles: false,
            again: None,
            premature: false,
            story: None,
            cut_after: None,
            dies_after: None,
        }
    }

    /// Plants a mistake.
    pub fn plant(&mut self, mutant: Mutant) {
        self.mutant = Some(mutant);
    }

    fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// What the cluster at hand can do.
    fn abilities() -> Abilities {
        Abilities { docker: true, mesos_images: true, networks: true, kill_grace: Duration::from_secs(3) }
    }

    /// Runs until `until`, or until something broke.
    pub fn run_until(&mut self, until: Timestamp) {
        while self.line.violation.is_none() {
            let Some(happening) = self.line.next_until(until) else {
                self.line.now = self.line.now.max(until);
                return;
            };
            self.happen(happening);
        }
    }

    /// Runs for so long.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.line.now + duration);
    }

    fn happen(&mut self, happening: Happening) {
        let (cluster, line) = (&mut self.cluster, &mut self.line);
        match happening {
            Happening::Step => self.step(),
            Happening::Wake(number) => self.wake(number),
            Happening::Start => self.start(),
            Happening::Connect(of) => self.connect(of),
            Happening::Arrive(connection, event) => {
                if cluster.connection == Some(connection) {
                    self.receive(Input::Cluster(event));
                }
            }
            Happening::Call(connection, effect) => {
                if cluster.connection == Some(connection) {
                    cluster.call(*effect, line);
                }
            }
            Happening::Stored(of) => self.stored(of),
            Happening::Probe(of, app, instance, kind, number) => self.probe(of, &app, instance, kind, number),
            Happening::Task(task, stage) => cluster.advance(&task, stage, line),
            Happening::Resend(task, number) => cluster.resend(&task, number, line),
            Happening::Allocate => cluster.allocate(line),
            Happening::Rescind(offer) => cluster.rescind(&offer, line),
            Happening::Noticed(agent, cut) => cluster.noticed(&agent, cut, line),
            Happening::Returns(agent, cut) => cluster.returns(&agent, cut, line),
            Happening::Joins(machine) => cluster.join(*machine, line),
            Happening::Cancelled(agent) => cluster.schedule_maintenance(&agent, None, line),
            Happening::TakenDown(agent) => self.take_down(&agent),
            Happening::DrainedGone(agent) => cluster.drained_gone(&agent, line),
            Happening::Activated(agent) => cluster.activate(&agent, line),
            Happening::Unload(agent) => self.unload(&agent),
            Happening::Well(app) => {
                cluster.sick.remove(&app);
            }
            Happening::Recover => self.recover(),
            Happening::Fault => self.fault(),
            Happening::Edit => self.edit(),
            Happening::Survey(of, except) => self.surveyed(of, except.as_ref()),
            Happening::Registers(agent) => cluster.registers(&agent, line),
            Happening::Operator => self.operator(),
        }
    }

    /// Adds an agent.
    pub fn join(&mut self, machine: Machine) {
        self.cluster.join(machine, &mut self.line);
    }

    /// The time as Ekiden's clock shows it.
    pub fn told_now(&self) -> Timestamp {
        Timestamp::from_millis(self.line.now.as_millis() + self.skew)
    }

    /// The reconciler, while Ekiden runs.
    pub fn reconciler(&self) -> Option<&Reconciler> {
        self.process.as_ref().map(|process| &process.reconciler)
    }

    fn reconciler_mut(&mut self) -> Option<&mut Reconciler> {
        self.process.as_mut().map(|process| &mut process.reconciler)
    }

    /// Whether everything that is to be known is.
    pub fn is_up(&self) -> bool {
        self.process.is_some() && self.cluster.connection.is_some()
    }

    /// What the checks look at.
    pub fn check(&mut self) -> Check<'_> {
        let (cluster, store, settings) = (&self.cluster, &self.store, &self.settings);
        let now = self.ledger.now;
        Check { cluster, ledger: &mut self.ledger, store, settings, now, world_now: self.line.now }
    }

    /// The live task in a slot of an app, the latest first.
    pub fn task_in(&self, app: &AppId, slot: u32) -> Option<TaskId> {
        let in_slot = self.cluster.living().filter(|task| task.app == *app && task.key.slot.0 == slot);
        in_slot.max_by_key(|task| task.key.incarnation).map(|task| task.id.clone())
    }
}
