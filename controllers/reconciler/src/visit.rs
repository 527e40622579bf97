//! A visit: the controllers are asked about one app, in order, and what each decides is folded in before the next is
//! asked.

use std::sync::Arc;

use ekiden_model::action::Launch;
use ekiden_model::app::{App, ContainerKind, NetworkMode, Template};
use ekiden_model::app_state::Declared;
use ekiden_model::deployment::Progress;
use ekiden_model::effect::TaskLaunch;
use ekiden_model::event::Event;
use ekiden_model::health::{CheckState, Health, ProbeKind};
use ekiden_model::input::Abilities;
use ekiden_model::instance::KillOrder;
use ekiden_model::report::KillCause;
use ekiden_model::revision::{Phase, Rollout};
use ekiden_model::view::{Again, DependencyState, Settled};
use ekiden_model::{
    Action, AppId, AppState, Condition, Decision, Effect, Goal, Instance, InstanceKey, Reason, Revision,
    Timestamp, View,
};

use ekiden_ports::HostPortChoice;

use crate::Reconciler;
use crate::schedule::{Wait, Waiting};

/// A controller, by its place in the order: facts before numbers before actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Ports = 0,
    Health = 1,
    Upgrade = 2,
    Instances = 3,
}

const CONTROLLERS: [Controller; 4] =
    [Controller::Ports, Controller::Health, Controller::Upgrade, Controller::Instances];

/// How many of them are asked.
pub(crate) const ASKED: usize = CONTROLLERS.len();
/// How many are asked in safe mode: those that find out facts and start or end nothing.
pub(crate) const ASKED_IN_SAFE_MODE: usize = 2;

/// What of a view stays the same while one app is visited.
struct Surroundings {
    desired: u32,
    dependencies: Vec<DependencyState>,
    settled: Settled,
    entropy: u64,
}

/// What came of asking a controller.
struct Said {
    /// When it wants to be asked again.
    again: Again,
    /// Whether it decided anything.
    acted: bool,
}

impl Reconciler {
    pub(crate) fn visit(&mut self, id: &AppId) {
        let Some(surroundings) = self.surroundings(id) else { return };
        let mut again = Again::OnChange;
        let (mut acted, mut judged) = (false, false);
        let asked = if self.is_safe_mode() { ASKED_IN_SAFE_MODE } else { ASKED };
        for controller in CONTROLLERS.into_iter().take(asked) {
            let Some(said) = self.consult(controller, id, &surroundings) else { return };
            again = again.or(said.again);
            // What `health` decides is seen by those who are asked after it; `ports`, who is asked before, does not look at
            // it, and itself it would decide nothing more. So it alone is no reason for another visit.
            match controller {
                Controller::Health => judged |= said.acted,
                _ => acted |= said.acted,
            }
        }
        if judged {
            self.touch(id);
        }
        self.after_visit(id, surroundings.desired, again, acted);
    }

    /// What was heard of an app's instances is judged by the checks that they were asked for: before these are other ones,
    /// and before the app is declared no more. It has its turn all the same; many inputs may be taken in at once, and
    /// nobody has a turn while the store is slow.
    pub(crate) fn judge_what_was_heard(&mut self, id: &AppId) {
        if self.schedule.is_marked(id)
            && let Some(surroundings) = self.surroundings(id)
        {
            self.consult(Controller::Health, id, &surroundings);
        }
    }

    /// Asks one controller and does what it decides; nothing, if there is no such app.
    fn consult(&mut self, controller: Controller, id: &AppId, surroundings: &Surroundings) -> Option<Said> {
        let decision = self.ask(controller, id, surroundings)?;
        let said = Said { again: decision.again, acted: !decision.actions.is_empty() };
        for action in decision.actions {
            if owner(&action) != Some(controller) || !self.follow(id, action) {
                debug_assert!(false, "{controller:?} decided what it may not or cannot");
                self.work.actions_refused += 1;
            }
        }
        if let Some(entry) = self.apps.get_mut(id)
            && entry.reports[controller as usize] != decision.report
        {
            entry.reports[controller as usize] = decision.report;
            self.touch(id);
        }
        Some(said)
    }

    /// What no controller changes while one app is visited.
    fn surroundings(&self, id: &AppId) -> Option<Surroundings> {
        let app = &self.apps.get(id)?.state;
        Some(Surroundings {
            desired: self.desired_of(app),
            dependencies: self.dependencies_of(app),
            settled: self.settled_of(id),
            entropy: self.entropy(id),
        })
    }

    fn ask(&mut self, controller: Controller, id: &AppId, surroundings: &Surroundings) -> Option<Decision> {
        let entry = self.apps.get(id)?;
        let view = View {
            now: self.now,
            app: &entry.state,
            desired: surroundings.desired,
            dependencies: &surroundings.dependencies,
            samples: &entry.samples,
            book: &self.book,
            agents: &self.agents,
            service_ports: &self.leases,
            host_ports: &HostPortChoice { required: &self.required_ports },
            settled: surroundings.settled,
            unsupported: entry.state.declared.as_ref().and_then(|d| unsupported(&d.app.template, &self.abilities)),
            launches: if self.has_heard_all { self.settings.launches_per_turn } else { 0 },
            entropy: surroundings.entropy,
            settings: &self.settings,
        };
        let decision = match controller {
            Controller::Ports => ekiden_ports::decide(&view),
            Controller::Health => ekiden_health::decide(&view),
            Controller::Upgrade => ekiden_upgrade::decide(&view),
            Controller::Instances => ekiden_instances::decide(&view),
        };
        if controller == Controller::Health {
            // Judged, or of no interest; either way seen.
            if let Some(entry) = self.apps.get_mut(id) {
                entry.samples.clear();
            }
        }
        Some(decision)
    }

    fn after_visit(&mut self, id: &AppId, desired: u32, again: Again, acted: bool) {
        self.work.apps_visited += 1;
        self.work.instances_visited += self.apps.get(id).map_or(0, |entry| entry.state.instances.len() as u64);
        if acted {
            // Whether that was all shows at the next look, after everybody else has had a turn.
            self.changed(id);
        }
        if self.forget_app_that_is_over(id) {
            return;
        }
        self.schedule.wake_at(
            id,
            match again {
                Again::OnChange => None,
                Again::At(at) => Some(at),
            },
        );
        let Some(entry) = self.apps.get(id) else { return };
        let reasons = &entry.reports[Controller::Instances as usize].reasons;
        let waits = reasons.iter().any(|reason| matches!(reason, Reason::AwaitingOffers { .. }));
        let role = self.role_of(&entry.state);
        let version = entry.state.declared.as_ref().map_or(Timestamp::EPOCH, |declared| declared.version);
        let wait = waits.then(|| Wait { seen: self.book.epoch(), version });
        match self.schedule.await_offers(id, wait) {
            Waiting::Begun => {
                self.unasked.insert(role);
                self.tend = true;
            }
            Waiting::Over => self.tend = true,
            Waiting::AsBefore => {}
        }
        let Some(entry) = self.apps.get(id) else { return };
        let standing = standing_of(&entry.state, desired);
        self.follow_deployment(id, desired);
        let Some(entry) = self.apps.get(id) else { return };
        if standing != entry.standing {
            if let Some(entry) = self.apps.get_mut(id) {
                entry.standing = standing;
            }
            self.mark_dependents(id);
        }
    }

    /// An app that is neither declared nor has instances is over, and forgotten as a whole. Says whether it was.
    fn forget_app_that_is_over(&mut self, id: &AppId) -> bool {
        let over = self.apps.get(id).is_some_and(|entry| {
            entry.state.declared.is_none()
                && entry.state.instances.is_empty()
                && entry.state.service_ports.iter().all(Option::is_none)
        });
        if !over || self.is_safe_mode() {
            return false;
        }
        self.progressed(id, &Progress::Complete(self.now));
        if let Some(entry) = self.apps.remove(id) {
            self.keys.remove(&entry.state.key);
            self.keep_history(id.clone(), entry.state.history);
            if entry.state.is_adopted {
                self.note_predecessor(entry.state.key);
            }
        }
        self.tend |= self.schedule.forget(id) == Waiting::Over;
        self.journal.note_deleted(id);
        self.journal.push(Effect::Notify(Event::AppTerminated { app: id.clone() }));
        self.touch(id);
        self.mark_dependents(id);
        true
    }

    fn dependencies_of(&self, app: &AppState) -> Vec<DependencyState> {
        let Some(declared) = &app.declared else { return Vec::new() };
        let mut states: Vec<DependencyState> = Vec::new();
        for dependency in &declared.app.dependencies {
            // All whose ids begin with the path, those of the group among them.
            let meant = self.apps.below(dependency.0.as_str()).filter(|entry| {
                let state = &entry.state;
                dependency.includes(&state.id) && state.id != app.id && state.declared.is_some()
            });
            states.extend(meant.map(|entry| entry.standing.clone()));
        }
        states.sort_unstable_by(|a, b| a.app.cmp(&b.app));
        states.dedup_by(|a, b| a.app == b.app);
        states
    }

    /// Differs from step to step and app to app, and is the same in a replay (the finish of `SplitMix64`).
    fn entropy(&self, id: &AppId) -> u64 {
        let mut mix = self.installation.realm ^ self.steps.rotate_left(32) ^ (self.now.as_millis() as u64);
        mix ^= id.as_str().bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        mix = (mix ^ (mix >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mix = (mix ^ (mix >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mix ^ (mix >> 31)
    }

    /// Folds one action into the world; false when it does not fit.
    fn follow(&mut self, id: &AppId, action: Action) -> bool {
        match action {
            Action::Lease { index, port } => self.follow_lease(id, index, Some(port)),
            Action::Release { index } => self.follow_lease(id, index, None),
            Action::Judge { instance, health } => self.follow_judge(id, instance, health),
            Action::Remember { condemned } => self.record_app(id, |app| app.condemned = condemned),
            Action::StartProbe(probe) => {
                let started = self.with_app(id, |app| {
                    app.probing.insert((probe.instance, probe.kind), probe.mark());
                });
                self.journal.push(Effect::StartProbe(id.clone(), probe));
                started
            }
            Action::StopProbe { instance, kind } => self.stop_probe(id, instance, kind),
            Action::OpenRevision(revision) => self.record_app(id, |app| app.revisions.push(*revision)),
            Action::DropRevision { revision } => {
                self.record_app(id, |app| app.revisions.retain(|other| other.id != revision))
            }
            Action::SetTarget { revision, target } => {
                self.with_revision(id, revision, |revision| revision.target = target)
            }
            Action::Stand { revision, standing } => {
                self.with_revision(id, revision, |revision| revision.standing = standing)
            }
            Action::Pass(rollout) => self.follow_pass(id, &rollout),
            Action::Launch(launch) => self.follow_launch(id, *launch),
            Action::Kill { instance, goal, cause } => self.follow_kill(id, instance, goal, cause),
            Action::Forget { instance } => self.follow_forget(id, instance),
            Action::BackOff(backoff) => self.record_app(id, |app| app.backoff = backoff),
            Action::Decline { .. } | Action::Revive { .. } | Action::Suppress { .. } => false,
        }
    }

    fn with_app(&mut self, id: &AppId, change: impl FnOnce(&mut AppState)) -> bool {
        self.apps.get_mut(id).map(|entry| change(&mut entry.state)).is_some()
    }

    /// Changes what is in the app's own record.
    fn record_app(&mut self, id: &AppId, change: impl FnOnce(&mut AppState)) -> bool {
        self.journal.note_app(id);
        self.with_app(id, change)
    }

    fn with_revision(
        &mut self,
        id: &AppId,
        revision: ekiden_model::RevisionId,
        change: impl FnOnce(&mut Revision),
    ) -> bool {
        self.journal.note_app(id);
        let Some(entry) = self.apps.get_mut(id) else { return false };
        entry.state.revisions.iter_mut().find(|other| other.id == revision).map(change).is_some()
    }

    fn follow_lease(&mut self, id: &AppId, index: u32, port: Option<ekiden_model::Port>) -> bool {
        let Some(entry) = self.apps.get_mut(id) else { return false };
        let ports = &mut entry.state.service_ports;
        if ports.len() <= index as usize {
            ports.resize(index as usize + 1, None);
        }
        let old = std::mem::replace(&mut ports[index as usize], port);
        while ports.last().is_some_and(Option::is_none) {
            ports.pop();
        }
        let still_held = old.is_some_and(|old| ports.contains(&Some(old)));
        if let Some(old) = old
            && !still_held
        {
            self.leases.clear(old);
        }
        if let Some(port) = port {
            self.leases.set(port, id);
        }
        self.required_ports.note(&entry.state);
        self.journal.note_app(id);
        true
    }

    fn follow_judge(&mut self, id: &AppId, key: InstanceKey, health: Health) -> bool {
        let Some(entry) = self.apps.get_mut(id) else { return false };
        let verdict = health.verdict;
        let judged = entry.state.instances.update(key, |instance| {
            let changed = instance.health.verdict != verdict;
            let before = std::mem::replace(&mut instance.health, health);
            (changed, instance.revision, newly_failed(&before.checks, &instance.health.checks))
        });
        let Some((changed, revision, failed)) = judged else { return false };
        if !failed.is_empty() {
            let checks = entry.state.health_checks(revision);
            for check in failed.into_iter().filter_map(|index| checks.get(index)) {
                let (app, check) = (id.clone(), Box::new((*check).clone()));
                self.journal.push(Effect::Notify(Event::CheckFailed { app, instance: key, check }));
            }
        }
        let version = entry.state.revision(revision).map_or(Timestamp::EPOCH, |revision| revision.version);
        self.journal.note_slot(id, key.slot);
        if changed {
            let event = Event::HealthChanged { app: id.clone(), instance: key, verdict, version };
            self.journal.push(Effect::Notify(event));
        }
        true
    }

    fn follow_pass(&mut self, id: &AppId, rollout: &Rollout) -> bool {
        let Some(entry) = self.apps.get_mut(id) else { return false };
        let version = entry.state.declared.as_ref().map_or(rollout.since, |declared| declared.version);
        let old = entry.state.rollout.replace(rollout.clone());
        self.journal.note_app(id);
        if let Some(event) = passage_event(id, old.as_ref(), rollout, version) {
            self.journal.push(Effect::Notify(event));
        }
        true
    }

    fn follow_launch(&mut self, id: &AppId, launch: Launch) -> bool {
        let Some(entry) = self.apps.get(id) else { return false };
        let Some(revision) = entry.state.revision(launch.revision) else { return false };
        let Some(lot) = self.book.lot(launch.lot) else { return false };
        // An id that was used before could belong to a task that still runs somewhere.
        if launch.instance.incarnation != entry.state.instances.next_incarnation(launch.instance.slot) {
            return false;
        }
        let (agent, role) = (lot.agent.clone(), lot.role.clone());
        let task = TaskLaunch {
            task: entry.state.task_id(launch.instance),
            instance: launch.instance,
            revision: revision.id,
            version: revision.version,
            app: as_declared_now(revision, entry.state.declared.as_ref()),
            enforces_group_role: self.enforces_group_role(id),
            agent: agent.clone(),
            role: role.clone(),
            claim: launch.claim.clone(),
            host_ports: launch.host_ports.clone(),
            service_ports: entry.state.service_ports.clone(),
        };
        if !self.book.take(launch.lot, &launch.claim) {
            return false;
        }
        let named = task.task.clone();
        self.taken.entry(launch.lot).or_default().push(task);
        let instance = Instance {
            key: launch.instance,
            revision: launch.revision,
            goal: Goal::Running,
            condition: Condition::Provisioned,
            since: self.now,
            agent: agent.clone(),
            role,
            host_ports: launch.host_ports,
            staged: self.now,
            started: None,
            health: Health::default(),
            kill: None,
            message: None,
        };
        self.placed.entry(agent.id.clone()).or_default().insert((id.clone(), launch.instance));
        self.journal.note_slot(id, launch.instance.slot);
        if let Some(entry) = self.apps.get_mut(id) {
            entry.state.instances.insert(instance.clone());
        }
        self.notify_instance(id, named, &instance);
        true
    }

    fn follow_kill(&mut self, id: &AppId, key: InstanceKey, goal: Goal, cause: KillCause) -> bool {
        let now = self.now;
        let Some(entry) = self.apps.get_mut(id) else { return false };
        let ordered = entry.state.instances.update(key, |instance| {
            // Goals only move forward; the first cause is the one that is remembered.
            instance.goal = instance.goal.max(goal);
            let repeated = instance.kill.as_mut().map(|order| order.sent = now).is_some();
            if !repeated {
                instance.kill = Some(KillOrder { cause, at: now, sent: now });
            }
            (repeated, instance.agent.clone(), instance.revision)
        });
        let Some((repeated, agent, revision)) = ordered else { return false };
        let task = entry.state.task_id(key);
        let version = entry.state.revision(revision).map_or(Timestamp::EPOCH, |revision| revision.version);
        let grace = entry.state.declared.as_ref().and_then(|declared| declared.app.kill_grace);
        let grace = grace.or_else(|| entry.state.revision(revision).and_then(|revision| revision.app.kill_grace));
        self.journal.note_slot(id, key.slot);
        self.journal.push(Effect::Kill { task, agent: Some(agent.id.clone()), grace });
        if !repeated {
            let (host, agent) = (agent.hostname.clone(), agent.id.as_str().into());
            let event = Event::Killing { app: id.clone(), instance: key, cause, version, agent, host };
            self.journal.push(Effect::Notify(event));
        }
        true
    }

    fn stop_probe(&mut self, id: &AppId, instance: InstanceKey, kind: ProbeKind) -> bool {
        self.journal.push(Effect::StopProbe(id.clone(), instance, kind));
        self.with_app(id, |app| {
            app.probing.remove(&(instance, kind));
        })
    }

    fn follow_forget(&mut self, id: &AppId, key: InstanceKey) -> bool {
        let Some(entry) = self.apps.get_mut(id) else { return false };
        let Some(instance) = entry.state.instances.remove(key) else { return false };
        let kinds = (key, ProbeKind::Health(0))..=(key, ProbeKind::Readiness);
        let probed: Vec<ProbeKind> = entry.state.probing.range(kinds).map(|((_, kind), _)| *kind).collect();
        for kind in probed {
            self.stop_probe(id, key, kind);
        }
        self.unplace(id, &instance);
        self.journal.note_slot(id, key.slot);
        true
    }
}

/// Who may emit an action; `None`: nobody, about an app.
fn owner(action: &Action) -> Option<Controller> {
    match action {
        Action::Lease { .. } | Action::Release { .. } => Some(Controller::Ports),
        Action::Judge { .. } | Action::Remember { .. } | Action::StartProbe(_) | Action::StopProbe { .. } => {
            Some(Controller::Health)
        }
        Action::OpenRevision(_)
        | Action::SetTarget { .. }
        | Action::Stand { .. }
        | Action::Pass(_)
        | Action::DropRevision { .. } => Some(Controller::Upgrade),
        Action::Launch(_) | Action::Kill { .. } | Action::Forget { .. } | Action::BackOff(_) => {
            Some(Controller::Instances)
        }
        Action::Decline { .. } | Action::Revive { .. } | Action::Suppress { .. } => None,
    }
}

/// What a new instance of `revision` is launched with: its template, and the labels and policy of today where the
/// declaration is still of that revision.
fn as_declared_now(revision: &Revision, declared: Option<&Declared>) -> Arc<App> {
    match declared {
        Some(declared) if declared.app.same_revision(&revision.app) => declared.app.clone(),
        _ => revision.app.clone(),
    }
}

/// What of a template the cluster at hand cannot run, whatever it offers.
fn unsupported(template: &Template, abilities: &Abilities) -> Option<&'static str> {
    let container = template.container.as_ref();
    match container.map(|container| container.kind) {
        Some(ContainerKind::Docker) if !abilities.docker => return Some("a Docker container"),
        Some(ContainerKind::Mesos) if !abilities.mesos_images => return Some("a Mesos container"),
        _ => {}
    }
    let host_only = template.networks.iter().all(|network| network.mode == NetworkMode::Host);
    (!host_only && !abilities.networks).then_some("a container network")
}

/// How an app looks to those who wait for it: satisfied when all its instances are of its latest revision, healthy
/// and ready.
fn standing_of(app: &AppState, wanted: u32) -> DependencyState {
    let healthy = app.instances.total().healthy;
    let complete = app.rollout.as_ref().is_some_and(|rollout| rollout.phase == Phase::Complete);
    let current = app.declared.as_ref().zip(app.newest()).is_some_and(|(d, r)| d.app.same_revision(&r.app));
    DependencyState { app: app.id.clone(), healthy, wanted, satisfied: complete && current && healthy >= wanted }
}

/// The checks of which there is a failure more than before, by their places.
fn newly_failed(before: &[CheckState], now: &[CheckState]) -> Vec<usize> {
    let is_news = |index: usize, state: &CheckState| {
        let old = before.get(index).filter(|old| old.question == state.question);
        let known = old.map_or((0, None), |old| (old.consecutive_failures, old.last_failure));
        state.consecutive_failures > known.0 || state.last_failure > known.1
    };
    now.iter().enumerate().filter(|(index, state)| is_news(*index, state)).map(|(index, _)| index).collect()
}

/// What a passage from `old` to `new` tells the world; nothing while it merely goes on.
fn passage_event(id: &AppId, old: Option<&Rollout>, new: &Rollout, version: Timestamp) -> Option<Event> {
    let (app, to) = (id.clone(), new.to);
    let same_phase = old.is_some_and(|old| old.to == new.to && old.phase == new.phase);
    if same_phase {
        return None;
    }
    match new.phase {
        Phase::Complete => Some(Event::RolloutComplete { app, to, version }),
        Phase::Failed => {
            let reason = "no progress before the deadline".into();
            Some(Event::RolloutFailed { app, to, version, reason })
        }
        Phase::Waiting | Phase::Rolling | Phase::RollingBack { .. } => {
            let goes_on = old.is_some_and(|old| {
                old.to == new.to && matches!(old.phase, Phase::Waiting | Phase::Rolling | Phase::Paused)
            });
            (!goes_on).then_some(Event::RolloutStarted { app, to, version })
        }
        Phase::Paused => None,
    }
}
