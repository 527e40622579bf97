//! What is declared now beside what is asked: what would change, and what stands in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::input::Desired;
use ekiden_model::{App, AppId, Declared, Source};

use super::asked::Asked;
use crate::desired::{PlannedChange, plan};
use crate::runtime::Snapshot;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What would be declared, and what no longer.
    pub(super) desired: Desired,
    /// The changes, by app.
    pub(super) changes: Vec<PlannedChange>,
    /// What holds now, of the apps that change.
    pub(super) now: BTreeMap<AppId, Declared>,
    /// What would hold, of the apps that change and stay.
    pub(super) next: BTreeMap<AppId, (Arc<App>, Source)>,
    /// What somebody should know before an app is changed.
    pub(super) conflicts: BTreeMap<AppId, Vec<String>>,
}

impl Comparison {
    /// Compares.
    pub(super) fn of(asked: &Asked, snapshot: &Snapshot) -> Self {
        let declared = |id: &AppId| snapshot.app(id).and_then(|app| app.state.declared.clone());
        let mut found = Self::default();
        let (mut current, mut next) = (BTreeMap::new(), Vec::new());
        for asked_for in &asked.apps {
            let app = &asked_for.app;
            let mut source = if asked.by_files {
                Source::File { path: asked_for.path.clone(), line: asked_for.line }
            } else {
                Source::Api
            };
            if let Some(now) = declared(&app.id) {
                found.note_conflicts(&now, app, &source);
                // The file says what it says already, and something else holds for a while: nothing changes.
                let is_overridden = asked.by_files && now.over.as_ref().is_some_and(|over| over.file == *app);
                if source == Source::Api {
                    source = now.source.clone();
                }
                current.insert(app.id.clone(), now.app.clone());
                next.push(if is_overridden { now.app.clone() } else { app.clone() });
                found.now.insert(app.id.clone(), now);
            } else {
                next.push(app.clone());
            }
            found.next.insert(app.id.clone(), (app.clone(), source.clone()));
            found.desired.declare.push((app.clone(), source));
        }
        if asked.prune {
            let kept: BTreeSet<&AppId> = asked.apps.iter().map(|app| &app.app.id).collect();
            for app in snapshot.apps() {
                let Some(now) = &app.state.declared else { continue };
                let is_asked_about = (now.source == Source::Api) != asked.by_files;
                // What is to be kept becomes an app of the API, and nothing else changes.
                if kept.contains(&app.state.id) || !is_asked_about || now.keep {
                    continue;
                }
                current.insert(app.state.id.clone(), now.app.clone());
                found.now.insert(app.state.id.clone(), now.clone());
                found.desired.withdraw.push(app.state.id.clone());
            }
        }
        found.changes = plan(&current, &next);
        found
    }

    fn note_conflicts(&mut self, now: &Declared, app: &App, source: &Source) {
        let mut conflicts = Vec::new();
        match (&now.source, source) {
            (Source::File { path, line }, Source::Api) => conflicts.push(format!(
                "{path}, line {line}, declares it: through the API it is only changed with `?override=true`, a \
                 reason and an expiry"
            )),
            (Source::Api, Source::File { path, .. }) => {
                conflicts.push(format!("the API declares it: from then on {path} does"));
            }
            _ => {}
        }
        if let Some(over) = now.over.as_ref().filter(|over| *over.file != *app) {
            conflicts.push(format!(
                "something else than its file holds until {} ({}): that would be over",
                over.until, over.reason
            ));
        }
        if !conflicts.is_empty() {
            self.conflicts.insert(app.id.clone(), conflicts);
        }
    }
}
