//! Typed access to a map whose shape is known.
//!
//! By the time somebody reads through this, [`super::shapes`] has reported whatever has the wrong shape. What is not
//! as described reads as absent here, so that nothing is reported twice.

use super::shape::{Default, Shape};
use super::tree::{Member, Node, Span, Value};

/// A map and what its members are.
#[derive(Clone, Copy)]
pub(super) struct Object<'n> {
    shape: &'static Shape,
    node: &'n Node<'n>,
}

impl<'n> Object<'n> {
    /// `node` as a `shape`; `None` where it is no map.
    pub(super) fn new(shape: &'static Shape, node: &'n Node<'n>) -> Option<Self> {
        node.as_map().map(|_| Self { shape, node })
    }

    /// Where it stands.
    pub(super) fn span(&self) -> Span {
        self.node.span
    }

    /// Where the key `name` stands, or the map where it is not there.
    pub(super) fn key_span(&self, name: &str) -> Span {
        self.node.member(name).map_or(self.node.span, |member| member.key_span)
    }

    /// Where the value of `name` stands, or the map where it is not there.
    pub(super) fn value_span(&self, name: &str) -> Span {
        self.node.get(name).map_or(self.node.span, |value| value.span)
    }

    /// Whether `name` is written, and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.node.member(name).is_some()
    }

    /// Whether `name` is written and holds something: neither an empty list nor an empty map.
    pub(super) fn has_some(&self, name: &str) -> bool {
        self.node.get(name).is_some_and(|value| match &value.value {
            Value::List(items) => !items.is_empty(),
            Value::Map(members) => !members.is_empty(),
            _ => true,
        })
    }

    /// What is written, as it stands there.
    pub(super) fn node(&self, name: &str) -> Option<&'n Node<'n>> {
        self.node.get(name)
    }

    /// The text or word, or its default.
    pub(super) fn text(&self, name: &str) -> Option<&'n str> {
        self.node.get(name).and_then(Node::as_text).or_else(|| match self.default(name) {
            Default::Word(word) => Some(word),
            _ => None,
        })
    }

    pub(super) fn owned_text(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match (self.node.get(name).map(|node| &node.value), self.default(name)) {
            (Some(Value::Flag(flag)), _) => *flag,
            (_, Default::Flag(flag)) => flag,
            _ => false,
        }
    }

    /// The number, or its default.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.node.get(name).and_then(Node::as_number).or_else(|| match self.default(name) {
            Default::Number(number) => Some(number),
            _ => None,
        })
    }

    /// The whole number, or its default.
    pub(super) fn int(&self, name: &str) -> Option<u32> {
        self.number(name).map(|number| number as u32)
    }

    /// The map of a known shape.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        let shape = self.shape.field(name)?.kind.object()?;
        Object::new(shape, self.node.get(name)?)
    }

    /// The list of maps of a known shape; empty where there is none.
    pub(super) fn objects(&self, name: &str) -> Vec<Self> {
        let shape = self.shape.field(name).and_then(|field| field.kind.items()?.object());
        let items = self.items(name).iter();
        shape.map(|shape| items.filter_map(|item| Object::new(shape, item)).collect()).unwrap_or_default()
    }

    /// The items of a list; empty where there is none.
    pub(super) fn items(&self, name: &str) -> &'n [Node<'n>] {
        self.node.get(name).and_then(Node::as_list).unwrap_or_default()
    }

    /// The texts of a list, and where they stand.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = (&'n str, Span)> + use<'n> {
        self.items(name).iter().filter_map(|item| Some((item.as_text()?, item.span)))
    }

    /// The members of a map of any keys.
    pub(super) fn members(&self, name: &str) -> &'n [Member<'n>] {
        self.node.get(name).and_then(Node::as_map).unwrap_or_default()
    }

    /// The members of a map of any keys whose values are texts.
    pub(super) fn text_map(&self, name: &str) -> std::collections::BTreeMap<String, String> {
        let texts = self.members(name).iter();
        texts
            .filter_map(|member| Some((member.key.clone().into_owned(), member.value.as_text()?.to_owned())))
            .collect()
    }

    fn default(&self, name: &str) -> Default {
        let field = self.shape.field(name);
        debug_assert!(field.is_some(), "{} has no field {name}", self.shape.name);
        field.map_or(Default::None, |field| field.default)
    }
}
