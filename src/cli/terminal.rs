//! Where output goes: stdout for data, stderr for the rest, colours only where somebody looks.

mod hidden;

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use self::hidden::Hidden;
use crate::runtime::signals::Signals;

/// The process' own stdout and stderr.
pub(super) struct Terminal {
    out: io::Stdout,
    err: io::Stderr,
    colour: bool,
    watched: bool,
}

/// A way to set a word apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Not yet as it should be.
    Pending,
    /// Wrong.
    Bad,
    /// Beside the point.
    Faint,
    /// What the rest is about.
    Strong,
}

impl Terminal {
    /// Colours unless piped, or `NO_COLOR` is set, or the terminal cannot.
    pub(super) fn of_process() -> Self {
        let watched = io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { out: io::stdout(), err: io::stderr(), colour: watched && wanted && able, watched }
    }

    /// As if piped, wherever the tests run.
    #[cfg(test)]
    pub(super) fn piped() -> Self {
        Self { out: io::stdout(), err: io::stderr(), colour: false, watched: false }
    }

    /// Whether to print colours.
    pub(super) fn colour(&self) -> bool {
        self.colour
    }

    /// Whether stdout is a terminal.
    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Text with a tone, where colours are printed.
    pub(super) fn toned(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Pending => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Prints data as it is.
    pub(super) fn print(&mut self, data: impl AsRef<[u8]>) -> io::Result<()> {
        self.out.write_all(data.as_ref())?;
        self.out.flush()
    }

    /// Prints a line.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.print(format!("{text}\n"))
    }

    /// Prints a value as JSON, in a form people can read, too.
    pub(super) fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        self.line(&format!("{value:#}"))
    }

    /// Starts a new picture.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.print("\u{1b}[H\u{1b}[2J")
    }

    /// Says something beside the data.
    pub(super) fn note(&self, text: &str) {
        // When stderr is closed, nobody is there to be told.
        let _ = writeln!(&self.err, "{text}");
    }

    /// Asks for a line that is not shown while it is typed. A signal ends it, and what is typed is shown again.
    pub(super) async fn ask_secretly(&self, question: &str, signals: &mut Signals) -> io::Result<String> {
        let line = Hidden::line()?;
        let _ = write!(&self.err, "{question}");
        let line = tokio::select! {
            line = line.typed() => line,
            signal = signals.next() => Err(io::Error::new(io::ErrorKind::Interrupted, format!("ended by {signal}"))),
        };
        let _ = writeln!(&self.err);
        line
    }

    /// Says why a command failed: the error and its causes.
    pub(super) fn complain(&self, error: &(dyn Error + 'static)) {
        let mut text = format!("error: {error}");
        let mut cause = error.source();
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        self.note(&text);
    }
}

/// Whether a command failed only because nobody reads on (`ekiden get apps | head`).
pub(super) fn reader_is_gone(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
