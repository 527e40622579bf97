//! `ekiden kill TASK…`

use clap::Args;
use http::Method;
use serde_json::json;

use super::apps::absolute;
use super::client::{Client, encoded};
use super::rollout::ChangeArgs;
use super::terminal::Terminal;
use super::validate::counted;
use super::{Ended, Global, Output};
use crate::runtime::tasks::Cause;

/// End tasks. They are replaced, unless the app is scaled down by them.
#[derive(Debug, Args)]
#[command(
    after_help = "`ekiden get instances` lists what runs; `ekiden get instances -o json` with the ids of tasks."
)]
pub(super) struct KillArgs {
    /// The tasks, by their ids
    #[arg(value_name = "TASK", required_unless_present = "app")]
    tasks: Vec<String>,
    /// All tasks of this app
    #[arg(long, value_name = "APP", conflicts_with = "tasks")]
    app: Option<String>,
    /// Only those on this host
    #[arg(long, value_name = "HOST", requires = "app")]
    host: Option<String>,
    /// Have so many instances fewer
    #[arg(long)]
    scale: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Ends them.
pub(super) async fn run(args: &KillArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let scale = if args.scale { "true" } else { "false" };
    let (answer, apps) = if let Some(app) = &args.app {
        let app = absolute(app);
        let host = args.host.as_deref().map(|host| ("host", host));
        let more: Vec<(&str, &str)> = [("scale", scale)].into_iter().chain(host).collect();
        let path = format!("/v2/apps{}/tasks{}", encoded(&app), args.change.query(&more));
        (client.delete(&path).await?, vec![app])
    } else {
        let path = format!("/v2/tasks/delete{}", args.change.query(&[("scale", scale)]));
        (client.write(Method::POST, &path, Some(&json!({ "ids": args.tasks }))).await?, Vec::new())
    };
    if args.scale {
        return args.change.follow(&client, &answer, &apps, (global, terminal)).await;
    }
    if global.output == Output::Json {
        terminal.json(&answer)?;
    } else {
        let count = answer["tasks"].as_array().map_or(0, Vec::len);
        terminal.line(&format!("{} will end and be replaced", counted(count, "task")))?;
    }
    Ok(Ended::Well)
}
