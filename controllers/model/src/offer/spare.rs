//! What an agent has to spare: the best that is known of it, whether it is on offer at present or was.

use std::sync::Arc;

use super::{Bundle, Lot};
use crate::agent::{Agent, Window};
use crate::id::{OfferId, Role};
use crate::time::Timestamp;

/// Free resources of one agent for one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spare {
    /// Whose resources these are.
    pub agent: Arc<Agent>,
    /// The role they were offered to.
    pub role: Role,
    /// The latest offer of them.
    pub offer: Option<OfferId>,
    /// What belongs to everybody.
    pub unreserved: Bundle,
    /// What is reserved to the role.
    pub reserved: Bundle,
    /// Planned unavailability of the agent.
    pub maintenance: Option<Window>,
    /// When that was so.
    pub at: Timestamp,
}

impl Spare {
    /// What is left of a lot at `at`.
    pub fn of(lot: &Lot, at: Timestamp) -> Self {
        Self {
            agent: lot.agent.clone(),
            role: lot.role.clone(),
            offer: lot.offers.last().cloned(),
            unreserved: lot.unreserved.clone(),
            reserved: lot.reserved.clone(),
            maintenance: lot.maintenance,
            at,
        }
    }
}
