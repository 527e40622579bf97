//! What Ekiden has been told and what it has announced, kept apart from what it thinks: the books that invariants are
//! checked with, beside the cluster's own.
//!
//! *Told* is a fold of the inputs that were delivered, as simple as can be. *Announced* is what the process asked to be
//! written, *durable* (in [`crate::store::Store`]) what survived. A decision is dated by its announcement: every launch
//! and every kill must have been announced, so that nothing has to be read out of the reconciler itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::agent::{Leave, Window};
use ekiden_model::app::{App, BackoffPolicy, HealthCheck, Passage};
use ekiden_model::app_state::{Override, Source};
use ekiden_model::edit::{KillTasks, RequestId};
use ekiden_model::health::{Outcome, ProbeKind, Verdict};
use ekiden_model::id::AppKey;
use ekiden_model::input::{ClusterEvent, Command, Found, TaskStatus};
use ekiden_model::record::{AppRecord, Record, Write};
use ekiden_model::report::FailureCause;
use ekiden_model::view::Sample;
use ekiden_model::{
    AgentId, AppId, Condition, Deployment, DeploymentId, Fingerprint, Input, Instance, InstanceId, InstanceKey,
    RevisionId, TaskId, Timestamp,
};

use crate::store::Records;

/// So long after the master was replaced its agents come back (Mesos' `--agent_reregister_timeout`).
const AGENTS_BACK_WITHIN: Duration = Duration::from_secs(600);

/// The books.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The time that waits are reckoned by: Ekiden's clock, ahead of it by as much as it ever went back.
    pub now: Timestamp,
    ahead: Duration,
    /// What Ekiden's clock shows.
    clock: Timestamp,
    /// What the process has asked to be written, durable or not.
    pub announced: Records,
    /// What it was told to keep.
    pub declared: BTreeMap<AppId, Arc<App>>,
    /// What it was told of tasks.
    pub told: BTreeMap<TaskId, Told>,
    /// All tasks that were ever launched.
    pub launched: BTreeSet<TaskId>,
    /// Which tasks an operator wanted to end, and in how many orders that were not refused.
    pub operator_kills: BTreeMap<TaskId, u32>,
    /// Apps by the keys that their task ids are made of: who is ours.
    pub keys: BTreeMap<AppKey, AppId>,
    /// The wait after failures, by the published formula.
    pub backoff: BTreeMap<AppId, Waiting>,
    /// When instances were ordered to end for their health; the last order counts, should an earlier one have been lost
    /// with the process.
    pub health_kills: BTreeMap<AppId, BTreeMap<InstanceKey, Timestamp>>,
    /// Whether the process was told all that is declared.
    pub desired_complete: bool,
    /// Whether the cluster has answered its reconciliation.
    pub reconciled: bool,
    /// When the process was last connected.
    pub connected: Timestamp,
    /// Agents that it was told do not answer.
    pub unreachable: BTreeSet<AgentId>,
    /// The agents that it knows, by what it was told, and since when those do not answer that do not.
    pub agents: BTreeMap<AgentId, Option<Timestamp>>,
    /// Those of them that it knows by tasks of ours alone, since it started.
    pub assumed: BTreeSet<AgentId>,
    /// The agents' windows, by what it was told.
    pub windows: BTreeMap<AgentId, Window>,
    /// Agents that ever had one.
    pub planned: BTreeSet<AgentId>,
    /// What is held against each app while many agents have just vanished.
    pub bursts: BTreeMap<AppId, Burst>,
    /// When each task was told to end, lately.
    pub kills: BTreeMap<TaskId, VecDeque<Timestamp>>,
    /// Tasks of ours that lived when the store was lost, and that what is left of it knows nothing of.
    pub unknown: BTreeSet<TaskId>,
    /// Those of them that the process was told of.
    pub unknown_told: BTreeSet<TaskId>,
    /// Those of them that some process was told of and lived on to write down.
    pub unknown_noted: BTreeSet<TaskId>,
    /// Tasks that were taken over, and whether they ran what was declared and nobody has asked for a restart since.
    pub taken_over: BTreeMap<TaskId, bool>,
    /// Whether an operator has said whose those are; so it is where there are none.
    pub word_given: bool,
    /// Tasks that an operator has said are not ours.
    pub strangers: BTreeSet<TaskId>,
    /// Updates that wait for their acknowledgement.
    pub unacknowledged: BTreeMap<Arc<[u8]>, (TaskId, Condition)>,
    /// Requests that wait for their answer.
    pub requests: BTreeMap<RequestId, Asked>,
    /// Apps of which something else may be declared than their files say.
    by_request: BTreeSet<AppId>,
    /// All deployments, as they were announced last.
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    /// What was announced to hold for a while instead of a file.
    pub overrides: BTreeMap<AppId, Override>,
    /// What was asked to hold instead of a file since the record of its app was announced last, and until when by the
    /// clock.
    asked_over: BTreeMap<AppId, (Arc<App>, Timestamp)>,
    /// Until when, at the latest, somebody ever asked for something to hold instead of an app's file, by the clock.
    latest_over: BTreeMap<AppId, Timestamp>,
    /// What was declared of apps of which nothing is any more, and what their tasks had answered to it.
    withdrawn: BTreeMap<AppId, Withdrawn>,
}

/// An app that is declared no more.
#[derive(Debug, Clone)]
struct Withdrawn {
    app: Arc<App>,
    /// By task: of the checks by Ekiden, and of the executor's.
    answers: BTreeMap<TaskId, (BTreeMap<u32, Checked>, Option<bool>)>,
}

/// A request that waits for its answer.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What is wanted.
    pub command: Command,
    /// Whether the next process is asked again what this one does not answer.
    pub again: bool,
    /// How often it was sent.
    pub times: u32,
}

/// What the process was told of a task.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its condition, last.
    pub condition: Condition,
    /// Whether it was ever said to be unreachable.
    pub ever_unreachable: bool,
    /// Since when it is said to be, without a break.
    pub unreachable_since: Option<Timestamp>,
    /// When it was first said to run.
    pub running: Option<Timestamp>,
    /// Since when it runs, should it run, by a survey that took it to serve.
    found_since: Option<Timestamp>,
    /// By check of Ekiden: whether its last result was a success, and the most failures in a row.
    pub checks: BTreeMap<u32, Checked>,
    /// What an executor's check said.
    pub executor: Option<bool>,
    /// Whether some check failed so often in a row that it is to be replaced, and not all have succeeded since.
    pub condemned: bool,
    /// Whether it was healthy when its checks were edited, and none has failed since.
    pub presumed: bool,
}

/// What was told of one check.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked {
    /// Its last result.
    pub alive: Option<bool>,
    /// Failures in a row.
    pub in_row: u32,
}

/// Of one app, since many agents vanished at once.
#[derive(Debug, Clone, Default)]
pub struct Burst {
    /// How many instances it had beyond those it shall have, when first looked at.
    pub too_many: Option<usize>,
    /// Instances that were forgotten, although their agents had just vanished.
    pub given_up: BTreeSet<InstanceKey>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            condition: Condition::Provisioned,
            ever_unreachable: false,
            unreachable_since: None,
            running: None,
            found_since: None,
            checks: BTreeMap::new(),
            executor: None,
            condemned: false,
            presumed: false,
        }
    }
}

/// The wait of one app.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waiting {
    /// Failures that count.
    pub failures: u32,
    /// Nothing is launched before this.
    pub until: Timestamp,
    reference: Timestamp,
}

/// The wait after the n-th failure: base × factor^(n−1), at most the maximum.
pub fn delay(policy: &BackoffPolicy, failures: u32) -> Duration {
    // 2^31 ms are 24 days: more than any maximum, and far from where f64 loses milliseconds.
    let millis = policy.base.as_millis() as f64 * policy.factor.powi(failures.saturating_sub(1).cast_signed());
    Duration::from_millis(millis.min(2_147_483_648.0) as u64).min(policy.max)
}

impl Ledger {
    /// Takes in what is delivered.
    pub fn take_in(&mut self, told_now: Timestamp, inputs: &[Input]) {
        self.clock = told_now;
        self.ahead += self.now.since(told_now + self.ahead);
        self.now = told_now + self.ahead;
        let told_now = self.now;
        for input in inputs {
            match input {
                Input::Desired(desired) => {
                    for (app, _) in &desired.declare {
                        // What a file said when it was overridden it says still.
                        if self.overrides.get(&app.id).is_none_or(|over| over.file != *app) {
                            self.declare(app);
                        }
                    }
                    let files = desired.withdraw.iter().filter(|app| !self.is_kept(app)).collect::<Vec<_>>();
                    for app in files {
                        self.withdraw(app);
                    }
                    self.desired_complete |= desired.complete;
                }
                Input::Cluster(event) => self.cluster(told_now, event),
                Input::Probe(app, sample) => self.probe(told_now, app, sample),
                Input::Command(_, command) => self.command(command),
                Input::Stored(_) => self.unknown_noted.extend(self.unknown_told.iter().cloned()),
                Input::Tick => {}
            }
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::ResetBackoff(app) => _ = self.backoff.remove(app),
            Command::Edit(edit) => {
                for app in &edit.restart {
                    self.backoff.remove(app);
                    let of_app = self.taken_over.iter_mut().filter(|(task, _)| task.app().as_ref() == Some(app));
                    of_app.for_each(|(_, runs_on)| *runs_on = false);
                }
                if let Some(over) = &edit.authority.over {
                    for app in &edit.declare {
                        self.asked_over.insert(app.id.clone(), (app.clone(), over.until));
                        let latest = self.latest_over.entry(app.id.clone()).or_insert(over.until);
                        *latest = over.until.max(*latest);
                    }
                }
            }
            Command::Kill(kill) => {
                for task in &kill.tasks {
                    *self.operator_kills.entry(task.clone()).or_default() += 1;
                }
            }
            Command::Adopt | Command::Disown => self.word_given = true,
            Command::Cancel(..)
            | Command::Abandon(_)
            | Command::Keep(_)
            | Command::EnforceRole(..)
            | Command::Listen(_)
            | Command::Unlisten(_) => {}
        }
    }

    /// What was ordered was refused; the same may have been ordered before.
    pub fn kill_refused(&mut self, kill: &KillTasks) {
        for task in &kill.tasks {
            if let Some(orders) = self.operator_kills.get_mut(task) {
                *orders -= 1;
            }
        }
        self.operator_kills.retain(|_, orders| *orders > 0);
    }

    /// Whether an app stays although no file declares it.
    fn is_kept(&self, app: &AppId) -> bool {
        let declared = self.announced.apps.get(app).and_then(|record| record.declared.as_ref());
        declared.is_some_and(|declared| declared.source == Source::Api || declared.keep)
    }

    /// What was asked for through the API is told by its record, which is announced with all that follows of it: whether a
    /// request was followed or refused depends on what Ekiden knew at that moment. What it promised is looked at when it is
    /// answered.
    pub fn note_declared(&mut self, write: &Write) {
        match write {
            Write::Put(Record::App(record)) => {
                let Some(declared) = &record.declared else {
                    if self.by_request.contains(&record.id) {
                        self.withdraw(&record.id);
                    }
                    return;
                };
                let by_request = declared.source == Source::Api || declared.over.is_some();
                let was = self.by_request.contains(&record.id);
                if (by_request || was) && self.declared.get(&record.id) != Some(&declared.app) {
                    self.declare(&declared.app);
                }
                if by_request {
                    self.by_request.insert(record.id.clone());
                } else {
                    self.by_request.remove(&record.id);
                }
            }
            Write::DeleteApp(app) if self.by_request.remove(app) => self.withdraw(app),
            _ => {}
        }
    }

    /// Who was healthy serves on until it ends, should the app be declared again before that.
    fn withdraw(&mut self, app: &AppId) {
        if let Some(before) = self.declared.remove(app) {
            let told =
                self.tasks_of(app).into_iter().filter_map(|task| Some((task.clone(), self.told.get(&task)?)));
            let answers = told.map(|(task, told)| (task, (told.checks.clone(), told.executor))).collect();
            self.forget_answers(&before);
            self.withdrawn.insert(app.clone(), Withdrawn { app: before, answers });
        }
    }

    /// Who is declared again, and is asked the same as before, has answered.
    fn return_answers(&mut self, app: &App) {
        let Some(before) = self.withdrawn.remove(&app.id) else { return };
        if questions(&before.app) != questions(app) {
            return;
        }
        for (task, (checks, executor)) in before.answers {
            if let Some(told) = self.told.get_mut(&task) {
                (told.checks, told.executor) = (checks, executor);
            }
        }
    }

    /// Whether Ekiden's own time may be another than its clock's.
    pub fn clock_went_back(&self) -> bool {
        self.ahead > Duration::ZERO
    }

    /// Whether somebody has just asked once more for what holds instead of an app's file, until a time that the clock has
    /// passed: one who was not answered asks again, and may come too late.
    pub fn is_asked_too_late(&self, app: &AppId) -> bool {
        let holds = self.announced.apps.get(app).and_then(|record| record.declared.as_ref());
        let asked = self.asked_over.get(app).zip(holds);
        asked.is_some_and(|((wanted, until), holds)| holds.app == *wanted && *until <= self.clock)
    }

    /// How long something may hold still instead of some app's file, when the clock shows this. Who asks names a time of
    /// the clock's; where that was set back before he was heard, it is longer than he thought.
    pub fn overridden_for(&self, clock: Timestamp) -> Duration {
        let until = self.overrides.keys().filter_map(|app| self.latest_over.get(app));
        until.map(|until| until.since(clock)).max().unwrap_or_default()
    }

    /// What becomes of an app is announced: what was asked for before shows in it.
    pub fn note_override(&mut self, record: &AppRecord) {
        self.asked_over.remove(&record.id);
        match record.declared.as_ref().and_then(|declared| declared.over.clone()) {
            Some(over) => _ = self.overrides.insert(record.id.clone(), over),
            None => _ = self.overrides.remove(&record.id),
        }
    }

    fn declare(&mut self, app: &Arc<App>) {
        let before = self.declared.insert(app.id.clone(), app.clone());
        let Some(before) = before else {
            self.backoff.remove(&app.id);
            self.health_kills.remove(&app.id);
            self.return_answers(app);
            return;
        };
        // Scaling keeps the wait, any other change starts afresh (§4.8).
        if before.changes_from(app).iter().any(|change| change.passage != Passage::Scale) {
            self.backoff.remove(&app.id);
        }
        // What is known of a check belongs to its question.
        if questions(&before) != questions(app) {
            self.forget_answers(&before);
        }
    }

    /// What the checks of a declaration have answered is worth nothing any more. Who was healthy serves on, whatever is to
    /// be asked from now on.
    fn forget_answers(&mut self, before: &App) {
        let presumed = self.healthy_ones(before);
        self.forget_checks(&before.id);
        for task in presumed {
            self.told.entry(task).or_default().presumed = true;
        }
    }

    fn healthy_ones(&self, app: &App) -> Vec<TaskId> {
        let slots = self.announced.slots_of(&app.id);
        let instances = slots.flat_map(|slot| &slot.instances).filter(|instance| instance.is_wanted());
        let tasks = instances.filter_map(|one| Some((one.revision, self.task_id(&app.id, one.key)?)));
        tasks.filter(|(revision, task)| self.told_healthy(app, *revision, task)).map(|(_, task)| task).collect()
    }

    fn forget_checks(&mut self, app: &AppId) {
        for task in self.tasks_of(app) {
            let told = self.told.entry(task).or_default();
            told.executor = None;
            told.presumed = false;
            // Failures are kept: where the question stays the same, Ekiden goes on counting.
            for check in told.checks.values_mut() {
                check.alive = None;
            }
        }
    }

    /// The tasks of an app that anything was told of.
    fn tasks_of(&self, app: &AppId) -> Vec<TaskId> {
        let is_ours = |task: &&TaskId| self.whose(task).is_some_and(|(of, _)| of == *app);
        self.told.keys().filter(is_ours).cloned().collect()
    }

    fn cluster(&mut self, now: Timestamp, event: &ClusterEvent) {
        match event {
            ClusterEvent::Status(status) => {
                // A master that may not know all of its agents yet calls their tasks unknown: that tells nothing.
                if status.condition != Condition::Unknown || now >= self.connected + AGENTS_BACK_WITHIN {
                    self.agent_of_status(now, status);
                    self.status(now, status);
                    self.forget_assumed(&status.task);
                }
            }
            ClusterEvent::Reconciled => self.reconciled = true,
            ClusterEvent::AgentUnreachable(agent) => {
                self.unreachable.insert(agent.clone());
                self.agent_vanished(now, agent);
            }
            ClusterEvent::AgentGone(agent) => {
                self.agents.remove(agent);
                self.windows.remove(agent);
                self.unreachable.remove(agent);
                let on_agent: Vec<TaskId> = self
                    .announced
                    .slots
                    .values()
                    .flat_map(|slot| slot.instances.iter().map(|one| (&slot.app, one)))
                    .filter(|(_, one)| one.agent.id == *agent)
                    .filter_map(|(app, one)| self.task_id(app, one.key))
                    .collect();
                for task in on_agent {
                    self.told.entry(task).or_default().condition = Condition::Gone;
                }
            }
            ClusterEvent::Offers(offers) => {
                for offer in offers {
                    self.plan(&offer.agent.id, offer.maintenance);
                    self.assumed.remove(&offer.agent.id);
                    self.unreachable.remove(&offer.agent.id);
                    self.agent_answers(&offer.agent.id);
                }
            }
            ClusterEvent::Maintenance(agent, window) => {
                // Of an agent that nobody knows there is nothing to be remembered.
                if self.agents.contains_key(agent) {
                    self.plan(agent, *window);
                }
            }
            ClusterEvent::Found(found) => self.found(now, found),
            ClusterEvent::Connected => self.connected = now,
            ClusterEvent::Registered(_)
            | ClusterEvent::Disconnected
            | ClusterEvent::Rescinded(_)
            | ClusterEvent::Message(_) => {}
        }
    }

    /// One whose slot was given to a later one before anybody told of it is one too many (docs/safe-mode.md), and one whose
    /// app was deleted meanwhile is not wanted.
    fn note_unknown(&mut self, task: &TaskId) {
        if !self.unknown.contains(task) {
            return;
        }
        if self.announced.knows(task) {
            self.unknown.remove(task);
        } else {
            self.unknown_told.insert(task.clone());
        }
    }

    /// What a survey tells of tasks is as good as what they tell themselves; and who served until now, or until its agent
    /// stopped answering, is taken to serve.
    fn found(&mut self, now: Timestamp, found: &Found) {
        for found in &found.tasks {
            self.note_unknown(&found.task);
            if self.instance_of(&found.task).is_some() {
                // What is on record is told of by its own updates.
                continue;
            }
            let told = self.told.entry(found.task.clone()).or_default();
            if told.condition.is_terminal() {
                continue;
            }
            told.condition = found.condition;
            if matches!(found.condition, Condition::Running | Condition::Unreachable) {
                told.presumed |= found.healthy != Some(false);
                told.found_since = told.presumed.then_some(found.since.min(now));
            }
            if found.condition == Condition::Running {
                told.running.get_or_insert(found.since.min(now));
                told.unreachable_since = None;
            }
            if found.condition == Condition::Unreachable {
                told.ever_unreachable = true;
                told.unreachable_since.get_or_insert(now);
            }
        }
    }

    /// Whether an agent does not answer, as far as was told of it or of a task there.
    pub fn is_away(&self, agent: &AgentId) -> bool {
        self.unreachable.contains(agent) || self.agents.get(agent).is_some_and(Option::is_some)
    }

    fn plan(&mut self, agent: &AgentId, window: Option<Window>) {
        match window {
            Some((begin, length)) => {
                self.planned.insert(agent.clone());
                self.windows.insert(agent.clone(), (begin + self.ahead, length));
            }
            None => {
                self.windows.remove(agent);
            }
        }
    }

    /// Whether an agent is to be left, as far as was told: `certainly`, whatever a few seconds of the clock make of it,
    /// or at least perhaps.
    pub fn is_left(&self, agent: &AgentId, drain_before: Duration, certainly: bool) -> bool {
        const SLACK: Duration = Duration::from_secs(10);
        let Some(window) = self.windows.get(agent) else { return false };
        let leave = Leave::of(*window, drain_before);
        let at = [self.now - SLACK, self.now, self.now + SLACK].map(|at| leave.is_on(at));
        if certainly { at == [true; 3] } else { at != [false; 3] }
    }

    /// An agent that is known by its tasks alone, and is now by none, may have gone while nobody listened.
    fn forget_assumed(&mut self, ended: &TaskId) {
        let Some(agent) = self.instance_of(ended).map(|instance| instance.agent.id.clone()) else { return };
        if !self.assumed.contains(&agent) || self.agents.get(&agent) != Some(&None) {
            return;
        }
        let slots = self.announced.slots.values();
        let all = slots.flat_map(|slot| slot.instances.iter().map(|one| (&slot.app, one)));
        let mut here = all.filter(|(_, one)| one.agent.id == agent && one.condition.is_live());
        let is_over = |task: TaskId| self.told.get(&task).is_some_and(|told| told.condition.is_terminal());
        if here.all(|(app, one)| self.task_id(app, one.key).is_some_and(is_over)) {
            self.agents.remove(&agent);
            self.assumed.remove(&agent);
        }
    }

    fn agent_vanished(&mut self, now: Timestamp, agent: &AgentId) {
        if let Some(since) = self.agents.get_mut(agent) {
            since.get_or_insert(now);
        }
    }

    fn agent_answers(&mut self, agent: &AgentId) {
        if self.agents.insert(agent.clone(), None).flatten().is_some() {
            // What was counted so far was counted with it away.
            self.bursts.clear();
        }
    }

    /// A task that is unreachable is on an agent that does not answer, and one that reports on one that does.
    fn agent_of_status(&mut self, now: Timestamp, status: &TaskStatus) {
        let before = self.told.get(&status.task).map_or(Condition::Provisioned, |told| told.condition);
        let Some(agent) = self.instance_of(&status.task).map(|instance| instance.agent.id.clone()) else { return };
        if before.is_terminal() || status.condition.is_terminal() {
            return;
        }
        match status.condition {
            Condition::Unreachable if before == Condition::Unreachable => {}
            Condition::Unreachable => self.agent_vanished(now, &agent),
            _ => self.agent_answers(&agent),
        }
    }

    fn status(&mut self, now: Timestamp, status: &TaskStatus) {
        if let Some(ack) = &status.ack {
            self.unacknowledged.insert(ack.uuid.clone(), (status.task.clone(), status.condition));
        }
        if status.condition.is_live() {
            self.note_unknown(&status.task);
        }
        let told = self.told.entry(status.task.clone()).or_default();
        if told.condition.is_terminal() {
            return;
        }
        let is_news = told.condition != status.condition;
        told.condition = status.condition;
        if status.condition == Condition::Running {
            // A word about a task that is not said to run yet comes from a report that is still to be delivered.
            told.executor = status.healthy.or(told.executor);
        }
        match status.condition {
            Condition::Unreachable => {
                told.ever_unreachable = true;
                told.unreachable_since.get_or_insert(now);
            }
            Condition::Running => {
                told.running.get_or_insert(told.found_since.unwrap_or(now));
                told.unreachable_since = None;
            }
            condition => {
                told.unreachable_since = None;
                if condition < Condition::Running && told.running.is_none() {
                    // It was taken to have run, and has not.
                    (told.presumed, told.found_since) = (false, None);
                }
            }
        }
        let Some((app, _)) = self.whose(&status.task) else { return };
        let Some(instance) = self.instance_of(&status.task) else { return };
        let agent = instance.agent.id.clone();
        // An operator's order shows in the record only when the store has time for it.
        let is_to_run =
            instance.goal == ekiden_model::Goal::Running && !self.operator_kills.contains_key(&status.task);
        let wanted = is_to_run && instance.condition.is_live();
        if status.condition.is_live() && status.condition != Condition::Unreachable {
            // Who reports of its tasks is there.
            self.unreachable.remove(&agent);
        }
        let counts = status.condition.is_terminal() && FailureCause::of(status.condition) == FailureCause::App;
        // Repeated, it may come after the agent was put to use again.
        if is_news && wanted && status.reason.as_deref() == Some("REASON_SLAVE_DRAINING") {
            // Its agent is drained: nobody's failure, and an end to the wait (§4.8).
            self.backoff.remove(&app);
            if !self.windows.contains_key(&agent) {
                self.planned.insert(agent.clone());
                self.windows.insert(agent, (now, None));
            }
        }
        let Some(declared) = self.declared.get(&app) else { return };
        if counts && wanted {
            let waiting = self.backoff.entry(app).or_default();
            if waiting.failures > 0 && now > waiting.reference + declared.backoff.max {
                *waiting = Waiting::default();
            }
            waiting.failures += 1;
            waiting.until = now + delay(&declared.backoff, waiting.failures);
            waiting.reference = now;
        }
    }

    fn probe(&mut self, now: Timestamp, app: &AppId, sample: &Sample) {
        let ProbeKind::Health(index) = sample.kind else { return };
        let Some(task) = self.task_id(app, sample.instance) else { return };
        let check = self.declared.get(app).and_then(|app| app.health_checks.get(index as usize));
        let grace = check.map_or(Duration::ZERO, |check| check.grace_period);
        let most = check.map_or(0, |check| check.max_failures);
        let checks = self.declared.get(app).map_or(0, |app| app.health_checks.len() as u32);
        let told = self.told.entry(task).or_default();
        let graced = told.running.is_none_or(|running| now < running + grace);
        let check = told.checks.entry(index).or_default();
        match sample.outcome {
            Outcome::Success => {
                (check.alive, check.in_row) = (Some(true), 0);
                told.condemned &= !(0..checks)
                    .all(|index| told.checks.get(&index).is_some_and(|check| check.alive == Some(true)));
            }
            // It never succeeded and is still in its grace period: such failures do not count.
            Outcome::Failure(_) if graced && check.alive.is_none() && check.in_row == 0 => {}
            Outcome::Failure(_) => {
                check.in_row += 1;
                check.alive = Some(false);
                told.condemned |= most > 0 && check.in_row > most;
            }
            Outcome::NoResult(_) => {}
        }
    }

    /// The store is another one: how far the clock ever went back is known by its stamps alone.
    pub fn clock_forgotten(&mut self, records: &Records) {
        let apps = records.apps.values().flat_map(|record| {
            let declared = record.declared.as_ref().map(|declared| declared.version);
            let failed = record.last_failure.as_ref().map(|failure| failure.at);
            [declared, failed, record.condemned.last().copied(), record.backoff.reference].into_iter().flatten()
        });
        let instances = records.slots.values().flat_map(|slot| &slot.instances).flat_map(|instance| {
            let sent = instance.kill.as_ref().map(|order| order.sent);
            [Some(instance.since), Some(instance.staged), sent].into_iter().flatten()
        });
        let versions = records.others.values().filter_map(|record| match record {
            Record::Version(_, version) => Some(version.at),
            Record::Deployment(deployment) => Some(deployment.version),
            _ => None,
        });
        self.now = apps.chain(instances).chain(versions).max().unwrap_or(Timestamp::EPOCH);
        self.ahead = Duration::ZERO;
    }

    /// The process has died and another one has read what was durable: what was told and not written is not known.
    pub fn restarted(&mut self, durable: &Records) {
        // A launch that was not durable was not sent; its task id is given to another one, of which nothing is told.
        let unsent = self.told.keys().filter(|task| self.whose(task).is_some() && !self.launched.contains(*task));
        let unsent: Vec<TaskId> = unsent.cloned().collect();
        for task in unsent {
            self.told.remove(&task);
        }
        self.announced = durable.clone();
        self.forget_orders();
        self.desired_complete = false;
        self.reconciled = false;
        self.unreachable.clear();
        self.agents.clear();
        self.assumed.clear();
        self.windows.clear();
        self.bursts.clear();
        let live = durable.slots.values().flat_map(|slot| &slot.instances).filter(|one| one.condition.is_live());
        for instance in live {
            let away = (instance.condition == Condition::Unreachable).then_some(instance.since);
            self.assumed.insert(instance.agent.id.clone());
            let since = self.agents.entry(instance.agent.id.clone()).or_insert(away);
            *since = since.and(away.map(|away| since.map_or(away, |since| since.min(away))));
        }
        self.unknown_told.clear();
        self.unacknowledged.clear();
        self.declared = durable
            .apps
            .values()
            .filter_map(|record| Some((record.id.clone(), record.declared.as_ref()?.app.clone())))
            .collect();
        let declared = durable.apps.values().filter_map(|record| Some((&record.id, record.declared.as_ref()?)));
        let (mut by_request, mut overrides) = (BTreeSet::new(), BTreeMap::new());
        for (app, declared) in declared {
            if declared.source == Source::Api || declared.over.is_some() {
                by_request.insert(app.clone());
            }
            overrides.extend(declared.over.clone().map(|over| (app.clone(), over)));
        }
        (self.by_request, self.overrides) = (by_request, overrides);
        self.asked_over.clear();
        self.withdrawn.clear();
        self.backoff.clear();
        for record in durable.apps.values() {
            if let Some(until) = record.backoff.until {
                let reference = record.backoff.reference.unwrap_or(until);
                let waiting = Waiting { failures: record.backoff.failures, until, reference };
                self.backoff.insert(record.id.clone(), waiting);
            }
        }
        for told in self.told.values_mut() {
            told.checks.clear();
            told.executor = None;
            told.presumed = false;
        }
        for (app, record) in durable.slots.iter().map(|((app, _), record)| (app, record)) {
            for instance in &record.instances {
                let Some(task) = self.task_id(app, instance.key) else { continue };
                let told = self.told.entry(task).or_default();
                told.condition = instance.condition;
                told.running = instance.started;
                let unreachable = instance.condition == Condition::Unreachable;
                told.ever_unreachable |= unreachable;
                told.unreachable_since = unreachable.then_some(instance.since);
                let alive = match instance.health.verdict {
                    Verdict::Healthy => Some(true),
                    Verdict::Unknown => None,
                    Verdict::Unhealthy | Verdict::Condemned => Some(false),
                };
                told.executor = alive;
                told.presumed = alive == Some(true);
                told.condemned = instance.health.verdict == Verdict::Condemned;
                for (index, state) in instance.health.checks.iter().enumerate() {
                    let in_row = state.consecutive_failures;
                    told.checks.insert(index as u32, Checked { alive: state.alive(), in_row });
                }
            }
        }
    }

    /// An operator's orders that were lost with the process are none: what is to end is on record.
    fn forget_orders(&mut self) {
        let slots = self.announced.slots.values();
        let all = slots.flat_map(|slot| slot.instances.iter().map(|one| (&slot.app, one)));
        let wanted = all.filter(|(_, one)| one.is_wanted());
        let tasks: Vec<TaskId> = wanted.filter_map(|(app, one)| self.task_id(app, one.key)).collect();
        for task in tasks {
            self.operator_kills.remove(&task);
        }
    }

    /// Whether the process may take absence for evidence.
    pub fn is_settled(&self) -> bool {
        self.desired_complete && self.reconciled
    }

    /// The task of an instance that was announced.
    pub fn task_id(&self, app: &AppId, key: InstanceKey) -> Option<TaskId> {
        let id = InstanceId { app: self.key_of(self.announced.apps.get(app)?)?, slot: key.slot };
        Some(id.task(app, key.incarnation))
    }

    /// What the task ids of an app on record are made of.
    pub fn key_of(&self, record: &AppRecord) -> Option<AppKey> {
        let realm = self.announced.installation.as_ref()?.realm;
        Some(record.key.unwrap_or_else(|| AppKey::new(realm, record.birth, &record.id)))
    }

    /// Whose task it is; `None` when it is not ours.
    pub fn whose(&self, task: &TaskId) -> Option<(AppId, InstanceKey)> {
        let (id, incarnation) = task.instance().filter(|_| !self.strangers.contains(task))?;
        let app = self.keys.get(&id.app)?;
        Some((app.clone(), InstanceKey { slot: id.slot, incarnation }))
    }

    /// The instance whose task it is, if it is on record. An app may have had other keys: a task of before, of the same slot
    /// and incarnation, is another's.
    fn instance_of(&self, task: &TaskId) -> Option<&Instance> {
        let (app, key) = self.whose(task)?;
        let instance = self.announced.instance(&app, key)?;
        (self.task_id(&app, key).as_ref() == Some(task)).then_some(instance)
    }

    /// Whether, by all that was told, the task runs and all checks that the declaration names succeed.
    pub fn told_healthy(&self, app: &App, revision: RevisionId, task: &TaskId) -> bool {
        let Some(told) = self.told.get(task) else { return false };
        told.condition == Condition::Running
            && self.checks(app, revision).iter().enumerate().all(|(index, check)| {
                let by_executor = check.by_executor();
                let ours = told.checks.get(&(index as u32)).and_then(|check| check.alive);
                let alive = if by_executor { told.executor } else { ours };
                alive == Some(true) || (told.presumed && alive.is_none())
            })
    }

    /// Whether some check of the task has failed so often in a row that it is to be replaced, and not recovered since.
    pub fn told_condemned(&self, app: &App, task: &TaskId) -> bool {
        let Some(told) = self.told.get(task) else { return false };
        let most = |index: u32| app.health_checks.get(index as usize).map_or(0, |check| check.max_failures);
        // An edit may make of failures that were survived ones too many.
        told.condemned || told.checks.iter().any(|(index, check)| most(*index) > 0 && check.in_row > most(*index))
    }

    /// The checks of instances of a revision, as probes number them: today's by Ekiden, and those of the executor that
    /// the revision was started with.
    fn checks<'a>(&'a self, app: &'a App, revision: RevisionId) -> Vec<&'a HealthCheck> {
        let record = self.announced.apps.get(&app.id);
        let then = record.and_then(|record| record.revisions.iter().find(|one| one.id == revision));
        match then {
            Some(then) if !then.app.executor_checks().eq(app.executor_checks()) => {
                let ours = app.health_checks.iter().filter(|check| !check.by_executor());
                ours.chain(then.app.executor_checks()).collect()
            }
            _ => app.health_checks.iter().collect(),
        }
    }
}

/// What the checks of a declaration ask, in their order.
fn questions(app: &App) -> Vec<Fingerprint> {
    app.health_checks.iter().map(HealthCheck::question).collect()
}
