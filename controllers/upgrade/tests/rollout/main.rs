//! Rollouts, played against a small world that launches, kills and answers as `instances` and the cluster would.

#![expect(clippy::expect_used, reason = "a test stops where the world is not as it says")]

mod passages;
mod properties;
mod rollback;
mod traps;
mod world;
