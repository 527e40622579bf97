//! `ekiden serve`

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use ekiden_model::Role;
use ekiden_model::limits::{AcceptedRoles, Settings};

use super::dev::summary_of;
use super::http::HttpArgs;
use super::mesos::{MesosArgs, redacted};
use super::terminal::Terminal;
use super::writes::WriteArgs;
use super::{Ended, Given, Global, Output, UsageError, marathon, settings};
use crate::api::Introduction;
use crate::desired::PrunePolicy;
use crate::probe::ProbeOptions;
use crate::runtime::serve::{self, ServeOptions};
use crate::runtime::server::Started;
use crate::runtime::tasks::Cause;
use crate::span::{millis, seconds};
use crate::telemetry::{self, LogFormat};

/// What `ekiden serve` takes.
#[derive(Debug, Args)]
#[command(after_help = "Every flag may be written with underscores, as Marathon has it, and set by a variable \
    (EKIDEN_FRAMEWORK_NAME) or in the config file (framework_name = \"…\"); a flag wins over a variable, that over the \
    file. Spans of time are plain numbers in the unit shown, or say their own: 500ms, 30s, 5m, 7d. All of Marathon's \
    flags are known: docs/flags.md says what became of each.\n\n\
    Examples:\n  \
    ekiden serve --manifests apps --state /var/lib/ekiden --master zk://10.0.0.1:2181,10.0.0.2:2181/mesos\n  \
    ekiden serve --config /etc/ekiden.toml --print-config     what would be used, and where it comes from\n  \
    ekiden get status                                         in another terminal: is it connected?\n\n\
    SIGTERM ends it and leaves tasks running; `ekiden uninstall` ends them, too. docs/operations.md says more.")]
pub(super) struct ServeArgs {
    /// The directory with the manifests: .json, .yaml, .yml
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// The folder in which ekiden remembers what must survive a restart; back it up
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// A file (TOML) with any of these flags
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print what would be used and where it comes from, and end
    #[arg(long)]
    print_config: bool,
    /// When more than this share of all apps would vanish with their files at once (and more than 3 of them), ekiden asks
    /// before it stops any: see `ekiden confirm-prune`. 100 never asks
    #[arg(long, value_name = "PERCENT", default_value_t = PrunePolicy::default().percent, value_parser = clap::value_parser!(u8).range(0..=100))]
    prune_share: u8,

    #[command(flatten)]
    mesos: MesosArgs,

    #[command(flatten)]
    http: HttpArgs,

    /// The first service port to give to apps that ask for any
    #[arg(long, value_name = "PORT", default_value_t = 10_000, help_heading = "Decisions")]
    local_port_min: u16,
    /// The last one
    #[arg(long, value_name = "PORT", default_value_t = 20_000, help_heading = "Decisions")]
    local_port_max: u16,
    /// A task that does not run so long after its launch is replaced; raise it where images are large
    #[arg(long, value_name = "MS", default_value = "300000", value_parser = millis, help_heading = "Decisions")]
    task_launch_timeout: Duration,
    /// A kill that nobody answered is sent again after this
    #[arg(long, value_name = "MS", default_value = "30000", value_parser = millis, help_heading = "Decisions")]
    kill_retry_timeout: Duration,
    /// How often Mesos is asked about all tasks, so that no lost message goes unnoticed
    #[arg(long, value_name = "MS", default_value = "600000", value_parser = millis, help_heading = "Decisions")]
    reconciliation_interval: Duration,
    /// How long Mesos offers what nobody wanted to others first
    #[arg(long, value_name = "MS", default_value = "120000", value_parser = millis, help_heading = "Decisions")]
    decline_offer_duration: Duration,
    /// So long before an agent's maintenance its instances begin to move away
    #[arg(long, value_name = "S", default_value = "0", value_parser = seconds, help_heading = "Decisions")]
    draining_seconds: Duration,
    /// Announced maintenance of agents is heeded: nothing is placed there any more, and what is there moves away
    #[arg(
        long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, help_heading = "Decisions",
        num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    maintenance_mode: bool,
    /// Whose resources apps use that name no acceptedResourceRoles: everybody's, those reserved to their role, or (when
    /// not given) any
    #[arg(long, value_enum, value_name = "WHOSE", help_heading = "Decisions")]
    accepted_resource_roles_default_behavior: Option<DefaultRoles>,
    /// The same, as it was said before: `*`, the default role, or both
    #[arg(long, value_name = "ROLES", value_delimiter = ',', help_heading = "Decisions")]
    default_accepted_resource_roles: Vec<String>,
    /// Most tasks that are launched at once from what one agent offers; no bound when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Decisions")]
    max_instances_per_offer: Option<u32>,
    /// Most health checks under way at once
    #[arg(long, value_name = "N", default_value_t = ProbeOptions::CONCURRENCY as u32, value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Decisions")]
    max_concurrent_marathon_health_checks: u32,

    #[command(flatten)]
    writes: WriteArgs,

    /// How much is logged
    #[arg(long, value_enum, value_name = "LEVEL")]
    logging_level: Option<Level>,
}

/// Marathon's names for whose resources are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DefaultRoles {
    /// Everybody's and those reserved to the role
    Any,
    /// Everybody's
    Unreserved,
    /// Those reserved to the role
    Reserved,
}

/// Marathon's names for how much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Errors
    #[value(alias = "off")]
    Error,
    /// And warnings
    Warn,
    /// And what happens
    Info,
    /// And what is looked at
    Debug,
    /// Everything
    #[value(alias = "all")]
    Trace,
}

/// Runs until it is told to end.
pub(super) async fn run(
    args: &ServeArgs,
    given: &Given<'_>,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<Ended, Cause> {
    let mut warnings = marathon::look_through(given.matches).map_err(UsageError::Marathon)?;
    warnings.extend(marathon::variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())));
    if args.print_config {
        print_config(given, global, terminal)?;
        return Ok(Ended::Well);
    }
    let (mesos, more) = args.mesos.options(given.matches)?;
    warnings.extend(more);
    let (http, more) = args.http.options(given.matches)?;
    warnings.extend(more);
    let options = ServeOptions {
        directory: required(args.manifests.as_ref(), "manifests", "/srv/apps")?,
        state: required(args.state.as_ref(), "state", "/var/lib/ekiden")?,
        http,
        prune: PrunePolicy { percent: args.prune_share, ..PrunePolicy::default() },
        settings: args.settings(&mesos.framework.role)?,
        probes: args.max_concurrent_marathon_health_checks as usize,
        introduction: args.introduction(given),
        callbacks: args.http.callbacks(),
        mesos,
    };
    telemetry::init(args.verbosity(global), global.log_format)?;
    for marathon::Warning(text) in warnings {
        tracing::warn!("{text}");
    }
    let for_programs = global.log_format == LogFormat::Json;
    let (master, framework) = (redacted(&options.mesos.master), options.mesos.framework.name.clone());
    serve::run(options, |started| {
        if for_programs {
            let Started { address, directory, files, apps, findings, .. } = started;
            tracing::info!(address, directory = %directory.display(), files, apps, findings, master, framework, "started");
        } else {
            terminal.note(&summary(started, &master, &framework));
        }
    })
    .await?;
    Ok(Ended::Well)
}

fn required(value: Option<&PathBuf>, flag: &'static str, example: &'static str) -> Result<PathBuf, UsageError> {
    value.cloned().ok_or(UsageError::Unset { flag, example })
}

impl ServeArgs {
    fn settings(&self, role: &Role) -> Result<Settings, UsageError> {
        if self.local_port_min > self.local_port_max {
            return Err(UsageError::Ports { min: self.local_port_min, max: self.local_port_max });
        }
        Ok(self.writes.added_to(Settings {
            default_role: role.clone(),
            service_ports: self.local_port_min..=self.local_port_max,
            launch_timeout: self.task_launch_timeout,
            kill_retry: self.kill_retry_timeout,
            reconcile_every: self.reconciliation_interval,
            decline_for: self.decline_offer_duration,
            drain_before: self.draining_seconds,
            heed_maintenance: self.maintenance_mode,
            accepted_roles: self.accepted_roles(role)?,
            launches_per_lot: self.max_instances_per_offer.unwrap_or(u32::MAX),
            ..Settings::default()
        }))
    }

    fn accepted_roles(&self, role: &Role) -> Result<AcceptedRoles, UsageError> {
        let named = &self.default_accepted_resource_roles;
        match self.accepted_resource_roles_default_behavior {
            Some(_) if !named.is_empty() => Err(UsageError::TwoDefaultsOfRoles),
            Some(DefaultRoles::Unreserved) => Ok(AcceptedRoles::Unreserved),
            Some(DefaultRoles::Reserved) => Ok(AcceptedRoles::Reserved),
            Some(DefaultRoles::Any) => Ok(AcceptedRoles::Any),
            None => roles_named(named, role),
        }
    }

    fn introduction(&self, given: &Given<'_>) -> Introduction {
        let mut config = serde_json::Map::new();
        config.extend(self.mesos.shown().map(|(name, value)| (name.to_owned(), value)));
        config.extend(self.http.shown().map(|(name, value)| (name.to_owned(), value)));
        let interval = self.reconciliation_interval.as_millis() as u64;
        config.insert("reconciliation_interval".to_owned(), interval.into());
        config.insert("max_instances_per_offer".to_owned(), self.max_instances_per_offer.into());
        Introduction { hostname: Some(self.mesos.hostname()), config, settings: settings::as_json(given) }
    }

    fn verbosity(&self, global: &Global) -> i8 {
        match self.logging_level {
            _ if global.verbose > 0 => global.verbosity(),
            None | Some(Level::Info) => 0,
            Some(Level::Error) => -2,
            Some(Level::Warn) => -1,
            Some(Level::Debug) => 1,
            Some(Level::Trace) => 2,
        }
    }
}

/// What a list of `*` and our role means.
fn roles_named(named: &[String], role: &Role) -> Result<AcceptedRoles, UsageError> {
    let (any, ours) = (Role::any().to_string(), role.to_string());
    if let Some(other) = named.iter().find(|named| **named != any && **named != ours) {
        return Err(UsageError::NoRoleOfOurs { named: other.clone(), ours });
    }
    Ok(match (named.contains(&any), named.contains(&ours)) {
        (true, false) => AcceptedRoles::Unreserved,
        (false, true) => AcceptedRoles::Reserved,
        (true, true) | (false, false) => AcceptedRoles::Any,
    })
}

/// Prints every setting, and where it comes from: a config file that says the same, secrets apart.
fn print_config(given: &Given<'_>, global: &Global, terminal: &mut Terminal) -> std::io::Result<()> {
    match global.output {
        Output::Json => terminal.json(&settings::as_json(given).into()),
        Output::Table => terminal.print(settings::as_file(given)),
    }
}

fn summary(started: &Started, master: &str, framework: &str) -> String {
    summary_of(
        started,
        &format!("as framework {framework} of {master}"),
        "`ekiden get status` says whether it is connected, `ekiden explain APP` what an app waits for; Ctrl-C ends \
         ekiden and leaves tasks running",
    )
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn settings(given: &[&str]) -> Result<Settings, String> {
        let arguments = ["ekiden", "serve"].iter().chain(given).map(std::ffi::OsString::from);
        let line = super::super::Line::parse(arguments).map_err(|_| "no command line".to_owned())?;
        let args = ServeArgs::from_arg_matches(line.given().matches).map_err(|error| error.to_string())?;
        args.settings(&Role::new("prod")).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_given_is_marathons_default_but_for_what_would_only_slow_down() {
        let expected = Settings { default_role: Role::new("prod"), ..Settings::default() };
        assert_eq!(settings(&[]), Ok(expected));
    }

    #[test]
    fn whose_resources_are_used_is_said_in_the_new_way_or_the_old_one_and_not_in_both() {
        let said = |given: &[&str]| settings(given).map(|settings| settings.accepted_roles);
        let new = "--accepted_resource_roles_default_behavior";
        for (word, expected) in [
            ("any", AcceptedRoles::Any),
            ("unreserved", AcceptedRoles::Unreserved),
            ("reserved", AcceptedRoles::Reserved),
        ] {
            assert_eq!(said(&[new, word]), Ok(expected));
        }
        let old = "--default_accepted_resource_roles";
        assert_eq!(said(&[old, "*"]), Ok(AcceptedRoles::Unreserved));
        assert_eq!(said(&[old, "prod"]), Ok(AcceptedRoles::Reserved));
        assert_eq!(said(&[old, "*,prod"]), Ok(AcceptedRoles::Any));
        assert!(said(&[old, "dev"]).is_err_and(|text| text.contains("only `*` and `prod`")));
        assert!(said(&[old, "*", new, "any"]).is_err_and(|text| text.contains("leave it out")));
    }

    #[test]
    fn maintenance_is_heeded_unless_it_is_not_to_be_and_offers_are_bounded_when_they_are_to_be() {
        assert_eq!(settings(&["--disable_maintenance_mode"]).map(|settings| settings.heed_maintenance), Ok(false));
        assert_eq!(settings(&["--maintenance_mode"]).map(|settings| settings.heed_maintenance), Ok(true));
        let bound = |given: &[&str]| settings(given).map(|settings| settings.launches_per_lot);
        assert_eq!(bound(&["--max_instances_per_offer", "5"]), Ok(5));
        assert!(bound(&["--max_instances_per_offer", "0"]).is_err());
    }
}
