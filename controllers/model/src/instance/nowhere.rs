//! What an app remembers when it found no place: the question it asked and the answer it got.

use std::sync::Arc;

use crate::app::App;
use crate::id::{InstanceKey, RevisionId};
use crate::port::Port;
use crate::report::Refusals;
use crate::time::Timestamp;

/// A search that found nothing. Kept with the instances and dropped with any change of them, so that it need not say
/// what they were; kept up to date by whoever searches.
#[derive(Debug, Clone)]
pub struct Nowhere {
    /// What was asked.
    pub question: Question,
    /// How often the book had been disturbed (see [`crate::OfferBook::disturbances`]).
    pub disturbances: u64,
    /// Up to which epoch of the book lots were looked at.
    pub epoch: u64,
    /// Until when the answer holds: the next beginning or end of a maintenance among the lots.
    pub until: Timestamp,
    /// The answer.
    pub refusals: Refusals,
}

/// Everything beside the offers and the instances that a search depends on.
#[derive(Debug, Clone)]
pub struct Question {
    /// The declaration.
    pub declared: Arc<App>,
    /// The revision that was to be launched.
    pub revision: RevisionId,
    /// How many instances were to be in all.
    pub desired: u32,
    /// The app's service ports.
    pub service_ports: Vec<Option<Port>>,
    /// Instances that did not count at the moment.
    pub uncounted: Vec<InstanceKey>,
    /// Over how many values each GROUP_BY was to spread.
    pub groups: Vec<u32>,
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        // A declaration is replaced when it changes, never written to: the same place in memory is the same text.
        Arc::ptr_eq(&self.declared, &other.declared)
            && self.revision == other.revision
            && self.desired == other.desired
            && self.service_ports == other.service_ports
            && self.uncounted == other.uncounted
            && self.groups == other.groups
    }
}
