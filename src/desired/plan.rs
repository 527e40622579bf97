//! What following another set of declarations would do, app by app. Nothing is done here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::sync::Arc;

use ekiden_model::app::{Command, Passage};
use ekiden_model::{App, AppId};
use serde::{Serialize, Serializer};

/// What would change of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChange {
    /// Which app.
    #[serde(serialize_with = "as_text")]
    pub app: AppId,
    /// What following the change takes.
    pub kind: ChangeKind,
    /// The fields that differ, in the order of the definition; none for an app that is created or stopped.
    pub fields: Vec<FieldDiff>,
}

/// What following a change takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// The app is new.
    Create {
        /// How many instances it has; nothing for one on every agent.
        instances: Option<u32>,
    },
    /// Nothing is restarted.
    InPlace,
    /// Instances are added or removed.
    Scale,
    /// Every instance is replaced.
    Roll,
    /// The app is declared no more.
    Stop {
        /// How many instances it had; nothing for one on every agent.
        instances: Option<u32>,
    },
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDiff {
    /// Its name in a manifest.
    pub field: &'static str,
    /// What following this field's change takes.
    #[serde(serialize_with = "passage_name")]
    pub takes: Passage,
    /// What it was, where that is told in a few words.
    pub old: Option<String>,
    /// What it would be, likewise.
    pub new: Option<String>,
}

/// What it takes to get from `current` to `next`, in the order of the apps' ids; apps that stay as they are left out.
pub fn plan(current: &BTreeMap<AppId, Arc<App>>, next: &[Arc<App>]) -> Vec<PlannedChange> {
    let next: BTreeMap<&AppId, &Arc<App>> = next.iter().map(|app| (&app.id, app)).collect();
    let ids: BTreeSet<&AppId> = current.keys().chain(next.keys().copied()).collect();
    ids.into_iter()
        .filter_map(|id| match (current.get(id), next.get(id)) {
            (Some(old), Some(new)) => changed(old, new),
            (None, Some(new)) => Some(whole(id, ChangeKind::Create { instances: counted(new) })),
            (Some(old), None) => Some(whole(id, ChangeKind::Stop { instances: counted(old) })),
            (None, None) => None,
        })
        .collect()
}

fn whole(id: &AppId, kind: ChangeKind) -> PlannedChange {
    PlannedChange { app: id.clone(), kind, fields: Vec::new() }
}

fn counted(app: &App) -> Option<u32> {
    (!app.is_global()).then_some(app.instances)
}

fn changed(old: &App, new: &App) -> Option<PlannedChange> {
    let changes = new.changes_from(old);
    let kind = match changes.iter().map(|change| change.passage).max()? {
        Passage::InPlace => ChangeKind::InPlace,
        Passage::Scale => ChangeKind::Scale,
        Passage::Roll => ChangeKind::Roll,
    };
    Some(PlannedChange { app: new.id.clone(), kind, fields: field_diffs(old, new) })
}

/// The fields in which one declaration of an app differs from another, in the order of the definition.
pub fn field_diffs(old: &App, new: &App) -> Vec<FieldDiff> {
    let diff = |field, takes| {
        let (old, new) = old_and_new(field, old, new);
        FieldDiff { field, takes, old, new }
    };
    new.changes_from(old).into_iter().map(|change| diff(change.field, change.passage)).collect()
}

/// The values of a field, where they are told in a few words; for maps, the entries that differ.
fn old_and_new(field: &str, old: &App, new: &App) -> (Option<String>, Option<String>) {
    match field {
        // Values of the environment may be secrets, and plans are pasted into reviews: names only.
        "env" => entries(&old.template.env, &new.template.env, |name, _| name.clone()),
        "labels" => entries(&old.labels, &new.labels, |name, value| format!("{name}={value}")),
        _ => match (value(field, old), value(field, new)) {
            // Not what is told here of the field has changed, but another part of it.
            (old, new) if old == new => (None, None),
            values => values,
        },
    }
}

fn value(field: &str, app: &App) -> Option<String> {
    let template = &app.template;
    match field {
        "cmd" => Some(match &template.command {
            Command::Shell(text) => text.clone(),
            Command::Args(args) => format!("{args:?}"),
            Command::Image => "what the image says".to_owned(),
        }),
        "user" => template.user.clone(),
        "cpus" => Some(template.resources.cpus.to_string()),
        "mem" => Some(template.resources.mem.to_string()),
        "disk" => Some(template.resources.disk.to_string()),
        "gpus" => Some(template.resources.gpus.to_string()),
        "executor" => Some(template.executor.clone()),
        "role" => template.role.as_ref().map(ToString::to_string),
        // The image is what people change of a container.
        "container" => template.container.as_ref().and_then(|container| container.image.clone()),
        "requirePorts" => Some(template.require_ports.to_string()),
        "tty" => Some(template.tty.to_string()),
        "instances" => Some(app.instances.to_string()),
        "constraints" => Some(list(&app.constraints)),
        "acceptedResourceRoles" => app.accepted_roles.as_ref().map(list),
        "placement" => Some(format!("{:?} {:?}", app.placement.mode, app.placement.strategy).to_lowercase()),
        "dependencies" => Some(list(app.dependencies.iter().map(|dependency| &dependency.0))),
        "killSelection" => Some(format!("{:?}", app.kill_selection)),
        "taskKillGracePeriodSeconds" => app.kill_grace.map(|grace| grace.as_secs_f64().to_string()),
        _ => None,
    }
}

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

/// The entries of each map that the other does not have in the same way.
fn entries(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    shown: impl Fn(&String, &String) -> String,
) -> (Option<String>, Option<String>) {
    let only = |of: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        list(
            of.iter()
                .filter(|(name, value)| other.get(*name) != Some(value))
                .map(|(name, value)| shown(name, value)),
        )
    };
    (Some(only(old, new)), Some(only(new, old)))
}

/// Longest value that is shown to people, in characters; programs get all of it.
const SHOWN_CHARS: usize = 72;

impl Display for PlannedChange {
    /// A line for the app, and one for each field that differs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = &self.app;
        match self.kind {
            ChangeKind::Create { instances } => write!(f, "+ {app}: create, {}", Instances(instances)),
            ChangeKind::InPlace => write!(f, "~ {app}: in place, nothing restarts"),
            ChangeKind::Scale => write!(f, "~ {app}: scale"),
            ChangeKind::Roll => write!(f, "~ {app}: roll, every instance is replaced"),
            ChangeKind::Stop { instances } => write!(f, "- {app}: stop, {}", Instances(instances)),
        }?;
        for field in &self.fields {
            write!(f, "\n    {field}")?;
        }
        Ok(())
    }
}

impl Display for FieldDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field)?;
        match (&self.old, &self.new) {
            (None, None) => Ok(()),
            (Some(old), Some(new)) if old == new => write!(f, ": {}", shown(Some(old))),
            (old, new) => write!(f, ": {} -> {}", shown(old.as_deref()), shown(new.as_deref())),
        }
    }
}

/// For people. Without control characters: a plan is often that of somebody else's branch, and must not reach a terminal
/// as it is.
fn shown(value: Option<&str>) -> String {
    let value = value.unwrap_or("not given");
    let mut text: String =
        value.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if value.chars().nth(SHOWN_CHARS).is_some() {
        text.push('…');
    }
    text
}

struct Instances(Option<u32>);

impl Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("one instance on every agent that matches"),
            Some(1) => f.write_str("1 instance"),
            Some(count) => write!(f, "{count} instances"),
        }
    }
}

/// A plan in one line: `1 to create, 2 to roll`.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a>(pub &'a [PlannedChange]);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |is: fn(&ChangeKind) -> bool| self.0.iter().filter(|change| is(&change.kind)).count();
        let parts: Vec<String> = [
            (count(|kind| matches!(kind, ChangeKind::Create { .. })), "to create"),
            (count(|kind| matches!(kind, ChangeKind::Scale)), "to scale"),
            (count(|kind| matches!(kind, ChangeKind::InPlace)), "to change in place"),
            (count(|kind| matches!(kind, ChangeKind::Roll)), "to roll"),
            (count(|kind| matches!(kind, ChangeKind::Stop { .. })), "to stop"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if parts.is_empty() { f.write_str("no changes") } else { f.write_str(&parts.join(", ")) }
    }
}

fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn passage_name<S: Serializer>(passage: &Passage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match passage {
        Passage::InPlace => "inPlace",
        Passage::Scale => "scale",
        Passage::Roll => "roll",
    })
}
