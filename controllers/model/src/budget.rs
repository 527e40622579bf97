//! The one disruption budget of an app: how few instances may be healthy by our own doing, and how many may exist.
//!
//! Every voluntary kill (rollout, scale-in, drain, …) takes a permit here, so that no two reasons together take what
//! neither may take alone. Losses that nobody chose need no permit and are debited by simply not being healthy.

use crate::app::{App, Capacity, Count, Fraction};
use crate::app_state::AppState;
use crate::instance::Instance;

/// Between how many healthy instances and how many instances in all an app is kept while it is changed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Our own kills leave at least so many healthy.
    pub floor: u32,
    /// Our own launches make at most so many.
    pub ceiling: u32,
}

impl Capacity {
    /// The bounds for `count` declared instances.
    ///
    /// Marathon's rule (§4.5) is floor = ⌈count × minimum⌉ and ceiling = ⌊count × (1 + over)⌋. Two cases of it cannot
    /// move, and are mended:
    ///
    /// * 4 instances, minimum 1, over 0: floor 4, ceiling 4. One more is allowed, as in Marathon: ceiling 5.
    /// * 5 instances, minimum 0.9, over 0: ⌈4.5⌉ = 5 leaves no room although less than all was asked for. Whoever
    ///   asks for less than all of several lets one go: floor 4, ceiling 5 (Marathon: stuck on fixed ports, #3546).
    ///
    /// The same holds for counted bounds of no surge and no unavailability.
    pub fn bounds(&self, count: u32) -> Bounds {
        let (mut floor, mut ceiling) = match *self {
            Self::Marathon { minimum_health, maximum_over } => {
                let floor = minimum_health.ceil_of(count);
                let lenient = minimum_health < Fraction::ONE && count > 1;
                let floor = if lenient { floor.min(count - 1) } else { floor };
                (floor, count.saturating_add(maximum_over.floor_of(count)))
            }
            Self::Counted { max_surge, max_unavailable } => {
                let surge = match max_surge {
                    Count::Whole(surge) => surge,
                    Count::Share(share) => share.ceil_of(count),
                };
                let unavailable = match max_unavailable {
                    Count::Whole(unavailable) => unavailable,
                    Count::Share(share) => share.floor_of(count),
                };
                (count.saturating_sub(unavailable), count.saturating_add(surge))
            }
        };
        floor = floor.min(count);
        if floor == ceiling && count > 0 {
            ceiling += 1;
        }
        Bounds { floor, ceiling }
    }
}

impl App {
    /// The bounds for `count` instances of this app.
    ///
    /// A global app has no room for a surge: each agent holds one instance, and the next can only come when that one
    /// has gone. So one may always go (5 agents, minimum 1, over 1: floor 4, ceiling 5, and not 5 and 10, with which
    /// nothing would ever move).
    pub fn bounds(&self, count: u32) -> Bounds {
        let bounds = self.capacity.bounds(count);
        if self.is_global() {
            return Bounds { floor: bounds.floor.min(count.saturating_sub(1)), ceiling: count };
        }
        bounds
    }
}

/// What is left of an app's budget within one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    floor: u32,
    healthy: u32,
}

impl Budget {
    /// The budget of `app` as it is, for `desired` instances.
    pub fn new(app: &AppState, desired: u32) -> Self {
        let floor = app.declared.as_ref().map_or(0, |declared| declared.app.bounds(desired).floor);
        let healthy = app.instances.total().healthy;
        Self { floor, healthy }
    }

    /// Healthy instances, less those that were permitted to be killed.
    pub fn healthy(&self) -> u32 {
        self.healthy
    }

    /// How many of them must stay.
    pub fn floor(&self) -> u32 {
        self.floor
    }

    /// Healthy instances that may still be killed.
    pub fn left(&self) -> u32 {
        self.healthy.saturating_sub(self.floor)
    }

    /// Asks to kill `instance`. One that is not healthy takes nothing from anybody and is always permitted.
    #[must_use = "a kill without a permit breaks the floor"]
    pub fn permit(&mut self, instance: &Instance) -> bool {
        if !instance.is_healthy() {
            return true;
        }
        if self.healthy <= self.floor {
            return false;
        }
        self.healthy -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marathon(minimum: f64, over: f64) -> Capacity {
        let fraction = |value| Fraction::from_f64(value).expect("within 0 to 1");
        Capacity::Marathon { minimum_health: fraction(minimum), maximum_over: fraction(over) }
    }

    #[test]
    fn bounds_are_marathons_and_never_stuck() {
        let bounds = |capacity: Capacity, count| {
            let Bounds { floor, ceiling } = capacity.bounds(count);
            (floor, ceiling)
        };
        assert_eq!(bounds(marathon(1.0, 1.0), 4), (4, 8));
        assert_eq!(bounds(marathon(0.5, 0.2), 10), (5, 12));
        assert_eq!(bounds(marathon(1.0, 0.0), 4), (4, 5));
        assert_eq!(bounds(marathon(0.9, 0.0), 5), (4, 5));
        assert_eq!(bounds(marathon(0.5, 0.0), 1), (1, 2));
        assert_eq!(bounds(marathon(0.0, 0.0), 3), (0, 3));
        assert_eq!(bounds(marathon(1.0, 1.0), 0), (0, 0));
        let counted = |surge, unavailable| Capacity::Counted { max_surge: surge, max_unavailable: unavailable };
        let share = Count::Share(Fraction::from_f64(0.25).expect("within 0 to 1"));
        assert_eq!(bounds(counted(share, share), 10), (8, 13));
        assert_eq!(bounds(counted(Count::Whole(0), Count::Whole(0)), 3), (3, 4));
        assert_eq!(bounds(counted(Count::Whole(0), Count::Whole(9)), 3), (0, 3));
    }
}
