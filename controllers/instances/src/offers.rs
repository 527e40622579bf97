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
    /// Roles of global apps, which wait for agents rather than for a place: they follow the agents, and agents show
    /// themselves by their offers alone, so these roles are never without.
    pub watched: &'a [Role],
}

/// How long an offer is kept while some app of its role waits for another one.
///
/// A kept offer serves the next app, or the same one once a port or a constraint is free, without a round trip; but
/// other frameworks cannot have it meanwhile. Half a minute is a tenth of what Aurora keeps offers for.
const HOLD: Duration = Duration::from_secs(30);

/// How long an offer is kept that nobody waits for: the next launch is often a moment away, and uses it without a round
/// trip. What is returned must be asked for again, and then every agent offers again: a hundred launches a second, one
/// after the other, would be as many floods of offers. A second is what a master takes by default to look again at who
/// may have what.
const LINGER: Duration = Duration::from_secs(1);

/// How long a kept offer that is returned in the end stays away: just long enough for the cluster to offer it to
/// somebody else, since an app of ours still waits.
const AWAY: Duration = Duration::from_secs(1);

/// Decides about the offers that no app took in this step: what is declined, and for which roles offers are asked
/// for or stopped. Emits `Decline`, `Revive` and `Suppress` only.
pub fn tend_offers(now: Timestamp, book: &OfferBook, demand: &Demand<'_>, settings: &Settings) -> Decision {
    let mut decision = Decision::idle();
    for (ix, lot) in book.lots() {
        let wanted = demand.wanting.contains(&lot.role);
        let keep_until = lot.since + if wanted { HOLD } else { LINGER };
        if keep_until > now {
            decision.wake(keep_until);
            continue;
        }
        let refuse_for = if wanted { AWAY } else { settings.decline_for };
        decision.actions.push(Action::Decline { lot: ix, offers: lot.offers.clone(), refuse_for });
    }
    for role in demand.roles {
        let (wanting, suppressed) = (demand.wanting.contains(role), demand.suppressed.contains(role));
        let watched = demand.watched.contains(role);
        if (wanting || watched) && (suppressed || demand.unasked.contains(role)) {
            decision.actions.push(Action::Revive { role: role.clone() });
        } else if !wanting && !watched && !suppressed {
            decision.actions.push(Action::Suppress { role: role.clone() });
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use ekiden_model::view::Again;

    use super::*;
    use crate::testing::{BEGIN, World, second};

    fn roles(names: &[&'static str]) -> Vec<Role> {
        names.iter().map(|name| Role::new(*name)).collect()
    }

    fn tend(
        world: &World,
        wanting: &[&'static str],
        suppressed: &[&'static str],
        used: &[&'static str],
    ) -> Decision {
        let (wanting, suppressed, roles) = (roles(wanting), roles(suppressed), roles(used));
        let demand =
            Demand { wanting: &wanting, suppressed: &suppressed, roles: &roles, unasked: &[], watched: &[] };
        tend_offers(world.now, &world.book, &demand, &world.settings)
    }

    fn declined(decision: &Decision) -> Vec<Duration> {
        let refuse_for = |action: &Action| match action {
            Action::Decline { refuse_for, .. } => Some(*refuse_for),
            _ => None,
        };
        decision.actions.iter().filter_map(refuse_for).collect()
    }

    #[test]
    fn offers_that_nobody_waits_for_are_returned_after_a_moment_for_long_and_no_more_are_asked_for() {
        let mut world = World::of(0).agents(2, 1, 8);
        let decision = tend(&world, &[], &[], &["*"]);
        assert_eq!(
            decision.actions,
            [Action::Suppress { role: Role::any() }],
            "the next launch may be a moment away"
        );
        assert_eq!(decision.again, Again::At(second(BEGIN + 1)));
        world.pass(1);
        let decision = tend(&world, &[], &[], &["*"]);
        assert_eq!(declined(&decision), [Duration::from_secs(120); 2]);
        assert_eq!(decision.actions.last(), Some(&Action::Suppress { role: Role::any() }));
        let empty = World::of(0);
        assert_eq!(tend(&empty, &[], &["*"], &["*"]), Decision::idle());
    }

    #[test]
    fn a_global_app_goes_on_looking_for_agents() {
        let world = World::of(0);
        let every = roles(&["*"]);
        let demand = Demand { wanting: &[], suppressed: &every, roles: &every, unasked: &[], watched: &every };
        let decision = tend_offers(world.now, &world.book, &demand, &world.settings);
        assert_eq!(decision.actions, [Action::Revive { role: Role::any() }]);
        let awake = Demand { suppressed: &[], ..demand };
        assert_eq!(tend_offers(world.now, &world.book, &awake, &world.settings), Decision::idle());
        // Nothing was ever offered to a role that nobody has asked for.
        let new = Demand { unasked: &every, ..awake };
        let decision = tend_offers(world.now, &world.book, &new, &world.settings);
        assert_eq!(decision.actions, [Action::Revive { role: Role::any() }]);
    }

    #[test]
    fn offers_are_kept_for_a_while_where_somebody_waits() {
        let mut world = World::of(0).agents(1, 1, 8);
        let decision = tend(&world, &["*"], &[], &["*"]);
        assert!(decision.actions.is_empty());
        assert_eq!(decision.again, Again::At(second(BEGIN + 30)));
        world.pass(30);
        assert_eq!(declined(&tend(&world, &["*"], &[], &["*"])), [AWAY]);
        assert_eq!(declined(&tend(&world, &["prod"], &[], &["*", "prod"])), [world.settings.decline_for]);
    }

    #[test]
    fn who_waits_gets_offers_again() {
        let world = World::of(0);
        let decision = tend(&world, &["*"], &["*"], &["*"]);
        assert_eq!(decision.actions, [Action::Revive { role: Role::any() }]);
        assert_eq!(tend(&world, &["*"], &[], &["*"]), Decision::idle());
    }
}
