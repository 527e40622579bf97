//! Every flag of Marathon 1.11, and what becomes of it here.
//!
//! Whoever moves from Marathon starts with its command line. A flag that `ekiden serve` has itself means the same as
//! there. Of the others, those that tune a mechanism that does not exist here are **needless**: taken, with a warning.
//! Those that ask for something that would then not be so are **missing**: refused, with what to do until it is there,
//! unless their value asks for nothing.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// One flag of Marathon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MarathonFlag {
    /// As Marathon writes it.
    pub(super) name: &'static str,
    /// Whether it is a toggle (`--x`, `--disable_x`) and takes no value.
    pub(super) toggle: bool,
    /// What becomes of it.
    pub(super) fate: Fate,
}

/// What becomes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// `ekiden serve` has it, with the same meaning.
    Kept,
    /// Taken and not acted on, since nothing is lost by it; why.
    Needless(&'static str),
    /// Refused, except for the values that ask for nothing; what to do.
    Missing(&'static [&'static str], &'static str),
}

use Fate::{Kept, Missing, Needless};

const NO_LEADER: &str = "one ekiden runs at a time: there is no election, and nothing is proxied to a leader";
const NO_ZOOKEEPER: &str = "state is in the folder given with --state, not in ZooKeeper";
const NO_QUEUES: &str = "there are no such queues, pools or timeouts here";
const NO_THROTTLE: &str = "offers are used as they come; each app takes turns, and none waits for tokens";
const BY_TIMER: &str = "nothing is done in rounds: every wait has its own timer";
const KEYSTORE: &str = "take certificate and key out of it as PEM files (docs/http.md says how), name them with \
                        --tls_cert and --tls_key, and remove the flag";
const PUSH_METRICS: &str = "have your collector read /metrics/prometheus, and remove the flag";
const LOGS: &str = "logs go to stderr, as JSON with --log-format json: have your collector read them there";
const GONE: &str = "Marathon 1.11 has no such flag any more, either";

const fn value(name: &'static str, fate: Fate) -> MarathonFlag {
    MarathonFlag { name, toggle: false, fate }
}

const fn toggle(name: &'static str, fate: Fate) -> MarathonFlag {
    MarathonFlag { name, toggle: true, fate }
}

/// All of them, in the order of Marathon's documentation.
pub(super) const FLAGS: &[MarathonFlag] = &[
    // Core, Mesos.
    value("master", Kept),
    value(
        "zk",
        Needless("state is in the folder given with --state; what Marathon keeps in ZooKeeper is not read"),
    ),
    value("hostname", Kept),
    toggle("ha", Needless(NO_LEADER)),
    toggle("checkpoint", Kept),
    value("failover_timeout", Kept),
    value("framework_name", Kept),
    value("mesos_role", Kept),
    value("mesos_user", Kept),
    value("executor", Missing(&["//cmd"], "apps run with Mesos' own executors: remove the flag")),
    value("webui_url", Kept),
    value("mesos_leader_ui_url", Kept),
    toggle("mesos_authentication", Kept),
    value("mesos_authentication_principal", Kept),
    value("mesos_authentication_secret", Kept),
    value("mesos_authentication_secret_file", Kept),
    value(
        "enable_features",
        Missing(
            &["vips", "task_killing"],
            "task_killing is always on; gpu_resources, external_volumes and secrets are not there yet: leave them out",
        ),
    ),
    value("deprecated_features", Needless("everything that Marathon 1.11 reads is read")),
    value("env_vars_prefix", Kept),
    value(
        "max_apps",
        Missing(&[], "the number of apps is not limited here: limit it where manifests are reviewed"),
    ),
    value(
        "default_network_name",
        Missing(
            &[""],
            "name the network in each app (`networks: [{mode: container, name: …}]`), and remove the flag",
        ),
    ),
    value(
        "mesos_bridge_name",
        Missing(&["mesos-bridge"], "call the CNI network of the agents mesos-bridge, and remove the flag"),
    ),
    value("new_group_enforce_role", Kept),
    value("accepted_resource_roles_default_behavior", Kept),
    value("default_accepted_resource_roles", Kept),
    value(
        "plugin_dir",
        Missing(&[], "there are no plugins: authentication belongs into a proxy in front of ekiden"),
    ),
    value(
        "plugin_conf",
        Missing(&[], "there are no plugins: authentication belongs into a proxy in front of ekiden"),
    ),
    toggle("maintenance_mode", Kept),
    value("draining_seconds", Kept),
    value(
        "gpu_scheduling_behavior",
        Missing(&["restricted", "undefined"], "agents with GPUs are not offered to ekiden yet: remove the flag"),
    ),
    value("local_port_min", Kept),
    value("local_port_max", Kept),
    value("access_control_allow_origin", Kept),
    value("graceful_shutdown_timeout", Needless("a SIGTERM ends ekiden within seconds, and leaves tasks running")),
    value("on_elected_prepare_timeout", Needless(NO_LEADER)),
    value("leader_election_backend", Needless(NO_LEADER)),
    value("max_actor_startup_time", Needless(NO_QUEUES)),
    value("mesos_heartbeat_interval", Needless("the master says how often it sends heartbeats, and is believed")),
    value("mesos_heartbeat_failure_threshold", Needless("a master that is silent for too long is asked anew")),
    value("scheduler_actions_execution_context_size", Needless(NO_QUEUES)),
    // Task timeouts, reconciliation.
    value("task_launch_timeout", Kept),
    value(
        "task_launch_confirm_timeout",
        Needless(
            "--task_launch_timeout counts from the launch to TASK_RUNNING, whether Mesos has confirmed it or not",
        ),
    ),
    value("task_reservation_timeout", Needless("nothing is reserved for apps here")),
    value("reconciliation_initial_delay", Needless("reconciliation begins as soon as there is a connection")),
    value("reconciliation_interval", Kept),
    value("scale_apps_initial_delay", Needless(BY_TIMER)),
    value("scale_apps_interval", Needless(BY_TIMER)),
    value("task_lost_expunge_initial_delay", Needless(BY_TIMER)),
    value("task_lost_expunge_interval", Needless(BY_TIMER)),
    // Offers and launching.
    value("decline_offer_duration", Kept),
    value(
        "min_revive_offers_interval",
        Needless("offers are asked for when they are wanted, and once for all who wait"),
    ),
    toggle(
        "suppress_offers",
        Needless("offers that nobody wants are always suppressed, and asked for when they are"),
    ),
    toggle("mesos_offer_constraints", Needless("offers that do not fit are refused here, and explained")),
    value("min_mesos_offer_constraints_update_interval", Needless("offers that do not fit are refused here")),
    value("offer_matching_timeout", Needless(NO_THROTTLE)),
    value("max_instances_per_offer", Kept),
    value("launch_tokens", Needless(NO_THROTTLE)),
    value("launch_token_refresh_interval", Needless(NO_THROTTLE)),
    value("max_parallel_offers", Needless(NO_THROTTLE)),
    value("max_queued_offers", Needless(NO_THROTTLE)),
    value("launch_queue_request_timeout", Needless(NO_QUEUES)),
    value("task_operation_notification_timeout", Needless(NO_QUEUES)),
    // Deployments, tracker, health, events.
    value("max_running_deployments", Needless("a rollout holds nobody up, so their number is not limited")),
    value("max_queued_root_group_updates", Needless(NO_QUEUES)),
    value("group_manager_request_timeout", Needless(NO_QUEUES)),
    value("group_manager_execution_context_size", Needless(NO_QUEUES)),
    value("deployment_manager_request_timeout", Needless(NO_QUEUES)),
    value("kill_chunk_size", Needless("kills are sent as they are decided, within each app's own bounds")),
    value("kill_retry_timeout", Kept),
    value("max_parallel_status_updates", Needless(NO_QUEUES)),
    value("max_queued_status_updates", Needless(NO_QUEUES)),
    value("task_tracker_request_timeout", Needless(NO_QUEUES)),
    value("task_update_request_timeout", Needless(NO_QUEUES)),
    value("instance_tracker_num_parallel_updates", Needless(NO_QUEUES)),
    value("instance_tracker_num_parallel_loads", Needless(NO_QUEUES)),
    value("instance_tracker_update_queue_size", Needless(NO_QUEUES)),
    value("max_concurrent_marathon_health_checks", Kept),
    value(
        "event_stream_max_outstanding_messages",
        Needless("a reader may fall 4096 events behind, and resume where it was cut off"),
    ),
    value("app_info_module_execution_context_size", Needless(NO_QUEUES)),
    value("default_info_service_execution_context_size", Needless(NO_QUEUES)),
    // ZooKeeper, storage.
    value("zk_timeout", Needless(NO_ZOOKEEPER)),
    value("zk_session_timeout", Needless(NO_ZOOKEEPER)),
    value("zk_connection_timeout", Needless(NO_ZOOKEEPER)),
    toggle("zk_compression", Needless(NO_ZOOKEEPER)),
    value("zk_compression_threshold", Needless(NO_ZOOKEEPER)),
    value("zk_max_node_size", Needless(NO_ZOOKEEPER)),
    value("zk_max_versions", Needless("versions of manifests are kept by your version control")),
    value("zk_operation_max_retries", Needless(NO_ZOOKEEPER)),
    value("zk_operation_base_retry_sleep_ms", Needless(NO_ZOOKEEPER)),
    value("zk_max_concurrency", Needless(NO_ZOOKEEPER)),
    toggle("store_cache", Needless("all that is stored is kept in memory, too")),
    toggle("internal_version_caching", Needless("all that is stored is kept in memory, too")),
    value(
        "internal_store_backend",
        Missing(&["zk"], "state is always durable here; `ekiden dev` forgets: remove the flag"),
    ),
    value("storage_compaction_interval", Needless(NO_ZOOKEEPER)),
    value("storage_compaction_scan_batch_size", Needless(NO_ZOOKEEPER)),
    value("group_versions_cache_size", Needless(NO_ZOOKEEPER)),
    value("storage_execution_context_size", Needless(NO_QUEUES)),
    value("backup_location", Missing(&[], "write backups with `ekiden state export`, and remove the flag")),
    // HTTP and proxy.
    value("http_port", Kept),
    value("http_address", Kept),
    value("https_port", Kept),
    value("https_address", Kept),
    // Not a toggle of ours: `--http` is an address.
    value("disable_http", Kept),
    value("ssl_keystore_path", Missing(&[], KEYSTORE)),
    value("ssl_keystore_password", Missing(&[], KEYSTORE)),
    value("http_credentials", Kept),
    value("http_realm", Kept),
    toggle("http_compression", Kept),
    value("http_max_concurrent_requests", Kept),
    value("assets_path", Needless("there are no assets to serve")),
    value("leader_proxy_connection_timeout", Needless(NO_LEADER)),
    value("leader_proxy_read_timeout", Needless(NO_LEADER)),
    value("leader_proxy_max_open_connections", Needless(NO_LEADER)),
    toggle("leader_proxy_ssl_ignore_hostname", Needless(NO_LEADER)),
    // Metrics, logs.
    value(
        "metrics_name_prefix",
        Missing(&["marathon"], "rename metrics where they are collected, and remove the flag"),
    ),
    toggle("metrics_prometheus", Needless("metrics are always at /metrics/prometheus")),
    toggle("metrics_statsd", Missing(&["false"], PUSH_METRICS)),
    value("metrics_statsd_host", Missing(&[], PUSH_METRICS)),
    value("metrics_statsd_port", Missing(&[], PUSH_METRICS)),
    value("metrics_statsd_transmission_interval_ms", Missing(&[], PUSH_METRICS)),
    toggle("metrics_datadog", Missing(&["false"], PUSH_METRICS)),
    value("metrics_datadog_protocol", Missing(&[], PUSH_METRICS)),
    value("metrics_datadog_host", Missing(&[], PUSH_METRICS)),
    value("metrics_datadog_port", Missing(&[], PUSH_METRICS)),
    value("metrics_datadog_api_key", Missing(&[], PUSH_METRICS)),
    value("metrics_datadog_transmission_interval_ms", Missing(&[], PUSH_METRICS)),
    value("metrics_histogram_reservoir_highest_trackable_value", Needless("histograms have fixed buckets")),
    value("metrics_histogram_reservoir_significant_digits", Needless("histograms have fixed buckets")),
    toggle("metrics_histogram_reservoir_reset_periodically", Needless("histograms have fixed buckets")),
    value("metrics_histogram_reservoir_resetting_interval_ms", Needless("histograms have fixed buckets")),
    value("metrics_histogram_reservoir_resetting_chunks", Needless("histograms have fixed buckets")),
    value("logging_level", Kept),
    value("logstash", Missing(&[], LOGS)),
    value("sentry", Missing(&[], LOGS)),
    value("sentry_tags", Missing(&[], LOGS)),
    toggle("metrics", Needless("metrics are always there")),
    // Gone from Marathon before 1.11.
    value("artifact_store", Missing(&[], "serve artifacts from any web server, and name them in `fetch`")),
    value("event_subscriber", Kept),
    value("http_endpoints", Kept),
    value("http_event_callback_slow_consumer_timeout", Needless(GONE)),
    value("max_tasks_per_offer", Needless(NO_THROTTLE)),
    value("max_tasks_per_offer_cycle", Needless(NO_THROTTLE)),
    toggle("revive_offers_for_new_apps", Needless(GONE)),
    value("revive_offers_repetitions", Needless(GONE)),
    value("save_tasks_to_launch_timeout", Needless(GONE)),
    value("task_lost_expunge_gc", Needless(GONE)),
    value("reporter_graphite", Missing(&[], PUSH_METRICS)),
    value("reporter_datadog", Missing(&[], PUSH_METRICS)),
    value("marathon_store_timeout", Needless(GONE)),
    toggle("tracing", Needless("--verbose, twice, logs everything")),
    value("zk_hosts", Needless(NO_ZOOKEEPER)),
    value("zk_state", Needless(NO_ZOOKEEPER)),
];

/// A flag that was given and is not acted on, said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Warning(pub(super) String);

/// Flags without which ekiden would not do what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(super) struct Refusal(Vec<String>);

/// Makes a command take what it does not have itself.
pub(super) fn taught(command: Command) -> Command {
    let missing: Vec<Arg> = FLAGS.iter().filter(|flag| flag.fate != Kept).map(argument).collect();
    command.args(missing)
}

fn argument(flag: &MarathonFlag) -> Arg {
    let argument = Arg::new(flag.name).long(flag.name.replace('_', "-")).hide(true).action(ArgAction::Append);
    if flag.toggle || flag.name.starts_with("disable_") {
        argument.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        argument.num_args(1)
    }
}

/// Looks through what was given. Names are told as they are in the documentation of Marathon.
pub(super) fn look_through(matches: &ArgMatches) -> Result<Vec<Warning>, Refusal> {
    let (mut warnings, mut refusals) = (Vec::new(), Vec::new());
    for flag in FLAGS.iter().filter(|flag| flag.fate != Kept) {
        let Ok(Some(values)) = matches.try_get_many::<String>(flag.name) else { continue };
        let mut given = values.flat_map(|value| value.split(',')).map(str::trim);
        match flag.fate {
            Kept => {}
            Needless(why) => warnings.push(Warning(format!("--{} has no meaning here: {why}", flag.name))),
            Missing(harmless, instead) => {
                if given.any(|value| !harmless.contains(&value)) {
                    refusals.push(format!("--{} is not there yet: {instead}", flag.name));
                }
            }
        }
    }
    if refusals.is_empty() { Ok(warnings) } else { Err(Refusal(refusals)) }
}

/// `MARATHON_*` variables that are set and that Marathon would read. Those of tasks (`MARATHON_APP_*`) are none.
pub(super) fn variables(names: impl Iterator<Item = String>) -> Vec<Warning> {
    let known = |name: &str| {
        let flag = name.strip_prefix("MARATHON_")?.to_lowercase();
        let flag = flag.strip_prefix("disable_").unwrap_or(&flag).to_owned();
        FLAGS.iter().find(|known| known.name == flag)
    };
    names
        .filter_map(|name| Some((known(&name)?, name)))
        .map(|(flag, name)| {
            let ours = format!("EKIDEN_{}", flag.name.to_uppercase());
            Warning(match flag.fate {
                Kept => format!("the variable {name} is not read: call it {ours}"),
                Needless(_) | Missing(..) => format!("the variable {name} is not read"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every flag that Marathon 1.11 or an earlier one has, a name a line.
    const KNOWN_TO_MARATHON: &str = include_str!("marathon/flags.txt");

    fn serve() -> Command {
        super::super::command().find_subcommand("serve").expect("a command").clone()
    }

    fn looked_through(given: &[&str]) -> Result<Vec<String>, String> {
        let arguments = ["ekiden", "serve"].iter().chain(given).map(std::ffi::OsString::from);
        let line = super::super::Line::parse(arguments).map_err(|_| "no command line".to_owned())?;
        let warnings = look_through(line.given().matches).map_err(|refusal| refusal.to_string())?;
        Ok(warnings.into_iter().map(|Warning(text)| text).collect())
    }

    #[test]
    fn every_flag_of_marathon_has_its_fate_and_no_other_has() {
        let documented: BTreeSet<&str> = KNOWN_TO_MARATHON.lines().filter(|line| !line.is_empty()).collect();
        let here: BTreeSet<&str> = FLAGS.iter().map(|flag| flag.name).collect();
        assert_eq!(here, documented);
        assert_eq!(FLAGS.len(), documented.len(), "each once");
    }

    #[test]
    fn what_is_kept_is_a_flag_of_ours_and_what_is_not_is_none() {
        let serve = serve();
        for flag in FLAGS {
            let long = flag.name.replace('_', "-");
            let ours = serve.get_arguments().find(|argument| argument.get_long() == Some(&long));
            let ours = ours.expect("every flag of Marathon's is taken");
            assert_eq!(ours.is_hide_set(), flag.fate != Kept, "--{long}");
            let takes_none = ours.get_num_args().is_some_and(|values| values.min_values() == 0);
            assert_eq!(takes_none, flag.toggle || flag.name.starts_with("disable_"), "--{long}");
        }
    }

    #[test]
    fn every_sentence_says_something_to_whoever_reads_it() {
        for flag in FLAGS {
            let (Needless(text) | Missing(_, text)) = flag.fate else { continue };
            assert!(text.len() > 20 && !text.ends_with('.'), "--{}: {text}", flag.name);
        }
    }

    #[test]
    fn needless_flags_are_taken_with_a_warning_and_missing_ones_are_refused() {
        let warnings = looked_through(&["--launch_tokens", "500", "--disable_ha"]).expect("taken");
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].starts_with("--ha has no meaning here: one ekiden"), "{warnings:?}");
        let refusal = looked_through(&["--ssl_keystore_password", "a:b", "--plugin_dir=/x"]).expect_err("refused");
        assert_eq!(refusal.lines().count(), 2, "all at once: {refusal}");
        assert!(refusal.contains("--ssl_keystore_password is not there yet: take certificate"), "{refusal}");
        assert!(!refusal.contains("a:b"), "{refusal}");
    }

    #[test]
    fn a_value_that_asks_for_nothing_is_no_mistake() {
        let harmless = ["--executor", "//cmd", "--enable_features", "vips,task_killing", "--https_port", "8443"];
        assert_eq!(looked_through(&harmless), Ok(Vec::new()));
        assert!(looked_through(&["--enable_features", "task_killing,gpu_resources"]).is_err());
        assert!(looked_through(&["--metrics_statsd"]).is_err());
        assert!(looked_through(&["--metrics_statsd=false"]).is_ok());
    }

    #[test]
    fn marathons_variables_are_named_and_those_of_tasks_are_not() {
        let names = ["MARATHON_MASTER", "MARATHON_DISABLE_HA", "MARATHON_APP_ID", "PATH"].map(str::to_owned);
        let texts: Vec<String> = variables(names.into_iter()).into_iter().map(|Warning(text)| text).collect();
        assert_eq!(
            texts,
            [
                "the variable MARATHON_MASTER is not read: call it EKIDEN_MASTER",
                "the variable MARATHON_DISABLE_HA is not read"
            ]
        );
    }
}
