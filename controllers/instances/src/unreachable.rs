//! Instances whose agents do not answer (§4.8): waited for, then replaced, then forgotten.
//!
//! Both times are timers of ours: Marathon looks at them when Mesos happens to repeat the status, and is late (#5506).

use ekiden_model::Reason;
use ekiden_model::app::UnreachableStrategy;
use ekiden_model::instance::Condition;

use crate::draft::Draft;

/// Leaves out of the counts what may be replaced, and forgets what was waited for long enough.
pub(crate) fn wait(draft: &mut Draft<'_>) {
    let (now, strategy) = (draft.view.now, draft.unreachable_strategy());
    let mut count = 0;
    let mut until = None;
    for instance in draft.view.app.instances.odd() {
        if instance.condition != Condition::Unreachable {
            continue;
        }
        count += 1;
        let UnreachableStrategy::Replace { inactive_after, expunge_after } = strategy else { continue };
        let (inactive_at, expunge_at) = (instance.since + inactive_after, instance.since + expunge_after);
        if expunge_at <= now && draft.is_settled() {
            draft.forget(instance);
            count -= 1;
            continue;
        }
        if inactive_at.min(expunge_at) <= now {
            draft.leave_out(instance);
        }
        let next = [inactive_at, expunge_at].into_iter().filter(|at| *at > now).min();
        if let Some(next) = next {
            draft.wake(next);
            until = Some(until.map_or(next, |until| next.min(until)));
        }
    }
    if count > 0 {
        draft.waits().unreachable = Some(Reason::Unreachable { count, until });
    }
}
