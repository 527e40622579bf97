//! Tasks: what a launch becomes, and out of whose resources.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use ekiden_model::app::HostPort;
use ekiden_model::effect::TaskLaunch;
use ekiden_model::offer::{Bundle, Claim};
use ekiden_model::{
    Agent, AgentId, App, FrameworkId, Incarnation, InstanceKey, OfferId, Port, PortSet, Resources, RevisionId,
    Role, Scalar, Slot, TaskId, Timestamp,
};
use serde_json::{Value, json};

use super::super::{Event, Reservations, call, read_event};
use crate::cluster::Call;
use crate::manifest::{self, SourceText};

fn port(number: u16) -> Port {
    Port::new(number).expect("not 0")
}

/// A launch of the app on an agent that has 31000 and following free.
pub(super) fn launch(app: &Arc<App>) -> TaskLaunch {
    let agent = Agent {
        id: AgentId::new("S1"),
        hostname: "agent.example".into(),
        attributes: BTreeMap::new(),
        region: None,
        zone: None,
    };
    let mut free = (31_000..).map(port);
    let host_ports: Vec<Option<Port>> = app
        .template
        .ports
        .iter()
        .map(|definition| match definition.host_port {
            HostPort::Unmapped => None,
            HostPort::Fixed(port) => Some(port),
            HostPort::Dynamic | HostPort::ServicePort => free.next(),
        })
        .collect();
    let unreserved =
        Bundle { resources: app.template.resources, ports: host_ports.iter().flatten().copied().collect() };
    TaskLaunch {
        task: TaskId::new(format!("{}.instance-0._app.1", app.id.safe_path())),
        instance: InstanceKey { slot: Slot(0), incarnation: Incarnation::FIRST },
        revision: RevisionId(1),
        version: Timestamp::from_millis(1_795_168_800_000),
        app: Arc::clone(app),
        enforces_group_role: false,
        agent: Arc::new(agent),
        role: app.template.role.clone().unwrap_or_else(Role::any),
        claim: Claim { unreserved, reserved: Bundle::default() },
        service_ports: host_ports.clone(),
        host_ports,
    }
}

pub(super) fn app(definition: &Value) -> Arc<App> {
    manifest::read_app_json(definition.to_string().as_bytes(), &ekiden_model::GroupId::root())
        .unwrap_or_else(|wrong| panic!("{wrong:#?}"))
}

fn accept(offers: &[&str], tasks: Vec<TaskLaunch>, reservations: &mut Reservations) -> Value {
    let offers = offers.iter().map(|offer| OfferId::new(*offer)).collect();
    let accept = Call::Accept { offers, agent: AgentId::new("S1"), tasks };
    let body = call(&FrameworkId::new("F"), &accept, "", reservations).expect("a call of Mesos'");
    serde_json::from_slice(&body).expect("JSON")
}

fn task_info(launch: TaskLaunch) -> Value {
    let mut body = accept(&["O1"], vec![launch], &mut Reservations::default());
    body["accept"]["operations"][0]["launch"]["task_infos"][0].take()
}

fn task_of(definition: &Value) -> Value {
    task_info(launch(&app(definition)))
}

/// One line per field of each task. What a template's fingerprint is belongs to the model.
fn shown(launches: impl IntoIterator<Item = TaskLaunch>) -> String {
    let mut shown = String::new();
    for launch in launches {
        let fingerprint = template(&launch);
        let task = task_info(launch);
        for (field, value) in task.as_object().expect("an object") {
            let value = value.to_string().replace(&fingerprint, "(its fingerprint)");
            writeln!(shown, "{field}: {value}").expect("memory");
        }
        shown.push('\n');
    }
    shown
}

fn template(launch: &TaskLaunch) -> String {
    format!("{:016x}", launch.app.fingerprint().as_u64())
}

#[test]
fn a_prefix_comes_before_the_host_and_the_ports_and_before_nothing_else() {
    let app =
        app(&json!({"id": "/web", "cmd": "x", "env": {"PORT": "mine"}, "portDefinitions": [{"name": "http"}]}));
    let launch = launch(&app);
    let names = |prefix: &str| -> Vec<String> {
        let accept = Call::Accept { offers: Vec::new(), agent: AgentId::new("S1"), tasks: vec![launch.clone()] };
        let body = call(&FrameworkId::new("F"), &accept, prefix, &mut Reservations::default()).expect("a call");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let task = &body["accept"]["operations"][0]["launch"]["task_infos"][0];
        let variables = task["command"]["environment"]["variables"].as_array().expect("variables");
        variables.iter().filter_map(|variable| variable["name"].as_str()).map(str::to_owned).collect()
    };
    let (without, with) = (names(""), names("P_"));
    let placed = |name: &str| name == "HOST" || name.starts_with("PORT");
    let mut expected: Vec<String> =
        without.iter().map(|name| if placed(name) { format!("P_{name}") } else { name.clone() }).collect();
    // The app's own is nobody else's to rename.
    expected.push("PORT".to_owned());
    expected.sort();
    assert_eq!(with, expected);
    assert!(with.contains(&"P_PORT_HTTP".to_owned()) && with.contains(&"MESOS_TASK_ID".to_owned()), "{with:?}");
}

#[test]
fn the_examples_become_these_tasks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples");
    let mut files: Vec<_> = [folder.clone(), folder.join("docker")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("the examples"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let mut tasks = Vec::new();
    for path in files {
        let bytes = std::fs::read(&path).expect("a manifest");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let reading = manifest::read(&SourceText { path: name, bytes: &bytes });
        assert_eq!(reading.diagnostics, [], "{name}");
        tasks.extend(reading.apps.iter().map(|declared| launch(&declared.app)));
    }
    assert!(tasks.len() >= 10, "only {} examples", tasks.len());
    expectorate::assert_contents("src/cluster/mesos/wire/tests/data/examples.out", &shown(tasks));
}

#[test]
fn everything_that_can_be_declared_is_told() {
    let everything = json!({
        "id": "/a/b", "cmd": "exec server", "user": "nobody", "cpus": 0.125, "mem": 64.0, "disk": 10.0, "gpus": 1,
        "env": {"GREETING": "hello"}, "labels": {"team": "red"}, "taskKillGracePeriodSeconds": 7, "tty": true,
        "fetch": [{"uri": "http://h/a.tgz"},
                  {"uri": "http://h/b", "extract": false, "executable": true, "cache": true, "destPath": "c"}],
        "resourceLimits": {"cpus": 2, "mem": "unlimited"},
        "portDefinitions": [{"port": 0, "name": "dns", "protocol": "udp,tcp", "labels": {"VIP_0": "/dns:53"}},
                            {"port": 0}],
        "healthChecks": [{"protocol": "MESOS_HTTPS", "path": "/up", "portIndex": 1, "maxConsecutiveFailures": 0}],
        "check": {"exec": {"command": {"shell": "true"}}},
    });
    let with_a_bridge = json!({
        "id": "/bridged", "container": {"type": "DOCKER", "docker": {"image": "nginx:1", "forcePullImage": true},
            "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "udp,tcp"},
                             {"containerPort": 0, "hostPort": 0}],
            "volumes": [{"containerPath": "/in", "hostPath": "/out", "mode": "RW"}]},
        "networks": [{"mode": "container/bridge"}],
        "healthChecks": [{"protocol": "MESOS_TCP", "portIndex": 0}],
    });
    let on_a_network = json!({
        "id": "/networked", "args": ["-v"], "container": {"type": "DOCKER", "docker": {"image": "nginx:1"},
            "portMappings": [{"containerPort": 80, "name": "http"}, {"containerPort": 81, "hostPort": 0}]},
        "networks": [{"mode": "container", "name": "blue"}],
    });
    let by_mesos = json!({
        "id": "/by-mesos", "cmd": "server", "container": {"type": "MESOS", "docker": {"image": "nginx:1"},
            "portMappings": [{"containerPort": 80, "hostPort": 0, "networkNames": ["blue"]},
                             {"containerPort": 81, "networkNames": ["red"]}]},
        "networks": [{"mode": "container", "name": "blue", "labels": {"k": "v"}}, {"mode": "container", "name": "red"}],
        "healthChecks": [{"protocol": "MESOS_HTTP", "portIndex": 0, "ignoreHttp1xx": false}],
    });
    let bridged_by_mesos = json!({
        "id": "/bridged-by-mesos", "cmd": "server", "networks": [{"mode": "container/bridge"}],
        "container": {"type": "MESOS", "portMappings": [{"containerPort": 80, "hostPort": 0}]},
        "check": {"http": {"portIndex": 0, "path": "/up"}},
    });
    let arguments = json!({"id": "/arguments", "args": ["server", "-x"], "portDefinitions": [],
        "healthChecks": [{"protocol": "COMMAND", "command": {"value": "true"}}], "check": {"tcp": {"port": 80}}});
    let all = [everything, with_a_bridge, on_a_network, by_mesos, bridged_by_mesos, arguments];
    let tasks = all.iter().map(|definition| launch(&app(definition)));
    expectorate::assert_contents("src/cluster/mesos/wire/tests/data/tasks.out", &shown(tasks));
}

#[test]
fn never_for_ekiden_is_never_for_mesos() {
    let task = |failures: u32| {
        task_of(&json!({"id": "/a", "cmd": "a", "healthChecks":
            [{"protocol": "MESOS_TCP", "portIndex": 0, "maxConsecutiveFailures": failures}]}))
    };
    assert_eq!(task(0)["health_check"]["consecutive_failures"], json!(u32::MAX));
    assert_eq!(task(3)["health_check"]["consecutive_failures"], json!(3));
}

#[test]
fn an_executor_asks_the_port_inside_where_there_is_an_inside() {
    let check = |port: Value| json!([{"protocol": "MESOS_TCP", "portIndex": 0}, port]);
    let on_host = task_of(&json!({"id": "/a", "cmd": "a", "healthChecks": [check(json!(null))[0]]}));
    assert_eq!(on_host["health_check"]["tcp"]["port"], json!(31_000));
    let inside = task_of(&json!({"id": "/a", "cmd": "a", "networks": [{"mode": "container/bridge"}],
        "container": {"type": "MESOS", "portMappings": [{"containerPort": 80, "hostPort": 0}]},
        "healthChecks": [check(json!(null))[0]]}));
    assert_eq!(inside["health_check"]["tcp"]["port"], json!(80));
}

#[test]
fn a_task_says_what_it_runs_and_on_which_ports_for_whoever_finds_it_later() {
    let launch = launch(&app(&json!({"id": "/a", "cmd": "a", "networks": [{"mode": "container", "name": "n"}],
        "container": {"type": "MESOS", "portMappings": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 0}]},
        "labels": {"own": "1"}})));
    let template = template(&launch);
    let labels = json!({"labels": [
        {"key": "own", "value": "1"},
        {"key": "ekiden.template", "value": template},
        {"key": "ekiden.ports", "value": "-,31000"},
    ]});
    assert_eq!(task_info(launch)["labels"], labels);
}

/// An offer of one scalar and one port per stack of reservations.
fn offered(id: &str, stacks: &[(Value, f64, u16)]) -> (Vec<ekiden_model::Offer>, Reservations) {
    let resources: Vec<Value> = stacks
        .iter()
        .flat_map(|(stack, cpus, port)| {
            [
                json!({"name": "cpus", "scalar": {"value": cpus}, "reservations": stack}),
                json!({"name": "ports", "ranges": {"range": [{"begin": port, "end": port}]}, "reservations": stack}),
            ]
        })
        .collect();
    let frame = json!({"type": "OFFERS", "offers": {"offers": [{
        "id": {"value": id}, "agent_id": {"value": "S1"}, "hostname": "h", "allocation_info": {"role": "web"},
        "resources": resources,
    }]}});
    match read_event(frame.to_string().as_bytes()) {
        Ok(Event::Offers(offers, reservations)) => (offers, reservations),
        other => panic!("{other:?}"),
    }
}

fn reserved_launch(cpus: u64, ports: &[u16]) -> TaskLaunch {
    let app = app(&json!({"id": "/a", "cmd": "a", "portDefinitions": []}));
    let reserved = Bundle {
        resources: Resources { cpus: Scalar(cpus), ..Resources::NONE },
        ports: ports.iter().copied().map(port).collect::<PortSet>(),
    };
    let claim = Claim { unreserved: Bundle::default(), reserved };
    TaskLaunch { role: Role::new("web"), claim, ..launch(&app) }
}

fn described(body: &Value) -> Vec<Vec<String>> {
    let tasks = body["accept"]["operations"][0]["launch"]["task_infos"].as_array().expect("tasks");
    let resource = |resource: &Value| {
        assert_eq!(resource["allocation_info"], json!({"role": "web"}));
        let kinds = resource["reservations"].as_array().expect("a stack").iter();
        let kinds: Vec<&str> = kinds.map(|entry| entry["type"].as_str().expect("a type")).collect();
        let amount = resource["scalar"]["value"].as_f64();
        let amount = amount.map_or_else(|| resource["ranges"]["range"].to_string(), |cpus| cpus.to_string());
        format!("{} {amount} {}", resource["name"].as_str().expect("a name"), kinds.join(">"))
    };
    tasks
        .iter()
        .map(|task| task["resources"].as_array().expect("resources").iter().map(resource).collect())
        .collect()
}

#[test]
fn reserved_resources_are_taken_as_they_were_reserved_by_one_task_after_the_other() {
    let set_up = json!([{"type": "STATIC", "role": "web"}]);
    let refined =
        json!([{"type": "STATIC", "role": "web"}, {"type": "DYNAMIC", "role": "web/a", "principal": "p"}]);
    let (offers, mut reservations) = offered("O1", &[(set_up, 1.0, 1), (refined, 2.0, 2)]);
    assert_eq!(offers[0].reserved.resources.cpus, Scalar(3000));
    let tasks = vec![reserved_launch(750, &[2]), reserved_launch(750, &[]), reserved_launch(1500, &[1])];
    let body = accept(&["O1"], tasks, &mut reservations);
    let expected: [&[&str]; 3] = [
        &["cpus 0.75 STATIC", r#"ports [{"begin":2,"end":2}] STATIC>DYNAMIC"#],
        &["cpus 0.25 STATIC", "cpus 0.5 STATIC>DYNAMIC"],
        &[r#"ports [{"begin":1,"end":1}] STATIC"#, "cpus 1.5 STATIC>DYNAMIC"],
    ];
    assert_eq!(described(&body), expected);
}

#[test]
fn two_offers_of_an_agent_are_used_up_together() {
    let set_up = json!([{"type": "STATIC", "role": "web"}]);
    let own = json!([{"type": "DYNAMIC", "role": "web", "principal": "p"}]);
    let (_, mut reservations) = offered("O1", &[(set_up, 1.0, 1)]);
    reservations.extend(offered("O2", &[(own, 1.0, 2)]).1);
    let body = accept(&["O1", "O2"], vec![reserved_launch(2000, &[])], &mut reservations);
    assert_eq!(described(&body), [["cpus 1 STATIC", "cpus 1 DYNAMIC"]]);
    assert_eq!(format!("{reservations:?}"), format!("{:?}", Reservations::default()), "used up is forgotten");
}

#[test]
fn of_an_offer_that_is_not_known_any_more_the_likely_is_said() {
    let set_up = json!([{"type": "DYNAMIC", "role": "web", "principal": "p"}]);
    let (_, mut reservations) = offered("O1", &[(set_up, 1.0, 1)]);
    reservations.forget(&OfferId::new("O1"));
    let body = accept(&["O1"], vec![reserved_launch(1000, &[])], &mut reservations);
    assert_eq!(described(&body), [["cpus 1 STATIC"]]);
}
