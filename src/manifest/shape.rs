//! How fields are described. The reader's checks, the defaults, the "did you mean" and the JSON Schema all come from
//! these descriptions, so that none of them can say something else than the others.

use std::sync::OnceLock;

use regex::Regex;

use super::tree::is_same;

/// A kind of map with known members.
#[derive(Debug)]
pub(super) struct Shape {
    /// Its name in the schema, and in messages: "a port mapping".
    pub(super) name: &'static str,
    /// What it is.
    pub(super) doc: &'static str,
    pub(super) fields: &'static [Field],
}

/// A member of a map.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) doc: &'static str,
    pub(super) default: Default,
    pub(super) required: bool,
    /// The modern form, where this is a legacy one.
    pub(super) legacy: Option<&'static str>,
    /// What a manifest may not ask for yet. The field is checked like any other, and then refused.
    pub(super) later: Option<&'static str>,
    /// What became of it, where Marathon itself dropped it: then anything but an empty value is refused.
    pub(super) retired: Option<&'static str>,
}

/// What a value must be.
#[derive(Debug)]
pub(super) enum Kind {
    /// true or false
    Flag,
    /// A whole number within bounds, both included.
    Int(u32, u32),
    /// A number within bounds, both included.
    Number(f64, f64),
    /// A text.
    Text(&'static Form),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of so many to so many.
    List(&'static Kind, usize, usize),
    /// Any keys, values of one kind.
    Map(&'static Kind),
    /// A map with known members.
    Object(&'static Shape),
    /// A map with known members that is checked when its turn comes: an app or a group within a group.
    Nested(fn() -> &'static Shape),
    /// Whichever fits; they differ in their JSON type, or are words and another text.
    Either(&'static [Kind]),
    /// Anything: what Marathon puts into its answers and ignores in requests.
    Ignored,
}

/// What a field is when it is not written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    None,
    Flag(bool),
    Number(f64),
    Word(&'static str),
}

/// What a text must look like.
#[derive(Debug)]
pub(super) struct Form {
    /// Fewest and most characters.
    pub(super) least: usize,
    pub(super) most: usize,
    /// A regular expression in the dialect that JSON Schema and Rust share; none where anything will do.
    pub(super) pattern: Option<&'static str>,
    /// What the pattern asks for, for people.
    pub(super) says: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Form {
    pub(super) const fn any(least: usize, most: usize) -> Self {
        Self { least, most, pattern: None, says: "", compiled: OnceLock::new() }
    }

    pub(super) const fn of(least: usize, most: usize, pattern: &'static str, says: &'static str) -> Self {
        Self { least, most, pattern: Some(pattern), says, compiled: OnceLock::new() }
    }

    /// Whether `text` has the form, its length apart.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(pattern) = self.pattern else { return true };
        // All patterns are ours; a test compiles every one.
        self.compiled.get_or_init(|| Regex::new(pattern).ok()).as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

/// A field that may be left out and has no default.
pub(super) const fn field(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    let (default, required) = (Default::None, false);
    Field { name, kind, doc, default, required, legacy: None, later: None, retired: None }
}

impl Field {
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn or_flag(mut self, default: bool) -> Self {
        self.default = Default::Flag(default);
        self
    }

    pub(super) const fn or(mut self, default: f64) -> Self {
        self.default = Default::Number(default);
        self
    }

    pub(super) const fn or_word(mut self, default: &'static str) -> Self {
        self.default = Default::Word(default);
        self
    }

    pub(super) const fn legacy(mut self, instead: &'static str) -> Self {
        self.legacy = Some(instead);
        self
    }

    pub(super) const fn later(mut self, why: &'static str) -> Self {
        self.later = Some(why);
        self
    }

    pub(super) const fn retired(mut self, instead: &'static str) -> Self {
        self.retired = Some(instead);
        self
    }
}

impl Shape {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| is_same(field.name, name))
    }
}

impl Kind {
    /// The shape of the map that this kind allows, if it does.
    pub(super) fn object(&self) -> Option<&'static Shape> {
        match self {
            Self::Object(shape) => Some(shape),
            Self::Nested(shape) => Some(shape()),
            Self::Either(kinds) => kinds.iter().find_map(Self::object),
            _ => None,
        }
    }

    /// The kind of the items of a list.
    pub(super) fn items(&self) -> Option<&'static Self> {
        if let Self::List(kind, ..) = self { Some(kind) } else { None }
    }
}
