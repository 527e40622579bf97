//! The lots of one role side by side: finds those that may hold a need without looking at each.
//!
//! Above the row of what each lot has stand rows of maxima, each over [`FAN`] entries of the row below:
//!
//! ```text
//! [16 cpus, 4 GiB]                       the most that any lot has of each
//! [ 2,  4]  [16,  2]  …                  of each 16 lots
//! [ 1,4][2,0]…  [16,1][0,2]…             of each lot
//! ```
//!
//! A search for 8 cpus skips the first sixteen lots at once; where nothing has 8, it ends at the top.

use super::LotIx;
use crate::resources::Resources;

/// Entries per maximum. A row of 16 is 512 bytes: eight cache lines, which a processor fetches ahead; 10,000 lots
/// have four rows.
const FAN: usize = 16;

/// The lots of one role.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    seats: Vec<Option<LotIx>>,
    vacant: Vec<u32>,
    /// What each seat has, then the maxima over it, row by row, up to a single entry.
    rows: Vec<Vec<Resources>>,
}

impl Shelf {
    /// How many lots there are.
    pub(super) fn len(&self) -> usize {
        self.seats.len() - self.vacant.len()
    }

    /// Puts a lot on the shelf, with nothing in it, and says where.
    pub(super) fn seat(&mut self, lot: LotIx) -> u32 {
        if let Some(seat) = self.vacant.pop() {
            self.seats[seat as usize] = Some(lot);
            return seat;
        }
        self.seats.push(Some(lot));
        let mut entries = self.seats.len();
        for row in 0.. {
            if row == self.rows.len() {
                self.rows.push(Vec::new());
            }
            let first_of_row = self.rows[row].is_empty();
            self.rows[row].resize(entries, Resources::NONE);
            if first_of_row && row > 0 {
                // A new top row: what is below it has been there for long.
                self.rows[row][0] = maximum(&self.rows[row - 1]);
            }
            if entries == 1 {
                break;
            }
            entries = entries.div_ceil(FAN);
        }
        self.seats.len() as u32 - 1
    }

    /// Takes a lot off the shelf.
    pub(super) fn vacate(&mut self, seat: u32) {
        self.set(seat, Resources::NONE);
        self.seats[seat as usize] = None;
        self.vacant.push(seat);
    }

    /// Notes what the lot at `seat` has.
    pub(super) fn set(&mut self, seat: u32, have: Resources) {
        let mut at = seat as usize;
        let mut entry = have;
        for row in 0..self.rows.len() {
            let before = std::mem::replace(&mut self.rows[row][at], entry);
            if before == entry {
                return;
            }
            let Some(above) = self.rows.get(row + 1) else { return };
            let grows_only = entry.covers(&before);
            let first = at / FAN * FAN;
            at /= FAN;
            entry = if grows_only {
                most(&above[at], &entry)
            } else {
                maximum(&self.rows[row][first..(first + FAN).min(self.rows[row].len())])
            };
        }
    }

    /// The seats that may hold `need`, from `start` on and round to it again.
    pub(super) fn holding<'a>(&'a self, need: &'a Resources, start: usize) -> impl Iterator<Item = LotIx> + 'a {
        let seats = self.seats.len();
        let start = if seats == 0 { 0 } else { start % seats };
        self.between(need, start, seats).chain(self.between(need, 0, start))
    }

    fn between<'a>(&'a self, need: &'a Resources, start: usize, end: usize) -> impl Iterator<Item = LotIx> + 'a {
        let mut next = start;
        std::iter::from_fn(move || {
            loop {
                let seat = self.next_holding(need, next, end)?;
                next = seat + 1;
                if let Some(lot) = self.seats[seat] {
                    return Some(lot);
                }
            }
        })
    }

    /// The first seat in `at..end` that has `need`.
    fn next_holding(&self, need: &Resources, mut at: usize, end: usize) -> Option<usize> {
        let mut row = 0;
        // `at` counts entries of `row`. An entry that does not hold the need is passed over with all below it; at the
        // end of a group one goes up, in one that holds the need one goes down.
        loop {
            let first_seat = at * FAN.pow(row as u32);
            if first_seat >= end || at >= self.rows.get(row)?.len() {
                return None;
            }
            if self.rows[row][at].covers(need) {
                if row == 0 {
                    return Some(at);
                }
                row -= 1;
                at *= FAN;
                continue;
            }
            at += 1;
            while at.is_multiple_of(FAN) && row + 1 < self.rows.len() {
                at /= FAN;
                row += 1;
            }
        }
    }
}

fn most(a: &Resources, b: &Resources) -> Resources {
    Resources {
        cpus: a.cpus.max(b.cpus),
        mem: a.mem.max(b.mem),
        disk: a.disk.max(b.disk),
        gpus: a.gpus.max(b.gpus),
    }
}

fn maximum(row: &[Resources]) -> Resources {
    row.iter().fold(Resources::NONE, |max, entry| most(&max, entry))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resources::Scalar;

    fn some(cpus: u64, mem: u64) -> Resources {
        Resources { cpus: Scalar(cpus), mem: Scalar(mem), ..Resources::NONE }
    }

    proptest! {
        #[test]
        fn a_shelf_finds_what_looking_at_each_lot_finds(
            steps in prop::collection::vec((0_u32..700, 0_u64..4, 0_u64..4), 0..900),
            need in (0_u64..4, 0_u64..4),
            start in 0_usize..1000,
        ) {
            let mut shelf = Shelf::default();
            let mut seats: Vec<(u32, Option<Resources>)> = Vec::new();
            for (step, (which, cpus, mem)) in steps.into_iter().enumerate() {
                match seats.iter_mut().find(|(seat, have)| *seat == which && have.is_some()) {
                    Some((seat, have)) if cpus == 0 && mem == 0 => {
                        shelf.vacate(*seat);
                        *have = None;
                    }
                    Some((seat, have)) => {
                        shelf.set(*seat, some(cpus, mem));
                        *have = Some(some(cpus, mem));
                    }
                    None => {
                        let seat = shelf.seat(LotIx(step as u32));
                        shelf.set(seat, some(cpus, mem));
                        seats.retain(|(other, _)| *other != seat);
                        seats.push((seat, Some(some(cpus, mem))));
                    }
                }
            }
            seats.sort_by_key(|(seat, _)| *seat);
            let need = some(need.0, need.1);
            let from = if seats.is_empty() { 0 } else { start % seats.len() };
            let (before, after) = seats.split_at(from);
            let holds = |(seat, have): &&(u32, Option<Resources>)| {
                have.is_some_and(|have| have.covers(&need)).then_some(*seat)
            };
            let expected: Vec<Option<LotIx>> =
                after.iter().chain(before).filter_map(|entry| holds(&entry)).map(|seat| shelf.seats[seat as usize]).collect();
            let found: Vec<Option<LotIx>> = shelf.holding(&need, start).map(Some).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(shelf.len(), seats.iter().filter(|(_, have)| have.is_some()).count());
        }
    }
}
