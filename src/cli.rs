//! The command line: what is asked for, who answers it, and how the answer looks.
//!
//! Everything about a running ekiden goes through its HTTP API, so that whatever the command line can do, a program
//! can do too. Data goes to stdout, everything else to stderr.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; for `plan`: nothing would change; for `validate`: nothing is wrong; for `serve`: told to end |
//! | 1 | failed, or (`validate`, `plan`) the manifests are wrong |
//! | 2 | `plan`, `diff`: something would change |
//! | 3 | `--wait`: not there before the deadline |
//! | 64 | the command line itself is wrong |
//! | 66 | `serve`, `dev`: the directory of manifests is none |
//! | 69 | `serve`, `dev`: the address for HTTP cannot be had |
//! | 73 | the store is damaged, newer than this ekiden, or cannot be opened |
//! | 74 | `serve`, `dev`: nothing more can be stored |
//! | 75 | another ekiden uses the store |
//! | 77 | `serve`: the master refuses us |
//! | 78 | the config file, or that of credentials or certificate, is wrong |
//! | 80 | `serve`: Mesos has removed the framework |
//! | 81 | `serve`: another scheduler has taken over |
//!
//! `docs/operations.md` says what to do about each.

mod adopt;
mod apply;
mod apps;
mod callbacks;
mod client;
#[cfg(test)]
mod compatibility;
mod completions;
mod confirm_prune;
mod credential;
mod deployments;
mod dev;
mod diff;
mod events;
mod exit;
mod explain;
mod export;
#[cfg(test)]
mod flags_page;
mod get;
mod history;
mod http;
mod kill;
mod logs;
mod marathon;
mod mesos;
mod plan;
mod rollout;
mod serve;
mod settings;
mod spelling;
mod state;
mod table;
mod terminal;
mod uninstall;
mod validate;
mod writes;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{ConfigError, ConfigFile};
use crate::runtime::tasks::Cause;
use crate::telemetry::LogFormat;
use exit::Exit;
use terminal::Terminal;

/// Keeps apps running: declared in files, run on a cluster or on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "ekiden",
    version,
    after_help = "Examples:\n  \
        ekiden dev manifests/examples      run these apps on this machine, and follow every edit\n  \
        ekiden serve --manifests apps --state state --master zk://10.0.0.1:2181/mesos\n                                     \
        run them on Mesos\n  \
        ekiden validate manifests          check manifests, as before a commit\n  \
        ekiden plan manifests              what would change, app by app\n  \
        ekiden get apps --watch            what runs\n  \
        ekiden explain /prod/web           why an app is not as declared\n  \
        ekiden logs /prod/web --follow     what it says\n  \
        ekiden apply -f web.yaml --wait    declare an app through the API, and wait until it is there\n\n\
        Exit codes: 0 done, 1 failed, 2 `plan` or `diff` found changes, 3 `--wait` waited in vain, 64 wrong usage; of `serve` more, see docs/operations.md."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Where ekiden runs, for commands that ask it; at port 8080 of this machine when not given
    #[arg(long, global = true, env = "EKIDEN_SERVER", value_name = "URL")]
    server: Option<String>,
    /// As whom to ask a server that wants credentials; the password is in `EKIDEN_PASSWORD`, or a token in `EKIDEN_TOKEN`
    #[arg(long, global = true, env = "EKIDEN_USER", value_name = "NAME")]
    user: Option<String>,
    /// Certificates (PEM) to trust in place of the system's, for a server at https://
    #[arg(long, global = true, env = "EKIDEN_CA", value_name = "FILE")]
    ca: Option<std::path::PathBuf>,
    /// How to print: a table for people, or JSON for programs
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Log more; twice for everything. `RUST_LOG` chooses in detail
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How to log
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
}

impl Global {
    /// How much to log.
    fn verbosity(&self) -> i8 {
        i8::try_from(self.verbose).unwrap_or(i8::MAX)
    }
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for people
    Table,
    /// JSON for programs
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the apps of a directory on this machine
    ///
    /// They run as real processes, and every edit of a file is followed. Nothing outlives the command: Ctrl-C stops
    /// everything that it started, and so does killing it. A second Ctrl-C does not wait for tasks that take their time.
    Dev(dev::DevArgs),
    /// Run the apps of a directory on Apache Mesos
    ///
    /// Every edit is followed. Tasks outlive ekiden: started again, it finds them as it left them. Marathon's flags work
    /// where they have a meaning here.
    Serve(Box<serve::ServeArgs>),
    /// Remove ekiden from Mesos: its framework, its apps, and all of their tasks
    Uninstall(Box<uninstall::UninstallArgs>),
    /// Check the manifests of a directory
    Validate(validate::ValidateArgs),
    /// Show what following a directory would change
    Plan(plan::PlanArgs),
    /// List what there is
    Get(get::GetArgs),
    /// Say why an app is not as declared, or what an error code means
    Explain(explain::ExplainArgs),
    /// Print what an app's instances say
    Logs(logs::LogsArgs),
    /// Export, import or check what ekiden remembers
    State(state::StateArgs),
    /// Declare apps through the API: those of a file, of a directory, or of stdin
    Apply(apply::ApplyArgs),
    /// Remove apps, and stop all of their instances
    Delete(apps::DeleteArgs),
    /// Change how many instances an app has
    Scale(apps::ScaleArgs),
    /// Replace all instances of an app
    Restart(apps::RestartArgs),
    /// Go back to an earlier version of an app
    Rollback(apps::RollbackArgs),
    /// End tasks
    Kill(kill::KillArgs),
    /// List what is under way, or turn it round
    Deployments(deployments::DeploymentsArgs),
    /// Print what happens, as it happens
    Events(events::EventsArgs),
    /// List an app's versions: when, by whom, what changed, and what came of it
    History(history::HistoryArgs),
    /// Show the lines in which what is declared differs from a file or directory
    Diff(diff::DiffArgs),
    /// Write the apps that the API declares as manifests
    Export(export::ExportArgs),
    /// Let an app stay when its file goes: from then on the API declares it
    Keep(apps::KeepArgs),
    /// Print a script that completes the command line in a shell
    Completions(completions::CompletionsArgs),
    /// Let the apps stop whose files have vanished, when there were so many that ekiden asks first
    ConfirmPrune,
    /// Make a line for the file of credentials (`serve --http-credentials-file`)
    Credential(credential::CredentialArgs),
    /// Say whose the tasks are that the cluster runs and ekiden knows nothing of (safe mode)
    Adopt(adopt::AdoptArgs),
}

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All is well.
    Well,
    /// Manifests are wrong, and it was said which.
    Wrong,
    /// Something would change.
    Changes,
    /// What was waited for is not there yet.
    Unfinished,
}

/// A command line that could be parsed, and still makes no sense.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    /// Nothing says what must be said.
    #[error(
        "`--{flag}` is missing: say it on the command line (`--{flag} {example}`), as EKIDEN_{}, or as `{flag}` in the \
         config file",
        flag.to_uppercase()
    )]
    Unset { flag: &'static str, example: &'static str },
    /// Two ways to say the same.
    #[error("give the secret, or the file that it is in: not both")]
    TwoSecrets,
    /// Two ways to say the same.
    #[error("`--{whole}` has the address and the port: leave `--{whole}_port` and `--{whole}_address` out, or it")]
    TwoAddresses { whole: &'static str },
    /// Credentials that are none.
    #[error("these are no credentials")]
    Credentials(#[source] crate::api::access::CredentialError),
    /// A password that was not typed twice.
    #[error("the two passwords differ: nothing was made")]
    Differ,
    /// No port is between these.
    #[error("`--local_port_min {min}` is above `--local_port_max {max}`: no service port is left")]
    Ports { min: u16, max: u16 },
    /// Two ways to say the same.
    #[error(
        "`--default_accepted_resource_roles` is the old way to say `--accepted_resource_roles_default_behavior`: leave it out"
    )]
    TwoDefaultsOfRoles,
    /// A role that no resources are offered to.
    #[error("`--default_accepted_resource_roles {named}`: only `*` and `{ours}` (--mesos_role) can be accepted")]
    NoRoleOfOurs { named: String, ours: String },
    /// The secret cannot be had.
    #[error("the secret in {} cannot be read", file.display())]
    Secret { file: std::path::PathBuf, source: std::io::Error },
    /// Flags of Marathon's that ask for what is not there.
    #[error(transparent)]
    Marathon(marathon::Refusal),
    /// Nobody said yes.
    #[error("nothing was done")]
    NotConfirmed,
}

/// What was given for a command, beyond the values themselves.
struct Given<'a> {
    command: &'a clap::Command,
    matches: &'a ArgMatches,
    file: Option<&'a ConfigFile>,
}

/// A command line with all that goes into it.
struct Line {
    cli: Cli,
    command: clap::Command,
    matches: ArgMatches,
    file: Option<ConfigFile>,
}

/// Why a command line is none.
enum LineError {
    Clap(clap::Error),
    Config(ConfigError),
}

impl Line {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, LineError> {
        let arguments = spelling::as_ours(arguments);
        let mut command = command();
        let mut matches = command.clone().try_get_matches_from(&arguments)?;
        let config = matches.subcommand().and_then(|(name, matches)| {
            let config = matches.try_get_one::<std::path::PathBuf>("config").ok()??;
            Some((name.to_owned(), config.clone()))
        });
        let mut file = None;
        if let Some((name, path)) = config {
            let read = ConfigFile::read(&path).map_err(LineError::Config)?;
            let sub = |name: &str| command.find_subcommand(name).cloned().unwrap_or_default();
            let told = spelling::with_file(sub(&name), &sub("serve"), &read).map_err(LineError::Config)?;
            command = command.mut_subcommand(name, |_| told);
            matches = command.clone().try_get_matches_from(&arguments)?;
            file = Some(read);
        }
        let cli = Cli::from_arg_matches(&matches)?;
        Ok(Self { cli, command, matches, file })
    }

    fn given(&self) -> Given<'_> {
        let (name, matches) = self.matches.subcommand().unwrap_or(("", &self.matches));
        let command = self.command.find_subcommand(name).unwrap_or(&self.command);
        Given { command, matches, file: self.file.as_ref() }
    }
}

impl From<clap::Error> for LineError {
    fn from(error: clap::Error) -> Self {
        Self::Clap(error)
    }
}

/// The whole command line, with all spellings.
fn command() -> clap::Command {
    let spelled = |command| marathon::taught(spelling::with_variables(command));
    let with_codes = |command: clap::Command| {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        command.after_help(format!("{examples}\n\n{}", Exit::listed()))
    };
    Cli::command().mut_subcommand("serve", |serve| with_codes(spelled(serve))).mut_subcommand("uninstall", spelled)
}

/// Runs the command line given, and says how the process is to end.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut terminal = Terminal::of_process();
    let line = match Line::parse(arguments) {
        Ok(line) => line,
        Err(LineError::Clap(error)) => {
            // Help and the version are no errors; `print` sends each where it belongs.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Well };
            return error.print().map_or(Exit::Failed, |()| exit).into();
        }
        Err(LineError::Config(error)) => {
            terminal.complain(&error);
            return Exit::of(&error).into();
        }
    };
    let exit = match execute(&line, &mut terminal) {
        Ok(Ended::Well) => Exit::Well,
        Ok(Ended::Wrong) => Exit::Failed,
        Ok(Ended::Changes) => Exit::Changes,
        Ok(Ended::Unfinished) => Exit::Unfinished,
        Err(error) if terminal::reader_is_gone(&*error) => Exit::Well,
        Err(error) => {
            terminal.complain(&*error);
            Exit::of(&*error)
        }
    };
    exit.into()
}

fn execute(line: &Line, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let Cli { global, command } = &line.cli;
    match command {
        Command::Validate(args) => validate::run(args, global, terminal),
        Command::Dev(args) => {
            let threads = threads()?;
            let ended = threads.block_on(dev::run(args, &line.given(), global, terminal));
            // Whoever signals twice does not wait for a scan that is stuck on a network share.
            threads.shutdown_background();
            ended
        }
        Command::Serve(args) => {
            let threads = threads()?;
            let ended = threads.block_on(serve::run(args, &line.given(), global, terminal));
            threads.shutdown_background();
            ended
        }
        Command::Uninstall(args) => {
            let threads = threads()?;
            let ended = threads.block_on(uninstall::run(args, &line.given(), global, terminal));
            threads.shutdown_background();
            ended
        }
        Command::Plan(args) => one_thread()?.block_on(plan::run(args, global, terminal)),
        Command::Get(args) => one_thread()?.block_on(get::run(args, global, terminal)),
        Command::Explain(args) => one_thread()?.block_on(explain::run(args, global, terminal)),
        Command::Credential(args) => one_thread()?.block_on(credential::run(args, global, terminal)),
        Command::ConfirmPrune => one_thread()?.block_on(confirm_prune::run(global, terminal)),
        Command::Adopt(args) => one_thread()?.block_on(adopt::run(args, global, terminal)),
        Command::State(args) => one_thread()?.block_on(state::run(args, global, terminal)),
        Command::Apply(args) => one_thread()?.block_on(apply::run(args, global, terminal)),
        Command::Delete(args) => one_thread()?.block_on(apps::delete(args, global, terminal)),
        Command::Scale(args) => one_thread()?.block_on(apps::scale(args, global, terminal)),
        Command::Restart(args) => one_thread()?.block_on(apps::restart(args, global, terminal)),
        Command::Rollback(args) => one_thread()?.block_on(apps::rollback(args, global, terminal)),
        Command::Keep(args) => one_thread()?.block_on(apps::keep(args, global, terminal)),
        Command::Kill(args) => one_thread()?.block_on(kill::run(args, global, terminal)),
        Command::Deployments(args) => one_thread()?.block_on(deployments::run(args, global, terminal)),
        Command::Events(args) => one_thread()?.block_on(events::run(args, global, terminal)),
        Command::History(args) => one_thread()?.block_on(history::run(args, global, terminal)),
        Command::Diff(args) => one_thread()?.block_on(diff::run(args, global, terminal)),
        Command::Export(args) => one_thread()?.block_on(export::run(args, global, terminal)),
        Command::Completions(args) => completions::run(args, terminal),
        Command::Logs(args) => one_thread()?.block_on(logs::run(args, global, terminal)),
    }
}

fn threads() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Commands that ask and print need no more.
fn one_thread() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
