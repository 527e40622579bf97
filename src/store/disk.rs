//! The file: a redb database with one table of sealed records.
//!
//! Keys are text and sort an app before its versions, and these before its slots: `#installation`, `$group//prod`, `/web`,
//! `/web!0001795168800000`, `/web#0000000000`, `/web#0000000001`. `!`, `#` and `$` are in no id and sort before all that is.

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ekiden_model::record::{Record, Write};
use redb::{Builder, Database, DatabaseError, StorageError, TableDefinition};

use super::load::load;
use super::{StoreError, envelope, new_installation, v1};

pub(super) const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

/// How much of the file redb keeps in memory. Records are read once, at the start; afterwards only the pages around
/// what is being written matter. Its own default is a gigabyte.
const CACHE_BYTES: usize = 16 << 20;

/// An open database.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    database: Database,
}

impl Disk {
    /// Opens the file, or makes it when there is none, and hands all records to `take_up`.
    pub(super) fn open<T>(
        path: &Path,
        take_up: impl FnOnce(&mut dyn Iterator<Item = Record>) -> T,
    ) -> Result<(Self, T), StoreError> {
        let file = match take(path) {
            Err(StoreError::Missing { .. }) => {
                make(path)?;
                take(path)
            }
            taken => taken,
        }?;
        let made = load(path, &file, take_up)?.made;
        let database = builder().create_file(file).map_err(|error| opening(path, error))?;
        Ok((Self { path: path.to_owned(), database }, made))
    }

    /// What it is a part of.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For reading beside the one that writes.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Stores all of `writes`, in their order, or none of them.
    pub(super) fn commit<'a>(&self, writes: impl Iterator<Item = &'a Write>) -> Result<(), StoreError> {
        self.write(writes).map_err(|error| match error {
            WriteError::Encode(error) => error,
            WriteError::Redb(error) => writing(&self.path, error),
        })
    }

    fn write<'a>(&self, writes: impl Iterator<Item = &'a Write>) -> Result<(), WriteError> {
        let mut transaction = self.database.begin_write()?;
        // Costs a second flush, and gains that opening after a crash never falls back to the commit before the last:
        // with one flush, damage to the last commit is indistinguishable from a commit that was cut short, and a launch
        // that was recorded and sent would be forgotten without a word.
        transaction.set_two_phase_commit(true);
        // Which pages are in use is stored along. Otherwise opening after a crash would walk through all of them to find
        // out, twice: once for looking, once for writing.
        transaction.set_quick_repair(true);
        {
            let mut table = transaction.open_table(RECORDS)?;
            for write in writes {
                match write {
                    Write::Put(record) => {
                        let (key, body) = encode(record)?;
                        table.insert(key.as_bytes(), envelope::seal(&key, &body).as_slice())?;
                    }
                    Write::Delete(key) => {
                        table.remove(v1::name_of(key).as_bytes())?;
                    }
                    Write::DeleteApp(app) => {
                        table.remove(app.as_str().as_bytes())?;
                        // `$` follows `#`: this is every slot of the app and nothing else.
                        let slots = format!("{app}#").into_bytes()..format!("{app}$").into_bytes();
                        table.retain_in(slots.start.as_slice()..slots.end.as_slice(), |_, _| false)?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Opens a file that there is, for nobody but this process.
pub(super) fn take(path: &Path) -> Result<File, StoreError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
        _ => StoreError::Open { path: path.to_owned(), source },
    };
    let file = open_file(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // An import may have put another file in the place of an empty one between the opening and the locking.
    let (opened, named) = (file.metadata().map_err(failed)?, std::fs::metadata(path).map_err(failed)?);
    if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
        return Err(StoreError::InUse { path: path.to_owned() });
    }
    Ok(file)
}

fn open_file(path: &Path) -> io::Result<File> {
    // Checked before opening, since opening a pipe would wait for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    OpenOptions::new().read(true).write(true).open(path)
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes a store with nothing but an installation in it.
fn make(path: &Path) -> Result<(), StoreError> {
    let installation = Record::Installation(Box::new(new_installation()?));
    match place(path, vec![installation], None) {
        // Another process was faster: there is a complete store now, which is all that is wanted.
        Err(StoreError::InUse { .. }) => Ok(()),
        placed => placed,
    }
}

/// Makes a store of these records: in place of `empty`, which is held meanwhile, or where there is none.
///
/// It is made under another name, read back, and only then gives up that name for its own, so that a file of that name
/// is complete from its first moment on. An incomplete one is therefore always damage, and never mistaken for a
/// beginning.
pub(super) fn place(path: &Path, records: Vec<Record>, empty: Option<File>) -> Result<(), StoreError> {
    let failed = |source| opened_or_full(path, source);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(name);
    let placed = fill(&draft, records).and_then(|()| match &empty {
        Some(_) => std::fs::rename(&draft, path).map_err(failed),
        None => std::fs::hard_link(&draft, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::InUse { path: path.to_owned() },
            _ => failed(error),
        }),
    });
    // The draft is of no use any more, whatever came of it; when it cannot be removed, it is in nobody's way.
    let _ = std::fs::remove_file(&draft);
    placed?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    // Until now nobody else could have begun to fill it.
    drop(empty);
    Ok(())
}

fn fill(draft: &Path, records: Vec<Record>) -> Result<(), StoreError> {
    // What apps are told in their environment is nobody else's business.
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).clone();
    let file = options.open(draft).map_err(|source| opened_or_full(draft, source))?;
    let again = file.try_clone().map_err(|source| opened_or_full(draft, source))?;
    let database = builder().create_file(file).map_err(|error| opening(draft, error))?;
    let disk = Disk { path: draft.to_owned(), database };
    let count = records.len();
    let writes: Vec<Write> = records.into_iter().map(Write::Put).collect();
    disk.commit(writes.iter())?;
    drop(disk);
    let found = load(draft, &again, |records| records.count())?.made;
    if found != count {
        let problem = format!("of {count} records that were written, {found} can be read");
        return Err(StoreError::Damaged { path: draft.to_owned(), problem });
    }
    Ok(())
}

fn encode(record: &Record) -> Result<(String, Vec<u8>), StoreError> {
    let key = v1::key(record);
    match v1::body(record) {
        Ok(body) => Ok((key, body)),
        Err(problem) => Err(StoreError::Unstorable { key, problem }),
    }
}

fn opening(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source)) => opened_or_full(&path, source),
        damage => StoreError::Damaged { path, problem: damage.to_string() },
    }
}

fn opened_or_full(path: &Path, source: io::Error) -> StoreError {
    let path = path.to_owned();
    if is_full(&source) { StoreError::Full { path, source } } else { StoreError::Open { path, source } }
}

fn writing(path: &Path, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::Io(source) if is_full(&source) => StoreError::Full { path, source },
        source => StoreError::Write { path, source: Box::new(source) },
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

enum WriteError {
    Encode(StoreError),
    Redb(redb::Error),
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Encode(error)
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for WriteError {
            fn from(error: redb::$error) -> Self {
                Self::Redb(error.into())
            }
        }
    )*};
}

from_redb!(TransactionError, TableError, StorageError, CommitError);
