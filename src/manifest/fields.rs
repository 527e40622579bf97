//! The fields of a manifest: Marathon's definition (§2 of its reference), and ours beside them.
//!
//! This is the one place that knows names, types, bounds and defaults of fields. What fields mean for each other is
//! not here but where an app is built.

mod app;
mod check;
mod container;
mod group;
mod network;
mod pod;

pub(super) use app::APP;
pub(super) use group::GROUP;
pub(super) use pod::POD;

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

#[cfg(test)]
mod list;
#[cfg(test)]
pub(crate) use list::app_fields;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::shape::{Default, Field, Shape};
    use super::*;

    /// The forms of texts in `kind`; shapes in it are added to `shapes`.
    fn forms(kind: &'static Kind, shapes: &mut Vec<&'static Shape>) -> Vec<&'static Form> {
        match kind {
            Kind::Text(form) => vec![form],
            Kind::List(kind, ..) | Kind::Map(kind) => forms(kind, shapes),
            Kind::Either(kinds) => kinds.iter().flat_map(|kind| forms(kind, shapes)).collect(),
            Kind::Object(_) | Kind::Nested(_) => {
                shapes.extend(kind.object());
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// All shapes that a manifest can have.
    fn all() -> Vec<&'static Shape> {
        let mut seen = BTreeSet::new();
        let mut left: Vec<&'static Shape> = vec![&GROUP];
        let mut all = Vec::new();
        while let Some(shape) = left.pop() {
            if seen.insert(shape.name) {
                all.push(shape);
                for field in shape.fields {
                    forms(&field.kind, &mut left);
                }
            }
        }
        all
    }

    fn fits(field: &Field) -> bool {
        match (field.default, &field.kind) {
            (Default::None, _) | (Default::Flag(_), Kind::Flag) => true,
            (Default::Number(number), Kind::Int(least, most)) => {
                (f64::from(*least)..=f64::from(*most)).contains(&number)
            }
            (Default::Number(number), Kind::Number(least, most)) => (*least..=*most).contains(&number),
            (Default::Word(word), Kind::Word(words)) => words.contains(&word),
            (Default::Word(word), Kind::Text(form)) => form.matches(word),
            _ => false,
        }
    }

    #[test]
    fn tables_are_sound() {
        let shapes = all();
        assert!(shapes.len() > 30, "{}", shapes.len());
        for shape in shapes {
            let mut names = BTreeSet::new();
            for field in shape.fields {
                assert!(names.insert(field.name), "{} has {} twice", shape.name, field.name);
                assert!(fits(field), "{}.{} has a default that it would refuse", shape.name, field.name);
                assert!(field.doc.ends_with('.'), "{}.{} ends without a full stop", shape.name, field.name);
                for form in forms(&field.kind, &mut Vec::new()) {
                    let pattern = form.pattern.unwrap_or_default();
                    assert!(regex::Regex::new(pattern).is_ok(), "{pattern}");
                    assert_eq!(form.pattern.is_some(), !form.says.is_empty(), "{pattern} says nothing");
                }
            }
        }
    }
}
