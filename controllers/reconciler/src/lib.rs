//! The reconciler: folds what happened into the world, asks the controllers about what changed, and turns their
//! actions into effects.
//!
//! It owns the world and the order of things, and decides nothing itself: what to launch, kill, judge, lease or roll is
//! a controller's answer. It knows no Mesos, no files and no clock; the simulator runs it as production does.
//!
//! ```text
//!  inputs ─► fold ─► world ─► schedule ─► visit (ports · health · upgrade · instances) ─► fold actions ─► world
//!                                                                              │
//!                                                              journal ◄───────┘ ─► effects, each after its writes
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `step` | one step from top to bottom |
//! | `fold` | what happened, into the world; what files declare |
//! | `change` | change sets: one version and one deployment for all that changes at once; the history of apps |
//! | `edit` | what is asked for through the API: checked, followed, answered |
//! | `deployments`, `overrides` | how far change sets have come; what holds for a while instead of a file |
//! | `framework` | as whom the cluster knows us |
//! | `cluster` | what the cluster says, into the world; asking it about every task |
//! | `questions` | what it was asked and has not answered |
//! | `identity`, `strays` | whose task it is; tasks that live, were ours, and that nobody wants |
//! | `safe_mode`, `adoption` | tasks that run under our name and that the store knows nothing of |
//! | `visit` | asking the controllers about one app, and folding their actions |
//! | `maintenance` | agents that are to be left: who hears of it, and when |
//! | `offers`, `supply` | offers that were taken and offers that were not; how it stands with those of a role |
//! | `spare` | what agents had to spare when they last offered it |
//! | [`forecast`] | the same run forward, to see what would come of a change |
//! | `schedule`, `journal`, `dependency` | whose turn it is, what must be durable first, who waits for whom |
//! | `time` | a time that never goes back |

mod adoption;
mod apps;
mod change;
mod cluster;
mod dependency;
mod deployments;
mod edit;
mod fold;
pub mod forecast;
mod framework;
mod identity;
mod journal;
mod maintenance;
mod offers;
mod overrides;
mod questions;
mod restore;
mod safe_mode;
mod schedule;
mod secret;
mod spare;
mod step;
mod strays;
mod supply;
mod time;
mod visit;

pub use restore::RestoreError;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use ekiden_model::edit::{Group, Pod};
use ekiden_model::effect::TaskLaunch;
use ekiden_model::fixed_hash::FixedState;
use ekiden_model::id::AppKey;
use ekiden_model::input::Abilities;
use ekiden_model::limits::Settings;
use ekiden_model::offer::LotIx;
use ekiden_model::record::Installation;
use ekiden_model::view::{DependencyState, Sample, Settled};
use ekiden_model::{
    AgentId, Agents, AppId, AppState, GroupId, History, InstanceKey, OfferBook, OfferId, Reason, Report, Role,
    Timestamp,
};

use ekiden_ports::{Leases, RequiredPorts};

use crate::apps::Apps;
use crate::cluster::Connection;
use crate::dependency::Dependents;
use crate::deployments::Deployments;
use crate::framework::Membership;
use crate::identity::Births;
use crate::journal::Journal;
use crate::questions::Questions;
use crate::safe_mode::SafeMode;
use crate::schedule::Schedule;
use crate::spare::SpareLog;
use crate::supply::SupplyLog;
use crate::time::Time;

/// The brain. Synchronous and deterministic: the same inputs at the same times give the same effects.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them goes with any other"
)]
pub struct Reconciler {
    settings: Settings,
    abilities: Abilities,
    installation: Installation,
    apps: Apps,
    /// Nobody chooses these, so they can be hashed simply.
    keys: HashMap<AppKey, AppId, FixedState>,
    births: Births,
    /// The version of the last change set.
    last_version: Timestamp,
    deployments: Deployments,
    /// The histories of apps that are over. Like the next two it is shared with readers, and copied when it changes.
    departed: Arc<BTreeMap<AppId, Arc<History>>>,
    /// Groups of which something is said.
    groups: Arc<BTreeMap<GroupId, Arc<Group>>>,
    pods: Arc<BTreeMap<AppId, Arc<Pod>>>,
    /// Apps of which something else holds than their files say, by when that is over.
    overrides: BTreeSet<(Timestamp, AppId)>,
    /// Whether deployments, departed, groups, pods or listeners have changed since readers last asked.
    shelf_is_news: bool,
    agents: Agents,
    /// Agents that we know by the tasks on record, and that have not offered since we started.
    assumed: BTreeSet<AgentId>,
    /// Which instances are on which agent, terminal ones left out.
    placed: BTreeMap<AgentId, BTreeSet<(AppId, InstanceKey)>>,
    /// Apps whose number of instances follows the agents.
    global: BTreeSet<AppId>,
    dependents: Dependents,
    leases: Leases,
    required_ports: RequiredPorts,
    book: OfferBook,
    /// Offers that an accept on its way through the journal uses up; void once the cluster takes them back or the
    /// connection is lost.
    promised: BTreeSet<OfferId>,
    /// Launches of this step, by the lot that they took from.
    taken: BTreeMap<LotIx, Vec<TaskLaunch>>,
    /// Roles that declared apps name, with how many of them do. The default role is everybody else's.
    roles: BTreeMap<Role, u32>,
    suppressed: BTreeSet<Role>,
    /// Roles that get offers though no app names them any more: they are to get no more.
    unused: BTreeSet<Role>,
    /// Roles for which an app has begun to wait for offers since offers were last asked for.
    unasked: BTreeSet<Role>,
    /// Whether the offers are to be tended: some came or went, or the demand for them changed.
    tend: bool,
    offers_wake: Option<Timestamp>,
    supply: SupplyLog,
    /// What agents have to spare beside the offers at hand.
    spares: SpareLog,
    /// Agents that are to be left, when this was last looked at.
    leaving: Arc<BTreeSet<AgentId>>,
    /// When it is to be looked at again.
    leaving_wake: Option<Timestamp>,
    membership: Membership,
    safe_mode: Option<SafeMode>,
    /// Why nothing at all is done, once anybody has asked since that last changed.
    standstill: OnceLock<Option<Reason>>,
    /// Whether it, or what is known in safe mode, has changed since readers last asked.
    standstill_is_news: bool,
    cluster: Connection,
    /// Whether the cluster has told of all tasks that it has since we started: nothing is launched before, since a task
    /// that the store does not know may have the very id.
    has_heard_all: bool,
    /// Whether the source of manifests has been read in full.
    directory_read: bool,
    journal: Journal,
    schedule: Schedule,
    touched: BTreeSet<AppId>,
    time: Time,
    now: Timestamp,
    steps: u64,
    work: Work,
}

/// One app, and what the reconciler keeps beside its state.
#[derive(Debug)]
struct Entry {
    state: AppState,
    /// Probe results that `health` has not seen.
    samples: Vec<Sample>,
    /// What each controller waits for, in the order in which they are asked.
    reports: [Report; 4],
    /// How it looks to those who depend on it.
    standing: DependencyState,
}

/// How much was looked at, ever: shows that work follows the change and not the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Times that controllers were asked about an app.
    pub apps_visited: u64,
    /// Instances that those apps had.
    pub instances_visited: u64,
    /// Actions that a controller had no right to, or that did not fit the world. Always a bug; they are not followed.
    pub actions_refused: u64,
}

impl Reconciler {
    /// The apps that changed in any way since this was last asked, withdrawn and forgotten ones included.
    pub fn take_touched(&mut self) -> Vec<AppId> {
        std::mem::take(&mut self.touched).into_iter().collect()
    }

    /// One app.
    pub fn app(&self, id: &AppId) -> Option<&AppState> {
        self.apps.get(id).map(|entry| &entry.state)
    }

    /// All apps, by id.
    pub fn apps(&self) -> impl Iterator<Item = &AppState> {
        self.apps.iter().map(|entry| &entry.state)
    }

    /// What an app waits for, by all controllers together, the most important first; empty when all is as declared.
    pub fn report(&self, id: &AppId) -> Report {
        self.apps.get(id).map(|entry| self.report_of(entry)).unwrap_or_default()
    }

    /// How many instances an app shall have.
    pub fn desired(&self, id: &AppId) -> u32 {
        self.apps.get(id).map_or(0, |entry| self.desired_of(&entry.state))
    }

    /// The app, its [`Self::report`] and what is [`Self::desired`] of it, looked up once: after a start that is done for
    /// all apps before anybody can read of any.
    pub fn outlook(&self, id: &AppId) -> Option<(&AppState, Report, u32)> {
        let entry = self.apps.get(id)?;
        Some((&entry.state, self.report_of(entry), self.desired_of(&entry.state)))
    }

    fn report_of(&self, entry: &Entry) -> Report {
        // Who is not asked says nothing; what he said before is of no interest.
        let speakers = if self.is_safe_mode() { visit::ASKED_IN_SAFE_MODE } else { visit::ASKED };
        let reports = &entry.reports[..speakers];
        let mut reasons: Vec<_> = self.standstill().into_iter().collect();
        reasons.extend(reports.iter().flat_map(|report| report.reasons.iter().cloned()));
        reasons.extend(self.nothing_offered(&entry.state, &reasons));
        reasons.sort_by_key(Reason::rank);
        // Two controllers may know the same; it is told once.
        reasons.dedup();
        Report { reasons }
    }

    /// The agents we know.
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// The offers at hand.
    pub fn book(&self) -> &OfferBook {
        &self.book
    }

    /// Whether absence is evidence yet, for all but the tasks that the cluster has not answered for.
    pub fn settled(&self) -> Settled {
        let has_told_all = self.cluster.questions.as_ref().is_some_and(Questions::has_told_all);
        if self.is_safe_mode() {
            Settled::No("it is not known whose the tasks are that the cluster runs")
        } else if !self.directory_read {
            Settled::No("the manifests have not been read yet")
        } else if !has_told_all {
            Settled::No("the cluster has not told of all tasks yet")
        } else {
            Settled::Yes
        }
    }

    /// Whether absence is evidence for this app.
    fn settled_of(&self, app: &AppId) -> Settled {
        let open = self.cluster.questions.as_ref().map(|questions| (questions.open_of(app), questions.since()));
        match (self.settled(), open) {
            (Settled::Yes, Some((tasks, since))) if tasks > 0 => Settled::Unanswered { tasks, since },
            (settled, _) => settled,
        }
    }

    /// The histories of apps that are over.
    pub fn departed(&self) -> &Arc<BTreeMap<AppId, Arc<History>>> {
        &self.departed
    }

    /// Groups of which something is said, beside what is in them.
    pub fn groups(&self) -> &Arc<BTreeMap<GroupId, Arc<Group>>> {
        &self.groups
    }

    /// The pods that are kept.
    pub fn pods(&self) -> &Arc<BTreeMap<AppId, Arc<Pod>>> {
        &self.pods
    }

    /// Whether any of [`Self::deployments`], [`Self::departed`], [`Self::groups`], [`Self::pods`] and
    /// [`Self::listeners`] has changed since this was last asked.
    pub fn take_shelf_news(&mut self) -> bool {
        std::mem::take(&mut self.shelf_is_news)
    }

    /// The installation that this is.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// How much was looked at, ever.
    pub fn work(&self) -> Work {
        self.work
    }

    fn desired_of(&self, app: &AppState) -> u32 {
        match &app.declared {
            None => 0,
            Some(declared) if declared.app.is_global() => {
                ekiden_instances::matching_agents(&declared.app, &self.agents, self.now, &self.settings)
            }
            Some(declared) => declared.app.instances,
        }
    }

    fn touch(&mut self, app: &AppId) {
        if !self.touched.contains(app) {
            self.touched.insert(app.clone());
        }
    }
}
