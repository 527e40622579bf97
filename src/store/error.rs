//! What can go wrong with the store. None of these is retried: whoever gets one stops.

use std::io;
use std::path::PathBuf;

/// Why the store cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error("`{}` is in use by another ekiden: stop that one, or give this one a file of its own with --state", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// There is none, and none was to be made.
    #[error("there is no `{}`: name the directory that was given to `ekiden serve` or `ekiden dev` as --state", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened, read or made.
    #[error("cannot open `{}`: check that it, and the folder it is in, may be read and written", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not as it was written.
    #[error(
        "`{}` is damaged ({problem}): it was left untouched; restore it from a backup, or move it away to start with \
         no memory of what runs",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// One record is not as it was written.
    #[error(
        "the record of `{key}` in `{}` cannot be read ({problem}): the file was left untouched; restore it from a \
         backup, or move it away to start with no memory of what runs",
        path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// Which record.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A newer Ekiden wrote it.
    #[error(
        "`{}` was written by a newer ekiden (record version {found}; this one reads up to {known}): run that one, or \
         a newer one still",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest that is read here.
        known: u32,
    },
    /// No space is left.
    #[error("no space is left for `{}`: free some and start ekiden again; what was stored is kept", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A write failed.
    #[error("cannot write to `{}`: what was stored before is kept; start ekiden again when the disk is well", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record cannot be put into its form on disk.
    #[error(
        "the record of `{key}` cannot be stored ({problem}): this is a bug, please report it with the app's definition"
    )]
    Unstorable {
        /// Which record.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// Something else is remembered there.
    #[error(
        "`{}` holds a state already ({held}): it is left alone; import into a directory without one, or move it away \
         first",
        path.display()
    )]
    NotEmpty {
        /// The file.
        path: PathBuf,
        /// What is in it.
        held: String,
    },
    /// The system gives no randomness.
    #[error("cannot draw a random number for a new store ({reason})")]
    Entropy {
        /// What the system said.
        reason: String,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the store's thread")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
    /// The store has stopped before, for a reason already given.
    #[error("the store has stopped and takes no more writes: start ekiden again")]
    Stopped,
}
