//! The controller against a small world that does what it says.

mod conditions;
mod edits;
mod laws;
mod probing;
mod transitions;
mod world;
