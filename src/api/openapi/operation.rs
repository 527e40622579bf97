//! One endpoint as OpenAPI describes it, put together word by word.

#![expect(clippy::needless_pass_by_value, reason = "schemas are made to be given away")]

use serde_json::{Map, Value, json};

use super::schema::named;

/// What an endpoint takes and answers.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    tag: &'static str,
    summary: &'static str,
    note: Option<&'static str>,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Map<String, Value>,
}

impl Operation {
    /// An endpoint among those of `tag`, in a few words.
    pub(super) fn new(tag: &'static str, summary: &'static str) -> Self {
        Self { tag, summary, note: None, parameters: Vec::new(), body: None, answers: Map::new() }
    }

    /// With more words.
    pub(super) fn note(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    /// With what several endpoints have in common.
    pub(super) fn then(self, add: impl FnOnce(Self) -> Self) -> Self {
        add(self)
    }

    /// With parameters.
    pub(super) fn asks(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// With a body of JSON.
    pub(super) fn takes(mut self, schema: Value) -> Self {
        self.body = Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }));
        self
    }

    /// Answered with JSON.
    pub(super) fn gives(self, status: u16, text: &str, schema: Value) -> Self {
        self.gives_as(status, text, "application/json", schema)
    }

    /// Answered with something of another kind.
    pub(super) fn gives_as(mut self, status: u16, text: &str, kind: &str, schema: Value) -> Self {
        let answer = self.answer(status, text);
        answer["content"][kind] = json!({ "schema": schema });
        self
    }

    /// Answered without a body.
    pub(super) fn gives_nothing(mut self, status: u16, text: &str) -> Self {
        self.answer(status, text);
        self
    }

    /// Refused, with why.
    pub(super) fn refuses(self, status: u16, text: &str) -> Self {
        self.gives(status, text, named("Error"))
    }

    /// An answer that has these headers.
    pub(super) fn heads(mut self, status: u16, names: &[&str]) -> Self {
        if let Some(answer) = self.answers.get_mut(&status.to_string()) {
            for name in names {
                answer["headers"][*name] = json!({ "$ref": format!("#/components/headers/{name}") });
            }
        }
        self
    }

    /// An answer that many endpoints have, unless this one says something of its own about that status.
    pub(super) fn shares(mut self, status: u16, name: &str) -> Self {
        let answer = json!({ "$ref": format!("#/components/responses/{name}") });
        self.answers.entry(status.to_string()).or_insert(answer);
        self
    }

    fn answer(&mut self, status: u16, text: &str) -> &mut Value {
        self.answers.entry(status.to_string()).or_insert_with(|| json!({ "description": text }))
    }

    /// As JSON, under a name that no other operation has.
    pub(super) fn shown(self, id: &str, security: Value) -> Value {
        let Self { tag, summary, note, parameters, body, mut answers } = self;
        answers.sort_keys();
        let mut shown = json!({ "operationId": id, "tags": [tag], "summary": summary });
        if let Some(note) = note {
            shown["description"] = json!(note);
        }
        if !parameters.is_empty() {
            shown["parameters"] = json!(parameters);
        }
        if let Some(body) = body {
            shown["requestBody"] = body;
        }
        shown["responses"] = Value::Object(answers);
        shown["security"] = security;
        shown
    }
}
