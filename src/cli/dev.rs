//! `ekiden dev [DIR]`

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use ekiden_model::limits::Settings;

use super::callbacks::CallbackArgs;
use super::terminal::Terminal;
use super::validate::counted;
use super::writes::WriteArgs;
use super::{Ended, Given, Global, settings};
use crate::api::Introduction;
use crate::cluster::local::{AgentAttributes, AgentResources, MOST_AGENTS};
use crate::desired::PrunePolicy;
use crate::runtime::dev::{self, DevOptions};
use crate::runtime::server::Started;
use crate::runtime::tasks::Cause;
use crate::telemetry::{self, LogFormat};

/// What `ekiden dev` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ekiden dev manifests/examples\n  \
    ekiden dev . --agents 3 --attributes 'rack:r%d'     three agents, to try constraints\n  \
    ekiden dev . --resources 'cpus:4;mem:8192;ports:[31000-31099]'\n  \
    ekiden dev . --state .ekiden                        remembers apps across restarts")]
pub(super) struct DevArgs {
    /// The directory with the manifests: .json, .yaml, .yml
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Where the HTTP API is offered; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// As how many agents this machine appears
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_AGENTS)))]
    agents: u32,
    /// What each agent has, as Mesos writes it: `cpus:4;mem:4096;ports:[31000-31999]`; found out when not given
    #[arg(long, value_name = "RESOURCES")]
    resources: Option<AgentResources>,
    /// What distinguishes the agents: `rack:r%d;zone:z1`, where %d is an agent's number
    #[arg(long, value_name = "ATTRIBUTES")]
    attributes: Option<AgentAttributes>,
    /// When more than this share of all apps would vanish with their files at once (and more than 3 of them), ekiden asks
    /// before it stops any: see `ekiden confirm-prune`. 100 never asks
    #[arg(long, value_name = "PERCENT", default_value_t = PrunePolicy::default().percent, value_parser = clap::value_parser!(u8).range(0..=100))]
    prune_share: u8,
    /// Where to remember apps, and keep sandboxes, across restarts; nothing is kept when not given
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    #[command(flatten)]
    callbacks: CallbackArgs,

    #[command(flatten)]
    writes: WriteArgs,
}

/// Runs until it is told to end.
pub(super) async fn run(
    args: &DevArgs,
    given: &Given<'_>,
    global: &Global,
    terminal: &Terminal,
) -> Result<Ended, Cause> {
    let DevArgs { directory, http, agents, resources, attributes, prune_share, state, callbacks, writes } = args;
    telemetry::init(global.verbosity(), global.log_format)?;
    let options = DevOptions {
        directory: directory.clone(),
        http: *http,
        agents: *agents,
        resources: resources.clone().unwrap_or_default(),
        attributes: attributes.clone().unwrap_or_default(),
        prune: PrunePolicy { percent: *prune_share, ..PrunePolicy::default() },
        state: state.clone(),
        callbacks: callbacks.fixed(),
        introduction: Introduction { settings: settings::as_json(given), ..Introduction::default() },
        settings: writes.added_to(Settings::default()),
    };
    // Who reads JSON learns the same from a line of it.
    let for_programs = global.log_format == LogFormat::Json;
    dev::run(options, |started| {
        if for_programs {
            let Started { address, directory, files, apps, findings, .. } = started;
            tracing::info!(address, directory = %directory.display(), files, apps, findings, agents, "started");
        } else {
            terminal.note(&summary(started, *agents));
        }
    })
    .await?;
    Ok(Ended::Well)
}

fn summary(started: &Started, agents: u32) -> String {
    let agents = counted(agents as usize, "agent");
    summary_of(
        started,
        &format!("on {agents} of this machine"),
        "`ekiden get apps` lists them, `ekiden explain APP` says what one waits for, Ctrl-C stops all",
    )
}

/// What was found at the start: where it is offered, what runs, `placed` where, what is wrong with it, and what `next`.
pub(super) fn summary_of(started: &Started, placed: &str, next: &str) -> String {
    let Started { url, directory, files, apps, findings, .. } = started;
    let (apps, files) = (counted(*apps, "app"), counted(*files, "file"));
    let mut text = format!(
        "ekiden {} at {url}\n  {apps} in {files} of {}, {placed}\n",
        env!("CARGO_PKG_VERSION"),
        directory.display(),
    );
    if *findings > 0 {
        let findings = counted(*findings, "error");
        let _ = writeln!(text, "  {findings} in the manifests: `ekiden validate {}`", directory.display());
    }
    let _ = write!(text, "  {next}");
    text
}
