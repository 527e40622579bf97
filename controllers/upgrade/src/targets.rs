//! How many instances of each revision there shall be.

use std::cmp::Reverse;

use ekiden_model::budget::Bounds;
use ekiden_model::revision::Standing;
use ekiden_model::{Revision, RevisionId, Timestamp};

use crate::passage::Course;
use crate::plan::Plan;
use crate::tally::{Tallies, Tally};

/// Sets the targets for this moment of the passage; those of later moments follow from what instances become of them.
pub(crate) fn set(plan: &mut Plan, tallies: &Tallies, course: &Course, desired: u32, bounds: Bounds) {
    if course.moving {
        move_on(plan, tallies, course.to, desired, bounds);
    } else {
        stand_still(plan, tallies, course, desired, bounds);
    }
    if let Some(rollout) = &mut plan.rollout {
        rollout.wanted = desired;
    }
}

/// The step from the old instances to the new ones: Marathon's arithmetic (§4.5), counted from what is there.
///
/// Ten instances, minimum 0.5, over 0.2: at least 5 serve (floor), at most 12 exist (ceiling). In each line `old` and
/// `new` are what exists and, in brackets, what of it serves.
///
/// ```text
///               old      new     old may go:     new may exist:
///                                serving − 5     12 − old, at most 10
///  start      10 (10)    0 (0)   5, target 5     2
///  5 ended     5  (5)    2 (0)   0               7
///  3 serve     5  (5)    7 (3)   3, target 2     7
///  3 ended     2  (2)    7 (3)   0              10
///  7 serve     2  (2)   10 (7)   2, target 0    10
/// ```
///
/// An old instance is never replaced by another old one. Those that do not serve go first, and cost nothing.
fn move_on(plan: &mut Plan, tallies: &Tallies, to: RevisionId, desired: u32, bounds: Bounds) {
    let new = tallies.of(to);
    let most_old = tallies.others(to).map(|old| old.wanted).max().unwrap_or(0);
    let old_present: u32 = tallies.others(to).map(|old| old.present()).sum();

    let mut permits = Permits::new(tallies, to, gentle_floor(bounds, desired, most_old, new));
    // Scaling in takes its permits first: those instances are of no use for the rollout.
    permits.spend(Tally { presumed: 0, ..new }, new.wanted.saturating_sub(desired));
    let mut kept = 0;
    for id in departures(plan) {
        if id != to {
            let old = tallies.of(id);
            let keep = old.wanted - permits.spend(old, old.wanted);
            set_target(plan, id, keep);
            kept += keep;
        }
    }

    // Where nothing old takes up room, this is not an exchange but a start or scaling, and done at once.
    let room = bounds.ceiling.saturating_sub(old_present + new.ending);
    let target = if old_present == 0 { desired } else { desired.min(room.max(new.wanted)) };
    set_target(plan, to, target.min(bounds.ceiling.saturating_sub(kept)));
}

/// The floor while there are more instances of one old revision than are declared, because the count was lowered
/// together with the configuration.
///
/// Marathon cuts the old ones to the new count at once, before anything of the new revision has run (#1554, #3091);
/// keeping all of them would leave no room for a new one under the ceiling (#1100). So the old ones give way as the
/// new revision proves itself: for one new instance at first, then for as many again as already serve.
///
/// From 10 to 4 with floor 4 and ceiling 8: 7 stay and 1 comes; when it serves, 6 in all stay and 2 may come; when
/// they serve, it is 4 as in any rollout.
fn gentle_floor(bounds: Bounds, desired: u32, most_old: u32, new: Tally) -> u32 {
    if most_old <= desired || desired == 0 {
        return bounds.floor;
    }
    let step = new.serving.saturating_mul(2).max(1);
    bounds.floor.max(bounds.ceiling.saturating_sub(step))
}

/// Everything stays as it is, and scaling is followed by what exists. What does not exist is not started, except when
/// a rollout has failed and nothing at all exists any more: then the last proven revision is, or else the failed one.
///
/// Paused with 4 old and 4 new instances of 4 declared (a surge), all 8 stay. Scaled to 10, there come 2 more of the
/// old revision; scaled to 3, there stay 3 in all, of the old revision as far as those serve. A global app of 5 agents
/// that loses one has 4 as its target; when that agent is back, so is its instance, and the target is 5 at once.
fn stand_still(plan: &mut Plan, tallies: &Tallies, course: &Course, desired: u32, bounds: Bounds) {
    let sum: u32 = plan.revisions.iter().map(|revision| revision.target).sum();
    let most = if desired < course.set_for { desired } else { bounds.ceiling };
    if sum > most {
        seat(plan, tallies, most);
        return;
    }
    let mut missing = desired.saturating_sub(sum);
    // Who exists beyond its target is kept: the count was lowered, and raised again before it had gone.
    for id in departures(plan).into_iter().rev() {
        let target = plan.revision(id).map_or(0, |revision| revision.target);
        let tally = tallies.of(id);
        let more = (tally.wanted - tally.unreachable).saturating_sub(target).min(missing);
        set_target(plan, id, target + more);
        missing -= more;
    }
    let taken = |revision: &Revision| {
        let tally = tallies.of(revision.id);
        revision.target.max(tally.wanted - tally.unreachable) + tally.ending
    };
    let room = bounds.ceiling.saturating_sub(plan.revisions.iter().map(taken).sum());
    missing = missing.min(room);
    let exists = |id: &RevisionId| {
        tallies.of(*id).wanted > 0 || plan.revision(*id).is_some_and(|revision| revision.target > 0)
    };
    let last_resort = || plan.last_proven(course.to).unwrap_or(course.to);
    let grows = departures(plan).into_iter().rev().find(exists).or_else(|| course.has_failed.then(last_resort));
    if let Some(id) = grows {
        let target = plan.revision(id).map_or(0, |revision| revision.target);
        set_target(plan, id, target + missing);
    }
}

/// Lowers the targets to `seats` in all. Seats go to those that are healthy, then to those that likely are, to those
/// that exist, and to those that are to come; each time to the most trusted revision first. So a healthy instance goes
/// only when there are more such than seats, which are never fewer than the floor.
fn seat(plan: &mut Plan, tallies: &Tallies, seats: u32) {
    let order: Vec<RevisionId> = departures(plan).into_iter().rev().collect();
    let targets: Vec<u32> = order.iter().map(|id| plan.revision(*id).map_or(0, |r| r.target)).collect();
    let mut given = vec![0; order.len()];
    let mut left = seats;
    let worth: [fn(Tally) -> u32; 4] =
        [|tally| tally.healthy, |tally| tally.healthy + tally.presumed, |tally| tally.wanted, |_| u32::MAX];
    for worth in worth {
        for (index, id) in order.iter().enumerate() {
            let claim = targets[index].min(worth(tallies.of(*id)));
            let more = left.min(claim.saturating_sub(given[index]));
            given[index] += more;
            left -= more;
        }
    }
    for (id, target) in order.into_iter().zip(given) {
        set_target(plan, id, target);
    }
}

/// The revisions in the order in which they go: those that failed, those that were never complete (an intermediate
/// one of two edits in a row, say), those that were, and last the one that was proven last.
fn departures(plan: &Plan) -> Vec<RevisionId> {
    let mut order: Vec<&Revision> = plan.revisions.iter().collect();
    order.sort_by_key(|revision| match revision.standing {
        Standing::Failed(at) => (0, at, Reverse(revision.id)),
        Standing::Unproven => (1, Timestamp::EPOCH, Reverse(revision.id)),
        Standing::Proven(at) => (2, at, Reverse(revision.id)),
    });
    order.into_iter().map(|revision| revision.id).collect()
}

fn set_target(plan: &mut Plan, id: RevisionId, target: u32) {
    if let Some(revision) = plan.revision_mut(id) {
        revision.target = target;
    }
}

/// What may still go in this decision.
struct Permits {
    floor: u32,
    /// Those known to be healthy: `model::budget` counts these, and never lets them fall below the floor.
    healthy: u32,
    /// Those that likely serve: healthy and ready, or presumed. Stricter than the budget, which knows no readiness.
    cover: u32,
}

impl Permits {
    fn new(tallies: &Tallies, to: RevisionId, floor: u32) -> Self {
        let healthy = tallies.all().map(|tally| tally.healthy).sum();
        let presumed: u32 = tallies.others(to).map(|old| old.presumed).sum();
        let cover = tallies.all().map(|tally| tally.serving).sum::<u32>() + presumed;
        Self { floor, healthy, cover }
    }

    /// Lets up to `most` instances of one revision go, the least useful first, and returns how many may.
    fn spend(&mut self, tally: Tally, most: u32) -> u32 {
        let mut gone = most.min(tally.wanted - tally.healthy - tally.presumed);
        let presumed = (most - gone).min(tally.presumed).min(self.cover.saturating_sub(self.floor));
        self.cover -= presumed;
        gone += presumed;
        let unready =
            (most - gone).min(tally.healthy - tally.serving).min(self.healthy.saturating_sub(self.floor));
        self.healthy -= unready;
        gone += unready;
        let spare = self.healthy.min(self.cover).saturating_sub(self.floor);
        let serving = (most - gone).min(tally.serving).min(spare);
        self.healthy -= serving;
        self.cover -= serving;
        gone + serving
    }
}
