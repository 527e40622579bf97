//! What must hold after every step. Each check says which invariant of the design it is, and what exactly it means
//! here; what is compared is the cluster's truth and the [`Ledger`]'s books, not what the reconciler thinks.
//!
//! S3 is checked by the master when a launch arrives (`cluster/calls.rs`).

mod announced;
mod constraints;
mod effects;
mod matched;
mod requests;
mod vanished;

use ekiden_model::Timestamp;
use ekiden_model::limits::Settings;

pub use announced::Desired;
pub use constraints::holds;
pub use matched::{Excuse, Match};

use crate::cluster::Cluster;
use crate::ledger::Ledger;
use crate::store::Store;

/// What the checks look at.
#[derive(Debug)]
pub struct Check<'a> {
    /// The truth.
    pub cluster: &'a Cluster,
    /// The books.
    pub ledger: &'a mut Ledger,
    /// What would survive.
    pub store: &'a Store,
    /// The settings that Ekiden was given.
    pub settings: &'a Settings,
    /// The time that waits are reckoned by.
    pub now: Timestamp,
    /// The time in the world.
    pub world_now: Timestamp,
}

/// What a check found to be wrong.
pub type Found = Vec<(&'static str, String)>;
