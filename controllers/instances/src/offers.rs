//! The offers that no app took: kept for a while where somebody waits, returned otherwise.

use std::time::Duration;

use ekiden_model::action::Action;
use ekiden_model::id::Role;
use ekiden_model::limits::Settings;
use ekiden_model::{Decision, OfferBook, Timestamp};

/// What is known of the demand for offers, over all apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand<'a> {
    /// Roles for which some app waits for a place.
    pub wanting: &'a [Role],
    /// Roles for which offers are suppressed at present.
    pub suppressed: &'a [Role],
    /// All roles that any app uses.
    pub roles: &'a [Role],
    /// Roles for which demand arose, or changed, since offers were last asked for: what was returned before may be
    /// wanted now.
    pub unasked: &'a [Role],
}

/// How long an offer is kept while some app of its role waits for another one.
///
/// A kept offer serves the next app, or the same one once a port or a constraint is free, without a round trip; but
/// other frameworks cannot have it meanwhile. Half a minute is a tenth of what Aurora keeps offers for.
pub const HOLD: Duration = Duration::from_secs(30);

/// How long a kept offer that is returned in the end stays away: just long enough for the cluster to offer it to
/// somebody else, since an app of ours still waits.
pub const AWAY: Duration = Duration::from_secs(1);

/// Decides about the offers that no app took in this step: what is declined, and for which roles offers are asked
/// for or stopped. Emits `Decline`, `Revive` and `Suppress` only.
pub fn tend_offers(now: Timestamp, book: &OfferBook, demand: &Demand<'_>, settings: &Settings) -> Decision {
    let mut decision = Decision::idle();
    for (ix, lot) in book.lots() {
        let wanted = demand.wanting.contains(&lot.role);
        let keep_until = lot.since + HOLD;
        if wanted && keep_until > now {
            decision.wake(keep_until);
            continue;
        }
        let refuse_for = if wanted { AWAY } else { settings.decline_for };
        decision.actions.push(Action::Decline { lot: ix, offers: lot.offers.clone(), refuse_for });
    }
    for role in demand.roles {
        let (wanting, suppressed) = (demand.wanting.contains(role), demand.suppressed.contains(role));
        if wanting && (suppressed || demand.unasked.contains(role)) {
            decision.actions.push(Action::Revive { role: role.clone() });
        } else if !wanting && !suppressed {
            decision.actions.push(Action::Suppress { role: role.clone() });
        }
    }
    decision
}
