//! Instances that ended: each is accounted for once, by being forgotten.

use ekiden_model::Instance;
use ekiden_model::action::Action;
use ekiden_model::app_state::Backoff;
use ekiden_model::instance::Goal;
use ekiden_model::report::FailureCause;

use crate::backoff;
use crate::draft::Draft;

/// Forgets what has ended, brings the wait after failures up to date, and returns it.
pub(crate) fn account(draft: &mut Draft<'_>) -> Backoff {
    let app = draft.view.app;
    let mut wait = backoff::in_force(&app.backoff, app.declared.as_ref());
    for instance in app.instances.odd().filter(|instance| instance.condition.is_terminal()) {
        if let Some(declared) = app.declared.as_ref().filter(|_| is_failure(instance)) {
            let at = instance.since.min(draft.view.now);
            wait = backoff::after_failure(&wait, &declared.app.backoff, declared.configured, at);
        }
        draft.forget(instance);
    }
    if let Some(policy) = draft.declared.map(|app| &app.backoff) {
        wait = backoff::at(&wait, policy, app.instances.last_activity(), draft.view.now);
        if let Some(at) = backoff::forgotten_at(&wait, policy) {
            draft.wake(at);
        }
    }
    if wait != app.backoff {
        draft.act(Action::BackOff(wait));
    }
    wait
}

/// Whether the app has to answer for this end: it ended by itself, and not because we wanted it to.
fn is_failure(instance: &Instance) -> bool {
    instance.goal == Goal::Running && FailureCause::of(instance.condition) == FailureCause::App
}
