//! A document as a tree in which every key and value knows where it stands.
//!
//! Serde's data model has no place for positions; going through it would lose them wherever a field has more than
//! one form. So manifests are read into this tree first, checked against the field tables, and only then built.

use std::borrow::Cow;

/// Deepest nesting of lists and maps. An app needs 8, and a group 2 for each group around it.
pub(super) const DEPTH_MAX: usize = 64;

/// Most bytes that the values of a file may stand for, aliases written out. Four times the largest file, so that
/// anchors are of use and aliases of aliases of aliases are not.
pub(super) const EXPANDED_MAX_BYTES: usize = 16 << 20;

/// What a value costs besides its text, in bytes: about what a [`Node`] takes.
pub(super) const NODE_COST: usize = 64;

/// Where something stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    /// From 1.
    pub(super) line: u32,
    /// In characters, from 1.
    pub(super) column: u32,
    /// First byte in the text of the file.
    pub(super) start: u32,
    /// The byte after the last.
    pub(super) end: u32,
    /// Whether a whole map is meant: it stands where its first key does.
    pub(super) map: bool,
}

impl Span {
    fn at(self, other: Self) -> bool {
        (self.line, self.column, self.map) == (other.line, other.column, other.map)
    }
}

/// A value and where it stands. Texts that stand in the file as they are meant are not copied from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node<'t> {
    pub(super) span: Span,
    pub(super) value: Value<'t>,
}

/// A value, as JSON has them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'t> {
    Null,
    Flag(bool),
    Number(f64),
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    Map(Vec<Member<'t>>),
}

/// A key of a map and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member<'t> {
    pub(super) key: Cow<'t, str>,
    pub(super) key_span: Span,
    pub(super) value: Node<'t>,
}

/// Whether two names are one. Of those that are of one length nearly all begin differently, and comparing texts of any
/// length is a call; of an app's names there are thousands of comparisons.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().next() == other.bytes().next() && one == other
}

impl<'t> Node<'t> {
    pub(super) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The member `key` of a map, unless it is null: nobody tells null from absent.
    pub(super) fn member(&self, key: &str) -> Option<&Member<'t>> {
        match &self.value {
            Value::Map(members) => {
                members.iter().find(|member| is_same(&member.key, key) && !member.value.is_null())
            }
            _ => None,
        }
    }

    /// The value of the member `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.member(key).map(|member| &member.value)
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        if let Value::Number(number) = self.value { Some(number) } else { None }
    }

    pub(super) fn as_list(&self) -> Option<&[Self]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    pub(super) fn as_map(&self) -> Option<&[Member<'t>]> {
        if let Value::Map(members) = &self.value { Some(members) } else { None }
    }

    /// The path from here to what stands at `span`, as Marathon writes it: `/container/portMappings(0)/name`.
    pub(super) fn path_to(&self, span: Span) -> Option<String> {
        if self.span.at(span) {
            return Some(String::new());
        }
        match &self.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .find_map(|(index, item)| item.path_to(span).map(|rest| format!("({index}){rest}"))),
            Value::Map(members) => members.iter().find_map(|member| {
                let here = member.key_span.at(span).then(String::new);
                here.or_else(|| member.value.path_to(span)).map(|rest| format!("/{}{rest}", member.key))
            }),
            _ => None,
        }
    }
}
