//! What is written out as JSON reads back as the same app, and looks as Marathon's clients want it.

use ekiden::manifest::{app_to_json, read_app_json};
use ekiden_model::{App, GroupId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{app, shown};

fn again(app: &App) -> App {
    let text = app_to_json(app).to_string();
    match read_app_json(text.as_bytes(), &GroupId::root()) {
        Ok(app) => App::clone(&app),
        Err(diagnostics) => panic!("{text}\n{}", shown(&diagnostics)),
    }
}

#[test]
fn marathons_form_in_marathons_order() {
    let app = app("{id: /a, cmd: sleep 1, cpus: 0.5, healthChecks: [{}]}");
    let expected = json!({
        "id": "/a",
        "backoffFactor": 1.15,
        "backoffSeconds": 1,
        "cmd": "sleep 1",
        "constraints": [],
        "cpus": 0.5,
        "dependencies": [],
        "disk": 0,
        "env": {},
        "executor": "",
        "fetch": [],
        "healthChecks": [{
            "gracePeriodSeconds": 300, "ignoreHttp1xx": false, "intervalSeconds": 60, "maxConsecutiveFailures": 3,
            "path": "/", "portIndex": 0, "protocol": "HTTP", "timeoutSeconds": 20, "delaySeconds": 15,
        }],
        "instances": 1,
        "labels": {},
        "maxLaunchDelaySeconds": 300,
        "mem": 128,
        "gpus": 0,
        "networks": [{ "mode": "host" }],
        "portDefinitions": [{ "labels": {}, "name": "default", "port": 0, "protocol": "tcp" }],
        "readinessChecks": [],
        "requirePorts": false,
        "secrets": {},
        "upgradeStrategy": { "maximumOverCapacity": 1, "minimumHealthCapacity": 1 },
        "killSelection": "YOUNGEST_FIRST",
        "unreachableStrategy": { "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 },
    });
    // As texts: the order of members counts, too.
    assert_eq!(app_to_json(&app).to_string(), expected.to_string());
}

#[test]
fn our_own_fields_appear_only_when_set() {
    let ours =
        app_to_json(&app("{id: a, cmd: x, placement: {strategy: binpack}, rollout: {maxUnavailable: 30%}}"));
    assert_eq!(ours["placement"], json!({ "strategy": "binpack", "mode": "replicated" }));
    assert_eq!(ours["rollout"], json!({ "maxSurge": 0, "maxUnavailable": "30%" }));
    assert_eq!(ours.get("upgradeStrategy"), None);
}

#[test]
fn a_request_of_several_apps_is_refused() {
    let two = br#"[{"id": "a", "cmd": "x"}, {"id": "b", "cmd": "x"}]"#;
    assert!(read_app_json(two, &GroupId::root()).is_err());
    assert!(read_app_json(b"", &GroupId::root()).is_err());
    let base = GroupId::resolve("/prod", &GroupId::root()).expect("a group");
    let one = read_app_json(br#"{"id": "web", "cmd": "x"}"#, &base).expect("an app");
    assert_eq!(one.id.as_str(), "/prod/web");
}

/// Any text without NUL, with a liking for what YAML finds special.
fn text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        any::<char>(),
        proptest::char::range('\u{1}', '\u{ff}'),
        proptest::sample::select(
            "\u{85}\u{2028}\u{2029}\u{feff}\u{fffe}\u{1f600}'\"\\#&*!|>%@`-?: \t\n\r".chars().collect::<Vec<_>>()
        ),
    ];
    proptest::collection::vec(letter.prop_filter("NUL", |letter| *letter != '\0'), 0..40)
        .prop_map(|letters| letters.into_iter().collect())
}

/// Some of `members`, each with one of its values.
fn some_of(members: Vec<(&'static str, Vec<Value>)>) -> impl Strategy<Value = Value> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, values)| proptest::option::of(proptest::sample::select(values)).prop_map(move |v| (name, v)))
        .collect();
    members.prop_map(|members| {
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Value>()
    })
}

/// The parts of an app that do not depend on its network.
fn policy() -> impl Strategy<Value = Value> {
    some_of(vec![
        ("instances", vec![json!(0), json!(7)]),
        ("cpus", vec![json!(0.001), json!(2.5)]),
        ("mem", vec![json!(0), json!(33.5)]),
        ("disk", vec![json!(10)]),
        ("resourceLimits", vec![json!({ "cpus": "unlimited" }), json!({ "cpus": 64, "mem": 4096.5 })]),
        ("user", vec![json!("nobody")]),
        ("env", vec![json!({ "A": "b", "Ü": "\n\"'\u{1f600}\t" })]),
        ("labels", vec![json!({ "HAPROXY_GROUP": "external", "": "yes" })]),
        (
            "fetch",
            vec![json!([{ "uri": "u", "extract": false, "cache": true, "executable": true, "destPath": "d" }])],
        ),
        (
            "constraints",
            vec![
                json!([["hostname", "UNIQUE"], ["@zone", "GROUP_BY", "3"], ["@region", "IS", "eu-1"]]),
                json!([
                    ["rack", "CLUSTER"],
                    ["rack", "LIKE", "r[1-3]"],
                    ["x", "MAX_PER", "2"],
                    ["x", "UNLIKE", "a|b"]
                ]),
            ],
        ),
        ("placement", vec![json!({ "strategy": "random" }), json!({ "mode": "global" })]),
        ("role", vec![json!("ads")]),
        ("acceptedResourceRoles", vec![json!(["*"])]),
        ("dependencies", vec![json!(["/db", "../cache"])]),
        ("check", vec![json!({ "exec": { "command": { "shell": "true" } } }), json!({ "tcp": { "port": 80 } })]),
        (
            "rollout",
            vec![json!({ "paused": true }), json!({ "autoRollback": true, "progressDeadlineSeconds": 9 })],
        ),
        ("backoffSeconds", vec![json!(0), json!(60)]),
        ("backoffFactor", vec![json!(1), json!(2.25)]),
        ("maxLaunchDelaySeconds", vec![json!(3600)]),
        ("killSelection", vec![json!("OLDEST_FIRST")]),
        ("taskKillGracePeriodSeconds", vec![json!(0), json!(30)]),
        (
            "unreachableStrategy",
            vec![json!("disabled"), json!({ "inactiveAfterSeconds": 300, "expungeAfterSeconds": 600 })],
        ),
        (
            "upgradeStrategy",
            vec![
                json!({ "minimumHealthCapacity": 0.3333, "maximumOverCapacity": 0.1 }),
                json!({ "minimumHealthCapacity": 0 }),
            ],
        ),
        ("tty", vec![json!(true), json!(false)]),
        ("cmd", vec![json!("exec sleep 1")]),
    ])
}

/// The parts that go together: networks, ports, container, checks.
fn network() -> impl Strategy<Value = Value> {
    let check = json!([{ "protocol": "HTTPS", "path": "/p?q=1", "ignoreHttp1xx": true }, { "protocol": "TCP" },
        { "protocol": "COMMAND", "command": { "value": "true" }, "delaySeconds": 1 }]);
    let ready = json!([{ "portName": "http", "protocol": "HTTPS", "httpStatusCodesForReady": [200, 204] }]);
    let mappings = json!([
        { "containerPort": 80, "name": "http", "labels": { "VIP_0": "/a:1" } },
        { "containerPort": 0, "hostPort": 0, "servicePort": 31000, "protocol": "udp,tcp" },
        { "containerPort": 81, "hostPort": 31001, "protocol": "udp" },
    ]);
    let volumes = json!([{ "containerPath": "/a", "hostPath": "/b", "mode": "RO" }]);
    let docker = json!({ "image": "i:1", "privileged": true, "forcePullImage": true,
        "parameters": [{ "key": "k", "value": "" }] });
    proptest::sample::select(vec![
        json!({ "args": ["a", ""] }),
        json!({ "args": ["a"], "requirePorts": true, "portDefinitions": [{ "name": "http", "port": 80 }, { "port": 0 }],
            "healthChecks": check, "readinessChecks": ready }),
        json!({ "args": ["a"], "portDefinitions": [] , "healthChecks": [{ "protocol": "MESOS_TCP", "port": 80 }] }),
        json!({ "args": ["a"], "networks": [{ "mode": "container", "name": "n", "labels": { "a": "b" } }] }),
        json!({ "container": { "type": "MESOS", "docker": { "image": "i" }, "portMappings": [] },
            "networks": [{ "mode": "container/bridge" }], "gpus": 2 }),
        json!({ "container": { "type": "DOCKER", "docker": docker, "portMappings": mappings, "volumes": volumes },
            "networks": [{ "mode": "container/bridge" }], "healthChecks": check, "readinessChecks": ready }),
        json!({ "container": { "docker": docker }, "networks": [{ "mode": "host" }],
            "healthChecks": [{ "protocol": "MESOS_HTTPS", "ipProtocol": "IPv6" }] }),
        json!({ "container": { "type": "MESOS", "volumes": volumes, "portMappings": [
                { "containerPort": 80, "hostPort": 0, "networkNames": ["n"], "name": "http" }, { "containerPort": 81 }] },
            "networks": [{ "name": "n" }, { "name": "m" }], "args": ["a"], "readinessChecks": ready }),
    ])
}

fn merged(mut parts: Value, others: &Value) -> Value {
    for (name, value) in others.as_object().into_iter().flatten() {
        parts[name] = value.clone();
    }
    if parts.get("cmd").is_some() {
        parts.as_object_mut().map(|members| members.remove("args"));
    }
    // Not with a Docker container, whose type is also the default.
    if parts.get("container").is_some_and(|container| container["type"] != "MESOS") {
        parts.as_object_mut().map(|members| members.remove("check"));
    }
    // The paused rollouts of `policy` go with Marathon's shares.
    parts["id"] = json!("/group/app");
    parts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_reads_back_as_the_same_app(policy in policy(), network in network()) {
        let manifest = merged(policy, &network);
        let app = app(&manifest.to_string());
        prop_assert_eq!(&again(&app), &*app);
        // And what was read back is written the same way.
        prop_assert_eq!(app_to_json(&again(&app)), app_to_json(&app));
    }

    /// JSON is read as YAML: whatever a text holds must survive that, however it is laid out.
    #[test]
    fn texts_survive_as_json(
        texts in proptest::collection::btree_map(text(), text(), 0..4),
        command in text().prop_filter("a command is not empty", |text| !text.is_empty()),
    ) {
        let manifest = json!({ "id": "a", "cmd": command, "labels": texts });
        let layouts = [
            manifest.to_string(),
            serde_json::to_string_pretty(&manifest).expect("a value"),
            manifest.to_string().replace("\":", "\"\n\t:\r\n\t").replace(",\"", " ,\n\""),
        ];
        // The third layout is only fair where the texts themselves hold nothing that is replaced.
        let all: String = texts.iter().flat_map(|(key, value)| [key, value]).chain([&command]).cloned().collect();
        let fair = !all.contains(['"', ',', ':']);
        for layout in layouts.iter().take(if fair { 3 } else { 2 }) {
            let read = match read_app_json(layout.as_bytes(), &GroupId::root()) {
                Ok(app) => app,
                Err(diagnostics) => return Err(TestCaseError::fail(format!("{layout}\n{}", shown(&diagnostics)))),
            };
            prop_assert_eq!(&read.labels, &texts);
            prop_assert_eq!(&again(&read), &*read);
        }
    }
}

#[test]
fn counted_capacity_reads_back() {
    for rollout in ["{maxSurge: 1}", "{maxSurge: 33%, maxUnavailable: 7%}", "{maxUnavailable: 2, paused: true}"] {
        let app = app(&format!("{{id: a, cmd: x, rollout: {rollout}}}"));
        assert_eq!(again(&app), *app);
    }
}
