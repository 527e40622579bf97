//! `ekiden plan DIR`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ekiden_model::{App, AppId, GroupId};
use serde_json::{Value, json};

use super::client::{Client, ClientError, DEFAULT_SERVER};
use super::terminal::{Terminal, Tone};
use super::validate::counted;
use super::{Ended, Global, Output};
use crate::desired::{Bounds, ChangeKind, PlannedChange, Summary, plan, read_directory};
use crate::manifest::read_app_json;
use crate::runtime::tasks::Cause;

/// Show what following a directory would change: per app what is done, and the fields that differ.
#[derive(Debug, Args)]
#[command(after_help = "Without a server to ask, everything counts as new.\n\n\
    Exit codes: 0 nothing would change, 2 something would, 1 failed or the manifests are wrong.")]
pub(super) struct PlanArgs {
    /// The directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Ask no server: everything counts as new
    #[arg(long)]
    from_nothing: bool,
}

/// The server speaks of an app that we cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the server's definition of {app} cannot be read: is it another version of ekiden? ({cause})")]
struct ForeignApp {
    app: String,
    cause: String,
}

/// Compares the directory with what runs.
pub(super) async fn run(args: &PlanArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let reading = read_directory(&args.directory, &Bounds::default());
    if !reading.diagnostics.is_empty() {
        for finding in &reading.diagnostics {
            terminal.note(&finding.render(false));
        }
        let wrong = counted(reading.diagnostics.len(), "error");
        terminal.note(&format!("{wrong}: a plan of manifests that are wrong would say little"));
        return Ok(Ended::Wrong);
    }
    let next: Vec<Arc<App>> = reading.apps.into_iter().map(|declared| declared.app).collect();
    let current = if args.from_nothing { BTreeMap::new() } else { running(global, terminal).await? };
    let changes = plan(&current, &next);
    show(&changes, global, terminal)?;
    Ok(if changes.is_empty() { Ended::Well } else { Ended::Changes })
}

/// What the server declares at present. Nobody at the usual place, which nobody asked for, is no error: then nothing
/// runs.
async fn running(global: &Global, terminal: &Terminal) -> Result<BTreeMap<AppId, Arc<App>>, Cause> {
    let client = Client::new(global)?;
    let answer = match client.json("/v1/apps?embed=definition").await {
        Err(ClientError::Unreachable { .. }) if global.server.is_none() => {
            terminal.note(&format!("nothing answers at {DEFAULT_SERVER}, so everything counts as new"));
            return Ok(BTreeMap::new());
        }
        answer => answer?,
    };
    let mut apps = BTreeMap::new();
    for shown in answer["apps"].as_array().map_or(&[][..], Vec::as_slice) {
        // An app that is being stopped is no longer declared, and has no definition.
        let Some(definition) = shown.get("definition").filter(|definition| !definition.is_null()) else {
            continue;
        };
        let app =
            read_app_json(&serde_json::to_vec(definition)?, &GroupId::root()).map_err(|findings| ForeignApp {
                app: shown["id"].as_str().unwrap_or_default().to_owned(),
                cause: findings.first().map(ToString::to_string).unwrap_or_default(),
            })?;
        apps.insert(app.id.clone(), app);
    }
    Ok(apps)
}

fn show(changes: &[PlannedChange], global: &Global, terminal: &mut Terminal) -> Result<(), Cause> {
    if global.output == Output::Json {
        let changes: Value = serde_json::to_value(changes)?;
        terminal.json(&json!({ "changes": changes }))?;
        return Ok(());
    }
    for change in changes {
        let text = change.to_string();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let tone = match change.kind {
            ChangeKind::Create { .. } => Tone::Good,
            ChangeKind::Stop { .. } => Tone::Bad,
            ChangeKind::InPlace | ChangeKind::Scale | ChangeKind::Roll => Tone::Pending,
        };
        terminal.line(&terminal.toned(tone, first))?;
        if !rest.is_empty() {
            terminal.line(rest)?;
        }
    }
    terminal.line(&Summary(changes).to_string())?;
    Ok(())
}
