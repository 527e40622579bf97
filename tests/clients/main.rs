//! Programs that others wrote for Marathon, driven against the real binary: its public clients for Python and JavaScript,
//! a real HAProxy that follows our event stream, and requests made up from our OpenAPI document.
//!
//! `kit/setup` fetches them, the first time; a test that cannot have them fails. What a client is asked to do, and what it
//! must get, is in a script in the client's own language (`python/`, `javascript/`); a test here gives it a server.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "../support/ekiden.rs"]
mod ekiden;
#[path = "../support/writes.rs"]
mod writes;

mod haproxy;
mod javascript;
mod kit;
mod openapi;
mod python;
mod script;
