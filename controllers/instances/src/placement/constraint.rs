//! What the constraints mean for an agent (§4.9). All must hold; v is the agent's value of the constraint's field, P
//! the placed set (see [`super`]), c(v) how many of P have v.
//!
//! | operator   | holds when                                                                               |
//! |------------|------------------------------------------------------------------------------------------|
//! | UNIQUE     | c(v) = 0                                                                                 |
//! | CLUSTER    | v is the given value; without one: v is the first placed instance's, or nothing is placed |
//! | LIKE / UNLIKE | the pattern matches all of v / does not                                               |
//! | IS         | v is the value; numbers are compared as numbers                                          |
//! | MAX_PER n  | c(v) < n                                                                                 |
//! | GROUP_BY n | v has room in an even distribution of all instances over n values, see below             |
//!
//! Without a value only UNLIKE holds.
//!
//! **GROUP_BY.** Of I instances each of G values gets I/G, and I mod G of the values get one more:
//!
//! ```text
//! I = 10, G = 3:   share 3, one value may have 4
//! a: 3, b: 4, c: 2  →  a is full (b has the extra one), b is full, c has room
//! ```
//!
//! With a number this is Marathon's rule of 1.10, where a value that nothing is on yet has room as long as fewer than n
//! values are in use, even if there are I instances already. Without one (Marathon divides by zero) G is the number of
//! values that present agents have that are to stay and on which the constraints that look at the agent alone hold;
//! there is no limit on the values in use then. That cannot
//! stall for want of a value: the G values that exist have room for I instances together, whatever is on others,
//! because what those have beyond their share uses up extra ones only. It does wait for an agent with room at a value
//! whose turn it is: an even distribution is what was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::agent::Presence;
use ekiden_model::app::{App, Constraint, Field, Operator};
use ekiden_model::offer::{Column, LotIx, ValueIx};
use ekiden_model::{Agent, Instance, RevisionId, Scalar, Tally};

use crate::draft::Draft;
use crate::draining;

/// Whether the constraints that look at the agent alone hold for it.
pub(crate) fn admits(constraints: &[Constraint], agent: &Agent) -> bool {
    let mut alone = constraints.iter().filter(|constraint| looks_at_agent_alone(&constraint.operator));
    alone.all(|Constraint { field, operator }| match agent.value(field) {
        Some(value) => admits_value(operator, value),
        None => admits_none(operator),
    })
}

fn looks_at_agent_alone(operator: &Operator) -> bool {
    match operator {
        Operator::Like(_) | Operator::Unlike(_) | Operator::Is(_) | Operator::Cluster(Some(_)) => true,
        Operator::Unique | Operator::Cluster(None) | Operator::GroupBy(_) | Operator::MaxPer(_) => false,
    }
}

/// Whether a value will do, as far as that depends on the value alone.
fn admits_value(operator: &Operator, value: &str) -> bool {
    match operator {
        Operator::Like(pattern) => pattern.matches(value),
        Operator::Unlike(pattern) => !pattern.matches(value),
        Operator::Is(wanted) => is_same(value, wanted),
        Operator::Cluster(Some(wanted)) => value == wanted,
        Operator::Unique | Operator::Cluster(None) | Operator::GroupBy(_) | Operator::MaxPer(_) => true,
    }
}

/// Whether having no value will do.
fn admits_none(operator: &Operator) -> bool {
    matches!(operator, Operator::Unlike(_))
}

/// Equal texts, or equal numbers to three decimals as Mesos keeps them: `1.50` is `1.5`.
fn is_same(value: &str, wanted: &str) -> bool {
    let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite()).map(Scalar::from_f64);
    value == wanted || number(value).is_some_and(|value| number(wanted) == Some(value))
}

/// The constraints of an app as they stand for the launches of one revision in one decision.
///
/// They are asked lot by lot, but answer by the number of the lot's value (see [`Column`]): each value is judged once.
pub(super) struct Rules<'a> {
    rules: Vec<Rule<'a>>,
}

struct Rule<'a> {
    constraint: &'a Constraint,
    column: Arc<Column>,
    test: Test,
}

enum Test {
    /// Looks at the agent alone.
    Static(Arc<Vec<bool>>),
    /// Looks at what is placed.
    Placed(Counts, Limit, Remembered),
    /// Any value, as long as nothing is placed.
    Unpinned,
    /// The value of what is placed; nothing if no lot has it.
    Pinned(Option<ValueIx>),
}

/// How many a value may have.
enum Limit {
    /// So many; UNIQUE is one.
    AtMost(u32),
    /// As many as an even distribution gives it.
    Even(Even),
}

/// An even distribution over groups.
struct Even {
    groups: u32,
    share: u32,
    extra: u64,
    /// Instances beyond the share, over all values.
    beyond: u64,
    /// Most values in use, where the user said so.
    most_values: Option<u32>,
}

/// Which values have room, as far as asked since the last launch.
struct Remembered(Vec<Option<bool>>);

impl<'a> Rules<'a> {
    pub(super) fn of(draft: &Draft<'a>, declared: &'a App, revision: RevisionId) -> Self {
        let book = draft.view.book;
        let rule = |constraint: &'a Constraint| {
            let Constraint { field, operator } = constraint;
            let column = book.column(field);
            let test = if looks_at_agent_alone(operator) {
                Test::Static(book.judged(constraint, |value| admits_value(operator, value)))
            } else if let Operator::Cluster(_) = operator {
                let pinned = first_value(draft, revision, field);
                pinned.map_or(Test::Unpinned, |value| Test::Pinned(column.number(&value)))
            } else {
                let counts = Counts::of(draft, revision, field);
                let limit = Limit::of(draft, declared, constraint, &counts);
                Test::Placed(counts, limit, Remembered(vec![None; column.len()]))
            };
            Rule { constraint, column, test }
        };
        Self { rules: declared.constraints.iter().map(rule).collect() }
    }

    /// Over how many values each GROUP_BY spreads.
    pub(super) fn groups(&self) -> Vec<u32> {
        let groups = |rule: &Rule<'_>| match &rule.test {
            Test::Placed(_, Limit::Even(even), _) => Some(even.groups),
            _ => None,
        };
        self.rules.iter().filter_map(groups).collect()
    }

    /// The first constraint that does not hold for an instance on the agent of `lot`.
    pub(super) fn broken_by(&mut self, lot: LotIx) -> Option<&'a Constraint> {
        self.rules.iter_mut().find_map(|rule| (!rule.holds(lot)).then_some(rule.constraint))
    }

    /// Counts an instance that this decision launches in `lot`.
    pub(super) fn note_launch(&mut self, lot: LotIx) {
        for rule in &mut self.rules {
            let Some(number) = rule.column.of(lot) else { continue };
            let Some(value) = rule.column.value(number) else { continue };
            match &mut rule.test {
                Test::Static(_) | Test::Pinned(_) => {}
                Test::Unpinned => rule.test = Test::Pinned(Some(number)),
                Test::Placed(counts, limit, remembered) => {
                    match limit {
                        Limit::AtMost(_) => remembered.0[number.index()] = None,
                        // The extra ones are everybody's.
                        Limit::Even(even) => {
                            even.beyond += u64::from(counts.count(value) >= even.share);
                            remembered.0.fill(None);
                        }
                    }
                    counts.add(value);
                }
            }
        }
    }
}

impl Rule<'_> {
    fn holds(&mut self, lot: LotIx) -> bool {
        let Some(number) = self.column.of(lot) else { return admits_none(&self.constraint.operator) };
        match &mut self.test {
            Test::Static(judged) => judged.get(number.index()).copied().unwrap_or(false),
            Test::Unpinned => true,
            Test::Pinned(pinned) => *pinned == Some(number),
            Test::Placed(counts, limit, remembered) => {
                let known = &mut remembered.0[number.index()];
                *known.get_or_insert_with(|| {
                    let count = self.column.value(number).map_or(0, |value| counts.count(value));
                    limit.has_room(count, counts.distinct)
                })
            }
        }
    }
}

impl Limit {
    fn of(
        draft: &Draft<'_>,
        declared: &App,
        Constraint { field, operator }: &Constraint,
        counts: &Counts,
    ) -> Self {
        match operator {
            Operator::MaxPer(most) => Self::AtMost(*most),
            Operator::GroupBy(number) => {
                let number = number.filter(|number| *number > 0);
                let present = || values_present(draft, &declared.constraints, field);
                let groups = number.unwrap_or_else(present);
                Self::Even(Even::new(draft.view.desired, groups, number, counts))
            }
            _ => Self::AtMost(1),
        }
    }

    /// Whether one more goes on a value that has `count`, with `in_use` values in use.
    fn has_room(&self, count: u32, in_use: u32) -> bool {
        match self {
            Self::AtMost(most) => count < *most,
            Self::Even(even) => even.has_room(count, in_use),
        }
    }
}

impl Even {
    fn new(instances: u32, groups: u32, most_values: Option<u32>, counts: &Counts) -> Self {
        // No group at all: no agent has a value, and none is accepted for want of one.
        let groups = groups.max(1);
        let share = instances / groups;
        Self { groups, share, extra: u64::from(instances % groups), beyond: counts.beyond(share), most_values }
    }

    fn has_room(&self, count: u32, in_use: u32) -> bool {
        if let Some(most) = self.most_values.filter(|_| count == 0) {
            return in_use < most;
        }
        count < self.share || (count == self.share && self.beyond < self.extra)
    }
}

/// How many of the placed set have each value: as tallied, less those that do not count at present, and the launches
/// of this decision.
struct Counts {
    tally: Arc<Tally>,
    changes: BTreeMap<Arc<str>, i64>,
    distinct: u32,
}

impl Counts {
    fn of(draft: &Draft<'_>, revision: RevisionId, field: &Field) -> Self {
        let instances = &draft.view.app.instances;
        let tally = instances.tally(revision, field);
        let mut counts = Self { distinct: tally.distinct(), tally, changes: BTreeMap::new() };
        let absent = draft.not_placed().filter(|instance| instance.revision == revision);
        for value in absent.filter_map(|instance| instance.agent.value(field)) {
            *counts.changes.entry(value.clone()).or_insert(0) -= 1;
            counts.distinct -= u32::from(counts.count(value) == 0);
        }
        counts
    }

    fn count(&self, value: &Arc<str>) -> u32 {
        let tallied = self.tally.count(value);
        if self.changes.is_empty() {
            return tallied;
        }
        let change = self.changes.get(value).copied().unwrap_or(0);
        u32::try_from(i64::from(tallied) + change).unwrap_or(0)
    }

    fn add(&mut self, value: &Arc<str>) {
        self.distinct += u32::from(self.count(value) == 0);
        *self.changes.entry(value.clone()).or_insert(0) += 1;
    }

    fn beyond(&self, share: u32) -> u64 {
        let over = |count: u32| u64::from(count.saturating_sub(share));
        let tallied = self.tally.beyond(share);
        self.changes.keys().fold(tallied, |beyond, value| {
            (beyond + over(self.count(value))).saturating_sub(over(self.tally.count(value)))
        })
    }
}

/// The value that CLUSTER is pinned to: that of the first wanted instance which has one; where none is wanted, of the
/// first that is still there. One that is ending, as when it came back elsewhere after it had been replaced, must not
/// lead the others away from where the app is.
fn first_value(draft: &Draft<'_>, revision: RevisionId, field: &Field) -> Option<Arc<str>> {
    let is_placed = |instance: &&Instance| {
        instance.revision == revision
            && instance.is_placed()
            && !draft.not_placed().any(|absent| absent.key == instance.key)
    };
    let placed = || draft.view.app.instances.iter().filter(is_placed);
    let value = |instance: &Instance| instance.agent.value(field).cloned();
    placed().filter(|instance| draft.is_wanted(instance)).find_map(value).or_else(|| placed().find_map(value))
}

/// How many values of `field` the present agents have on which the constraints that look at the agent alone hold, those
/// left out that are to be left: where only such agents have a value, nothing can be placed at it.
fn values_present(draft: &Draft<'_>, constraints: &[Constraint], field: &Field) -> u32 {
    let leaving = draining::agents(draft);
    draft.view.agents.survey(constraints, field, &leaving, |all| {
        let present = all.values().filter(|state| state.presence == Presence::Present);
        let staying = present.filter(|state| !leaving.contains(&state.agent.id));
        let admitted = staying.filter(|state| admits(constraints, &state.agent));
        let values: BTreeSet<&Arc<str>> = admitted.filter_map(|state| state.agent.value(field)).collect();
        values.len() as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(is_same("1.5", "1.50") && is_same("rack-1", "rack-1") && is_same("2", "2.0"));
        assert!(!is_same("1.5", "1.51") && !is_same("rack-1", "rack-2") && !is_same("nan", "NaN"));
    }

    #[test]
    fn an_even_distribution_has_no_room_beyond_its_extra_ones() {
        // a: 3, b: 4, c: 2 of 10 over 3: share 3, one extra, which b has.
        let even = Even { groups: 3, share: 3, extra: 1, beyond: 1, most_values: None };
        assert!(!even.has_room(3, 3) && !even.has_room(4, 3) && even.has_room(2, 3));
        let with_room = Even { beyond: 0, ..even };
        assert!(with_room.has_room(3, 3) && !with_room.has_room(4, 3));
        // Fewer instances than values: one each, on as many values as there are instances.
        let few = Even { groups: 3, share: 0, extra: 2, beyond: 1, most_values: None };
        assert!(few.has_room(0, 1) && !few.has_room(1, 1));
        let full = Even { beyond: 2, ..few };
        assert!(!full.has_room(0, 2));
        let named = Even { groups: 2, share: 2, extra: 0, beyond: 0, most_values: Some(2) };
        assert!(named.has_room(0, 1) && !named.has_room(0, 2) && named.has_room(1, 2));
    }
}
