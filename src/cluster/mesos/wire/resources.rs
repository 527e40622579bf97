//! Resources: what offers have, split by whom it belongs to, and what tasks take of it.

use std::collections::BTreeMap;

use ekiden_model::offer::{Bundle, Claim};
use ekiden_model::{OfferId, PortSet, Role, Scalar};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::values::{Labels, Number, Text, Value};

/// One entry of the stack of reservations that a resource carries, the first being the one of the widest role
/// (`RESERVATION_REFINEMENT`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reservation {
    #[serde(rename = "type")]
    kind: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
}

/// A resource as an offer has it.
#[derive(Debug, Deserialize)]
pub(super) struct Offered<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    scalar: Option<Value<Number>>,
    ranges: Option<Ranges>,
    #[serde(default)]
    reservations: Vec<Reservation>,
    disk: Option<IgnoredAny>,
    shared: Option<IgnoredAny>,
    revocable: Option<IgnoredAny>,
    provider_id: Option<IgnoredAny>,
}

/// Ranges of numbers, both ends included.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ranges {
    #[serde(default)]
    pub(super) range: Vec<Range>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// What an offer has for plain tasks.
#[derive(Debug, Default)]
pub(super) struct Split {
    pub(super) unreserved: Bundle,
    pub(super) reserved: Bundle,
    pub(super) stacks: Vec<Reserved>,
}

/// What is reserved in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reserved {
    stack: Vec<Reservation>,
    left: Bundle,
}

impl Split {
    /// Splits the resources of an offer.
    ///
    /// Whatever is reserved in it is reserved to the offer's role or to one above it, or it would not be offered. Left
    /// out is what a plain task must not take: volumes and disks of their own, what is shared or can be revoked, what
    /// a resource provider has, and what a reservation with labels keeps for the somebody who made it; we make none.
    pub(super) fn of(resources: Vec<Offered<'_>>) -> Self {
        let mut split = Self::default();
        for resource in resources.into_iter().filter(Offered::is_plain) {
            let part = resource.bundle();
            if part.is_empty() {
                continue;
            }
            if resource.reservations.is_empty() {
                add(&mut split.unreserved, &part);
                continue;
            }
            add(&mut split.reserved, &part);
            match split.stacks.iter_mut().find(|reserved| reserved.stack == resource.reservations) {
                Some(reserved) => add(&mut reserved.left, &part),
                None => split.stacks.push(Reserved { stack: resource.reservations, left: part }),
            }
        }
        split
    }
}

impl Offered<'_> {
    fn is_plain(&self) -> bool {
        let special = [&self.disk, &self.shared, &self.revocable, &self.provider_id];
        special.iter().all(|mark| mark.is_none())
            && self.reservations.iter().all(|reservation| reservation.labels.as_ref().is_none_or(Labels::is_empty))
    }

    fn bundle(&self) -> Bundle {
        let amount = self.scalar.as_ref().map_or(Scalar::ZERO, |scalar| Scalar::from_f64(scalar.value.0));
        let mut bundle = Bundle::default();
        match &*self.name.0 {
            "cpus" => bundle.resources.cpus = amount,
            "mem" => bundle.resources.mem = amount,
            "disk" => bundle.resources.disk = amount,
            "gpus" => bundle.resources.gpus = amount,
            "ports" => bundle.ports = self.ranges.as_ref().map(Ranges::ports).unwrap_or_default(),
            _ => {}
        }
        bundle
    }
}

impl Ranges {
    fn ports(&self) -> PortSet {
        let within = self.range.iter().filter_map(|range| {
            let (begin, end) = (u16::try_from(range.begin).ok()?, range.end.min(u64::from(u16::MAX)) as u16);
            Some(begin..=end)
        });
        PortSet::from_ranges(within)
    }
}

/// Adds up, to [`MOST`] at most.
fn add(sum: &mut Bundle, part: &Bundle) {
    let (sums, parts) = (&mut sum.resources, &part.resources);
    for (sum, part) in [
        (&mut sums.cpus, parts.cpus),
        (&mut sums.mem, parts.mem),
        (&mut sums.disk, parts.disk),
        (&mut sums.gpus, parts.gpus),
    ] {
        sum.0 = sum.0.saturating_add(part.0).min(MOST.0);
    }
    sum.ports.extend(&part.ports);
}

/// More than any cluster has, and little enough that the offers of a cluster can be added up.
const MOST: Scalar = Scalar(1 << 53);

/// How the reserved resources of outstanding offers came to be reserved, which a launch that uses them must repeat
/// word by word. Nothing is in it while nothing is reserved for us. A new connection begins with an empty one: offers of
/// before are void.
#[derive(Debug, Default)]
pub(in super::super) struct Reservations {
    offers: BTreeMap<OfferId, Vec<Reserved>>,
}

impl Reservations {
    pub(super) fn insert(&mut self, offer: &OfferId, reserved: Vec<Reserved>) {
        if !reserved.is_empty() {
            self.offers.insert(offer.clone(), reserved);
        }
    }

    /// Adds those of new offers.
    pub(in super::super) fn extend(&mut self, new: Self) {
        self.offers.extend(new.offers);
    }

    /// Forgets those of an offer that is no more.
    pub(in super::super) fn forget(&mut self, offer: &OfferId) {
        self.offers.remove(offer);
    }

    /// Takes out what is reserved in these offers, to be used up together.
    pub(super) fn take(&mut self, offers: &[OfferId]) -> Vec<Reserved> {
        offers.iter().filter_map(|offer| self.offers.remove(offer)).flatten().collect()
    }
}

/// A resource as a task takes it.
#[derive(Debug, Serialize)]
pub(super) struct Taken {
    name: &'static str,
    #[serde(flatten)]
    amount: TakenAmount,
    allocation_info: AllocationInfo,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reservations: Vec<Reservation>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
enum TakenAmount {
    Scalar { scalar: Value<f64> },
    Ranges { ranges: Ranges },
}

/// To which role a resource was offered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AllocationInfo {
    pub(super) role: String,
}

/// What a task takes, resource by resource. `pool` is what is reserved in the offers used up, less what the tasks
/// before it took.
pub(super) fn taken(claim: &Claim, role: &Role, pool: &mut [Reserved]) -> Vec<Taken> {
    let mut taken = Vec::new();
    describe(&claim.unreserved, role, &[], &mut taken);
    let mut missing = claim.reserved.clone();
    for reserved in pool {
        let part = reserved.take(&mut missing);
        describe(&part, role, &reserved.stack, &mut taken);
    }
    // Of an offer that we know nothing of any more: it was reserved when the agent was set up, as most are. Should
    // that be wrong, Mesos drops the task, and it is launched on another offer.
    let set_up =
        Reservation { kind: "STATIC".to_owned(), role: role.as_str().to_owned(), principal: None, labels: None };
    describe(&missing, role, &[set_up], &mut taken);
    taken
}

impl Reserved {
    /// Takes as much of what is missing as is here.
    fn take(&mut self, missing: &mut Bundle) -> Bundle {
        let resources = self.left.resources.min(&missing.resources);
        self.left.resources -= &resources;
        missing.resources -= &resources;
        let ports: PortSet = missing.ports.iter().filter(|port| self.left.ports.contains(*port)).collect();
        for port in ports.iter() {
            self.left.ports.remove(port);
            missing.ports.remove(port);
        }
        Bundle { resources, ports }
    }
}

fn describe(part: &Bundle, role: &Role, stack: &[Reservation], taken: &mut Vec<Taken>) {
    let mut push = |name, amount| {
        let allocation_info = AllocationInfo { role: role.as_str().to_owned() };
        taken.push(Taken { name, amount, allocation_info, reservations: stack.to_vec() });
    };
    let amounts = &part.resources;
    for (name, amount) in
        [("cpus", amounts.cpus), ("mem", amounts.mem), ("disk", amounts.disk), ("gpus", amounts.gpus)]
    {
        if amount > Scalar::ZERO {
            push(name, TakenAmount::Scalar { scalar: Value { value: amount.as_f64() } });
        }
    }
    if !part.ports.is_empty() {
        let range = |ports: std::ops::RangeInclusive<u16>| Range {
            begin: u64::from(*ports.start()),
            end: u64::from(*ports.end()),
        };
        push("ports", TakenAmount::Ranges { ranges: Ranges { range: part.ports.ranges().map(range).collect() } });
    }
}
