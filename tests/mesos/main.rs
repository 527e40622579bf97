//! `ekiden serve`, the real binary, on real Mesos: masters, agents and ZooKeeper that are killed, stopped and brought back.
//!
//! Every test has a cluster of its own. As many tests run at once as there are cores, which is what bounds the clusters.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "../support/ekiden.rs"]
mod ekiden;

mod cluster;
mod kit;
mod ports;
mod process;

mod smoke;
