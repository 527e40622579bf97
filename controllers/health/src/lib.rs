//! The `health` controller: what probes and executors say becomes a verdict per instance, and whom to probe.
//!
//! It owns the state machine of Marathon's health checks (§4.8), readiness, the breaker's memory, and the set of
//! probes. It never kills: a verdict of [`Verdict::Condemned`] is an opinion that `instances` acts on when its budget
//! and the breaker allow. Until then it is checked on, and a success takes the opinion back: while the breaker holds
//! kills, because a dependency of all instances failed, those that recover with it live on.
//!
//! **When it writes.** A judgement is a durable record, so there is one only when something turned: a first success,
//! a success after failures, a failure that counts, a new answer to readiness, an edited check. An instance that stays
//! healthy costs no write, whatever the number of probes; the times in [`CheckState`] are those of the turns.
//!
//! **What never counts against an instance.** An outcome that says nothing ([`Outcome::NoResult`]); a failure while
//! it does not run, or shall not run any more, or has never succeeded and is still in its grace period; an executor's
//! repetition of what it said before. An edit by itself condemns nobody either: it takes a failure after it. Nor does
//! it make a healthy instance unknown: it serves on, and a rollout has to pay for it, until a check says otherwise. One
//! answer that was under way during an edit may be taken for an answer to the new question; a condemnation takes more.
//!
//! **Who comes back is asked again.** An instance that was condemned and whose agent did not answer meanwhile is condemned
//! no longer when it does: often it was the network that failed its checks. One more failure condemns it again. A
//! success always counts, even one that is heard before the cluster says that the agent is back.
//!
//! [`CheckState`]: ekiden_model::health::CheckState
//! [`Outcome::NoResult`]: ekiden_model::health::Outcome::NoResult

mod breaker;
mod check;
mod checklist;
mod judge;
mod probes;
mod report;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use ekiden_model::health::Verdict;
use ekiden_model::{Action, Condition, Decision, Instance, View};

use crate::checklist::Checklists;
use crate::judge::Samples;
use crate::probes::Probes;
use crate::report::Findings;

/// Decides about one app. See `controllers/README.md` for what this controller may read, write and emit.
pub fn decide(view: &View<'_>) -> Decision {
    let mut decision = Decision::idle();
    let checklists = Checklists::of(view.app);
    let samples = Samples::by_instance(view.samples);
    let mut probes = Probes::under_way(view.app);
    let mut findings = Findings::default();
    let mut condemned = 0;

    for instance in view.app.instances.iter() {
        let checklist = checklists.of_instance(instance);
        let heard = samples.of(instance.key);
        let health = if is_checked(view, instance) {
            let health = judge::judge(instance, checklist, heard);
            probes.want(view, instance, checklist, &health);
            findings.note(instance, checklist, &health);
            health
        } else if may_recover(view, instance) {
            judge::recover(instance, checklist, heard)
        } else {
            continue;
        };
        if health.verdict == Verdict::Condemned && instance.health.verdict != Verdict::Condemned {
            condemned += 1;
        }
        if let Cow::Owned(health) = health {
            decision.actions.push(Action::Judge { instance: instance.key, health });
        }
    }
    decision.actions.extend(breaker::remember(view, condemned));
    decision.actions.extend(probes.actions());
    decision.report = findings.report();
    decision
}

/// Whether answers of an instance mean anything. One that is ending keeps the verdict that it had; one of an app that is
/// no longer declared is about to end.
fn is_checked(view: &View<'_>, instance: &Instance) -> bool {
    view.app.declared.is_some() && instance.is_wanted() && instance.condition == Condition::Running
}

/// Whether of its answers only successes mean anything: on an agent that does not answer it keeps the verdict that it
/// had, unless it answers itself.
fn may_recover(view: &View<'_>, instance: &Instance) -> bool {
    view.app.declared.is_some() && instance.is_wanted() && instance.condition == Condition::Unreachable
}
