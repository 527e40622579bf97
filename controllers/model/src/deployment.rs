//! Deployments: which apps one change set affects, and how far each of them has come (Marathon §1.6).
//!
//! A deployment decides nothing and locks nothing. It is the record of a change, kept until what it asked for is there,
//! so that whoever made the change can follow it, and turn it round.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

use crate::app::{App, Dependency, Passage};
use crate::id::AppId;
use crate::time::Timestamp;
use crate::uuid::{self, Uuid};

/// A deployment's name: a uuid that is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId(u128);

/// Most steps that are told apart: a longer chain of dependencies ends with one long step.
const STEPS_MAX: usize = 64;

impl DeploymentId {
    /// The name of the deployment by which the installation `realm` came to `version`. No two change sets of an
    /// installation have one version.
    pub fn new(realm: u64, version: Timestamp) -> Self {
        let bytes =
            b"deployed".iter().copied().chain(realm.to_be_bytes()).chain(version.as_millis().to_be_bytes());
        Self(uuid::hash(bytes) & uuid::FREE | uuid::MARKS)
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid(self.0).fmt(f)
    }
}

/// The text names no deployment of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a deployment's id is a uuid")]
pub struct DeploymentIdError;

impl FromStr for DeploymentId {
    type Err = DeploymentIdError;

    fn from_str(text: &str) -> Result<Self, DeploymentIdError> {
        text.parse().map(|Uuid(bits)| Self(bits)).map_err(|_| DeploymentIdError)
    }
}

/// One change set on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// The version that all it changed have got: when it was made, too.
    pub version: Timestamp,
    /// What it changes; empty where a change set said nothing new.
    pub changes: BTreeMap<AppId, Change>,
}

/// What a deployment changes of one app.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is done to it.
    pub action: DeploymentAction,
    /// What was declared before; nothing where the app was not. It is what turning the deployment round goes back to.
    pub before: Option<Arc<App>>,
    /// In which step of the deployment, from 1: later than all those that it depends on. What stops has none of its own.
    pub step: u32,
}

/// The steps of a deployment, in their order (§4.2): what goes, what is new, and then level by level what is scaled or
/// replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// What goes.
    Stop,
    /// What is new is registered: through at once.
    Start,
    /// What is scaled or replaced, by [`Change::step`].
    Level(u32),
}

impl Change {
    /// The step that takes its time.
    pub fn stage(&self) -> Stage {
        match self.action {
            DeploymentAction::Stop => Stage::Stop,
            DeploymentAction::Start | DeploymentAction::Scale | DeploymentAction::Restart => {
                Stage::Level(self.step)
            }
        }
    }
}

/// What is done to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeploymentAction {
    /// It was not there.
    Start,
    /// Its instances become more or fewer.
    Scale,
    /// What its instances run, or how they are looked after, is another.
    Restart,
    /// It goes.
    Stop,
}

/// How far an app is on the way that a deployment set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not there yet.
    UnderWay,
    /// There, at that time.
    Complete(Timestamp),
    /// It stands still until somebody changes the declaration.
    Failed(Timestamp, Arc<str>),
    /// A later change set wants something else of this app.
    Superseded(Timestamp),
}

/// What has come of one step of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEnd {
    /// All of its apps are through; the first step that is not yet, if any, is given.
    Through(Option<Stage>),
    /// One of its apps stands still.
    Failed,
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Everything that it asked for is there.
    Success,
    /// Something is not, and why.
    Failure(Arc<str>),
}

/// A deployment that is not over, and how far it is. What is counted here is kept in the histories of its apps, so it costs
/// little to note, however many apps there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The deployment. It does not change on its way.
    pub deployment: Arc<Deployment>,
    /// How many apps are under way in each step; steps that are through are left out.
    left: BTreeMap<Stage, usize>,
    /// The last app that failed, in the order of ids, and why.
    failed: Option<(AppId, Arc<str>)>,
    /// The steps in which one failed.
    failed_in: BTreeSet<Stage>,
    /// The first app that was changed again, in the order of ids.
    superseded: Option<AppId>,
}

impl Course {
    /// Of a deployment that has begun.
    pub fn new(deployment: Arc<Deployment>) -> Self {
        let mut left = BTreeMap::new();
        for change in deployment.changes.values() {
            *left.entry(change.stage()).or_default() += 1;
        }
        Self { deployment, left, failed: None, failed_in: BTreeSet::new(), superseded: None }
    }

    /// How many apps are under way.
    pub fn left(&self) -> usize {
        self.left.values().sum()
    }

    /// Notes that an app that was under way is so no more; says what came of its step, if anything did.
    pub fn note(&mut self, app: &AppId, progress: &Progress) -> Option<(Stage, StepEnd)> {
        let stage = self.deployment.changes.get(app)?.stage();
        if *progress == Progress::UnderWay {
            return None;
        }
        let is_through = self.left.get_mut(&stage).is_none_or(|left| {
            *left = left.saturating_sub(1);
            *left == 0
        });
        if is_through {
            self.left.remove(&stage);
        }
        match progress {
            Progress::Failed(_, reason) => {
                if self.failed.as_ref().is_none_or(|(last, _)| last < app) {
                    self.failed = Some((app.clone(), reason.clone()));
                }
                // Told once: what a step asks for is not there, whichever of its apps it was.
                self.failed_in.insert(stage).then_some((stage, StepEnd::Failed))
            }
            Progress::Superseded(_) => {
                if self.superseded.as_ref().is_none_or(|first| app < first) {
                    self.superseded = Some(app.clone());
                }
                None
            }
            // A step in which one failed has been told of, and is not through.
            Progress::UnderWay | Progress::Complete(_) => (is_through && !self.failed_in.contains(&stage))
                .then(|| (stage, StepEnd::Through(self.left.keys().next().copied()))),
        }
    }

    /// Whether nothing of it is under way any more, and how it ended then.
    pub fn ending(&self) -> Option<Ending> {
        if !self.left.is_empty() {
            return None;
        }
        let failure = match (&self.failed, &self.superseded) {
            (Some((app, reason)), _) => format!("{app}: {reason}"),
            (None, Some(app)) => format!("{app} was changed again meanwhile"),
            (None, None) => return Some(Ending::Success),
        };
        Some(Ending::Failure(failure.into()))
    }
}

impl DeploymentAction {
    /// What is done to an app that is declared as `new`, and was as `old`.
    pub fn of(new: &App, old: Option<&App>) -> Self {
        let Some(old) = old else { return Self::Start };
        let rolls = new.changes_from(old).iter().any(|change| change.passage == Passage::Roll);
        if rolls && new.instances > 0 { Self::Restart } else { Self::Scale }
    }
}

impl Deployment {
    /// Puts what depends on other changes of the set in later steps (§4.2). `declared` is what each app is after them.
    pub fn order<'a>(&mut self, declared: impl Fn(&AppId) -> Option<&'a App>) {
        let dependencies: Vec<(AppId, &BTreeSet<Dependency>)> = self
            .changes
            .keys()
            .filter_map(|id| Some((id.clone(), &declared(id)?.dependencies)))
            .filter(|(_, dependencies)| !dependencies.is_empty())
            .collect();
        // Each round puts right what is one step further from the beginning.
        for _ in 0..STEPS_MAX {
            let mut moved = false;
            for (id, dependencies) in &dependencies {
                let on = dependencies.iter().flat_map(|on| {
                    let from = (Bound::Included(on.0.as_str()), Bound::Unbounded);
                    let near = self.changes.range::<str, _>(from);
                    near.take_while(|(other, _)| other.as_str().starts_with(on.0.as_str()))
                        .filter(|(other, change)| {
                            on.includes(other) && *other != id && change.action != DeploymentAction::Stop
                        })
                        .map(|(_, change)| change.step)
                });
                let step = on.max().map_or(1, |before| before + 1);
                if let Some(change) = self.changes.get_mut(id).filter(|change| change.step != step) {
                    change.step = step;
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Command, Template};
    use crate::id::GroupId;

    #[test]
    fn an_id_is_a_uuid_that_reads_back() {
        let id = DeploymentId::new(7, Timestamp::from_millis(1));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        assert_eq!(id.to_string().as_bytes()[14], b'8', "{id}");
        assert_ne!(id, DeploymentId::new(7, Timestamp::from_millis(2)));
        assert_ne!(id, DeploymentId::new(8, Timestamp::from_millis(1)));
        for text in ["", "x", "00000000-0000-0000-0000-00000000000", "0"] {
            assert_eq!(text.parse::<DeploymentId>(), Err(DeploymentIdError), "{text}");
        }
    }

    #[test]
    fn what_depends_on_another_change_comes_in_a_later_step() {
        let id = |text: &str| AppId::parse(text).expect("a good id");
        let app = |text: &str, on: &[&str]| {
            let on = on.iter().map(|on| GroupId::resolve(on, &GroupId::root()).expect("a good id"));
            App {
                dependencies: on.map(Dependency).collect(),
                ..App::new(id(text), Template::new(Command::Shell("true".into())))
            }
        };
        let apps =
            [app("/a/db", &[]), app("/a/logic", &["/a/db"]), app("/web", &["/a", "/none"]), app("/x", &["/gone"])];
        let change = |action| Change { action, before: None, step: 1 };
        let changes = apps.iter().map(|app| (app.id.clone(), change(DeploymentAction::of(app, None))));
        let gone = (id("/gone"), change(DeploymentAction::Stop));
        let (at, changes) = (Timestamp::EPOCH, changes.chain([gone]).collect());
        let mut deployment = Deployment { id: DeploymentId::new(1, at), version: at, changes };
        deployment.order(|id| apps.iter().find(|app| app.id == *id));
        let steps: Vec<(&str, u32)> =
            deployment.changes.iter().map(|(id, change)| (id.as_str(), change.step)).collect();
        assert_eq!(steps, [("/a/db", 1), ("/a/logic", 2), ("/gone", 1), ("/web", 3), ("/x", 1)]);
    }

    #[test]
    fn it_ends_when_nothing_is_under_way_and_says_how() {
        let at = Timestamp::EPOCH;
        let with = |progress: &[Progress]| {
            let ids = (0..progress.len()).map(|number| AppId::parse(&format!("/app{number}")).expect("a good id"));
            let ids: Vec<AppId> = ids.collect();
            let change = Change { action: DeploymentAction::Scale, before: None, step: 1 };
            let changes = ids.iter().map(|id| (id.clone(), change.clone())).collect();
            let mut course =
                Course::new(Arc::new(Deployment { id: DeploymentId::new(1, at), version: at, changes }));
            for (id, progress) in ids.iter().zip(progress) {
                course.note(id, progress);
            }
            course.ending()
        };
        assert_eq!(with(&[Progress::Complete(at), Progress::UnderWay]), None);
        assert_eq!(with(&[Progress::Complete(at)]), Some(Ending::Success));
        let failed = Progress::Failed(at, "no progress".into());
        assert_eq!(with(&[failed, Progress::Superseded(at)]), Some(Ending::Failure("/app0: no progress".into())));
        assert!(matches!(with(&[Progress::Superseded(at)]), Some(Ending::Failure(_))));
    }
}
