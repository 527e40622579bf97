//! Who goes first when there are too many.
//!
//! | leaving a revision (§4.5)                         | scaling in (§4.4)                                       |
//! |---------------------------------------------------|---------------------------------------------------------|
//! | who is not healthy, since nobody misses it        | who shares its slot (it or its like came back), or its agent in a global app |
//! | whose agent is to be left                         | unreachable < staging < starting < running < other      |
//! | whose slot (global: agent) has a healthy successor | the largest groups of GROUP_BY                          |
//! | the order of scaling in                           | killSelection                                           |
//! |                                                   | the highest slot, so that 0..n-1 stay                   |
//!
//! The first rule in which two differ decides between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::app::{App, Field, KillSelection, Operator};
use ekiden_model::report::KillCause;
use ekiden_model::{AgentId, Condition, Incarnation, Instance, InstanceKey, RevisionId, Slot};

use crate::draft::Draft;
use crate::{draining, surplus};

/// A candidate in its place in the order.
pub(crate) struct Victim<'a> {
    pub(crate) instance: &'a Instance,
    /// Why it goes, when that is because another wanted instance of its revision is in its slot.
    pub(crate) beside: Option<KillCause>,
}

/// What decides before groups are evened.
type Class = (bool, bool, bool, bool, u8);
/// What decides after it.
type Rest = (i64, Reverse<Slot>, u32);

/// The candidates, all of one revision, in the order in which they go.
pub(crate) fn in_order<'a>(
    draft: &Draft<'_>,
    revision: RevisionId,
    candidates: Vec<&'a Instance>,
) -> Vec<Victim<'a>> {
    let global = draft.declared.is_some_and(App::is_global);
    let replaced = surplus::is_replaced(draft, revision);
    let succeeded = if replaced { Successors::of(draft, revision, global) } else { Successors::default() };
    let doubled = Doubled::among(&candidates, global);
    let youngest_first = draft.policy().is_none_or(|app| app.kill_selection == KillSelection::YoungestFirst);

    let leaving = draining::agents(draft);
    let class = |instance: &Instance| -> Class {
        (
            replaced && instance.is_healthy(),
            replaced && !leaving.contains(&instance.agent.id),
            replaced && !succeeded.include(instance),
            !doubled.include(instance),
            weight(instance.condition),
        )
    };
    let rest = |instance: &Instance| -> Rest {
        let staged = instance.staged.as_millis();
        let age = if youngest_first { -staged } else { staged };
        (age, Reverse(instance.key.slot), instance.key.incarnation.0.get())
    };
    let mut sorted: Vec<(Class, Rest, &Instance)> =
        candidates.into_iter().map(|instance| (class(instance), rest(instance), instance)).collect();
    sorted.sort_by_key(|(class, rest, _)| (*class, *rest));

    let fields = grouped_fields(draft);
    let ordered = if fields.is_empty() { sorted } else { evened(&fields, sorted) };
    let victim = |(_, _, instance): (Class, Rest, &'a Instance)| {
        let beside = doubled
            .slots
            .get(&instance.key.slot)
            .map(|last| if instance.key.incarnation < *last { KillCause::Returned } else { KillCause::Redundant });
        Victim { instance, beside }
    };
    ordered.into_iter().map(victim).collect()
}

/// Marathon's weight of a condition (§4.4): what is least useful goes first.
fn weight(condition: Condition) -> u8 {
    match condition {
        Condition::Unreachable => 1,
        Condition::Provisioned | Condition::Staging => 2,
        Condition::Starting => 3,
        Condition::Running => 4,
        _ => 5,
    }
}

/// Slots and agents at which a healthy instance of another revision has taken over.
#[derive(Default)]
struct Successors {
    slots: BTreeSet<Slot>,
    agents: BTreeSet<AgentId>,
}

impl Successors {
    fn of(draft: &Draft<'_>, revision: RevisionId, global: bool) -> Self {
        let mut successors = Self::default();
        let others = draft.view.app.instances.wanted().filter(|instance| instance.revision != revision);
        for instance in others.filter(|instance| instance.is_healthy()) {
            if global {
                successors.agents.insert(instance.agent.id.clone());
            } else {
                successors.slots.insert(instance.key.slot);
            }
        }
        successors
    }

    fn include(&self, instance: &Instance) -> bool {
        self.slots.contains(&instance.key.slot) || self.agents.contains(&instance.agent.id)
    }
}

/// Slots, each with its last incarnation, and agents that more than one candidate is in.
#[derive(Default)]
struct Doubled {
    slots: BTreeMap<Slot, Incarnation>,
    agents: BTreeSet<AgentId>,
}

impl Doubled {
    fn among(candidates: &[&Instance], global: bool) -> Self {
        let mut doubled = Self::default();
        let (mut slots, mut agents) = (BTreeMap::new(), BTreeSet::new());
        for instance in candidates {
            let InstanceKey { slot, incarnation } = instance.key;
            if !global && let Some(other) = slots.insert(slot, incarnation) {
                let last = doubled.slots.entry(slot).or_insert(other);
                *last = incarnation.max(*last);
            }
            if global && !agents.insert(&instance.agent.id) {
                doubled.agents.insert(instance.agent.id.clone());
            }
        }
        doubled
    }

    fn include(&self, instance: &Instance) -> bool {
        self.slots.contains_key(&instance.key.slot) || self.agents.contains(&instance.agent.id)
    }
}

fn grouped_fields<'a>(draft: &Draft<'a>) -> Vec<&'a Field> {
    let constraints = draft.policy().map_or(&[][..], |app| &app.constraints);
    let grouped = constraints.iter().filter(|constraint| matches!(constraint.operator, Operator::GroupBy(_)));
    grouped.map(|constraint| &constraint.field).collect()
}

/// Within each class, takes one after the other from the group that is then the largest.
///
/// An instance's group is its value of each GROUP_BY field together, and as large as these values' counts in sum:
/// with zones a: 3, b: 1 the order is a, a, then a or b by the rest of the rules.
fn evened<'a>(fields: &[&Field], sorted: Vec<(Class, Rest, &'a Instance)>) -> Vec<(Class, Rest, &'a Instance)> {
    type Group = Vec<Option<Arc<str>>>;
    let group_of = |instance: &Instance| -> Group {
        fields.iter().map(|field| instance.agent.value(field).cloned()).collect()
    };
    let mut counts: Vec<BTreeMap<Option<Arc<str>>, u32>> = vec![BTreeMap::new(); fields.len()];
    for (_, _, instance) in &sorted {
        for (count, value) in counts.iter_mut().zip(group_of(instance)) {
            *count.entry(value).or_insert(0) += 1;
        }
    }
    let mut ordered = Vec::with_capacity(sorted.len());
    let mut sorted = sorted.into_iter().peekable();
    while let Some((class, ..)) = sorted.peek() {
        let class = *class;
        // Reversed, so that each group's next is at its end.
        let mut groups: BTreeMap<Group, Vec<(Class, Rest, &'a Instance)>> = BTreeMap::new();
        while let Some(next) = sorted.next_if(|(next, ..)| *next == class) {
            groups.entry(group_of(next.2)).or_default().push(next);
        }
        for members in groups.values_mut() {
            members.reverse();
        }
        while !groups.is_empty() {
            let size = |group: &Group| -> u32 {
                counts.iter().zip(group).filter_map(|(count, value)| count.get(value)).sum()
            };
            let largest = groups
                .iter()
                .min_by_key(|(group, members)| (Reverse(size(group)), members.last().map(|(_, rest, _)| *rest)));
            let Some(group) = largest.map(|(group, _)| group.clone()) else { break };
            for (count, value) in counts.iter_mut().zip(&group) {
                count.entry(value.clone()).and_modify(|count| *count -= 1);
            }
            if let Some(members) = groups.get_mut(&group) {
                ordered.extend(members.pop());
                if members.is_empty() {
                    groups.remove(&group);
                }
            }
        }
    }
    ordered
}
