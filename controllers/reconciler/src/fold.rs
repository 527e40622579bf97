//! What is declared and what an operator commands, folded into the world.

use std::sync::Arc;

use ekiden_model::app::{App, Passage};
use ekiden_model::app_state::{Backoff, Declared, Source};
use ekiden_model::event::Event;
use ekiden_model::id::AppKey;
use ekiden_model::input::{Command, Desired, Input};
use ekiden_model::instance::{Goal, KillOrder};
use ekiden_model::report::{KillCause, Report};
use ekiden_model::view::{DependencyState, Sample};
use ekiden_model::{AppId, AppState, Effect, Incarnation, TaskId, Timestamp};

use crate::identity::Identity;
use crate::{Entry, Reconciler};

/// Most probe results kept for one app until its next visit. Visits come at least once a step, so only a checker
/// gone wild can send more; what is over is dropped, and the next probe tells again.
const SAMPLES_MAX: usize = 100_000;

impl Reconciler {
    pub(crate) fn fold(&mut self, input: Input) {
        match input {
            Input::Desired(desired) => self.fold_desired(desired),
            Input::Cluster(event) => self.fold_cluster(event),
            Input::Probe(app, sample) => self.fold_sample(&app, sample),
            Input::Command(command) => self.fold_command(&command),
            Input::Stored(_) | Input::Tick => {}
        }
    }

    fn fold_desired(&mut self, desired: Desired) {
        for (app, source) in desired.declare {
            self.declare(&app, source);
        }
        for id in desired.withdraw {
            self.withdraw(&id);
        }
        if desired.complete && !self.directory_read {
            self.directory_read = true;
            self.directory_was_read();
            self.everything_perhaps_known();
        }
    }

    fn declare(&mut self, app: &Arc<App>, source: Source) {
        let id = app.id.clone();
        if !self.apps.contains_key(&id) {
            self.installation.births += 1;
            self.journal.note_installation();
            let birth = self.installation.births;
            let key = AppKey::new(self.installation.realm, birth, &id);
            self.keys.insert(key, id.clone());
            let mut state = AppState::new(id.clone(), key, birth);
            if let Some(before) = Incarnation::before_life(self.installation.life) {
                state.instances.launch_after(before);
            }
            self.apps.insert(id.clone(), Entry::new(state));
        }
        let Some(entry) = self.apps.get_mut(&id) else { return };
        let old = entry.state.declared.as_ref();
        let next = match old {
            Some(old) if old.app == *app => {
                if old.source == source {
                    return;
                }
                // The same declaration from another place restarts nothing and is no new version.
                Declared { source, ..old.clone() }
            }
            Some(old) => redeclared(old, app.clone(), source, self.now),
            None => Declared::first(app.clone(), self.now, source),
        };
        let changed = old.is_none_or(|old| old.version != next.version);
        let version = next.version;
        let old_app = entry.state.declared.replace(next).map(|declared| declared.app);
        self.index_declaration(&id, old_app.as_deref(), Some(app));
        if changed {
            self.journal.push(Effect::Notify(Event::DesiredChanged { app: id.clone(), version: Some(version) }));
        }
        self.journal.note_app(&id);
        self.changed(&id);
        if old_app.is_none() {
            self.mark_dependents(&id);
        }
    }

    /// Keeps what is looked up across apps in step with one app's declaration.
    pub(crate) fn index_declaration(&mut self, id: &AppId, old: Option<&App>, new: Option<&App>) {
        self.dependents.redeclared(id, old, new);
        if let Some(entry) = self.apps.get(id) {
            self.required_ports.note(&entry.state);
        }
        if let Some(app) = new.filter(|app| app.is_global()) {
            self.global.insert(id.clone());
            // It waits for nothing where no agent is known yet, so nobody else would ask for offers to its role.
            let role = app.template.role.as_ref().unwrap_or(&self.settings.default_role);
            if old.is_none_or(|old| !old.is_global() || old.template.role != app.template.role) {
                self.unasked.insert(role.clone());
            }
            self.tend = true;
        } else {
            self.global.remove(id);
        }
        if let Some(role) = old.and_then(|app| app.template.role.as_ref())
            && let Some(count) = self.roles.get_mut(role)
        {
            *count -= 1;
            if *count == 0 {
                self.roles.remove(role);
            }
        }
        if let Some(role) = new.and_then(|app| app.template.role.as_ref()) {
            *self.roles.entry(role.clone()).or_default() += 1;
        }
    }

    fn withdraw(&mut self, id: &AppId) {
        let Some(entry) = self.apps.get_mut(id) else { return };
        let Some(old) = entry.state.declared.take() else { return };
        self.index_declaration(id, Some(&*old.app), None);
        self.journal.push(Effect::Notify(Event::DesiredChanged { app: id.clone(), version: None }));
        self.journal.note_app(id);
        self.changed(id);
        self.mark_dependents(id);
    }

    fn fold_sample(&mut self, app: &AppId, mut sample: Sample) {
        sample.at = self.time.inside(sample.at);
        let Some(entry) = self.apps.get_mut(app) else { return };
        if entry.samples.len() < SAMPLES_MAX {
            entry.samples.push(sample);
            self.schedule.mark(app);
        }
    }

    fn fold_command(&mut self, command: &Command) {
        match command {
            Command::ResetBackoff(id) => {
                let Some(entry) = self.apps.get_mut(id) else { return };
                entry.state.backoff = Backoff { configured: entry.state.backoff.configured, ..Backoff::default() };
                self.journal.note_app(id);
                self.changed(id);
            }
            Command::Restart(id) => {
                let Some(entry) = self.apps.get_mut(id) else { return };
                let Some(declared) = entry.state.declared.as_mut() else { return };
                declared.restarts += 1;
                declared.version = later_than(declared.version, self.now);
                declared.configured = declared.version;
                self.journal.note_app(id);
                self.changed(id);
            }
            Command::Adopt | Command::Disown => self.fold_word(command),
            Command::Kill(task) => self.kill_by_command(task),
        }
    }

    /// An operator's kill is no disruption that we chose, so it takes no permit; whoever orders it has said so.
    fn kill_by_command(&mut self, task: &TaskId) {
        let Identity::Known(id, key) = self.identify(task) else { return };
        let Some(entry) = self.apps.get_mut(&id) else { return };
        let now = self.now;
        let agent = entry.state.instances.update(key, |instance| {
            instance.goal = instance.goal.max(Goal::Decommissioned);
            instance.kill = Some(KillOrder { cause: KillCause::Operator, at: now, sent: now });
            instance.agent.id.clone()
        });
        let grace = entry.state.declared.as_ref().and_then(|declared| declared.app.kill_grace);
        self.journal.note_slot(&id, key.slot);
        // In safe mode the order is kept, and sent when it is over: as the repetition of one that was not answered.
        if !self.is_safe_mode() {
            self.journal.push(Effect::Kill { task: task.clone(), agent, grace });
        }
        self.changed(&id);
    }

    /// `app` is not what it was: controllers and readers are to look at it.
    pub(crate) fn changed(&mut self, app: &AppId) {
        self.schedule.mark(app);
        self.touch(app);
    }

    /// Those who depend on `app` are to look at it again.
    pub(crate) fn mark_dependents(&mut self, app: &AppId) {
        for dependent in self.dependents.of(app) {
            self.schedule.mark(&dependent);
        }
    }

    /// Something that was missing has come: whatever was held back is looked at again.
    pub(crate) fn everything_perhaps_known(&mut self) {
        let all: Vec<AppId> = self.apps.keys().cloned().collect();
        for app in all {
            self.schedule.mark(&app);
        }
    }
}

impl Entry {
    pub(crate) fn new(state: AppState) -> Self {
        let standing = DependencyState { app: state.id.clone(), healthy: 0, wanted: 0, satisfied: false };
        let reports = [Report::empty(), Report::empty(), Report::empty(), Report::empty()];
        Self { state, samples: Vec::new(), reports, standing }
    }
}

/// Marathon's stamps (§4.1): a scaling moves `version` and `scaled`, everything else all three. Versions of one app
/// never repeat and never go back, whatever the clock does.
fn redeclared(old: &Declared, app: Arc<App>, source: Source, now: Timestamp) -> Declared {
    let version = later_than(old.version, now);
    let only_scaled = app.changes_from(&old.app).iter().all(|change| change.passage == Passage::Scale);
    let configured = if only_scaled { old.configured } else { version };
    Declared { app, version, scaled: version, configured, source, restarts: old.restarts }
}

fn later_than(version: Timestamp, now: Timestamp) -> Timestamp {
    now.max(version + std::time::Duration::from_millis(1))
}
