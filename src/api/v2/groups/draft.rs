//! What a request for a group makes of the world as it is: one edit. Nothing is changed here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::app::{App, Dependency};
use ekiden_model::deployment::{Change, Deployment, DeploymentAction};
use ekiden_model::edit::{Edit, GroupEdit, GroupVersion, PodEdit};
use ekiden_model::history::VERSIONS_KEPT;
use ekiden_model::id::IdError;
use ekiden_model::{AppId, Declared, DeploymentId, GroupId, Timestamp};

use super::inheritance::{dependencies, enforced_role, now, with_dependencies, with_role};
use super::past::histories;
use super::tree::groups_at_and_within;
use super::update::GroupUpdate;
use crate::api::v2::definition::{self, Problems};
use crate::api::v2::pods;
use crate::manifest::read_definition;
use crate::runtime::{Snapshot, within};

/// Most instances that an app can have: what Marathon's 32 bits hold.
const INSTANCES_MAX: f64 = i32::MAX as f64;

/// The label of apps that never run twice (§2.2).
const SINGLE: &str = "MARATHON_SINGLE_INSTANCE_APP";

/// An edit that was worked out from a snapshot.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// What is to be done.
    pub(super) edit: Edit,
    /// Where in the body an app stands.
    at: BTreeMap<AppId, String>,
}

impl Draft {
    /// The group with another content: listed apps and groups take the place of those that are right in it, and what is
    /// not listed at all stays as it is.
    pub(super) fn update(snapshot: &Snapshot, group: &GroupId, update: &GroupUpdate) -> Result<Self, Problems> {
        let mut content = Content::of(snapshot, group);
        content.follow(group, update);
        content.draft(group)
    }

    /// Every app of the group with so many times its instances, rounded up. A group that is not there is made.
    pub(super) fn scaled(snapshot: &Snapshot, group: &GroupId, factor: f64) -> Result<Self, Problems> {
        let mut draft = Self::default();
        let mut problems = Problems::default();
        for declared in declared_within(snapshot, group) {
            let app = &declared.app;
            let instances = (f64::from(app.instances) * factor).ceil().min(INSTANCES_MAX) as u32;
            if instances > 1 && app.labels.get(SINGLE).is_some_and(|value| value == "true") {
                let text = format!("`{}` has the label {SINGLE} and runs at most one instance", app.id);
                problems.extend(Problems::invalid("/scaleBy", text));
            }
            draft.made_from(&app.id, Some(declared));
            draft.declare(Some(app), Arc::new(App { instances, ..App::clone(app) }));
        }
        if !super::exists(snapshot, group) {
            let (dependencies, enforce_role) = (BTreeSet::new(), false);
            draft.edit.groups.push(GroupEdit::Put { id: group.clone(), dependencies, enforce_role });
        }
        if problems.is_empty() { Ok(draft) } else { Err(problems) }
    }

    /// The group as it was at `at`, one of its versions.
    pub(super) fn as_of(snapshot: &Snapshot, group: &GroupId, at: Timestamp) -> Self {
        let mut draft = Self::default();
        for (id, history) in histories(snapshot, group) {
            let is = declared(snapshot, id);
            draft.made_from(id, is);
            match (history.as_of(at).and_then(|version| read_definition(version.app.as_ref()?)), is) {
                (Some(then), _) => draft.declare(is.map(|is| &is.app), then),
                (None, Some(_)) => draft.edit.withdraw.push(id.clone()),
                (None, None) => {}
            }
        }
        for (id, pod) in within(&snapshot.shelf.pods, group) {
            match (pods::as_of(pod, at), pod.last()) {
                (Some(then), Some(is)) if then.1 != is.1 => {
                    draft.edit.pods.push(PodEdit::Put { id: id.clone(), definition: then.1.clone() });
                }
                (None, _) if !pods::is_cut_off(pod) => draft.edit.pods.push(PodEdit::Remove(id.clone())),
                _ => {}
            }
        }
        for said in groups_at_and_within(snapshot, group) {
            match (said.as_of(at), said.last()) {
                (Some(then), Some(is)) if !same(then, is) => draft.put_group(&said.id, then),
                (None, _) if said.versions.len() < VERSIONS_KEPT => {
                    draft.edit.groups.push(GroupEdit::Remove(said.id.clone()));
                }
                _ => {}
            }
        }
        draft
    }

    /// Nothing of the group.
    pub(super) fn without(snapshot: &Snapshot, group: &GroupId) -> Self {
        let mut draft = Self::default();
        for declared in declared_within(snapshot, group) {
            draft.made_from(&declared.app.id, Some(declared));
            draft.edit.withdraw.push(declared.app.id.clone());
        }
        let pods = within(&snapshot.shelf.pods, group).map(|(id, _)| PodEdit::Remove(id.clone()));
        draft.edit.pods.extend(pods);
        let groups = groups_at_and_within(snapshot, group).map(|group| GroupEdit::Remove(group.id.clone()));
        draft.edit.groups.extend(groups);
        draft
    }

    /// Where in the body an app stands.
    pub(super) fn at(&self, app: &AppId) -> String {
        self.at.get(app).cloned().unwrap_or_default()
    }

    /// The deployment that would come of it.
    pub(super) fn deployment(&self, snapshot: &Snapshot) -> Deployment {
        let change = |action| Change { action, before: None, step: 1 };
        let declare = self.edit.declare.iter().map(|app| {
            let before = declared(snapshot, &app.id).map(|declared| &*declared.app);
            (app.id.clone(), change(DeploymentAction::of(app, before)))
        });
        let withdraw = self.edit.withdraw.iter().map(|id| (id.clone(), change(DeploymentAction::Stop)));
        let version = snapshot.at;
        let mut deployment =
            Deployment { id: DeploymentId::new(0, version), version, changes: declare.chain(withdraw).collect() };
        let apps: BTreeMap<&AppId, &App> = self.edit.declare.iter().map(|app| (&app.id, &**app)).collect();
        deployment.order(|id| apps.get(id).copied());
        deployment
    }

    fn made_from(&mut self, id: &AppId, is: Option<&Declared>) {
        self.edit.made_from.push((id.clone(), is.map(|is| is.version)));
    }

    /// What is declared as it is already is not declared again: then it does not matter to whom it belongs.
    fn declare(&mut self, is: Option<&Arc<App>>, app: Arc<App>) {
        if is != Some(&app) {
            self.edit.declare.push(app);
        }
    }

    fn put_group(&mut self, id: &GroupId, said: &GroupVersion) {
        let GroupVersion { dependencies, enforce_role, .. } = said.clone();
        self.edit.groups.push(GroupEdit::Put { id: id.clone(), dependencies, enforce_role });
    }
}

/// What is to be in a group, while the body is being followed.
struct Content<'a> {
    snapshot: &'a Snapshot,
    before: BTreeMap<AppId, &'a Declared>,
    apps: BTreeMap<AppId, Wanted>,
    groups: BTreeMap<GroupId, GroupVersion>,
    pods_gone: BTreeSet<AppId>,
    problems: Problems,
}

/// How an app is to be declared.
enum Wanted {
    /// As it is, but for what follows from its groups.
    Kept(Arc<App>),
    /// As the body says, and where in the body.
    Listed(Arc<App>, String),
}

impl<'a> Content<'a> {
    fn of(snapshot: &'a Snapshot, group: &GroupId) -> Self {
        let before: BTreeMap<AppId, &Declared> =
            declared_within(snapshot, group).map(|declared| (declared.app.id.clone(), declared)).collect();
        let apps = before.iter().map(|(id, declared)| (id.clone(), Wanted::Kept(declared.app.clone())));
        let said = groups_at_and_within(snapshot, group);
        Self {
            snapshot,
            apps: apps.collect(),
            groups: said.filter_map(|group| Some((group.id.clone(), group.last()?.clone()))).collect(),
            pods_gone: BTreeSet::new(),
            problems: Problems::default(),
            before,
        }
    }

    fn follow(&mut self, group: &GroupId, update: &GroupUpdate) {
        self.say(group, update);
        if let Some(definitions) = &update.apps {
            let right_here = |id: &AppId| id.group() == *group;
            let gone: Vec<AppId> =
                within(&self.apps, group).map(|(id, _)| id).filter(|id| right_here(id)).cloned().collect();
            for id in gone {
                self.apps.remove(&id);
            }
            for (index, definition) in definitions.iter().enumerate() {
                let at = format!("{}/apps({index})", update.at);
                match self.read(definition.clone(), group, &at) {
                    Ok(app) => self.put(app, &at),
                    Err(problems) => self.problems.extend(problems),
                }
            }
        }
        let Some(below) = &update.groups else { return };
        let mut listed: BTreeMap<GroupId, &GroupUpdate> = BTreeMap::new();
        for update in below {
            match update.id_in(group) {
                Ok(id) if id == *group || !id.is_within(group) => {
                    let text = format!("Identifier is not child of '{group}'. Hint: use relative paths.");
                    self.problems.extend(Problems::invalid(format!("{}/id", update.at), text));
                }
                Ok(id) => {
                    if let Some(other) = listed.insert(id.clone(), update) {
                        let text = format!("group `{id}` is listed twice, also at {}", other.at);
                        self.problems.extend(Problems::invalid(format!("{}/id", update.at), text));
                    }
                }
                Err(problems) => self.problems.extend(problems),
            }
        }
        self.keep_only(group, &listed);
        for (id, update) in listed {
            self.follow(&id, update);
        }
    }

    /// What is said of the group itself.
    fn say(&mut self, group: &GroupId, update: &GroupUpdate) {
        let mut said = self.groups.get(group).cloned().unwrap_or_else(|| GroupVersion {
            at: Timestamp::EPOCH,
            dependencies: BTreeSet::new(),
            enforce_role: false,
        });
        match update.enforce_role {
            Some(true) if group.top().as_ref() != Some(group) => {
                let text = "only a group at the top can enforce its role";
                self.problems.extend(Problems::invalid(format!("{}/enforceRole", update.at), text));
            }
            Some(enforce_role) => said.enforce_role = enforce_role,
            None => {}
        }
        if let Some(texts) = &update.dependencies {
            said.dependencies.clear();
            for (index, text) in texts.iter().enumerate() {
                match dependency(text, group) {
                    Ok(id) => _ = said.dependencies.insert(id),
                    Err(error) => {
                        let at = format!("{}/dependencies({index})", update.at);
                        self.problems.extend(Problems::invalid(at, error.to_string()));
                    }
                }
            }
        }
        // The group of everything is there without being made.
        if !group.is_root() || !said.dependencies.is_empty() || self.groups.contains_key(group) {
            self.groups.insert(group.clone(), said);
        }
    }

    fn read(
        &self,
        definition: serde_json::Map<String, serde_json::Value>,
        group: &GroupId,
        at: &str,
    ) -> Result<Arc<App>, Problems> {
        let app = definition::read_app(definition, group, at)?;
        if !group.contains(&app.id) {
            let text = format!("Identifier is not child of '{group}'. Hint: use relative paths.");
            return Err(Problems::invalid(format!("{at}/id"), text));
        }
        let said = |group: &GroupId| self.groups.get(group).or_else(|| now(self.snapshot, group));
        match enforced_role(group, said) {
            Some(role) => {
                let before = self.before.get(&app.id).map(|is| &*is.app);
                with_role(app, before, &role, at)
            }
            None => Ok(app),
        }
    }

    fn put(&mut self, app: Arc<App>, at: &str) {
        let id = app.id.clone();
        if let Some(Wanted::Listed(_, other)) = self.apps.insert(id.clone(), Wanted::Listed(app, at.to_owned())) {
            let text = format!("app `{id}` is listed twice, also at {other}");
            self.problems.extend(Problems::invalid(format!("{at}/id"), text));
        }
    }

    /// What lies in groups below this one that are not listed goes.
    fn keep_only(&mut self, group: &GroupId, listed: &BTreeMap<GroupId, &GroupUpdate>) {
        let is_kept = |inside: &GroupId| {
            let mut around = Some(inside.clone());
            while let Some(path) = around.filter(|path| path != group) {
                if listed.contains_key(&path) {
                    return true;
                }
                around = path.parent();
            }
            *inside == *group
        };
        let apps: Vec<AppId> =
            within(&self.apps, group).map(|(id, _)| id).filter(|id| !is_kept(&id.group())).cloned().collect();
        for id in apps {
            self.apps.remove(&id);
        }
        let groups: Vec<GroupId> =
            within(&self.groups, group).map(|(id, _)| id).filter(|id| !is_kept(id)).cloned().collect();
        for id in groups {
            self.groups.remove(&id);
        }
        let pods = within(&self.snapshot.shelf.pods, group).map(|(id, _)| id);
        self.pods_gone.extend(pods.filter(|id| !is_kept(&id.group())).cloned());
    }

    /// The edit that leads there.
    fn draft(self, group: &GroupId) -> Result<Draft, Problems> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let Self { snapshot, before, apps, groups, pods_gone, .. } = self;
        let said_before = |path: &GroupId| now(snapshot, path);
        // Around the group all is as it is; in it, as it is to be.
        let said_after =
            |path: &GroupId| if path.is_within(group) { groups.get(path) } else { now(snapshot, path) };
        let mut draft = Draft::default();
        for (id, is) in before.iter().filter(|(id, _)| !apps.contains_key(*id)) {
            draft.made_from(id, Some(is));
            draft.edit.withdraw.push(id.clone());
        }
        for (id, wanted) in apps {
            let inherited = dependencies(&id, &said_after);
            let is = before.get(&id).copied();
            let app = match wanted {
                Wanted::Listed(app, at) => {
                    draft.at.insert(id.clone(), at);
                    draft.made_from(&id, is);
                    with_dependencies(sent_back(snapshot, app, is), &inherited)
                }
                Wanted::Kept(app) => {
                    let gone = &dependencies(&id, &said_before) - &inherited;
                    let app = without_dependencies(app, &gone);
                    let app = with_dependencies(app, &inherited);
                    if is.is_some_and(|is| is.app != app) {
                        draft.made_from(&id, is);
                    }
                    app
                }
            };
            draft.declare(is.map(|is| &is.app), app);
        }
        for (id, said) in &groups {
            if !now(snapshot, id).is_some_and(|is| same(is, said)) {
                draft.put_group(id, said);
            }
        }
        let gone = groups_at_and_within(snapshot, group).filter(|said| !groups.contains_key(&said.id));
        draft.edit.groups.extend(gone.map(|said| GroupEdit::Remove(said.id.clone())));
        draft.edit.pods.extend(pods_gone.into_iter().map(PodEdit::Remove));
        Ok(draft)
    }
}

/// An app that was sent as it is shown does not mean the service ports that were chosen for it.
fn sent_back(snapshot: &Snapshot, app: Arc<App>, is: Option<&Declared>) -> Arc<App> {
    match (is, snapshot.app(&app.id)) {
        (Some(is), Some(known)) => definition::without_leases(app, &is.app, &known.state.service_ports),
        _ => app,
    }
}

/// A dependency of a group, with its path relative to the group around it; `../db` in `/prod/web` is `/prod/db`.
fn dependency(text: &str, group: &GroupId) -> Result<GroupId, IdError> {
    if text.starts_with("..") {
        return GroupId::resolve(text, group);
    }
    GroupId::resolve(text, &group.parent().unwrap_or_else(GroupId::root))
}

fn without_dependencies(app: Arc<App>, gone: &BTreeSet<Dependency>) -> Arc<App> {
    if gone.is_disjoint(&app.dependencies) {
        return app;
    }
    let dependencies = &app.dependencies - gone;
    Arc::new(App { dependencies, ..App::clone(&app) })
}

fn same(a: &GroupVersion, b: &GroupVersion) -> bool {
    (&a.dependencies, a.enforce_role) == (&b.dependencies, b.enforce_role)
}

fn declared<'a>(snapshot: &'a Snapshot, id: &AppId) -> Option<&'a Declared> {
    snapshot.app(id)?.state.declared.as_ref()
}

fn declared_within<'a>(snapshot: &'a Snapshot, group: &GroupId) -> impl Iterator<Item = &'a Declared> + use<'a> {
    snapshot.apps_within(group).into_iter().filter_map(|app| app.state.declared.as_ref())
}
