//! `ekiden history APP`

use clap::Args;
use serde_json::Value;

use super::apps::absolute;
use super::client::{Client, encoded};
use super::get::text;
use super::table::{Cell, table};
use super::terminal::{Terminal, Tone};
use super::{Ended, Global, Output};
use crate::runtime::tasks::Cause;

/// List an app's versions: when, by whom, what changed, and what came of it.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
    /// With the lines that each version changed
    #[arg(long)]
    diff: bool,
}

/// Lists them.
pub(super) async fn run(args: &HistoryArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let history = client.json(&format!("/v1/apps{}/history", encoded(&absolute(&args.app)))).await?;
    if global.output == Output::Json {
        terminal.json(&history)?;
        return Ok(Ended::Well);
    }
    let versions = history["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if args.diff {
        for version in versions {
            terminal
                .line(&terminal.toned(Tone::Strong, &format!("{} {}", text(&version["version"]), by(version))))?;
            for line in text(&version["diff"]).lines() {
                terminal.line(&coloured(line, terminal))?;
            }
        }
        return Ok(Ended::Well);
    }
    let rows: Vec<Vec<Cell>> = versions.iter().map(row).collect();
    terminal.print(table(terminal, &["VERSION", "OUTCOME", "CHANGED", "BY"], &rows))?;
    Ok(Ended::Well)
}

/// A line of a diff in its colour.
pub(super) fn coloured(line: &str, terminal: &Terminal) -> String {
    match line.as_bytes().first() {
        Some(b'+') => terminal.toned(Tone::Good, line),
        Some(b'-') => terminal.toned(Tone::Bad, line),
        Some(b'@') => terminal.toned(Tone::Faint, line),
        _ => line.to_owned(),
    }
}

fn row(version: &Value) -> Vec<Cell> {
    let outcome = text(&version["outcome"]["state"]);
    let tone = match outcome.as_str() {
        "complete" => Tone::Good,
        "failed" => Tone::Bad,
        _ => Tone::Pending,
    };
    let changes = version["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let fields: Vec<String> = changes.iter().map(|change| text(&change["field"])).collect();
    vec![
        text(&version["version"]).into(),
        Cell::toned(outcome, tone),
        if fields.is_empty() { text(&version["cause"]["kind"]) } else { fields.join(", ") }.into(),
        by(version).into(),
    ]
}

/// Who, as far as is known: the author of a commit, a file, a credential, an address.
fn by(version: &Value) -> String {
    let cause = &version["cause"];
    let source = super::get::declared_in(&cause["source"]);
    match (cause["commit"]["author"].as_str(), cause["by"].as_str()) {
        (Some(author), _) => format!("{author} ({source})"),
        (None, Some(by)) => format!("{by} ({source})"),
        (None, None) => source,
    }
}
