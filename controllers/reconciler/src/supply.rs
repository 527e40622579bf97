//! How it stands with offers to each role: asked for since when, and when something last came.
//!
//! Kept to explain a wait, and for nothing else: no decision depends on it.

use std::collections::BTreeMap;

use ekiden_model::report::Supply;
use ekiden_model::{AppId, AppState, Reason, Role, Timestamp};

use crate::Reconciler;

/// See the module. As many roles as the apps have and had since the connection was made.
#[derive(Debug, Default)]
pub(crate) struct SupplyLog {
    connected: Option<Timestamp>,
    /// When the last connection was lost.
    lost: Option<Timestamp>,
    roles: BTreeMap<Role, Asked>,
}

/// Offers to one role.
#[derive(Debug, Clone, Copy)]
struct Asked {
    since: Timestamp,
    /// When something last came.
    last: Option<Timestamp>,
}

impl SupplyLog {
    /// The connection stands: whatever was asked for before is asked for anew.
    pub(crate) fn connected(&mut self, now: Timestamp) {
        *self = Self { connected: Some(now), ..Self::default() };
    }

    /// The connection is lost.
    pub(crate) fn disconnected(&mut self, now: Timestamp) {
        let lost = self.connected.map(|_| now).or(self.lost);
        *self = Self { lost, ..Self::default() };
    }

    /// Offers to a role are asked for, perhaps again.
    pub(crate) fn asked(&mut self, role: &Role, now: Timestamp) {
        self.roles.entry(role.clone()).or_insert(Asked { since: now, last: None });
    }

    /// No more offers to a role are asked for. Those that came before say nothing about the next time.
    pub(crate) fn suppressed(&mut self, role: &Role) {
        self.roles.remove(role);
    }

    /// Something is offered to a role.
    pub(crate) fn offered(&mut self, role: &Role, now: Timestamp) {
        match self.roles.get_mut(role) {
            Some(asked) => asked.last = Some(now),
            None => {
                self.roles.insert(role.clone(), Asked { since: now, last: Some(now) });
            }
        }
    }

    /// Why there is nothing at hand for a role.
    fn of(&self, role: &Role) -> Supply {
        let Some(connected) = self.connected else { return Supply::Disconnected { since: self.lost } };
        let asked = self.roles.get(role);
        let since = asked.map_or(connected, |asked| asked.since);
        let others = self.roles.iter().filter(|(other, _)| *other != role);
        match asked.and_then(|asked| asked.last) {
            Some(last) => Supply::Over { since: last },
            None if others.into_iter().any(|(_, other)| other.last.is_some()) => Supply::OtherRolesOnly { since },
            None => Supply::Nothing { since },
        }
    }
}

impl Reconciler {
    /// What is to be added to the reasons of an app that waits for offers when nothing is offered to its role.
    pub(crate) fn nothing_offered(&self, app: &AppState, reasons: &[Reason]) -> Option<Reason> {
        let waits = |reason: &Reason| match reason {
            Reason::AwaitingOffers { refusals, .. } => refusals.are_of_other_roles(),
            _ => false,
        };
        reasons.iter().find(|reason| waits(reason))?;
        let role = self.role_of(app);
        let supply = self.supply.of(&role);
        (self.book.lots_of(&role) == 0).then_some(Reason::NothingOffered { role, supply })
    }

    /// The connection was made or lost: what is said of offers is to be said anew.
    pub(crate) fn mark_those_who_await_offers(&mut self) {
        let waiting: Vec<AppId> = self.schedule.awaiting_offers().cloned().collect();
        for app in waiting {
            self.changed(&app);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_since_when_nothing_came_and_how_far_that_goes() {
        let at = |second: i64| Timestamp::from_millis(second * 1000);
        let (web, db) = (Role::new("web"), Role::new("db"));
        let mut log = SupplyLog::default();
        assert_eq!(log.of(&web), Supply::Disconnected { since: None });
        log.connected(at(1));
        assert_eq!(log.of(&web), Supply::Nothing { since: at(1) });
        log.suppressed(&web);
        log.asked(&web, at(5));
        log.asked(&web, at(6));
        assert_eq!(log.of(&web), Supply::Nothing { since: at(5) }, "asked for since 5 s");
        log.offered(&db, at(7));
        assert_eq!(log.of(&web), Supply::OtherRolesOnly { since: at(5) });
        log.offered(&web, at(8));
        log.offered(&web, at(9));
        assert_eq!(log.of(&web), Supply::Over { since: at(9) });
        log.suppressed(&web);
        log.asked(&web, at(20));
        assert_eq!(log.of(&web), Supply::OtherRolesOnly { since: at(20) });
        log.disconnected(at(30));
        log.disconnected(at(31));
        assert_eq!(log.of(&web), Supply::Disconnected { since: Some(at(30)) });
    }
}
