//! Which faults a run has, and how often: drawn per run (*swarm testing*), because a run in which everything goes wrong
//! all the time explores less than many runs in which a few things do.

use std::time::Duration;

use crate::rng::Rng;

/// Something that goes wrong at a moment of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A running task fails.
    TaskCrash,
    /// An agent cannot be reached for a while; its tasks run on.
    AgentCut,
    /// An agent is set up anew: its tasks are dead, it comes back under another id.
    AgentReborn,
    /// An agent restarts and comes back under its id; its tasks are dead.
    AgentReboot,
    /// An agent will not come back; another one takes its place later.
    AgentGone,
    /// Other frameworks take much of an agent for a while.
    ForeignLoad,
    /// The outstanding offers of an agent are taken back.
    Rescind,
    /// The master breaks the connection.
    Disconnect,
    /// The clock of Ekiden's machine jumps.
    ClockJump,
    /// A task gets stuck: it is unhealthy until it is replaced.
    Wedge,
    /// All instances of an app are unhealthy for a while.
    Sick,
    /// Checks that fail and succeed in turns for a while.
    Flap,
    /// The checker says nothing about anything for a while.
    Overload,
    /// The store stalls for a while.
    StoreStall,
    /// The store fails, and with it the process.
    StoreFail,
    /// The process dies at an idle moment.
    Restart,
    /// Two of three agents are cut off at once.
    MassCut,
    /// An agent's maintenance is announced; it is cancelled, or the agent is taken down, or nothing more happens.
    Maintenance,
    /// All agents' maintenance is announced at once, and cancelled later.
    MaintenanceOfAll,
    /// An operator drains an agent: Mesos ends what it runs. Then it is put to use again, or is gone.
    DrainAgent,
    /// Another master takes over, and knows nothing of agents that have not come back to it.
    MasterFailover,
    /// The store is lost, and the process with it.
    StoreWiped,
    /// The store is replaced by an earlier copy of it, and the process restarted.
    StoreOld,
}

/// Those of a cluster that remembers frameworks. Drawn apart, so that the runs of all others stay what they are.
const FAULTS_OF_MEMORY: [Fault; 3] = [Fault::MasterFailover, Fault::StoreWiped, Fault::StoreOld];

/// All of them.
pub const FAULTS: [Fault; 20] = [
    Fault::TaskCrash,
    Fault::AgentCut,
    Fault::AgentReborn,
    Fault::AgentReboot,
    Fault::AgentGone,
    Fault::ForeignLoad,
    Fault::Rescind,
    Fault::Disconnect,
    Fault::ClockJump,
    Fault::Wedge,
    Fault::Sick,
    Fault::Flap,
    Fault::Overload,
    Fault::StoreStall,
    Fault::StoreFail,
    Fault::Restart,
    Fault::MassCut,
    Fault::Maintenance,
    Fault::MaintenanceOfAll,
    Fault::DrainAgent,
];

/// What differs from run to run beside the world itself. Probabilities are per message.
#[derive(Debug, Clone, PartialEq)]
pub struct Knobs {
    /// How long the faulty part of the run is.
    pub length: Duration,
    /// Mean time between two faults.
    pub fault_every: Duration,
    /// The faults there are in this run.
    pub faults: Vec<Fault>,
    /// Mean time between two edits.
    pub edit_every: Duration,
    /// A status update never arrives (it is sent again).
    pub status_lost: f64,
    /// A status update arrives twice.
    pub status_doubled: f64,
    /// A status update comes up to half a minute late.
    pub status_late: f64,
    /// An acknowledgement never arrives.
    pub ack_lost: f64,
    /// A launch never reaches its agent.
    pub launch_lost: f64,
    /// A kill never reaches its agent.
    pub kill_lost: f64,
    /// A question about tasks never reaches the master.
    pub reconcile_lost: f64,
    /// Whether the cluster remembers frameworks.
    pub memory: bool,
    /// Whether there are clients of the API.
    pub requests: bool,
    /// What an agent has is offered in two parts.
    pub offer_split: f64,
    /// A probe says nothing.
    pub probe_lost: f64,
    /// A write takes seconds.
    pub store_slow: f64,
    /// The process dies while it carries out the effects of a step.
    pub step_cut: f64,
    /// Whether messages take varying times.
    pub jitter: bool,
}

impl Knobs {
    /// Nothing goes wrong.
    pub fn calm() -> Self {
        Self {
            length: Duration::ZERO,
            fault_every: Duration::MAX,
            faults: Vec::new(),
            edit_every: Duration::MAX,
            status_lost: 0.0,
            status_doubled: 0.0,
            status_late: 0.0,
            ack_lost: 0.0,
            launch_lost: 0.0,
            kill_lost: 0.0,
            reconcile_lost: 0.0,
            memory: false,
            requests: false,
            offer_split: 0.0,
            probe_lost: 0.0,
            store_slow: 0.0,
            step_cut: 0.0,
            jitter: false,
        }
    }

    /// Those of one run.
    pub fn draw(rng: &mut Rng) -> Self {
        // One run in sixteen has no fault but edits: what fails there has the simplest explanation.
        let ill = !rng.chance(1.0 / 16.0);
        let mut rate = |most: f64| {
            let on = ill && rng.chance(0.4);
            if on { most * (rng.between(1, 10) as f64) / 10.0 } else { 0.0 }
        };
        let drawn = Self {
            status_lost: rate(0.3),
            status_doubled: rate(0.3),
            status_late: rate(0.2),
            ack_lost: rate(0.3),
            launch_lost: rate(0.2),
            kill_lost: rate(0.3),
            offer_split: rate(0.5),
            probe_lost: rate(0.2),
            store_slow: rate(0.2),
            step_cut: rate(0.03),
            ..Self::calm()
        };
        let mut faults: Vec<Fault> = FAULTS.into_iter().filter(|_| ill && rng.chance(0.35)).collect();
        if rng.chance(0.1) {
            faults.truncate(1);
        }
        Self {
            length: Duration::from_secs(rng.between(60, 300)),
            fault_every: Duration::from_secs(rng.between(5, 40)),
            faults,
            edit_every: Duration::from_secs(rng.between(8, 90)),
            jitter: true,
            ..drawn
        }
    }

    /// Makes half of the runs ones in a cluster that remembers frameworks, as Mesos does.
    pub fn draw_memory(&mut self, rng: &mut Rng) {
        self.memory = rng.chance(0.5);
        if self.memory && !self.faults.is_empty() {
            self.reconcile_lost = if rng.chance(0.4) { rng.between(1, 10) as f64 / 20.0 } else { 0.0 };
            self.faults.extend(FAULTS_OF_MEMORY.into_iter().filter(|_| rng.chance(0.4)));
        }
    }

    /// Gives half of the runs clients of the API, in half of those of each other kind.
    pub fn draw_requests(&mut self, rng: &mut Rng) {
        self.requests = rng.chance(0.5);
    }

    /// The faults end: what is left is what differs without being wrong.
    pub fn heal(&mut self) {
        let Self { jitter, length, memory, requests, .. } = *self;
        *self = Self { jitter, length, memory, requests, ..Self::calm() };
    }
}
