//! What the cluster says, folded into the world; asking it about every task; tasks that are ours and not wanted.

use std::collections::BTreeSet;
use std::time::Duration;

use ekiden_model::agent::{AgentState, Presence};
use ekiden_model::effect::TaskLaunch;
use ekiden_model::event::Event;
use ekiden_model::health::{CheckState, Health, Outcome, ProbeKind, Verdict};
use ekiden_model::input::{ClusterEvent, TaskStatus};
use ekiden_model::report::{Failure, FailureCause};
use ekiden_model::view::{Sample, Settled};
use ekiden_model::{
    AgentId, AppId, AppState, Condition, Effect, Goal, Instance, InstanceKey, Offer, TaskId, Timestamp,
};

use crate::Reconciler;
use crate::identity::Identity;
use crate::maintenance::is_drained;
use crate::questions::Questions;
use crate::spare::used_by;
use crate::strays::Strays;

/// The connection to the cluster.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// What the cluster was asked since we connected; nothing while we are not.
    pub(crate) questions: Option<Questions>,
    strays: Strays,
}

impl Reconciler {
    pub(crate) fn fold_cluster(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Registered(framework) => self.fold_registered(framework),
            ClusterEvent::Found(found) => self.fold_found(found),
            ClusterEvent::Connected => {
                self.connected_unasked();
                if self.is_member() {
                    self.lose_connection();
                    self.suppressed.clear();
                    self.ask_for_roles_anew();
                    self.tend = true;
                    self.supply.connected(self.now);
                    self.mark_those_who_await_offers();
                    self.begin_asking();
                }
            }
            ClusterEvent::Disconnected => {
                self.fold_disconnected();
                self.supply.disconnected(self.now);
                self.mark_those_who_await_offers();
            }
            // What is said to somebody else is not about us.
            _ if !self.is_member() => {}
            ClusterEvent::Offers(offers) => self.fold_offers(offers),
            ClusterEvent::Rescinded(offer) => {
                self.book.rescind(&offer);
                self.promised.remove(&offer);
                self.tend = true;
            }
            ClusterEvent::Status(status) => self.fold_status(status),
            ClusterEvent::AgentUnreachable(agent) => self.agent_vanished(&agent),
            ClusterEvent::AgentGone(agent) => self.fold_agent_gone(&agent),
            ClusterEvent::Maintenance(agent, window) => self.fold_maintenance(&agent, window),
            ClusterEvent::Reconciled => self.fold_told_all(),
            ClusterEvent::Message(message) => self.journal.push(Effect::Notify(Event::Message(message))),
        }
    }

    fn fold_told_all(&mut self) {
        let (now, every) = (self.now, self.settings.reconcile_every);
        let Some(questions) = &mut self.cluster.questions else { return };
        if questions.told_all(now, every) {
            self.has_heard_all = true;
            self.everything_perhaps_known();
        }
    }

    fn fold_offers(&mut self, offers: Vec<Offer>) {
        let mut agents_are_as_known = true;
        for mut offer in offers {
            offer.maintenance = offer.maintenance.and_then(|window| self.heeded(window));
            let id = offer.agent.id.clone();
            let maintenance = offer.maintenance;
            let state = AgentState { agent: offer.agent.clone(), presence: Presence::Present, maintenance };
            self.assumed.remove(&id);
            self.note_offered_role(&offer.role);
            self.spares.offered(&id, &offer.role);
            self.book.add(offer, self.now);
            // Most offers tell nothing new of their agent, and what was found out about all agents stays true.
            let known = self.agents.get(&id);
            if known != Some(&state) {
                let planned_anew = known.and_then(|known| known.maintenance) != maintenance;
                self.agents.insert(id.clone(), state);
                agents_are_as_known = false;
                if planned_anew {
                    self.maintenance_planned(&id, maintenance);
                }
            }
        }
        if !agents_are_as_known {
            self.agents_changed();
        }
        self.tend = true;
        self.schedule.offers_came(self.book.epoch());
    }

    /// The number of agents that match may be another now.
    pub(crate) fn agents_changed(&mut self) {
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
        self.spares.forget(agent);
        if self.agents.remove(agent).is_some() {
            self.agents_changed();
        }
    }

    fn fold_status(&mut self, status: TaskStatus) {
        let identity = self.identify(&status.task);
        if !matches!(identity, Identity::Known(..)) && status.condition.is_terminal() {
            let (task, condition) = (status.task.clone(), status.condition);
            self.journal.push(Effect::Notify(Event::UnknownTerminated { task, condition }));
        }
        match identity {
            Identity::Known(app, key) => {
                // A master whose agents have not come back yet takes their tasks for unknown: that is no answer.
                if status.condition != Condition::Unknown || !self.agents_may_be_missing() {
                    self.answered(&app, key);
                    self.fold_condition(&app, key, &status);
                    self.fold_executor_check(&app, key, &status);
                }
            }
            Identity::Forgotten if status.condition.is_terminal() => self.cluster.strays.ended(&status.task),
            Identity::Forgotten if status.condition != Condition::Unreachable => {
                self.cluster.strays.seen(&status.task, self.now);
            }
            Identity::Forgotten => {}
            identity @ (Identity::Foreign | Identity::Stranger) => {
                if identity == Identity::Foreign {
                    self.told_of_foreign(&status.task, status.condition);
                }
                if status.condition.is_terminal() {
                    self.foreign_ended(&status.task);
                }
            }
        }
        if let Some(ack) = status.ack {
            // Even what changed nothing is acknowledged: the cluster repeats an update until it is.
            self.journal.push(Effect::Acknowledge(ack));
        }
    }

    fn agents_may_be_missing(&self) -> bool {
        self.cluster.questions.as_ref().is_none_or(|questions| questions.agents_may_be_missing(self.now))
    }

    /// The cluster has answered for an instance, or it is no more.
    fn answered(&mut self, app: &AppId, key: InstanceKey) {
        let (now, every) = (self.now, self.settings.reconcile_every);
        let Some(questions) = &mut self.cluster.questions else { return };
        if questions.answered(app, key, now, every) {
            self.schedule.mark(app);
        }
    }

    /// Conditions only move forward; the one way back is from an agent that answers again.
    fn fold_condition(&mut self, app: &AppId, key: InstanceKey, status: &TaskStatus) {
        let now = self.now;
        let Some(entry) = self.apps.get_mut(app) else { return };
        let Some(instance) = entry.state.instances.get(key) else { return };
        if !moves_forward(instance.condition, status.condition) {
            if is_sign_of_life(instance.condition, status.condition) {
                let agent = instance.agent.id.clone();
                self.agent_answers(&agent);
            }
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
            if instance.started.is_none() {
                match status.condition {
                    // Who was taken to serve when he was taken over has been through his grace period.
                    Condition::Running if instance.health.verdict == Verdict::Healthy => {
                        instance.started = Some(instance.staged);
                    }
                    Condition::Running => instance.started = Some(now),
                    // And who has never run has never served.
                    Condition::Staging | Condition::Starting => instance.health = Health::default(),
                    _ => {}
                }
            }
            instance.clone()
        });
        let Some(instance) = changed else { return };
        if instance.condition.is_terminal() {
            self.spares.returned(&instance.agent.id, &used_by(&entry.state, &instance));
        }
        if let Some(failure) = failure {
            entry.state.last_failure = Some(failure);
            self.journal.note_app(app);
        }
        if instance.goal == Goal::Running && is_drained(status) {
            self.agent_drains(app, &instance);
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
        self.notify_instance(app, status.task.clone(), &instance);
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

    /// What an executor's check says is a probe result like any other. To a state that was acknowledged the master adds the
    /// latest word about the check when it is asked: before a task is said to run, that word belongs to an update that is
    /// still to come.
    fn fold_executor_check(&mut self, app: &AppId, key: InstanceKey, status: &TaskStatus) {
        let Some(healthy) = status.healthy.filter(|_| status.condition == Condition::Running) else { return };
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

    /// Begins to ask the cluster about every task that should be alive, and for all that it has.
    pub(crate) fn begin_asking(&mut self) {
        let about = self.apps.iter().map(|entry| (entry.state.id.clone(), live(&entry.state)));
        self.cluster.questions = Some(Questions::new(self.now, about));
        self.ask_cluster();
    }

    /// Begins again, if we are connected: what was answered was answered about less than we know of now.
    pub(crate) fn ask_afresh(&mut self) {
        if self.cluster.questions.is_some() {
            self.begin_asking();
        }
    }

    /// Asks what has not been answered; everything, if all has.
    fn ask_cluster(&mut self) {
        let Some(questions) = &mut self.cluster.questions else { return };
        let task = |app: &AppId, key: InstanceKey| {
            let state = &self.apps.get(app)?.state;
            Some((state.task_id(key), state.instances.get(key)?.agent.id.clone()))
        };
        let tasks: Vec<(TaskId, AgentId)> = if let Some(open) = questions.open() {
            open.filter_map(|(app, key)| task(app, key)).collect()
        } else {
            let all = self.apps.iter().map(|entry| (&entry.state.id, live(&entry.state)));
            all.flat_map(|(app, keys)| keys.into_iter().filter_map(move |key| task(app, key))).collect()
        };
        let open_is_all = questions.has_told_all() && questions.open().is_some();
        questions.asked(self.now, self.settings.reconcile_every);
        // In order with everything else: a launch that waits for its record is sent before it is asked about.
        if !tasks.is_empty() {
            self.journal.push(Effect::Reconcile(tasks));
        }
        if !open_is_all {
            self.journal.push(Effect::Reconcile(Vec::new()));
            self.cluster.strays.clear();
        }
    }

    pub(crate) fn ask_again_when_due(&mut self) {
        let again = self.cluster.questions.as_ref().and_then(Questions::again);
        if again.is_some_and(|at| at <= self.now) {
            self.ask_cluster();
        }
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
        self.answered(app, instance.key);
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

    pub(crate) fn notify_instance(&mut self, app: &AppId, task: TaskId, instance: &Instance) {
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
            task,
        }));
    }
}

/// The instances of an app that live, as far as is known.
fn live(app: &AppState) -> BTreeSet<InstanceKey> {
    let live = app.instances.iter().filter(|instance| instance.condition.is_live());
    live.map(|instance| instance.key).collect()
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

/// Whether a status that takes an instance no further shows that its agent is there: the cluster passes on what an agent
/// says while it answers, repetitions included, and answers for a task that lives where its agent does. Without that an
/// agent whose return was told while we were away, and that has nothing left to offer, would be taken for lost for good.
fn is_sign_of_life(from: Condition, to: Condition) -> bool {
    from.is_live() && to.is_live() && to != Condition::Unreachable
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
