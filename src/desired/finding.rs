//! Anything that is wrong with a directory of manifests, be it with a file or in one.

use std::fmt;

use annotate_snippets::{Level, Origin, Renderer};
use serde_json::json;

use super::problem::{FileProblem, harmless};
use crate::manifest::Diagnostic;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// In a manifest, or between manifests.
    Manifest(Diagnostic),
    /// With a file or folder.
    File(FileProblem),
}

impl Finding {
    /// Its code: `E0102`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Manifest(diagnostic) => diagnostic.code.as_str(),
            Self::File(problem) => problem.code.as_str(),
        }
    }

    /// The file, relative to the directory of manifests.
    pub fn path(&self) -> &str {
        match self {
            Self::Manifest(diagnostic) => &diagnostic.path,
            Self::File(problem) => &problem.path,
        }
    }

    /// As compilers write it: the message, the place, and what to do.
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Manifest(diagnostic) => diagnostic.render(colour),
            Self::File(problem) => {
                let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
                let message = harmless(&problem.message);
                let title = Level::ERROR.primary_title(message.as_str()).id(problem.code.as_str());
                let origin = Origin::path(harmless(&problem.path));
                renderer.render(&[title.element(origin).element(Level::HELP.message(problem.hint))])
            }
        }
    }

    /// For programs: `code`, `message`, `hint`, `file`, `line`, `column` and more where there is more to say; line and
    /// column are 0 where the file as a whole is meant.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Manifest(diagnostic) => diagnostic.to_json(),
            Self::File(problem) => json!({
                "code": problem.code.as_str(),
                "message": problem.message,
                "hint": problem.hint,
                "file": &*problem.path,
                "line": 0,
                "column": 0,
            }),
        }
    }
}

impl fmt::Display for Finding {
    /// On one line: for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(diagnostic) => diagnostic.fmt(f),
            Self::File(problem) => problem.fmt(f),
        }
    }
}

impl From<Diagnostic> for Finding {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Manifest(diagnostic)
    }
}

impl From<FileProblem> for Finding {
    fn from(problem: FileProblem) -> Self {
        Self::File(problem)
    }
}
