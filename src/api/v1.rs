//! Our own API: what Marathon has no place for. Three tenses, never mixed: spec, target, observed.

pub(super) mod adoption;
pub(super) mod apps;
pub(super) mod directory;
pub(super) mod instances;
pub mod reasons;
pub(super) mod state;
pub(super) mod status;
pub(super) mod uninstall;
