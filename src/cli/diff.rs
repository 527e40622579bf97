//! `ekiden diff`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use similar::TextDiff;

use super::client::Client;
use super::history::coloured;
use super::terminal::{Terminal, Tone};
use super::{Ended, Global, Output, apply};
use crate::manifest::app_to_json;
use crate::runtime::tasks::Cause;

/// Show the lines in which what is declared differs from a file or directory.
#[derive(Debug, Args)]
#[command(after_help = "`ekiden plan DIR` says what following the difference would do.\n\n\
    Exit codes: 0 nothing differs, 2 something does, 1 failed or the manifests are wrong.")]
pub(super) struct DiffArgs {
    /// A file, a directory, or `-` for stdin
    #[arg(long, short, value_name = "FILE", default_value = ".")]
    file: PathBuf,
}

/// Compares app by app; apps that only the server has are not what was asked about.
pub(super) async fn run(args: &DiffArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let Some(apps) = apply::read(&args.file, terminal)? else { return Ok(Ended::Wrong) };
    let listed = Client::new(global)?.json("/v1/apps?embed=definition").await?;
    let declared: BTreeMap<&str, &Value> = listed["apps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|app| Some((app["id"].as_str()?, app.get("definition")?)))
        .collect();
    let mut differences = Vec::new();
    for app in apps {
        let id = app.id.to_string();
        let old = declared.get(id.as_str()).filter(|old| !old.is_null());
        let old = old.map_or_else(String::new, |old| format!("{old:#}\n"));
        let new = format!("{:#}\n", app_to_json(&app));
        if old != new {
            let diff = TextDiff::from_lines(&old, &new);
            differences.push((id, diff.unified_diff().context_radius(2).to_string()));
        }
    }
    if global.output == Output::Json {
        let shown: Vec<Value> =
            differences.iter().map(|(app, diff)| json!({ "app": app, "diff": diff })).collect();
        terminal.json(&json!({ "differences": shown }))?;
    } else {
        for (app, diff) in &differences {
            terminal.line(&terminal.toned(Tone::Strong, app))?;
            for line in diff.lines() {
                terminal.line(&coloured(line, terminal))?;
            }
        }
    }
    Ok(if differences.is_empty() { Ended::Well } else { Ended::Changes })
}
