//! What follows for an app from the groups that it is in: dependencies, and with `enforceRole` its role (§2.8).

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::app::{App, Dependency, Template};
use ekiden_model::edit::{GroupEdit, GroupVersion};
use ekiden_model::{AppId, GroupId, Role};

use crate::api::Api;
use crate::api::v2::definition::Problems;
use crate::runtime::Snapshot;

/// The app with what follows from its groups and from `made`, the group at the top that is made with it, if one is;
/// `before` is what was declared of it, and `at` is where in the body it stands.
pub(in crate::api::v2) fn inheriting(
    snapshot: &Snapshot,
    made: Option<&GroupId>,
    app: Arc<App>,
    before: Option<&App>,
    at: &str,
) -> Result<Arc<App>, Problems> {
    if snapshot.shelf.groups.is_empty() && made.is_none() {
        return Ok(app);
    }
    let said = |group: &GroupId| now(snapshot, group);
    let role = made.map(role_of).or_else(|| enforced_role(&app.id.group(), said));
    let app = match role {
        Some(role) => with_role(app, before, &role, at)?,
        None => app,
    };
    let inherited = dependencies(&app.id, &said);
    Ok(with_dependencies(app, &inherited))
}

/// The group at the top that has to be made if something is to be in `group`, where such groups enforce their role
/// (`--new_group_enforce_role=top`).
pub(in crate::api::v2) fn made_at_top(api: &Api, snapshot: &Snapshot, group: &GroupId) -> Option<GroupId> {
    let top = group.top().filter(|_| api.settings.new_groups_enforce_role)?;
    (!super::exists(snapshot, &top)).then_some(top)
}

/// A group that enforces its role, and of which nothing else is said.
pub(in crate::api::v2) fn enforcing(id: GroupId) -> GroupEdit {
    GroupEdit::Put { id, dependencies: BTreeSet::new(), enforce_role: true }
}

/// What is said of a group.
pub(super) fn now<'a>(snapshot: &'a Snapshot, group: &GroupId) -> Option<&'a GroupVersion> {
    snapshot.shelf.groups.get(group)?.last()
}

/// The app with further dependencies.
pub(super) fn with_dependencies(app: Arc<App>, inherited: &BTreeSet<Dependency>) -> Arc<App> {
    if inherited.is_subset(&app.dependencies) {
        return app;
    }
    let dependencies = app.dependencies.union(inherited).cloned().collect();
    Arc::new(App { dependencies, ..App::clone(&app) })
}

/// The dependencies of the groups that an app is in, as far as they are not the app itself or around it: then all else
/// there waits for it.
pub(super) fn dependencies<'a>(
    app: &AppId,
    said: &impl Fn(&GroupId) -> Option<&'a GroupVersion>,
) -> BTreeSet<Dependency> {
    let mut inherited = BTreeSet::new();
    let mut around = Some(app.group());
    while let Some(group) = around {
        let all = said(&group).into_iter().flat_map(|said| &said.dependencies);
        inherited.extend(all.cloned().map(Dependency).filter(|dependency| !dependency.includes(app)));
        around = group.parent();
    }
    inherited
}

/// The role that the group at the top gives to what is in `group`.
pub(super) fn enforced_role<'a>(
    group: &GroupId,
    said: impl Fn(&GroupId) -> Option<&'a GroupVersion>,
) -> Option<Role> {
    let top = group.top()?;
    said(&top)?.enforce_role.then(|| role_of(&top))
}

/// The role that has the name of a group at the top.
fn role_of(top: &GroupId) -> Role {
    Role::new(top.as_str().trim_start_matches('/'))
}

/// The app with the role that its group enforces. It may keep another that it had before: what runs under it goes on.
pub(super) fn with_role(app: Arc<App>, before: Option<&App>, role: &Role, at: &str) -> Result<Arc<App>, Problems> {
    match &app.template.role {
        Some(own) if own == role || before.is_some_and(|before| before.template.role.as_ref() == Some(own)) => {
            return Ok(app);
        }
        Some(own) => {
            let text = format!("role `{own}` in a group that enforces `{role}`: leave the role out");
            return Err(Problems::invalid(format!("{at}/role"), text));
        }
        None => {}
    }
    let foreign =
        app.accepted_roles.iter().flatten().find(|accepted| **accepted != Role::any() && *accepted != role);
    if let Some(foreign) = foreign {
        let text = format!("role `{foreign}` is neither `*` nor `{role}`, which the group enforces");
        return Err(Problems::invalid(format!("{at}/acceptedResourceRoles"), text));
    }
    let template = Arc::new(Template { role: Some(role.clone()), ..Template::clone(&app.template) });
    Ok(Arc::new(App { template, ..App::clone(&app) }))
}
