//! Which of several lots is preferred.
//!
//! | strategy | prefers                                                | begins                                    |
//! |----------|--------------------------------------------------------|-------------------------------------------|
//! | spread   | the agent with the fewest instances of the app         | after the lot that was used last          |
//! | binpack  | the lot in which the fewest more of them would fit     | at the lot that was used last             |
//! | random   | the first that does                                    | anywhere, anew for every launch           |
//!
//! Of equals the first from the beginning is taken. Where nothing was used yet the beginning comes from the view's
//! entropy, so that many apps of one instance do not crowd on the first agent, and a replay finds the same.

use ekiden_model::app::{App, Strategy};
use ekiden_model::offer::{Lot, LotIx, SearchFrom};
use ekiden_model::{Resources, Role, Scalar, View};

use super::Used;
use super::fit::Needs;

/// How many lots that would do are compared. Nomad compares ⌈log2 of the agents⌉, 14 for 10,000; a moving beginning
/// makes the first ones good already (spread evenly in turn, or the one that is being filled), and two choices are
/// known to be exponentially better than one while each further one adds little.
pub(super) const CANDIDATES: u32 = 8;

/// How lots are compared, and where the search begins.
pub(super) struct Preference {
    strategy: Strategy,
    from: SearchFrom,
    entropy: u64,
    launches: u64,
    /// A lot with no higher score cannot be bettered by much, and ends the search.
    good: u64,
    /// Whether there are more lots than are compared.
    many: bool,
}

impl Preference {
    pub(super) fn of(view: &View<'_>, declared: &App, role: &Role) -> Self {
        let strategy = declared.placement.strategy;
        let latest = view.app.instances.latest().filter(|_| strategy != Strategy::Random);
        let last_used = latest.and_then(|latest| view.book.of_agent(&latest.agent.id, role));
        let from = match (last_used, strategy) {
            (Some(ix), Strategy::Spread) => SearchFrom::After(ix),
            (Some(ix), _) => SearchFrom::At(ix),
            (None, _) => SearchFrom::Anywhere(scramble(view.entropy)),
        };
        let lots = view.book.lots_of(role) as u64;
        let many = lots > u64::from(CANDIDATES);
        let good = match strategy {
            // At or below the average there is little to gain, except where all lots are looked at anyway.
            Strategy::Spread if many => u64::from(view.app.instances.total().placed()) / lots,
            Strategy::Spread => 0,
            Strategy::Binpack => 1,
            Strategy::Random => u64::MAX,
        };
        Self { strategy, from, entropy: view.entropy, launches: 0, good, many }
    }

    /// Where the next search begins.
    pub(super) fn from(&self) -> SearchFrom {
        self.from
    }

    pub(super) fn is_best(&self, score: u64) -> bool {
        score <= self.good
    }

    /// The lower the better.
    pub(super) fn score(&self, view: &View<'_>, needs: &Needs<'_>, lot: &Lot, used: Option<&Used>) -> u64 {
        match self.strategy {
            Strategy::Spread => {
                let launched = used.map_or(0, |used| used.launches);
                u64::from(view.app.instances.on_agent(&lot.agent.id) + launched)
            }
            Strategy::Binpack => copies(&needs.available(lot, used), needs.resources()),
            Strategy::Random => 0,
        }
    }

    /// A lot of this score was used: the next search begins elsewhere.
    pub(super) fn move_on(&mut self, used: LotIx, score: u64) {
        self.launches += 1;
        if self.many {
            // The best of several: another like it is good enough. So constraints that leave few lots, with more than
            // the average of all on each, do not make every search look at as many as it may.
            self.good = self.good.max(score);
        }
        self.from = match self.strategy {
            Strategy::Spread => SearchFrom::After(used),
            Strategy::Binpack => SearchFrom::At(used),
            Strategy::Random => SearchFrom::Anywhere(scramble(self.entropy.wrapping_add(self.launches))),
        };
    }
}

/// How many more instances of this need would fit.
fn copies(have: &Resources, need: &Resources) -> u64 {
    let times = |have: Scalar, need: Scalar| have.0.checked_div(need.0).unwrap_or(u64::MAX);
    times(have.cpus, need.cpus)
        .min(times(have.mem, need.mem))
        .min(times(have.disk, need.disk))
        .min(times(have.gpus, need.gpus))
}

/// Spreads neighbouring numbers over all numbers (the finaliser of splitmix64).
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
