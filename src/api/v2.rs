//! Marathon's API (§1): exactly its members, since some of its clients refuse any other.

pub(super) mod apps;
mod change;
pub(super) mod deployments;
pub(super) mod events;
pub(super) mod info;
pub(super) mod queue;
mod selector;
pub(super) mod stats;
pub(super) mod tasks;
