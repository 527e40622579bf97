//! The `instances` controller: makes reality follow the targets.
//!
//! For each revision of an app it wants as many instances as `upgrade` set as target. It alone launches, kills and
//! forgets, keeps the wait after failures, and returns offers that nobody took. It judges no health, sets no target
//! and chooses no port number.
//!
//! ```text
//! decide:  endings ─► dying, moving ─► wait for agents ─► overdue ─► misplaced ─► condemned ─► surplus ─► draining
//!          └───────────── what is and counts ─────────┘   └───────────────── kills, one budget ──────────────────┘
//!                                                  deficit (placement) ─► draining where there is no room ─► report
//! ```
//!
//! Each rule is a module that reads and changes one `Draft`; the order above is the order in
//! [`decide`], and a later rule sees what the earlier ones have just decided.

mod backoff;
mod condemned;
mod deficit;
mod draft;
mod draining;
mod dying;
mod endings;
mod global;
mod offers;
mod overdue;
mod pace;
mod placement;
#[cfg(test)]
mod properties;
mod surplus;
#[cfg(test)]
mod testing;
mod unreachable;
mod victims;

pub use global::matching_agents;
pub use offers::{Demand, tend_offers};

use ekiden_model::{Decision, View};

use crate::draft::Draft;

/// Decides about one app. See `controllers/README.md` for what this controller may read, write and emit.
pub fn decide(view: &View<'_>) -> Decision {
    let mut draft = Draft::new(view);
    let backoff = endings::account(&mut draft);
    dying::leave_out(&mut draft);
    draining::leave_out(&mut draft);
    unreachable::wait(&mut draft);
    global::leave_out_the_absent(&mut draft);
    overdue::kill(&mut draft);
    global::kill_misplaced(&mut draft);
    condemned::replace(&mut draft);
    global::count_in_the_misplaced_of_a_rollout(&mut draft);
    surplus::kill(&mut draft);
    draining::kill(&mut draft);
    global::count_in_the_misplaced(&mut draft);
    deficit::launch(&mut draft, &backoff);
    draining::kill_without_room(&mut draft, &backoff);
    draining::report(&mut draft);
    draft.into_decision()
}
