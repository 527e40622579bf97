//! The lots' values of one field of their agents, as numbers: what constraints look at, once per value and not once
//! per lot.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Lot, LotIx};
use crate::app::{Constraint, Field, Operator};
use crate::fixed_hash::FixedState;

/// Values of one field, numbered as they were first seen.
#[derive(Debug, Clone, Default)]
pub struct Column {
    numbers: HashMap<Arc<str>, ValueIx, FixedState>,
    values: Vec<Arc<str>>,
    of_lot: Vec<Option<ValueIx>>,
}

/// The number of a value in its [`Column`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueIx(std::num::NonZeroU32);

impl ValueIx {
    /// As an index: 0, 1, 2, …
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Column {
    /// The number of a lot's value; nothing where its agent has none.
    pub fn of(&self, lot: LotIx) -> Option<ValueIx> {
        self.of_lot.get(lot.0 as usize).copied().flatten()
    }

    /// The value with this number.
    pub fn value(&self, number: ValueIx) -> Option<&Arc<str>> {
        self.values.get(number.index())
    }

    /// The number of a value, if a lot has or had it.
    pub fn number(&self, value: &str) -> Option<ValueIx> {
        self.numbers.get(value).copied()
    }

    /// How many numbers there are; some may belong to no lot any more.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no lot has a value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn set(&mut self, lot: LotIx, value: Option<&Arc<str>>) {
        let number = value.map(|value| self.numbered(value));
        let at = lot.0 as usize;
        if self.of_lot.len() <= at {
            self.of_lot.resize(at + 1, None);
        }
        self.of_lot[at] = number;
    }

    fn numbered(&mut self, value: &Arc<str>) -> ValueIx {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        self.values.push(value.clone());
        let number = ValueIx(std::num::NonZeroU32::MIN.saturating_add(self.values.len() as u32 - 1));
        self.numbers.insert(value.clone(), number);
        number
    }
}

/// Most columns kept at a time: more fields than any installation constrains.
const COLUMNS_KEPT: usize = 16;

/// Most judgements kept per column: one per distinct constraint on the field that apps use at a time.
const JUDGEMENTS_KEPT: usize = 64;

/// A column is made anew when it has numbered so many values per lot: those of lots that are gone are then dropped.
const VALUES_PER_LOT: usize = 4;

/// The columns that were asked for.
#[derive(Default)]
pub(super) struct Columns {
    kept: Vec<Kept>,
}

struct Kept {
    field: Field,
    column: Arc<Column>,
    judgements: Vec<(Operator, Arc<Vec<bool>>)>,
}

impl Columns {
    /// The column of a field, made of these lots if it is not there.
    pub(super) fn of<'a>(&mut self, field: &Field, lots: impl Iterator<Item = (LotIx, &'a Lot)>) -> Arc<Column> {
        self.keep(field, lots).column.clone()
    }

    /// For each value of the constraint's field whether `judge` says that it will do.
    pub(super) fn judged<'a>(
        &mut self,
        Constraint { field, operator }: &Constraint,
        lots: impl Iterator<Item = (LotIx, &'a Lot)>,
        judge: impl Fn(&str) -> bool,
    ) -> Arc<Vec<bool>> {
        let kept = self.keep(field, lots);
        let at = kept.judgements.iter().position(|(known, _)| known == operator).unwrap_or_else(|| {
            if kept.judgements.len() == JUDGEMENTS_KEPT {
                kept.judgements.remove(0);
            }
            kept.judgements.push((operator.clone(), Arc::default()));
            kept.judgements.len() - 1
        });
        let judged = &mut kept.judgements[at].1;
        if judged.len() < kept.column.len() {
            let new = kept.column.values[judged.len()..].iter().map(|value| judge(value));
            Arc::make_mut(judged).extend(new);
        }
        judged.clone()
    }

    fn keep<'a>(&mut self, field: &Field, lots: impl Iterator<Item = (LotIx, &'a Lot)>) -> &mut Kept {
        let at = self.kept.iter().position(|kept| kept.field == *field).unwrap_or_else(|| {
            if self.kept.len() == COLUMNS_KEPT {
                self.kept.remove(0);
            }
            let mut column = Column::default();
            lots.for_each(|(ix, lot)| column.set(ix, lot.agent.value(field)));
            self.kept.push(Kept { field: field.clone(), column: Arc::new(column), judgements: Vec::new() });
            self.kept.len() - 1
        });
        &mut self.kept[at]
    }

    /// Notes the values of a lot that is new or whose agent was described anew.
    pub(super) fn set(&mut self, ix: LotIx, lot: &Lot, lots: usize) {
        // A few hundred values cost less than making the column again and again.
        const FEW: usize = 1024;
        self.kept.retain(|kept| kept.column.len() <= FEW.max(lots * VALUES_PER_LOT));
        for kept in &mut self.kept {
            Arc::make_mut(&mut kept.column).set(ix, lot.agent.value(&kept.field));
        }
    }
}
