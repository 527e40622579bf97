//! `ekiden export`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::get::text;
use super::terminal::Terminal;
use super::validate::counted;
use super::{Ended, Global};
use crate::runtime::tasks::Cause;

/// Write the apps that the API declares as manifests, to be kept in files from now on.
#[derive(Debug, Args)]
#[command(
    after_help = "Moving an app into the directory that ekiden follows restarts nothing: the file owns it from then \
    on. `ekiden keep APP` and removing it from its file moves it back."
)]
pub(super) struct ExportArgs {
    /// Where to: `/prod/web` becomes DIR/prod/web.json; to stdout when not given
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Apps that files declare, too
    #[arg(long)]
    all: bool,
    /// Overwrite files that there are
    #[arg(long, requires = "directory")]
    overwrite: bool,
}

/// What is in the way.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{} exists: give `--overwrite`, or another directory", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

/// Writes them.
pub(super) async fn run(args: &ExportArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let listed = Client::new(global)?.json("/v1/apps?embed=definition").await?;
    let wanted: Vec<(String, &Value)> = listed["apps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|app| args.all || app["source"]["kind"] == "api")
        .filter_map(|app| Some((text(&app["id"]), app.get("definition").filter(|app| !app.is_null())?)))
        .collect();
    let Some(directory) = &args.directory else {
        let all: Value = wanted.iter().map(|(_, definition)| (*definition).clone()).collect();
        terminal.json(&all)?;
        return Ok(Ended::Well);
    };
    for (id, definition) in &wanted {
        write(directory, id, definition, args.overwrite)?;
    }
    terminal.note(&format!("{} written to {}", counted(wanted.len(), "app"), directory.display()));
    Ok(Ended::Well)
}

fn write(directory: &Path, id: &str, definition: &Value, overwrite: bool) -> Result<(), ExportError> {
    // Ids are lower-case words, digits, dots and dashes between slashes, and never `..`: they lead nowhere else.
    let path = directory.join(format!("{}.json", id.trim_start_matches('/')));
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => ExportError::Exists(path.clone()),
        _ => ExportError::Write(path.clone(), error),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(!overwrite).create(overwrite).truncate(overwrite);
    let mut file = options.open(&path).map_err(failed)?;
    file.write_all(format!("{definition:#}\n").as_bytes()).map_err(failed)
}
