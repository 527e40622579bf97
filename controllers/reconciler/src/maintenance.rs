//! Agents that are to be left: announced windows, agents that an operator drains, and who is to hear of it when.
//!
//! What moves and when is `instances`' to decide. Here the windows are kept in our time, the offers at hand agree with
//! them, and the apps concerned are asked again when a window is announced, changed or cancelled, and when its time
//! comes: those with instances on the agent, and no others.

use std::collections::BTreeSet;

use ekiden_model::agent::Window;
use ekiden_model::app_state::Backoff;
use ekiden_model::input::TaskStatus;
use ekiden_model::{AgentId, AppId, Instance, Timestamp};

use crate::Reconciler;

/// Mesos' reasons for what happens to a task because its agent is being drained; the first is the name in its older API.
const DRAINING: [&str; 2] = ["REASON_SLAVE_DRAINING", "REASON_AGENT_DRAINING"];

/// Whether a status tells of something that happened because the task's agent is being drained.
pub(crate) fn is_drained(status: &TaskStatus) -> bool {
    status.reason.as_deref().is_some_and(|reason| DRAINING.contains(&reason))
}

impl Reconciler {
    /// A window was announced, changed or cancelled.
    pub(crate) fn fold_maintenance(&mut self, agent: &AgentId, window: Option<Window>) {
        let window = window.and_then(|window| self.heeded(window));
        self.plan_maintenance(agent, window);
    }

    /// A window in our time; none where nobody wants windows to be heeded.
    pub(crate) fn heeded(&self, (begin, length): Window) -> Option<Window> {
        self.settings.heed_maintenance.then(|| (self.time.inside(begin), length))
    }

    fn plan_maintenance(&mut self, agent: &AgentId, window: Option<Window>) {
        if let Some(state) = self.agents.get_mut(agent).filter(|state| state.maintenance != window) {
            state.maintenance = window;
            self.maintenance_planned(agent, window);
            self.agents_changed();
        }
    }

    /// The agents know of another window of one of them, or of none any more; the rest is to follow.
    pub(crate) fn maintenance_planned(&mut self, agent: &AgentId, window: Option<Window>) {
        self.book.note_maintenance(agent, window);
        self.mark_those_on(agent);
        self.leaving_wake = Some(self.now);
    }

    /// An agent ends all that it runs, because an operator drains it. It offers nothing until it is activated again, and
    /// its next offer says that there is no window any more.
    ///
    /// Its tasks' ends are nobody's failure and end the wait after failures (§4.8): what is gone is to come back soon.
    pub(crate) fn agent_drains(&mut self, app: &AppId, instance: &Instance) {
        let agent = &instance.agent.id;
        if self.agents.get(agent).is_some_and(|state| state.maintenance.is_none()) {
            self.plan_maintenance(agent, Some((self.now, None)));
        }
        if let Some(entry) = self.apps.get_mut(app).filter(|entry| entry.state.backoff.failures > 0) {
            entry.state.backoff = Backoff { configured: entry.state.backoff.configured, ..Backoff::default() };
            self.journal.note_app(app);
        }
    }

    /// Looks whether the time has come for agents to be left, or to be left no more, and asks those who are there.
    pub(crate) fn leave_agents_when_due(&mut self) {
        if self.leaving_wake.is_none_or(|at| at > self.now) {
            return;
        }
        let leaving = self.agents.leaving(self.now, self.settings.drain_before);
        self.leaving_wake = Some(leaving.until).filter(|until| *until < Timestamp::NEVER);
        let changed: Vec<AgentId> = self.leaving.symmetric_difference(&leaving.agents).cloned().collect();
        self.leaving = leaving.agents;
        for agent in &changed {
            self.mark_those_on(agent);
        }
        if !changed.is_empty() {
            self.agents_changed();
        }
    }

    fn mark_those_on(&mut self, agent: &AgentId) {
        let on_agent = self.placed.get(agent).into_iter().flatten();
        let apps: BTreeSet<AppId> = on_agent.map(|(app, _)| app.clone()).collect();
        for app in apps {
            self.changed(&app);
        }
    }
}
