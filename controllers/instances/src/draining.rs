//! Agents that are to be left: an announced maintenance has begun, or begins within `drain_before`, or an operator drains
//! the agent. Nothing new is placed there ([`crate::placement`]), and what is there moves away inside its app's floor.
//!
//! **Replacement first.** An instance on such an agent does not count any more, so that another is launched in its slot
//! elsewhere, as far as the ceiling allows; it goes on serving and goes when its replacement serves. With room for one
//! more than the declared (`maximumOverCapacity` 0 with `minimumHealthCapacity` 1) they move one by one; with the
//! defaults, all at once.
//!
//! **Otherwise one permit after the other.** Where the ceiling leaves no room (`minimumHealthCapacity` 0.5 over 0), one
//! goes by a permit of the budget, and the next only when a place was found for the replacement of the one before: what
//! nobody has room for would not come back.
//!
//! ```text
//! 4 instances, 2 of them (m) to leave:   ceiling 6: 4 ─► m m + 2 launched ─► both serve ─► m m end
//!                                        ceiling 5: 4 ─► m m + 1 ─► it serves ─► m ends ─► m + 1 ─► …
//!                                        ceiling 4, floor 2: m ends ─► 3 ─► 1 launched ─► m ends ─► …
//! ```
//!
//! Where no other agent has a place, nothing is stopped: that would only bring forward what the maintenance may do. What
//! a rollout under way replaces is not replaced by its like first; it goes first in the rollout ([`crate::victims`]). A
//! window that is cancelled makes everything count again; what is too many then goes as in scaling in. When Mesos takes
//! the agent down all the same, its instances are lost and replaced as any.
//!
//! **Global apps.** Their instance on such an agent is stopped, as one more after the other leaves the floor of *all*
//! agents that match, those to be left among them; and what must stay stays out of all counts. It is not replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::agent::Presence;
use ekiden_model::app::App;
use ekiden_model::app_state::Backoff;
use ekiden_model::instance::{Condition, Goal};
use ekiden_model::report::{Awaited, KillCause, LeftAgent, LeftAgents};
use ekiden_model::view::Settled;
use ekiden_model::{AgentId, Instance, InstanceKey, Reason, RevisionId};

use crate::draft::{Apart, Draft};
use crate::{global, surplus};

/// The agents that are to be left.
pub(crate) fn agents(draft: &Draft<'_>) -> Arc<BTreeSet<AgentId>> {
    draft.view.agents.leaving(draft.view.now, draft.view.settings.drain_before).agents
}

/// Leaves out of the counts what is to move away, so that its replacement is launched.
pub(crate) fn leave_out(draft: &mut Draft<'_>) {
    if draft.declared.is_none_or(App::is_global) {
        return;
    }
    for instance in there(draft) {
        if !surplus::is_replaced_by_a_rollout(draft, instance.revision) {
            draft.leave_out(instance, Apart::Moving);
        }
    }
}

/// Stops what need not stay.
pub(crate) fn kill(draft: &mut Draft<'_>) {
    if draft.declared.is_some_and(App::is_global) {
        kill_global(draft);
        return;
    }
    let movers: Vec<&Instance> = draft.apart(Apart::Moving).filter(|mover| draft.is_wanted(mover)).collect();
    if movers.is_empty() || !draft.is_settled() {
        return;
    }
    let revisions: BTreeSet<RevisionId> = movers.iter().map(|mover| mover.revision).collect();
    for revision in revisions {
        let of_revision = movers.iter().copied().filter(|mover| mover.revision == revision).collect();
        kill_replaced(draft, revision, of_revision);
    }
}

/// Those that are not needed any more because replacements serve, the least useful first.
fn kill_replaced(draft: &mut Draft<'_>, revision: RevisionId, mut movers: Vec<&Instance>) {
    let needed = draft.target(revision).saturating_sub(serving(draft, revision));
    let unneeded = movers.len().saturating_sub(needed as usize);
    movers.sort_by_key(|mover| (mover.is_healthy(), mover.key));
    for mover in movers.into_iter().take(unneeded) {
        if mover.is_healthy() && draft.budget.left() == 0 {
            break;
        }
        draft.kill(mover, KillCause::Draining);
    }
}

/// How many instances of a revision serve that need not move.
fn serving(draft: &Draft<'_>, revision: RevisionId) -> u32 {
    let instances = &draft.view.app.instances;
    let is_one = |instance: &&Instance| instance.revision == revision && instance.is_healthy();
    let moving = draft.apart(Apart::Moving).filter(is_one).count();
    let killed = draft.killed.iter().filter_map(|key| instances.get(*key)).filter(is_one);
    let killed = killed.filter(|instance| !draft.uncounted.contains_key(&instance.key)).count();
    instances.census(revision).healthy.saturating_sub((moving + killed) as u32)
}

/// Stops one, where the ceiling leaves no room for its replacement and nothing else is missing once the launches of this
/// decision are made.
pub(crate) fn kill_without_room(draft: &mut Draft<'_>, backoff: &Backoff) {
    let (view, Some(app)) = (draft.view, draft.declared) else { return };
    let movers: Vec<&Instance> = draft.apart(Apart::Moving).filter(|mover| draft.is_wanted(mover)).collect();
    if movers.is_empty() {
        return;
    }
    let launched = draft.waits().launched;
    let short = |revision: &ekiden_model::Revision| revision.target.saturating_sub(draft.counted(revision.id));
    let missing = view.app.revisions.iter().map(short).sum::<u32>().saturating_sub(launched);
    let has_room = draft.occupied() + launched < app.bounds(view.desired).ceiling;
    let waits = backoff.until.is_some_and(|until| until > view.now) || view.unsupported.is_some();
    if has_room || waits || missing != movers.len() as u32 {
        return;
    }
    let first = movers.into_iter().min_by_key(|mover| (mover.is_healthy(), mover.key));
    if let Some(first) = first.filter(|first| !first.is_healthy() || draft.budget.left() > 0) {
        draft.kill(first, KillCause::Draining);
    }
}

/// A global app's, as far as the floor of all agents that match allows.
fn kill_global(draft: &mut Draft<'_>) {
    let there: Vec<&Instance> = there(draft).into_iter().filter(|one| draft.is_wanted(one)).collect();
    if there.is_empty() || !draft.is_settled() {
        return;
    }
    let floor = floor_of_all(draft);
    for instance in there {
        if !instance.is_healthy() || draft.budget.healthy() > floor {
            draft.kill(instance, KillCause::Draining);
        }
    }
}

/// How many instances of a global app stay healthy whatever is to be left: the floor of those that match, were none
/// to be left.
fn floor_of_all(draft: &Draft<'_>) -> u32 {
    let Some(app) = draft.declared else { return 0 };
    let all = global::matching(app, draft.view.agents, &Arc::default());
    app.bounds(all.len() as u32).floor.max(draft.budget.floor())
}

/// The wanted instances on agents that are to be left, those that nobody can see or that are ending left aside. Of an
/// agent that does not answer the word about each of its tasks may still be on its way.
fn there<'a>(draft: &Draft<'a>) -> Vec<&'a Instance> {
    let (instances, known) = (&draft.view.app.instances, draft.view.agents);
    let answers = |agent: &AgentId| known.get(agent).is_some_and(|state| state.presence == Presence::Present);
    let keys = instances.wanted_on(&agents(draft)).into_iter();
    let all = keys.filter_map(|key| instances.get(key)).filter(|instance| answers(&instance.agent.id));
    all.filter(|instance| !matches!(instance.condition, Condition::Unreachable | Condition::Killing)).collect()
}

/// Says what is still there and what it waits for.
pub(crate) fn report(draft: &mut Draft<'_>) {
    let leaving = agents(draft);
    if leaving.is_empty() {
        return;
    }
    let instances = &draft.view.app.instances;
    let wanted = instances.wanted_on(&leaving);
    let is_ending = |one: &&Instance| one.goal != Goal::Running && one.condition.is_live();
    let ending = instances.odd().filter(is_ending).filter(|one| leaving.contains(&one.agent.id));
    let keys: Vec<InstanceKey> = wanted.into_iter().chain(ending.map(|one| one.key)).collect();
    let mut left: BTreeMap<&AgentId, LeftAgent> = BTreeMap::new();
    let mut staying = Vec::new();
    for instance in keys.iter().filter_map(|key| instances.get(*key)) {
        let Some(state) = draft.view.agents.get(&instance.agent.id) else { continue };
        let Some((begin, length)) = state.maintenance.filter(|_| instance.condition != Condition::Unreachable)
        else {
            continue;
        };
        let (host, end) = (instance.agent.hostname.clone(), length.map(|length| begin + length));
        let agent = left.entry(&instance.agent.id).or_insert(LeftAgent { begin, end, host, instances: 0 });
        agent.instances += 1;
        if draft.is_wanted(instance) && instance.condition != Condition::Killing {
            staying.push(instance);
        }
    }
    let awaited = awaited(draft, &staying);
    draft.waits().draining = LeftAgents::new(left.into_values().collect(), awaited).map(Reason::Draining);
}

/// What those that are not ending yet wait for, the most telling first.
fn awaited(draft: &mut Draft<'_>, staying: &[&Instance]) -> Awaited {
    let Some(app) = draft.declared.filter(|_| !staying.is_empty()) else { return Awaited::End };
    if draft.view.settled != Settled::Yes {
        return Awaited::Settled;
    }
    if app.is_global() {
        return Awaited::Floor { healthy: draft.budget.healthy(), floor: floor_of_all(draft) };
    }
    if staying.iter().all(|one| surplus::is_replaced_by_a_rollout(draft, one.revision)) {
        return Awaited::Rollout;
    }
    let waits = draft.waits();
    if waits.backing_off.is_some() {
        return Awaited::Backoff;
    }
    if waits.awaiting_offers.is_some() || waits.unsupported.is_some() {
        return Awaited::Place;
    }
    let short = |revision: &ekiden_model::Revision| revision.target > draft.counted(revision.id);
    let missing = draft.view.app.revisions.iter().any(short);
    if missing && draft.budget.left() == 0 {
        return Awaited::Floor { healthy: draft.budget.healthy(), floor: draft.budget.floor() };
    }
    Awaited::Replacements
}

#[cfg(test)]
mod tests;
