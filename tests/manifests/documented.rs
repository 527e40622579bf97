//! What Marathon's definition promises: defaults, rules and combinations.

use std::time::Duration;

use ekiden::manifest::Code;
use ekiden_model::app::{
    Capacity, CheckAddress, CheckKind, Count, Fraction, HostPort, KillSelection, Limit, NetworkMode,
    PlacementMode, Strategy, UnreachableStrategy,
};
use ekiden_model::port::{Port, Protocol};
use ekiden_model::resources::Scalar;

use super::{app, codes, read};

#[test]
fn defaults_are_marathons() {
    let app = app("{id: /a, cmd: sleep 1}");
    assert_eq!(app.instances, 1);
    assert_eq!(app.template.resources.cpus, Scalar::whole(1));
    assert_eq!(app.template.resources.mem, Scalar::whole(128));
    assert_eq!(app.backoff.base, Duration::from_secs(1));
    assert_eq!(app.backoff.max, Duration::from_secs(300));
    assert!((app.backoff.factor - 1.15).abs() < 1e-9);
    assert_eq!(app.kill_selection, KillSelection::YoungestFirst);
    assert_eq!(app.kill_grace, None);
    let (inactive_after, expunge_after) = (Duration::ZERO, Duration::ZERO);
    assert_eq!(app.unreachable, UnreachableStrategy::Replace { inactive_after, expunge_after });
    assert_eq!(app.capacity, Capacity::Marathon { minimum_health: Fraction::ONE, maximum_over: Fraction::ONE });
    assert_eq!(app.template.networks[0].mode, NetworkMode::Host);
    assert_eq!(app.template.ports.len(), 1);
    assert_eq!(app.template.ports[0].name.as_deref(), Some("default"));
    assert_eq!(app.template.ports[0].host_port, HostPort::Dynamic);
    assert_eq!((app.placement.strategy, app.placement.mode), (Strategy::Spread, PlacementMode::Replicated));
}

#[test]
fn a_health_check_has_marathons_defaults() {
    let app = app("{id: a, cmd: x, healthChecks: [{}]}");
    let check = &app.health_checks[0];
    assert_eq!(
        check.kind,
        CheckKind::Http { tls: false, address: CheckAddress::PortIndex(0), path: "/".into(), by_executor: false }
    );
    let seconds = [check.grace_period, check.interval, check.timeout, check.delay].map(|time| time.as_secs());
    assert_eq!((seconds, check.max_failures), ([300, 60, 20, 15], 3));
}

#[test]
fn ports_say_what_is_taken_on_the_host() {
    let required = app("{id: a, cmd: x, requirePorts: true, portDefinitions: [{port: 8080}, {port: 0}]}");
    let host: Vec<_> = required.template.ports.iter().map(|port| port.host_port).collect();
    assert_eq!(host, [HostPort::Fixed(Port::new(8080).expect("a port")), HostPort::ServicePort]);

    let bridge = app("{id: a, container: {docker: {image: i}}, networks: [{mode: container/bridge}]}");
    assert_eq!(bridge.template.ports[0].host_port, HostPort::Dynamic);
    assert_eq!(bridge.template.ports[0].name.as_deref(), Some("default"));

    let both = app("{id: a, cmd: x, portDefinitions: [{port: 53, protocol: 'udp,tcp'}]}");
    assert_eq!(both.template.ports[0].protocol, Protocol::Both);
}

#[test]
fn limits_and_shares() {
    let app =
        app("{id: a, cmd: x, cpus: 0.5, resourceLimits: {cpus: unlimited, mem: 256}, rollout: {maxSurge: 25%, \
                   maxUnavailable: 1, paused: true, progressDeadlineSeconds: 60}}");
    assert_eq!(app.template.limits.cpus, Limit::Unlimited);
    assert_eq!(app.template.limits.mem, Limit::At(Scalar::whole(256)));
    let quarter = Fraction::from_f64(0.25).expect("a fraction");
    let counted = Capacity::Counted { max_surge: Count::Share(quarter), max_unavailable: Count::Whole(1) };
    assert_eq!(app.capacity, counted);
    assert!(app.rollout.paused);
}

/// Every line is a rule of the definition, and what breaks it.
#[test]
fn rules() {
    let cases: &[(&str, &[Code])] = &[
        ("{id: a, cmd: x, gpus: 1}", &[]),
        ("{id: a, cmd: x, gpus: 1, container: {docker: {image: i}}}", &[Code::WrongContainer]),
        ("{id: a, container: {}}", &[Code::NothingToRun, Code::MissingField]),
        ("{id: a, container: {docker: {}}}", &[Code::MissingField]),
        ("{id: a, container: {type: MESOS}}", &[Code::NothingToRun]),
        ("{id: a, cmd: ''}", &[Code::BadText]),
        ("{id: a, args: []}", &[Code::NothingToRun]),
        ("{id: a, args: [x]}", &[]),
        ("{id: a, cmd: x, instances: 1.0}", &[]),
        ("{id: a, cmd: x, instances: 1.5}", &[Code::WrongType]),
        ("{id: a, cmd: x, instances: -1}", &[Code::OutOfRange]),
        ("{id: a, cmd: x, mem: .nan}", &[Code::OutOfRange]),
        ("{id: a, cmd: x, mem: .inf}", &[Code::OutOfRange]),
        ("{id: a, cmd: x, requirePorts: yes}", &[Code::WrongType]),
        ("{id: a, cmd: x, acceptedResourceRoles: []}", &[Code::BadList]),
        ("{id: a, cmd: x, acceptedResourceRoles: ['*', '*']}", &[Code::BadList]),
        ("{id: a, cmd: x, role: r, acceptedResourceRoles: ['*', r]}", &[]),
        ("{id: a, cmd: x, role: '-r'}", &[Code::BadText]),
        ("{id: a, cmd: x, readinessChecks: [{portName: default}]}", &[]),
        ("{id: a, cmd: x, readinessChecks: [{}]}", &[Code::NoSuchPort]),
        ("{id: a, cmd: x, readinessChecks: [{portName: default}, {portName: default}]}", &[Code::BadList]),
        ("{id: a, cmd: x, readinessChecks: [{portName: default, timeoutSeconds: 30}]}", &[Code::BadTiming]),
        ("{id: a, cmd: x, healthChecks: [{port: 80, portIndex: 0}]}", &[Code::Exclusive]),
        ("{id: a, cmd: x, healthChecks: [{protocol: MESOS_TCP}, {protocol: MESOS_HTTP}]}", &[Code::BadCheck]),
        ("{id: a, cmd: x, healthChecks: [{protocol: COMMAND, command: {value: 'true'}, portIndex: 0}]}", &[]),
        ("{id: a, cmd: x, healthChecks: [{protocol: COMMAND}]}", &[Code::BadCheck]),
        ("{id: a, cmd: x, healthChecks: [{protocol: TCP, path: /}]}", &[]),
        ("{id: a, cmd: x, healthChecks: [{protocol: TCP, path: /health}]}", &[Code::BadCheck]),
        ("{id: a, cmd: x, healthChecks: [{ipProtocol: IPv6}]}", &[Code::BadCheck]),
        ("{id: a, cmd: x, check: {exec: {command: {shell: 'true'}}}}", &[]),
        ("{id: a, cmd: x, check: {exec: {command: {argv: ['true']}}}}", &[Code::NotYet]),
        ("{id: a, cmd: x, check: {tcp: {}, http: {}}}", &[Code::BadCheck]),
        ("{id: a, cmd: x, constraints: [[hostname, UNIQUE, x]]}", &[Code::BadConstraint]),
        ("{id: a, cmd: x, constraints: [[hostname, MAX_PER]]}", &[Code::BadConstraint]),
        ("{id: a, cmd: x, constraints: [[hostname, GROUP_BY, '0']]}", &[Code::BadConstraint]),
        ("{id: a, cmd: x, constraints: [[hostname, GROUP_BY, 3]]}", &[Code::WrongType]),
        ("{id: a, cmd: x, constraints: [[rack, LIKE, '(?=a)b']]}", &[Code::BadConstraint]),
        ("{id: a, cmd: x, constraints: [[rack, IS, 'a b']]}", &[Code::BadConstraint]),
        ("{id: a, cmd: x, networks: [{mode: container}]}", &[Code::BadNetworks]),
        ("{id: a, cmd: x, networks: [{name: n}, {name: n}]}", &[Code::BadNetworks]),
        ("{id: a, cmd: x, networks: [{name: n}], portDefinitions: [{}]}", &[Code::PortsMisplaced]),
        ("{id: a, cmd: x, networks: [{name: n}], portDefinitions: []}", &[]),
        (
            "{id: a, cmd: x, networks: [{name: n}, {name: m}], container: {type: MESOS, portMappings: [{hostPort: 0}]}}",
            &[Code::BadNetworks],
        ),
        (
            "{id: a, cmd: x, networks: [{name: n}], container: {type: MESOS, portMappings: [{networkNames: [z]}]}}",
            &[Code::BadNetworks],
        ),
        ("{id: a, cmd: x, unreachableStrategy: disabled}", &[]),
        ("{id: a, cmd: x, unreachableStrategy: enabled}", &[Code::UnknownWord]),
        ("{id: a, cmd: x, unreachableStrategy: {inactiveAfterSeconds: 1}}", &[Code::BadTiming]),
        ("{id: a, cmd: x, executor: /usr/bin/e}", &[Code::NotYet]),
        ("{id: a, cmd: x, residency: {}}", &[]),
        ("{id: a, cmd: x, residency: {taskLostBehavior: WAIT_FOREVER}}", &[Code::NotYet]),
        ("{id: a, cmd: x, residency: {taskLostBehaviour: WAIT_FOREVER}}", &[Code::UnknownField]),
        ("{id: a, cmd: x, env: {'A=B': x}}", &[Code::BadText]),
        ("{id: a, cmd: \"x\\0\"}", &[Code::BadText]),
        ("{id: a, cmd: x, rollout: {maxSurge: 200%}}", &[Code::BadText]),
        ("{id: a, cmd: x, rollout: {maxSurge: 1}, upgradeStrategy: {}}", &[Code::Exclusive]),
        ("{id: a, cmd: x, rollout: {paused: true}, upgradeStrategy: {}}", &[]),
        ("{id: a, cmd: x, rollout: {maxUnavailable: 0%}}", &[Code::RolloutStuck]),
        ("{id: a, cmd: x, labels: {MARATHON_SINGLE_INSTANCE_APP: 'true'}, rollout: {maxUnavailable: 1}}", &[]),
        ("{id: a, cmd: x, labels: {MARATHON_SINGLE_INSTANCE_APP: 'true'}}", &[Code::SingleInstance]),
        ("{id: p, containers: [{name: c, resources: {cpus: 0.1}, exec: {command: {shell: x}}}]}", &[Code::NotYet]),
        ("{id: p, containers: []}", &[Code::BadList]),
        ("{id: p, containers: [{name: c, resources: {cpu: 0.1}}]}", &[Code::UnknownField]),
        ("{id: g, pods: [{id: p, containers: [{name: c, resources: {}}]}]}", &[Code::NotYet]),
        ("{id: g, pods: [{id: p}]}", &[Code::MissingField]),
        ("{id: g, pods: []}", &[]),
        ("{id: /, cmd: x}", &[Code::BadId]),
        ("{id: a/tasks, cmd: x}", &[Code::BadId]),
        ("{id: a, cmd: x, dependencies: ['../../b']}", &[Code::BadId]),
        ("5", &[Code::WrongType]),
        ("[5]", &[Code::WrongType]),
        ("[[{id: a, cmd: x}]]", &[Code::WrongType]),
    ];
    for (text, expected) in cases {
        assert_eq!(codes(text), *expected, "{text}");
    }
}

#[test]
fn volumes_of_all_kinds_are_checked_and_what_cannot_be_kept_is_refused() {
    let volume = |text: &str| codes(&format!("{{id: a, cmd: x, container: {{type: MESOS, volumes: [{text}]}}}}"));
    assert_eq!(volume("{containerPath: /a, hostPath: /b, mode: RW}"), []);
    assert_eq!(volume("{containerPath: /a, hostPath: /b}"), [Code::BadVolume]);
    assert_eq!(volume("{containerPath: /a, hostPath: /b, mode: RW, secret: s}"), [Code::BadVolume, Code::NotYet]);
    assert_eq!(volume("{containerPath: data, mode: RW, persistent: {size: 10}}"), [Code::NotYet]);
    assert_eq!(volume("{containerPath: data, mode: RW, persistent: {}}"), [Code::MissingField]);
    assert_eq!(volume("{containerPath: a/b, mode: RW, persistent: {size: 10}}"), [Code::BadVolume, Code::NotYet]);
    assert_eq!(volume("{containerPath: /a, mode: RW, external: {name: n, provider: dvdi}}"), [Code::NotYet]);
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let reading =
        read("web.yaml", "id: web\ncmd: x\ncpus: many\ninstances: -1\nnonsense: 1\nhealthChecks:\n  - port: 0\n");
    let places: Vec<_> =
        reading.diagnostics.iter().map(|d| (d.code, d.line, d.column, d.field.as_str())).collect();
    assert_eq!(
        places,
        [
            (Code::WrongType, 3, 7, "/cpus"),
            (Code::OutOfRange, 4, 12, "/instances"),
            (Code::UnknownField, 5, 1, "/nonsense"),
            (Code::OutOfRange, 7, 11, "/healthChecks(0)/port"),
        ]
    );
}

#[test]
fn places_are_named_as_marathons_api_does() {
    let field = |text: &str| read("a.yaml", text).diagnostics[0].field.clone();
    assert_eq!(field("{id: g, apps: [{cmd: x}]}"), "/apps(0)/id");
    assert_eq!(field("id: a"), "");
    assert_eq!(field("id: a\ncmd: x\nhealthChecks:\n- protocol: COMMAND\n"), "/healthChecks(0)");
    assert_eq!(field("id: a\ncmd: x\nportDefinitions:\n- name: A\n"), "/portDefinitions(0)/name");
}

#[test]
fn what_the_api_reports_is_told_from_a_typing_error() {
    let reading = read("a.json", r#"{"id": "a", "cmd": "x", "tasksRunning": 1}"#);
    let hint = reading.diagnostics[0].hint.as_deref().unwrap_or_default();
    assert!(hint.contains("reports"), "{hint}");
}
