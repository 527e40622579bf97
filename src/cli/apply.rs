//! `ekiden apply -f FILE`

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ekiden_model::App;
use http::Method;
use serde_json::Value;

use super::client::Client;
use super::rollout::ChangeArgs;
use super::terminal::Terminal;
use super::validate::counted;
use super::{Ended, Global};
use crate::desired::{Bounds, read_directory};
use crate::manifest::{self, SourceText, app_to_json};
use crate::runtime::tasks::Cause;

/// Declare apps through the API: those of a file, of a directory, or of stdin.
#[derive(Debug, Args)]
#[command(
    after_help = "What is applied is kept by ekiden, as if it were declared in its directory; an app that a file \
    there declares is changed in that file.\n\n\
    Examples:\n  \
        ekiden apply -f web.yaml --wait            declare it, and wait until it is there\n  \
        generate | ekiden apply -f -              declare what a program prints\n  \
        ekiden apply -f apps/ --override 'load test' --expires 2h"
)]
pub(super) struct ApplyArgs {
    /// A file, a directory, or `-` for stdin
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Declares what the file says, all at once.
pub(super) async fn run(args: &ApplyArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let Some(apps) = read(&args.file, terminal)? else { return Ok(Ended::Wrong) };
    let client = Client::new(global)?;
    let definitions: Value = apps.iter().map(|app| app_to_json(app)).collect();
    let path = format!("/v2/apps{}", args.change.query(&[("partialUpdate", "false")]));
    let answer = client.write(Method::PUT, &path, Some(&definitions)).await?;
    let ids: Vec<String> = apps.iter().map(|app| app.id.to_string()).collect();
    args.change.follow(&client, &answer, &ids, (global, terminal)).await
}

/// The apps of a file, a directory or stdin; nothing when something is wrong with them, which is said.
pub(super) fn read(file: &Path, terminal: &Terminal) -> Result<Option<Vec<Arc<App>>>, Cause> {
    let (declared, diagnostics) = if file.is_dir() {
        let reading = read_directory(file, &Bounds::default());
        (reading.apps, reading.diagnostics)
    } else {
        let mut bytes = Vec::new();
        let most = manifest::SOURCE_MAX_BYTES as u64 + 1;
        let name = if file == Path::new("-") {
            std::io::stdin().take(most).read_to_end(&mut bytes)?;
            "stdin".to_owned()
        } else {
            let opened = std::fs::File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
            opened.take(most).read_to_end(&mut bytes)?;
            file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        };
        let reading = manifest::read(&SourceText { path: &name, bytes: &bytes });
        let mut diagnostics = reading.diagnostics;
        if diagnostics.is_empty() {
            diagnostics = manifest::check_set(&reading.apps);
        }
        (reading.apps, diagnostics)
    };
    if diagnostics.is_empty() {
        return Ok(Some(declared.into_iter().map(|declared| declared.app).collect()));
    }
    for finding in &diagnostics {
        terminal.note(&finding.render(terminal.colour()));
    }
    terminal.note(&format!("{}: nothing was done", counted(diagnostics.len(), "error")));
    Ok(None)
}
