//! Words to write schemas with (JSON Schema, draft 2020-12, as OpenAPI 3.1 has it).

#![expect(clippy::needless_pass_by_value, reason = "schemas are made to be given away")]

use serde_json::{Map, Value, json};

/// A member's name and schema; a name that ends with `?` may be absent.
pub(super) type Member = (&'static str, Value);

/// An object of these members and no others. Marathon's clients refuse any other.
pub(super) fn closed(members: impl IntoIterator<Item = Member>) -> Value {
    let mut schema = object(members);
    schema["additionalProperties"] = json!(false);
    schema
}

/// An object of these members; later versions may have more.
pub(super) fn object(members: impl IntoIterator<Item = Member>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in members {
        let known = name.strip_suffix('?').unwrap_or(name);
        if known == name {
            required.push(name);
        }
        properties.insert(known.to_owned(), schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A schema and what its values mean.
pub(super) fn described(mut schema: Value, text: &str) -> Value {
    schema["description"] = json!(text);
    schema
}

/// A text.
pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// One of these words.
pub(super) fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// `true` or `false`.
pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// A number that counts something.
pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A number of any kind.
pub(super) fn number() -> Value {
    json!({ "type": "number" })
}

/// A port; 0 stands for one that is not known or not chosen.
pub(super) fn port() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 65_535 })
}

/// A point in time, in UTC with milliseconds. Versions are written so, too.
pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// The path of an app, group or pod, with its leading slash.
pub(super) fn path() -> Value {
    json!({ "type": "string", "pattern": "^/" })
}

/// The id of a deployment.
pub(super) fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

/// A list.
pub(super) fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// Any keys with such values.
pub(super) fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

/// Such a value, or `null`.
pub(super) fn nullable(schema: Value) -> Value {
    either([schema, json!({ "type": "null" })])
}

/// One of several.
pub(super) fn either(schemas: impl IntoIterator<Item = Value>) -> Value {
    json!({ "anyOf": schemas.into_iter().collect::<Vec<_>>() })
}

/// A schema of `components/schemas`.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
