//! Where the passage between revisions stands: which revision it leads to, whether it moves, and when it has failed.

use ekiden_model::app_state::Declared;
use ekiden_model::report::FailureCause;
use ekiden_model::revision::{Phase, Rollout, Standing};
use ekiden_model::view::Settled;
use ekiden_model::{RevisionId, Timestamp, View};

use crate::plan::Plan;
use crate::tally::{Tallies, Tally};

/// What the targets are set for.
pub(crate) struct Course {
    /// The revision that all instances shall have.
    pub(crate) to: RevisionId,
    /// Whether instances are exchanged on the way there, or stay as they are.
    pub(crate) moving: bool,
    /// Whether they stay because the rollout has failed.
    pub(crate) has_failed: bool,
    /// For how many instances the targets were last set.
    pub(crate) set_for: u32,
}

/// Brings the passage up to date, and says what it asks of the targets.
///
/// ```text
///            ┌────────── scaled ──────────┐
///            ▼                            │
///  Waiting ─► Rolling ─► Complete ────────┘        Paused: entered from and left to anywhere but Complete
///               │                                  a new declaration: from anywhere to Waiting or Rolling
///               └─ no progress ─► Failed, or RollingBack ─► Complete
/// ```
pub(crate) fn advance(plan: &mut Plan, view: &View<'_>, tallies: &Tallies, declared: RevisionId) -> Course {
    let mut rollout = head_for(plan, view, tallies, declared);
    let new = tallies.of(rollout.to);
    let was = rollout.phase;
    rollout.phase = next_phase(plan, view, tallies, declared, &rollout);
    let scaled = was == Phase::Complete && rollout.phase != Phase::Complete;
    if scaled {
        rollout.since = view.now;
    }
    let resumed = matches!(was, Phase::Waiting | Phase::Paused | Phase::Failed);
    if rollout.phase == Phase::Rolling && (scaled || resumed) {
        restart_clock(&mut rollout, view.now, new);
    }
    if rollout.to == declared && rollout.phase != Phase::Failed && has_failed(plan, declared) {
        // Whoever pauses a failed rollout and resumes it, asks for another try.
        plan.stand(declared, Standing::Unproven);
    }
    if rollout.phase == Phase::Rolling {
        run_clock(&mut rollout, view, new);
        if deadline_of(plan, view.app.declared.as_ref(), &rollout).is_some_and(|deadline| deadline <= view.now) {
            plan.stand(rollout.to, Standing::Failed(view.now));
            rollout.phase = Phase::Failed;
        }
    }
    if rollout.phase == Phase::Failed && view.app.declared.as_ref().is_some_and(|d| d.app.rollout.auto_rollback) {
        turn_back(plan, view, tallies, &mut rollout);
    }
    let moving = matches!(rollout.phase, Phase::Rolling | Phase::RollingBack { .. } | Phase::Complete);
    let has_failed = rollout.phase == Phase::Failed;
    let course = Course { to: rollout.to, moving, has_failed, set_for: rollout.wanted };
    plan.rollout = Some(rollout);
    course
}

/// The rollout to where the app is headed: the one there is, or a new one to the declared revision.
fn head_for(plan: &mut Plan, view: &View<'_>, tallies: &Tallies, declared: RevisionId) -> Rollout {
    let highest = plan.revisions.iter().map(|revision| revision.id).max().unwrap_or(declared);
    let former = plan.rollout.take();
    let set_for = former.as_ref().map_or(view.desired, |rollout| rollout.wanted);
    let highest = former.as_ref().map_or(highest, |rollout| rollout.highest.max(highest));
    // A failure is the declared revision's, or it is history: who returns to that declaration tries it again.
    for revision in &mut plan.revisions {
        if revision.id != declared && matches!(revision.standing, Standing::Failed(_)) {
            revision.standing = Standing::Unproven;
        }
    }
    let rolled_back = |rollout: &Rollout| has_failed(plan, declared) && plan.revision(rollout.to).is_some();
    if let Some(former) = former.filter(|rollout| rollout.to == declared || rolled_back(rollout)) {
        return Rollout { highest, ..former };
    }
    Rollout {
        to: declared,
        phase: Phase::Waiting,
        since: view.now,
        progress: view.now,
        best: tallies.of(declared).serving,
        held: None,
        wanted: set_for,
        highest,
    }
}

fn has_failed(plan: &Plan, id: RevisionId) -> bool {
    plan.revision(id).is_some_and(|revision| matches!(revision.standing, Standing::Failed(_)))
}

fn next_phase(plan: &Plan, view: &View<'_>, tallies: &Tallies, declared: RevisionId, rollout: &Rollout) -> Phase {
    let to = rollout.to;
    let is_scaled = rollout.wanted != view.desired;
    if rollout.phase == Phase::Complete && !is_scaled {
        return Phase::Complete;
    }
    let target = plan.revision(to).map_or(0, |revision| revision.target);
    let is_proven = plan.revision(to).is_some_and(|revision| matches!(revision.standing, Standing::Proven(_)));
    let is_alone = tallies.others(to).all(|other| other.wanted == 0)
        && plan.revisions.iter().all(|revision| revision.id == to || revision.target == 0);
    let is_paused = view.app.declared.as_ref().is_some_and(|declared| declared.app.rollout.paused);
    // Where only the proven revision runs there is no rollout to pause; it scales as ever.
    if is_paused && !(is_alone && is_proven) {
        return Phase::Paused;
    }
    if rollout.phase == Phase::Failed {
        return Phase::Failed;
    }
    if to != declared {
        // Going back is the mending of a running app, and waits for nobody.
        return Phase::RollingBack { failed: declared };
    }
    if rollout.phase == Phase::Rolling {
        // What has begun does not wait any more, even if nothing of it is left for the moment.
        return Phase::Rolling;
    }
    let is_idle = target == 0 && tallies.of(to).wanted == 0;
    let has_unmet = view.dependencies.iter().any(|dependency| !dependency.satisfied);
    if is_idle && view.desired > 0 && (has_unmet || would_be_lost(view, is_alone)) {
        return Phase::Waiting;
    }
    Phase::Rolling
}

/// Whether old instances would make room for new ones that can never come, since the cluster cannot run them.
fn would_be_lost(view: &View<'_>, is_alone: bool) -> bool {
    view.unsupported.is_some() && !is_alone
}

fn restart_clock(rollout: &mut Rollout, now: Timestamp, tally: Tally) {
    rollout.progress = now;
    rollout.best = tally.serving;
    rollout.held = None;
}

/// Lets the progress deadline count, or holds it.
///
/// It counts only while something was launched that does not serve yet, or keeps failing. An app that merely waits for
/// a place has not failed, however long it waits. The clock is held and not reset, because an instance that is
/// replaced again and again leaves gaps, in which nothing is launched, between its attempts.
///
/// While not all is known (Ekiden has just started, or lost the cluster), an instance may have become healthy without
/// our knowing; then the time so far proves nothing, and the clock starts afresh.
fn run_clock(rollout: &mut Rollout, view: &View<'_>, tally: Tally) {
    let now = view.now;
    if tally.serving > rollout.best {
        rollout.best = tally.serving;
        rollout.progress = now;
    }
    let is_settled = view.settled == Settled::Yes;
    let counts = is_settled && (tally.trying > 0 || keeps_failing(view, rollout));
    match rollout.held {
        Some(held) if counts => {
            rollout.progress = (rollout.progress + now.since(held)).min(now);
            rollout.held = None;
        }
        None if !counts => {
            rollout.held = Some(now);
            if !is_settled {
                rollout.progress = now;
            }
        }
        _ => {}
    }
}

/// Whether instances of the revision fail through their own fault, at present: there may be none between two attempts.
fn keeps_failing(view: &View<'_>, rollout: &Rollout) -> bool {
    let blames = view.app.last_failure.as_ref().is_some_and(|failure| {
        failure.revision == rollout.to && failure.cause == FailureCause::App && failure.at >= rollout.since
    });
    blames && view.app.backoff.failures > 0
}

/// When the rollout will have failed if nothing changes; nothing while the clock is held, or for a revision that was
/// complete before: that is not made worse by failing it.
fn deadline_of(plan: &Plan, declared: Option<&Declared>, rollout: &Rollout) -> Option<Timestamp> {
    let is_new = plan.revision(rollout.to).is_some_and(|revision| revision.standing == Standing::Unproven);
    let deadline = declared?.app.rollout.progress_deadline?;
    (is_new && rollout.phase == Phase::Rolling && rollout.held.is_none()).then(|| rollout.progress + deadline)
}

/// When this controller wants to be asked again.
pub(crate) fn next_deadline(plan: &Plan, declared: &Declared) -> Option<Timestamp> {
    deadline_of(plan, Some(declared), plan.rollout.as_ref()?)
}

/// Heads for the last proven revision, if there is one.
fn turn_back(plan: &Plan, view: &View<'_>, tallies: &Tallies, rollout: &mut Rollout) {
    let failed = rollout.to;
    let Some(to) = plan.last_proven(failed) else { return };
    rollout.to = to;
    rollout.phase = Phase::RollingBack { failed };
    rollout.since = view.now;
    restart_clock(rollout, view.now, tallies.of(to));
}
