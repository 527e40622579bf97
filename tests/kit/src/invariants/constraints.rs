//! S4: what constraints mean, told again from `reference/marathon.md` §4.9 and independently of the code that places.

use std::collections::BTreeMap;

use ekiden_model::Agent;
use ekiden_model::app::{Constraint, Operator};

/// Whether an instance may be on `agent` beside others of its revision on `others`, when the app shall have `count`.
pub fn holds<'a>(
    constraint: &Constraint,
    agent: &Agent,
    others: impl Iterator<Item = &'a Agent>,
    count: u32,
) -> bool {
    let Some(value) = agent.value(&constraint.field) else {
        return matches!(constraint.operator, Operator::Unlike(_));
    };
    let mut groups: BTreeMap<&str, u32> = BTreeMap::new();
    for other in others {
        if let Some(value) = other.value(&constraint.field) {
            *groups.entry(value).or_default() += 1;
        }
    }
    let here = groups.get(&**value).copied().unwrap_or(0);
    match &constraint.operator {
        Operator::Unique => here == 0,
        Operator::Cluster(Some(wanted)) => **value == **wanted,
        // After an edit, the others may be on several values: any of them will do.
        Operator::Cluster(None) => groups.is_empty() || here > 0,
        Operator::MaxPer(most) => here < *most,
        Operator::Like(pattern) => pattern.matches(value),
        Operator::Unlike(pattern) => !pattern.matches(value),
        Operator::Is(wanted) => **value == **wanted,
        // No group has more than its share, rounded up: the least that every form of the rule promises.
        Operator::GroupBy(Some(groups)) => here < count.div_ceil((*groups).max(1)).max(1),
        Operator::GroupBy(None) => true,
    }
}
