//! The versions of a group: those of all that is, or was, in it (§1.5).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::history::VERSIONS_KEPT;
use ekiden_model::{AppId, GroupId, History, Timestamp};

use super::tree::groups_at_and_within;
use crate::runtime::{Snapshot, within};

/// The histories of the apps that are, or were, in a group, at any depth.
pub(super) fn histories<'a>(snapshot: &'a Snapshot, group: &GroupId) -> BTreeMap<&'a AppId, &'a Arc<History>> {
    let departed = within(&snapshot.shelf.departed, group);
    let present = snapshot.apps_within(group).into_iter().map(|app| (&app.state.id, &app.state.history));
    departed.chain(present).collect()
}

/// When something in a group changed, the newest first; at most [`VERSIONS_KEPT`], which all can be gone back to.
pub(super) fn versions(snapshot: &Snapshot, group: &GroupId) -> Vec<Timestamp> {
    let mut versions = BTreeSet::new();
    let mut add = |at: Timestamp| {
        // Only the newest are wanted, and there may be many apps.
        if versions.len() < VERSIONS_KEPT || versions.first().is_some_and(|oldest| at > *oldest) {
            versions.insert(at);
        }
        if versions.len() > VERSIONS_KEPT {
            versions.pop_first();
        }
    };
    for history in histories(snapshot, group).values() {
        history.iter().for_each(|version| add(version.at));
    }
    for (_, pod) in within(&snapshot.shelf.pods, group) {
        pod.versions.iter().for_each(|(at, _)| add(*at));
    }
    for said in groups_at_and_within(snapshot, group) {
        said.versions.iter().for_each(|version| add(version.at));
    }
    versions.into_iter().rev().collect()
}
