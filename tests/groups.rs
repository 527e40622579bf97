//! Groups through the API, against the real binary: what Marathon's clients do with them.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/deployed.rs"]
mod deployed;
#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden;
#[path = "support/writes.rs"]
mod writes;

use std::sync::Arc;

use ekiden::Ekiden;
use ekiden::client::write;
use serde_json::{Value, json};

/// A file that declares nothing.
const NOTHING: (&str, &str) = ("nothing.yaml", "[]");

fn app(id: &str, instances: u32) -> Value {
    json!({ "id": id, "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": instances })
}

/// `app`, which waits for another.
fn waiting(id: &str, on: &str) -> Value {
    let mut app = app(id, 1);
    app["dependencies"] = json!([on]);
    app
}

async fn tasks(ekiden: &Ekiden, app: &str, count: usize) -> Vec<String> {
    let running = ekiden.until_running(app, count).await;
    let mut ids: Vec<String> = running.iter().filter_map(|task| task["id"].as_str().map(str::to_owned)).collect();
    ids.sort();
    ids
}

async fn instances(ekiden: &Ekiden, app: &str) -> Value {
    ekiden.json(&format!("/v2/apps/{app}")).await["app"]["instances"].take()
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|item| item["id"].as_str()).collect()
}

fn details(answer: &Value) -> &Value {
    &answer["details"][0]
}

#[tokio::test]
async fn a_group_is_made_in_the_order_of_its_dependencies_and_shown_as_a_tree() {
    let ekiden = Ekiden::start("42400-42439", &[NOTHING]).await;
    let root = ekiden.json("/v2/groups").await;
    assert_eq!(
        root,
        json!({
            "id": "/", "apps": [], "groups": [], "pods": [], "dependencies": [],
            "version": "1970-01-01T00:00:00.000Z",
        })
    );
    assert_eq!(ekiden.json("/v2/groups/versions").await, json!([]));
    let missing = ekiden.get("/v2/groups/shop", "*/*").await;
    assert_eq!((missing.status, missing.body.as_str()), (404, r#"{"message":"Group '/shop' does not exist"}"#));

    let shop = json!({
        "id": "/shop",
        "groups": [{ "id": "front", "apps": [waiting("web", "/shop/back/logic")] },
                   { "id": "back", "apps": [waiting("logic", "/shop/back/db"), app("db", 1)] }],
    });
    let made = ekiden.send("POST", "/v2/groups", &shop.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let result: Value = serde_json::from_str(&made.body).expect("JSON");
    let deployment = result["deploymentId"].as_str().expect("an id");
    assert!(made.head.contains("location: /shop\r\n"), "{}", made.head);
    assert!(made.head.contains(&format!("marathon-deployment-id: {deployment}")), "{}", made.head);

    let mut staged = Vec::new();
    for id in ["/shop/back/db", "/shop/back/logic", "/shop/front/web"] {
        let task = ekiden.until_running(id, 1).await.remove(0);
        staged.push((task["stagedAt"].as_str().map(str::to_owned), task["startedAt"].as_str().map(str::to_owned)));
    }
    assert!(staged[0].1 <= staged[1].0 && staged[1].1 <= staged[2].0, "each waits for the one before: {staged:?}");
    ekiden.until_deployed().await;

    let shown = ekiden.json("/v2/groups//shop/").await;
    assert_eq!(ids(&shown["groups"]), ["/shop/back", "/shop/front"]);
    assert_eq!(ids(&shown["groups"][0]["apps"]), ["/shop/back/db", "/shop/back/logic"]);
    assert_eq!(shown["version"], result["version"]);
    assert_eq!(shown["groups"][0]["apps"][0].get("tasksRunning"), None, "counts are shown to who asks for them");
    let counted = ekiden.json("/v2/groups/shop?embed=group.groups&embed=group.apps.counts").await;
    assert_eq!((&counted["groups"][0]["apps"][0]["tasksRunning"], counted.get("pods")), (&json!(1), None));
    let apps = ekiden.json("/v2/groups/shop/apps?embed=group.apps.tasks").await;
    assert_eq!(ids(&apps["apps"]), ["/shop/back/db", "/shop/back/logic", "/shop/front/web"]);
    assert_eq!(apps["apps"][2]["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(ids(&ekiden.json("/v2/groups/apps").await["apps"]).len(), 3);

    for (taken, says) in [
        (json!({ "id": "/shop" }), "Group /shop is already created. Use PUT to change this group."),
        (json!({ "id": "shop/back" }), "Group /shop/back is already created. Use PUT to change this group."),
        (json!({ "id": "/shop/back/db" }), "An app with the path /shop/back/db already exists."),
        (json!({}), "Group / is already created. Use PUT to change this group."),
    ] {
        let (status, answer) = ekiden.write_json("POST", "/v2/groups", &taken).await;
        assert_eq!((status, answer["message"].as_str()), (409, Some(says)));
    }
    let (status, made) = ekiden.write_json("POST", "/v2/groups/shop", &json!({ "id": "empty" })).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(ids(&ekiden.json("/v2/groups/shop").await["groups"]), ["/shop/back", "/shop/empty", "/shop/front"]);
}

#[tokio::test]
async fn a_group_is_changed_gone_back_with_scaled_and_removed() {
    let ekiden = Ekiden::start("42440-42479", &[NOTHING]).await;
    let before = json!({ "id": "/g", "apps": [app("a", 1), app("b", 2)], "groups": [{ "id": "sub", "apps": [app("c", 1)] }] });
    let (status, first) = ekiden.write_json("PUT", "/v2/groups/g", &before).await;
    assert_eq!(status, 200, "{first}");
    let first = first["version"].as_str().expect("a version").to_owned();
    let (a, b, c) =
        (tasks(&ekiden, "/g/a", 1).await, tasks(&ekiden, "/g/b", 2).await, tasks(&ekiden, "/g/sub/c", 1).await);
    ekiden.until_deployed().await;

    // What changes nothing restarts nothing, also when the group is sent back as it was shown.
    let shown = ekiden.json("/v2/groups/g").await;
    for same in [&before, &shown] {
        let (status, answer) = ekiden.write_json("PUT", "/v2/groups//g?force=True", same).await;
        assert_eq!(status, 200, "{answer}");
        ekiden.until_deployed().await;
    }
    assert_eq!(tasks(&ekiden, "/g/a", 1).await, a);
    assert_eq!(tasks(&ekiden, "/g/b", 2).await, b);
    assert_eq!(ekiden.json("/v2/groups/g/versions").await, json!([first]));

    // What is said of the plan is not done.
    let next = json!({ "apps": [app("a", 3), app("d", 1)] });
    let (status, plan) = ekiden.write_json("PUT", "/v2/groups/g?dryRun=true", &next).await;
    assert_eq!(status, 200, "{plan}");
    assert_eq!(
        plan,
        json!({ "steps": [
            { "actions": [{ "action": "StopApplication", "app": "/g/b" }] },
            { "actions": [{ "action": "StartApplication", "app": "/g/d" }] },
            { "actions": [{ "action": "ScaleApplication", "app": "/g/a" },
                          { "action": "ScaleApplication", "app": "/g/d" }] },
        ] })
    );
    assert_eq!(ekiden.json("/v2/groups/g").await["version"], json!(first), "nothing was stored");
    let (status, second) = ekiden.write_json("PUT", "/v2/groups/g", &next).await;
    assert_eq!(status, 200, "{second}");
    tasks(&ekiden, "/g/a", 3).await;
    tasks(&ekiden, "/g/d", 1).await;
    let shown = ekiden.json("/v2/groups/g").await;
    assert_eq!((ids(&shown["apps"]), ids(&shown["groups"])), (vec!["/g/a", "/g/d"], vec!["/g/sub"]), "{shown}");
    assert_eq!(tasks(&ekiden, "/g/sub/c", 1).await, c, "a group that is not listed stays as it is");

    let versions = ekiden.json("/v2/groups/g/versions").await;
    assert_eq!(versions, json!([second["version"], first]));
    let then = ekiden.json(&format!("/v2/groups/g/versions/{first}")).await;
    assert_eq!((ids(&then["apps"]), &then["apps"][1]["instances"]), (vec!["/g/a", "/g/b"], &json!(2)));
    assert_eq!(then["version"], json!(first));
    assert_eq!(ids(&ekiden.json(&format!("/v2/groups/versions/{first}")).await["groups"]), ["/g"]);
    for (version, wanted) in [("yesterday", 422), ("2020-01-01T00:00:00.000Z", 404)] {
        assert_eq!(ekiden.get(&format!("/v2/groups/g/versions/{version}"), "*/*").await.status, wanted);
        let (status, answer) = ekiden.write_json("PUT", "/v2/groups/g", &json!({ "version": version })).await;
        assert_eq!(status, wanted, "{answer}");
    }
    let (status, back) = ekiden.write_json("PUT", "/v2/groups/g", &json!({ "version": first })).await;
    assert_eq!(status, 200, "{back}");
    assert_eq!(tasks(&ekiden, "/g/a", 1).await.len(), 1);
    tasks(&ekiden, "/g/b", 2).await;
    assert_eq!(ekiden.get("/v2/apps/g/d", "*/*").await.status, 404);
    assert_eq!(tasks(&ekiden, "/g/sub/c", 1).await, c);

    let (status, scaled) = ekiden.write_json("PUT", "/v2/groups/g", &json!({ "scaleBy": 1.5 })).await;
    assert_eq!(status, 200, "{scaled}");
    for (app, wanted) in [("g/a", 2), ("g/b", 3), ("g/sub/c", 2)] {
        assert_eq!(instances(&ekiden, app).await, json!(wanted), "{app}");
    }
    let (status, made) = ekiden.write_json("PUT", "/v2/groups/none", &json!({ "scaleBy": 2 })).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(ekiden.json("/v2/groups/none").await["apps"], json!([]));

    let gone = ekiden.send("DELETE", "/v2/groups/g/sub", "").await;
    assert_eq!(gone.status, 200, "{}", gone.body);
    assert!(gone.head.contains("marathon-deployment-id: "), "{}", gone.head);
    assert_eq!(ekiden.send("DELETE", "/v2/groups/g/sub", "").await.status, 404);
    assert_eq!(ids(&ekiden.json("/v2/groups").await["groups"]), ["/g", "/none"]);
    assert_eq!(ekiden.send("DELETE", "/v2/groups/?force=true", "").await.status, 200);
    assert_eq!(ekiden.json("/v2/groups").await["groups"], json!([]));
    assert_eq!(ekiden.json("/v2/apps").await["apps"], json!([]));
    // What has gone can be gone back to.
    let (status, again) = ekiden.write_json("PUT", "/v2/groups/g", &json!({ "version": first })).await;
    assert_eq!(status, 200, "{again}");
    assert_eq!(ids(&ekiden.json("/v2/groups/g/apps").await["apps"]), ["/g/a", "/g/b", "/g/sub/c"]);
}

#[tokio::test]
async fn what_follows_from_a_group_is_declared_of_its_apps() {
    let ekiden = Ekiden::start("42480-42519", &[NOTHING]).await;
    let (status, made) = ekiden.write_json("POST", "/v2/apps", &app("/base/db", 1)).await;
    assert_eq!(status, 201, "{made}");
    let group = json!({ "id": "/top", "dependencies": ["/base"], "apps": [app("a", 0)] });
    assert_eq!(ekiden.write_json("POST", "/v2/groups", &group).await.0, 201);
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app("/top/b", 0)).await.0, 201);
    let dependencies =
        async |app: &str| ekiden.json(&format!("/v2/apps/{app}")).await["app"]["dependencies"].take();
    assert_eq!(dependencies("top/a").await, json!(["/base"]));
    assert_eq!(dependencies("top/b").await, json!(["/base"]), "made later, and in the group all the same");
    assert_eq!(ekiden.json("/v2/groups/top").await["dependencies"], json!(["/base"]));
    let (status, answer) = ekiden.write_json("PUT", "/v2/groups/top", &json!({ "dependencies": [] })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((dependencies("top/a").await, dependencies("top/b").await), (json!([]), json!([])));

    let before = ekiden.json("/v2/groups/top/versions").await;
    let enforce = json!({ "enforceRole": true });
    let patched = ekiden.send("PATCH", "/v2/groups/top", &enforce.to_string()).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert!(!patched.head.contains("marathon-deployment-id"), "nothing is deployed: {}", patched.head);
    let shown = ekiden.json("/v2/groups/top").await;
    assert_eq!((&shown["enforceRole"], shown["apps"][0].get("role")), (&json!(true), None));
    assert_eq!(
        ekiden.json("/v2/groups/top/versions").await.as_array().map(Vec::len),
        before.as_array().map(|v| v.len() + 1)
    );
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app("/top/c", 0)).await.0, 201);
    assert_eq!(ekiden.json("/v2/apps/top/c").await["app"]["role"], json!("top"));
    let mut other = app("/top/d", 0);
    other["role"] = json!("other");
    let (status, refused) = ekiden.write_json("POST", "/v2/apps", &other).await;
    assert_eq!((status, &details(&refused)["path"]), (422, &json!("/role")), "{refused}");
    assert_eq!(ekiden.write_json("PATCH", "/v2/groups/top/deeper", &enforce).await.0, 404);
    assert_eq!(ekiden.write_json("PUT", "/v2/groups/top/deeper", &json!({ "apps": [] })).await.0, 200);
    assert_eq!(ekiden.write_json("PATCH", "/v2/groups/top/deeper", &enforce).await.0, 422);
    assert_eq!(ekiden.write_json("PATCH", "/v2/groups/none", &enforce).await.0, 404);
}

#[tokio::test]
async fn a_group_that_cannot_be_meant_is_refused_as_a_whole() {
    let by_file = ("owned/a.yaml", "id: by-file\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 16\n");
    let ekiden = Ekiden::start("42520-42539", &[by_file]).await;
    ekiden.until_running("/owned/by-file", 1).await;
    let refused = async |body: Value| {
        let (status, answer) = ekiden.write_json("POST", "/v2/groups", &body).await;
        let place = details(&answer)["path"].as_str().map(str::to_owned);
        (status, place.unwrap_or_default(), answer)
    };
    let (status, place, answer) = refused(json!({ "id": "/x", "groups": [{ "id": "y", "apps": [{}] }] })).await;
    assert_eq!((status, place.as_str()), (400, "/groups(0)/apps(0)/id"), "{answer}");
    assert_eq!(details(&answer)["errors"], json!(["'id' is undefined on object: {}"]));
    let mut wrong = app("a", 1);
    wrong["cpus"] = json!("many");
    let (status, place, answer) = refused(json!({ "id": "/x", "apps": [app("b", 1), wrong] })).await;
    assert_eq!((status, place.as_str()), (400, "/apps(1)/cpus"), "{answer}");
    let outside = json!({ "id": "/x", "groups": [{ "id": "/y" }] });
    let twice = json!({ "id": "/x", "apps": [app("a", 1), app("a", 1)] });
    let both = json!({ "id": "/x", "apps": [app("a", 1)], "groups": [{ "id": "a" }] });
    let circle = json!({ "id": "/x", "apps": [waiting("a", "/x/b"), waiting("b", "/x/a")] });
    let within_app = json!({ "id": "/owned/by-file/x", "apps": [app("a", 1)] });
    let deep_role = json!({ "id": "/x", "groups": [{ "id": "y", "enforceRole": true }] });
    for (body, wanted) in [
        (outside, "/groups(0)/id"),
        (twice, "/apps(1)/id"),
        (both, "/id"),
        (circle, "/apps(0)/dependencies"),
        (within_app, "/apps(0)/id"),
        (deep_role, "/groups(0)/enforceRole"),
        (json!({ "id": "Bad_" }), "/id"),
        (json!({ "id": "/x", "scaleBy": 2, "apps": [] }), "/scaleBy"),
    ] {
        let (status, place, answer) = refused(body).await;
        assert_eq!((status, place.as_str()), (422, wanted), "{answer}");
    }
    let (status, answer) = ekiden.write_json("PUT", "/v2/groups/x", &json!([])).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(ekiden.send("PUT", "/v2/groups/x", "{").await.status, 400);
    assert_eq!(ekiden.get("/v2/groups/x", "*/*").await.status, 404, "nothing of all this was done");

    // An app of a file is in the group, and is not to be changed: neither are the others.
    let (status, owned) =
        ekiden.write_json("PUT", "/v2/groups/owned", &json!({ "apps": [app("by-file", 3), app("new", 1)] })).await;
    assert_eq!((status, &owned["file"], &owned["line"]), (409, &json!("owned/a.yaml"), &json!(1)), "{owned}");
    assert_eq!(ekiden.get("/v2/apps/owned/new", "*/*").await.status, 404);
    assert_eq!(ekiden.write_json("DELETE", "/v2/groups/owned", &Value::Null).await.0, 409);
    let shown = ekiden.json("/v2/groups/owned").await;
    let mut more = shown["apps"].clone();
    more.as_array_mut().expect("a list").push(app("new", 0));
    let (status, answer) = ekiden.write_json("PUT", "/v2/groups/owned", &json!({ "apps": more })).await;
    assert_eq!(status, 200, "what the file says may be said again: {answer}");
    let over = "/v2/groups/owned?override=true&reason=rush&expires=1h";
    let (status, answer) = ekiden.write_json("PUT", over, &json!({ "scaleBy": 2 })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(instances(&ekiden, "owned/by-file").await, json!(2));
}

#[tokio::test]
async fn new_groups_at_the_top_enforce_their_role_where_they_are_to() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    write(&folder.path().join("manifests/file/a.yaml"), "id: by-file\ncmd: sleep 1\ninstances: 0\n");
    let ekiden = Ekiden::start_in(folder, "42840-42859", &["--new_group_enforce_role=top"]).await;
    assert_eq!(ekiden.json("/v2/info").await["marathon_config"]["new_group_enforce_role"], json!("top"));
    let role = async |id: &str| ekiden.json(&format!("/v2/apps{id}")).await["app"]["role"].take();
    let enforces = async |id: &str| ekiden.json(&format!("/v2/groups{id}")).await["enforceRole"] == json!(true);

    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app("/a/deep/web", 0)).await.0, 201);
    assert_eq!((role("/a/deep/web").await, enforces("/a").await), (json!("a"), true));
    assert_eq!(ekiden.write_json("PUT", "/v2/apps", &json!([app("/b/web", 0), app("/b/db", 0)])).await.0, 200);
    assert_eq!((role("/b/web").await, role("/b/db").await), (json!("b"), json!("b")));
    assert_eq!(ekiden.json("/v2/groups/b/versions").await.as_array().map(Vec::len), Some(1), "made once");
    let group = json!({ "id": "/c/inner", "apps": [app("web", 0)] });
    assert_eq!(ekiden.write_json("POST", "/v2/groups", &group).await.0, 201);
    assert_eq!((role("/c/inner/web").await, enforces("/c").await), (json!("c"), true));
    assert_eq!(ekiden.write_json("PUT", "/v2/groups/d", &json!({ "scaleBy": 2 })).await.0, 200);
    assert!(enforces("/d").await);
    let pod = json!({ "id": "/e/pod", "containers": [{ "name": "c", "resources": { "cpus": 0.1, "mem": 16 } }] });
    assert_eq!(ekiden.write_json("POST", "/v2/pods", &pod).await.0, 201);
    assert!(enforces("/e").await);
    let mut foreign = app("/f/web", 0);
    foreign["role"] = json!("other");
    let (status, refused) = ekiden.write_json("POST", "/v2/apps", &foreign).await;
    assert_eq!((status, &details(&refused)["path"]), (422, &json!("/role")), "{refused}");

    let says_not = json!({ "id": "/g", "enforceRole": false, "apps": [app("web", 0)] });
    assert_eq!(ekiden.write_json("POST", "/v2/groups", &says_not).await.0, 201);
    assert_eq!((role("/g/web").await, enforces("/g").await), (Value::Null, false));
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app("/file/more", 0)).await.0, 201);
    assert_eq!((role("/file/more").await, enforces("/file").await), (Value::Null, false), "it was there before");
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app("/web", 0)).await.0, 201);
    assert_eq!(role("/web").await, Value::Null, "it is in no group at the top");
    let all = json!({ "apps": [app("/web", 0), app("/a/web", 0), app("/h/deep/web", 0)] });
    let (status, answer) = ekiden.write_json("PUT", "/v2/groups", &all).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (role("/a/web").await, role("/h/deep/web").await),
        (json!("a"), json!("h")),
        "however they are written"
    );
}
