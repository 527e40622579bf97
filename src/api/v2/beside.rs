//! Whether a change fits beside all else that is declared: no id names two things (§2.1), and no apps wait for each
//! other (§2.8).
//!
//! Work follows the change. What it does not touch is looked at only where something that it touches leads there.
//! Whether each declaration is good by itself is known by now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::app::App;
use ekiden_model::edit::{Edit, GroupEdit, PodEdit};
use ekiden_model::{AppId, Declared, GroupId};

use super::definition::Problems;
use crate::manifest::{self, Code, DeclaredApp};
use crate::runtime::{Snapshot, within};

/// What is wrong with `edit` beside what `snapshot` has; `at` says where in the body an app stands.
pub(super) fn check(snapshot: &Snapshot, edit: &Edit, at: impl Fn(&AppId) -> String) -> Problems {
    let after = After::new(snapshot, edit);
    let mut problems = Problems::default();
    for app in edit.declare.iter().filter(|app| after.declared_before(&app.id).is_none()) {
        if after.is_pod(&app.id) {
            let text = format!("a pod with id [{}] already exists", app.id);
            problems.extend(Problems::invalid(format!("{}/id", at(&app.id)), text));
        }
        after.check_place(&app.id, &format!("{}/id", at(&app.id)), &mut problems);
    }
    for id in after.pods_put.iter().filter(|id| !snapshot.shelf.pods.contains_key(**id)) {
        if after.app(id).is_some() {
            let text = format!("an app with id [{id}] already exists");
            problems.extend(Problems::invalid("/id", text));
        }
        after.check_place(id, "/id", &mut problems);
    }
    for group in after.groups_put.iter().filter(|group| !snapshot.shelf.groups.contains_key(**group)) {
        let mut taken = Some((*group).clone());
        while let Some(path) = taken.filter(|path| !path.is_root()) {
            if let Some(what) = after.name_taken(&path) {
                let text = format!("group `{group}`: {what} with id [{path}] already exists");
                problems.extend(Problems::invalid("/id", text));
            }
            taken = path.parent();
        }
    }
    if problems.is_empty() {
        after.check_cycles(edit, &at, &mut problems);
    }
    problems
}

/// The world as it would be.
struct After<'a> {
    snapshot: &'a Snapshot,
    declared: BTreeMap<&'a str, &'a Arc<App>>,
    withdrawn: BTreeSet<&'a AppId>,
    pods_put: BTreeSet<&'a AppId>,
    pods_gone: BTreeSet<&'a AppId>,
    groups_put: BTreeSet<&'a GroupId>,
    groups_gone: BTreeSet<&'a GroupId>,
}

impl<'a> After<'a> {
    fn new(snapshot: &'a Snapshot, edit: &'a Edit) -> Self {
        let mut after = Self {
            snapshot,
            declared: edit.declare.iter().map(|app| (app.id.as_str(), app)).collect(),
            withdrawn: edit.withdraw.iter().collect(),
            pods_put: BTreeSet::new(),
            pods_gone: BTreeSet::new(),
            groups_put: BTreeSet::new(),
            groups_gone: BTreeSet::new(),
        };
        for pod in &edit.pods {
            _ = match pod {
                PodEdit::Put { id, .. } => after.pods_put.insert(id),
                PodEdit::Remove(id) => after.pods_gone.insert(id),
            };
        }
        for group in &edit.groups {
            _ = match group {
                GroupEdit::Put { id, .. } => after.groups_put.insert(id),
                GroupEdit::Remove(id) => after.groups_gone.insert(id),
            };
        }
        after
    }

    fn declared_before(&self, id: &AppId) -> Option<&'a Declared> {
        self.snapshot.app(id)?.state.declared.as_ref()
    }

    fn app(&self, id: &AppId) -> Option<&'a Arc<App>> {
        if self.withdrawn.contains(id) {
            return None;
        }
        self.declared.get(id.as_str()).copied().or_else(|| Some(&self.declared_before(id)?.app))
    }

    fn is_pod(&self, id: &AppId) -> bool {
        let was = || self.snapshot.shelf.pods.contains_key(id) && !self.pods_gone.contains(id);
        self.pods_put.contains(id) || was()
    }

    /// What has a path that a group, or something in it, would need.
    fn name_taken(&self, path: &GroupId) -> Option<&'static str> {
        let id = AppId::parse(path.as_str()).ok()?;
        let pod = || self.is_pod(&id).then_some("a pod");
        self.app(&id).map(|_| "an app").or_else(pod)
    }

    /// A new app or pod lies in groups only, and its id is none of a group. What is new beside it is looked at in its
    /// own turn.
    fn check_place(&self, id: &AppId, at: &str, problems: &mut Problems) {
        let mut above = Some(id.group());
        while let Some(group) = above.filter(|group| !group.is_root()) {
            if let Some(what) = self.name_taken(&group) {
                let text = format!("`{group}` is {what} and cannot hold `{id}`");
                problems.extend(Problems::invalid(at, text));
            }
            above = group.parent();
        }
        let Ok(group) = GroupId::resolve(id.as_str(), &GroupId::root()) else { return };
        let said = &self.snapshot.shelf;
        let is_kept = |group: &GroupId| !self.groups_gone.contains(group);
        let has_app = || self.snapshot.apps_within(&group).iter().any(|app| self.app(&app.state.id).is_some());
        let has_pod = || within(&said.pods, &group).any(|(pod, _)| !self.pods_gone.contains(pod));
        let has_group = || within(&said.groups, &group).any(|(group, _)| is_kept(group));
        let is_group = said.groups.contains_key(&group) && is_kept(&group);
        if is_group || has_group() || has_pod() || has_app() {
            problems.extend(Problems::invalid(at, format!("a group with id [{id}] already exists")));
        }
    }

    /// A new circle goes through an app whose dependencies are new, so it is found from these.
    fn check_cycles(&self, edit: &Edit, at: &impl Fn(&AppId) -> String, problems: &mut Problems) {
        let depends_anew = |app: &&Arc<App>| {
            let before = self.declared_before(&app.id).map(|declared| &declared.app.dependencies);
            !app.dependencies.is_empty() && before != Some(&app.dependencies)
        };
        let from: Vec<&Arc<App>> = edit.declare.iter().filter(depends_anew).collect();
        let Some(first) = from.first() else { return };
        let place = format!("{}/dependencies", at(&first.id));
        let set: Vec<DeclaredApp> = self
            .reachable(from)
            .into_iter()
            .map(|app| DeclaredApp { app: app.clone(), path: "".into(), line: 0, column: 0, snippet: None })
            .collect();
        for cycle in manifest::check_set(&set) {
            if cycle.code == Code::DependencyCycle {
                problems.extend(Problems::invalid(place.clone(), cycle.message));
            }
        }
    }

    /// These apps and all that they wait for.
    fn reachable(&self, from: Vec<&'a Arc<App>>) -> Vec<&'a Arc<App>> {
        let mut found: BTreeMap<&AppId, &Arc<App>> = BTreeMap::new();
        let mut paths: BTreeSet<&GroupId> = BTreeSet::new();
        let mut left = from;
        while let Some(app) = left.pop() {
            if found.insert(&app.id, app).is_some() {
                continue;
            }
            for on in app.dependencies.iter().filter(|on| paths.insert(&on.0)) {
                left.extend(AppId::parse(on.0.as_str()).ok().and_then(|id| self.app(&id)));
                left.extend(
                    self.snapshot.apps_within(&on.0).into_iter().filter_map(|app| self.app(&app.state.id)),
                );
                left.extend(within(&self.declared, &on.0).map(|(_, app)| *app));
            }
        }
        found.into_values().collect()
    }
}
