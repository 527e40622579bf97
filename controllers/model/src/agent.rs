//! Agents: the machines that run tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::Field;
use crate::id::AgentId;
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

/// All agents that we know of. An agent is known from its first offer until Mesos says that it is gone.
pub type Agents = BTreeMap<AgentId, AgentState>;
