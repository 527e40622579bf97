//! The body of Ekiden: everything that touches the world. The brain is in `controllers/`.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod desired;
pub mod manifest;
pub mod probe;
pub mod runtime;
mod span;
pub mod store;
pub mod telemetry;
mod tls;
