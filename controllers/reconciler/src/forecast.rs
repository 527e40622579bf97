//! What would come of a change: a reconciler of the same world is run forward in a cluster that is polite.
//!
//! All that is decided is decided by a [`Reconciler`], made for the purpose and thrown away; what is here plays the
//! rest: a store that keeps everything at once, and a cluster in which whatever is started runs and stays healthy,
//! whatever is ended ends, and what is free is offered. So a forecast is as true as that politeness. Between equal
//! places the choice is by lot; waits after failures are left out.
//!
//! It goes in **rounds**: everything is decided that can be decided before any task answers, then all answers come at
//! once. What an app starts and ends in one round is what it does at once.

mod pool;
mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app_state::Backoff;
use ekiden_model::budget::Bounds;
use ekiden_model::effect::{Probe, TaskLaunch};
use ekiden_model::health::{Outcome, Readiness, Verdict};
use ekiden_model::input::{Abilities, ClusterEvent, Desired, TaskStatus};
use ekiden_model::limits::Settings;
use ekiden_model::offer::{Bundle, Spare};
use ekiden_model::record::{AppRecord, Installation, Record, SlotRecord};
use ekiden_model::report::{KillCause, Report};
use ekiden_model::view::Sample;
use ekiden_model::{
    Agent, AgentId, Agents, AppId, AppState, Condition, Effect, Input, Instance, InstanceKey, Port, Reason,
    Resources, RevisionId, Role, TaskId, Timestamp,
};

use crate::identity::Identity;
use crate::spare::used_by;
use crate::{Reconciler, RestoreError};

use pool::Pool;

pub use refused::{Refused, refused};

/// How long a round takes.
const ROUND: Duration = Duration::from_millis(100);

/// How long nothing may have started or ended before it is taken for settled. Longer than offers are held, so that
/// every role sees what another one has no use for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most rounds. A rollout of 3,000 instances one by one ends within.
const ROUNDS_MAX: u32 = 10_000;

/// Most steps: some for each round.
const STEPS_MAX: u32 = 100_000;

/// Most visits to apps: some seconds of work. 10,000 apps that all change take a tenth of it.
const VISITS_MAX: u64 = 500_000;

/// The world as it is when a forecast begins.
#[derive(Debug, Clone)]
pub struct Outset {
    /// When that is.
    pub now: Timestamp,
    /// The operator's settings.
    pub settings: Settings,
    /// What the cluster is able to do.
    pub abilities: Abilities,
    /// Whose world it is.
    pub installation: Installation,
    /// What agents have to spare.
    pub spares: Vec<Spare>,
    /// The agents.
    pub agents: Agents,
    records: Vec<Record>,
}

/// What would be changed.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// What would be declared, and what no longer.
    pub desired: Desired,
    /// Agents that would be gone.
    pub lost: BTreeSet<AgentId>,
}

/// What would come of it.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    /// Apps of which something would start or end, or that would wait for something in the end.
    pub apps: BTreeMap<AppId, Outlook>,
    /// Whether it came to rest. Otherwise this is the beginning of something long.
    pub complete: bool,
}

/// What would become of one app.
#[derive(Debug, Clone, Default)]
pub struct Outlook {
    /// What would start, in order.
    pub starts: Vec<Start>,
    /// What we would end, in order.
    pub stops: Vec<Stop>,
    /// What would be gone with its agent.
    pub lost: Vec<Stop>,
    /// How that would go: what starts and ends at once.
    pub rounds: Vec<Round>,
    /// How few instances may be healthy by our own doing, and how many may exist; nothing when the app is to go.
    pub bounds: Option<Bounds>,
    /// What the app would wait for in the end.
    pub report: Report,
}

/// An instance that would start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Which.
    pub instance: InstanceKey,
    /// Of which revision.
    pub revision: RevisionId,
    /// Where.
    pub agent: Arc<Agent>,
    /// With the resources of which role.
    pub role: Role,
    /// What it would take.
    pub resources: Resources,
    /// The host ports, in the order of the app's ports; `None` for those not mapped to the host.
    pub host_ports: Vec<Option<Port>>,
    /// In which round of its app, from 0.
    pub round: usize,
}

/// An instance that would end.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// Which.
    pub instance: InstanceKey,
    /// Its task.
    pub task: TaskId,
    /// Of which revision.
    pub revision: RevisionId,
    /// Where.
    pub agent: Arc<Agent>,
    /// Why; nothing when its agent is gone.
    pub cause: Option<KillCause>,
    /// In which round of its app, from 0. Of what is gone with its agent, 0.
    pub round: usize,
}

/// What an app does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// How many instances start.
    pub starts: u32,
    /// How many are ended.
    pub stops: u32,
    /// How many are healthy meanwhile.
    pub healthy: u32,
}

impl Outset {
    /// Adds the apps.
    #[must_use]
    pub fn with_apps<'a>(mut self, apps: impl IntoIterator<Item = &'a AppState>) -> Self {
        for app in apps {
            // Where all that is started stays healthy, nothing waits after failures.
            let record = AppRecord { backoff: Backoff::default(), ..AppRecord::of(app) };
            self.records.push(Record::App(Box::new(record)));
            let slots = app.instances.last_incarnations().map(|(slot, last)| {
                let instances = app.instances.in_slot(slot).cloned().collect();
                Record::Slot(SlotRecord { app: app.id.clone(), slot, last, instances })
            });
            self.records.extend(slots);
        }
        self
    }
}

impl Reconciler {
    /// What a forecast must know and only the reconciler does: all but the apps, which readers have.
    pub fn outset(&self) -> Outset {
        Outset {
            now: self.now,
            settings: self.settings.clone(),
            abilities: self.abilities.clone(),
            installation: self.installation.clone(),
            spares: self.spares(),
            agents: self.agents.clone(),
            records: Vec::new(),
        }
    }
}

/// What would come of `change`. Fails only where nobody could start from such a world.
pub fn forecast(outset: Outset, change: Change) -> Result<Forecast, RestoreError> {
    let mut play = Play::begin(outset, &change.lost)?;
    play.run(change);
    Ok(play.end())
}

/// A reconciler and the cluster that is played for it.
struct Play {
    reconciler: Reconciler,
    now: Timestamp,
    pool: Pool,
    /// What reaches the reconciler with its next step.
    inputs: Vec<Input>,
    /// What tasks answer when the round is over.
    answers: Vec<Input>,
    /// What is free then.
    freed: Vec<(AgentId, Bundle)>,
    /// Rounds so far.
    round: u32,
    /// The last round in which something of an app started or ended.
    active: BTreeMap<AppId, u32>,
    /// Steps so far.
    steps: u32,
    /// Whether something has started or ended since it was looked what apps wait for.
    is_stale: bool,
    /// When something last started or ended.
    last: Timestamp,
    forecast: Forecast,
}

impl Play {
    fn begin(outset: Outset, lost: &BTreeSet<AgentId>) -> Result<Self, RestoreError> {
        let Outset { now, settings, abilities, installation, spares, agents, records } = outset;
        let default_role = settings.default_role.clone();
        let first = Record::Installation(Box::new(installation.clone()));
        let records = std::iter::once(first).chain(records);
        let mut reconciler = Reconciler::restore(settings, abilities, installation, records)?;
        // What tasks tell of agents is less than is known.
        reconciler.agents = agents;
        reconciler.assumed.clear();
        let spares = spares.into_iter().filter(|spare| !lost.contains(&spare.agent.id));
        let roles = [default_role].into_iter().chain(reconciler.roles.keys().cloned()).collect();
        let pool = Pool::new(spares, roles);
        Ok(Self {
            now: now.max(reconciler.now),
            reconciler,
            pool,
            inputs: Vec::new(),
            answers: Vec::new(),
            freed: Vec::new(),
            round: 0,
            active: BTreeMap::new(),
            steps: 0,
            is_stale: true,
            last: now,
            forecast: Forecast::default(),
        })
    }

    fn run(&mut self, change: Change) {
        // First the world as it is: without a change, and before all is known, nothing is launched or ended.
        self.step(vec![Input::Cluster(ClusterEvent::Connected)]);
        let named = change.desired.declare.iter().filter_map(|(app, _)| app.template.role.clone());
        self.pool.add_roles(named);
        for agent in change.lost {
            self.lose(&agent);
            self.inputs.push(Input::Cluster(ClusterEvent::AgentGone(agent)));
        }
        self.inputs.push(Input::Desired(Desired { complete: true, ..change.desired }));
        self.last = self.now;
        self.offer();
        while !self.is_enough() {
            self.decide();
            if !self.end_round() && !self.pass() {
                self.forecast.complete = true;
                return;
            }
        }
        self.look_back();
    }

    /// Lets everything be decided that can be before a task answers.
    fn decide(&mut self) {
        let is_due = |reconciler: &Reconciler, now| reconciler.next_wake().is_some_and(|wake| wake <= now);
        while !self.inputs.is_empty() || is_due(&self.reconciler, self.now) {
            let mut inputs = std::mem::take(&mut self.inputs);
            if inputs.is_empty() {
                inputs.push(Input::Tick);
            }
            self.step(inputs);
            if self.is_enough() {
                return;
            }
        }
        let active = self.active.iter().filter(|(_, round)| **round == self.round).map(|(app, _)| app);
        for id in active {
            let healthy = self.reconciler.app(id).map_or(0, |app| app.instances.total().healthy);
            if let Some(round) = self.forecast.apps.get_mut(id).and_then(|app| app.rounds.last_mut()) {
                round.healthy = healthy;
            }
        }
    }

    /// The tasks answer. Says whether there was anything to answer.
    fn end_round(&mut self) -> bool {
        self.inputs.append(&mut self.answers);
        for (agent, freed) in self.freed.drain(..) {
            self.pool.put(&agent, &freed);
        }
        self.offer();
        if self.inputs.is_empty() {
            return false;
        }
        self.round += 1;
        self.now = self.now + ROUND;
        true
    }

    /// Nothing happens by itself: time passes until it does. Says whether it may still.
    fn pass(&mut self) -> bool {
        self.look_back();
        let wake = self.reconciler.next_wake().filter(|wake| *wake <= self.last + PATIENCE);
        let Some(wake) = wake else { return false };
        self.now = self.now.max(wake);
        self.pool.forget_refusals();
        self.offer();
        true
    }

    /// What the apps wait for when everything that can happen has. Several times, since offers are at hand for one role
    /// after the other: an app that was told why they do not do is not told later that there are none.
    fn look_back(&mut self) {
        if std::mem::take(&mut self.is_stale) {
            for outlook in self.forecast.apps.values_mut() {
                outlook.report = Report::empty();
            }
        }
        let ids: Vec<AppId> = self.reconciler.apps.ids().cloned().collect();
        for id in ids {
            let report = self.reconciler.report(&id);
            let knows_less = report.reasons.iter().any(|reason| matches!(reason, Reason::NothingOffered { .. }));
            let known = self.forecast.apps.get(&id).is_some_and(|outlook| !outlook.report.is_empty());
            if report.is_empty() || (known && knows_less) {
                continue;
            }
            self.forecast.apps.entry(id).or_default().report = report;
        }
    }

    /// All that was found out.
    fn end(mut self) -> Forecast {
        for (id, outlook) in &mut self.forecast.apps {
            let desired = self.reconciler.desired(id);
            let declared = self.reconciler.app(id).and_then(|app| app.declared.as_ref());
            outlook.bounds = declared.map(|declared| declared.app.bounds(desired));
        }
        self.forecast.apps.retain(|_, outlook| {
            !(outlook.rounds.is_empty() && outlook.lost.is_empty() && outlook.report.is_empty())
        });
        self.forecast
    }

    /// Whether this goes on for too long.
    fn is_enough(&self) -> bool {
        let visits = self.reconciler.work().apps_visited;
        self.round >= ROUNDS_MAX || self.steps >= STEPS_MAX || visits >= VISITS_MAX
    }

    fn step(&mut self, inputs: Vec<Input>) {
        self.steps += 1;
        for effect in self.reconciler.step(self.now, inputs) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Persist { seq, .. } => self.inputs.push(Input::Stored(seq)),
            Effect::Reconcile(tasks) if tasks.is_empty() => {
                self.inputs.push(Input::Cluster(ClusterEvent::Reconciled));
            }
            Effect::Reconcile(tasks) => {
                for (task, _) in &tasks {
                    self.tell_of(task);
                }
            }
            Effect::Accept { offers, tasks, .. } => {
                self.pool.accept(&offers, tasks.iter().map(|task| &task.claim));
                for task in tasks {
                    self.start(task);
                }
                // The cluster offers the rest again long before a task is healthy.
                self.offer();
            }
            Effect::Decline { offers, .. } => self.pool.decline(&offers),
            Effect::Revive(role) => {
                self.pool.revive(role);
                self.offer();
            }
            Effect::Suppress(role) => self.pool.suppress(role),
            Effect::Kill { task, .. } => self.stop(&task),
            Effect::StartProbe(app, probe) => self.probe(app, &probe),
            // There is nobody to be told of anything.
            Effect::Survey { .. }
            | Effect::Subscribe(_)
            | Effect::Acknowledge(_)
            | Effect::StopProbe(..)
            | Effect::Notify(_)
            | Effect::Answer(..) => {}
        }
    }

    fn offer(&mut self) {
        let offers = self.pool.offers();
        if !offers.is_empty() {
            self.inputs.push(Input::Cluster(ClusterEvent::Offers(offers)));
        }
    }

    /// A task that was there before: it is as it was. What is on its way arrives.
    fn tell_of(&mut self, task: &TaskId) {
        let Some((app, instance)) = self.known(task) else { return };
        let (condition, is_ending) = (instance.condition, !instance.is_wanted());
        let freed = (instance.agent.id.clone(), used_by(app, instance));
        self.inputs.push(status(task, condition));
        match condition {
            Condition::Unreachable => {}
            _ if is_ending => {
                self.freed.push(freed);
                self.answers.push(status(task, Condition::Killed));
            }
            condition if condition.is_starting() => self.answers.push(status(task, Condition::Running)),
            _ => {}
        }
    }

    fn start(&mut self, launch: TaskLaunch) {
        let TaskLaunch { task, instance, revision, app, agent, role, claim, host_ports, .. } = launch;
        self.answers.push(status(&task, Condition::Running));
        let mut resources = claim.unreserved.resources;
        resources += &claim.reserved.resources;
        let round = self.round_of(&app.id, |round| round.starts += 1);
        let outlook = self.forecast.apps.entry(app.id.clone()).or_default();
        outlook.starts.push(Start { instance, revision, agent, role, resources, host_ports, round });
    }

    fn stop(&mut self, task: &TaskId) {
        let Some((app, instance)) = self.known(task) else { return };
        let (id, key) = (app.id.clone(), instance.key);
        let known = self.forecast.apps.get(&id).into_iter().flat_map(|outlook| &outlook.stops);
        if known.into_iter().any(|stop| stop.instance == key) {
            return;
        }
        let cause = instance.kill.as_ref().map(|order| order.cause);
        let (mut stop, freed) = (stop_of(task, instance, cause), used_by(app, instance));
        if instance.condition != Condition::Unreachable {
            self.freed.push((stop.agent.id.clone(), freed));
            self.answers.push(status(task, Condition::Killed));
        }
        stop.round = self.round_of(&id, |round| round.stops += 1);
        self.forecast.apps.entry(id).or_default().stops.push(stop);
    }

    /// What is on an agent that goes.
    fn lose(&mut self, agent: &AgentId) {
        let on_agent = self.reconciler.placed.get(agent).into_iter().flatten();
        for (id, key) in on_agent {
            let Some(app) = self.reconciler.app(id) else { continue };
            if let Some(instance) = app.instances.get(*key) {
                let lost = stop_of(&app.task_id(*key), instance, None);
                self.forecast.apps.entry(id.clone()).or_default().lost.push(lost);
            }
        }
    }

    /// Everything that is started is well. Of what was there before, what is known stays as it is.
    fn probe(&mut self, app: AppId, probe: &Probe) {
        let instance = self.reconciler.app(&app).and_then(|app| app.instances.get(probe.instance));
        let is_open = instance.is_some_and(|instance| {
            let unready = matches!(instance.health.readiness, Readiness::NotReady(_));
            instance.health.verdict == Verdict::Unknown || unready
        });
        if is_open {
            let sample = Sample {
                instance: probe.instance,
                kind: probe.kind,
                at: self.now + ROUND,
                outcome: Outcome::Success,
                http_status: Some(probe.ready_statuses.first().copied().unwrap_or(200)),
            };
            self.answers.push(Input::Probe(app, sample));
        }
    }

    /// Notes that an app does something in this round, and says which one of its own it is.
    fn round_of(&mut self, app: &AppId, note: impl FnOnce(&mut Round)) -> usize {
        (self.last, self.is_stale) = (self.now, true);
        let rounds = &mut self.forecast.apps.entry(app.clone()).or_default().rounds;
        if self.active.insert(app.clone(), self.round) != Some(self.round) {
            rounds.push(Round::default());
        }
        if let Some(round) = rounds.last_mut() {
            note(round);
        }
        rounds.len() - 1
    }

    fn known(&self, task: &TaskId) -> Option<(&AppState, &Instance)> {
        let Identity::Known(app, key) = self.reconciler.identify(task) else { return None };
        let app = self.reconciler.app(&app)?;
        Some((app, app.instances.get(key)?))
    }
}

fn stop_of(task: &TaskId, instance: &Instance, cause: Option<KillCause>) -> Stop {
    let (key, revision, agent) = (instance.key, instance.revision, instance.agent.clone());
    Stop { instance: key, task: task.clone(), revision, agent, cause, round: 0 }
}

/// What the cluster says of a task; its executor's check, if it has one, succeeds once it runs.
fn status(task: &TaskId, condition: Condition) -> Input {
    Input::Cluster(ClusterEvent::Status(TaskStatus {
        task: task.clone(),
        condition,
        message: "".into(),
        reason: None,
        healthy: (condition == Condition::Running).then_some(true),
        ack: None,
    }))
}
