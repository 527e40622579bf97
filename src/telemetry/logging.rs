//! Log lines: one subscriber for the whole process, on stderr, so that stdout stays for what a command was asked for.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::levels::{self, Levels, Reload};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere: whoever collects lines can read JSON, and need not be told to ask for it.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` cannot be read.
    #[error("RUST_LOG=`{value}` is no filter: {cause}; write for example `info` or `ekiden=debug,hyper=warn`")]
    Filter {
        /// What it says.
        value: String,
        /// What is wrong with it.
        cause: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else logs already.
    #[error("logging is set up already: do it once, at the start of the program")]
    AlreadySet,
}

/// Sends the process's log to stderr, from now on. `verbosity` is the number of `-v`, or below nothing: −1 for
/// warnings, −2 for errors alone. `RUST_LOG` wins over it.
pub fn init(verbosity: i8, format: LogFormat) -> Result<(), TelemetryError> {
    let rust_log = std::env::var("RUST_LOG").ok();
    let directives = directives(verbosity, rust_log.as_deref());
    let filter = filter(directives)?;
    let terminal = io::stderr().is_terminal();
    let style = Style::choose(format, terminal, std::env::var("NO_COLOR").ok().as_deref());
    let (subscriber, reload) = subscriber(filter, style, io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadySet)?;
    levels::publish(Levels::new(directives, reload));
    Ok(())
}

/// How lines look, with everything taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Text { colour: bool },
    Json,
}

impl Style {
    fn choose(format: LogFormat, terminal: bool, no_color: Option<&str>) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Auto if !terminal => Self::Json,
            // https://no-color.org: present and not empty, whatever it says.
            LogFormat::Auto | LogFormat::Text => {
                Self::Text { colour: terminal && no_color.is_none_or(str::is_empty) }
            }
        }
    }
}

/// Our own lines by the number of `-v`; the libraries' only when they are warnings, or when everything is asked for.
///
/// The client of ZooKeeper warns of every attempt at every server. Whoever follows the election says once that it does not
/// answer, why, and when it does again.
fn directives(verbosity: i8, rust_log: Option<&str>) -> &str {
    match (rust_log, verbosity) {
        (Some(value), _) if !value.is_empty() => value,
        (_, ..=-2) => "error",
        (_, -1) => "warn,zookeeper_client=error",
        (_, 0) => "warn,zookeeper_client=error,ekiden=info",
        (_, 1) => "warn,zookeeper_client=error,ekiden=debug",
        (_, 2) => "info,ekiden=trace",
        (_, _) => "trace",
    }
}

fn filter(directives: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(directives).map_err(|cause| TelemetryError::Filter { value: directives.to_owned(), cause })
}

/// Who writes the lines, and how its filter is exchanged.
fn subscriber<W>(filter: EnvFilter, style: Style, writer: W) -> (Box<dyn Subscriber + Send + Sync>, Reload)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match style {
        Style::Text { colour } => {
            let lines = lines.with_ansi(colour).with_target(false).with_filter_reloading();
            let handle = lines.reload_handle();
            (Box::new(lines.finish()), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        Style::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            let handle = lines.reload_handle();
            (Box::new(lines.finish()), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(verbosity: i8, rust_log: Option<&str>, style: Style) -> String {
        let page = Page::default();
        let writer = page.clone();
        let filter = filter(directives(verbosity, rust_log)).expect("a good filter");
        let (subscriber, _) = subscriber(filter, style, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "ekiden::runtime", app = "/web", "launched");
            tracing::debug!(target: "ekiden::runtime", "looked");
            tracing::info!(target: "hyper", "connected");
            tracing::warn!(target: "zookeeper_client::session", "not reached");
            tracing::warn!(target: "ekiden::cluster::mesos::zookeeper", "does not say who leads");
        });
        let bytes = page.0.lock().expect("nobody panicked").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn verbosity_counts_for_our_lines_and_rust_log_wins() {
        let plain = Style::Text { colour: false };
        let words = |text: String| ["launched", "looked", "connected"].map(|word| text.contains(word));
        assert_eq!(words(lines(0, None, plain)), [true, false, false]);
        assert_eq!(words(lines(-1, None, plain)), [false, false, false]);
        assert_eq!(words(lines(1, Some(""), plain)), [true, true, false]);
        assert_eq!(words(lines(2, None, plain)), [true, true, true]);
        assert_eq!(words(lines(3, Some("hyper=info"), plain)), [false, false, true]);
        let error = filter(directives(0, Some("ekiden=loud"))).expect_err("no such level").to_string();
        assert!(error.contains("RUST_LOG=`ekiden=loud`") && error.contains("ekiden=debug"), "{error}");
    }

    #[test]
    fn that_zookeeper_is_away_is_said_by_us_and_by_its_client_only_when_asked() {
        let plain = Style::Text { colour: false };
        for verbosity in -1..=1 {
            let text = lines(verbosity, None, plain);
            assert!(text.contains("who leads") && !text.contains("not reached"), "{verbosity}: {text}");
        }
        assert!(lines(2, None, plain).contains("not reached"));
        assert!(lines(0, Some("warn"), plain).contains("not reached"));
    }

    #[test]
    fn json_lines_are_json_with_the_fields_on_top() {
        let text = lines(0, None, Style::Json);
        let line = text.lines().next().expect("a line");
        let value: serde_json::Value = serde_json::from_str(line).expect("one line of JSON");
        assert_eq!(value["message"], "launched");
        assert_eq!(value["app"], "/web");
        assert_eq!(value["level"], "INFO");
    }

    #[test]
    fn colour_is_for_terminals_whose_owner_wants_it() {
        assert_eq!(Style::choose(LogFormat::Auto, true, None), Style::Text { colour: true });
        assert_eq!(Style::choose(LogFormat::Auto, true, Some("")), Style::Text { colour: true });
        assert_eq!(Style::choose(LogFormat::Auto, true, Some("1")), Style::Text { colour: false });
        assert_eq!(Style::choose(LogFormat::Auto, false, None), Style::Json);
        assert_eq!(Style::choose(LogFormat::Text, false, None), Style::Text { colour: false });
        assert_eq!(Style::choose(LogFormat::Json, true, None), Style::Json);
        let escape = '\u{1b}';
        assert!(lines(0, None, Style::Text { colour: true }).contains(escape));
        assert!(!lines(0, None, Style::Text { colour: false }).contains(escape));
    }
}
