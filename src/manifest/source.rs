//! The text of one file, and what was found wrong with it.

use std::sync::Arc;

use super::code::Code;
use super::diagnostic::Diagnostic;
use super::tree::{Node, Span};

/// Most errors that are reported of one file. Nobody reads more, and a hostile file has millions.
pub(super) const ERRORS_MAX: usize = 100;

/// A file being read: its text, its name, and what is wrong with it.
pub(super) struct Source<'a> {
    pub(super) path: Arc<str>,
    pub(super) text: &'a str,
    found: Vec<Found>,
    left_out: usize,
}

/// What is wrong, and where in the tree.
struct Found {
    diagnostic: Diagnostic,
    span: Span,
    /// The member that is missing there, if that is what is wrong.
    missing: Option<&'static str>,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &Arc<str>, text: &'a str) -> Self {
        Self { path: Arc::clone(path), text, found: Vec::new(), left_out: 0 }
    }

    /// Notes what is wrong at `span`; the answer takes hint and related places.
    pub(super) fn report(&mut self, code: Code, span: Span, message: impl Into<String>) -> Reported<'_> {
        if self.is_full() {
            self.left_out += 1;
            return Reported(None);
        }
        let diagnostic = Diagnostic::new(code, &self.path, self.text, span, message.into());
        self.found.push(Found { diagnostic, span, missing: None });
        Reported(self.found.last_mut())
    }

    /// Whether further errors are only counted: then their messages need not be thought of.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= ERRORS_MAX
    }

    /// How many errors there were so far.
    pub(super) fn errors(&self) -> usize {
        self.found.len() + self.left_out
    }

    /// What stands at `span`, at most 40 characters of it.
    pub(super) fn quote(&self, span: Span) -> String {
        let text = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default().trim_end();
        match line.char_indices().nth(40) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        }
    }

    /// Adds to every diagnostic that lies in `root` which of its fields it is about.
    pub(super) fn name_fields(&mut self, root: &Node) {
        for found in self.found.iter_mut().filter(|found| found.diagnostic.field.is_empty()) {
            if let Some(path) = root.path_to(found.span) {
                found.diagnostic.field = path;
                found.diagnostic.field.extend(found.missing.iter().flat_map(|name| ["/", name]));
            }
        }
    }

    /// All that is wrong, in the order of the file.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let mut diagnostics: Vec<_> = self.found.into_iter().map(|found| found.diagnostic).collect();
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        if self.left_out > 0 {
            let message = format!("{} more errors in this file are not shown", self.left_out);
            diagnostics.push(
                Diagnostic::whole_file(Code::TooManyErrors, &self.path, message)
                    .hint("mend the ones above and look again"),
            );
        }
        diagnostics
    }
}

/// The diagnostic just noted, to be completed.
pub(super) struct Reported<'a>(Option<&'a mut Found>);

impl Reported<'_> {
    /// Says what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(found) = &mut self.0 {
            found.diagnostic.hint = Some(hint.into());
        }
        self
    }

    /// Says that it is about a member that is not there.
    pub(super) fn missing(mut self, name: &'static str) -> Self {
        if let Some(found) = &mut self.0 {
            found.missing = Some(name);
        }
        self
    }

    /// Names another place in the same file.
    pub(super) fn related(mut self, span: Span, what: impl Into<String>) -> Self {
        if let Some(found) = &mut self.0 {
            let place = (Arc::clone(&found.diagnostic.path), span.line, span.column, what.into());
            found.diagnostic.related.push(place);
        }
        self
    }
}
