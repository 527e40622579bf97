//! Reading a store: every page, every record and every checksum, before the file is touched.
//!
//! One thread verifies the pages, one walks through them, others make records of bytes: of a restart with 100,000
//! instances that is the longest part. What is read counts only once the pages have been found good.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use ekiden_model::record::{Installation, Record};
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError,
};

use super::disk::{RECORDS, builder};
use super::envelope::{self, Broken};
use super::untouched::Untouched;
use super::{StoreError, v1};

/// Bytes of records that a thread takes at a time, or few more: enough that handing them over costs nothing, few enough
/// that all threads have something to do until the end, and that the room for them is used again.
const BATCH_BYTES: usize = 64 << 10;

/// Most threads that make records; more would only wait for the one that walks the pages.
const READERS_MAX: usize = 8;

const NO_INSTALLATION: &str = "the record of the installation is missing";
const INTERRUPTED: &str = "reading it was interrupted";

/// What a file holds.
pub(super) struct Loaded {
    /// First the installation, then apps and slots in the order of their keys.
    pub(super) records: Vec<Record>,
    /// To be read from; what is written to it goes nowhere.
    pub(super) database: Database,
}

/// Verifies and reads all of `file`.
pub(super) fn load(path: &Path, file: &File) -> Result<Loaded, StoreError> {
    unwound(path, || {
        let database = over(path, file)?;
        let (verified, records) = std::thread::scope(|scope| {
            // Verifying takes a database for itself alone.
            let verifying = scope.spawn(|| over(path, file).and_then(|mut again| verify(path, &mut again)));
            let records = unwound(path, || read(path, &database));
            (verifying.join().unwrap_or_else(|_| Err(contradiction(path))), records)
        });
        // What reading made of bad pages is of no interest.
        verified?;
        Ok(Loaded { records: records?, database })
    })
}

/// A damaged tree can lead redb to an assertion, also while a database is let go; of what nobody keeps, unwinding leaves
/// nothing half-done.
fn unwound<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(work));
    outcome.unwrap_or_else(|_| Err(contradiction(path)))
}

fn contradiction(path: &Path) -> StoreError {
    damaged(path, "its pages contradict each other")
}

/// What a database holds at one moment, whatever is written meanwhile.
pub(super) struct Snapshot<'a> {
    path: &'a Path,
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl<'a> Snapshot<'a> {
    pub(super) fn of(path: &'a Path, database: &Database) -> Result<Self, StoreError> {
        let open = || -> Result<_, redb::Error> { Ok(database.begin_read()?.open_table(RECORDS)?) };
        let table = open().map_err(|error| unreadable(path, error))?;
        Ok(Self { path, table })
    }

    /// How many records there are.
    pub(super) fn len(&self) -> Result<u64, StoreError> {
        self.table.len().map_err(|error| unreadable(self.path, error.into()))
    }

    /// The installation's record, which is the first.
    pub(super) fn installation(&self) -> Result<Installation, StoreError> {
        let first = self.table.first().map_err(|error| unreadable(self.path, error.into()))?;
        let first =
            first.map(|(key, value)| record(self.path, key.value(), value.value(), &mut v1::Reader::default()));
        match first {
            Some(Ok(Record::Installation(installation))) => Ok(*installation),
            Some(Err(error)) => Err(error),
            _ => Err(damaged(self.path, NO_INSTALLATION)),
        }
    }

    /// Hands each record to `visit`, by its key and its JSON, in the order of the keys.
    pub(super) fn each<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(&str, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reader = v1::Reader::default();
        self.walk(|key, value| {
            let key = key_text(self.path, key)?;
            let shown = reader.show(key, unsealed(self.path, key, value)?);
            visit(key, &shown.map_err(|problem| unreadable_record(self.path, key, problem))?)
        })
    }

    /// Hands each key and sealed value to `visit`, in the order of the keys.
    fn walk<E: From<StoreError>>(&self, mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        let wrong = |error: StorageError| unreadable(self.path, error.into());
        for entry in self.table.iter().map_err(wrong)? {
            let (key, value) = entry.map_err(wrong)?;
            visit(key.value(), value.value())?;
        }
        Ok(())
    }
}

/// The database in `file`, which stays as it is.
fn over(path: &Path, file: &File) -> Result<Database, StoreError> {
    let backend = Untouched::new(file).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    if backend.is_empty() {
        return Err(damaged(path, "it is empty"));
    }
    builder().create_with_backend(backend).map_err(|error| unopened(path, error))
}

/// Verifies the checksum of every page.
fn verify(path: &Path, database: &mut Database) -> Result<(), StoreError> {
    match database.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => Err(damaged(path, "checksums of its pages do not match")),
        Err(error) => Err(unopened(path, error)),
    }
}

fn read(path: &Path, database: &Database) -> Result<Vec<Record>, StoreError> {
    let snapshot = Snapshot::of(path, database)?;
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(READERS_MAX);
    let (batches, queue) = mpsc::sync_channel(2 * threads);
    let queue = Arc::new(Mutex::new(queue));
    let (walked, mut parts) = std::thread::scope(|scope| {
        let readers: Vec<_> = std::iter::repeat_n(queue, threads)
            .map(|queue| scope.spawn(move || read_batches(path, &queue)))
            .collect();
        let walked = walk_in_batches(&snapshot, &batches);
        // Whoever reads has no more to wait for.
        drop(batches);
        let parts = readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or_else(|_| vec![(usize::MAX, Err(damaged(path, INTERRUPTED)))]));
        (walked, parts.flatten().collect::<Vec<_>>())
    });
    // The first that is wrong is told, however the threads came along.
    parts.sort_unstable_by_key(|(number, _)| *number);
    let mut records = Vec::new();
    for (_, part) in parts {
        records.extend(part?);
    }
    walked?;
    if snapshot.len()? != records.len() as u64 {
        return Err(damaged(path, &format!("only {} of its records can be found", records.len())));
    }
    match records.first() {
        Some(Record::Installation(_)) => Ok(records),
        _ => Err(damaged(path, NO_INSTALLATION)),
    }
}

/// Keys and sealed values, copied from their pages.
struct Batch {
    number: usize,
    bytes: Vec<u8>,
    /// Where each key and its value end.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    fn new(number: usize) -> Self {
        // With room for the record that goes beyond.
        Self { number, bytes: Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 8), ends: Vec::new() }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
    }

    fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        begins
            .zip(&self.ends)
            .map(|(begin, (key_end, end))| (&self.bytes[begin..*key_end], &self.bytes[*key_end..*end]))
    }
}

fn walk_in_batches(snapshot: &Snapshot<'_>, batches: &mpsc::SyncSender<Batch>) -> Result<(), StoreError> {
    let mut batch = Batch::new(0);
    let hand_over = |batch: &mut Batch| {
        let next = Batch::new(batch.number + 1);
        batches.send(std::mem::replace(batch, next)).map_err(|_| damaged(snapshot.path, INTERRUPTED))
    };
    snapshot.walk(|key, value| {
        batch.push(key, value);
        if batch.bytes.len() >= BATCH_BYTES { hand_over(&mut batch) } else { Ok(()) }
    })?;
    hand_over(&mut batch)
}

/// Makes records of batches until there are no more; what comes of each goes with its number.
fn read_batches(
    path: &Path,
    queue: &Mutex<mpsc::Receiver<Batch>>,
) -> Vec<(usize, Result<Vec<Record>, StoreError>)> {
    let mut reader = v1::Reader::default();
    let mut read = Vec::new();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = next else { return read };
        // What is collected into a result is not told how many there are, and would move all of it as it grows.
        let mut records = Vec::with_capacity(batch.ends.len());
        let each = batch.entries().map(|(key, value)| record(path, key, value, &mut reader));
        let outcome = each.map(|record| record.map(|record| records.push(record))).collect::<Result<(), _>>();
        read.push((batch.number, outcome.map(|()| records)));
    }
}

fn record(path: &Path, key: &[u8], value: &[u8], reader: &mut v1::Reader) -> Result<Record, StoreError> {
    let key = key_text(path, key)?;
    let body = unsealed(path, key, value)?;
    reader.read(key, body).map_err(|problem| unreadable_record(path, key, problem))
}

fn unreadable_record(path: &Path, key: &str, problem: String) -> StoreError {
    StoreError::Record { path: path.to_owned(), key: key.to_owned(), problem }
}

fn key_text<'a>(path: &Path, key: &'a [u8]) -> Result<&'a str, StoreError> {
    std::str::from_utf8(key).map_err(|_| damaged(path, "a key is not UTF-8"))
}

fn unsealed<'a>(path: &Path, key: &str, value: &'a [u8]) -> Result<&'a [u8], StoreError> {
    envelope::open(key, value).map_err(|broken| match broken {
        Broken::Newer(found) => StoreError::Newer { path: path.to_owned(), found, known: envelope::VERSION },
        Broken::Damaged(problem) => unreadable_record(path, key, problem.to_owned()),
    })
}

fn damaged(path: &Path, problem: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), problem: problem.to_owned() }
}

fn unopened(path: &Path, error: DatabaseError) -> StoreError {
    unreadable(path, error.into())
}

/// A disk that cannot be read is told from what is wrong with the bytes. Bytes that lead beyond the file's end are
/// wrong.
fn unreadable(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) if !is_of_bytes(&source) => StoreError::Open { path: path.to_owned(), source },
        error => damaged(path, &error.to_string()),
    }
}

fn is_of_bytes(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}
