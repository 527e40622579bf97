//! Offers, and the agents that they are of.

use std::collections::BTreeMap;
use std::sync::Arc;

use ekiden_model::{Agent, AgentId, Offer, OfferId, Role};
use serde::Deserialize;

use super::resources::{Offered, Ranges, Reservations, Split};
use super::values::{Number, Text, Unavailability, Value};

/// `Offer`. What it says of its agent is what [`AgentInfo`] says, under another name for the id. Flattened, it would be
/// copied before it is read, and most of what a master sends is offers.
#[derive(Debug, Deserialize)]
pub(super) struct OfferInfo<'a> {
    #[serde(borrow)]
    id: Value<Text<'a>>,
    #[serde(borrow)]
    agent_id: Value<Text<'a>>,
    #[serde(borrow)]
    hostname: Text<'a>,
    #[serde(borrow, default)]
    attributes: Vec<Attribute<'a>>,
    #[serde(borrow)]
    domain: Option<Domain<'a>>,
    #[serde(borrow, default)]
    resources: Vec<Offered<'a>>,
    #[serde(borrow)]
    allocation_info: Option<Allocation<'a>>,
    unavailability: Option<Unavailability>,
}

#[derive(Debug, Deserialize)]
struct Allocation<'a> {
    #[serde(borrow)]
    role: Option<Text<'a>>,
}

/// `AgentInfo`, as far as placement wants to know it.
#[derive(Debug, Deserialize)]
pub(super) struct AgentInfo<'a> {
    #[serde(borrow)]
    id: Value<Text<'a>>,
    #[serde(borrow)]
    hostname: Text<'a>,
    #[serde(borrow, default)]
    attributes: Vec<Attribute<'a>>,
    #[serde(borrow)]
    domain: Option<Domain<'a>>,
}

#[derive(Debug, Deserialize)]
struct Attribute<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    scalar: Option<Value<Number>>,
    #[serde(borrow)]
    text: Option<Value<Text<'a>>>,
    #[serde(borrow)]
    set: Option<Set<'a>>,
    ranges: Option<Ranges>,
}

#[derive(Debug, Deserialize)]
struct Set<'a> {
    #[serde(borrow, default)]
    item: Vec<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Domain<'a> {
    #[serde(borrow)]
    fault_domain: Option<FaultDomain<'a>>,
}

#[derive(Debug, Deserialize)]
struct FaultDomain<'a> {
    #[serde(borrow)]
    region: Named<'a>,
    #[serde(borrow)]
    zone: Named<'a>,
}

#[derive(Debug, Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// The offers in the model's words. An id that occurs twice counts once, the last time.
pub(super) fn read(infos: Vec<OfferInfo<'_>>) -> (Vec<Offer>, Reservations) {
    let mut reservations = Reservations::default();
    let mut offers: Vec<Offer> = Vec::with_capacity(infos.len());
    let mut places = BTreeMap::new();
    for info in infos {
        let id = OfferId::new(&*info.id.value.0);
        let split = Split::of(info.resources);
        reservations.forget(&id);
        reservations.insert(&id, split.stacks);
        let agent = AgentInfo {
            id: info.agent_id,
            hostname: info.hostname,
            attributes: info.attributes,
            domain: info.domain,
        };
        let role = info.allocation_info.and_then(|allocation| allocation.role);
        let offer = Offer {
            id: id.clone(),
            agent: Arc::new(agent.into()),
            role: role.map_or_else(Role::any, |role| Role::new(&*role.0)),
            unreserved: split.unreserved,
            reserved: split.reserved,
            maintenance: info.unavailability.map(Unavailability::window),
        };
        match places.insert(id, offers.len()) {
            None => offers.push(offer),
            Some(place) => {
                places.insert(offer.id.clone(), place);
                offers[place] = offer;
            }
        }
    }
    (offers, reservations)
}

impl From<AgentInfo<'_>> for Agent {
    fn from(info: AgentInfo<'_>) -> Self {
        let fault_domain = info.domain.and_then(|domain| domain.fault_domain);
        let (region, zone) = fault_domain.map(|domain| (domain.region, domain.zone)).unzip();
        let name = |named: Named<'_>| Arc::from(&*named.name.0);
        Self {
            id: AgentId::new(&*info.id.value.0),
            hostname: Arc::from(&*info.hostname.0),
            attributes: info
                .attributes
                .into_iter()
                .filter_map(|attribute| Some((attribute.name.0.to_string(), attribute.shown()?)))
                .collect(),
            region: region.map(name),
            zone: zone.map(name),
        }
    }
}

impl Attribute<'_> {
    /// As constraints see it (§4.9): scalars as `0.###`, sets as `{a,b}`, ranges as `[1-2]`.
    fn shown(&self) -> Option<Arc<str>> {
        if let Some(text) = &self.text {
            return Some(Arc::from(&*text.value.0));
        }
        if let Some(scalar) = &self.scalar {
            return Some(((scalar.value.0 * 1000.0).round() / 1000.0).to_string().into());
        }
        if let Some(set) = &self.set {
            let items: Vec<&str> = set.item.iter().map(|item| &*item.0).collect();
            return Some(format!("{{{}}}", items.join(",")).into());
        }
        let ranges = &self.ranges.as_ref()?.range;
        let ranges: Vec<String> = ranges.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
        Some(format!("[{}]", ranges.join(",")).into())
    }
}
