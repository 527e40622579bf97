//! What the cluster says, folded into the world; asking it about every task; tasks that are not, or no longer, ours.

use std::time::Duration;

use ekiden_model::agent::{AgentState, Presence};
use ekiden_model::effect::TaskLaunch;
use ekiden_model::event::Event;
use ekiden_model::health::{CheckState, Outcome, ProbeKind};
use ekiden_model::id::{AppKey, InstanceId};
use ekiden_model::input::{ClusterEvent, TaskStatus};
use ekiden_model::report::{Failure, FailureCause};
use ekiden_model::view::{Sample, Settled};
use ekiden_model::{AgentId, AppId, Condition, Effect, Goal, Instance, InstanceKey, Offer, TaskId, Timestamp};

use crate::strays::Strays;
use crate::{Entry, Reconciler};

/// First wait for the answers to reconciliation; doubled at each repetition, as Mesos' reconciliation guide asks.
const ASK_AGAIN_MIN: Duration = Duration::from_secs(15);
/// Longest wait for them.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(240);

/// The connection to the cluster.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Whether there is one.
    connected: bool,
    /// Whether the cluster has answered for every task since we connected.
    pub(crate) reconciled: bool,
    /// When to ask about the tasks again.
    pub(crate) ask_again: Option<Timestamp>,
    asked: u32,
    strays: Strays,
}

/// Whose task it is.
pub(crate) enum Identity {
    /// An instance that we have.
    Known(AppId, InstanceKey),
    /// One that we had: positively ours, and not wanted any more.
    Forgotten,
    /// None that this installation ever made, as far as its store goes. Never killed by us.
    Foreign,
}

impl Reconciler {
    pub(crate) fn fold_cluster(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Registered(framework) => {
                if self.installation.framework.as_ref() != Some(&framework) {
                    self.installation.framework = Some(framework);
                    self.journal.note_installation();
                }
            }
            ClusterEvent::Found(_) => {}
            ClusterEvent::Maintenance(agent, window) => self.fold_maintenance(&agent, window),
            ClusterEvent::Connected => {
                self.book.clear();
                self.promised.clear();
                self.suppressed.clear();
                self.tend = true;
                self.cluster = Connection { connected: true, ..Connection::default() };
                self.ask_about_tasks();
            }
            ClusterEvent::Disconnected => {
                self.book.clear();
                self.promised.clear();
                self.cluster = Connection::default();
            }
            ClusterEvent::Offers(offers) => self.fold_offers(offers),
            ClusterEvent::Rescinded(offer) => {
                self.book.rescind(&offer);
                self.promised.remove(&offer);
                self.tend = true;
            }
            ClusterEvent::Status(status) => self.fold_status(status),
            ClusterEvent::AgentUnreachable(agent) => self.agent_vanished(&agent),
            ClusterEvent::AgentGone(agent) => self.fold_agent_gone(&agent),
            ClusterEvent::Reconciled => {
                if self.cluster.connected && !self.cluster.reconciled {
                    self.cluster.reconciled = true;
                    self.cluster.asked = 0;
                    self.cluster.ask_again = Some(self.now + self.settings.reconcile_every);
                    self.settled_perhaps();
                }
            }
        }
    }

    fn fold_offers(&mut self, offers: Vec<Offer>) {
        let mut agents_are_as_known = true;
        for offer in offers {
            let state = AgentState {
                agent: offer.agent.clone(),
                presence: Presence::Present,
                maintenance: offer.maintenance,
            };
            self.assumed.remove(&offer.agent.id);
            // Most offers tell nothing new of their agent, and what was found out about all agents stays true.
            if self.agents.get(&offer.agent.id) != Some(&state) {
                self.agents.insert(offer.agent.id.clone(), state);
                agents_are_as_known = false;
            }
            self.book.add(offer, self.now);
        }
        if !agents_are_as_known {
            self.agents_changed();
        }
        self.tend = true;
        self.schedule.offers_came(self.book.epoch());
    }

    fn fold_maintenance(&mut self, agent: &AgentId, window: Option<(Timestamp, Option<Duration>)>) {
        if let Some(state) = self.agents.get_mut(agent) {
            state.maintenance = window;
            self.agents_changed();
        }
    }

    /// The number of agents that match may be another now.
    fn agents_changed(&mut self) {
        let global: Vec<AppId> = self.global.iter().cloned().collect();
        for app in global {
            self.changed(&app);
        }
    }

    fn fold_agent_gone(&mut self, agent: &AgentId) {
        let on_agent = self.placed.remove(agent).unwrap_or_default();
        for (app, key) in on_agent {
            self.end(&app, key, Condition::Gone, "the agent is gone");
        }
        self.return_offers_of(agent);
        if self.agents.remove(agent).is_some() {
            self.agents_changed();
        }
    }

    fn fold_status(&mut self, status: TaskStatus) {
        match self.identify(&status.task) {
            Identity::Known(app, key) => {
                self.fold_condition(&app, key, &status);
                self.fold_executor_check(&app, key, &status);
            }
            Identity::Forgotten if status.condition.is_terminal() => self.cluster.strays.ended(&status.task),
            Identity::Forgotten if status.condition != Condition::Unreachable => {
                self.cluster.strays.seen(&status.task, self.now);
            }
            Identity::Forgotten | Identity::Foreign => {}
        }
        if let Some(ack) = status.ack {
            // Even what changed nothing is acknowledged: the cluster repeats an update until it is.
            self.journal.push(Effect::Acknowledge(ack));
        }
    }

    /// Conditions only move forward; the one way back is from an agent that answers again.
    fn fold_condition(&mut self, app: &AppId, key: InstanceKey, status: &TaskStatus) {
        let now = self.now;
        let Some(entry) = self.apps.get_mut(app) else { return };
        let Some(instance) = entry.state.instances.get(key) else { return };
        if !moves_forward(instance.condition, status.condition) {
            return;
        }
        let ended_unwanted = status.condition.is_terminal() && instance.goal == Goal::Running;
        let failure = ended_unwanted.then(|| failure_of(instance, status, now));
        let changed = entry.state.instances.update(key, |instance| {
            if status.condition != instance.condition {
                instance.since = now;
            }
            instance.condition = status.condition;
            instance.message = (!status.message.is_empty()).then(|| status.message.clone());
            if status.condition == Condition::Running && instance.started.is_none() {
                instance.started = Some(now);
            }
            instance.clone()
        });
        let Some(instance) = changed else { return };
        if let Some(failure) = failure {
            entry.state.last_failure = Some(failure);
            self.journal.note_app(app);
        }
        if instance.condition.is_terminal() {
            self.unplace(app, &instance);
        } else if instance.condition == Condition::Unreachable {
            // Mesos tells it of the tasks before it tells it of their agent.
            self.agent_vanished(&instance.agent.id);
        } else {
            self.agent_answers(&instance.agent.id);
        }
        self.journal.note_slot(app, key.slot);
        self.notify_instance(app, &instance);
        self.changed(app);
    }

    /// A launch that was decided and can no longer be sent: the task never was, and the slot is free for another.
    pub(crate) fn drop_launch(&mut self, launch: &TaskLaunch) {
        let app = launch.app.id.clone();
        self.end(&app, launch.instance, Condition::Dropped, "its offer was gone before it could be launched");
    }

    /// An instance has ended, as we conclude; the cluster will not say so.
    fn end(&mut self, app: &AppId, key: InstanceKey, condition: Condition, message: &str) {
        let Some(entry) = self.apps.get(app) else { return };
        let task = entry.state.task_id(key);
        let message = message.into();
        let status = TaskStatus { task, condition, message, reason: None, healthy: None, ack: None };
        self.fold_condition(app, key, &status);
    }

    /// A task that reports runs on an agent that is there.
    fn agent_answers(&mut self, agent: &AgentId) {
        let was_away = self.agents.get(agent).is_some_and(|state| state.presence != Presence::Present);
        if was_away && let Some(state) = self.agents.get_mut(agent) {
            state.presence = Presence::Present;
            self.agents_changed();
        }
    }

    /// An agent does not answer. Hearing it again makes it no later.
    fn agent_vanished(&mut self, agent: &AgentId) {
        let was_there = self.agents.get(agent).is_some_and(|state| state.presence == Presence::Present);
        if was_there && let Some(state) = self.agents.get_mut(agent) {
            state.presence = Presence::Unreachable(self.now);
            self.return_offers_of(agent);
            self.agents_changed();
        }
    }

    /// What would be launched on an agent that does not answer would be lost, so its offers are given back. The cluster
    /// takes them back by itself where the agent really is away; but the word of it may be a late one.
    fn return_offers_of(&mut self, agent: &AgentId) {
        for lot in self.book.use_up_agent(agent) {
            self.tend = true;
            self.journal.push(Effect::Decline { offers: lot.offers, refuse_for: Duration::ZERO });
        }
    }

    /// What an executor's check says is a probe result like any other.
    fn fold_executor_check(&mut self, app: &AppId, key: InstanceKey, status: &TaskStatus) {
        let Some(healthy) = status.healthy else { return };
        let Some(entry) = self.apps.get_mut(app) else { return };
        let Some(instance) = entry.state.instances.get(key) else { return };
        let Some(kind) = entry.state.executor_check(instance.revision) else { return };
        // An executor speaks when its check turns, and is repeated until acknowledged: the same word again is no
        // further result.
        let pending = entry.samples.iter().rev().find(|sample| sample.instance == key && sample.kind == kind);
        let known = match (pending, kind) {
            (Some(sample), _) => Some(sample.outcome == Outcome::Success),
            (None, ProbeKind::Health(index)) => {
                instance.health.checks.get(index as usize).and_then(CheckState::alive)
            }
            (None, ProbeKind::Readiness) => None,
        };
        if known == Some(healthy) {
            return;
        }
        let outcome =
            if healthy { Outcome::Success } else { Outcome::Failure("the executor's check failed".into()) };
        entry.samples.push(Sample { instance: key, kind, at: self.now, outcome, http_status: None });
        self.schedule.mark(app);
    }

    /// Asks the cluster about every task that should be alive, and then for all that it has: the first finds what is
    /// missing there, the second what is missing here.
    fn ask_about_tasks(&mut self) {
        let mut tasks = Vec::new();
        for entry in self.apps.values() {
            let live = entry.state.instances.iter().filter(|instance| instance.condition.is_live());
            tasks.extend(live.map(|instance| (entry.state.task_id(instance.key), instance.agent.id.clone())));
        }
        // In order with everything else: a launch that waits for its record is sent before it is asked about.
        if !tasks.is_empty() {
            self.journal.push(Effect::Reconcile(tasks));
        }
        self.journal.push(Effect::Reconcile(Vec::new()));
        self.cluster.strays.clear();
        if self.cluster.reconciled {
            self.cluster.ask_again = Some(self.now + self.settings.reconcile_every);
            return;
        }
        let wait = ASK_AGAIN_MIN.saturating_mul(1 << self.cluster.asked.min(8)).min(ASK_AGAIN_MAX);
        self.cluster.asked += 1;
        self.cluster.ask_again = Some(self.now + wait);
    }

    pub(crate) fn reconcile_again_when_due(&mut self) {
        if self.cluster.ask_again.is_some_and(|at| at <= self.now) {
            self.ask_about_tasks();
        }
    }

    /// Whose task it is. The path in its id, the installation's secret realm and the number of apps it ever declared
    /// say for certain whether a task that we do not know was ours: deleting an app does not make its tasks strangers,
    /// and another installation's tasks never look like ours.
    pub(crate) fn identify(&self, task: &TaskId) -> Identity {
        let Some((InstanceId { app: key, slot }, incarnation)) = task.instance() else { return Identity::Foreign };
        if let Some(entry) = self.keys.get(&key).and_then(|id| self.apps.get(id)) {
            let key = InstanceKey { slot, incarnation };
            return match entry.state.instances.get(key) {
                Some(_) => Identity::Known(entry.state.id.clone(), key),
                None if was_launched(entry, key) => Identity::Forgotten,
                None => Identity::Foreign,
            };
        }
        let path = task.as_str().split(".instance-").next().unwrap_or_default().replace('_', "/");
        let Ok(id) = AppId::parse(&path) else { return Identity::Foreign };
        let ours =
            (1..=self.installation.births).any(|birth| AppKey::new(self.installation.realm, birth, &id) == key);
        if ours { Identity::Forgotten } else { Identity::Foreign }
    }

    /// Ends what was ours and is not wanted, once it is known that it is not wanted.
    pub(crate) fn kill_strays_when_due(&mut self) {
        if self.settled() != Settled::Yes {
            return;
        }
        for task in self.cluster.strays.take_due(self.now, self.settings.kill_retry) {
            if matches!(self.identify(&task), Identity::Forgotten) {
                self.journal.push(Effect::Kill { task, agent: None, grace: None });
            } else {
                self.cluster.strays.ended(&task);
            }
        }
    }

    /// When the next of them is due.
    pub(crate) fn strays_wake(&self) -> Option<Timestamp> {
        if self.settled() == Settled::Yes { self.cluster.strays.next_due() } else { None }
    }

    /// `instance` does not use its agent any more.
    pub(crate) fn unplace(&mut self, app: &AppId, instance: &Instance) {
        if let Some(on_agent) = self.placed.get_mut(&instance.agent.id) {
            on_agent.remove(&(app.clone(), instance.key));
            if on_agent.is_empty() {
                self.placed.remove(&instance.agent.id);
                self.forget_assumed(&instance.agent.id);
            }
        }
    }

    /// An agent that was known by its tasks alone, and is now by none, may have gone while nobody listened. One that
    /// does not answer is kept: it counts for nothing but how many of them vanished.
    fn forget_assumed(&mut self, agent: &AgentId) {
        let is_present = self.agents.get(agent).is_some_and(|state| state.presence == Presence::Present);
        if self.assumed.remove(agent) && is_present && self.agents.remove(agent).is_some() {
            self.agents_changed();
        }
    }

    pub(crate) fn notify_instance(&mut self, app: &AppId, instance: &Instance) {
        let Some(entry) = self.apps.get(app) else { return };
        let version =
            entry.state.revision(instance.revision).map_or(Timestamp::EPOCH, |revision| revision.version);
        self.journal.push(Effect::Notify(Event::InstanceChanged {
            app: app.clone(),
            instance: instance.key,
            condition: instance.condition,
            version,
            agent: instance.agent.id.as_str().into(),
            host: instance.agent.hostname.clone(),
            ports: instance.host_ports.iter().flatten().copied().collect(),
            message: instance.message.clone().unwrap_or_default(),
            task: entry.state.task_id(instance.key),
        }));
    }
}

/// Whether an instance that is not there any more ever was.
fn was_launched(entry: &Entry, key: InstanceKey) -> bool {
    entry.state.instances.last_incarnation(key.slot).is_some_and(|last| key.incarnation <= last)
}

/// Whether a status takes an instance further. Rules in order, the first that matches decides.
fn moves_forward(from: Condition, to: Condition) -> bool {
    use Condition::{Provisioned, Unreachable};
    match (from, to) {
        // What has ended stays ended, and nobody reports what we have not launched.
        (from, _) if from.is_terminal() => false,
        (_, Provisioned) => false,
        (_, to) if to.is_terminal() => true,
        // An agent that answers again tells where its task really is.
        (Unreachable, _) => to != Unreachable,
        (_, Unreachable) => true,
        // A late or repeated update. The same condition again brings at most another message, which is no change.
        (from, to) => to > from,
    }
}

fn failure_of(instance: &Instance, status: &TaskStatus, now: Timestamp) -> Failure {
    Failure {
        at: now,
        task: status.task.clone(),
        revision: instance.revision,
        host: instance.agent.hostname.clone(),
        condition: status.condition,
        message: status.message.clone(),
        cause: FailureCause::of(status.condition),
    }
}
