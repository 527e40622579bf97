//! Whom to probe: every running instance, for each check that Ekiden makes, and for readiness until it is ready.
//!
//! What executors check is no business of probes.

use std::collections::btree_map;
use std::iter::Peekable;
use std::time::Duration;

use ekiden_model::app::{CheckAddress, CheckKind, HealthCheck};
use ekiden_model::effect::Probe;
use ekiden_model::health::{CheckState, Health, ProbeKind, Readiness};
use ekiden_model::{Action, AppState, Fingerprint, Instance, InstanceKey, Port, View};

use crate::checklist::{Checklist, ReadinessItem};

/// When the first probe of an instance in its grace period comes, at the latest. Marathon waits five seconds; here
/// the prober asks again and again, ever slower, until the first success (failures do not count yet), so that a rollout
/// waits for its instances and not for their checks. A tenth of a second is sooner than most things listen.
pub(crate) const EAGER_FIRST_AFTER: Duration = Duration::from_millis(100);

/// When the first probe comes, at the latest, where nothing is known and failures count: Marathon's own (§4.8).
pub(crate) const FIRST_AFTER: Duration = Duration::from_secs(5);

/// The probes that are wanted, beside those under way. Both in order of instance and kind, so that one walk finds the
/// differences.
pub(crate) struct Probes<'a> {
    app: &'a AppState,
    under_way: Peekable<btree_map::Range<'a, (InstanceKey, ProbeKind), Fingerprint>>,
    actions: Vec<Action>,
}

impl<'a> Probes<'a> {
    /// Those of all instances.
    pub(crate) fn of_all(app: &'a AppState) -> Self {
        Self { app, under_way: app.probing.range(..).peekable(), actions: Vec::new() }
    }

    /// Those of the instances that will be gone to.
    pub(crate) fn of_some(app: &'a AppState) -> Self {
        Self { app, under_way: btree_map::Range::default().peekable(), actions: Vec::new() }
    }

    /// Goes to the next instance, past others.
    pub(crate) fn go_to(&mut self, instance: InstanceKey) {
        self.stop_the_rest();
        let kinds = (instance, ProbeKind::Health(0))..=(instance, ProbeKind::Readiness);
        self.under_way = self.app.probing.range(kinds).peekable();
    }

    /// Wants an instance probed, after those wanted before in the order of keys.
    pub(crate) fn want(
        &mut self,
        view: &View<'_>,
        instance: &Instance,
        checklist: &Checklist<'_>,
        health: &Health,
    ) {
        for (index, item) in checklist.checks.iter().enumerate() {
            if item.check.by_executor() {
                continue;
            }
            let kind = ProbeKind::Health(index as u32);
            if let Some(port) = port(instance, &item.check.kind) {
                let state = health.checks.get(index);
                let probe = || health_probe(view, instance, kind, port, item.check, state);
                self.want_one((instance.key, kind), item.mark, probe);
            }
        }
        if let Some(item) = &checklist.readiness
            && health.readiness != Readiness::Ready
            && let Some(port) = mapped(instance, item.check.port_index)
        {
            let probe = || readiness_probe(instance, port, item);
            self.want_one((instance.key, ProbeKind::Readiness), item.mark, probe);
        }
    }

    fn want_one(&mut self, wanted: (InstanceKey, ProbeKind), mark: Fingerprint, probe: impl FnOnce() -> Probe) {
        while let Some((&key, _)) = self.under_way.next_if(|(key, _)| **key < wanted) {
            self.stop(key);
        }
        let under_way = self.under_way.next_if(|(key, _)| **key == wanted);
        if under_way.is_none_or(|(_, under_way)| *under_way != mark) {
            self.actions.push(Action::StartProbe(Box::new(probe())));
        }
    }

    fn stop(&mut self, (instance, kind): (InstanceKey, ProbeKind)) {
        self.actions.push(Action::StopProbe { instance, kind });
    }

    /// What is to be started and stopped, now that all wanted probes are known.
    pub(crate) fn actions(mut self) -> Vec<Action> {
        self.stop_the_rest();
        self.actions
    }

    fn stop_the_rest(&mut self) {
        while let Some((&key, _)) = self.under_way.next() {
            self.stop(key);
        }
    }
}

/// The port of the instance that a check asks: one that the agent's host listens on. `None` where the port is mapped
/// to no host port, or asks nothing of a port.
pub(crate) fn port(instance: &Instance, check: &CheckKind) -> Option<Port> {
    match check {
        CheckKind::Http { address, .. } | CheckKind::Tcp { address, .. } => match address {
            CheckAddress::PortIndex(index) => mapped(instance, *index),
            CheckAddress::Port(port) => Some(*port),
        },
        CheckKind::Command { .. } => None,
    }
}

/// The host port of the instance's index-th port.
pub(crate) fn mapped(instance: &Instance, index: u32) -> Option<Port> {
    instance.host_ports.get(index as usize).copied().flatten()
}

fn health_probe(
    view: &View<'_>,
    instance: &Instance,
    kind: ProbeKind,
    port: Port,
    check: &HealthCheck,
    state: Option<&CheckState>,
) -> Probe {
    let started = instance.started.unwrap_or(instance.since);
    let grace_left = (started + check.grace_period).since(view.now);
    let (first_after, eager_for) = if state.is_some_and(|state| state.alive().is_some()) {
        // Something is known, from before a restart or an edit: no haste, and no stampede.
        (check.interval, Duration::ZERO)
    } else if grace_left > Duration::ZERO {
        (EAGER_FIRST_AFTER, grace_left)
    } else {
        (FIRST_AFTER, Duration::ZERO)
    };
    Probe {
        instance: instance.key,
        kind,
        host: instance.agent.hostname.clone(),
        port: Some(port),
        check: check.kind.clone(),
        ready_statuses: Vec::new(),
        ignore_http_1xx: check.ignore_http_1xx,
        first_after: first_after.min(check.interval),
        eager_for,
        interval: check.interval,
        timeout: check.timeout,
    }
}

/// A readiness probe. Not being ready counts against nobody, so it is asked eagerly until the instance is.
fn readiness_probe(instance: &Instance, port: Port, item: &ReadinessItem<'_>) -> Probe {
    Probe {
        instance: instance.key,
        kind: ProbeKind::Readiness,
        host: instance.agent.hostname.clone(),
        port: Some(port),
        check: item.kind.clone(),
        ready_statuses: item.check.ready_statuses.clone(),
        ignore_http_1xx: false,
        first_after: Duration::ZERO,
        eager_for: Duration::MAX,
        interval: item.check.interval,
        timeout: item.check.timeout,
    }
}
