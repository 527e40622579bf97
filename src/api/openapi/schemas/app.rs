//! Apps as they are shown: what `manifest::app_to_json` writes, and what is known of them beside.

use serde_json::{Value, json};

use super::super::schema::{
    Member, closed, count, described, either, flag, list, map, named, nullable, number, path, port, text, time,
    uuid, word,
};

pub(super) fn all() -> Vec<Member> {
    vec![
        ("AppInfo", described(closed(members().chain(counts("")).chain(beside(""))), "An app, and how it is.")),
        (
            "AppInGroup",
            described(
                closed(
                    members().chain(counts("?")).chain(beside("?")).chain([("tasksStats?", named("TaskStats"))]),
                ),
                "An app as it is shown in a group: its definition, and what was asked for.",
            ),
        ),
        ("AppVersion", described(closed(members()), "An app as it was declared.")),
        ("AppDefinition", described(closed(definition()), "An app, all defaults written out.")),
        ("ContainerInfo", container()),
        ("PortMappingInfo", port_mapping()),
        ("PortDefinitionInfo", port_definition()),
        ("FetchInfo", fetch()),
        ("HealthCheckInfo", health_check()),
        ("ReadinessCheckInfo", readiness_check()),
        ("CheckInfo", check()),
        ("NetworkInfo", network()),
        ("RolloutInfo", rollout()),
        ("TaskFailure", task_failure()),
        ("ReadinessResult", closed([("name", text()), ("taskId", text()), ("ready", flag())])),
        ("TaskStats", task_stats()),
    ]
}

/// The definition, with what we chose for it.
fn members() -> impl Iterator<Item = Member> {
    let info = closed([("lastScalingAt", time()), ("lastConfigChangeAt", time())]);
    definition().into_iter().chain([("version", time()), ("versionInfo", info)])
}

fn definition() -> Vec<Member> {
    vec![
        ("id", path()),
        ("acceptedResourceRoles?", list(text())),
        ("args?", list(text())),
        ("backoffFactor", number()),
        ("backoffSeconds", count()),
        ("cmd?", text()),
        ("constraints", list(json!({ "type": "array", "items": text(), "minItems": 2, "maxItems": 3 }))),
        ("container?", named("ContainerInfo")),
        ("cpus", number()),
        ("dependencies", list(text())),
        ("disk", number()),
        ("env", map(text())),
        ("executor", text()),
        ("fetch", list(named("FetchInfo"))),
        ("healthChecks", list(named("HealthCheckInfo"))),
        ("instances", count()),
        ("labels", map(text())),
        ("maxLaunchDelaySeconds", count()),
        ("mem", number()),
        ("gpus", number()),
        ("networks", list(named("NetworkInfo"))),
        ("portDefinitions?", list(named("PortDefinitionInfo"))),
        ("readinessChecks", list(named("ReadinessCheckInfo"))),
        ("requirePorts", flag()),
        ("secrets", closed([])),
        ("taskKillGracePeriodSeconds?", count()),
        ("upgradeStrategy?", closed([("maximumOverCapacity", number()), ("minimumHealthCapacity", number())])),
        ("user?", text()),
        ("killSelection", word(&["YOUNGEST_FIRST", "OLDEST_FIRST"])),
        ("unreachableStrategy", unreachable()),
        ("check?", named("CheckInfo")),
        ("resourceLimits?", closed([("cpus?", limit()), ("mem?", limit())])),
        ("role?", text()),
        ("tty?", flag()),
        (
            "placement?",
            closed([
                ("strategy", word(&["spread", "binpack", "random"])),
                ("mode", word(&["replicated", "global"])),
            ]),
        ),
        ("rollout?", named("RolloutInfo")),
    ]
}

fn limit() -> Value {
    either([number(), json!({ "const": "unlimited" })])
}

fn unreachable() -> Value {
    let times = closed([("inactiveAfterSeconds", count()), ("expungeAfterSeconds", count())]);
    either([json!({ "const": "disabled" }), times])
}

/// How many tasks are in which state; `?` where they may be absent.
fn counts(absent: &str) -> Vec<Member> {
    let names = match absent {
        "" => ["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"],
        _ => ["tasksStaged?", "tasksRunning?", "tasksHealthy?", "tasksUnhealthy?"],
    };
    names.map(|name| (name, count())).to_vec()
}

/// What is known of an app otherwise.
fn beside(absent: &str) -> Vec<Member> {
    let deployments = list(closed([("id", uuid())]));
    vec![
        (if absent.is_empty() { "deployments" } else { "deployments?" }, deployments),
        ("tasks?", list(named("Task"))),
        ("readinessCheckResults?", list(named("ReadinessResult"))),
        ("lastTaskFailure?", named("TaskFailure")),
        ("taskStats?", named("TaskStats")),
    ]
}

fn container() -> Value {
    let parameter = closed([("key", text()), ("value", text())]);
    let docker = closed([
        ("forcePullImage", flag()),
        ("image", text()),
        ("parameters?", list(parameter)),
        ("privileged?", flag()),
    ]);
    let volume = closed([("containerPath", text()), ("hostPath", text()), ("mode", word(&["RO", "RW"]))]);
    closed([
        ("type", word(&["DOCKER", "MESOS"])),
        ("docker?", docker),
        ("volumes", list(volume)),
        ("portMappings?", list(named("PortMappingInfo"))),
    ])
}

fn port_mapping() -> Value {
    closed([
        ("containerPort", port()),
        ("hostPort?", port()),
        ("labels", map(text())),
        ("name?", text()),
        ("networkNames?", list(text())),
        ("protocol", text()),
        ("servicePort", port()),
    ])
}

fn port_definition() -> Value {
    closed([("labels", map(text())), ("name?", text()), ("port", port()), ("protocol", text())])
}

fn fetch() -> Value {
    closed([
        ("uri", text()),
        ("extract", flag()),
        ("executable", flag()),
        ("cache", flag()),
        ("destPath?", text()),
    ])
}

fn health_check() -> Value {
    let protocols = ["HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"];
    closed([
        ("gracePeriodSeconds", count()),
        ("ignoreHttp1xx", flag()),
        ("intervalSeconds", count()),
        ("maxConsecutiveFailures", count()),
        ("path?", text()),
        ("portIndex?", count()),
        ("port?", port()),
        ("protocol", word(&protocols)),
        ("command?", closed([("value", text())])),
        ("ipProtocol?", json!({ "const": "IPv6" })),
        ("timeoutSeconds", count()),
        ("delaySeconds", count()),
    ])
}

fn readiness_check() -> Value {
    closed([
        ("name", text()),
        ("protocol", word(&["HTTP", "HTTPS"])),
        ("path", text()),
        ("portName", nullable(text())),
        ("intervalSeconds", count()),
        ("timeoutSeconds", count()),
        ("httpStatusCodesForReady", list(count())),
        ("preserveLastResponse", flag()),
    ])
}

fn check() -> Value {
    let address = || [("portIndex?", count()), ("port?", port())];
    let http = [("path", text()), ("scheme", word(&["HTTP", "HTTPS"]))];
    closed([
        ("http?", closed(address().into_iter().chain(http))),
        ("tcp?", closed(address())),
        ("exec?", closed([("command", closed([("shell", text())]))])),
        ("intervalSeconds", count()),
        ("timeoutSeconds", count()),
        ("delaySeconds", count()),
    ])
}

fn network() -> Value {
    closed([
        ("mode", word(&["host", "container/bridge", "container"])),
        ("name?", text()),
        ("labels?", map(text())),
    ])
}

fn rollout() -> Value {
    let amount = || either([count(), json!({ "type": "string", "pattern": "%$" })]);
    closed([
        ("progressDeadlineSeconds?", count()),
        ("paused?", json!({ "const": true })),
        ("autoRollback?", json!({ "const": true })),
        ("maxSurge?", amount()),
        ("maxUnavailable?", amount()),
    ])
}

fn task_failure() -> Value {
    closed([
        ("appId", path()),
        ("host", text()),
        ("message", text()),
        ("state", text()),
        ("taskId", text()),
        ("timestamp", time()),
        ("version?", time()),
    ])
}

fn task_stats() -> Value {
    let counts = ["staged", "running", "healthy", "unhealthy"].map(|name| (name, count()));
    let stats = closed([
        ("counts", closed(counts)),
        ("lifeTime?", closed([("averageSeconds", number()), ("medianSeconds", number())])),
    ]);
    let summary = || closed([("stats", stats.clone())]);
    let stats = closed([
        ("startedAfterLastScaling?", summary()),
        ("withLatestConfig?", summary()),
        ("withOutdatedConfig?", summary()),
        ("totalSummary?", summary()),
    ]);
    described(stats, "Counts and ages of tasks, each where there are any.")
}
