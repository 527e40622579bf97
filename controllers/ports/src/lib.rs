//! The `ports` controller.

use ekiden_model::{Decision, View};

/// Decides about one app. See `controllers/README.md` for what this controller may read, write and emit.
pub fn decide(_view: &View<'_>) -> Decision {
    Decision::idle()
}
