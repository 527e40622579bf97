//! `ekiden uninstall`: the framework, its apps and its tasks, gone for good. Through the server that runs, so that it ends
//! afterwards and starts nothing again; by ourselves where none does (`--state`).

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::get::text;
use super::mesos::MesosArgs;
use super::terminal::Terminal;
use super::validate::counted;
use super::{Ended, Given, Global, Output, UsageError, marathon};
use crate::runtime::tasks::Cause;
use crate::runtime::uninstall::Doomed;
use crate::telemetry;

/// Apps that the question names; of more it says how many.
const APPS_NAMED: usize = 10;

/// What `ekiden uninstall` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ekiden uninstall                                           through the server that runs (--server)\n  \
    ekiden uninstall --state /var/lib/ekiden --master zk://…   when no server runs\n\n\
    Manifests stay as they are. The state is put aside in its folder, under another name; a server that is started \
    again there begins anew, as a new framework, and launches what is declared: stop whatever would start it.")]
pub(super) struct UninstallArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// The folder with the state, when no server runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The config file of the server, when no server runs
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    mesos: MesosArgs,
}

/// What would go.
struct Loss {
    name: String,
    framework: String,
    apps: Vec<String>,
    tasks: usize,
}

/// Asks, and removes.
pub(super) async fn run(
    args: &UninstallArgs,
    given: &Given<'_>,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<Ended, Cause> {
    let removed = match &args.state {
        None => through_the_server(args, global, terminal).await?,
        Some(state) => {
            telemetry::init(global.verbosity() - 1, global.log_format)?;
            marathon::look_through(given.matches).map_err(UsageError::Marathon)?;
            let (options, _) = args.mesos.options(given.matches)?;
            terminal.note(&format!("reading {}", state.display()));
            let doomed = Doomed::find(state).await?;
            let loss = Loss {
                name: args.mesos.framework_name.clone(),
                framework: doomed.framework.to_string(),
                apps: doomed.apps.iter().map(ToString::to_string).collect(),
                tasks: doomed.tasks,
            };
            if !agreed(&loss, args, terminal)? {
                return Err(UsageError::NotConfirmed.into());
            }
            terminal.note("asking the master to remove the framework");
            let aside = doomed.remove(options).await?;
            json!({ "uninstalled": loss.framework, "stateKeptAs": aside.to_string_lossy() })
        }
    };
    if global.output == Output::Json {
        terminal.json(&removed)?;
    } else {
        terminal
            .line(&format!("framework {} is removed, and its tasks are ending", text(&removed["uninstalled"])))?;
    }
    Ok(Ended::Well)
}

async fn through_the_server(args: &UninstallArgs, global: &Global, terminal: &Terminal) -> Result<Value, Cause> {
    let client = Client::new(global)?;
    let status = client.json("/v1/status").await?;
    let apps = client.json("/v1/apps").await?;
    let apps = apps["apps"].as_array().map_or(&[][..], Vec::as_slice);
    let loss = Loss {
        name: text(&status["cluster"]["name"]),
        framework: status["cluster"]["framework"].as_str().unwrap_or("not registered yet").to_owned(),
        apps: apps.iter().map(|app| text(&app["id"])).collect(),
        tasks: status["tasks"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0),
    };
    if !agreed(&loss, args, terminal)? {
        return Err(UsageError::NotConfirmed.into());
    }
    Ok(client.post("/v1/uninstall").await?)
}

/// Asks, unless that was answered on the command line.
fn agreed(loss: &Loss, args: &UninstallArgs, terminal: &Terminal) -> io::Result<bool> {
    if args.yes {
        return Ok(true);
    }
    terminal.note(&question(loss));
    if !io::stdin().is_terminal() {
        terminal.note("nobody is there to be asked: say it with --yes");
        return Ok(false);
    }
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let yes = answer.trim() == loss.name;
    if !yes {
        terminal.note("that is not its name: nothing was removed");
    }
    Ok(yes)
}

fn question(loss: &Loss) -> String {
    let Loss { name, framework, apps, tasks } = loss;
    let mut named = apps.iter().take(APPS_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if apps.len() > APPS_NAMED {
        named.push_str(", …");
    }
    let colon = if apps.is_empty() { "" } else { ": " };
    format!(
        "This removes framework {name} ({framework}) from Mesos, for good.\n  {} will be killed, of {}{colon}{named}\n\
         Type the framework's name to go on:",
        counted(*tasks, "task"),
        counted(apps.len(), "app"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_says_what_will_die() {
        let apps = (0..12).map(|app| format!("/a{app}")).collect();
        let loss = Loss { name: "ekiden".to_owned(), framework: "f-1".to_owned(), apps, tasks: 1 };
        let text = question(&loss);
        assert!(text.contains("framework ekiden (f-1)"), "{text}");
        assert!(
            text.contains("1 task will be killed, of 12 apps: /a0, /a1,") && text.contains("/a9, …\n"),
            "{text}"
        );
    }
}
