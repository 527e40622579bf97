//! What readers see: immutable snapshots of the world, published after each step.
//!
//! The apps are spread over a fixed number of shared maps. Publishing copies the maps of the apps that were touched
//! and shares the others, so its cost follows the change; a reader that holds a snapshot holds nobody up.

use std::borrow::Borrow;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ekiden_model::deployment::Course;
use ekiden_model::edit::{Group, Pod};
use ekiden_model::report::{Reason, Report};
use ekiden_model::view::Settled;
use ekiden_model::{
    Adoption, Agents, AppId, AppState, Condition, DeploymentId, FrameworkId, GroupId, History, Timestamp,
};
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::changes::{Changes, Forgotten, WorldRevision};

/// Over how many maps the apps are spread. With 10,000 apps, publishing one copies a map of about 80 pointers and
/// the 128 pointers to the maps.
const SHARDS: usize = 128;

type Shard = Arc<BTreeMap<AppId, Arc<AppSnapshot>>>;

/// One app, as it was after some step.
#[derive(Debug, Clone)]
pub struct AppSnapshot {
    /// Everything about it.
    pub state: AppState,
    /// What it waits for.
    pub report: Report,
    /// How many instances it shall have.
    pub desired: u32,
    /// The deployment that it is part of and not through with.
    pub deployment: Option<DeploymentId>,
    /// The world's revision since which it is so.
    changed: u64,
    rendered: Rendered,
}

/// The forms in which an app was asked for since it last changed. Each is made of the app alone, once, by whoever asks
/// first.
#[derive(Debug, Clone, Default)]
struct Rendered {
    listed: OnceLock<Bytes>,
    shown: OnceLock<Bytes>,
    brief: OnceLock<Bytes>,
    in_group: OnceLock<Box<RawValue>>,
}

impl AppSnapshot {
    /// An app as it is now; not yet part of any world.
    pub fn new(state: AppState, report: Report, desired: u32, deployment: Option<DeploymentId>) -> Self {
        Self { state, report, desired, deployment, changed: 0, rendered: Rendered::default() }
    }

    /// The revision of the world in which it last changed.
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// Its form in lists, made by `render` when nobody has asked since it changed.
    pub(crate) fn listed(&self, render: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.rendered.listed.get_or_init(|| render(self))
    }

    /// Its form when it is asked for alone, made likewise.
    pub(crate) fn shown(&self, render: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.rendered.shown.get_or_init(|| render(self))
    }

    /// Its form in our own lists, made likewise.
    pub(crate) fn brief(&self, render: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.rendered.brief.get_or_init(|| render(self))
    }

    /// Its form in its group, made likewise; a part of a larger text.
    pub(crate) fn in_group(&self, render: impl FnOnce(&Self) -> Box<RawValue>) -> &RawValue {
        self.rendered.in_group.get_or_init(|| render(self))
    }
}

/// What there is beside apps and their instances: each part is shared as a whole, and copied when it changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shelf {
    /// Deployments that are not over.
    pub deployments: Arc<BTreeMap<DeploymentId, Arc<Course>>>,
    /// The histories of apps that are over.
    pub departed: Arc<BTreeMap<AppId, Arc<History>>>,
    /// Groups of which something is said.
    pub groups: Arc<BTreeMap<GroupId, Arc<Group>>>,
    /// Pods.
    pub pods: Arc<BTreeMap<AppId, Arc<Pod>>>,
    /// Addresses that events are sent to.
    pub listeners: BTreeSet<Arc<str>>,
}

/// How we stand with the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// As whom the cluster knows us, if it does.
    pub framework: Option<FrameworkId>,
    /// Whether we are connected.
    pub connected: bool,
    /// Since when that is so; nothing if it never was otherwise.
    pub since: Option<Timestamp>,
}

/// The world, as it was after some step.
#[derive(Debug, Clone)]
pub struct Snapshot {
    shards: Vec<Shard>,
    /// What there is beside apps.
    pub shelf: Arc<Shelf>,
    /// The agents we know.
    pub agents: Arc<Agents>,
    /// How we stand with the cluster.
    pub link: Link,
    /// Why nothing at all is done, if so.
    pub standstill: Option<Reason>,
    /// What adopting would do, in safe mode.
    pub adoption: Option<Arc<Adoption>>,
    /// When that step was.
    pub at: Timestamp,
    /// Whether absence was evidence by then.
    pub settled: Settled,
    /// Which process tells it: revisions of two processes have nothing to do with each other.
    boot: u64,
    revision: u64,
}

/// The latest snapshot, for readers.
#[derive(Debug, Clone)]
pub struct Snapshots {
    current: watch::Receiver<Arc<Snapshot>>,
    changes: Changes,
}

/// The one hand that publishes.
#[derive(Debug)]
pub struct Publisher {
    current: Snapshot,
    apps: usize,
    instances: BTreeMap<Condition, usize>,
    /// What was put since the last publication.
    touched: Vec<AppId>,
    changes: Changes,
    readers: watch::Sender<Arc<Snapshot>>,
}

impl Snapshot {
    fn empty() -> Self {
        Self {
            shards: vec![Shard::default(); SHARDS],
            shelf: Arc::default(),
            agents: Arc::default(),
            link: Link::default(),
            standstill: None,
            adoption: None,
            at: Timestamp::EPOCH,
            settled: Settled::No("nothing was read yet"),
            // The hasher's keys are the standard library's randomness.
            boot: RandomState::new().hash_one("boot"),
            revision: 0,
        }
    }

    /// A number that no other process has, and one that grows with each publication. What was the same at the same
    /// numbers is the same.
    pub fn revision(&self) -> (u64, u64) {
        (self.boot, self.revision)
    }

    /// The same, as clients name it.
    pub fn world_revision(&self) -> WorldRevision {
        WorldRevision { boot: self.boot, number: self.revision }
    }

    /// One app.
    pub fn app(&self, id: &AppId) -> Option<&Arc<AppSnapshot>> {
        self.shards[shard_of(id)].get(id)
    }

    /// All apps, by id.
    pub fn apps(&self) -> Vec<&Arc<AppSnapshot>> {
        let mut apps: Vec<&Arc<AppSnapshot>> = self.shards.iter().flat_map(|shard| shard.values()).collect();
        apps.sort_unstable_by(|a, b| a.state.id.cmp(&b.state.id));
        apps
    }

    /// The apps in a group, at any depth, by id; those, too, that are declared no more and still stopping. Costs what
    /// is found, however many others there are.
    pub fn apps_within(&self, group: &GroupId) -> Vec<&Arc<AppSnapshot>> {
        let found = self.shards.iter().flat_map(|shard| within(shard, group));
        let mut apps: Vec<&Arc<AppSnapshot>> = found.map(|(_, app)| app).collect();
        apps.sort_unstable_by(|a, b| a.state.id.cmp(&b.state.id));
        apps
    }

    /// Says whether the app was there before.
    fn put(&mut self, id: &AppId, app: Option<Arc<AppSnapshot>>) -> bool {
        let shard = Arc::make_mut(&mut self.shards[shard_of(id)]);
        match app {
            Some(app) => shard.insert(id.clone(), app).is_some(),
            None => shard.remove(id).is_some(),
        }
    }
}

/// What of `map` lies in a group, at any depth; the group itself does not.
pub fn within<'a, K: Borrow<str> + Ord, V>(
    map: &'a BTreeMap<K, V>,
    group: &GroupId,
) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
    let below = if group.is_root() { "/".to_owned() } else { format!("{group}/") };
    let near = map.range::<str, _>((Bound::Excluded(below.as_str()), Bound::Unbounded));
    near.take_while(move |(key, _)| (*key).borrow().starts_with(&below))
}

fn shard_of(id: &AppId) -> usize {
    let mut hasher = DefaultHasher::new();
    id.as_str().hash(&mut hasher);
    (hasher.finish() % SHARDS as u64) as usize
}

impl Snapshots {
    /// The latest snapshot.
    pub fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.borrow())
    }

    /// Waits until another snapshot is there than the one that this reader waited for last. Never ends when nobody
    /// publishes any more.
    pub async fn next(&mut self) {
        if self.current.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The apps that have changed after one revision and up to that of a snapshot, each with its last change.
    pub fn changes(&self, after: u64, snapshot: &Snapshot) -> Result<Vec<(u64, AppId)>, Forgotten> {
        self.changes.between(after, snapshot.revision)
    }

    /// Waits until something was published at all: what was stored is there to be read.
    pub async fn first(&self) {
        let mut snapshots = self.current.clone();
        if snapshots.wait_for(|snapshot| snapshot.at > Timestamp::EPOCH).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until nothing is unknown any more: the store, the directory and the cluster have all been heard.
    pub async fn settled(&self) {
        let mut snapshots = self.current.clone();
        let settled = snapshots.wait_for(|snapshot| matches!(snapshot.settled, Settled::Yes)).await;
        if settled.is_err() {
            // Whoever publishes is gone, and what is not known by now never will be.
            std::future::pending::<()>().await;
        }
    }
}

impl Publisher {
    /// A publisher of an empty world, and its readers' end.
    pub fn new() -> (Self, Snapshots) {
        let current = Snapshot::empty();
        let (readers, snapshots) = watch::channel(Arc::new(current.clone()));
        let changes = Changes::default();
        let snapshots = Snapshots { current: snapshots, changes: changes.clone() };
        let (instances, touched) = (BTreeMap::new(), Vec::new());
        (Self { current, apps: 0, instances, touched, changes, readers }, snapshots)
    }

    /// What was published of an app last.
    pub fn last(&self, id: &AppId) -> Option<&Arc<AppSnapshot>> {
        self.current.app(id)
    }

    /// Notes an app's new state; nothing when it is gone. Readers see it with the next [`Publisher::publish`].
    pub fn put(&mut self, id: &AppId, app: Option<AppSnapshot>) {
        for (condition, old) in self.current.app(id).into_iter().flat_map(|app| app.state.instances.by_condition())
        {
            self.instances.entry(condition).and_modify(|count| *count -= old);
        }
        for (condition, new) in app.iter().flat_map(|app| app.state.instances.by_condition()) {
            *self.instances.entry(condition).or_default() += new;
        }
        let is = usize::from(app.is_some());
        let changed = self.current.revision + 1;
        let app = app.map(|app| Arc::new(AppSnapshot { changed, rendered: Rendered::default(), ..app }));
        let was = usize::from(self.current.put(id, app));
        self.touched.push(id.clone());
        self.apps = self.apps + is - was;
    }

    /// What readers see at present.
    pub fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.readers.borrow())
    }

    /// How many instances are in each condition that one was ever in.
    pub fn instances(&self) -> impl Iterator<Item = (Condition, usize)> {
        self.instances.iter().map(|(condition, count)| (*condition, *count))
    }

    /// Whether absence was evidence when this was last published.
    pub fn settled(&self) -> Settled {
        self.current.settled
    }

    /// Notes how we stand with the cluster, and says whether that is news.
    pub fn put_link(&mut self, link: &Link) -> bool {
        let is_news = self.current.link != *link;
        if is_news {
            self.current.link = link.clone();
        }
        is_news
    }

    /// How many apps there are.
    pub fn apps(&self) -> usize {
        self.apps
    }

    /// Notes what there is beside apps.
    pub fn put_shelf(&mut self, beside: Shelf) {
        self.current.shelf = Arc::new(beside);
    }

    /// Notes the agents, always those of one reconciler; says whether they are others than before.
    pub fn put_agents(&mut self, agents: &Agents) -> bool {
        let are_others = self.current.agents.changes() != agents.changes();
        if are_others {
            self.current.agents = Arc::new(agents.clone());
        }
        are_others
    }

    /// Notes whether, and why, nothing is done.
    pub fn put_standstill(&mut self, standstill: Option<Reason>, adoption: Option<Adoption>) {
        self.current.standstill = standstill;
        self.current.adoption = adoption.map(Arc::new);
    }

    /// Whether readers have been shown anything yet.
    pub fn has_published(&self) -> bool {
        self.current.revision > 0
    }

    /// Shows readers all that was noted.
    pub fn publish(&mut self, at: Timestamp, settled: Settled) {
        self.current.at = at;
        self.current.settled = settled;
        self.current.revision += 1;
        // First, so that whoever sees the snapshot finds what it changed.
        self.changes.note(self.current.revision, std::mem::take(&mut self.touched));
        self.readers.send_replace(Arc::new(self.current.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::fixtures::app_state;

    fn snapshot_of(id: &str, desired: u32) -> AppSnapshot {
        AppSnapshot::new(app_state(id), Report::empty(), desired, None)
    }

    #[tokio::test]
    async fn readers_can_wait_until_there_is_something_to_read() {
        let (mut publisher, readers) = Publisher::new();
        let early = tokio::time::timeout(std::time::Duration::from_millis(10), readers.first()).await;
        assert!(early.is_err(), "nothing was published");
        publisher.publish(Timestamp::from_millis(1), Settled::Yes);
        readers.first().await;
    }

    #[test]
    fn what_lies_in_a_group_is_found_by_its_path() {
        let ids = ["/a", "/a.b/c", "/a/b", "/a/b/c", "/ab", "/b"];
        let ids = ids.into_iter().filter_map(|id| GroupId::resolve(id, &GroupId::root()).ok());
        let map: BTreeMap<GroupId, usize> = ids.zip(0..).collect();
        let found = |group: &str| -> Vec<&str> {
            let group = GroupId::resolve(group, &GroupId::root()).expect("a good id");
            within(&map, &group).map(|(id, _)| id.as_str()).collect()
        };
        assert_eq!(found("/a"), ["/a/b", "/a/b/c"]);
        assert_eq!(found("/a/b/c"), [""; 0]);
        assert_eq!(found("/").len(), 6);
    }

    #[test]
    fn a_snapshot_in_hand_does_not_change_and_untouched_apps_are_shared() {
        let (mut publisher, readers) = Publisher::new();
        let (web, db) = (app_state("/web").id, app_state("/db").id);
        publisher.put(&web, Some(snapshot_of("/web", 1)));
        publisher.put(&db, Some(snapshot_of("/db", 1)));
        publisher.publish(Timestamp::EPOCH, Settled::Yes);
        let before = readers.latest();

        publisher.put(&web, Some(snapshot_of("/web", 2)));
        publisher.publish(Timestamp::EPOCH, Settled::Yes);
        let after = readers.latest();
        assert_eq!(before.app(&web).map(|app| app.desired), Some(1));
        assert_eq!(after.app(&web).map(|app| app.desired), Some(2));
        assert!(Arc::ptr_eq(before.app(&db).expect("there"), after.app(&db).expect("there")));
        let changed = |snapshot: &Snapshot, id| snapshot.app(id).map(|app| app.changed());
        assert_eq!(
            (changed(&before, &web), changed(&after, &web), changed(&after, &db)),
            (Some(1), Some(2), Some(1))
        );
        assert_eq!((before.revision().1, after.revision().1), (1, 2));
        assert_eq!(before.revision().0, after.revision().0);

        publisher.put(&web, None);
        publisher.publish(Timestamp::EPOCH, Settled::Yes);
        let ids: Vec<String> = readers.latest().apps().iter().map(|app| app.state.id.to_string()).collect();
        assert_eq!(ids, ["/db"]);
    }
}
