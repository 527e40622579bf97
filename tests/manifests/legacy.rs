//! Definitions from before Marathon 1.5 read as their modern forms do, and the two cannot be mixed.

use ekiden::manifest::Code;
use ekiden_model::app::{Command, HostPort, NetworkMode};

use super::{app, codes};

#[test]
fn ports_are_port_definitions() {
    assert_eq!(
        app("{id: a, cmd: x, ports: [8080, 0], requirePorts: true}"),
        app("{id: a, cmd: x, portDefinitions: [{port: 8080}, {}], requirePorts: true}")
    );
    assert_eq!(app("{id: a, cmd: x, ports: []}"), app("{id: a, cmd: x, portDefinitions: []}"));
    assert_eq!(app("{id: a, cmd: x, ports: null}"), app("{id: a, cmd: x, portDefinitions: [{name: default}]}"));
    assert_eq!(codes("{id: a, cmd: x, ports: [1], portDefinitions: [{port: 1}]}"), [Code::Exclusive]);
}

#[test]
fn uris_are_fetched_and_archives_among_them_unpacked() {
    assert_eq!(
        app("{id: a, cmd: x, uris: ['http://h/a.tgz', 'http://h/b.jar', 'http://h/c.tar.gz']}"),
        app("{id: a, cmd: x, fetch: [{uri: 'http://h/a.tgz'}, {uri: 'http://h/b.jar', extract: false}, \
             {uri: 'http://h/c.tar.gz', extract: true}]}")
    );
    assert_eq!(codes("{id: a, cmd: x, uris: ['u'], fetch: [{uri: u}]}"), [Code::Exclusive]);
}

#[test]
fn docker_networks_are_networks() {
    let bridge = app("{id: a, container: {docker: {image: i, network: BRIDGE, portMappings: [
        {containerPort: 80, hostPort: 0, servicePort: 9000, protocol: tcp}, {containerPort: 53, protocol: 'udp'}]}}}");
    assert_eq!(
        bridge,
        app("{id: a, container: {docker: {image: i}, portMappings: [
            {containerPort: 80, hostPort: 0, servicePort: 9000}, {containerPort: 53, protocol: udp}]},
            networks: [{mode: container/bridge}]}")
    );
    assert_eq!(bridge.template.command, Command::Image);
    assert_eq!(bridge.template.ports[1].host_port, HostPort::Dynamic);
    assert_eq!(
        app("{id: a, container: {docker: {image: i, network: HOST}}}"),
        app("{id: a, container: {docker: {image: i}}, networks: [{mode: host}]}")
    );
    assert_eq!(
        app(
            "{id: a, ipAddress: {networkName: net, labels: {a: b}}, container: {docker: {image: i, network: USER, \
             portMappings: [{containerPort: 80, hostPort: 0}, {containerPort: 81}]}}}"
        ),
        app("{id: a, networks: [{mode: container, name: net, labels: {a: b}}], container: {docker: {image: i}, \
             portMappings: [{containerPort: 80, hostPort: 0}, {containerPort: 81}]}}")
    );
    assert_eq!(
        codes("{id: a, container: {docker: {image: i, network: BRIDGE}}, networks: [{mode: host}]}"),
        [Code::Exclusive]
    );
}

#[test]
fn an_ip_address_is_a_container_network_with_a_container_around_it() {
    let legacy = app("{id: a, cmd: x, ipAddress: {networkName: net, groups: [], discovery: {ports: [
        {number: 80, name: http, protocol: tcp, labels: {k: v}}]}}}");
    assert_eq!(
        legacy,
        app("{id: a, cmd: x, networks: [{name: net}], container: {type: MESOS, portMappings: [
            {containerPort: 80, name: http, labels: {k: v}}]}}")
    );
    assert_eq!(legacy.template.networks[0].mode, NetworkMode::Container);
    assert_eq!(legacy.template.ports[0].host_port, HostPort::Unmapped);
    assert_eq!(codes("{id: a, cmd: x, ipAddress: {}}"), [Code::BadNetworks]);
    assert_eq!(codes("{id: a, cmd: x, ipAddress: {networkName: net, groups: [dev]}}"), [Code::Retired]);
}

#[test]
fn nulls_are_absent() {
    assert_eq!(
        app(r#"{"id": "a", "cmd": "x", "args": null, "ports": null, "uris": null, "ipAddress": null, "env": null,
                "container": null, "healthChecks": null, "acceptedResourceRoles": null, "upgradeStrategy": null,
                "labels": {"gone": null}, "user": null, "secrets": {}, "residency": null, "storeUrls": [],
                "version": "2015-01-01T00:00:00.000Z", "executor": "//cmd"}"#),
        app("{id: a, cmd: x}")
    );
}
