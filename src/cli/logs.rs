//! `ekiden logs APP`

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::{Client, ClientError, encoded};
use super::terminal::Terminal;
use super::{Ended, Global};
use crate::runtime::tasks::Cause;

/// How often `--follow` looks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);

/// Print what an app's instances say.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ekiden logs /prod/web                   what its first instance has written\n  \
    ekiden logs /prod/web -f                and what it writes from now on\n  \
    ekiden logs /prod/web --instance 2 --stderr")]
pub(super) struct LogsArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
    /// Go on as more is written, also by the instance's successors
    #[arg(long, short)]
    follow: bool,
    /// stderr instead of stdout
    #[arg(long)]
    stderr: bool,
    /// Which instance, by its slot; the first that runs when not given
    #[arg(long, value_name = "SLOT")]
    instance: Option<u64>,
}

/// Nothing to read from.
#[derive(Debug, thiserror::Error)]
enum LogsError {
    #[error("{0} has no instance yet: `ekiden explain {0}` says what it waits for")]
    NoInstance(String),
    #[error("{app} has no instance {slot}: `ekiden get instances {app}` lists those it has")]
    NoSuchInstance { app: String, slot: u64 },
}

/// Prints what there is, and goes on where that is asked for.
pub(super) async fn run(args: &LogsArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let file = if args.stderr { "stderr" } else { "stdout" };
    let (mut task, slot) = pick(&client, args, args.instance).await?;
    let mut offset = 0;
    loop {
        let path = format!("/v1/tasks/{}/files/{file}?offset={offset}", encoded(&task));
        match client.get(&path).await {
            Ok(piece) if !piece.body.is_empty() => {
                offset += piece.body.len() as u64;
                terminal.print(&piece.body)?;
                continue;
            }
            Ok(_) => {}
            // A task that was only just launched has written nothing yet; one that is forgotten has a successor.
            Err(ClientError::Refused(_)) if args.follow => {}
            Err(error) => return Err(error.into()),
        }
        if !args.follow {
            return Ok(Ended::Well);
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
        if let Ok((latest, _)) = pick(&client, args, Some(slot)).await
            && latest != task
        {
            terminal.note(&format!("-- {task} has ended, going on with {latest}"));
            (task, offset) = (latest, 0);
        }
    }
}

/// The task to read from: the latest in the slot asked for, or else in the first slot, one that runs if possible.
async fn pick(client: &Client, args: &LogsArgs, slot: Option<u64>) -> Result<(String, u64), Cause> {
    let app = format!("/{}", args.app.trim_matches('/'));
    let answer = client.json(&format!("/v1/instances?app={}", encoded(&app))).await?;
    let all = answer["instances"].as_array().map_or(&[][..], Vec::as_slice);
    let in_slot = |one: &&Value| slot.is_none_or(|slot| one["slot"].as_u64() == Some(slot));
    let runs = |one: &Value| one["state"] == "TASK_RUNNING";
    let order = |one: &Value| (slot.is_none() && !runs(one), std::cmp::Reverse(one["incarnation"].as_u64()));
    let chosen = all.iter().filter(in_slot).min_by_key(|one| order(one));
    match (chosen, slot) {
        (Some(one), _) => {
            Ok((one["task"].as_str().unwrap_or_default().to_owned(), one["slot"].as_u64().unwrap_or(0)))
        }
        (None, Some(slot)) if !all.is_empty() => Err(LogsError::NoSuchInstance { app, slot }.into()),
        (None, _) => Err(LogsError::NoInstance(app).into()),
    }
}
