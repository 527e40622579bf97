//! Pods through the API, against the real binary: kept, checked and shown, and not run.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden;
#[path = "support/writes.rs"]
mod writes;

use ekiden::Ekiden;
use serde_json::{Value, json};

const AN_APP: (&str, &str) = ("a.yaml", "id: /prod/web\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\n");

fn pod(id: &str) -> Value {
    json!({
        "id": id,
        "containers": [{
            "name": "main",
            "resources": { "cpus": 0.1 },
            "exec": { "command": { "argv": ["sleep", "1000"] } },
            "endpoints": [{ "name": "http" }],
            "healthCheck": { "http": { "endpoint": "http" } },
        }],
        "scaling": { "instances": 2 },
    })
}

#[tokio::test]
async fn a_pod_is_made_changed_shown_and_removed() {
    let ekiden = Ekiden::start("42540-42549", &[AN_APP]).await;
    ekiden.until_running("/prod/web", 1).await;
    let probe = ekiden.send("HEAD", "/v2/pods", "").await;
    assert_eq!((probe.status, probe.body.as_str()), (200, ""));
    assert_eq!(ekiden.json("/v2/pods").await, json!([]));

    let made = ekiden.send("POST", "/v2/pods", &pod("prod/pair").to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(
        made.head.contains("location: /prod/pair\r\n") && made.head.contains("marathon-deployment-id: "),
        "{}",
        made.head
    );
    assert!(made.head.contains("warning: 299 ekiden"), "{}", made.head);
    let made: Value = serde_json::from_str(&made.body).expect("JSON");
    assert_eq!(made["containers"][0]["resources"], json!({ "cpus": 0.1, "mem": 128, "disk": 0, "gpus": 0 }));
    assert_eq!(made["containers"][0]["endpoints"][0]["hostPort"], json!(0));
    assert_eq!(
        made["containers"][0]["healthCheck"]["http"],
        json!({ "endpoint": "http", "path": "/", "scheme": "HTTP" })
    );
    assert_eq!(made["networks"], json!([{ "mode": "host", "labels": {} }]));
    assert_eq!(made["scaling"], json!({ "kind": "fixed", "instances": 2 }));
    assert_eq!(
        made["scheduling"]["backoff"],
        json!({ "backoff": 1, "backoffFactor": 1.15, "maxLaunchDelay": 300 })
    );
    assert_eq!(made["executorResources"], json!({ "cpus": 0.1, "mem": 32, "disk": 10 }));
    assert_eq!(
        (&made["id"], &made["environment"], &made["volumes"]),
        (&json!("/prod/pair"), &json!({}), &json!([]))
    );
    assert_eq!(ekiden.json("/v2/pods//prod/pair").await, made);
    assert_eq!(ekiden.json("/v2/pods").await, json!([made]));

    let first = made["version"].as_str().expect("a version").to_owned();
    let replaced = ekiden
        .send(
            "PUT",
            "/v2/pods/prod/pair?force=true",
            &made.to_string().replace("\"instances\":2", "\"instances\":0"),
        )
        .await;
    assert_eq!(replaced.status, 200, "{}", replaced.body);
    assert!(replaced.head.contains("marathon-deployment-id: "), "{}", replaced.head);
    let replaced: Value = serde_json::from_str(&replaced.body).expect("JSON");
    for path in ["/v2/pods/prod/pair::versions", "/v2/pods/prod/pair/::versions"] {
        assert_eq!(ekiden.json(path).await, json!([replaced["version"], first]), "{path}");
    }
    assert_eq!(ekiden.json(&format!("/v2/pods/prod/pair::versions/{first}")).await, made);
    assert_eq!(ekiden.get("/v2/pods/prod/pair::versions/2020-01-01T00:00:00.000Z", "*/*").await.status, 404);
    assert_eq!(ekiden.get("/v2/pods/prod/pair::versions/x", "*/*").await.status, 422);

    assert_eq!(ekiden.json("/v2/pods/prod/pair::status").await["status"], json!("STABLE"), "none is wanted");
    let (status, answer) = ekiden.write_json("PUT", "/v2/pods/prod/pair", &pod("/prod/pair")).await;
    assert_eq!(status, 200, "{answer}");
    for path in ["/v2/pods/prod/pair::status", "/v2/pods//prod/pair/::status"] {
        let shown = ekiden.json(path).await;
        assert_eq!((&shown["status"], &shown["instances"]), (&json!("DEGRADED"), &json!([])));
        assert!(shown["message"].as_str().is_some_and(|text| text.contains("not supported yet")), "{shown}");
        assert_eq!((&shown["spec"]["id"], &shown["statusSince"]), (&json!("/prod/pair"), &answer["version"]));
    }
    assert_eq!(ekiden.json("/v2/pods/::status").await.as_array().map(Vec::len), Some(1));
    let group = ekiden.json("/v2/groups/prod").await;
    assert_eq!((&group["pods"][0]["id"], &group["apps"][0]["id"]), (&json!("/prod/pair"), &json!("/prod/web")));

    assert_eq!(
        ekiden.write_json("DELETE", "/v2/pods/prod/pair::instances", &json!(["x"])).await,
        (200, json!([]))
    );
    assert_eq!(ekiden.write_json("DELETE", "/v2/pods/prod/pair::instances/x", &Value::Null).await.0, 404);
    let gone = ekiden.send("DELETE", "/v2/pods/prod/pair", "").await;
    assert_eq!(gone.status, 202, "{}", gone.body);
    assert!(gone.head.contains("location: ") && gone.head.contains("marathon-deployment-id: "), "{}", gone.head);
    for path in ["/v2/pods/prod/pair", "/v2/pods/prod/pair::status", "/v2/pods/prod/pair::versions"] {
        assert_eq!(ekiden.get(path, "*/*").await.status, 404, "{path}");
    }
    assert_eq!(ekiden.send("DELETE", "/v2/pods/prod/pair", "").await.status, 404);
    assert_eq!(ekiden.write_json("PUT", "/v2/pods/prod/pair", &pod("/prod/pair")).await.0, 404);
}

#[tokio::test]
async fn a_pod_that_cannot_be_meant_is_refused() {
    let ekiden = Ekiden::start("42550-42559", &[AN_APP]).await;
    ekiden.until_running("/prod/web", 1).await;
    assert_eq!(ekiden.write_json("POST", "/v2/pods", &pod("/pair")).await.0, 201);
    let (status, answer) = ekiden.write_json("POST", "/v2/pods", &pod("/pair")).await;
    assert_eq!((status, answer["message"].as_str()), (409, Some("A pod with id [/pair] already exists.")));
    let (status, answer) = ekiden.write_json("POST", "/v2/pods", &pod("/prod/web")).await;
    assert_eq!((status, answer["message"].as_str()), (409, Some("An app with id [/prod/web] already exists.")));
    assert_eq!(ekiden.write_json("POST", "/v2/pods", &pod("/prod")).await.0, 422, "a group has that id");
    assert_eq!(ekiden.write_json("PUT", "/v2/pods/pair", &pod("/other")).await.0, 400);
    let app = json!({ "id": "/pair", "cmd": "sleep 1" });
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app).await.0, 422, "a pod has that id");
    let group = json!({ "id": "/pair" });
    assert_eq!(ekiden.write_json("POST", "/v2/groups", &group).await.0, 409, "and no group is made of it");

    let change = |pointer: &str, value: Value| {
        let mut pod = pod("/wrong");
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let place = pod.pointer_mut(parent).expect("there");
        place[name] = value;
        pod
    };
    for (wrong, status, path) in [
        (json!({ "id": "/wrong" }), 400, "/containers"),
        (change("/containers", json!([])), 422, "/containers"),
        (change("/containers/0/resources", json!(3)), 400, "/containers(0)/resources"),
        (change("/containers/0/name", json!("Main")), 422, "/containers(0)/name"),
        (change("/containers/0/exec/command", json!({})), 422, "/containers(0)/exec/command"),
        (change("/containers/0/healthCheck", json!({})), 422, "/containers(0)/healthCheck"),
        (change("/containers/0/check", json!({ "exec": {} })), 400, "/containers(0)/check/exec/command"),
        (
            change("/containers/0/healthCheck/http/endpoint", json!("other")),
            422,
            "/containers(0)/healthCheck/http/endpoint",
        ),
        (
            change("/containers/0/endpoints", json!([{ "name": "http", "containerPort": 80 }])),
            422,
            "/containers(0)/endpoints(0)/containerPort",
        ),
        (
            change(
                "/containers/0/endpoints",
                json!([{ "name": "http", "hostPort": 80 }, { "name": "b", "hostPort": 80 }]),
            ),
            422,
            "/containers(0)/endpoints(1)/hostPort",
        ),
        (change("/networks", json!([{ "mode": "container" }])), 422, "/networks(0)"),
        (change("/volumes", json!([{ "name": "data" }])), 422, "/volumes(0)/name"),
        (
            change("/containers/0/volumeMounts", json!([{ "name": "data", "mountPath": "data" }])),
            422,
            "/containers(0)/volumeMounts(0)/name",
        ),
        (change("/environment", json!({ "1st": "x" })), 422, "/environment/1st"),
        (change("/environment", json!({ "A": { "secret": "s" } })), 422, "/environment/A/secret"),
        (
            change(
                "/scheduling",
                json!({ "placement": { "constraints": [{ "fieldName": "hostname", "operator": "LIKE" }] } }),
            ),
            422,
            "/scheduling/placement/constraints(0)",
        ),
    ] {
        let (answered, answer) = ekiden.write_json("POST", "/v2/pods", &wrong).await;
        assert_eq!(answered, status, "{path}: {answer}");
        let paths: Vec<&str> = answer["details"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|detail| detail["path"].as_str())
            .collect();
        assert!(paths.contains(&path), "{path}: {answer}");
    }
    let mut two = pod("/wrong");
    two["containers"] = json!([two["containers"][0], two["containers"][0]]);
    let (status, answer) = ekiden.write_json("POST", "/v2/pods", &two).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer.to_string().contains("/containers(1)/name"), "{answer}");
}
