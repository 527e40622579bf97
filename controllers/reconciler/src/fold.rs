//! What happened, folded into the world: what files declare, and what is common to all that changes an app.

use ekiden_model::app::App;
use ekiden_model::history::{Cause, Why};
use ekiden_model::input::{Desired, Input};
use ekiden_model::report::Report;
use ekiden_model::view::{DependencyState, Sample};
use ekiden_model::{AppId, AppState};

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
            Input::Command(request, command) => self.fold_command(request, command),
            Input::Stored(_) | Input::Tick => {}
        }
    }

    fn fold_desired(&mut self, desired: Desired) {
        let Desired { declare, withdraw, complete, commit } = desired;
        let cause = |source, why| Cause { source, commit: commit.clone(), by: None, why };
        let mut set = self.begin_changes();
        for (app, source) in declare {
            self.declare_by_file(&mut set, &app, cause(source, Why::Declared));
        }
        for id in withdraw {
            let Some(source) = self.declared(&id).map(|declared| declared.source.clone()) else { continue };
            self.withdraw_by_file(&mut set, &id, cause(source, Why::Withdrawn));
        }
        self.end_changes(set);
        if complete && !self.directory_read {
            self.directory_read = true;
            self.directory_was_read();
            self.everything_perhaps_known();
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
        if let Some(role) = new.and_then(|app| app.template.role.as_ref()) {
            *self.roles.entry(role.clone()).or_default() += 1;
        }
        if let Some(role) = old.and_then(|app| app.template.role.as_ref()) {
            self.name_role_no_more(role);
        }
    }

    fn fold_sample(&mut self, app: &AppId, mut sample: Sample) {
        sample.at = self.time.inside(sample.at);
        let Some(entry) = self.apps.get_mut(app) else { return };
        if entry.samples.len() < SAMPLES_MAX {
            entry.samples.push(sample);
            self.schedule.mark(app);
        }
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
        let all: Vec<AppId> = self.apps.ids().cloned().collect();
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
