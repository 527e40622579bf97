//! The test kit: a simulator of everything around the reconciler, and builders of apps, agents and offers.
//!
//! [`master`] is a fake Mesos that the real driver talks to over real HTTP. [`simulation`] runs the reconciler against a simulated [`cluster`], [`store`] and clock, all drawn from one seed, and
//! checks the design's [`invariants`] after every step; [`script`] runs written scenarios in the same world; [`mutant`]
//! plants mistakes to show that they are seen. Nothing here decides anything for Ekiden, and nothing in Ekiden knows of
//! it: what is tested is the code that ships.
//!
//! 10,000 seeds: `cargo run --release -p ekiden-kit --bin simulate -- --seeds 10000 --jobs 2`.

pub mod behaviour;
pub mod build;
pub mod cluster;
pub mod fleet;
pub mod instant;
pub mod invariants;
pub mod knobs;
pub mod ledger;
pub mod master;
pub mod mutant;
pub mod rng;
pub mod script;
pub mod simulation;
pub mod store;
pub mod timeline;
pub mod trace;
