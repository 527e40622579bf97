//! Global placement: exactly one instance on every agent that matches.
//!
//! What counts is what is on agents that are present and match. An instance on an agent that does not answer, or of
//! which nothing is known yet after a restart, is neither missing nor too many: it is left alone, and so is its
//! agent's place.

use ekiden_model::agent::Presence;
use ekiden_model::app::App;
use ekiden_model::report::KillCause;
use ekiden_model::{AgentState, Agents, Instance};

use crate::draft::Draft;
use crate::placement::constraint;

/// On how many present agents the app's constraints hold, as far as they look at the agent alone (LIKE, UNLIKE, IS,
/// CLUSTER with a value): the number of instances that a global app shall have.
pub fn matching_agents(app: &App, agents: &Agents) -> u32 {
    agents.values().filter(|state| is_match(app, state)).count() as u32
}

fn is_match(app: &App, state: &AgentState) -> bool {
    state.presence == Presence::Present && constraint::admits(&app.constraints, &state.agent)
}

/// Leaves out of the counts what is not on a present agent that matches.
pub(crate) fn leave_out_the_absent(draft: &mut Draft<'_>) {
    let Some(app) = draft.declared.filter(|app| app.is_global()) else { return };
    let view = draft.view;
    for instance in view.app.instances.wanted() {
        if view.agents.get(&instance.agent.id).is_none_or(|state| !is_match(app, state)) {
            draft.leave_out(instance);
        }
    }
}

/// Kills what is on agents that are present and do not match (any more).
pub(crate) fn kill_misplaced(draft: &mut Draft<'_>) {
    let Some(app) = draft.declared.filter(|app| app.is_global()) else { return };
    let is_misplaced = |instance: &Instance| {
        let state = draft.view.agents.get(&instance.agent.id);
        state.is_some_and(|state| state.presence == Presence::Present && !is_match(app, state))
    };
    let misplaced: Vec<&Instance> = draft
        .uncounted
        .iter()
        .filter_map(|key| draft.view.app.instances.get(*key))
        .filter(|instance| is_misplaced(instance))
        .collect();
    for instance in misplaced {
        draft.kill(instance, KillCause::Misplaced);
    }
}
