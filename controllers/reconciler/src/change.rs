//! Change sets: what is declared, withdrawn and restarted at once, under one version and as one deployment.
//!
//! It owns the stamps of versions and the history of apps. Whether somebody may change something is decided before
//! (`edit`); what becomes of a deployment is followed afterwards (`deployments`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::{App, Passage};
use ekiden_model::app_state::{Declared, Override, Source};
use ekiden_model::deployment::{Change, DeploymentAction, Progress};
use ekiden_model::event::Event;
use ekiden_model::history::{Cause, DEPARTED_KEPT, Definition, Version};
use ekiden_model::id::AppKey;
use ekiden_model::{AppId, AppState, DeploymentId, Effect, History, Incarnation, Timestamp};

use crate::{Entry, Reconciler};

/// A change set while it is being followed.
pub(crate) struct ChangeSet {
    pub(crate) id: DeploymentId,
    pub(crate) version: Timestamp,
    pub(crate) changes: BTreeMap<AppId, Change>,
}

impl Reconciler {
    /// Begins a change set. Its version is later than that of any before it, whatever the clock does: Marathon's
    /// versions sort and never repeat (§1.1).
    pub(crate) fn begin_changes(&mut self) -> ChangeSet {
        let version = later_than(self.last_version, self.now);
        ChangeSet { id: DeploymentId::new(self.installation.realm, version), version, changes: BTreeMap::new() }
    }

    /// Ends it: from here on it is a deployment, if it changed anything.
    pub(crate) fn end_changes(&mut self, set: ChangeSet) {
        if !set.changes.is_empty() {
            self.deploy(set);
        }
    }

    /// Ends it in answer to somebody who was told its name: it is announced even if it changed nothing.
    pub(crate) fn end_changes_as_told(&mut self, set: ChangeSet) {
        self.last_version = self.last_version.max(set.version);
        self.deploy(set);
    }

    /// What a file says of an app.
    pub(crate) fn declare_by_file(&mut self, set: &mut ChangeSet, app: &Arc<App>, cause: Cause) {
        if let Some(declared) = self.declared_mut(&app.id)
            && declared.over.as_ref().is_some_and(|over| over.file == *app)
        {
            // The file says what it said when it was overridden, perhaps in another line.
            if declared.source != cause.source {
                declared.source = cause.source;
                self.journal.note_app(&app.id);
                self.changed(&app.id);
            }
            return;
        }
        self.declare(set, app, None, cause);
    }

    /// The file of an app declares it no longer.
    pub(crate) fn withdraw_by_file(&mut self, set: &mut ChangeSet, id: &AppId, cause: Cause) {
        match self.declared_mut(id) {
            Some(declared) if declared.keep => {
                declared.source = Source::Api;
                declared.keep = false;
                declared.over = None;
                self.forget_override(id);
                self.journal.note_app(id);
                self.changed(id);
            }
            Some(declared) if declared.source != Source::Api => self.withdraw(set, id, cause),
            _ => {}
        }
    }

    /// Declares `app`; with `over`, instead of what its file says.
    pub(crate) fn declare(&mut self, set: &mut ChangeSet, app: &Arc<App>, over: Option<Override>, cause: Cause) {
        let id = app.id.clone();
        if self.declared(&id).is_some_and(|old| old.app.health_checks != app.health_checks) {
            self.judge_what_was_heard(&id);
        }
        self.enter(&id);
        let Some(entry) = self.apps.get_mut(&id) else { return };
        let old = entry.state.declared.as_ref();
        let next = match old {
            Some(old) if old.app == *app => {
                if old.source == cause.source && old.over == over {
                    return;
                }
                // The same declaration from another place restarts nothing and is no new version.
                let keep = old.keep && old.source == cause.source;
                Declared { source: cause.source.clone(), over, keep, ..old.clone() }
            }
            Some(old) => Declared { over, ..redeclared(old, app.clone(), cause.source.clone(), set.version) },
            None => {
                // What is declared again before it has gone counts its restarts on: its revisions know of them.
                let restarts = entry.state.newest().map_or(0, |newest| newest.restarts);
                let first = Declared::first(app.clone(), set.version, cause.source.clone());
                Declared { over, restarts, ..first }
            }
        };
        let is_news = old.is_none_or(|old| old.version != next.version);
        let action = is_news.then(|| DeploymentAction::of(&next.app, old.map(|old| &*old.app)));
        let until = next.over.as_ref().map(|over| over.until);
        let old_app = entry.state.declared.replace(next).map(|declared| declared.app);
        self.index_declaration(&id, old_app.as_deref(), Some(app));
        self.forget_override(&id);
        self.overrides.extend(until.map(|until| (until, id.clone())));
        if let Some(action) = action {
            self.record_version(set, &id, Some(app.clone()), cause);
            self.note_change(set, &id, action, old_app.clone());
            let version = Some(set.version);
            self.journal.push(Effect::Notify(Event::DesiredChanged { app: id.clone(), version }));
            self.tell_of_checks(set.version, old_app.as_deref(), Some(app), &id);
        }
        self.journal.note_app(&id);
        self.changed(&id);
        if old_app.is_none() {
            self.mark_dependents(&id);
        }
    }

    /// Declares no more that there is such an app.
    pub(crate) fn withdraw(&mut self, set: &mut ChangeSet, id: &AppId, cause: Cause) {
        self.judge_what_was_heard(id);
        let Some(entry) = self.apps.get_mut(id) else { return };
        let Some(old) = entry.state.declared.take() else { return };
        self.index_declaration(id, Some(&*old.app), None);
        self.forget_override(id);
        self.record_version(set, id, None, cause);
        self.journal.push(Effect::Notify(Event::DesiredChanged { app: id.clone(), version: None }));
        self.tell_of_checks(set.version, Some(&*old.app), None, id);
        self.note_change(set, id, DeploymentAction::Stop, Some(old.app));
        self.journal.note_app(id);
        self.changed(id);
        self.mark_dependents(id);
    }

    /// Says which health checks an app has from now on, and which no more.
    fn tell_of_checks(&mut self, version: Timestamp, old: Option<&App>, new: Option<&App>, id: &AppId) {
        let of = |app: Option<&App>| app.map(|app| app.health_checks.clone()).unwrap_or_default();
        let (old, new) = (of(old), of(new));
        for _ in old.iter().filter(|check| !new.contains(check)) {
            self.journal.push(Effect::Notify(Event::CheckRemoved { app: id.clone() }));
        }
        for check in new.into_iter().filter(|check| !old.contains(check)) {
            let (app, check) = (id.clone(), Box::new(check));
            self.journal.push(Effect::Notify(Event::CheckAdded { app, version, check }));
        }
    }

    /// All instances of an app are to be replaced.
    pub(crate) fn restart(&mut self, set: &mut ChangeSet, id: &AppId, cause: Cause) {
        let Some(declared) = self.declared_mut(id) else { return };
        declared.restarts += 1;
        declared.version = set.version;
        declared.configured = set.version;
        let app = declared.app.clone();
        self.record_version(set, id, Some(app.clone()), cause);
        self.note_change(set, id, DeploymentAction::Restart, Some(app));
        self.journal.note_app(id);
        self.changed(id);
    }

    /// There is such an app from now on; one that was known before is what it was.
    fn enter(&mut self, id: &AppId) {
        if self.apps.contains(id) {
            return;
        }
        self.installation.births += 1;
        self.journal.note_installation();
        let birth = self.installation.births;
        let key = AppKey::new(self.installation.realm, birth, id);
        self.keys.insert(key, id.clone());
        let mut state = AppState::new(id.clone(), key, birth);
        if let Some(before) = Incarnation::before_life(self.installation.life) {
            state.instances.launch_after(before);
        }
        if self.departed.contains_key(id)
            && let Some(history) = Arc::make_mut(&mut self.departed).remove(id)
        {
            state.history = history;
            self.shelf_is_news = true;
        }
        self.apps.insert(Entry::new(state));
    }

    /// The history of an app that is over is kept, as long as there is room.
    pub(crate) fn keep_history(&mut self, id: AppId, history: Arc<History>) {
        self.shelf_is_news = true;
        Arc::make_mut(&mut self.departed).insert(id, history);
        while self.departed.len() > DEPARTED_KEPT {
            let at = |history: &History| history.last().map_or(Timestamp::EPOCH, |version| version.at);
            let Some(oldest) = self.departed.iter().min_by_key(|(_, history)| at(history)) else { return };
            let (id, versions) = (oldest.0.clone(), oldest.1.iter().map(|version| version.at).collect::<Vec<_>>());
            Arc::make_mut(&mut self.departed).remove(&id);
            for version in versions {
                self.journal.note_version(&id, version);
            }
        }
    }

    fn record_version(&mut self, set: &ChangeSet, id: &AppId, app: Option<Arc<App>>, cause: Cause) {
        let app = app.map(Definition::Known);
        let version = Version { at: set.version, app, cause, deployment: set.id, progress: Progress::UnderWay };
        let Some(entry) = self.apps.get_mut(id) else { return };
        self.journal.note_version(id, set.version);
        if let Some(forgotten) = Arc::make_mut(&mut entry.state.history).push(version) {
            self.journal.note_version(id, forgotten);
        }
    }

    fn note_change(
        &mut self,
        set: &mut ChangeSet,
        id: &AppId,
        action: DeploymentAction,
        before: Option<Arc<App>>,
    ) {
        self.last_version = self.last_version.max(set.version);
        // What one change set says twice of an app is one change, from before the first to after the last.
        let change = set.changes.entry(id.clone());
        change.and_modify(|change| change.action = change.action.max(action)).or_insert(Change {
            action,
            before,
            step: 1,
        });
    }

    pub(crate) fn declared_mut(&mut self, id: &AppId) -> Option<&mut Declared> {
        self.apps.get_mut(id)?.state.declared.as_mut()
    }

    pub(crate) fn declared(&self, id: &AppId) -> Option<&Declared> {
        self.apps.get(id)?.state.declared.as_ref()
    }
}

/// Marathon's stamps (§4.1): a scaling moves `version` and `scaled`, everything else all three.
fn redeclared(old: &Declared, app: Arc<App>, source: Source, version: Timestamp) -> Declared {
    let only_scaled = app.changes_from(&old.app).iter().all(|change| change.passage == Passage::Scale);
    let configured = if only_scaled { old.configured } else { version };
    let keep = old.keep && old.source == source;
    Declared { app, version, scaled: version, configured, source, restarts: old.restarts, over: None, keep }
}

fn later_than(version: Timestamp, now: Timestamp) -> Timestamp {
    now.max(version + Duration::from_millis(1))
}
