//! Whether a lot holds what an instance needs, and which of it the instance takes.
//!
//! A lot's resources are in two bundles: reserved to the role, and everybody's. What the app's accepted roles exclude
//! is as good as not offered. What is reserved is used first, so that it does not lie idle while everybody's is spent.

use ekiden_model::app::App;
use ekiden_model::offer::{Bundle, Claim, Lot};
use ekiden_model::report::{Refusal, Shortage};
use ekiden_model::{Port, Resources, Revision, Role, Scalar, View};

use super::Used;

/// The label by which an app that needs no graphics processors may run on agents that have them (Marathon's).
const GPU_LABEL: &str = "GPU_SCHEDULING_BEHAVIOR";

/// What an instance of a revision needs of a lot.
pub(super) struct Needs<'a> {
    revision: &'a Revision,
    role: &'a Role,
    /// Whether what is reserved to the role may be used.
    reserved: bool,
    /// Whether what is everybody's may be used.
    unreserved: bool,
    spares_gpus: bool,
}

/// What there is of one resource, what is needed, and what to call it when that is more.
type Row = (Scalar, Scalar, fn(Shortage) -> Refusal);

/// Why a lot does not hold it.
pub(super) enum Misfit {
    Short(Refusal),
    Ports(String),
    ScarceGpus,
}

impl<'a> Needs<'a> {
    pub(super) fn of(view: &'a View<'a>, declared: &'a App, revision: &'a Revision) -> Self {
        let template = &revision.app.template;
        let role = template.role.as_ref().unwrap_or(&view.settings.default_role);
        let accepts = |of: &Role| match &declared.accepted_roles {
            Some(roles) => roles.contains(of),
            None => view.settings.accepted_roles.accept(role, of),
        };
        let unrestricted = declared.labels.get(GPU_LABEL).is_some_and(|value| value == "unrestricted");
        Self {
            revision,
            role,
            reserved: accepts(role),
            unreserved: accepts(&Role::any()),
            spares_gpus: template.resources.gpus == Scalar::ZERO && !unrestricted,
        }
    }

    pub(super) fn role(&self) -> &'a Role {
        self.role
    }

    pub(super) fn resources(&self) -> &'a Resources {
        &self.revision.app.template.resources
    }

    /// What the lot has left for us.
    pub(super) fn available(&self, lot: &Lot, used: Option<&Used>) -> Resources {
        let mut sum = self.reserved_left(lot, used);
        sum += &self.unreserved_left(lot, used);
        sum
    }

    fn reserved_left(&self, lot: &Lot, used: Option<&Used>) -> Resources {
        left(self.reserved, &lot.reserved.resources, used.map(|used| &used.reserved))
    }

    fn unreserved_left(&self, lot: &Lot, used: Option<&Used>) -> Resources {
        left(self.unreserved, &lot.unreserved.resources, used.map(|used| &used.unreserved))
    }

    pub(super) fn are_covered(&self, lot: &Lot, used: Option<&Used>) -> bool {
        self.available(lot, used).covers(self.resources())
    }

    /// The role of a lot that has something, but nothing that the app accepts.
    pub(super) fn unaccepted_role(&self, lot: &Lot) -> Option<Role> {
        let nothing = |accepted: bool, bundle: &Bundle| !accepted || bundle.is_empty();
        let useless = nothing(self.reserved, &lot.reserved) && nothing(self.unreserved, &lot.unreserved);
        if !useless {
            return None;
        }
        if !self.unreserved && !lot.unreserved.is_empty() {
            Some(Role::any())
        } else if !self.reserved && !lot.reserved.is_empty() {
            Some(lot.role.clone())
        } else {
            None
        }
    }

    /// What is too little, first of cpus, mem, disk and gpus.
    pub(super) fn shortage(&self, lot: &Lot, used: Option<&Used>) -> Option<Refusal> {
        let (have, need) = (self.available(lot, used), self.resources());
        let rows: [Row; 4] = [
            (have.cpus, need.cpus, Refusal::Cpus),
            (have.mem, need.mem, Refusal::Mem),
            (have.disk, need.disk, Refusal::Disk),
            (have.gpus, need.gpus, Refusal::Gpus),
        ];
        let short = rows.into_iter().find(|(have, need, _)| have < need);
        short.map(|(largest, needs, refusal)| refusal(Shortage { needs, largest }))
    }

    /// The host ports, where nothing speaks against the lot after the scalars.
    pub(super) fn rest(
        &self,
        view: &View<'_>,
        lot: &Lot,
        used: Option<&Used>,
    ) -> Result<Vec<Option<Port>>, Misfit> {
        let ports = self.host_ports(view, lot, used).map_err(Misfit::Ports)?;
        let offers_gpus =
            lot.unreserved.resources.gpus > Scalar::ZERO || lot.reserved.resources.gpus > Scalar::ZERO;
        if self.spares_gpus && offers_gpus { Err(Misfit::ScarceGpus) } else { Ok(ports) }
    }

    fn host_ports(&self, view: &View<'_>, lot: &Lot, used: Option<&Used>) -> Result<Vec<Option<Port>>, String> {
        let template = &*self.revision.app.template;
        if template.ports.is_empty() {
            return Ok(Vec::new());
        }
        let taken = used.map_or(&[][..], |used| &used.ports);
        let choose = |lot: &Lot| view.host_ports.choose(view.app, template, lot, taken, view.entropy);
        let ports = match self.accepted_part(lot) {
            Some(part) => choose(&part),
            None => choose(lot),
        }?;
        let is_offered = |port: &Port| lot.reserved.ports.contains(*port) || lot.unreserved.ports.contains(*port);
        match ports.iter().flatten().find(|port| !is_offered(port) || taken.contains(port)) {
            // Accepting an offer for something that is not in it loses the launch.
            Some(port) => Err(format!("port {port}")),
            None => Ok(ports),
        }
    }

    /// The lot without the ports that the app does not accept; nothing when it accepts all of them.
    fn accepted_part(&self, lot: &Lot) -> Option<Lot> {
        let hides = |accepted: bool, bundle: &Bundle| !accepted && !bundle.ports.is_empty();
        if !hides(self.reserved, &lot.reserved) && !hides(self.unreserved, &lot.unreserved) {
            return None;
        }
        let mut part = lot.clone();
        if !self.reserved {
            part.reserved = Bundle::default();
        }
        if !self.unreserved {
            part.unreserved = Bundle::default();
        }
        Some(part)
    }

    /// What an instance with these host ports takes of the lot: what is reserved first, then everybody's.
    pub(super) fn claim(&self, lot: &Lot, used: Option<&Used>, host_ports: &[Option<Port>]) -> Claim {
        let need = self.resources();
        let mut claim = Claim::default();
        claim.reserved.resources = need.min(&self.reserved_left(lot, used));
        claim.unreserved.resources = need.saturating_sub(&claim.reserved.resources);
        if !host_ports.is_empty() {
            let (reserved, unreserved): (Vec<Port>, Vec<Port>) =
                host_ports.iter().flatten().partition(|port| self.reserved && lot.reserved.ports.contains(**port));
            claim.reserved.ports = reserved.into_iter().collect();
            claim.unreserved.ports = unreserved.into_iter().collect();
        }
        claim
    }
}

fn left(accepted: bool, offered: &Resources, used: Option<&Resources>) -> Resources {
    match (accepted, used) {
        (false, _) => Resources::NONE,
        (true, None) => *offered,
        (true, Some(used)) => offered.saturating_sub(used),
    }
}
