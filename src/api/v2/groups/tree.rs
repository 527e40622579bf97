//! A group and all that is in it, as it is shown: `GroupInfo` (§1.5).

use std::collections::{BTreeMap, BTreeSet};

use ekiden_model::edit::GroupVersion;
use ekiden_model::{Declared, GroupId, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::embeds::{Embeds, Info};
use super::past;
use crate::api::v2::apps::definition;
use crate::api::v2::pods;
use crate::manifest::read_definition;
use crate::runtime::{Snapshot, within};

/// A group, by the groups in it.
pub(super) struct Tree<'a> {
    root: &'a GroupId,
    embeds: &'a Embeds,
    nodes: BTreeMap<GroupId, Node<'a>>,
}

/// A group in Marathon's form.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    apps: Option<Vec<Info<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Shown<'a>>>,
    dependencies: Vec<String>,
    version: String,
    /// Marathon 1.9 and later always say it; a widely used client knows of no such member (clients.md §4).
    #[serde(rename = "enforceRole", skip_serializing_if = "Option::is_none")]
    enforce_role: Option<bool>,
}

/// What is in one group, without the groups below it.
#[derive(Default)]
struct Node<'a> {
    apps: Vec<Info<'a>>,
    pods: Vec<Value>,
    groups: BTreeSet<GroupId>,
    said: Option<GroupVersion>,
    version: Option<Timestamp>,
}

impl<'a> Tree<'a> {
    /// As it is.
    pub(super) fn now(snapshot: &'a Snapshot, group: &'a GroupId, embeds: &'a Embeds) -> Self {
        let mut tree = Self::of(group, embeds);
        for app in snapshot.apps_within(group) {
            if let Some(declared) = &app.state.declared {
                let shown = embeds.apps.then(|| embeds.info(app, declared));
                tree.node(&app.state.id.group()).apps.extend(shown);
                tree.changed(&app.state.id.group(), declared.version);
            }
        }
        for (id, pod) in within(&snapshot.shelf.pods, group) {
            let shown = embeds.pods.then(|| pods::status(pod)).flatten();
            tree.node(&id.group()).pods.extend(shown);
            tree.changed(&id.group(), pod.last().map_or(Timestamp::EPOCH, |(version, _)| *version));
        }
        for said in groups_at_and_within(snapshot, group) {
            if let Some(version) = said.last() {
                tree.say(&said.id, version);
            }
        }
        // What has gone has changed the group that it was in.
        for (id, history) in within(&snapshot.shelf.departed, group) {
            if let Some(last) = history.last() {
                tree.changed(&id.group(), last.at);
            }
        }
        tree
    }

    /// As it was.
    pub(super) fn then(snapshot: &Snapshot, group: &'a GroupId, at: Timestamp, embeds: &'a Embeds) -> Self {
        let mut tree = Self::of(group, embeds);
        for (id, history) in past::histories(snapshot, group) {
            let Some(version) = history.as_of(at) else { continue };
            if let Some(app) = version.app.as_ref().and_then(read_definition) {
                // Which ports were leased then is not known; the same ones, as long as the app was there.
                let ports = snapshot.app(id).map(|app| app.state.service_ports.as_slice()).unwrap_or_default();
                let then = Declared::first(app, version.at, version.cause.source.clone());
                let shown = embeds.apps.then(|| Info::Made(Value::Object(definition(&then, ports))));
                tree.node(&id.group()).apps.extend(shown);
            }
            tree.changed(&id.group(), version.at);
        }
        for (id, pod) in within(&snapshot.shelf.pods, group) {
            let Some(version) = pods::as_of(pod, at) else { continue };
            let shown = embeds.pods.then(|| pods::status_of(id, version)).flatten();
            tree.node(&id.group()).pods.extend(shown);
            tree.changed(&id.group(), version.0);
        }
        for said in groups_at_and_within(snapshot, group) {
            if let Some(version) = said.as_of(at) {
                tree.say(&said.id, version);
            }
        }
        tree
    }

    fn of(root: &'a GroupId, embeds: &'a Embeds) -> Self {
        let nodes = BTreeMap::from([(root.clone(), Node::default())]);
        Self { root, embeds, nodes }
    }

    /// The node of a group below the root, which is in all those above it from now on.
    fn node(&mut self, group: &GroupId) -> &mut Node<'a> {
        let mut links = Vec::new();
        let mut below = group.clone();
        while !self.nodes.contains_key(&below) {
            self.nodes.insert(below.clone(), Node::default());
            let Some(above) = below.parent() else { break };
            links.push((above.clone(), below));
            below = above;
        }
        for (above, below) in links {
            self.nodes.entry(above).or_default().groups.insert(below);
        }
        self.nodes.entry(group.clone()).or_default()
    }

    fn say(&mut self, group: &GroupId, version: &GroupVersion) {
        self.node(group).said = Some(version.clone());
        self.changed(group, version.at);
    }

    /// A group has changed, and with it all groups around it. One that has gone is passed over.
    fn changed(&mut self, group: &GroupId, at: Timestamp) {
        let mut changed = Some(group.clone());
        while let Some(group) = changed.filter(|group| group.is_within(self.root)) {
            if let Some(node) = self.nodes.get_mut(&group) {
                node.version = node.version.max(Some(at));
            }
            changed = group.parent();
        }
    }

    /// In Marathon's form.
    pub(super) fn shown(mut self) -> Shown<'a> {
        self.shown_at(self.root)
    }

    fn shown_at(&mut self, id: &GroupId) -> Shown<'a> {
        let node = self.nodes.remove(id).unwrap_or_default();
        let below = |tree: &mut Self| node.groups.iter().map(|below| tree.shown_at(below)).collect();
        let groups = self.embeds.groups.then(|| below(self));
        let said = node.said.as_ref();
        let dependencies = said.map(|said| said.dependencies.iter().map(ToString::to_string).collect());
        Shown {
            id: id.to_string(),
            apps: self.embeds.apps.then_some(node.apps),
            pods: self.embeds.pods.then_some(node.pods),
            groups,
            dependencies: dependencies.unwrap_or_default(),
            version: node.version.unwrap_or(Timestamp::EPOCH).to_string(),
            enforce_role: said.and_then(|said| said.enforce_role.then_some(true)),
        }
    }
}

/// The groups of which something is said, from a group down.
pub(super) fn groups_at_and_within<'a>(
    snapshot: &'a Snapshot,
    group: &GroupId,
) -> impl Iterator<Item = &'a ekiden_model::edit::Group> + use<'a> {
    let groups = &snapshot.shelf.groups;
    let itself = groups.get(group).into_iter();
    itself.chain(within(groups, group).map(|(_, group)| group)).map(|group| &**group)
}
