//! `ekiden validate DIR`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::terminal::{Terminal, Tone};
use super::{Ended, Global, Output};
use crate::desired::{Bounds, read_directory};
use crate::manifest::Diagnostic;
use crate::runtime::tasks::Cause;

/// Check the manifests of a directory, all of them.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing is wrong, 1 something is.")]
pub(super) struct ValidateArgs {
    /// The directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

/// Prints everything that is wrong.
pub(super) fn run(args: &ValidateArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let reading = read_directory(&args.directory, &Bounds::default());
    let findings = &reading.diagnostics;
    if global.output == Output::Json {
        terminal.json(&json!({
            "files": reading.files.len(),
            "apps": reading.apps.len(),
            "diagnostics": findings.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
        }))?;
    } else {
        for finding in findings {
            terminal.line(&finding.render(terminal.colour()))?;
        }
        let (files, apps) = (counted(reading.files.len(), "file"), counted(reading.apps.len(), "app"));
        let verdict = match findings.len() {
            0 => terminal.toned(Tone::Good, "nothing is wrong"),
            wrong => terminal.toned(Tone::Bad, &counted(wrong, "error")),
        };
        terminal.line(&format!("{apps} in {files}: {verdict}"))?;
    }
    Ok(if findings.is_empty() { Ended::Well } else { Ended::Wrong })
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
