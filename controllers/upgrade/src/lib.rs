//! The `upgrade` controller: how many instances of which revision an app shall have, and how it gets from one revision
//! to the next.
//!
//! It compares the declaration with the revisions there are, and sets a target for each. It starts and ends nothing:
//! `instances` follows the targets, within the same disruption budget that they are computed from. It judges nothing:
//! `health` says which instances serve.
//!
//! A decision is made in one pass over a copy of the app's revisions and rollout, the `plan`; what then differs from
//! the app are the actions. So there is one place that knows what shall be, nobody can forget to say it, and a second
//! decision has nothing to add. In the order in which they are asked: `tally` counts instances, `declared` finds
//! or opens the declared revision, `passage` says where the way there stands, `targets` does the arithmetic,
//! `arrival` recognises the end, and `explain` says what is waited for.

mod arrival;
mod declared;
mod explain;
mod passage;
mod plan;
mod tally;
mod targets;

use ekiden_model::view::Settled;
use ekiden_model::{App, Decision, View};

use plan::Plan;
use tally::Tallies;

/// Decides about one app. See `controllers/README.md` for what this controller may read, write and emit.
///
/// Emits `OpenRevision`, `DropRevision`, `SetTarget`, `Stand` and `Pass` only.
pub fn decide(view: &View<'_>) -> Decision {
    let mut plan = Plan::of(view.app);
    let Some(declaration) = &view.app.declared else {
        return withdraw(view, plan);
    };
    let view = &View { desired: known_desired(view, &declaration.app), ..*view };
    let declared = declared::find_or_open(&mut plan, view.app, declaration);
    let tallies = Tallies::count(view.app, &plan, declared);
    let course = passage::advance(&mut plan, view, &tallies, declared);
    let bounds = declaration.app.bounds(view.desired);
    targets::set(&mut plan, &tallies, &course, view.desired, bounds);
    arrival::recognise(&mut plan, view, &tallies, &course);
    arrival::drop_unneeded(&mut plan, &tallies, declared);

    let mut decision = Decision::idle();
    decision.report = explain::report(&plan, view, &tallies, declared, bounds);
    if let Some(deadline) = passage::next_deadline(&plan, declaration) {
        decision.wake(deadline);
    }
    decision.actions = plan.actions(view.app);
    decision
}

/// How many instances there shall be. A global app's number is that of the agents, and while not all is known, that
/// few agents were heard of is no evidence that there are few.
fn known_desired(view: &View<'_>, app: &App) -> u32 {
    let set_for = view.app.rollout.as_ref().map_or(0, |rollout| rollout.wanted);
    if app.is_global() && view.settled != Settled::Yes { view.desired.max(set_for) } else { view.desired }
}

/// The app is no longer declared: nothing of it shall run, and a revision stays until its last instance is forgotten.
fn withdraw(view: &View<'_>, mut plan: Plan) -> Decision {
    plan.revisions.retain(|revision| view.app.instances.census(revision.id).known > 0);
    for revision in &mut plan.revisions {
        revision.target = 0;
    }
    if let Some(rollout) = &mut plan.rollout {
        // Should the app be declared again, this is what makes it a passage and not a matter of course.
        rollout.wanted = 0;
    }
    Decision { actions: plan.actions(view.app), ..Decision::idle() }
}
