//! The command line: what is asked for, who answers it, and how the answer looks.
//!
//! Everything about a running ekiden goes through its HTTP API, so that whatever the command line can do, a program
//! can do too. Data goes to stdout, everything else to stderr.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; for `plan`: nothing would change; for `validate`: nothing is wrong |
//! | 1 | failed, or (`validate`, `plan`) the manifests are wrong |
//! | 2 | `plan`: something would change |
//! | 64 | the command line itself is wrong |

mod client;
mod confirm_prune;
mod dev;
mod explain;
mod get;
mod logs;
mod plan;
mod state;
mod table;
mod terminal;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::runtime::tasks::Cause;
use crate::telemetry::LogFormat;
use terminal::Terminal;

/// The command line is wrong; 2, which clap would choose, means something else for `plan`.
const USAGE: u8 = 64;

/// Keeps apps running: declared in files, run on a cluster or on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "ekiden",
    version,
    after_help = "Examples:\n  \
        ekiden dev manifests/examples      run these apps on this machine, and follow every edit\n  \
        ekiden validate manifests          check manifests, as before a commit\n  \
        ekiden plan manifests              what would change, app by app\n  \
        ekiden get apps --watch            what runs\n  \
        ekiden explain /prod/web           why an app is not as declared\n  \
        ekiden logs /prod/web --follow     what it says\n\n\
        Exit codes: 0 done, 1 failed, 2 `plan` found changes, 64 wrong usage."
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
    /// Let the apps stop whose files have vanished, when there were so many that ekiden asks first
    ConfirmPrune,
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
}

/// Runs the command line given, and says how the process is to end.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version are no errors; `print` sends each where it belongs.
            let code = if error.use_stderr() { USAGE } else { 0 };
            return error.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code));
        }
    };
    let mut terminal = Terminal::of_process();
    match execute(&cli, &mut terminal) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Wrong) => ExitCode::FAILURE,
        Ok(Ended::Changes) => ExitCode::from(2),
        Err(error) if terminal::reader_is_gone(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.complain(&*error);
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: &Cli, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let Cli { global, command } = cli;
    match command {
        Command::Validate(args) => validate::run(args, global, terminal),
        Command::Dev(args) => {
            let threads = threads()?;
            let ended = threads.block_on(dev::run(args, global, terminal));
            // Whoever signals twice does not wait for a scan that is stuck on a network share.
            threads.shutdown_background();
            ended
        }
        Command::Plan(args) => one_thread()?.block_on(plan::run(args, global, terminal)),
        Command::Get(args) => one_thread()?.block_on(get::run(args, global, terminal)),
        Command::Explain(args) => one_thread()?.block_on(explain::run(args, global, terminal)),
        Command::ConfirmPrune => one_thread()?.block_on(confirm_prune::run(global, terminal)),
        Command::State(args) => one_thread()?.block_on(state::run(args, global, terminal)),
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
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
