//! Where intent comes from: a directory of manifests, usually a git checkout.
//!
//! Owns the way from files to [`ekiden_model::input::Desired`]: which files count, when they are read, and what a change
//! of them means. It knows nothing of YAML ([`crate::manifest`] does) and decides nothing about instances.
//!
//! ```text
//!  notify ─┐
//!  timer ──┼─► debounce ─► Scanner (whole directory, bounded) ─► Intent (pure) ─► Desired
//!  confirm ┘                                                        └─► DirectoryStatus
//! ```
//!
//! An event only ever wakes a scan of everything: what the files say now is the truth, whatever the events said.
//! [`Intent`] is where it is decided what may be withdrawn; absence alone is not evidence enough there.

mod bounds;
mod commit;
mod folder;
mod intent;
mod plan;
mod scan;
mod status;
mod wake;
mod watch;

pub use bounds::Bounds;
pub use intent::{Intent, PrunePolicy};
pub use plan::{ChangeKind, FieldDiff, PlannedChange, Summary, field_diffs, plan};
pub use scan::{Content, Scan, ScannedFile, Scanner};
pub use status::{DirectoryStatus, Following, LastScan, PendingPrune};
pub use watch::{Debounce, DesiredStream, DirectoryHandle, WatchOptions, watch};

use std::path::Path;
use std::sync::Arc;

use crate::manifest::{self, DeclaredApp, Diagnostic};

/// A directory, read once.
#[derive(Debug)]
pub struct DirectoryReading {
    /// The apps of all files, those of broken files as far as they could be read.
    pub apps: Vec<DeclaredApp>,
    /// All that is wrong, file by file in the order of their paths, then what is wrong between files.
    pub diagnostics: Vec<Diagnostic>,
    /// The manifests that were found, by their paths relative to the directory, in order.
    pub files: Vec<Arc<str>>,
}

/// Reads all manifests of the directory `root`. Blocks.
pub fn read_directory(root: &Path, bounds: &Bounds) -> DirectoryReading {
    let scan = match Scanner::new(*bounds).scan(root) {
        Ok(scan) => scan,
        Err(problem) => {
            return DirectoryReading { apps: Vec::new(), diagnostics: vec![*problem], files: Vec::new() };
        }
    };
    let readings = scan.files.iter().filter_map(|file| match &file.content {
        Content::Read(reading) => Some(reading),
        Content::Unreadable => None,
    });
    let apps: Vec<DeclaredApp> = readings.flat_map(|reading| reading.apps.iter().cloned()).collect();
    let diagnostics = scan.diagnostics(manifest::check_set(&apps));
    DirectoryReading { apps, diagnostics, files: scan.files.into_iter().map(|file| file.path).collect() }
}
