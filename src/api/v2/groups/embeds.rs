//! What is shown of a group and of the apps in it: the `embed` parameter of groups (§1.5).

use std::collections::BTreeSet;

use ekiden_model::Declared;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::api::Request;
use crate::api::v2::apps::{definition, last_failure, readiness_results};
use crate::api::v2::stats::{Counts, task_stats};
use crate::api::v2::tasks;
use crate::runtime::AppSnapshot;
use crate::runtime::clock::wall;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Embeds {
    /// The groups in it.
    pub(super) groups: bool,
    /// The apps in it.
    pub(super) apps: bool,
    /// The pods in it.
    pub(super) pods: bool,
    of_apps: BTreeSet<OfApps>,
}

/// An app, as it is shown in a group.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Info<'a> {
    /// As it was rendered once.
    Kept(&'a RawValue),
    /// For this answer alone.
    Made(Value),
}

/// What is shown of an app beside its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum OfApps {
    Tasks,
    Counts,
    Deployments,
    Readiness,
    LastTaskFailure,
    TaskStats,
}

impl Embeds {
    /// What a request asks for; groups, apps and pods when it says nothing.
    pub(super) fn of(request: &Request) -> Self {
        Self::read(request.all("embed"))
    }

    fn read<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut embeds = Self { groups: false, apps: false, pods: false, of_apps: BTreeSet::new() };
        let mut says_nothing = true;
        for value in values.filter(|value| !value.is_empty()) {
            says_nothing = false;
            let name = value.strip_prefix("group.").unwrap_or(value);
            match name {
                "groups" => embeds.groups = true,
                "apps" => embeds.apps = true,
                "pods" => embeds.pods = true,
                _ => embeds.add(name.strip_prefix("apps.").or(name.strip_prefix("app.")).unwrap_or(name)),
            }
        }
        if says_nothing {
            (embeds.groups, embeds.apps, embeds.pods) = (true, true, true);
        }
        // Who asks for something of the apps wants the apps.
        embeds.apps |= !embeds.of_apps.is_empty();
        embeds
    }

    fn add(&mut self, name: &str) {
        let added: &[OfApps] = match name {
            "tasks" => &[OfApps::Tasks],
            "counts" => &[OfApps::Counts],
            "deployments" => &[OfApps::Deployments],
            "readiness" => &[OfApps::Readiness],
            "lastTaskFailure" => &[OfApps::LastTaskFailure],
            "failures" => &[OfApps::Tasks, OfApps::LastTaskFailure, OfApps::Deployments],
            "taskStats" => &[OfApps::TaskStats],
            // Of other values Marathon takes no notice.
            _ => &[],
        };
        self.of_apps.extend(added);
    }

    /// An app as it is shown in a group: its definition, and what was asked for. Where nothing was, it is as it was
    /// rendered when somebody asked first since it changed.
    pub(super) fn info<'a>(&self, app: &'a AppSnapshot, declared: &Declared) -> Info<'a> {
        if self.of_apps.is_empty() {
            // Writing JSON we made ourselves does not fail.
            let render =
                |_: &_| to_raw_value(&self.made(app, declared)).unwrap_or_else(|_| RawValue::NULL.to_owned());
            Info::Kept(app.in_group(render))
        } else {
            Info::Made(self.made(app, declared))
        }
    }

    fn made(&self, app: &AppSnapshot, declared: &Declared) -> Value {
        let state = &app.state;
        let mut info = definition(declared, &state.service_ports);
        let mut set = |name: &str, value: Value| info.insert(name.to_owned(), value);
        for embed in &self.of_apps {
            match embed {
                OfApps::Tasks => _ = set("tasks", json!(tasks::of_state(state))),
                OfApps::Counts => {
                    let counts = Counts::of(state.instances.iter(), !declared.app.health_checks.is_empty());
                    set("tasksStaged", json!(counts.staged));
                    set("tasksRunning", json!(counts.running));
                    set("tasksHealthy", json!(counts.healthy));
                    set("tasksUnhealthy", json!(counts.unhealthy));
                }
                OfApps::Deployments => {
                    let ids: Vec<Value> =
                        app.deployment.iter().map(|id| json!({ "id": id.to_string() })).collect();
                    set("deployments", json!(ids));
                }
                OfApps::Readiness => _ = set("readinessCheckResults", readiness_results(state)),
                OfApps::LastTaskFailure => {
                    if let Some(failure) = last_failure(state) {
                        set("lastTaskFailure", failure);
                    }
                }
                OfApps::TaskStats => _ = set("tasksStats", task_stats(state, wall())),
            }
        }
        Value::Object(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_are_shown_unless_something_else_is_asked_for() {
        let read = |values: &[&str]| {
            let embeds = Embeds::read(values.iter().copied());
            (embeds.groups, embeds.apps, embeds.pods, embeds.of_apps.len())
        };
        assert_eq!(read(&[]), (true, true, true, 0));
        assert_eq!(read(&[""]), (true, true, true, 0));
        assert_eq!(read(&["group.groups"]), (true, false, false, 0));
        assert_eq!(read(&["group.apps.tasks", "group.groups"]), (true, true, false, 1));
        assert_eq!(read(&["apps.failures", "app.counts"]), (false, true, false, 4));
        assert_eq!(read(&["group.pods", "moods"]), (false, false, true, 0));
    }
}
