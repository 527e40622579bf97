//! Offers at the end of a step: those that launches took from are accepted, the others tended.

use std::collections::BTreeSet;
use std::time::Duration;

use ekiden_model::effect::TaskLaunch;
use ekiden_model::view::Again;
use ekiden_model::{Action, AgentId, AppState, Condition, Effect, Goal, OfferId, Role};

use crate::Reconciler;

impl Reconciler {
    /// One accept per lot, with all launches that this step placed on it. It uses up all offers of the lot; the
    /// cluster offers again what is left.
    pub(crate) fn accept_what_was_taken(&mut self) {
        for (ix, tasks) in std::mem::take(&mut self.taken) {
            let Some(lot) = self.book.use_up(ix) else { continue };
            self.spares.left(&lot, self.now);
            self.tend = true;
            self.promised.extend(lot.offers.iter().cloned());
            self.journal.push(Effect::Accept { offers: lot.offers, agent: lot.agent.id.clone(), tasks });
        }
    }

    /// Offers that nobody took are held, declined or stopped as `instances` says: once every app has had its turn,
    /// and only when offers or demand changed, so that what happens to one app does not cost a look at every offer.
    pub(crate) fn tend_offers_when_due(&mut self) {
        self.tend |= self.offers_wake.is_some_and(|at| at <= self.now);
        if self.tend && self.schedule.is_idle() {
            self.tend = false;
            self.tend_offers();
        }
    }

    fn tend_offers(&mut self) {
        let mut wanting: BTreeSet<Role> = BTreeSet::new();
        // In safe mode nobody takes any, whoever waits.
        for app in self.schedule.awaiting_offers().filter(|_| !self.is_safe_mode()) {
            if let Some(entry) = self.apps.get(app) {
                wanting.insert(self.role_of(&entry.state));
            }
        }
        let named = self.roles.keys().cloned();
        let unused = self.unused.iter().cloned();
        let roles: BTreeSet<Role> = named.chain(unused).chain([self.settings.default_role.clone()]).collect();
        let list = |roles: &BTreeSet<Role>| roles.iter().cloned().collect::<Vec<Role>>();
        let (wanting, roles) = (list(&wanting), list(&roles));
        let (suppressed, unasked) = (list(&self.suppressed), list(&self.unasked));
        let global = self.global.iter().filter_map(|app| self.apps.get(app));
        let watched: Vec<Role> = list(&global.map(|entry| self.role_of(&entry.state)).collect());
        let demand = ekiden_instances::Demand {
            wanting: &wanting,
            suppressed: &suppressed,
            roles: &roles,
            unasked: &unasked,
            watched: &watched,
        };
        let decision = ekiden_instances::tend_offers(self.now, &self.book, &demand, &self.settings);
        for action in decision.actions {
            self.follow_tending(action);
        }
        self.offers_wake = match decision.again {
            Again::OnChange => None,
            Again::At(at) => Some(at),
        };
    }

    fn follow_tending(&mut self, action: Action) {
        match action {
            Action::Decline { lot, offers, refuse_for } => {
                if let Some(lot) = self.book.use_up(lot) {
                    self.spares.left(&lot, self.now);
                }
                self.journal.push(Effect::Decline { offers, refuse_for });
            }
            Action::Revive { role } => {
                self.suppressed.remove(&role);
                self.unasked.remove(&role);
                self.supply.asked(&role, self.now);
                self.journal.push(Effect::Revive(role));
            }
            Action::Suppress { role } => {
                self.suppressed.insert(role.clone());
                self.supply.suppressed(&role);
                self.unused.remove(&role);
                self.journal.push(Effect::Suppress(role));
            }
            _ => self.work.actions_refused += 1,
        }
    }

    /// Something is offered to a role.
    pub(crate) fn note_offered_role(&mut self, role: &Role) {
        self.supply.offered(role, self.now);
        if *role != self.settings.default_role && !self.roles.contains_key(role) {
            self.unused.insert(role.clone());
        }
    }

    /// An app names a role no more. When none does, its offers are wanted no more: not only once another of them comes.
    pub(crate) fn name_role_no_more(&mut self, role: &Role) {
        let Some(count) = self.roles.get_mut(role) else { return };
        *count -= 1;
        if *count == 0 {
            self.roles.remove(role);
            if *role != self.settings.default_role && !self.suppressed.contains(role) {
                self.unused.insert(role.clone());
                self.tend = true;
            }
        }
    }

    /// A new connection has the default role for certain; others are to be asked for again where they are wanted.
    pub(crate) fn ask_for_roles_anew(&mut self) {
        let named = self.roles.keys().filter(|role| **role != self.settings.default_role);
        self.unasked.extend(named.cloned());
    }

    /// The role whose offers an app uses.
    pub(crate) fn role_of(&self, app: &AppState) -> Role {
        let role = app.declared.as_ref().and_then(|declared| declared.app.template.role.clone());
        role.unwrap_or_else(|| self.settings.default_role.clone())
    }

    /// An accept whose writes are durable, at the moment it could be sent.
    ///
    /// A launch whose instance is no longer to be launched (it was ended, or declared lost, meanwhile) is left out:
    /// sent, it would be a task that nobody wants. With offers that are void by now, or in safe mode, nothing is launched
    /// at all, and the launches have failed before they began.
    pub(crate) fn release_accept(
        &mut self,
        offers: Vec<OfferId>,
        agent: AgentId,
        mut tasks: Vec<TaskLaunch>,
    ) -> Option<Effect> {
        let promised = offers.len();
        let good: Vec<OfferId> = offers.into_iter().filter(|offer| self.promised.remove(offer)).collect();
        if good.len() < promised || self.is_safe_mode() {
            for launch in tasks.drain(..) {
                self.drop_launch(&launch);
            }
        }
        tasks.retain(|launch| self.is_to_be_launched(launch));
        if !tasks.is_empty() {
            return Some(Effect::Accept { offers: good, agent, tasks });
        }
        (!good.is_empty()).then_some(Effect::Decline { offers: good, refuse_for: Duration::ZERO })
    }

    fn is_to_be_launched(&self, launch: &TaskLaunch) -> bool {
        let entry = self.apps.get(&launch.app.id);
        entry
            .and_then(|entry| entry.state.instances.get(launch.instance))
            .is_some_and(|instance| instance.condition == Condition::Provisioned && instance.goal == Goal::Running)
    }
}
