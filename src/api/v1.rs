//! Our own API: what Marathon has no place for. Three tenses, never mixed: spec, target, observed.

pub(super) mod adoption;
pub(super) mod apps;
mod conditions;
mod diff;
pub(super) mod directory;
pub(super) mod history;
pub(super) mod instances;
mod page;
pub(super) mod plan;
mod provenance;
pub mod reasons;
pub(super) mod state;
pub(super) mod status;
pub(super) mod uninstall;
pub(super) mod watch;
