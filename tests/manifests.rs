//! Manifests as a user writes them: what is read, what is refused, and what is said about it.
//!
//! The files are in `manifests/`. Where a text is expected, `EXPECTORATE=overwrite` writes what is.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "manifests/documented.rs"]
mod documented;
#[path = "manifests/files.rs"]
mod files;
#[path = "manifests/groups.rs"]
mod groups;
#[path = "manifests/hostile.rs"]
mod hostile;
#[path = "manifests/legacy.rs"]
mod legacy;
#[path = "manifests/round_trip.rs"]
mod round_trip;

use std::sync::Arc;

use ekiden::manifest::{self, Code, Diagnostic, Reading, SourceText};
use ekiden_model::App;

fn read(path: &str, text: &str) -> Reading {
    manifest::read(&SourceText { path, bytes: text.as_bytes() })
}

/// The one app of a good manifest.
fn app(text: &str) -> Arc<App> {
    let reading = read("test.yaml", text);
    assert!(reading.diagnostics.is_empty(), "{text}\n{}", shown(&reading.diagnostics));
    assert_eq!(reading.apps.len(), 1, "{text}");
    Arc::clone(&reading.apps[0].app)
}

/// The codes of what is wrong with a manifest, in order.
fn codes(text: &str) -> Vec<Code> {
    read("test.yaml", text).diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

fn shown(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.render(false) + "\n\n").collect()
}
