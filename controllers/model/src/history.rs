//! The versions of an app: what was declared when, by whom, and what came of it (Marathon §1.4, `versions`).
//!
//! Nothing here influences a decision. It is kept so that people can go back, and see who changed what.

use std::sync::Arc;

use crate::app::App;
use crate::app_state::Source;
use crate::deployment::{DeploymentId, Progress};
use crate::time::Timestamp;

/// Most versions of one app that are remembered; Marathon's `--zk_max_versions` (§4.15).
pub const VERSIONS_KEPT: usize = 50;

/// Most apps that are gone and of which the versions are remembered.
pub const DEPARTED_KEPT: usize = 1000;

/// What was declared at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// When: no two versions of an app have one time.
    pub at: Timestamp,
    /// The declaration; nothing where the app was withdrawn.
    pub app: Option<Definition>,
    /// How it came to be.
    pub cause: Cause,
    /// The change set that it was a part of.
    pub deployment: DeploymentId,
    /// What came of it.
    pub progress: Progress,
}

/// A declaration of some time.
///
/// One that was stored stays as it was written until somebody asks for it: thousands of apps have dozens of versions
/// each, hardly any of which is ever looked at, and reading them all would hold up a start by many seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// As it was declared in this life.
    Known(Arc<App>),
    /// As it was stored: JSON that whoever stored it can read.
    Written(Arc<str>),
}

impl Version {
    /// The app as it was declared then; nothing where it was withdrawn, or is only known as it was written.
    pub fn known(&self) -> Option<&Arc<App>> {
        match &self.app {
            Some(Definition::Known(app)) => Some(app),
            Some(Definition::Written(_)) | None => None,
        }
    }
}

/// How a version came to be, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Where the declaration comes from.
    pub source: Source,
    /// The commit, where the directory of manifests is a checkout.
    pub commit: Option<Arc<Commit>>,
    /// Who, where that is known: the name of a credential, or an address.
    pub by: Option<Arc<str>>,
    /// What was done.
    pub why: Why,
}

/// What was done to an app's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It was written so.
    Declared,
    /// All instances were to be replaced.
    Restarted,
    /// Instances were killed that were not to come back.
    Scaled,
    /// A deployment was turned round.
    RolledBack(DeploymentId),
    /// Something else than its file says was to hold, until then, for a reason.
    Overridden {
        /// Until when.
        until: Timestamp,
        /// The reason given.
        reason: Arc<str>,
    },
    /// That is over: what its file says holds again.
    OverrideOver,
    /// It is not declared any more.
    Withdrawn,
}

/// A commit of the checkout that the directory of manifests is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit {
    /// Its hash, in hexadecimal.
    pub hash: Arc<str>,
    /// Who made it, as git shows it: `Ann <ann@example.com>`.
    pub author: Arc<str>,
}

/// The versions of one app, oldest first; at most [`VERSIONS_KEPT`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History(Vec<Arc<Version>>);

impl History {
    /// Adds the newest one; it takes the place of one of the same time, since no two have one. Says which one is forgotten
    /// for it.
    pub fn push(&mut self, version: Version) -> Option<Timestamp> {
        let place = self.0.partition_point(|other| other.at < version.at);
        let replaced = place..place + usize::from(self.0.get(place).is_some_and(|other| other.at == version.at));
        self.0.splice(replaced, [Arc::new(version)]);
        (self.0.len() > VERSIONS_KEPT).then(|| self.0.remove(0).at)
    }

    /// Notes what came of a version; says whether that is news.
    pub fn note(&mut self, at: Timestamp, progress: &Progress) -> bool {
        let Some(version) = self.0.iter_mut().rev().find(|version| version.at == at) else { return false };
        let is_news = version.progress != *progress;
        if is_news {
            Arc::make_mut(version).progress = progress.clone();
        }
        is_news
    }

    /// The version of that time.
    pub fn get(&self, at: Timestamp) -> Option<&Arc<Version>> {
        self.0.iter().find(|version| version.at == at)
    }

    /// What held at that time: the newest version that is not later.
    pub fn as_of(&self, at: Timestamp) -> Option<&Arc<Version>> {
        self.0.iter().rev().find(|version| version.at <= at)
    }

    /// The newest.
    pub fn last(&self) -> Option<&Arc<Version>> {
        self.0.last()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Version>> + ExactSizeIterator {
        self.0.iter()
    }
}
