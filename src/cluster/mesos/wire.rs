//! Between Mesos' JSON (scheduler and operator API, version 1) and the model's words. Pure: bytes in, values out, and
//! back.
//!
//! Owns every name that Mesos gives to a field, and what a field that is missing or strange means. It does not decide
//! and does not remember; the one thing that Mesos wants to hear back word by word, how reserved resources came to be
//! reserved, is handed to whoever keeps the connection ([`Reservations`]).
//!
//! JSON and not protobuf, because it is fast enough: frames are read beside the loop and not in it. How long one of
//! 2,000 offers takes, of 2.2 kB each with attributes and reservations, is printed by `cargo test --release --lib
//! two_thousand -- --nocapture`.

mod call;
mod check;
mod container;
mod event;
mod framework;
mod offer;
mod resources;
mod status;
pub(super) mod survey;
mod task;
mod values;

#[cfg(test)]
mod tests;

pub(super) use call::{accept_inverse, call, reconcile_marker, subscribe, teardown, update_framework};
pub(super) use event::{Event, InverseOffer, read_event};
pub(super) use framework::FrameworkInfo;
pub(super) use resources::Reservations;

/// The master said something that cannot be understood: it, or something between us, is no master of Mesos 1.x. All
/// that can be done is to connect again.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// Not of the form expected.
    #[error("the master says what no Mesos 1.11 says: {0}")]
    Json(#[from] serde_json::Error),
    /// Without what the type of the event or answer promises.
    #[error("the master's message has no `{0}`")]
    Missing(&'static str),
}
