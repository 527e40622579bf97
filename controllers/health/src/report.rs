//! What people are told: who fails, and which checks cannot be made. Waiting for a first verdict is reported by
//! `upgrade`, which is who waits.

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::app::{CheckAddress, CheckKind};
use ekiden_model::health::{CheckState, Health, Verdict};
use ekiden_model::{Instance, Reason, Report, Timestamp};

use crate::checklist::Checklist;
use crate::probes::mapped;

/// What was found while looking at all instances.
#[derive(Default)]
pub(crate) struct Findings {
    running: u32,
    failing: u32,
    last: Option<(Timestamp, Arc<str>)>,
    unmapped: BTreeSet<u32>,
}

impl Findings {
    /// Takes note of an instance that is checked.
    pub(crate) fn note(&mut self, instance: &Instance, checklist: &Checklist<'_>, health: &Health) {
        self.running += 1;
        if matches!(health.verdict, Verdict::Unhealthy | Verdict::Condemned) {
            self.failing += 1;
            let failing = health.checks.iter().filter(|state| state.alive() == Some(false));
            let latest = failing.filter_map(last_failure).max_by_key(|(at, _)| *at);
            self.last = self.last.take().into_iter().chain(latest).max_by_key(|(at, _)| *at);
        }
        self.unmapped.extend(asked_ports(checklist).filter(|index| mapped(instance, *index).is_none()));
    }

    pub(crate) fn report(self) -> Report {
        let mut report = Report::empty();
        if self.failing > 0 {
            let last = self.last.map_or_else(|| "no cause known".into(), |(_, cause)| cause);
            report.push(Reason::FailingChecks { count: self.failing, running: self.running, last });
        }
        for index in self.unmapped {
            report.push(Reason::UnreachablePort { index });
        }
        report
    }
}

fn last_failure(state: &CheckState) -> Option<(Timestamp, Arc<str>)> {
    Some((state.last_failure?, state.last_failure_cause.clone()?))
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
