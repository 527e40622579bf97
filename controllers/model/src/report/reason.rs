//! The reasons themselves.

use std::fmt;
use std::sync::Arc;

use super::{Hosts, LeftAgents, Refusals, Supply};
use crate::id::{AppId, FrameworkId, RevisionId, Role, TaskId};
use crate::instance::Condition;
use crate::time::Timestamp;

/// One thing that is waited for, or is wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Instances wait for a place.
    AwaitingOffers {
        /// How many have none.
        missing: u32,
        /// Of how many.
        wanted: u32,
        /// What was offered and why it was refused.
        refusals: Refusals,
    },
    /// Nothing at hand is offered to the role of an app that waits for offers.
    NothingOffered {
        /// The role.
        role: Role,
        /// Why, as far as it can be told.
        supply: Supply,
    },
    /// Instances are to leave their agents.
    Draining(LeftAgents),
    /// Instances wait after failures.
    BackingOff {
        /// Until when.
        until: Timestamp,
        /// After how many failures.
        failures: u32,
        /// How many instances wait.
        missing: u32,
    },
    /// Nothing is started before this dependency is healthy.
    AwaitingDependency {
        /// Which app.
        app: AppId,
        /// Its healthy instances.
        healthy: u32,
        /// Its wanted instances.
        wanted: u32,
    },
    /// Instances are on their way: launched, and not running yet.
    Starting {
        /// How many.
        count: u32,
    },
    /// Instances run and are not known to be healthy.
    AwaitingHealth {
        /// How many.
        count: u32,
        /// Of which revision.
        revision: RevisionId,
    },
    /// Instances are healthy and not ready.
    AwaitingReadiness {
        /// How many.
        count: u32,
        /// Of which revision.
        revision: RevisionId,
    },
    /// Old instances stay until new ones have taken over.
    AtFloor {
        /// Healthy instances.
        healthy: u32,
        /// How many must stay.
        floor: u32,
    },
    /// Instances fail their health checks.
    FailingChecks {
        /// How many.
        count: u32,
        /// Of how many that run.
        running: u32,
        /// The latest cause.
        last: Arc<str>,
    },
    /// A check cannot be made: its port is not mapped to the host.
    UnreachablePort {
        /// Index of the app's port.
        index: u32,
    },
    /// Instances are ending.
    Ending {
        /// How many.
        count: u32,
    },
    /// Instances are on agents that do not answer.
    Unreachable {
        /// How many.
        count: u32,
        /// On which hosts.
        hosts: Hosts,
        /// When the next of them is replaced or forgotten; never, if there is none.
        until: Option<Timestamp>,
    },
    /// Unhealthy instances are left alone, because too many turned unhealthy at once.
    BreakerOpen {
        /// How many are to be replaced.
        condemned: u32,
        /// Of how many instances.
        instances: u32,
        /// When the next may be replaced.
        until: Timestamp,
    },
    /// Instances on agents that do not answer are not replaced yet, because too many agents stopped answering at once.
    AgentsVanished {
        /// How many agents.
        agents: u32,
        /// Of how many.
        of: u32,
        /// How many instances would be replaced otherwise.
        held: u32,
        /// When the next of them may be replaced.
        until: Timestamp,
    },
    /// The rollout stands still because its declaration says so.
    Paused {
        /// The revision it goes to.
        to: RevisionId,
        /// How many instances have it.
        updated: u32,
        /// How many shall.
        wanted: u32,
    },
    /// The rollout is under way.
    RollingOut {
        /// The revision it goes to.
        to: RevisionId,
        /// How many instances have it and are healthy and ready.
        updated: u32,
        /// How many shall.
        wanted: u32,
    },
    /// The rollout made no progress before its deadline.
    RolloutFailed {
        /// The revision that failed.
        revision: RevisionId,
        /// When.
        at: Timestamp,
        /// The last failure, if one was seen.
        last: Option<Failure>,
    },
    /// The rollout failed and the app goes, or went, back.
    RolledBack {
        /// The revision that failed.
        failed: RevisionId,
        /// The revision it goes back to.
        to: RevisionId,
    },
    /// The cluster at hand cannot run this, whatever it offers.
    Unsupported {
        /// What of the declaration.
        what: Arc<str>,
    },
    /// No service port is free.
    ServicePortsExhausted {
        /// First of the range.
        low: u16,
        /// Last of the range.
        high: u16,
        /// Which of the app's ports has none.
        index: u32,
    },
    /// A service port is taken by another app.
    ServicePortTaken {
        /// The port.
        port: u16,
        /// By whom.
        by: AppId,
    },
    /// The cluster runs tasks that the store knows nothing of: nothing is launched and nothing killed before somebody
    /// says whose they are.
    SafeMode {
        /// How many such tasks.
        tasks: u32,
        /// As which framework they run.
        framework: Option<FrameworkId>,
        /// Where another scheduler is connected as that framework, if one is.
        connected_from: Option<Arc<str>>,
    },
    /// The cluster calls us by another name than the one that our tasks run under: what it tells is not about them.
    Estranged {
        /// As whom our tasks run.
        framework: FrameworkId,
        /// As whom the cluster takes us.
        taken_for: FrameworkId,
    },
    /// Nothing may be killed or forgotten before all is known.
    NotSettled {
        /// What is still missing, as a fragment: `the directory has not been read`.
        awaiting: &'static str,
    },
    /// Nothing of this app may be killed or forgotten before the cluster has answered for all tasks of it. It says
    /// nothing of tasks whose agents have not come back since the master was replaced, for ten minutes at most.
    Unanswered {
        /// For how many tasks it has not.
        tasks: u32,
        /// Since when it is asked.
        since: Timestamp,
    },
}

impl Reason {
    /// How much a person should know of it first, from 0: what nothing but a hand can mend, what holds things up, and
    /// last what merely takes its time. Where room is for one reason, it is the first of these.
    pub fn rank(&self) -> u8 {
        match self {
            Self::SafeMode { .. }
            | Self::Estranged { .. }
            | Self::Unsupported { .. }
            | Self::RolloutFailed { .. }
            | Self::RolledBack { .. }
            | Self::ServicePortsExhausted { .. }
            | Self::ServicePortTaken { .. }
            | Self::UnreachablePort { .. } => 0,
            Self::NotSettled { .. }
            | Self::Unanswered { .. }
            | Self::AgentsVanished { .. }
            | Self::BreakerOpen { .. }
            | Self::Paused { .. } => 1,
            Self::AwaitingOffers { .. }
            | Self::NothingOffered { .. }
            | Self::BackingOff { .. }
            | Self::AwaitingDependency { .. } => 2,
            Self::FailingChecks { .. } | Self::Unreachable { .. } | Self::Draining(_) | Self::AtFloor { .. } => 3,
            Self::AwaitingHealth { .. }
            | Self::AwaitingReadiness { .. }
            | Self::Starting { .. }
            | Self::Ending { .. } => 4,
            Self::RollingOut { .. } => 5,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AwaitingOffers { missing, wanted, refusals } => {
                write!(f, "{missing} of {wanted} wait for offers: {refusals}")
            }
            Self::NothingOffered { role, supply } => write!(f, "offers to role {role}: {supply}"),
            Self::Draining(left) => left.fmt(f),
            Self::BackingOff { until, failures, missing } => write!(
                f,
                "{missing} {} backing off until {until} after {failures} {}",
                plural(*missing, "is", "are"),
                plural(*failures, "failure", "failures")
            ),
            Self::AwaitingDependency { app, healthy, wanted } => {
                write!(f, "waits for dependency {app}: {healthy} of {wanted} healthy")
            }
            Self::Starting { count } => write!(f, "{count} starting"),
            Self::AwaitingHealth { count, revision } => write!(
                f,
                "waits for {count} {} of {revision} to become healthy",
                plural(*count, "instance", "instances")
            ),
            Self::AwaitingReadiness { count, revision } => write!(
                f,
                "waits for {count} {} of {revision} to become ready",
                plural(*count, "instance", "instances")
            ),
            Self::AtFloor { healthy, floor } => {
                write!(f, "old instances stay: {healthy} healthy, at least {floor} must be")
            }
            Self::FailingChecks { count, running, last } => {
                write!(f, "{count} of {running} fail their health checks, last: {last}")
            }
            Self::UnreachablePort { index } => write!(
                f,
                "port {index} is checked but not mapped to the host: give it a `hostPort`, or use a MESOS_* check"
            ),
            Self::Ending { count } => write!(f, "{count} ending"),
            Self::Unreachable { count, hosts, until } => {
                let agents = plural(*count, "on an agent that does not answer", "on agents that do not answer");
                write!(f, "{count} {agents} ({hosts})")?;
                until.map_or(Ok(()), |until| write!(f, ", waited for until {until}"))
            }
            Self::BreakerOpen { condemned, instances, until } => write!(
                f,
                "{condemned} of {instances} turned unhealthy at once: they are left alone until {until}, since the \
                 cause is likely not theirs"
            ),
            Self::AgentsVanished { agents, of, held, until } => write!(
                f,
                "{agents} of {of} agents stopped answering at once: {held} {} on such agents {} not replaced before \
                 {until}, since the agents may come back",
                plural(*held, "instance", "instances"),
                plural(*held, "is", "are")
            ),
            Self::Paused { to, updated, wanted } => {
                write!(f, "rollout to {to} is paused with {updated} of {wanted} updated")
            }
            Self::RollingOut { to, updated, wanted } => {
                write!(f, "rollout to {to}: {updated} of {wanted} updated and healthy")
            }
            Self::RolloutFailed { revision, at, last } => {
                write!(f, "rollout to {revision} failed at {at}: no progress before its deadline")?;
                last.as_ref().map_or(Ok(()), |last| write!(f, "; last failure: {last}"))
            }
            Self::RolledBack { failed, to } => write!(f, "rollout to {failed} failed, back to {to}"),
            Self::Unsupported { what } => write!(f, "{what} cannot run on this cluster"),
            Self::ServicePortsExhausted { low, high, index } => {
                write!(f, "no service port of {low}-{high} is free for port {index}")
            }
            Self::ServicePortTaken { port, by } => write!(f, "service port {port} is taken by {by}"),
            Self::SafeMode { tasks, framework, connected_from } => {
                write!(f, "safe mode: the cluster runs {tasks} {}", plural(*tasks, "task", "tasks"))?;
                framework.as_ref().map_or(Ok(()), |framework| write!(f, " of framework {framework}"))?;
                f.write_str(" that the store knows nothing of; nothing is started or stopped before you say whose they are")?;
                match connected_from {
                    Some(host) => {
                        write!(f, ". A scheduler on {host} is connected as that framework: stop it first")
                    }
                    None => {
                        f.write_str(": `ekiden adopt` takes them over, `ekiden adopt --none` leaves them alone")
                    }
                }
            }
            Self::Estranged { framework, taken_for } => write!(
                f,
                "the cluster takes us for framework {taken_for}, and our tasks run as {framework}: nothing is started \
                 or stopped while it does. Is `--master` the cluster that this state belongs to? Start ekiden again"
            ),
            Self::NotSettled { awaiting } => write!(f, "nothing is stopped yet: {awaiting}"),
            Self::Unanswered { tasks, since } => write!(
                f,
                "nothing is stopped yet: the cluster has not answered for {tasks} {}, asked since {since}",
                plural(*tasks, "task", "tasks")
            ),
        }
    }
}

/// `one` for 1, `many` otherwise.
pub(crate) fn plural(count: u32, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

/// Why an instance is killed, or its being lost is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KillCause {
    /// The app is no longer declared.
    Removed,
    /// There are more than declared.
    ScaledIn,
    /// A rollout replaces it.
    Replaced,
    /// Its checks failed too often.
    Unhealthy,
    /// It did not start in time.
    Overdue,
    /// It came back, or its agent stays after all, after it had been replaced.
    Returned,
    /// The one that it had replaced came back, or its agent stays after all, and that one stays.
    Redundant,
    /// Its agent did not answer for too long.
    Unreachable,
    /// Somebody asked for it.
    Operator,
    /// Its agent no longer matches (global placement).
    Misplaced,
    /// Its agent goes into maintenance.
    Draining,
}

impl fmt::Display for KillCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "the app is no longer declared",
            Self::ScaledIn => "there are more than declared",
            Self::Replaced => "a newer revision replaces it",
            Self::Unhealthy => "its checks failed too often",
            Self::Overdue => "it did not start in time",
            Self::Returned => "it is back after it had been replaced",
            Self::Redundant => "the one that it replaced is back",
            Self::Unreachable => "its agent did not answer for too long",
            Self::Operator => "somebody asked for it",
            Self::Misplaced => "its agent no longer matches",
            Self::Draining => "its agent goes into maintenance",
        })
    }
}

/// The end of an instance that was not wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// Which task.
    pub task: TaskId,
    /// Of which revision.
    pub revision: RevisionId,
    /// On which host.
    pub host: Arc<str>,
    /// How it ended.
    pub condition: Condition,
    /// The cluster's words.
    pub message: Arc<str>,
    /// Whose fault it is.
    pub cause: FailureCause,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} ({})", self.condition.task_state(), self.host, self.message)
    }
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureCause {
    /// The app's: it counts against its backoff and its rollout.
    App,
    /// The cluster's: retried elsewhere and charged to nobody.
    Infrastructure,
}

impl FailureCause {
    /// Marathon's rule of what backs off (§4.8), less what the app cannot be blamed for: a dropped launch and a gone
    /// agent are the cluster's doing.
    pub fn of(condition: Condition) -> Self {
        match condition {
            Condition::Finished | Condition::Failed | Condition::Error => Self::App,
            _ => Self::Infrastructure,
        }
    }
}
