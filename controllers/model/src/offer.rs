//! Offers: resources of an agent that Mesos lends us, to be used once or declined.

mod book;
mod column;
mod shelf;
mod spare;

pub use book::{OfferBook, SearchFrom};
pub use column::{Column, ValueIx};
pub use spare::Spare;

use std::sync::Arc;

use crate::agent::{Agent, Window};
use crate::id::{OfferId, Role};
use crate::port::PortSet;
use crate::resources::Resources;
use crate::time::Timestamp;

/// One offer, as the cluster made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// Whose resources these are.
    pub agent: Arc<Agent>,
    /// The role it is made to; only apps of this role may use it.
    pub role: Role,
    /// What belongs to everybody.
    pub unreserved: Bundle,
    /// What is reserved to [`Offer::role`] (statically, or dynamically without labels of somebody else).
    pub reserved: Bundle,
    /// Planned unavailability of the agent.
    pub maintenance: Option<Window>,
}

/// Scalars and ports together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bundle {
    /// The scalars.
    pub resources: Resources,
    /// The ports.
    pub ports: PortSet,
}

impl Bundle {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.resources == Resources::NONE && self.ports.is_empty()
    }

    /// Puts another one in, too.
    pub fn add(&mut self, other: &Self) {
        self.resources += &other.resources;
        self.ports.extend(&other.ports);
    }

    /// Takes a part of it out. What is not in it cannot be taken, and is not missed.
    pub fn subtract(&mut self, part: &Self) {
        self.resources -= &part.resources;
        for port in part.ports.iter() {
            self.ports.remove(port);
        }
    }
}

/// What a launch takes of a [`Lot`], by whom it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// Of what belongs to everybody.
    pub unreserved: Bundle,
    /// Of what is reserved to the role.
    pub reserved: Bundle,
}

/// Everything that one agent has on offer for one role at the moment: its outstanding offers together, less what
/// launches of this step have taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    /// Whose resources these are.
    pub agent: Arc<Agent>,
    /// The role they are offered to.
    pub role: Role,
    /// The offers it consists of. All are used up together by one accept.
    pub offers: Vec<OfferId>,
    /// What belongs to everybody.
    pub unreserved: Bundle,
    /// What is reserved to the role.
    pub reserved: Bundle,
    /// Planned unavailability of the agent.
    pub maintenance: Option<Window>,
    /// How many launches of this step have taken something of it.
    pub launches: u32,
    /// When its oldest offer came.
    pub since: Timestamp,
    /// Grows with every offer that is added to the book: what was refused at an epoch need not be asked again
    /// before a lot has a later one.
    pub epoch: u64,
}

/// Where a lot stands in the book. Valid until the lot is removed; never dangling within one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LotIx(pub u32);
