//! Agents: the machines that run tasks.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::app::{Constraint, Field};
use crate::id::AgentId;
use crate::memo::Memo;
use crate::time::Timestamp;

/// What does not change about an agent while it keeps its id. Shared by everything that names the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id; a new one when it is set up anew.
    pub id: AgentId,
    /// The name that tasks and clients reach it by.
    pub hostname: Arc<str>,
    /// Attributes, printed as constraints see them: scalars as `0.###`, sets as `{a,b}`, ranges as `[1-2]` (§4.9).
    pub attributes: BTreeMap<String, Arc<str>>,
    /// Its fault domain's region.
    pub region: Option<Arc<str>>,
    /// Its fault domain's zone.
    pub zone: Option<Arc<str>>,
}

impl Agent {
    /// The value that a constraint on `field` looks at.
    pub fn value(&self, field: &Field) -> Option<&Arc<str>> {
        match field {
            Field::Hostname => Some(&self.hostname),
            Field::Region => self.region.as_ref(),
            Field::Zone => self.zone.as_ref(),
            Field::Attribute(name) => self.attributes.get(name),
        }
    }
}

/// An agent and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentState {
    /// Which agent.
    pub agent: Arc<Agent>,
    /// How it is, as far as we were told.
    pub presence: Presence,
    /// Planned unavailability, as in the last offer: from, and for how long (for ever when not given).
    pub maintenance: Option<(Timestamp, Option<std::time::Duration>)>,
}

/// Whether an agent is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It offers, or its tasks report.
    Present,
    /// Mesos lost contact with it at that time. Its tasks may run on.
    Unreachable(Timestamp),
}

/// All agents that we know of, by id. An agent is known from its first offer until Mesos says that it is gone.
///
/// A map, with a memory of what was found out about all agents together; whoever changes the map clears it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agents {
    all: BTreeMap<AgentId, AgentState>,
    surveys: Memo<Vec<Survey>>,
    matching: Memo<Vec<Matching>>,
}

/// The agents that are present and on which these constraints hold.
struct Matching {
    constraints: Vec<Constraint>,
    agents: Arc<BTreeSet<AgentId>>,
}

/// The answer to a question about all agents: how many values of a field they have.
struct Survey {
    constraints: Vec<Constraint>,
    field: Field,
    answer: u32,
}

/// Most answers kept: one per distinct set of constraints that global apps and GROUP_BY without a number ask about.
const SURVEYS_KEPT: usize = 64;

impl Agents {
    /// No agents.
    pub fn new() -> Self {
        Self::default()
    }

    /// The agents that are present and `admits` admits, which must depend on the constraints and the agent alone: they
    /// are remembered until an agent changes.
    pub fn matching(&self, constraints: &[Constraint], admits: impl Fn(&Agent) -> bool) -> Arc<BTreeSet<AgentId>> {
        let mut matching = self.matching.lock();
        if let Some(known) = matching.iter().find(|known| known.constraints == constraints) {
            return known.agents.clone();
        }
        let present = self.all.values().filter(|state| state.presence == Presence::Present);
        let admitted = present.filter(|state| admits(&state.agent)).map(|state| state.agent.id.clone());
        let found: Arc<BTreeSet<AgentId>> = Arc::new(admitted.collect());
        if matching.len() == SURVEYS_KEPT {
            matching.remove(0);
        }
        matching.push(Matching { constraints: constraints.to_vec(), agents: found.clone() });
        found
    }

    /// The answer of `count`, which must depend on these agents, the constraints and the field alone: it is
    /// remembered until an agent changes.
    pub fn survey(
        &self,
        constraints: &[Constraint],
        field: &Field,
        count: impl FnOnce(&BTreeMap<AgentId, AgentState>) -> u32,
    ) -> u32 {
        let mut surveys = self.surveys.lock();
        let same = |survey: &&Survey| survey.constraints == constraints && survey.field == *field;
        if let Some(known) = surveys.iter().find(same) {
            return known.answer;
        }
        let answer = count(&self.all);
        if surveys.len() == SURVEYS_KEPT {
            surveys.remove(0);
        }
        surveys.push(Survey { constraints: constraints.to_vec(), field: field.clone(), answer });
        answer
    }
}

impl Deref for Agents {
    type Target = BTreeMap<AgentId, AgentState>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl DerefMut for Agents {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.surveys.get_mut().clear();
        self.matching.get_mut().clear();
        &mut self.all
    }
}

impl<'a> IntoIterator for &'a Agents {
    type Item = (&'a AgentId, &'a AgentState);
    type IntoIter = btree_map::Iter<'a, AgentId, AgentState>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl FromIterator<(AgentId, AgentState)> for Agents {
    fn from_iter<T: IntoIterator<Item = (AgentId, AgentState)>>(agents: T) -> Self {
        Self { all: agents.into_iter().collect(), ..Self::default() }
    }
}
