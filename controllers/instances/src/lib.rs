//! The `instances` controller.

use ekiden_model::id::Role;
use ekiden_model::limits::Settings;
use ekiden_model::{Decision, OfferBook, Timestamp, View};

/// Decides about one app. See `controllers/README.md` for what this controller may read, write and emit.
pub fn decide(_view: &View<'_>) -> Decision {
    Decision::idle()
}

/// What is known of the demand for offers, over all apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand<'a> {
    /// Roles for which some app waits for a place.
    pub wanting: &'a [Role],
    /// Roles for which offers are suppressed at present.
    pub suppressed: &'a [Role],
    /// All roles that any app uses.
    pub roles: &'a [Role],
    /// Roles for which demand arose since offers were last asked for.
    pub unasked: &'a [Role],
}
/// stub
pub fn matching_agents(_a: &ekiden_model::App, _g: &ekiden_model::Agents) -> u32 {
    0
}

/// Decides about the offers that no app took in this step: what is declined, and for which roles offers are asked
/// for or stopped. Emits `Decline`, `Revive` and `Suppress` only.
pub fn tend_offers(_now: Timestamp, _book: &OfferBook, _demand: &Demand<'_>, _settings: &Settings) -> Decision {
    Decision::idle()
}
