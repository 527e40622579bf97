//! What is asked of the instances of each revision. Worked out once per decision, not once per instance.

use std::collections::BTreeMap;

use ekiden_model::app::{CheckAddress, CheckKind, HealthCheck, ReadinessCheck};
use ekiden_model::effect::Probe;
use ekiden_model::{AppState, Fingerprint, Instance, RevisionId};

/// The checklists of all revisions that have instances.
pub(crate) struct Checklists<'a>(BTreeMap<RevisionId, Checklist<'a>>);

/// What is asked of the instances of one revision.
#[derive(Default)]
pub(crate) struct Checklist<'a> {
    /// In the order of [`AppState::health_checks`].
    pub(crate) checks: Vec<Item<'a>>,
    /// The readiness check of today's declaration.
    pub(crate) readiness: Option<ReadinessItem<'a>>,
}

/// A check, what its states are known by, and what its probes are known by.
pub(crate) struct Item<'a> {
    pub(crate) check: &'a HealthCheck,
    pub(crate) question: Fingerprint,
    pub(crate) mark: Fingerprint,
}

/// The readiness check, as a probe asks it.
#[derive(Clone)]
pub(crate) struct ReadinessItem<'a> {
    pub(crate) check: &'a ReadinessCheck,
    pub(crate) kind: CheckKind,
    pub(crate) mark: Fingerprint,
}

impl<'a> Checklists<'a> {
    pub(crate) fn of(app: &'a AppState) -> Self {
        let readiness = app.declared.as_ref().and_then(|declared| declared.app.readiness.as_ref());
        let readiness = readiness.map(ReadinessItem::new);
        let lists = app.instances.by_revision().map(|(revision, _)| {
            let checks = app.health_checks(revision).into_iter().map(Item::new).collect();
            (revision, Checklist { checks, readiness: readiness.clone() })
        });
        Self(lists.collect())
    }

    pub(crate) fn of_instance(&self, instance: &Instance) -> &Checklist<'a> {
        const NOTHING: &Checklist<'static> = &Checklist { checks: Vec::new(), readiness: None };
        self.0.get(&instance.revision).unwrap_or(NOTHING)
    }
}

impl<'a> Item<'a> {
    pub(crate) fn new(check: &'a HealthCheck) -> Self {
        let mark = Probe::mark_of(&check.kind, &[], check.ignore_http_1xx, check.interval, check.timeout);
        Self { check, question: check.question(), mark }
    }
}

impl<'a> ReadinessItem<'a> {
    fn new(check: &'a ReadinessCheck) -> Self {
        let kind = CheckKind::Http {
            tls: check.tls,
            address: CheckAddress::PortIndex(check.port_index),
            path: check.path.clone(),
            by_executor: false,
        };
        let mark = Probe::mark_of(&kind, &check.ready_statuses, false, check.interval, check.timeout);
        Self { check, kind, mark }
    }
}
