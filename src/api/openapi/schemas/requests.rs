//! What is sent: definitions, by the tables that the reader of manifests has (`crate::manifest`).
//!
//! The schema of a manifest refuses members that it does not know. The API leaves them out instead, so that whatever was
//! shown can be sent back, and so do the schemas here.

use serde_json::{Map, Value, json};

use super::super::schema::{described, list, named};
use crate::manifest;

/// Where a schema of a manifest has its parts.
const PARTS: &str = "#/$defs/";

pub(super) fn all() -> Vec<(String, Value)> {
    let mut all = renamed(manifest::schema(), "", true);
    // Groups in requests say more, and less, than those in manifests.
    all.retain(|(name, _)| name != "Group");
    all.push(("GroupUpdate".to_owned(), group_update()));
    if let Some((_, app)) = all.iter().find(|(name, _)| name == "App") {
        all.push(("AppUpdate".to_owned(), app_update(app.clone())));
    }
    all.extend(renamed(manifest::pod_schema(), "Shown", false));
    all
}

/// An app, of which only what changes is sent.
fn app_update(mut app: Value) -> Value {
    if let Some(members) = app.as_object_mut() {
        members.shift_remove("required");
    }
    described(app, "An app, or the members of it that change. `version` alone goes back to that version.")
}

fn group_update() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "id": { "type": ["string", "null"], "description": "Its path, or relative to the group around it." },
            "apps": many("App", "All apps right in it; those that are not listed go."),
            "groups": many("GroupUpdate", "All groups right in it; those that are not listed go."),
            "dependencies": {
                "type": ["array", "null"], "items": { "type": "string" },
                "description": "Apps and groups that must be healthy before any app of this group starts.",
            },
            "enforceRole": { "type": ["boolean", "null"], "description": "Whether its apps have its name for a role." },
            "version": { "type": ["string", "null"], "description": "Alone: the version to go back to." },
            "scaleBy": {
                "type": ["number", "null"], "minimum": 0,
                "description": "Alone: so many times the instances of all apps in it, rounded up.",
            },
        },
    });
    described(schema, "What shall be in a group. Members that are not sent stay as they are.")
}

fn many(name: &str, text: &str) -> Value {
    let mut schema = list(named(name));
    schema["type"] = json!(["array", "null"]);
    described(schema, text)
}

/// The parts of a schema, under names as programs like them: `port mapping` is `PortMapping`.
fn renamed(mut schema: Value, prefix: &str, open: bool) -> Vec<(String, Value)> {
    let parts = schema.as_object_mut().and_then(|members| members.shift_remove("$defs"));
    let parts = match parts {
        Some(Value::Object(parts)) => parts,
        _ => Map::new(),
    };
    let rename = |(name, mut part): (String, Value)| {
        refer(&mut part, prefix, open);
        (in_one_word(&name, prefix), part)
    };
    parts.into_iter().map(rename).collect()
}

fn in_one_word(name: &str, prefix: &str) -> String {
    name.split('-').fold(prefix.to_owned(), |mut word, part| {
        let mut letters = part.chars();
        word.extend(letters.next().into_iter().flat_map(char::to_uppercase).chain(letters));
        word
    })
}

fn refer(schema: &mut Value, prefix: &str, open: bool) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref")
                && let Some(name) = target.strip_prefix(PARTS)
            {
                *target = format!("#/components/schemas/{}", in_one_word(name, prefix));
            }
            if open && members.get("additionalProperties") == Some(&Value::Bool(false)) {
                members.shift_remove("additionalProperties");
            }
            members.values_mut().for_each(|member| refer(member, prefix, open));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| refer(item, prefix, open)),
        _ => {}
    }
}
