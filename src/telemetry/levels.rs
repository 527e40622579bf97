//! How much this process logs, by where lines come from, and changing it while the process runs.
//!
//! What the command line and `RUST_LOG` say is the base; changes lie over it, and are forgotten with the process. It is one
//! for the whole process, as the log is.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

/// What is meant by lines from everywhere.
const ROOT: &str = "ROOT";

/// Levels, from the most to the least.
pub const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];

/// Most changes that are kept. Whoever debugs makes a few.
const CHANGES_MAX: usize = 64;

/// Longest name of a logger.
const NAME_MAX: usize = 200;

/// Puts a filter in place of the one that there is; `false` when the log is gone.
pub(super) type Reload = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

static OF_THIS_PROCESS: OnceLock<Levels> = OnceLock::new();

/// The levels of this process's log, once it has one.
pub fn levels() -> Option<&'static Levels> {
    OF_THIS_PROCESS.get()
}

/// Makes these the process's. The first ones stay.
pub(super) fn publish(levels: Levels) {
    let _ = OF_THIS_PROCESS.set(levels);
}

/// How much is logged, by the module that lines come from; `ROOT` stands for all that have no level of their own.
pub struct Levels {
    base: String,
    changes: Mutex<Changes>,
    reload: Reload,
}

#[derive(Debug, Default)]
struct Changes {
    /// Level and number of each change that holds.
    by_logger: BTreeMap<String, (&'static str, u64)>,
    made: u64,
}

/// A change that was made, by which it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    logger: String,
    number: u64,
}

/// Why a level cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// There is no such level.
    #[error("`{0}` is no level: write trace, debug, info, warn, error or off")]
    Level(String),
    /// A logger cannot have this name.
    #[error("`{0}` names no logger: write ROOT, or a module as in `ekiden::api`")]
    Logger(String),
    /// There are too many changes.
    #[error("{CHANGES_MAX} loggers have been changed: change one of these, or `ROOT`")]
    TooMany,
    /// There is no log to change.
    #[error("the log cannot be changed any more")]
    NoLog,
}

impl Levels {
    /// Levels that begin with `base`, directives in the syntax of `RUST_LOG`.
    pub(super) fn new(base: &str, reload: Reload) -> Self {
        Self { base: base.to_owned(), changes: Mutex::default(), reload }
    }

    /// The level of each logger that has one of its own, and of `ROOT`.
    pub fn shown(&self) -> BTreeMap<String, String> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = BTreeMap::from([(ROOT.to_owned(), "error".to_owned())]);
        for directive in self.base.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (logger, level) = directive.rsplit_once('=').unwrap_or((ROOT, directive));
            shown.insert(logger.to_owned(), level.to_lowercase());
        }
        let since = changes.by_logger.iter();
        shown.extend(since.map(|(logger, (level, _))| (logger.clone(), (*level).to_owned())));
        shown
    }

    /// Gives a logger another level, from now on.
    pub fn change(&self, logger: &str, level: &str) -> Result<Change, LevelError> {
        let known = LEVELS.into_iter().find(|known| known.eq_ignore_ascii_case(level));
        let level = known.ok_or_else(|| LevelError::Level(level.to_owned()))?;
        let is_module = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if logger.is_empty() || logger.len() > NAME_MAX || !logger.chars().all(is_module) {
            return Err(LevelError::Logger(logger.to_owned()));
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.by_logger.len() >= CHANGES_MAX && !changes.by_logger.contains_key(logger) {
            return Err(LevelError::TooMany);
        }
        let number = changes.made + 1;
        let before = changes.by_logger.insert(logger.to_owned(), (level, number));
        if let Err(error) = self.apply(&changes) {
            match before {
                Some(before) => _ = changes.by_logger.insert(logger.to_owned(), before),
                None => _ = changes.by_logger.remove(logger),
            }
            return Err(error);
        }
        changes.made = number;
        Ok(Change { logger: logger.to_owned(), number })
    }

    /// Takes a change back, unless a newer one holds.
    pub fn take_back(&self, change: &Change) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.by_logger.get(&change.logger).is_some_and(|(_, number)| *number == change.number) {
            changes.by_logger.remove(&change.logger);
            // What was in force before this change is in force again; without a log there is nothing to do.
            let _ = self.apply(&changes);
        }
    }

    fn apply(&self, changes: &Changes) -> Result<(), LevelError> {
        let mut directives = self.base.clone();
        for (logger, (level, _)) in &changes.by_logger {
            directives.push(',');
            if logger != ROOT {
                directives.push_str(logger);
                directives.push('=');
            }
            directives.push_str(level);
        }
        let filter = EnvFilter::try_new(&directives).map_err(|_| LevelError::Logger(directives))?;
        if (self.reload)(filter) { Ok(()) } else { Err(LevelError::NoLog) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn recorded() -> (Levels, Arc<Mutex<Vec<String>>>) {
        let filters = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&filters);
        let reload = move |filter: EnvFilter| {
            record.lock().expect("nobody panicked").push(filter.to_string());
            true
        };
        (Levels::new("warn,ekiden=info", Box::new(reload)), filters)
    }

    #[test]
    fn changes_lie_over_the_base_until_they_are_taken_back() {
        let (levels, filters) = recorded();
        let shown = |logger: &str| levels.shown().get(logger).cloned();
        assert_eq!((shown("ROOT").as_deref(), shown("ekiden").as_deref()), (Some("warn"), Some("info")));
        let debug = levels.change("ekiden", "DEBUG").expect("good");
        let quiet = levels.change("ROOT", "off").expect("good");
        assert_eq!((shown("ROOT").as_deref(), shown("ekiden").as_deref()), (Some("off"), Some("debug")));
        assert_eq!(filters.lock().expect("nobody panicked").last().map(String::as_str), Some("ekiden=debug,off"));
        let trace = levels.change("ekiden", "trace").expect("good");
        levels.take_back(&debug);
        assert_eq!(shown("ekiden").as_deref(), Some("trace"), "a newer change holds");
        levels.take_back(&trace);
        levels.take_back(&quiet);
        assert_eq!((shown("ROOT").as_deref(), shown("ekiden").as_deref()), (Some("warn"), Some("info")));
        assert_eq!(filters.lock().expect("nobody panicked").last().map(String::as_str), Some("ekiden=info,warn"));
    }

    #[test]
    fn what_is_no_level_or_no_logger_changes_nothing() {
        let (levels, filters) = recorded();
        assert_eq!(levels.change("ekiden", "loud"), Err(LevelError::Level("loud".to_owned())));
        for logger in ["", "a,b", "a=b", "mesosphere.marathon", "[span]"] {
            assert_eq!(levels.change(logger, "info"), Err(LevelError::Logger(logger.to_owned())), "{logger}");
        }
        for number in 0..CHANGES_MAX {
            assert!(levels.change(&format!("m{number}"), "info").is_ok());
        }
        assert_eq!(levels.change("one_more", "info"), Err(LevelError::TooMany));
        assert!(levels.change("m1", "warn").is_ok(), "one of those that were changed");
        assert_eq!(filters.lock().expect("nobody panicked").len(), CHANGES_MAX + 1);
    }
}
