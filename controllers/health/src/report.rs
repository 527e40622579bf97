//! What people are told: who fails, and which checks cannot be made. Waiting for a first verdict is reported by
//! `upgrade`, which is who waits.

use std::collections::BTreeSet;

use ekiden_model::app::{CheckAddress, CheckKind};
use ekiden_model::health::{CheckState, Health, Verdict};
use ekiden_model::instance::{Census, LastFailure};
use ekiden_model::{AppState, Instance, InstanceKey, Reason, Report, Timestamp};

use crate::checklist::Checklist;
use crate::probes::mapped;

/// What was found while looking at instances.
pub(crate) struct Findings {
    running: u32,
    failing: u32,
    last: Option<LastFailure>,
    unmapped: BTreeSet<u32>,
}

impl Findings {
    /// What is known before any is looked at: how many fail, and the latest failure of those that will not be looked at.
    pub(crate) fn before(app: &AppState, last: Option<LastFailure>) -> Self {
        let census = if app.declared.is_some() { app.instances.total() } else { Census::default() };
        let failing = census.running - census.healthy - census.unjudged;
        Self { running: census.running, failing, last, unmapped: BTreeSet::new() }
    }

    /// Takes note of an instance that is checked, and of what is now known of it.
    pub(crate) fn note(&mut self, instance: &Instance, checklist: &Checklist<'_>, health: &Health) {
        if fails(instance.health.verdict) {
            self.failing -= 1;
        }
        if fails(health.verdict) {
            self.failing += 1;
            let failing = health.checks.iter().filter(|state| state.alive() == Some(false));
            let latest = failing.filter_map(|state| last_failure(instance.key, state)).max_by_key(when);
            self.last = self.last.take().into_iter().chain(latest).max_by_key(when);
        }
        self.unmapped.extend(asked_ports(checklist).filter(|index| mapped(instance, *index).is_none()));
    }

    /// The latest failure of those that fail.
    pub(crate) fn last_failure(&self) -> Option<&LastFailure> {
        self.last.as_ref().filter(|_| self.failing > 0)
    }

    /// Whether the latest failure is known although this one, which was the latest, is of one that was looked at again.
    pub(crate) fn make_up_for(&self, lost: &LastFailure) -> bool {
        self.failing == 0 || self.last.as_ref().is_some_and(|last| when(last) >= when(lost))
    }

    /// Whether all asked ports are mapped.
    pub(crate) fn all_mapped(&self) -> bool {
        self.unmapped.is_empty()
    }

    pub(crate) fn report(self) -> Report {
        let mut report = Report::empty();
        if self.failing > 0 {
            let last = self.last.map_or_else(|| "no cause known".into(), |last| last.cause);
            report.push(Reason::FailingChecks { count: self.failing, running: self.running, last });
        }
        for index in self.unmapped {
            report.push(Reason::UnreachablePort { index });
        }
        report
    }
}

fn fails(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Unhealthy | Verdict::Condemned)
}

fn last_failure(instance: InstanceKey, state: &CheckState) -> Option<LastFailure> {
    Some(LastFailure { at: state.last_failure?, instance, cause: state.last_failure_cause.clone()? })
}

/// What failures are compared by: of those at one moment the one of the last instance is the latest, in whatever order
/// they are looked at.
fn when(failure: &LastFailure) -> (Timestamp, InstanceKey) {
    (failure.at, failure.instance)
}

/// The ports that Ekiden itself asks, by their index in the declaration.
fn asked_ports(checklist: &Checklist<'_>) -> impl Iterator<Item = u32> {
    let by_ekiden = checklist.checks.iter().filter(|item| !item.check.by_executor());
    let of_checks = by_ekiden.filter_map(|item| match item.check.kind {
        CheckKind::Http { address: CheckAddress::PortIndex(index), .. }
        | CheckKind::Tcp { address: CheckAddress::PortIndex(index), .. } => Some(index),
        _ => None,
    });
    of_checks.chain(checklist.readiness.as_ref().map(|item| item.check.port_index))
}
