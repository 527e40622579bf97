//! Service ports over a few apps, and host ports in one lot.

#![expect(clippy::expect_used, reason = "a test stops where the world is not as it says")]

mod choice;
mod lease;
mod world;
