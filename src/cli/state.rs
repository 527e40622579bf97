//! `ekiden state export|import|check`

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Client, encoded};
use super::terminal::Terminal;
use super::{Ended, Global, Output};
use crate::runtime::server::store_file;
use crate::runtime::tasks::Cause;
use crate::store::{self, ExportError, ImportError, Imported, StoreError, Summary};

/// What `ekiden state` takes.
#[derive(Debug, Args)]
pub(super) struct StateArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write all that ekiden remembers as JSON lines: a backup
    ///
    /// Asks the ekiden that runs, which goes on meanwhile; with --state, reads the directory of one that does not run.
    /// The last line says how many records there are and what they add up to, so that a file that was cut is noticed.
    /// What apps have in their environment is in it: keep it as you keep secrets.
    #[command(after_help = "Examples:\n  \
        ekiden state export backup.jsonl                       of the ekiden that runs\n  \
        ekiden state export --state /var/lib/ekiden - | gzip > backup.jsonl.gz")]
    Export {
        /// Read this state directory, whose ekiden does not run
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// Where to write; `-` is standard output
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Put an export in the place of a state that is not there
    ///
    /// Reads and checks all of it before anything is written. A directory in which anything was ever declared is left
    /// alone. Only ever run one ekiden on a state and its copies: two of them take each other's tasks for lost.
    #[command(after_help = "Example:\n  \
        ekiden state import --state /var/lib/ekiden backup.jsonl")]
    Import {
        /// The state directory; made when there is none
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// What `ekiden state export` wrote; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Verify every page and record of a state directory whose ekiden does not run, or every line of an export
    #[command(after_help = "Examples:\n  \
        ekiden state check --state /var/lib/ekiden\n  \
        ekiden state check backup.jsonl")]
    Check {
        /// Verify this state directory
        #[arg(long, value_name = "DIR", required_unless_present = "file", conflicts_with = "file")]
        state: Option<PathBuf>,
        /// Verify this export; `-` is standard input
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// What went wrong beside the store and the export themselves.
#[derive(Debug, thiserror::Error)]
enum StateError {
    /// The store is in use, and may be asked instead.
    #[error(
        "`{}` is in use by an ekiden that runs: leave out --state to export through it (--server says where it is)",
        .0.display()
    )]
    Running(PathBuf),
    /// A file cannot be read or written.
    #[error("`{}` cannot be used", .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// Exports, imports or checks.
pub(super) async fn run(args: &StateArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    match &args.action {
        Action::Export { state, file } => export(state.as_deref(), file, global, terminal).await,
        Action::Import { state, file } => import(state, file, global, terminal),
        Action::Check { state, file } => check(state.as_deref(), file.as_deref(), global, terminal),
    }
}

async fn export(
    state: Option<&Path>,
    file: &Path,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<Ended, Cause> {
    let mut target = Target::of(file)?;
    let summary = if let Some(state) = state {
        let path = store_file(state);
        store::export(&path, target.writer()).map_err(|error| match error {
            ExportError::Store(StoreError::InUse { path }) => StateError::Running(path).into(),
            ExportError::Store(error) => error.into(),
            ExportError::Write(error) => write_failed(file, error),
        })?
    } else {
        let lines = Client::new(global)?.get(&encoded("/v1/state")).await?.body;
        // An answer that was cut off has no last line.
        let summary = store::check_export(lines.as_ref())?;
        target.writer().write_all(&lines).map_err(|error| write_failed(file, error))?;
        summary
    };
    target.finish().map_err(|error| write_failed(file, error))?;
    if !is_standard(file) {
        tell(&format!("{summary} in {}", file.display()), &summary, global, terminal)?;
    }
    Ok(Ended::Well)
}

fn import(state: &Path, file: &Path, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let input = input(file)?;
    std::fs::create_dir_all(state).map_err(|error| StateError::File(state.to_owned(), error))?;
    let imported = store::import(&store_file(state), input).map_err(|error| -> Cause {
        match error {
            ImportError::Dump(error) => error.into(),
            ImportError::Store(error) => error.into(),
        }
    })?;
    let (said, summary) = match &imported {
        Imported::Placed(summary) => (format!("{summary} imported into {}", state.display()), summary),
        Imported::Same(summary) => (format!("{summary} were in {} already", state.display()), summary),
    };
    tell(&said, summary, global, terminal)?;
    Ok(Ended::Well)
}

fn check(
    state: Option<&Path>,
    file: Option<&Path>,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<Ended, Cause> {
    let summary = match (state, file) {
        (Some(state), _) => store::check(&store_file(state))?,
        (None, file) => store::check_export(input(file.unwrap_or(Path::new("-")))?)?,
    };
    tell(&format!("{summary}: nothing is wrong"), &summary, global, terminal)?;
    Ok(Ended::Well)
}

fn tell(text: &str, summary: &Summary, global: &Global, terminal: &mut Terminal) -> io::Result<()> {
    if global.output == Output::Table {
        return terminal.line(text);
    }
    let Summary { realm, births, framework, apps, slots, instances } = summary;
    terminal.json(&json!({
        "realm": format!("{realm:016x}"),
        "births": births,
        "framework": framework,
        "apps": apps,
        "slots": slots,
        "instances": instances,
    }))
}

fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

fn input(file: &Path) -> Result<Box<dyn BufRead>, StateError> {
    if is_standard(file) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(file).map_err(|error| StateError::File(file.to_owned(), error))?;
    Ok(Box::new(BufReader::new(file)))
}

/// A reader that has gone away is told by its error; anything else by the file's name, too.
fn write_failed(file: &Path, error: io::Error) -> Cause {
    if is_standard(file) { error.into() } else { StateError::File(file.to_owned(), error).into() }
}

/// Where an export goes: a file gets its name when it is complete, so that no older one is lost to half of a new one.
enum Target {
    Standard(io::Stdout),
    File { draft: PathBuf, path: PathBuf, file: File },
}

impl Target {
    fn of(path: &Path) -> Result<Self, StateError> {
        if is_standard(path) {
            return Ok(Self::Standard(io::stdout()));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let draft = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
        let file = file.map_err(|error| StateError::File(path.to_owned(), error))?;
        Ok(Self::File { draft, path: path.to_owned(), file })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Standard(out) => out,
            Self::File { file, .. } => file,
        }
    }

    fn finish(&self) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.lock().flush(),
            Self::File { draft, path, file } => {
                file.sync_all()?;
                std::fs::rename(draft, path)
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Self::File { draft, .. } = self {
            // Gone already unless something failed; when it cannot be removed, it is in nobody's way.
            let _ = std::fs::remove_file(draft);
        }
    }
}
