//! The declaration of an app: Marathon's definition (§2.2), normalised, and our fields beside it.
//!
//! A declaration falls into two parts. The [`Template`] is what a running task can notice: changing it makes a new
//! revision and a rollout. Everything else is policy and changes in place. Which is which is thus a matter of where a
//! field is written, not of a list that somebody must remember to extend; [`App::changes_from`] says it per field.
//!
//! Parsing, defaults and validation are not here: whoever makes an [`App`] has checked it (`src/manifest`).

mod change;
mod check;
mod constraint;
mod policy;
mod template;

pub use change::{FieldChange, Passage};
pub use check::{Check, CheckAddress, CheckKind, HealthCheck, ReadinessCheck};
pub use constraint::{Constraint, Field, Operator, Pattern, PatternError};
pub use policy::{
    BackoffPolicy, Capacity, Count, Fraction, KillSelection, Placement, PlacementMode, RolloutPolicy, Strategy,
    UnreachableStrategy,
};
pub use template::{
    Command, Container, ContainerKind, DEFAULT_KILL_GRACE, Fetch, HostPort, HostVolume, Limit, Limits, Network,
    NetworkMode, PortDefinition, Template,
};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::fingerprint::Fingerprint;
use crate::id::{AppId, GroupId, Role};

/// One declared application, complete: every default is filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its absolute path.
    pub id: AppId,
    /// What each instance runs.
    pub template: Arc<Template>,
    /// How many instances; without meaning where [`PlacementMode::Global`] counts the agents.
    pub instances: u32,
    /// Free text for programs and people. Tasks get them as environment when they start (§3.1), but a change of a
    /// label alone restarts nothing.
    pub labels: BTreeMap<String, String>,
    /// Where instances may run, all of them to hold.
    pub constraints: Vec<Constraint>,
    /// Whose resources may be used, where the declaration says: a subset of `*` and the app's own role.
    pub accepted_roles: Option<BTreeSet<Role>>,
    /// How agents are preferred and counted.
    pub placement: Placement,
    /// Who must be healthy first.
    pub dependencies: BTreeSet<Dependency>,
    /// Checks of running instances; those that Mesos' executor makes are part of the revision nevertheless.
    pub health_checks: Vec<HealthCheck>,
    /// What a new instance must answer before its rollout counts it.
    pub readiness: Option<ReadinessCheck>,
    /// How many instances a rollout may miss or have too many.
    pub capacity: Capacity,
    /// When a rollout stops by itself.
    pub rollout: RolloutPolicy,
    /// How long to wait after failures.
    pub backoff: BackoffPolicy,
    /// Who goes first on the way down.
    pub kill_selection: KillSelection,
    /// How long a task has between SIGTERM and SIGKILL; the cluster's own time when not given.
    pub kill_grace: Option<Duration>,
    /// What becomes of an instance whose agent does not answer.
    pub unreachable: UnreachableStrategy,
}

/// Something that must be up first: an app, or all apps of a group.
///
/// Which of the two a path means shows only beside the other declarations, so both readings are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dependency(pub GroupId);

impl Dependency {
    /// Whether `app` is, or belongs to, what is depended on.
    pub fn includes(&self, app: &AppId) -> bool {
        app.as_str() == self.0.as_str() || self.0.contains(app)
    }
}

impl App {
    /// An app of which only this is declared: one instance, and Marathon's defaults for everything else (§2.2).
    pub fn new(id: AppId, template: Template) -> Self {
        Self {
            id,
            template: Arc::new(template),
            instances: 1,
            labels: BTreeMap::new(),
            constraints: Vec::new(),
            accepted_roles: None,
            placement: Placement { strategy: Strategy::Spread, mode: PlacementMode::Replicated },
            dependencies: BTreeSet::new(),
            health_checks: Vec::new(),
            readiness: None,
            capacity: Capacity::Marathon { minimum_health: Fraction::ONE, maximum_over: Fraction::ONE },
            rollout: RolloutPolicy::default(),
            backoff: BackoffPolicy::default(),
            kill_selection: KillSelection::YoungestFirst,
            kill_grace: None,
            unreachable: UnreachableStrategy::Replace {
                inactive_after: Duration::ZERO,
                expunge_after: Duration::ZERO,
            },
        }
    }

    /// Whether running instances of `self` may go on as instances of `other`.
    ///
    /// So when the template is the same and so are the checks that an executor makes: it was told of them when the
    /// task started and cannot be told again.
    pub fn same_revision(&self, other: &Self) -> bool {
        self.template == other.template && self.executor_checks().eq(other.executor_checks())
    }

    /// Stands for what [`App::same_revision`] compares, where that itself does not fit: a task carries it as a label, so
    /// that a store that was lost can be told which of the tasks run what is declared. It may differ between versions of
    /// Ekiden; then a task that is taken over counts as one of an older revision.
    pub fn fingerprint(&self) -> Fingerprint {
        let checks = fmt::from_fn(|f| self.executor_checks().try_for_each(|check| write!(f, " {check:?}")));
        Fingerprint::of(format_args!("{:?}{checks}", self.template))
    }

    /// The checks that are part of the task itself (MESOS_* and COMMAND).
    pub fn executor_checks(&self) -> impl Iterator<Item = &HealthCheck> {
        self.health_checks.iter().filter(|check| check.by_executor())
    }

    /// Whether the number of instances follows the number of agents.
    pub fn is_global(&self) -> bool {
        self.placement.mode == PlacementMode::Global
    }
}
