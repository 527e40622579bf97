//! The loop around the reconciler, and the only place that spawns long-lived tasks.
//!
//! ```text
//!  directory ┐                                        ┌► store
//!  cluster   ┼─► merged inputs ─► one step ─► effects ┼► cluster
//!  probes    │      ▲                 │               ├► probes
//!  store     ┘   requests, timer      ▼               └► events
//!                                 snapshots ─► readers
//! ```
//!
//! One task owns the reconciler. It takes in everything that is waiting as one batch, steps, carries out the effects
//! in their order and publishes what changed as immutable snapshots, so that no reader ever waits for it or makes it
//! wait. Nothing is decided here: what to launch, kill, write or probe comes complete from the reconciler.

pub mod callbacks;
pub mod changes;
pub mod clock;
pub mod dev;
pub mod event_log;
#[cfg(test)]
pub(crate) mod fixtures;
mod narrator;
pub mod serve;
pub mod server;
pub mod signals;
pub mod snapshot;
pub mod tasks;
pub mod turn;
pub mod uninstall;

pub use clock::Clock;
pub use event_log::EventLog;
pub use snapshot::{AppSnapshot, Snapshot, Snapshots, within};
pub use tasks::Tasks;
pub use turn::{Arrival, Hands, Requests, Turn, TurnError, essential};
