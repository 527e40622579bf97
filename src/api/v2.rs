//! Marathon's API (§1): exactly its members, since some of its clients refuse any other.

pub(super) mod app_writes;
pub(super) mod apps;
mod beside;
pub(super) mod callbacks;
pub(super) mod change;
mod definition;
pub(super) mod deployments;
pub(super) mod events;
pub(super) mod groups;
pub(super) mod info;
pub(super) mod kills;
pub(super) mod leader;
pub(super) mod logging;
pub(super) mod pods;
mod posted;
pub(super) mod queue;
pub(super) mod selector;
pub(super) mod stats;
pub(super) mod tasks;
mod tasks_text;
pub(super) mod versions;
