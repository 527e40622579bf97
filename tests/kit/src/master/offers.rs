//! Who is offered what: all that is free on an agent goes, in one offer, to the role of a framework that has least, wants
//! offers and has not declined as much lately.

use std::collections::btree_map::Entry;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::resources::Resources;
use super::world::{Due, Offer, Standing, World, nanoseconds};

impl World {
    /// Who wants offers has changed: everything is looked at again.
    pub(super) fn look_at_all_agents(&mut self) {
        self.unallocated.extend(0..self.agents.len());
    }

    /// Offers what is free.
    pub(super) fn allocate(&mut self, now: Instant) {
        let unallocated = std::mem::take(&mut self.unallocated);
        if self.trouble.withholding {
            return;
        }
        let mut made: Vec<(String, Vec<Value>)> = Vec::new();
        for agent in unallocated {
            self.end_filters(now, agent);
            while let Some((framework, role, free)) = self.next_offer(agent) {
                let id = self.offer_id();
                let offer = Offer { framework: framework.clone(), agent, role, resources: free };
                self.agents[agent].offered.add(&offer.resources);
                let shown = self.offer_json(&id, &offer);
                self.offers.insert(id, offer);
                match made.iter_mut().find(|(to, _)| *to == framework) {
                    Some((_, offers)) => offers.push(shown),
                    None => made.push((framework, vec![shown])),
                }
            }
        }
        for (framework, offers) in made {
            self.tell(&framework, json!({"type": "OFFERS", "offers": {"offers": offers}}));
        }
    }

    fn end_filters(&mut self, now: Instant, agent: usize) {
        for framework in self.frameworks.values_mut() {
            for role in framework.roles() {
                let Entry::Occupied(mut entry) = framework.filters.entry((role, agent)) else { continue };
                entry.get_mut().retain(|(_, until)| *until > now);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
    }

    fn next_offer(&self, agent: usize) -> Option<(String, String, Resources)> {
        let at = &self.agents[agent];
        if at.standing != Standing::Registered || at.draining {
            return None;
        }
        let free = at.total.without(&at.used).without(&at.offered);
        if !free.is_offerable() {
            return None;
        }
        let mut wanting: Vec<(f64, &String, String, Resources)> = Vec::new();
        for (id, framework) in self.frameworks.iter().filter(|(_, framework)| framework.stream.is_some()) {
            for role in framework.roles() {
                let share = free.for_role(&role);
                let filters = framework.filters.get(&(role.clone(), agent));
                let filtered = filters.is_some_and(|filters| filters.iter().any(|(had, _)| had.contains(&share)));
                if !framework.suppressed.contains(&role) && !filtered && share.is_offerable() {
                    wanting.push((self.cpus_of(id, &role), id, role, share));
                }
            }
        }
        let least = wanting.into_iter().min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.2.cmp(&b.2)));
        least.map(|(_, framework, role, share)| (framework.clone(), role, share))
    }

    fn cpus_of(&self, framework: &str, role: &str) -> f64 {
        let roles = self.frameworks.get(framework).map_or(0, |framework| framework.roles().len());
        if roles < 2 {
            // Nothing to compare it with; and adding up all offers for each offer would take its time.
            return 0.0;
        }
        let offered = self.offers.values().filter(|offer| offer.framework == framework && offer.role == role);
        let used =
            self.tasks.values().filter(|task| !task.freed && task.framework == framework && task.role == role);
        offered.map(|offer| offer.resources.scalar("cpus")).sum::<f64>()
            + used.map(|task| task.resources.scalar("cpus")).sum::<f64>()
    }

    fn offer_id(&mut self) -> String {
        let serial = self.serial();
        format!("{}-O{serial}", self.masters[self.leader].id)
    }

    pub(super) fn offer_json(&self, id: &str, offer: &Offer) -> Value {
        let agent = &self.agents[offer.agent];
        let mut shown = json!({
            "id": {"value": id},
            "framework_id": {"value": offer.framework},
            "agent_id": {"value": agent.id},
            "hostname": agent.spec.hostname,
            "url": {
                "scheme": "http",
                "address": {"hostname": agent.spec.hostname, "ip": agent.spec.ip, "port": 5051},
                "path": "/slave(1)",
            },
            "resources": offer.resources.to_json(Some(&offer.role)),
        });
        if !agent.spec.attributes.is_empty() {
            shown["attributes"] = agent.spec.attributes_json();
        }
        if let Some(domain) = agent.spec.domain_json() {
            shown["domain"] = domain;
        }
        if let Some(unavailability) = unavailability_json(agent.unavailability) {
            shown["unavailability"] = unavailability;
        }
        shown["allocation_info"] = json!({"role": offer.role});
        shown
    }

    /// An offer is used or given back. What is not used is not offered to the role again for so long.
    pub(super) fn take_offer(&mut self, id: &str) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        let agent = &mut self.agents[offer.agent];
        agent.offered = agent.offered.without(&offer.resources);
        self.unallocated.insert(offer.agent);
        Some(offer)
    }

    pub(super) fn refuse(&mut self, now: Instant, offer: &Offer, left: Resources, refuse: Duration) {
        if refuse.is_zero() {
            return;
        }
        let Some(framework) = self.frameworks.get_mut(&offer.framework) else { return };
        let until = now + refuse;
        framework.filters.entry((offer.role.clone(), offer.agent)).or_default().push((left, until));
        self.at(until + Duration::from_millis(1), Due::Unfilter(offer.agent));
    }

    /// Offers are void, without a word.
    pub(super) fn take_back_offers(&mut self, which: impl Fn(&Offer) -> bool) -> Vec<(String, String)> {
        let void: Vec<(String, String)> = self
            .offers
            .iter()
            .filter(|(_, offer)| which(offer))
            .map(|(id, offer)| (id.clone(), offer.framework.clone()))
            .collect();
        for (id, _) in &void {
            self.take_offer(id);
        }
        void
    }

    /// Offers are void, and it is said.
    pub(super) fn rescind(&mut self, which: impl Fn(&Offer) -> bool) {
        for (offer, framework) in self.take_back_offers(which) {
            self.tell(&framework, json!({"type": "RESCIND", "rescind": {"offer_id": {"value": offer}}}));
        }
    }

    /// Tells frameworks that have something on an agent, in offers or tasks, that it is to be away.
    pub(super) fn offer_inversely(&mut self, agent: usize) {
        let Some(unavailability) = unavailability_json(self.agents[agent].unavailability) else { return };
        let frameworks: Vec<String> = self.frameworks.keys().cloned().collect();
        for framework in frameworks {
            let id = self.offer_id();
            let inverse = json!({
                "id": {"value": id},
                "framework_id": {"value": framework},
                "agent_id": {"value": self.agents[agent].id},
                "unavailability": unavailability,
            });
            let event = json!({"type": "INVERSE_OFFERS", "inverse_offers": {"inverse_offers": [inverse]}});
            self.tell(&framework, event);
        }
    }
}

fn unavailability_json(unavailability: Option<(SystemTime, Option<Duration>)>) -> Option<Value> {
    let (start, duration) = unavailability?;
    let mut shown = json!({"start": nanoseconds(start)});
    if let Some(duration) = duration {
        shown["duration"] = json!({"nanoseconds": duration.as_nanos() as u64});
    }
    Some(shown)
}
