//! Offers, and the agents that they are of.

use std::collections::BTreeMap;
use std::sync::Arc;

use ekiden_model::{Agent, AgentId, Offer, OfferId, Role};
use serde::Deserialize;

use super::resources::{Offered, Ranges, Reservations, Split};
use super::values::{Number, Text, Unavailability, Value};

/// `Offer`.
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
        let role = info.allocation_info.and_then(|allocation| allocation.role);
        let offer = Offer {
            id: id.clone(),
            agent: Arc::new(agent(&info.agent_id, &info.hostname, info.attributes, info.domain)),
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
        agent(&info.id, &info.hostname, info.attributes, info.domain)
    }
}

fn agent(
    id: &Value<Text<'_>>,
    hostname: &Text<'_>,
    attributes: Vec<Attribute<'_>>,
    domain: Option<Domain<'_>>,
) -> Agent {
    let fault_domain = domain.and_then(|domain| domain.fault_domain);
    let (region, zone) = fault_domain.map(|domain| (domain.region, domain.zone)).unzip();
    let name = |named: Named<'_>| Arc::from(&*named.name.0);
    Agent {
        id: AgentId::new(&*id.value.0),
        hostname: Arc::from(&*hostname.0),
        attributes: attributes
            .into_iter()
            .filter_map(|attribute| Some((attribute.name.0.to_string(), attribute.shown()?)))
            .collect(),
        region: region.map(name),
        zone: zone.map(name),
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
