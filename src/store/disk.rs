//! The file: a redb database with one table of sealed records.
//!
//! Keys are text and sort an app before its slots: `#installation`, `/web`, `/web#0000000000`, `/web#0000000001`. `#`
//! is in no id and sorts before all that is.

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ekiden_model::record::{Record, Write};
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use redb::{StorageBackend, StorageError, TableDefinition};

use super::envelope::{self, Broken};
use super::{StoreError, new_installation, v1};

const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

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
    /// Opens the file, or makes it when there is none, and reads all records.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Record>), StoreError> {
        let mut file = match open_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(path)?;
                open_file(path)
            }
            opened => opened,
        }
        .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(StoreError::Open { path: path.to_owned(), source }),
        }
        let records = verify(path, &mut file)?;
        let database = builder().create_file(file).map_err(|error| opening(path, error))?;
        Ok((Self { path: path.to_owned(), database }, records))
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
        {
            let mut table = transaction.open_table(RECORDS)?;
            for write in writes {
                match write {
                    Write::Put(record) => {
                        let (key, json) = encode(record)?;
                        table.insert(key.as_bytes(), envelope::seal(&key, &json).as_bytes())?;
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

fn open_file(path: &Path) -> io::Result<File> {
    // Checked before opening, since opening a pipe would wait for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    OpenOptions::new().read(true).write(true).open(path)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes a store with nothing but an installation in it.
///
/// It is made under another name and then linked to its own, so that a file of that name is complete from its first
/// moment on. An incomplete one is therefore always damage, and never mistaken for a beginning.
fn make(path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(name);
    let made = fill(&draft).and_then(|()| match std::fs::hard_link(&draft, path) {
        // Another process was faster: there is a complete store now, which is all that is wanted.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(failed),
    });
    // The draft is of no use any more, whatever came of it; when it cannot be removed, it is in nobody's way.
    let _ = std::fs::remove_file(&draft);
    made?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn fill(draft: &Path) -> Result<(), StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(draft)
        .map_err(|source| StoreError::Open { path: draft.to_owned(), source })?;
    let database = builder().create_file(file).map_err(|error| opening(draft, error))?;
    let disk = Disk { path: draft.to_owned(), database };
    let installation = Record::Installation(new_installation()?);
    disk.commit(std::iter::once(&Write::Put(installation)))
}

/// Reads every page and every record from a copy in memory, and leaves the file alone.
///
/// redb's own check repairs what it can while it checks, which may mean going back to an older commit. On a copy the
/// same check tells damage without hiding it from the next look. Stores are small: 100,000 instances are about 100 MB.
fn verify(path: &Path, file: &mut File) -> Result<Vec<Record>, StoreError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    let damaged = |problem: &str| StoreError::Damaged { path: path.to_owned(), problem: problem.to_owned() };
    if bytes.is_empty() {
        return Err(damaged("it is empty"));
    }
    // A damaged tree can lead redb to an assertion; on a copy that nobody keeps, unwinding leaves nothing half-done.
    std::panic::catch_unwind(|| read_all(path, &bytes))
        .unwrap_or_else(|_| Err(damaged("its pages contradict each other")))
}

fn read_all(path: &Path, bytes: &[u8]) -> Result<Vec<Record>, StoreError> {
    let damaged = |problem: String| StoreError::Damaged { path: path.to_owned(), problem };
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64)
        .and_then(|()| copy.write(0, bytes))
        .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    // No disk takes part here: whatever goes wrong lies in the bytes.
    let mut database = builder().create_with_backend(copy).map_err(|error| damaged(error.to_string()))?;
    if !database.check_integrity().map_err(|error| damaged(error.to_string()))? {
        return Err(damaged("checksums of its pages do not match".to_owned()));
    }
    let mut records = v1::Reader::default();
    let read = |error: redb::Error| damaged(error.to_string());
    let transaction = database.begin_read().map_err(|error| read(error.into()))?;
    let table = transaction.open_table(RECORDS).map_err(|error| read(error.into()))?;
    let mut count = 0;
    for entry in table.iter().map_err(|error| read(error.into()))? {
        let (key, value) = entry.map_err(|error| read(error.into()))?;
        let key = std::str::from_utf8(key.value()).map_err(|_| damaged("a key is not UTF-8".to_owned()))?;
        decode(path, key, value.value(), &mut records)?;
        count += 1;
    }
    if table.len().map_err(|error| read(error.into()))? != count {
        return Err(damaged(format!("only {count} of its records can be found")));
    }
    let records = records.records();
    match records.first() {
        Some(Record::Installation(_)) => Ok(records),
        _ => Err(damaged("the record of the installation is missing".to_owned())),
    }
}

fn encode(record: &Record) -> Result<(String, String), StoreError> {
    let key = v1::key(record);
    match v1::json(record) {
        Ok(json) => Ok((key, json)),
        Err(problem) => Err(StoreError::Unstorable { key, problem }),
    }
}

fn decode(path: &Path, key: &str, value: &[u8], records: &mut v1::Reader) -> Result<(), StoreError> {
    let problem = match envelope::open(key, value) {
        Ok(json) => match records.read(key, json) {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        },
        Err(Broken::Newer(found)) => {
            return Err(StoreError::Newer { path: path.to_owned(), found, known: envelope::VERSION });
        }
        Err(Broken::Damaged(problem)) => problem.to_owned(),
    };
    Err(StoreError::Record { path: path.to_owned(), key: key.to_owned(), problem })
}

fn opening(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source)) => {
            if is_full(&source) {
                StoreError::Full { path, source }
            } else {
                StoreError::Open { path, source }
            }
        }
        damage => StoreError::Damaged { path, problem: damage.to_string() },
    }
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
