//! The JSON Schema of a manifest file, made of the same tables as the reader, so that editors know what it knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields::{APP, GROUP, POD};
use super::filled;
use super::shape::{Default, Field, Form, Kind, Shape};

/// The schema, in draft 2020-12.
pub(super) fn file() -> Value {
    let mut definitions = Definitions::default();
    let app = definitions.refer(&APP);
    let group = definitions.refer(&GROUP);
    let pod = definitions.refer(&POD);
    let one = one_of_three(&app, &group, &pod);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ekiden manifest",
        "description": "An app, a list of apps and groups, or a group.",
        "if": { "type": "array" },
        "then": { "items": one },
        "else": one,
        "$comment": "generated from src/manifest/fields",
        "$defs": Value::Object(definitions.known.into_iter().collect()),
    })
}

/// The schema of a `shape` as [`filled`](mod@super::filled) writes it: what has a default is always there, and nothing is `null`.
pub(super) fn filled(shape: &'static Shape, always: &'static [&'static str]) -> Value {
    let mut definitions = Definitions { always: Some(always), ..Definitions::default() };
    let mut schema = definitions.refer(shape);
    schema["$defs"] = Value::Object(definitions.known.into_iter().collect());
    schema
}

/// Tells by what only a group or only a pod has which is meant, so that an editor shows the right completions.
fn one_of_three(app: &Value, group: &Value, pod: &Value) -> Value {
    json!({
        "if": { "anyOf": [{ "required": ["apps"] }, { "required": ["groups"] }, { "required": ["pods"] }] },
        "then": group,
        "else": { "if": { "required": ["containers"] }, "then": pod, "else": app },
    })
}

#[derive(std::default::Default)]
struct Definitions {
    /// The shapes met so far, by name.
    known: BTreeMap<String, Value>,
    /// Of what is filled in: the maps that are so even where they were not written. Nothing of what people write.
    always: Option<&'static [&'static str]>,
}

impl Definitions {
    fn refer(&mut self, shape: &'static Shape) -> Value {
        let name = shape.name.replace(' ', "-");
        if !self.known.contains_key(&name) {
            // First, as shapes may refer to themselves.
            self.known.insert(name.clone(), Value::Null);
            let described = self.describe(shape);
            self.known.insert(name.clone(), described);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    fn describe(&mut self, shape: &'static Shape) -> Value {
        let mut properties = Map::new();
        for field in shape.fields {
            properties.insert(field.name.to_owned(), self.field(field));
        }
        let required: Vec<_> =
            shape.fields.iter().filter(|field| self.is_required(field)).map(|field| field.name).collect();
        let mut out = Map::new();
        out.insert("description".to_owned(), Value::from(shape.doc));
        out.insert("type".to_owned(), Value::from("object"));
        out.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            out.insert("required".to_owned(), Value::from(required));
        }
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
        Value::Object(out)
    }

    fn is_required(&self, field: &'static Field) -> bool {
        field.required || self.always.is_some_and(|always| filled::is_filled(field, always))
    }

    /// Null stands for absent wherever a member may be absent.
    fn or_null(&self, kind: Value) -> Value {
        if self.always.is_some() || kind.as_object().is_some_and(Map::is_empty) {
            return kind;
        }
        json!({ "anyOf": [kind, { "type": "null" }] })
    }

    fn field(&mut self, field: &'static Field) -> Value {
        let mut kind = self.kind(&field.kind);
        if !field.required {
            kind = self.or_null(kind);
        }
        let mut out = Map::new();
        out.insert("description".to_owned(), Value::from(field.doc));
        match field.default {
            Default::None => {}
            Default::Flag(flag) => _ = out.insert("default".to_owned(), Value::from(flag)),
            Default::Number(number) => _ = out.insert("default".to_owned(), shown(number)),
            Default::Word(word) => _ = out.insert("default".to_owned(), Value::from(word)),
        }
        if field.legacy.is_some() || field.retired.is_some() {
            out.insert("deprecated".to_owned(), Value::from(true));
        }
        if let Some(note) = note(field) {
            out.insert("$comment".to_owned(), Value::from(note));
        }
        if let Value::Object(members) = kind {
            out.extend(members);
        }
        Value::Object(out)
    }

    fn kind(&mut self, kind: &'static Kind) -> Value {
        match kind {
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Int(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Kind::Number(least, most) => {
                json!({ "type": "number", "minimum": shown(*least), "maximum": shown(*most) })
            }
            Kind::Text(form) => text(form),
            Kind::Word(words) => json!({ "enum": words }),
            Kind::List(kind, least, most) => list(&self.kind(kind), *least, *most),
            Kind::Map(kind) => {
                let kind = self.kind(kind);
                json!({ "type": "object", "additionalProperties": self.or_null(kind) })
            }
            Kind::Object(shape) => self.refer(shape),
            Kind::Nested(shape) => self.refer(shape()),
            Kind::Either(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| self.kind(kind)).collect();
                json!({ "anyOf": kinds })
            }
            Kind::Ignored => json!({}),
        }
    }
}

fn note(field: &Field) -> Option<String> {
    let legacy = field.legacy.map(|instead| format!("the old form of `{instead}`"));
    let later = || field.later.map(|why| format!("not supported yet: {why}"));
    let retired = || field.retired.map(str::to_owned);
    legacy.or_else(later).or_else(retired)
}

fn text(form: &Form) -> Value {
    let mut out = Map::new();
    out.insert("type".to_owned(), Value::from("string"));
    if form.least > 0 {
        out.insert("minLength".to_owned(), Value::from(form.least));
    }
    out.insert("maxLength".to_owned(), Value::from(form.most));
    if let Some(pattern) = form.pattern {
        out.insert("pattern".to_owned(), Value::from(pattern));
    }
    Value::Object(out)
}

fn list(items: &Value, least: usize, most: usize) -> Value {
    let mut out = Map::new();
    out.insert("type".to_owned(), Value::from("array"));
    out.insert("items".to_owned(), items.clone());
    if least > 0 {
        out.insert("minItems".to_owned(), Value::from(least));
    }
    if most < i32::MAX as usize {
        out.insert("maxItems".to_owned(), Value::from(most));
    }
    Value::Object(out)
}

fn shown(number: f64) -> Value {
    if number.fract() == 0.0 { Value::from(number as i64) } else { Value::from(number) }
}
