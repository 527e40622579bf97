//! One thing that is wrong with a manifest, for people and for programs.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, normalize_untrusted_str};

use super::code::Code;
use super::tree::Span;

/// What is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake it is; its page says more.
    pub code: Code,
    /// The file, relative to the directory of manifests; empty for the body of a request.
    pub path: Arc<str>,
    /// From 1; 0 when it concerns the file as a whole.
    pub line: u32,
    /// In characters, from 1; 0 when it concerns the file as a whole.
    pub column: u32,
    /// The place within the document as Marathon's API writes it: `/container/portMappings(0)/name`.
    pub field: String,
    /// What is wrong: a sentence fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Other places that belong to it: path, line, column, and what is there.
    pub related: Vec<(Arc<str>, u32, u32, String)>,
    /// The line in question.
    pub snippet: Option<Snippet>,
}

/// The part of a file that a diagnostic points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The line, or the part of a very long one around the mistake.
    pub text: String,
    /// The bytes of `text` that are meant.
    pub marked: std::ops::Range<usize>,
}

/// Most bytes of a line that a snippet shows before and after its mark, so that a minified file stays readable.
const SNIPPET_REACH: usize = 60;
/// Most bytes that are marked.
const MARK_MAX: usize = 60;

impl Diagnostic {
    /// Something wrong at `span` of `text`, the file `path`.
    pub(super) fn new(code: Code, path: &Arc<str>, text: &str, span: Span, message: String) -> Self {
        Self {
            code,
            path: Arc::clone(path),
            line: span.line,
            column: span.column,
            field: String::new(),
            message,
            hint: None,
            related: Vec::new(),
            snippet: Snippet::of(text, span),
        }
    }

    /// Something wrong with the file `path` as a whole, and not with a place in it: also for those who read the
    /// directory and meet what is no manifest.
    pub fn whole_file(code: Code, path: &Arc<str>, message: impl Into<String>) -> Self {
        Self::new(code, path, "", Span::default(), message.into())
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As compilers write it: the message, the place, the line with a mark, and what to do.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let title = Level::ERROR.primary_title(self.message.as_str()).id(self.code.as_str());
        let mut group = Group::with_title(title);
        // The renderer counts the column in what it is shown. Where that is a part of a line, or nothing, we say it.
        let whole_line = self.snippet.as_ref().filter(|snippet| snippet.column() == self.column);
        if whole_line.is_none() {
            let mut origin = Origin::path(self.shown_path().to_owned());
            if self.line > 0 {
                origin = origin.line(self.line as usize).char_column(self.column as usize);
            }
            group = group.element(origin);
        }
        if let Some(snippet) = &self.snippet {
            let shown = annotate_snippets::Snippet::source(snippet.text.as_str())
                .line_start(self.line as usize)
                .path(whole_line.map(|_| self.shown_path()))
                .annotation(AnnotationKind::Primary.span(snippet.marked.clone()));
            group = group.element(shown);
        }
        // Messages, unlike titles and sources, are taken as they are: control characters of a manifest must not
        // reach a terminal through them.
        for (path, line, column, what) in &self.related {
            let note = format!("{path}:{line}:{column}: {what}");
            group = group.element(Level::NOTE.message(normalize_untrusted_str(&note)));
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(normalize_untrusted_str(hint)));
        }
        renderer.render(&[group])
    }

    /// For programs: `code`, `message`, `hint`, `file`, `line`, `column`, `field`, `related`.
    pub fn to_json(&self) -> serde_json::Value {
        let related: Vec<_> = self
            .related
            .iter()
            .map(|(file, line, column, message)| {
                serde_json::json!({ "file": &**file, "line": line, "column": column, "message": message })
            })
            .collect();
        serde_json::json!({
            "code": self.code.as_str(),
            "message": self.message,
            "hint": self.hint,
            "file": &*self.path,
            "line": self.line,
            "column": self.column,
            "field": self.field,
            "related": related,
        })
    }

    fn shown_path(&self) -> &str {
        if self.path.is_empty() { "request" } else { &self.path }
    }
}

impl fmt::Display for Diagnostic {
    /// On one line, without the snippet: for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown_path())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {} [{}]", self.message, self.code)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl Snippet {
    /// The column of the mark in what is shown.
    fn column(&self) -> u32 {
        self.text.get(..self.marked.start).map_or(0, |before| before.chars().count() as u32 + 1)
    }

    /// The line of `text` in which `span` begins.
    pub(super) fn of(text: &str, span: Span) -> Option<Self> {
        let at = (span.start as usize).min(text.len());
        if span.line == 0 || !text.is_char_boundary(at) {
            return None;
        }
        // No further than is shown: in a minified file, the line may be all of it.
        let reach = boundary(text, at.saturating_sub(SNIPPET_REACH));
        let from = text[reach..at].rfind('\n').map_or(reach, |newline| reach + newline + 1);
        let reach = boundary(text, text.len().min(at + MARK_MAX + SNIPPET_REACH));
        let to = text[at..reach].find(['\n', '\r']).map_or(reach, |newline| at + newline);
        let end = boundary(text, (span.end as usize).clamp(at, to.min(at + MARK_MAX)));
        Some(Self { text: text.get(from..to)?.to_owned(), marked: at - from..end - from })
    }
}

/// The last boundary between characters at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
