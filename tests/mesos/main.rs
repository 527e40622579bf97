//! `ekiden serve`, the real binary, on real Mesos: masters, agents and ZooKeeper that are killed, stopped and brought back.
//!
//! Every test has a cluster of its own. As many tests run at once as there are cores, which is what bounds the clusters.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "../support/client.rs"]
mod client;
#[path = "../support/small_disk.rs"]
mod small_disk;
#[path = "../support/web.rs"]
mod web;

mod cluster;
mod ekiden;
mod kit;
mod ports;
mod process;
mod truth;

mod agents;
mod checks;
mod crashes;
mod examples;
mod framework;
mod full;
mod maintenance;
mod masters;
mod rollout;
mod smoke;
