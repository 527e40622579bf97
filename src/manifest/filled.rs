//! What was written, with all defaults written out, as JSON.
//!
//! For definitions that are kept as they were sent, and not turned into something else. Whether they are good is not
//! looked at here. Members that the shape does not know are left out; lists and maps appear even when empty, since
//! clients subscript them without asking.

use serde_json::{Map, Value as Json};

use super::json::number;
use super::shape::{Default, Field, Kind, Shape};
use super::tree::{Node, Value};

/// `node` as a `shape`. Of the maps of known members that are not written, those of `always` appear nevertheless.
pub(super) fn object(shape: &'static Shape, node: Option<&Node>, always: &[&str]) -> Json {
    let mut members = Map::new();
    for field in shape.fields {
        let written = node.and_then(|node| node.get(field.name));
        let value = match written {
            Some(written) => value(&field.kind, written, always),
            None => unwritten(field, always),
        };
        if let Some(value) = value {
            members.insert(field.name.to_owned(), value);
        }
    }
    Json::Object(members)
}

/// Whether a member is there although it was not written.
pub(super) fn is_filled(field: &'static Field, always: &[&str]) -> bool {
    unwritten(field, always).is_some()
}

fn value(kind: &'static Kind, node: &Node, always: &[&str]) -> Option<Json> {
    match (kind, &node.value) {
        (Kind::Ignored, _) => None,
        (Kind::Either(kinds), _) => {
            let kind = kinds.iter().find(|kind| kind.takes(node))?;
            value(kind, node, always)
        }
        (Kind::List(kind, ..), Value::List(items)) => {
            Some(items.iter().filter_map(|item| value(kind, item, always)).collect())
        }
        (Kind::Map(kind), Value::Map(members)) => {
            let values = members.iter().filter_map(|member| {
                let value = value(kind, &member.value, always)?;
                Some((member.key.clone().into_owned(), value))
            });
            Some(Json::Object(values.collect()))
        }
        (Kind::Object(shape), _) => Some(object(shape, Some(node), always)),
        (Kind::Nested(shape), _) => Some(object(shape(), Some(node), always)),
        (_, Value::Flag(flag)) => Some(Json::from(*flag)),
        (_, Value::Number(amount)) => Some(number(*amount)),
        (_, Value::Text(text)) => Some(Json::from(&**text)),
        (_, Value::Null | Value::List(_) | Value::Map(_)) => None,
    }
}

fn unwritten(field: &'static Field, always: &[&str]) -> Option<Json> {
    match (&field.kind, field.default) {
        (_, Default::Flag(flag)) => Some(Json::from(flag)),
        (_, Default::Number(amount)) => Some(number(amount)),
        (_, Default::Word(word)) => Some(Json::from(word)),
        (Kind::List(_, 0, _), Default::None) => Some(Json::Array(Vec::new())),
        (Kind::Map(_), Default::None) => Some(Json::Object(Map::new())),
        (kind, Default::None) if always.contains(&field.name) => {
            kind.object().map(|shape| object(shape, None, always))
        }
        (_, Default::None) => None,
    }
}
