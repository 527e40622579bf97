//! How an app is kept: the part of a declaration that changes in place.

use std::time::Duration;

/// A number from 0 to 1 in millionths, so that policies can be compared exactly, and so that what a user wrote
/// (0.3333) is what a client reads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fraction(u32);

/// What a whole is counted in.
const MILLION: u32 = 1_000_000;

impl Fraction {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The whole.
    pub const ONE: Self = Self(MILLION);

    /// The nearest millionth; `None` outside 0 to 1.
    pub fn from_f64(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then(|| Self((value * f64::from(MILLION)).round() as u32))
    }

    /// As a number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(MILLION)
    }

    /// This part of `count`, rounded up.
    pub fn ceil_of(self, count: u32) -> u32 {
        (u64::from(count) * u64::from(self.0)).div_ceil(u64::from(MILLION)) as u32
    }

    /// This part of `count`, rounded down.
    pub fn floor_of(self, count: u32) -> u32 {
        (u64::from(count) * u64::from(self.0) / u64::from(MILLION)) as u32
    }
}

/// How many instances a rollout may miss, and how many it may have too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// Marathon's `upgradeStrategy`.
    Marathon {
        /// Share of the instances that stays healthy.
        minimum_health: Fraction,
        /// Share of the instances that may run beyond them.
        maximum_over: Fraction,
    },
    /// Our `rollout.maxSurge` and `rollout.maxUnavailable`.
    Counted {
        /// How many may run beyond the instances; a share is rounded up.
        max_surge: Count,
        /// How many of the instances may be missing; a share is rounded down.
        max_unavailable: Count,
    },
}

/// A number of instances, or a share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Whole(u32),
    /// So much of the instances.
    Share(Fraction),
}

/// When a rollout stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RolloutPolicy {
    /// Without progress for so long, a rollout has failed; never when not given.
    pub progress_deadline: Option<Duration>,
    /// Whether it stands still.
    pub paused: bool,
    /// Whether a failed rollout goes back to the last healthy revision.
    pub auto_rollback: bool,
}

/// The wait after failures: `base` × `factor`^(n−1), at most `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackoffPolicy {
    /// After the first failure.
    pub base: Duration,
    /// Growth per further failure, at least 1.
    pub factor: f64,
    /// Never longer.
    pub max: Duration,
}

impl Default for BackoffPolicy {
    /// Marathon's: 1 s, growing by 15 %, at most 5 minutes.
    fn default() -> Self {
        Self { base: Duration::from_secs(1), factor: 1.15, max: Duration::from_secs(300) }
    }
}

/// Who goes first on the way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillSelection {
    /// The one staged last.
    YoungestFirst,
    /// The one staged first.
    OldestFirst,
}

/// What becomes of an instance whose agent does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreachableStrategy {
    /// It is waited for, for ever.
    Disabled,
    /// It is replaced, and later forgotten.
    Replace {
        /// Unreachable for so long, it gets a replacement.
        inactive_after: Duration,
        /// Unreachable for so long, it is forgotten: should it return, it is killed.
        expunge_after: Duration,
    },
}

/// How agents are chosen and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Which of the agents that could take an instance is preferred.
    pub strategy: Strategy,
    /// How instances are counted.
    pub mode: PlacementMode,
}

/// Which agent is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The one with the fewest instances of the app.
    Spread,
    /// The fullest one.
    Binpack,
    /// Any.
    Random,
}

/// How instances are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementMode {
    /// As many as declared.
    Replicated,
    /// One on every agent that matches.
    Global,
}
