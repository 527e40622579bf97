//! `GET /v2/info` (§1.10).

use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::api::reply::{self, Response};

/// The Marathon whose API this is: clients choose their dialect by it.
const MARATHON_VERSION: &str = "1.11.24";

/// Members of `marathon_config` that have no meaning here, or none yet. Clients want to see them nevertheless.
const CONFIG_ABSENT: &[&str] = &[
    "access_control_allow_origin",
    "default_network_name",
    "env_vars_prefix",
    "executor",
    "failover_timeout",
    "launch_token",
    "launch_token_refresh_interval",
    "leader_proxy_connection_timeout_ms",
    "leader_proxy_read_timeout_ms",
    "master",
    "max_instances_per_offer",
    "mesos_bridge_name",
    "mesos_heartbeat_failure_threshold",
    "mesos_heartbeat_interval",
    "mesos_leader_ui_url",
    "mesos_user",
    "min_revive_offers_interval",
    "offer_matching_timeout",
    "on_elected_prepare_timeout",
    "reconciliation_initial_delay",
    "reconciliation_interval",
    "scale_apps_initial_delay",
    "scale_apps_interval",
    "store_cache",
    "task_launch_confirm_timeout",
    "task_lost_expunge_initial_delay",
    "task_lost_expunge_interval",
    "task_reservation_timeout",
    "webui_url",
];

/// All of `zookeeper_config`: there is no ZooKeeper.
const ZOOKEEPER_ABSENT: &[&str] = &[
    "zk",
    "zk_compression",
    "zk_compression_threshold",
    "zk_connection_timeout",
    "zk_max_node_size",
    "zk_max_versions",
    "zk_session_timeout",
    "zk_timeout",
];

/// Who we are.
pub(in crate::api) fn show(api: &Api) -> Response {
    let absent = |names: &[&str]| -> Map<String, Value> {
        names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect()
    };
    let settings = &api.settings;
    let mut config = absent(CONFIG_ABSENT);
    let elected = api.leader();
    let addresses = api.terms.addresses;
    let hostname = addresses.main().map(|(_, address)| address.ip().to_string());
    let known = [
        ("checkpoint", json!(true)),
        ("decline_offer_duration", json!(settings.decline_for.as_millis() as u64)),
        ("features", json!([])),
        ("framework_name", json!("ekiden")),
        ("ha", json!(false)),
        ("hostname", json!(hostname)),
        ("local_port_max", json!(settings.service_ports.end())),
        ("local_port_min", json!(settings.service_ports.start())),
        ("maintenance_mode", json!(settings.heed_maintenance)),
        ("mesos_role", json!(settings.default_role.as_str())),
        ("new_group_enforce_role", json!(if settings.new_groups_enforce_role { "top" } else { "off" })),
        ("task_launch_timeout", json!(settings.launch_timeout.as_millis() as u64)),
    ];
    config.extend(known.map(|(name, value)| (name.to_owned(), value)));
    config.extend(api.introduction.config.clone());
    reply::json(&json!({
        "name": "ekiden",
        "version": MARATHON_VERSION,
        "buildref": concat!("ekiden-", env!("CARGO_PKG_VERSION")),
        "elected": true,
        "leader": elected,
        "frameworkId": api.snapshots.latest().link.framework.as_ref().map(ToString::to_string),
        "marathon_config": config,
        "zookeeper_config": absent(ZOOKEEPER_ABSENT),
        "http_config": {
            "http_port": addresses.http.map(|address| address.port()),
            "https_port": addresses.https.map(|address| address.port()),
        },
    }))
}
