//! S10 for agents: nothing is started a second time while much of the cluster has just vanished.

use std::collections::BTreeSet;

use ekiden_model::revision::Phase;
use ekiden_model::{AgentId, AppId, Condition, Instance, InstanceKey, Timestamp};

use super::{Check, Found};

impl Check<'_> {
    /// Until a window after the last agent of a burst vanished, no app launches more than it shall have, counting its
    /// instances on those agents, those of them that were given up meanwhile included; and beside what it had too many
    /// of when the burst began, since the first of the agents vanished before it was one. Not counted is an instance that
    /// the cluster was ending when its agent vanished: it runs on nowhere, so that its replacement is no second start. A
    /// rollout is not looked at: somebody asked for other instances, and old ones that do not answer are in nobody's way.
    /// That replacements come slowly after that is shown by scenarios: agents are not away for so long here.
    pub(super) fn vanished(&mut self, app: &AppId, old: &[Instance], launches: &[Instance], found: &mut Found) {
        let Some(held) = self.just_vanished() else {
            self.ledger.bursts.clear();
            return;
        };
        let rollout = self.ledger.announced.apps.get(app).and_then(|record| record.rollout.as_ref());
        if rollout.is_some_and(|rollout| rollout.phase != Phase::Complete) {
            return;
        }
        let Some(declared) = self.ledger.declared.get(app).filter(|app| !app.is_global()).cloned() else { return };
        let wanted = old.iter().filter(|one| one.is_wanted()).count();
        let count = declared.instances;
        let given_up: Vec<InstanceKey> = old
            .iter()
            .filter(|one| one.is_wanted() && held.contains(&one.agent.id) && self.is_given_up(app, one))
            .map(|one| one.key)
            .collect();
        let burst = self.ledger.bursts.entry(app.clone()).or_default();
        let surplus = wanted.saturating_sub(count as usize);
        // What is given up because there are too many anyway is not replaced.
        let unneeded = given_up.len().min(surplus);
        let too_many = burst.too_many.unwrap_or(surplus).saturating_sub(unneeded);
        burst.too_many = Some(too_many);
        burst.given_up.extend(given_up.into_iter().skip(unneeded));
        let mut all: BTreeSet<InstanceKey> = burst.given_up.clone();
        if launches.is_empty() {
            return;
        }
        let here = self.instances(app);
        let moving = |key: &InstanceKey| here.iter().any(|one| one.key == *key && self.is_left(one));
        all.extend(self.living_wanted(app).into_iter().filter(|key| !moving(key)));
        let runs_on =
            |one: &&Instance| one.is_wanted() && held.contains(&one.agent.id) && !self.is_dying(app, one);
        let on_held = here.iter().filter(runs_on);
        all.extend(on_held.map(|one| one.key));
        let most = count as usize + too_many;
        if all.len() > most {
            let keys: Vec<String> = launches.iter().map(|one| one.key.to_string()).collect();
            let text = format!(
                "{app} launches {} although {} agents have just vanished: that makes {} of {most}",
                keys.join(" "),
                held.len(),
                all.len()
            );
            found.push(("S10", text));
        }
    }

    /// The agents of a burst whose last loss is less than a window ago, by what was told.
    fn just_vanished(&self) -> Option<BTreeSet<AgentId>> {
        let (window, now) = (self.settings.breaker_window, self.now);
        let lost: Vec<(&AgentId, Timestamp)> =
            self.ledger.agents.iter().filter_map(|(id, since)| Some((id, (*since)?))).collect();
        let present = self.ledger.agents.len() - lost.len();
        let within = |end: Timestamp| -> BTreeSet<AgentId> {
            let of_window = lost.iter().filter(|(_, at)| *at <= end && *at + window > end);
            of_window.map(|(id, _)| (*id).clone()).collect()
        };
        let recent = lost.iter().map(|(_, at)| *at).filter(|at| *at <= now && *at + window > now);
        let bursts = recent.map(within).filter(|burst| {
            let share = self.settings.breaker_share * (present + burst.len()) as f64;
            burst.len() > self.settings.breaker_minimum as usize && burst.len() as f64 > share
        });
        bursts.max_by_key(BTreeSet::len)
    }

    /// Whether the cluster ends an instance by itself, as far as was told last.
    fn is_dying(&self, app: &AppId, instance: &Instance) -> bool {
        let told = self.ledger.task_id(app, instance.key).and_then(|id| self.ledger.told.get(&id));
        told.is_some_and(|told| told.condition == Condition::Killing)
    }

    /// Whether an instance that was on record is no more, although it has not ended as far as was told, and no operator
    /// wanted it to.
    fn is_given_up(&self, app: &AppId, instance: &Instance) -> bool {
        let Some(id) = self.ledger.task_id(app, instance.key) else { return false };
        let unreachable = self.ledger.told.get(&id).is_some_and(|told| told.condition == Condition::Unreachable);
        let is_forgotten = self.ledger.announced.instance(app, instance.key).is_none();
        unreachable && is_forgotten && !self.ledger.operator_kills.contains_key(&id)
    }
}
