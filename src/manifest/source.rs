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
    found: Vec<Diagnostic>,
    left_out: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &Arc<str>, text: &'a str) -> Self {
        Self { path: Arc::clone(path), text, found: Vec::new(), left_out: 0 }
    }

    /// Notes what is wrong at `span`; the answer takes hint and related places.
    pub(super) fn report(&mut self, code: Code, span: Span, message: impl Into<String>) -> Reported<'_> {
        if self.found.len() >= ERRORS_MAX {
            self.left_out += 1;
            return Reported(None);
        }
        self.found.push(Diagnostic::new(code, &self.path, self.text, span, message.into()));
        Reported(self.found.last_mut())
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

    /// Adds to every diagnostic that lies in `root` and has no field yet which one it is.
    pub(super) fn name_fields(&mut self, root: &Node) {
        for diagnostic in self.found.iter_mut().filter(|diagnostic| diagnostic.field.is_empty()) {
            let span = Span { line: diagnostic.line, column: diagnostic.column, ..Span::default() };
            diagnostic.field = root.path_to(span).unwrap_or_default();
        }
    }

    /// All that is wrong.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        if self.left_out > 0 {
            let message = format!("{} more errors in this file are not shown", self.left_out);
            self.found.push(
                Diagnostic::whole_file(Code::TooManyErrors, &self.path, message)
                    .hint("mend the ones above and look again"),
            );
        }
        self.found
    }
}

/// The diagnostic just noted, to be completed.
pub(super) struct Reported<'a>(Option<&'a mut Diagnostic>);

impl Reported<'_> {
    /// Says what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(diagnostic) = &mut self.0 {
            diagnostic.hint = Some(hint.into());
        }
        self
    }

    /// Names another place in the same file.
    pub(super) fn related(mut self, span: Span, what: impl Into<String>) -> Self {
        if let Some(diagnostic) = &mut self.0 {
            let place = (Arc::clone(&diagnostic.path), span.line, span.column, what.into());
            diagnostic.related.push(place);
        }
        self
    }
}
