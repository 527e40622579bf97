//! The breaker's memory: when instances became condemned. Acting on it is the business of `instances`.

use ekiden_model::app_state::CONDEMNED_KEPT;
use ekiden_model::{Action, View};

/// Adds `count` condemnations of this moment to the memory, and drops what is older than the breaker looks back. When
/// there is nothing to add nothing is dropped either: old entries do no harm, and a write for each would.
pub(crate) fn remember(view: &View<'_>, count: usize) -> Option<Action> {
    if count == 0 {
        return None;
    }
    let window = view.settings.breaker_window;
    let recent = view.app.condemned.iter().copied().filter(|at| view.now.since(*at) <= window);
    let mut condemned: Vec<_> = recent.chain(std::iter::repeat_n(view.now, count)).collect();
    let surplus = condemned.len().saturating_sub(CONDEMNED_KEPT);
    condemned.drain(..surplus);
    Some(Action::Remember { condemned })
}
