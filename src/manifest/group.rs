//! What a document declares: an app, a list, or a group with all that is in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::app::App;
use ekiden_model::id::{GroupId, Role};

use super::app::{self, Surroundings};
use super::code::Code;
use super::fields::{GROUP, POD};
use super::object::Object;
use super::shapes::check_object;
use super::source::Source;
use super::tree::{Node, Span, Value};

/// An app and where its id stands.
pub(super) type Found = (Arc<App>, Span);

/// Adds the apps of a document to `found`.
pub(super) fn document(source: &mut Source<'_>, node: &Node, around: &Surroundings, found: &mut Vec<Found>) {
    match &node.value {
        Value::Null => {}
        Value::List(items) => items.iter().for_each(|item| declaration(source, item, around, found)),
        _ => declaration(source, node, around, found),
    }
}

/// Where a file stands whose folder is `folder`, relative to the directory of manifests.
pub(super) fn surroundings(folder: &str) -> Surroundings {
    let group = GroupId::resolve(folder, &GroupId::root());
    Surroundings {
        bad_folder: group.is_err().then(|| folder.to_owned()),
        group: group.unwrap_or_else(|_| GroupId::root()),
        bound: false,
        dependencies: BTreeSet::new(),
        role: None,
    }
}

fn declaration(source: &mut Source<'_>, node: &Node, around: &Surroundings, found: &mut Vec<Found>) {
    let Some(members) = node.as_map() else {
        source
            .report(Code::WrongType, node.span, "expected an app or a group")
            .hint("a manifest is an app, a list of apps, or a group with `apps` and `groups`");
        return;
    };
    let has = |name: &str| members.iter().any(|member| member.key == name);
    if ["apps", "groups", "pods"].into_iter().any(has) {
        group(source, node, around, found);
    } else if has("containers") {
        pod(source, node);
    } else {
        found.extend(app::build(source, node, around).map(|(app, span)| (Arc::new(app), span)));
    }
}

/// Pods are checked like all else, and then refused: what is wrong with one is worth knowing before it can be run.
fn pod(source: &mut Source<'_>, node: &Node) {
    let errors = source.errors();
    check_object(source, &POD, node);
    if source.errors() == errors {
        source
            .report(Code::NotYet, node.span, "pods are not supported yet")
            .hint("declare each container as an app of its own, or keep this pod where it is");
    }
}

fn group(source: &mut Source<'_>, node: &Node, around: &Surroundings, found: &mut Vec<Found>) {
    check_object(source, &GROUP, node);
    let Some(object) = Object::new(&GROUP, node) else { return };
    let Some(id) = group_id(source, object, around) else { return };
    let mut inside = Surroundings {
        role: enforced_role(source, object, &id).or_else(|| around.role.clone()),
        dependencies: around.dependencies.clone(),
        group: id,
        bad_folder: None,
        bound: true,
    };
    for (text, span) in object.texts("dependencies") {
        let dependency = app::dependency(source, text, span, inside.group.as_str(), &around.group);
        inside.dependencies.extend(dependency);
    }
    for app in object.items("apps").iter().filter(|app| app.as_map().is_some()) {
        found.extend(app::build(source, app, &inside).map(|(app, span)| (Arc::new(app), span)));
    }
    for below in object.items("groups").iter().filter(|group| group.as_map().is_some()) {
        group(source, below, &inside, found);
    }
}

fn group_id(source: &mut Source<'_>, group: Object<'_>, around: &Surroundings) -> Option<GroupId> {
    let span = group.value_span("id");
    if let Some(folder) =
        around.bad_folder.as_ref().filter(|_| !group.text("id").unwrap_or_default().starts_with('/'))
    {
        source
            .report(
                Code::BadId,
                span,
                format!("the group's id is relative to the folder `{folder}`, which is no group"),
            )
            .hint("write an absolute id, or rename the folder: lower-case letters, digits, `-` and `.`");
        return None;
    }
    let Some(text) = group.text("id") else {
        if around.bound && !group.has("id") {
            source
                .report(Code::MissingField, span, "a group within a group without `id`")
                .hint("add `id`, relative to the group around it");
        }
        return (!around.bound).then(|| around.group.clone());
    };
    match GroupId::resolve(text, &around.group) {
        Ok(id) if around.bound && !lies_in(&id, &around.group) => {
            source
                .report(
                    Code::OutsideGroup,
                    span,
                    format!("group `{id}` lies outside its group `{}`", around.group),
                )
                .hint("write an id relative to the group around it, or move the group out of it");
            None
        }
        Ok(id) => Some(id),
        Err(error) => {
            source.report(Code::BadId, span, format!("`{text}` is no id of a group")).hint(error.to_string());
            None
        }
    }
}

fn lies_in(id: &GroupId, group: &GroupId) -> bool {
    let rest = id.as_str().strip_prefix(group.as_str());
    group.as_str() == "/" || rest.is_some_and(|rest| rest.starts_with('/'))
}

/// The role that a group enforces on its apps: its own name, as in Marathon.
fn enforced_role(source: &mut Source<'_>, group: Object<'_>, id: &GroupId) -> Option<Role> {
    if !group.flag("enforceRole") {
        return None;
    }
    let name = id.as_str().trim_start_matches('/');
    if name.is_empty() || name.contains('/') {
        source
            .report(Code::BadRole, group.key_span("enforceRole"), "only a group at the top can enforce its role")
            .hint("move `enforceRole` to the top-level group, or remove it");
        return None;
    }
    Some(Role::new(name))
}
