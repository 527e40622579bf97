//! What differs between two declarations of an app, and what following the difference takes.

use super::App;

/// What following a change takes, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Passage {
    /// No running task notices: nothing is restarted.
    InPlace,
    /// Instances are added or removed.
    Scale,
    /// Every instance is replaced.
    Roll,
}

/// One field that differs, by its name in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldChange {
    /// As in a manifest: `cmd`, `healthChecks`.
    pub field: &'static str,
    /// What following it takes.
    pub passage: Passage,
}

impl App {
    /// The fields in which `self` differs from `old`, in the order of the definition; empty when nothing does.
    pub fn changes_from(&self, old: &Self) -> Vec<FieldChange> {
        let (new_t, old_t) = (&*self.template, &*old.template);
        let mut changes = Vec::new();
        let mut note = |field, differs: bool, passage| {
            if differs {
                changes.push(FieldChange { field, passage });
            }
        };
        note("cmd", new_t.command != old_t.command, Passage::Roll);
        note("user", new_t.user != old_t.user, Passage::Roll);
        note("env", new_t.env != old_t.env, Passage::Roll);
        note("cpus", new_t.resources.cpus != old_t.resources.cpus, Passage::Roll);
        note("mem", new_t.resources.mem != old_t.resources.mem, Passage::Roll);
        note("disk", new_t.resources.disk != old_t.resources.disk, Passage::Roll);
        note("gpus", new_t.resources.gpus != old_t.resources.gpus, Passage::Roll);
        note("resourceLimits", new_t.limits != old_t.limits, Passage::Roll);
        note("executor", new_t.executor != old_t.executor, Passage::Roll);
        note("role", new_t.role != old_t.role, Passage::Roll);
        note("fetch", new_t.fetch != old_t.fetch, Passage::Roll);
        note("container", new_t.container != old_t.container, Passage::Roll);
        note("networks", new_t.networks != old_t.networks, Passage::Roll);
        note("portDefinitions", new_t.ports != old_t.ports, Passage::Roll);
        note("requirePorts", new_t.require_ports != old_t.require_ports, Passage::Roll);
        note("check", new_t.check != old_t.check, Passage::Roll);
        note("tty", new_t.tty != old_t.tty, Passage::Roll);
        let executor_checks_differ = !self.executor_checks().eq(old.executor_checks());
        let checks_passage = if executor_checks_differ { Passage::Roll } else { Passage::InPlace };
        note("healthChecks", self.health_checks != old.health_checks, checks_passage);
        note("instances", self.instances != old.instances, Passage::Scale);
        note("labels", self.labels != old.labels, Passage::InPlace);
        note("constraints", self.constraints != old.constraints, Passage::InPlace);
        note("acceptedResourceRoles", self.accepted_roles != old.accepted_roles, Passage::InPlace);
        let placement_passage =
            if self.placement.mode == old.placement.mode { Passage::InPlace } else { Passage::Scale };
        note("placement", self.placement != old.placement, placement_passage);
        note("dependencies", self.dependencies != old.dependencies, Passage::InPlace);
        note("readinessChecks", self.readiness != old.readiness, Passage::InPlace);
        note("upgradeStrategy", self.capacity != old.capacity, Passage::InPlace);
        note("rollout", self.rollout != old.rollout, Passage::InPlace);
        note("backoff", self.backoff != old.backoff, Passage::InPlace);
        note("killSelection", self.kill_selection != old.kill_selection, Passage::InPlace);
        note("taskKillGracePeriodSeconds", self.kill_grace != old.kill_grace, Passage::InPlace);
        note("unreachableStrategy", self.unreachable != old.unreachable, Passage::InPlace);
        changes
    }
}
