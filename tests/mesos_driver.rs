//! The Mesos driver, and the whole program with it, against a fake Mesos that does what no real one can be told to do: it
//! loses calls, cuts frames, is silent, redirects in circles, and leads with an empty memory.
//!
//! What real masters do is shown by `tests/mesos`; the fake was written from what they were seen to answer.

#![expect(clippy::expect_used, reason = "a test that cannot set its scene has nothing to say")]

#[path = "mesos_driver/calls.rs"]
mod calls;
#[path = "mesos_driver/connection.rs"]
mod connection;
#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden_process;
#[path = "mesos_driver/refusals.rs"]
mod refusals;
#[path = "mesos_driver/rig.rs"]
mod rig;
#[path = "mesos_driver/survey.rs"]
mod survey;
#[path = "mesos_driver/whole.rs"]
mod whole;
