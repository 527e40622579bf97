//! The fields of a manifest: Marathon's definition (§2 of its reference), and ours beside them.
//!
//! This is the one place that knows names, types, bounds and defaults of fields. What fields mean for each other is
//! not here but where an app is built.

mod app;
mod check;
mod container;
mod group;
mod network;

pub(super) use app::APP;
pub(super) use group::GROUP;

use super::shape::{Form, Kind};

/// Any text, to the length of a Linux command line.
static TEXT: Form = Form::any(0, 131_072);
/// Any text but none.
static SOME_TEXT: Form = Form::any(1, 131_072);
/// A URI or path, in Marathon's bounds.
static URI: Form = Form::any(1, 1024);
/// What becomes part of an absolute id. The details are checked, and explained, by the id itself.
static ID: Form = Form::any(1, 1024);
/// A name of a port, by Marathon's rule for legacy names.
static NAME: Form = Form::of(
    1,
    255,
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "use lower-case letters, digits and `-`, beginning and ending with a letter or digit",
);
/// A Mesos role.
static ROLE: Form = Form::of(
    1,
    255,
    r"^([^-.\s/][^\s/]*|\.[^.\s/][^\s/]*|\.\.[^\s/]+)$",
    "a role is a word without spaces and slashes that does not begin with `-`",
);

/// Seconds, to 68 years.
const SECONDS: Kind = Kind::Int(0, MOST);
/// Seconds, at least one.
const SOME_SECONDS: Kind = Kind::Int(1, MOST);
/// The largest number that Marathon's 32 bits hold.
const MOST: u32 = i32::MAX as u32;
/// The largest amount of a resource; beyond it thousandths would not count exactly.
const MOST_UNITS: f64 = 1e12;
/// As many as one likes: how many fit into a file is bounded anyway.
const MANY: usize = i32::MAX as usize;

static A_TEXT: Kind = Kind::Text(&TEXT);
/// Free text by name.
const LABELS: Kind = Kind::Map(&A_TEXT);
