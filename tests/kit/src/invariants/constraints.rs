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
        // After an edit, the others may be on several values: any of them will do.
        Operator::Cluster(None) => groups.is_empty() || here > 0,
        Operator::MaxPer(most) => here < *most,
        Operator::Like(pattern) => pattern.matches(value),
        Operator::Unlike(pattern) => !pattern.matches(value),
        Operator::Is(wanted) | Operator::Cluster(Some(wanted)) => **value == **wanted,
        // Of I instances each of G values gets I/G, and I mod G of the values get one more.
        Operator::GroupBy(Some(number)) => {
            let number = (*number).max(1);
            let (share, rest) = (count / number, count % number);
            let used: u32 = groups.values().map(|held| held.saturating_sub(share)).sum();
            let room = here < share || (here == share && rest > used);
            room && (here > 0 || (groups.len() as u32) < number)
        }
        // Without a number, G is how many values there are, which only those who know all agents can say.
        Operator::GroupBy(None) => true,
    }
}
