//! Requests made up from a description of the API (property-based, by `schemathesis`): whatever is sent, no answer is a 5xx,
//! none has a status that is not documented, and every body has the form that is.
//!
//! The server that is asked has an agent with nothing on it: what is made up would otherwise be run.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use ::ekiden::api::route::{ROUTES, Route, Verb};
use serde_json::{Map, Value, json};

use crate::ekiden::Ekiden;
use crate::script;

/// Answers to these never end, or end the server's work; they have tests of their own.
const LEFT_OUT: [&str; 3] = ["/v2/events", "/v1/watch", "/v1/uninstall"];

/// Where the API's own document is, once it has one.
const SERVED: &str = "/v1/openapi.json";

/// How many requests are made up for each operation. The same ones each time.
const EXAMPLES: &str = "4";

#[tokio::test(flavor = "multi_thread")]
async fn no_made_up_request_gets_a_5xx_or_an_undocumented_answer() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::create_dir(folder.path().join("manifests")).expect("made");
    let nothing = "cpus:0;mem:0;disk:0;ports:[]";
    let arguments = ["dev", "manifests", "--http", "127.0.0.1:0", "--resources", nothing];
    let ekiden = Ekiden::spawn(Arc::clone(&folder), &arguments).await;
    for id in ["/known", "/group/known"] {
        let app = json!({ "id": id, "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16 });
        let (status, answer) = ekiden.write_json("POST", "/v2/apps", &app).await;
        assert_eq!(status, 201, "{answer}");
    }
    let document = folder.path().join("openapi.json");
    let described = if ROUTES.iter().any(|route| route.path == SERVED) {
        ekiden.json(SERVED).await
    } else {
        document_of(ROUTES)
    };
    std::fs::write(&document, described.to_string()).expect("written");
    drive(&ekiden, &document, folder.path()).await;
    assert_eq!(ekiden.json("/v2/info").await["elected"], true);
}

/// Makes requests up from the document, and has their answers checked against it.
async fn drive(ekiden: &Ekiden, document: &Path, folder: &Path) {
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let arguments = [
        ["-m", "schemathesis.cli"].as_slice(),
        &["run", "--url", &ekiden.server, "--seed", "1", "--max-examples", EXAMPLES, "--workers", "1"],
        &["--phases", "examples,fuzzing", "--checks", checks, "--generation-database", "none"],
        &["--request-timeout", "30", "--continue-on-failure", "--no-color"],
    ];
    let left_out = LEFT_OUT.map(|path| ["--exclude-path", path]).concat();
    let arguments = [arguments.concat(), left_out].concat();
    let mut command = script::python_with(arguments.iter().map(OsStr::new));
    script::run(command.arg(document).current_dir(folder), ekiden).await;
}

/// A description of routes that knows of each what every client may rely on.
fn document_of(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let path = route.path.replace('*', "");
        let method = route.verb.methods()[0].to_lowercase();
        let operations = paths.entry(&path).or_insert_with(|| json!({}));
        operations[&method] = operation(route, &path);
    }
    json!({ "openapi": "3.1.0", "info": { "title": "ekiden", "version": "1" }, "paths": paths })
}

fn operation(route: &Route, path: &str) -> Value {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<Value> = names
        .map(|name| {
            let text = json!({ "type": "string", "minLength": 1 });
            // What there is, now and then, and what there is not.
            let schema = match name {
                "id" => json!({ "anyOf": [{ "enum": ["known", "group/known", "group"] }, text] }),
                _ => text,
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    let query = |name: &str, kind: &str| json!({ "name": name, "in": "query", "schema": { "type": kind } });
    let reads = matches!(route.verb, Verb::Get | Verb::Head);
    if reads {
        parameters.extend(["embed", "label", "status", "cmd", "id"].map(|name| query(name, "string")));
    } else {
        parameters
            .extend(["force", "scale", "wipe", "partialUpdate", "dryRun"].map(|name| query(name, "boolean")));
    }
    let refused = json!({
        "description": "refused, and why",
        "content": { "application/json": { "schema": {
            "type": "object", "required": ["message"], "properties": { "message": { "type": "string" } },
        } } },
    });
    let done = json!({ "description": "done" });
    let statuses: &[&str] =
        if reads { &["400", "404", "422"] } else { &["400", "404", "405", "409", "412", "415", "422"] };
    let mut responses: Map<String, Value> =
        statuses.iter().map(|status| ((*status).to_owned(), refused.clone())).collect();
    let good: &[&str] = if reads { &["200"] } else { &["200", "201", "202", "204"] };
    responses.extend(good.iter().map(|status| ((*status).to_owned(), done.clone())));
    let mut operation = json!({ "parameters": parameters, "responses": responses });
    if !reads && route.verb != Verb::Delete {
        let schema = body(path);
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema } } });
    }
    operation
}

/// What may be sent there: right in most, so that it comes to be acted on, too.
fn body(path: &str) -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "object", "additionalProperties": text });
    let app = json!({ "type": "object", "properties": {
        "id": { "type": "string", "pattern": "^/?[a-z]{1,4}(/[a-z]{1,4})?$" },
        "cmd": text,
        "instances": { "type": "integer", "minimum": 0, "maximum": 5 },
        "cpus": { "type": "number" }, "mem": { "type": "number" },
        "env": texts, "labels": texts,
        "constraints": { "type": "array", "items": { "type": "array", "items": text } },
        "dependencies": { "type": "array", "items": text },
        "container": { "type": ["object", "null"] },
        "healthChecks": { "type": "array", "items": { "type": "object" } },
        "portDefinitions": { "type": ["array", "null"], "items": { "type": "object", "properties": {
            "port": { "type": "integer" }, "name": text } } },
        "upgradeStrategy": { "type": "object", "properties": { "minimumHealthCapacity": { "type": "number" } } },
        "version": text,
    } });
    match path {
        "/v2/apps" => json!({ "anyOf": [app, { "type": "array", "items": app }] }),
        _ if path.starts_with("/v2/apps") => app,
        "/v2/tasks/delete" => {
            json!({ "type": "object", "properties": { "ids": { "type": "array", "items": text } } })
        }
        _ if path.starts_with("/v2/groups") => json!({ "type": "object", "properties": {
            "id": { "type": "string", "pattern": "^/?[a-z]{1,4}$" }, "apps": { "type": "array", "items": app },
            "groups": { "type": "array", "items": { "type": "object" } }, "scaleBy": { "type": "number" },
            "version": text, "enforceRole": { "type": "boolean" },
        } }),
        _ => json!({}),
    }
}
