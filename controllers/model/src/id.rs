//! Names of things. Each is a type of its own, so that an agent's id is never passed for a task's.

use std::borrow::Borrow;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::uuid::{self, Uuid};

/// The absolute path of an app, `/prod/web`: lower-case DNS labels joined by dots, between slashes (Marathon §2.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<str>);

/// The absolute path of a group of apps: `/` or `/prod`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(Arc<str>);

/// Why a text is no id. Displayed as a sentence fragment that says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing but slashes.
    #[error("an id needs at least one segment, as in `/web`")]
    Empty,
    /// A segment that is no sequence of DNS labels.
    #[error(
        "segment `{0}` must be lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit"
    )]
    Segment(String),
    /// More than [`APP_ID_MAX_BYTES`].
    #[error("an id has at most {APP_ID_MAX_BYTES} characters")]
    TooLong,
    /// `..` from the root.
    #[error("`..` leads above the root")]
    AboveRoot,
    /// A last segment that is also a sub-resource of the API, or a dot path.
    #[error("the last segment may not be `{0}`, which the API uses for itself")]
    Reserved(String),
}

/// Longest id accepted, in bytes: an id is part of file names, environment variables and Mesos' task ids, which
/// stop at 255 bytes together with the 55 of an instance id's tail.
pub const APP_ID_MAX_BYTES: usize = 192;

impl AppId {
    /// Reads `text`; a relative one is resolved against `base`.
    pub fn resolve(text: &str, base: &GroupId) -> Result<Self, IdError> {
        let path = normalise(text, base)?;
        let last = path.rsplit('/').next().unwrap_or_default();
        if last.is_empty() {
            return Err(IdError::Empty);
        }
        if ["restart", "tasks", "versions"].contains(&last) {
            return Err(IdError::Reserved(last.to_owned()));
        }
        Ok(Self(path.into()))
    }

    /// Reads an absolute id, or one relative to the root.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Self::resolve(text, &GroupId::root())
    }

    /// The text of the id, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0[1..].split('/')
    }

    /// The group the app lives in.
    pub fn group(&self) -> GroupId {
        match self.0.rfind('/') {
            None | Some(0) => GroupId::root(),
            Some(end) => GroupId(self.0[..end].into()),
        }
    }

    /// The segments joined by `_`, as ids of instances and tasks begin (Marathon §3.2).
    pub fn safe_path(&self) -> String {
        self.0[1..].replace('/', "_")
    }

    /// The Mesos task name: the segments reversed and joined by dots, so `/a/b` is `b.a` (Marathon §3.2).
    pub fn task_name(&self) -> String {
        self.segments().rev().collect::<Vec<_>>().join(".")
    }
}

impl GroupId {
    /// The group of everything.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Reads `text`; a relative one is resolved against `base`.
    pub fn resolve(text: &str, base: &Self) -> Result<Self, IdError> {
        Ok(Self(normalise(text, base)?.into()))
    }

    /// The innermost group that all of these apps are in; the root, when there are none.
    pub fn common<'a>(mut apps: impl Iterator<Item = &'a AppId>) -> Self {
        let parent = |app: &'a AppId| app.0.rsplit_once('/').map_or("", |(parent, _)| parent);
        let Some(mut common) = apps.next().map(parent) else { return Self::root() };
        for app in apps {
            while !(parent(app).strip_prefix(common)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            {
                common = common.rsplit_once('/').map_or("", |(parent, _)| parent);
            }
        }
        if common.is_empty() { Self::root() } else { Self(common.into()) }
    }

    /// The text of the id, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The group around it; nothing around that of everything.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rfind('/')? {
            0 if self.is_root() => None,
            0 => Some(Self::root()),
            end => Some(Self(self.0[..end].into())),
        }
    }

    /// Whether it is the group of everything.
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The group right below that of everything that this is, or is in; nothing for that of everything itself.
    pub fn top(&self) -> Option<Self> {
        let first = self.0[1..].split('/').next().filter(|first| !first.is_empty())?;
        Some(Self(self.0[..=first.len()].into()))
    }

    /// Whether this is `other`, or lies somewhere in it.
    pub fn is_within(&self, other: &Self) -> bool {
        self == other || other.contains_path(&self.0)
    }

    /// Whether the app lives in this group or in one below it.
    pub fn contains(&self, app: &AppId) -> bool {
        self.contains_path(&app.0)
    }

    fn contains_path(&self, path: &str) -> bool {
        self.is_root() || path.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn normalise(text: &str, base: &GroupId) -> Result<String, IdError> {
    let base_segments = if text.starts_with('/') { "" } else { base.as_str() };
    let mut path: Vec<&str> = base_segments.split('/').filter(|s| !s.is_empty()).collect();
    for segment in text.split('/').filter(|s| !s.is_empty()) {
        match segment {
            "." => {}
            ".." => {
                path.pop().ok_or(IdError::AboveRoot)?;
            }
            _ if is_dns_name(segment) => path.push(segment),
            _ => return Err(IdError::Segment(segment.to_owned())),
        }
    }
    let joined = format!("/{}", path.join("/"));
    if joined.len() > APP_ID_MAX_BYTES {
        return Err(IdError::TooLong);
    }
    Ok(joined)
}

fn is_dns_name(segment: &str) -> bool {
    segment.split('.').all(|label| {
        let edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(label.bytes().next())
            && edge(label.bytes().next_back())
            && label.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    })
}

/// A name that the cluster gives: opaque text.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        shown_as_text!($name);
    };
}

macro_rules! shown_as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

shown_as_text!(AppId);
shown_as_text!(GroupId);
opaque_id!(
    /// A Mesos agent's id. An agent that is set up anew gets another one.
    AgentId
);
opaque_id!(
    /// A Mesos offer's id.
    OfferId
);
opaque_id!(
    /// A Mesos task's id: `<safe path>.instance-<uuid>._app.<incarnation>` (Marathon ≥ 1.8, §3.2). Never reused.
    TaskId
);
opaque_id!(
    /// The id under which Mesos knows a framework: us, once we have subscribed. It outlives the process, or tasks would.
    FrameworkId
);
opaque_id!(
    /// A Mesos role; `*` is the one that everybody has.
    Role
);

impl Role {
    /// The role of resources that are reserved to nobody.
    pub fn any() -> Self {
        Self::new("*")
    }
}

/// An instance's stable position in its app, from 0. It stays when the instance is replaced or upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// Which launch in its slot an instance is: 1, 2, 3, … Never repeated in a slot, whatever happens in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub NonZeroU32);

impl Incarnation {
    /// The first launch in a slot.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The launch after this one. At one launch a second this counter lasts 136 years.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The last incarnation that launches of before a life can have had; nothing before the first life, 0. The
    /// launches of a life are numbered from there on, so that no id is given to two tasks although it is not known
    /// which ids were given: a slot would have to be launched a million times within one life.
    pub fn before_life(life: u32) -> Option<Self> {
        NonZeroU32::new(life.saturating_mul(LAUNCHES_PER_LIFE)).map(Self)
    }

    /// The life that this was launched in.
    pub fn life(self) -> u32 {
        (self.0.get() - 1) / LAUNCHES_PER_LIFE
    }
}

/// See [`Incarnation::before_life`].
const LAUNCHES_PER_LIFE: u32 = 1_000_000;

/// A revision's number within its app: 1, 2, 3, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionId(pub u32);

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// An instance within its app. With the app's id it names one launch for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    /// Its position.
    pub slot: Slot,
    /// Which launch in that position.
    pub incarnation: Incarnation,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.slot.0, self.incarnation.0)
    }
}

/// What distinguishes the apps of one installation, and an app from a later one of the same id: 90 bits that are
/// the same after every restart. Half of an instance's uuid; the slot is the other half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppKey(u128);

/// The bits of a uuid that hold an [`AppKey`]: all but the version nibble, the variant and the slot in the last 32.
const APP_KEY_BITS: u128 = 0xffff_ffff_ffff_0fff_3fff_ffff_0000_0000;

impl AppKey {
    /// The key of the app `id` that was first declared as the `birth`-th app of the installation `realm`.
    ///
    /// `realm` is random, drawn once when an installation's store is made, so that two installations on one Mesos
    /// never give one id to two tasks; `birth` counts, so that deleting an app and declaring it again does neither.
    pub fn new(realm: u64, birth: u64, id: &AppId) -> Self {
        let bytes = realm.to_be_bytes().into_iter().chain(birth.to_be_bytes()).chain(id.as_str().bytes());
        Self(uuid::hash(bytes) & APP_KEY_BITS)
    }

    /// As it was stored; bits that belong to the rest of a uuid are left out.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits & APP_KEY_BITS)
    }

    /// To be stored.
    pub const fn to_bits(self) -> u128 {
        self.0
    }
}

/// The instance part of a task id: `<safe path>.instance-<uuid>`, where the uuid holds the app's key and the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId {
    /// Which app of which installation.
    pub app: AppKey,
    /// Which position in it.
    pub slot: Slot,
}

impl InstanceId {
    /// The uuid in its 8-4-4-4-12 form.
    pub fn uuid(self) -> String {
        Uuid(self.app.0 | uuid::MARKS | u128::from(self.slot.0)).to_string()
    }

    /// As Marathon writes it: `web.instance-0f3c…`.
    pub fn full(self, app: &AppId) -> String {
        format!("{}.instance-{}", app.safe_path(), self.uuid())
    }

    /// The id of the task that is this instance's `incarnation`-th launch.
    pub fn task(self, app: &AppId, incarnation: Incarnation) -> TaskId {
        TaskId::new(format!("{}._app.{}", self.full(app), incarnation.0))
    }
}

impl TaskId {
    /// Reads back which launch this is; `None` when the id was not made by us.
    pub fn instance(&self) -> Option<(InstanceId, Incarnation)> {
        let (_, uuid, incarnation) = self.parts()?;
        let Uuid(bits) = uuid.parse().ok()?;
        if bits & !(APP_KEY_BITS | 0xffff_ffff) != uuid::MARKS {
            return None;
        }
        let app = AppKey(bits & APP_KEY_BITS);
        let slot = Slot((bits & 0xffff_ffff) as u32);
        Some((InstanceId { app, slot }, Incarnation(incarnation.parse().ok()?)))
    }

    /// The path of the app whose task this is; `None` when the id was not made by us. No segment of a path has a `_`, so
    /// it reads back for certain.
    pub fn app(&self) -> Option<AppId> {
        self.instance()?;
        let (path, ..) = self.parts()?;
        AppId::parse(&path.replace('_', "/")).ok()
    }

    /// Whether the path in it is that of this app; told without reading it back.
    pub fn names(&self, app: &AppId) -> bool {
        let Some((path, ..)) = self.parts() else { return false };
        let segments = || app.as_str().strip_prefix('/').into_iter().flat_map(str::bytes);
        path.bytes().eq(segments().map(|byte| if byte == b'/' { b'_' } else { byte }))
    }

    /// The path, the instance's uuid and the incarnation. Neither of the last two has a dot.
    fn parts(&self) -> Option<(&str, &str, &str)> {
        let (rest, incarnation) = self.0.rsplit_once('.')?;
        let (path, instance) = rest.strip_suffix("._app")?.rsplit_once('.')?;
        Some((path, instance.strip_prefix("instance-")?, incarnation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(text: &str) -> AppId {
        AppId::parse(text).expect("a good id")
    }

    #[test]
    fn what_apps_have_in_common_is_their_innermost_group() {
        let common = |ids: &[&str]| {
            let apps: Vec<AppId> = ids.iter().map(|id| AppId::parse(id).expect("a good id")).collect();
            GroupId::common(apps.iter()).as_str().to_owned()
        };
        assert_eq!(common(&["/prod/web"]), "/prod");
        assert_eq!(common(&["/prod/web", "/prod/db/main"]), "/prod");
        assert_eq!(common(&["/prod/db/main", "/prod/db-2/main"]), "/prod");
        assert_eq!(common(&["/a/x", "/b/x"]), "/");
        assert_eq!(common(&["/web"]), "/");
        assert_eq!(common(&[]), "/");
    }

    #[test]
    fn ids_resolve_against_their_group() {
        let prod = GroupId::resolve("prod", &GroupId::root()).expect("a good id");
        assert_eq!(AppId::resolve("web", &prod).map(|id| id.to_string()), Ok("/prod/web".into()));
        assert_eq!(AppId::resolve("/web", &prod).map(|id| id.to_string()), Ok("/web".into()));
        assert_eq!(AppId::resolve("../db//main/", &prod).map(|id| id.to_string()), Ok("/db/main".into()));
        assert_eq!(AppId::resolve("../../x", &prod), Err(IdError::AboveRoot));
        assert_eq!(AppId::parse("/"), Err(IdError::Empty));
        assert_eq!(AppId::parse("/a/tasks"), Err(IdError::Reserved("tasks".into())));
        assert_eq!(AppId::parse("/Web"), Err(IdError::Segment("Web".into())));
        assert_eq!(AppId::parse("/-a"), Err(IdError::Segment("-a".into())));
        assert_eq!(AppId::parse(&"a".repeat(192)), Err(IdError::TooLong));
        assert!(prod.contains(&app("/prod/a/b")) && !prod.contains(&app("/production")));
    }

    #[test]
    fn groups_lie_in_groups() {
        let group = |text: &str| GroupId::resolve(text, &GroupId::root()).expect("a good id");
        let parent = |text: &str| group(text).parent().map(|above| above.to_string());
        assert_eq!((parent("/a/b"), parent("/a"), parent("/")), (Some("/a".into()), Some("/".into()), None));
        let top = |text: &str| group(text).top().map(|top| top.to_string());
        assert_eq!((top("/a/b/c"), top("/a"), top("/")), (Some("/a".into()), Some("/a".into()), None));
        assert!(group("/a/b").is_within(&group("/a")) && group("/a").is_within(&group("/a")));
        assert!(group("/a").is_within(&GroupId::root()) && GroupId::root().is_within(&GroupId::root()));
        assert!(!group("/a").is_within(&group("/a/b")) && !group("/ab").is_within(&group("/a")));
    }

    #[test]
    fn a_task_id_reads_back_to_its_instance() {
        let id = app("/a/b");
        let instance = InstanceId { app: AppKey::new(7, 1, &id), slot: Slot(41) };
        let task = instance.task(&id, Incarnation::FIRST.next());
        assert!(task.as_str().starts_with("a_b.instance-"), "{task}");
        assert!(task.as_str().ends_with("._app.2"), "{task}");
        assert_eq!(task.instance(), Some((instance, Incarnation::FIRST.next())));
        assert_eq!(task.app().as_ref(), Some(&id));
        let others = ["/a/b/c", "/a", "/b", "/a-b", "/a.b"];
        assert!(task.names(&id) && !others.iter().any(|other| task.names(&app(other))));
        assert_eq!(TaskId::new("a_b.instance-9ac35a56-0e29-11ea-9d3b-70b3d5800001._app.1").instance(), None);
    }

    #[test]
    fn another_installation_or_birth_gives_other_keys() {
        let id = app("/a");
        assert_ne!(AppKey::new(1, 1, &id), AppKey::new(2, 1, &id));
        assert_ne!(AppKey::new(1, 1, &id), AppKey::new(1, 2, &id));
    }

    #[test]
    fn mesos_names_are_reversed_paths() {
        assert_eq!(app("/prod/db/main").task_name(), "main.db.prod");
        assert_eq!(app("/prod/db/main").safe_path(), "prod_db_main");
        assert_eq!(app("/prod/db").group().as_str(), "/prod");
    }
}
