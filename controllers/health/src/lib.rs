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
//! [`Verdict::Condemned`]: ekiden_model::health::Verdict::Condemned
//! [`Outcome::NoResult`]: ekiden_model::health::Outcome::NoResult

mod breaker;
mod check;
mod checklist;
mod judge;
mod probes;
mod report;
mod rounds;
#[cfg(test)]
mod tests;
mod visits;

use ekiden_model::{Decision, View};

/// Decides about one app. See `controllers/README.md` for what this controller may read, write and emit.
pub fn decide(view: &View<'_>) -> Decision {
    rounds::decide(view)
}
