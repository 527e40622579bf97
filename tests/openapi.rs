//! The OpenAPI document against the real binary: every route in it is asked, and what is answered is what is documented.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden;
#[path = "clients/kit.rs"]
mod kit;
#[path = "support/lines.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod lines;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use ekiden::Ekiden;
use ekiden::client::{self, Answer};
use lines::Lines;
use serde_json::{Value, json};

const BY_FILE: &str = "
id: /by-file
cmd: echo hello; exec sleep 1000
cpus: 0.1
mem: 16
labels: {tier: web}
";

/// An ekiden, and what it was asked and has answered.
struct Asked {
    ekiden: Ekiden,
    answers: Vec<Value>,
}

impl Asked {
    /// Asks what a row of the document describes (`GET /v2/apps/{id}`), at a path, with a body if there is one.
    async fn ask(&mut self, row: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        self.send(row, path, &format!("Accept: application/json\r\n{kind}"), &body).await
    }

    /// The same, with headers of one's own.
    async fn send(&mut self, row: &str, path: &str, headers: &str, body: &str) -> Answer {
        let (method, _) = row.split_once(' ').expect("a method and a path");
        let (address, length) = (self.ekiden.address(), body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        let answer = client::send(address, &request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.ekiden.log()));
        self.note(row, path, answer.status, &answer.head, &answer.body, false);
        answer
    }

    fn note(&mut self, row: &str, asked: &str, status: u16, head: &str, body: &str, line: bool) {
        let (method, path) = row.split_once(' ').expect("a method and a path");
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        self.answers.push(json!({
            "method": method, "path": path, "asked": asked, "status": status, "kind": kind, "body": body, "line": line,
        }));
    }

    /// Asks, and is answered this status, with JSON.
    async fn gets(&mut self, status: u16, row: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.ask(row, path, body).await;
        assert_eq!(answer.status, status, "{row} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    /// Reads, with success, what is at the row's own path.
    async fn reads(&mut self, path: &str) -> Value {
        self.gets(200, &format!("GET {path}"), path, None).await
    }

    /// All rows that were asked.
    fn rows(&self) -> BTreeSet<String> {
        let row = |answer: &Value| Some(format!("{} {}", answer["method"].as_str()?, answer["path"].as_str()?));
        self.answers.iter().filter_map(row).collect()
    }
}

fn app(id: &str, members: &Value) -> Value {
    let mut app = json!({ "id": id, "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16 });
    for (name, value) in members.as_object().into_iter().flatten() {
        app[name] = value.clone();
    }
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_as_the_document_says() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    client::write(&folder.path().join("manifests/by-file.yaml"), BY_FILE);
    let options = ["--state", "state"];
    let ekiden = Ekiden::start_in(Arc::clone(&folder), "42600-42699", &options).await;
    let document = ekiden.json("/v1/openapi.json").await;
    assert_eq!(document, ::ekiden::api::openapi::document(), "what is served is what is made");

    let mut asked = Asked { ekiden, answers: Vec::new() };
    make(&mut asked).await;
    look(&mut asked).await;
    look_at_ours(&mut asked).await;
    plan(&mut asked).await;
    follow(&mut asked).await;
    change(&mut asked).await;
    change_groups(&mut asked).await;
    change_pods(&mut asked).await;
    be_refused(&mut asked).await;

    let paths = document["paths"].as_object().expect("paths");
    let rows = paths.iter().flat_map(|(path, operations)| {
        let methods = operations.as_object().into_iter().flat_map(serde_json::Map::keys);
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    assert_eq!(asked.rows(), rows.collect(), "all rows are asked, and no others");
    check(folder.path(), &document, &json!(asked.answers));
}

/// Apps of all kinds: that run, that fail, that wait for a place or for somebody who listens.
async fn make(asked: &mut Asked) {
    let create = "POST /v2/apps";
    let rich = json!({
        "instances": 2,
        "env": { "A": "1" },
        "labels": { "tier": "web" },
        "constraints": [["hostname", "LIKE", ".*"]],
        "portDefinitions": [{ "port": 0, "name": "http", "labels": { "VIP_0": "/rich:80" } }],
        "healthChecks": [{ "protocol": "COMMAND", "command": { "value": "true" } }],
        "check": { "tcp": { "portIndex": 0 } },
        "upgradeStrategy": { "minimumHealthCapacity": 0.5 },
        "unreachableStrategy": "disabled",
        "resourceLimits": { "cpus": "unlimited", "mem": 32 },
        "placement": { "strategy": "binpack" },
        "taskKillGracePeriodSeconds": 5,
    });
    asked.gets(201, create, "/v2/apps", Some(app("/group/rich", &rich))).await;
    let unready = json!({
        "portDefinitions": [{ "port": 0, "name": "http" }],
        "readinessChecks": [{ "portName": "http", "intervalSeconds": 2, "timeoutSeconds": 1 }],
        "healthChecks": [{
            "protocol": "HTTP", "portIndex": 0, "gracePeriodSeconds": 0, "intervalSeconds": 1, "timeoutSeconds": 1,
            "maxConsecutiveFailures": 0,
        }],
        "rollout": { "maxSurge": "50%", "progressDeadlineSeconds": 100 },
    });
    asked.gets(201, create, "/v2/apps", Some(app("/unready", &unready))).await;
    let boxed = json!({
        "cmd": null, "args": ["sleep", "1"], "user": "nobody", "role": "dev", "acceptedResourceRoles": ["*"],
        "networks": [{ "mode": "container/bridge" }],
        "fetch": [{ "uri": "file:///nothing" }],
        "container": {
            "type": "DOCKER",
            "docker": { "image": "a", "parameters": [{ "key": "a", "value": "b" }] },
            "portMappings": [{ "containerPort": 80, "name": "web" }],
            "volumes": [{ "containerPath": "/a", "hostPath": "/b", "mode": "RO" }],
        },
        "dependencies": ["/by-file"],
    });
    asked.gets(201, create, "/v2/apps", Some(app("/boxed", &boxed))).await;
    asked.gets(201, create, "/v2/apps", Some(app("/big", &json!({ "cpus": 64, "instances": 2 })))).await;
    asked.gets(201, create, "/v2/apps", Some(app("/failing", &json!({ "cmd": "exit 3" })))).await;
    let pod = json!({
        "id": "/pods/one",
        "containers": [{
            "name": "main", "resources": { "cpus": 0.1, "mem": 32 },
            "exec": { "command": { "shell": "sleep 1" } },
            "endpoints": [{ "name": "web", "containerPort": 80 }],
            "healthCheck": { "http": { "endpoint": "web", "path": "/" } },
        }],
        "networks": [{ "mode": "container/bridge" }],
        "scaling": { "kind": "fixed", "instances": 1 },
    });
    asked.gets(201, "POST /v2/pods", "/v2/pods", Some(pod)).await;
    asked.ekiden.until_running("/group/rich", 2).await;
    asked.ekiden.until_running("/by-file", 1).await;
    let failed = async || {
        let app = asked.ekiden.json("/v2/apps/failing").await;
        let unready = asked.ekiden.json("/v2/apps/unready?embed=apps.readiness").await;
        let results = unready["app"]["tasks"][0]["healthCheckResults"][0]["lastFailure"].is_string()
            && unready["app"]["readinessCheckResults"][0]["ready"] == false;
        (app["app"]["lastTaskFailure"].is_object() && results).then_some(())
    };
    asked.ekiden.until("a failure, and checks that have failed", failed).await;
}

/// What Marathon shows.
async fn look(asked: &mut Asked) {
    for path in [
        "/",
        "/help",
        "/ping",
        "/metrics",
        "/metrics/prometheus",
        "/config",
        "/logging",
        "/v2/info",
        "/v2/leader",
        "/v2/plugins",
        "/v2/apps",
        "/v2/tasks",
        "/v2/queue",
        "/v2/deployments",
        "/v2/groups",
        "/v2/groups/apps",
        "/v2/pods",
        "/v2/pods/::status",
    ] {
        asked.reads(path).await;
    }
    let embeds = "embed=apps.tasks&embed=apps.readiness&embed=apps.failures&embed=apps.taskStats&embed=apps.counts\
                  &embed=apps.deployments";
    asked.gets(200, "GET /v2/apps", &format!("/v2/apps?{embeds}&id=r"), None).await;
    asked.gets(200, "GET /v2/apps", "/v2/apps?label=tier==web&cmd=sleep", None).await;
    let groups =
        format!("/v2/groups?{}&embed=group.pods&embed=group.groups", embeds.replace("apps.", "group.apps."));
    asked.gets(200, "GET /v2/groups", &groups, None).await;
    asked.gets(200, "GET /v2/groups/apps", &format!("/v2/groups/apps?{embeds}"), None).await;
    asked.gets(200, "GET /v2/queue", "/v2/queue?embed=lastUnusedOffers", None).await;
    asked.gets(200, "GET /v2/tasks", "/v2/tasks?status=running&status=staging", None).await;
    for (row, path) in [("/", "/"), ("/ping", "/ping"), ("/v2/tasks", "/v2/tasks"), ("/metrics", "/metrics")] {
        let accept = if row == "/" { "text/html" } else { "text/plain" };
        asked.send(&format!("GET {row}"), path, &format!("Accept: {accept}\r\n"), "").await;
    }
    asked.send("GET /ping", "/ping", "Accept: image/png\r\n", "").await;

    let one = "GET /v2/apps/{id}";
    for id in ["/group/rich", "unready", "boxed", "failing", "%2Fbig", "group/*"] {
        asked.gets(200, one, &format!("/v2/apps/{id}?{embeds}"), None).await;
    }
    let unchanged = asked.ask(one, "/v2/apps/boxed", None).await;
    let tag = unchanged.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
    let again = asked.send(one, "/v2/apps/boxed", &format!("If-None-Match: {tag}\r\n"), "").await;
    assert_eq!(again.status, 304);
    let tasks = "GET /v2/apps/{id}/tasks";
    asked.gets(200, tasks, "/v2/apps//group/rich/tasks", None).await;
    asked.gets(200, tasks, "/v2/apps/group/*/tasks", None).await;
    asked.send(tasks, "/v2/apps/group/rich/tasks", "Accept: text/plain\r\n", "").await;

    for (list, one, path) in [
        ("/v2/apps/{id}/versions", "/v2/apps/{id}/versions/{version}", "/v2/apps/group/rich/versions"),
        ("/v2/groups/versions", "/v2/groups/versions/{version}", "/v2/groups/versions"),
        ("/v2/groups/{id}/versions", "/v2/groups/{id}/versions/{version}", "/v2/groups/group/versions"),
        ("/v2/pods/{id}::versions", "/v2/pods/{id}::versions/{version}", "/v2/pods/pods/one::versions"),
    ] {
        let versions = asked.gets(200, &format!("GET {list}"), path, None).await;
        let version = versions.get("versions").unwrap_or(&versions)[0].as_str().expect("a version").to_owned();
        asked.gets(200, &format!("GET {one}"), &format!("{path}/{version}"), None).await;
    }
    asked.gets(200, "GET /v2/groups/{id}", "/v2/groups//group", None).await;
    asked.gets(200, "GET /v2/groups/{id}/apps", "/v2/groups/group/apps", None).await;
    asked.gets(200, "GET /v2/pods/{id}", "/v2/pods//pods/one", None).await;
    asked.gets(200, "GET /v2/pods/{id}::status", "/v2/pods/pods/one::status", None).await;
}

/// What only we show.
async fn look_at_ours(asked: &mut Asked) {
    for path in [
        "/v1/apps",
        "/v1/instances",
        "/v1/status",
        "/v1/directory",
        "/v1/adoption",
        "/v1/openapi.json",
        "/v1/state",
    ] {
        asked.reads(path).await;
    }
    asked.gets(200, "GET /v1/apps", "/v1/apps?limit=2&embed=definition", None).await;
    asked.gets(200, "GET /v1/instances", "/v1/instances?limit=1&app=/group/rich", None).await;
    for id in ["group/rich", "by-file", "unready", "boxed", "failing", "big"] {
        asked.gets(200, "GET /v1/apps/{id}/status", &format!("/v1/apps/{id}/status"), None).await;
        asked.gets(200, "GET /v1/apps/{id}/history", &format!("/v1/apps/{id}/history"), None).await;
    }
    let tasks = asked.reads("/v2/tasks").await;
    let task = tasks["tasks"].as_array().and_then(|tasks| tasks.iter().find(|task| task["appId"] == "/by-file"));
    let task = task.and_then(|task| task["id"].as_str()).expect("a task").to_owned();
    let file = "GET /v1/tasks/{task}/files/{file}";
    asked.gets(200, file, &format!("/v1/tasks/{task}/files/stdout?offset=0&limit=3"), None).await;
    asked.gets(404, file, "/v1/tasks/none/files/stdout", None).await;
    asked.gets(400, file, &format!("/v1/tasks/{task}/files/stderr?offset=x"), None).await;
}

/// What would be.
async fn plan(asked: &mut Asked) {
    let row = "POST /v1/plan";
    let files = json!({ "web.yaml": "id: /web\ncmd: x\n", "by-file.yaml": BY_FILE.replace("0.1", "0.2") });
    let plan = asked.gets(200, row, "/v1/plan", Some(json!({ "files": files, "prune": true }))).await;
    assert_eq!(plan["changes"].as_array().map(Vec::len), Some(2), "{plan}");
    asked.gets(200, row, "/v1/plan", Some(json!([{ "id": "/group/rich", "cmd": "x", "instances": 5 }]))).await;
    let instances = asked.reads("/v1/instances").await;
    asked.gets(200, row, "/v1/plan", Some(json!({ "lost": [instances["instances"][0]["host"]] }))).await;
    asked.gets(422, row, "/v1/plan", Some(json!({ "lost": ["none"] }))).await;
    asked.gets(422, row, "/v1/plan", Some(json!({ "files": { "a.yaml": "id: /Bad_" } }))).await;
    asked.gets(400, row, "/v1/plan", Some(json!({}))).await;
}

/// What goes on: its beginning.
async fn follow(asked: &mut Asked) {
    let events = "GET /v2/events";
    let stream = Lines::open(&asked.ekiden, "/v2/events?plan-format=light", "Accept: text/event-stream\r\n").await;
    asked.note(events, "/v2/events", 200, &stream.head, "…", false);
    asked.gets(405, events, "/v2/events", None).await;
    asked.send(events, "/v2/events?after=x", "Accept: text/event-stream\r\n", "").await;

    let watch = "GET /v1/watch";
    for path in ["/v1/watch", "/v1/watch?fields=status"] {
        let mut stream = Lines::open(&asked.ekiden, path, "").await;
        loop {
            let line = stream.next().await.expect("a line");
            if !line.is_empty() {
                asked.note(watch, path, 200, &stream.head, &line, true);
            }
            if line.contains("\"type\":\"synced\"") {
                break;
            }
        }
    }
    let frames = Lines::open(&asked.ekiden, "/v1/watch", "Accept: text/event-stream\r\n").await;
    asked.note(watch, "/v1/watch", 200, &frames.head, "…", false);
    asked.gets(410, watch, "/v1/watch?since=1.1", None).await;
    asked.gets(400, watch, "/v1/watch?kinds=moods", None).await;
}

/// Apps and tasks.
async fn change(asked: &mut Asked) {
    let update =
        json!([{ "id": "/group/rich", "labels": { "tier": "db" } }, { "id": "/new", "cmd": "x", "instances": 0 }]);
    asked.gets(200, "PUT /v2/apps", "/v2/apps", Some(update)).await;
    asked.gets(200, "PATCH /v2/apps", "/v2/apps?force=true", Some(json!([{ "id": "/new", "mem": 17 }]))).await;
    let put = "PUT /v2/apps/{id}";
    asked.gets(201, put, "/v2/apps//newer/er", Some(app("/newer/er", &json!({ "instances": 0 })))).await;
    asked.gets(200, put, "/v2/apps//newer/er", Some(json!({ "mem": 18 }))).await;
    asked.gets(200, "PATCH /v2/apps/{id}", "/v2/apps/newer/er", Some(json!({ "labels": {} }))).await;
    let over = "/v2/apps/by-file?override=true&reason=test&expires=1h";
    asked.gets(200, put, over, Some(json!({ "labels": { "tier": "db" } }))).await;
    asked.gets(200, "GET /v1/apps/{id}/status", "/v1/apps/by-file/status", None).await;
    asked.gets(200, "GET /v1/apps/{id}/history", "/v1/apps/by-file/history?limit=1", None).await;
    asked.gets(200, "POST /v1/apps/{id}/keep", "/v1/apps/by-file/keep", None).await;

    let tasks = asked.ekiden.until_running("/group/rich", 2).await;
    let task = tasks[0]["id"].as_str().expect("an id");
    let one = "DELETE /v2/apps/{id}/tasks/{task}";
    asked.gets(404, one, "/v2/apps/group/rich/tasks/none", None).await;
    asked.gets(200, one, &format!("/v2/apps/group/rich/tasks/{task}"), None).await;
    let tasks = asked.ekiden.until_running("/group/rich", 2).await;
    let many = "POST /v2/tasks/delete";
    asked.gets(200, many, "/v2/tasks/delete", Some(json!({ "ids": [tasks[0]["id"]] }))).await;
    let tasks = asked.ekiden.until_running("/group/rich", 2).await;
    asked.gets(200, many, "/v2/tasks/delete?scale=true", Some(json!({ "ids": [tasks[0]["id"]] }))).await;
    asked.gets(200, "DELETE /v2/apps/{id}/tasks", "/v2/apps/group/rich/tasks?host=none", None).await;
    asked.gets(200, "DELETE /v2/apps/{id}/tasks", "/v2/apps/group/rich/tasks", None).await;
    asked.gets(200, "POST /v2/apps/{id}/restart", "/v2/apps/group/rich/restart", None).await;
    asked.gets(204, "DELETE /v2/queue/{id}/delay", "/v2/queue//big/delay", None).await;

    let cancel = "DELETE /v2/deployments/{id}";
    let big = asked.gets(200, put, "/v2/apps/big", Some(json!({ "cpus": 65 }))).await;
    let id = big["deploymentId"].as_str().expect("an id").to_owned();
    asked.gets(200, "GET /v2/deployments", "/v2/deployments", None).await;
    asked.gets(200, cancel, &format!("/v2/deployments/{id}"), None).await;
    let big = asked.gets(200, put, "/v2/apps/big", Some(json!({ "cpus": 66 }))).await;
    let id = big["deploymentId"].as_str().expect("an id").to_owned();
    asked.gets(202, cancel, &format!("/v2/deployments/{id}?force=true"), None).await;
    asked.gets(404, cancel, &format!("/v2/deployments/{id}"), None).await;
    asked.gets(200, "DELETE /v2/apps/{id}", "/v2/apps/big", None).await;
    asked.gets(200, "GET /v1/apps/{id}/history", "/v1/apps/big/history", None).await;
}

async fn change_groups(asked: &mut Asked) {
    let team = json!({
        "id": "/team",
        "apps": [app("one", &json!({ "instances": 0 }))],
        "groups": [{ "id": "below", "apps": [app("two", &json!({ "instances": 0 }))] }],
        "dependencies": ["/by-file"],
    });
    asked.gets(201, "POST /v2/groups", "/v2/groups", Some(team)).await;
    asked.gets(201, "POST /v2/groups/{id}", "/v2/groups//team", Some(json!({ "id": "empty" }))).await;
    let put = "PUT /v2/groups/{id}";
    asked.gets(200, put, "/v2/groups/team?dryRun=true", Some(json!({ "scaleBy": 2 }))).await;
    asked.gets(200, put, "/v2/groups/team", Some(json!({ "dependencies": [] }))).await;
    asked.gets(200, "PUT /v2/groups", "/v2/groups?dryRun=true", Some(json!({ "scaleBy": 1 }))).await;
    asked.gets(200, "PATCH /v2/groups/{id}", "/v2/groups/team", Some(json!({ "enforceRole": true }))).await;
    asked.gets(200, "GET /v2/groups/{id}", "/v2/groups/team", None).await;
    asked.gets(200, "DELETE /v2/groups/{id}", "/v2/groups/team", None).await;
    asked.gets(409, "DELETE /v2/groups", "/v2/groups", None).await;
}

async fn change_pods(asked: &mut Asked) {
    let mut pod = asked.gets(200, "GET /v2/pods/{id}", "/v2/pods/pods/one", None).await;
    pod["scaling"]["instances"] = json!(0);
    asked.gets(200, "PUT /v2/pods/{id}", "/v2/pods/pods/one", Some(pod)).await;
    let kill = "DELETE /v2/pods/{id}::instances";
    asked.gets(200, kill, "/v2/pods/pods/one::instances", Some(json!(["a"]))).await;
    let kill = "DELETE /v2/pods/{id}::instances/{instance}";
    asked.gets(404, kill, "/v2/pods/pods/one::instances/a", None).await;
    asked.gets(202, "DELETE /v2/pods/{id}", "/v2/pods/pods/one", None).await;
}

/// What is not to be had here, or not so.
async fn be_refused(asked: &mut Asked) {
    let create = "POST /v2/apps";
    asked.gets(409, create, "/v2/apps", Some(app("/by-file", &Value::Null))).await;
    asked.gets(422, create, "/v2/apps", Some(app("/Bad_", &Value::Null))).await;
    asked.gets(400, create, "/v2/apps", Some(app("/bad", &json!({ "cpus": "many" })))).await;
    asked.gets(400, create, "/v2/apps?force=perhaps", Some(app("/bad", &Value::Null))).await;
    asked.gets(422, create, "/v2/apps?override=true", Some(app("/bad", &Value::Null))).await;
    asked.send(create, "/v2/apps", "Content-Type: application/json\r\n", "{").await;
    asked.send(create, "/v2/apps", "Content-Type: text/plain\r\n", "{}").await;
    asked.send(create, "/v2/apps", "Origin: http://elsewhere.example\r\n", "{}").await;
    asked.send("DELETE /v2/apps/{id}", "/v2/apps/unready", "If-Match: \"x\"\r\n", "").await;
    asked.gets(409, "DELETE /v2/apps/{id}", "/v2/apps/by-file", None).await;
    asked.gets(404, "PATCH /v2/apps/{id}", "/v2/apps/none", Some(json!({}))).await;
    asked.gets(404, "GET /v2/apps/{id}", "/v2/apps/none", None).await;
    asked.gets(422, "GET /v2/apps", "/v2/apps?label=,", None).await;
    asked.gets(422, "GET /v2/apps/{id}/versions/{version}", "/v2/apps/unready/versions/x", None).await;
    asked.gets(400, "GET /v1/apps", "/v1/apps?limit=0", None).await;
    let address = "/v2/eventSubscriptions?callbackUrl=http://127.0.0.1:9/";
    for method in ["GET", "POST", "DELETE"] {
        asked.gets(404, &format!("{method} /v2/eventSubscriptions"), address, None).await;
    }
    let level = json!({ "logger": "ekiden::none", "level": "debug", "durationSeconds": 1 });
    asked.gets(200, "POST /logging", "/logging", Some(level)).await;
    asked.gets(422, "POST /logging", "/logging", Some(json!({ "logger": "ROOT", "level": "loud" }))).await;
    asked.gets(409, "DELETE /v2/leader", "/v2/leader", None).await;
    asked.gets(409, "POST /v1/uninstall", "/v1/uninstall", None).await;
    asked.gets(409, "POST /v1/adoption", "/v1/adoption", None).await;
    asked.gets(409, "DELETE /v1/adoption", "/v1/adoption", None).await;
    asked.gets(200, "POST /v1/directory/confirm-prune", "/v1/directory/confirm-prune", None).await;
}

/// Has everything that was answered held against the document.
fn check(folder: &std::path::Path, document: &Value, answers: &Value) {
    let (described, answered) = (folder.join("document.json"), folder.join("answers.json"));
    std::fs::write(&described, document.to_string()).expect("written");
    std::fs::write(&answered, answers.to_string()).expect("written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/check.py");
    let mut python = Command::new("/usr/bin/python3");
    python.env("PYTHONPATH", kit::part("python")).args(["-B", script]).args([described, answered]);
    let ended = python.output().expect("Python starts");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{out}\n{err}");
}
