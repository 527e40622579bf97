//! Requests made up from our OpenAPI document (property-based, by `schemathesis`): whatever is sent, no answer is a 5xx,
//! none has a status that is not documented, and every body has the form that is.
//!
//! The server that is asked has an agent with nothing on it: what is made up would otherwise be run.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::ekiden::{Ekiden, client};
use crate::script;

/// Answers to these never end, or end the server's work; they have tests of their own.
const LEFT_OUT: [&str; 3] = ["/v2/events", "/v1/watch", "/v1/uninstall"];

/// How many requests are made up for each operation. The same ones each time.
const EXAMPLES: &str = "6";

/// Apps that files declare, so that nothing that is made up can remove them.
const BY_FILE: &str = "
id: /known
cmd: exec sleep 1000
cpus: 0.1
mem: 16
---
id: /group/known
cmd: exec sleep 1000
cpus: 0.1
mem: 16
";

/// Members of apps that are right only together, so that what is made up with them is refused for them alone.
const INTRICATE: [&str; 16] = [
    "args",
    "check",
    "container",
    "executor",
    "executorResources",
    "ipAddress",
    "networks",
    "placement",
    "ports",
    "readinessChecks",
    "residency",
    "resourceLimits",
    "rollout",
    "secrets",
    "storeUrls",
    "uris",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_made_up_request_gets_a_5xx_or_an_undocumented_answer() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    client::write(&folder.path().join("manifests/known.yaml"), BY_FILE);
    let nothing = "cpus:0;mem:0;disk:0;ports:[]";
    let arguments = ["dev", "manifests", "--http", "127.0.0.1:0", "--resources", nothing];
    let ekiden = Ekiden::spawn(Arc::clone(&folder), &arguments).await;
    let app = json!({ "id": "/made", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16 });
    let (status, answer) = ekiden.write_json("POST", "/v2/apps", &app).await;
    assert_eq!(status, 201, "{answer}");
    let document = folder.path().join("openapi.json");
    let described = narrowed(ekiden.json("/v1/openapi.json").await);
    std::fs::write(&document, described.to_string()).expect("written");
    drive(&ekiden, &document, folder.path()).await;
    assert_eq!(ekiden.json("/v2/info").await["elected"], true);
}

/// The document, narrowed to what comes to be acted on now and then: there is little behind paths that are made up.
fn narrowed(mut document: Value) -> Value {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = paths.filter_map(Value::as_object_mut).flat_map(|operations| operations.values_mut());
    let parameters = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten();
    for id in parameters.filter(|parameter| parameter["in"] == "path" && parameter["name"] == "id") {
        let any = json!({ "type": "string", "minLength": 1 });
        id["schema"] = json!({ "anyOf": [{ "enum": ["known", "group", "made"] }, any] });
    }
    let schemas = &mut document["components"]["schemas"];
    for name in ["App", "AppUpdate", "GroupUpdate", "Pod"] {
        let members = &mut schemas[name]["properties"];
        members["id"] = json!({ "type": "string", "pattern": "^/?[a-z]{1,4}(/[a-z]{1,4})?$" });
        if let Some(members) = members.as_object_mut().filter(|_| name.starts_with("App")) {
            members.retain(|member, _| !INTRICATE.contains(&member.as_str()));
        }
    }
    document
}

/// Makes requests up from the document, and has their answers checked against it.
async fn drive(ekiden: &Ekiden, document: &Path, folder: &Path) {
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let arguments = [
        ["-m", "schemathesis.cli"].as_slice(),
        &["run", "--url", &ekiden.server, "--seed", "1", "--max-examples", EXAMPLES, "--workers", "1"],
        &["--phases", "examples,fuzzing", "--checks", checks, "--generation-database", "none"],
        &["--request-timeout", "30", "--continue-on-failure", "--no-color"],
        // Some paths are hard to make up; that is no failure of ours.
        &["--suppress-health-check", "all"],
    ];
    let left_out = LEFT_OUT.map(|path| ["--exclude-path", path]).concat();
    let arguments = [arguments.concat(), left_out].concat();
    let mut command = script::python_with(arguments.iter().map(OsStr::new));
    script::run(command.arg(document).current_dir(folder), ekiden).await;
}
