//! Reading a store: every page, every record and every checksum, before the file is touched.
//!
//! One thread verifies the pages, one walks through them, others make records of bytes, and whoever loads takes these up
//! meanwhile: of a restart with 100,000 instances that is the longest part. What is made of them counts only once the pages
//! have been found good.

use std::collections::BTreeMap;
use std::fs::File;
use std::hint::black_box;
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

/// What [`make_room`] asks for: less than the 64 MB that glibc lets a heap grow to, and less than [`LET_GO_BYTES`].
const ROOM_BYTES: usize = 30 << 20;

/// Large pieces come from the system, not from a heap, until one as large has been let go; up to 32 MB.
const LET_GO_BYTES: usize = 31 << 20;

const NO_INSTALLATION: &str = "the record of the installation is missing";
const INTERRUPTED: &str = "reading it was interrupted";

/// A file whose every page and record is good.
pub(super) struct Loaded<T> {
    /// What was made of its records.
    pub(super) made: T,
    /// To be read from; what is written to it goes nowhere.
    pub(super) database: Database,
}

/// Verifies and reads all of `file`. Records are handed to `take_up` as they are read, the installation first, then in the
/// order of their keys, and end early where one is bad: what is made of them counts with all of the file only.
pub(super) fn load<T>(
    path: &Path,
    file: &File,
    take_up: impl FnOnce(&mut dyn Iterator<Item = Record>) -> T,
) -> Result<Loaded<T>, StoreError> {
    let database = unwound(path, || over(path, file))?;
    make_room(LET_GO_BYTES);
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(READERS_MAX);
    let (batches, queue) = mpsc::sync_channel(2 * threads);
    let (parts, read) = mpsc::channel();
    // Theirs alone: when none of them is left, nobody waits for them.
    let queues = std::iter::repeat_n(Arc::new(Mutex::new(queue)), threads);
    let (made, outcome) = std::thread::scope(|scope| {
        // Verifying takes a database for itself alone.
        let verifying =
            scope.spawn(|| unwound(path, || over(path, file).and_then(|mut again| verify(path, &mut again))));
        let pages = &database;
        let walking = scope.spawn(move || unwound(path, || walk_in_batches(path, pages, &batches)));
        for queue in queues {
            let parts = parts.clone();
            scope.spawn(move || read_batches(path, &queue, &parts));
        }
        drop(parts);
        make_room(ROOM_BYTES);
        let mut records = Records::new(path, read);
        let made = take_up(&mut records);
        // What it did not care for is looked at all the same.
        records.by_ref().for_each(drop);
        let verified = verifying.join().unwrap_or_else(|_| Err(contradiction(path)));
        let walked = walking.join().unwrap_or_else(|_| Err(contradiction(path)));
        // What reading made of bad pages is of no interest.
        (made, verified.and_then(|()| records.end(walked)))
    });
    match outcome {
        Ok(()) => Ok(Loaded { made, database }),
        Err(error) => unwound(path, || {
            drop(database);
            Err(error)
        }),
    }
}

/// Has the system give this thread room for what it is about to make, at once. glibc by itself enlarges a thread's heap by
/// a page at a time, each time by a call during which no other thread gets a page either: with 100,000 instances there are
/// tens of thousands of them. Nothing is taken of the memory that is not used in the end.
fn make_room(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
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

/// Records in the order of their keys, as they come from those who read.
struct Records<'a> {
    path: &'a Path,
    parts: mpsc::Receiver<Part>,
    /// Those that came before their turn.
    early: BTreeMap<usize, Part>,
    /// The number of the part that is next.
    next: usize,
    part: std::vec::IntoIter<Record>,
    count: u64,
    problem: Option<StoreError>,
}

/// What became of a batch.
struct Part {
    number: usize,
    records: Result<Vec<Record>, StoreError>,
}

impl<'a> Records<'a> {
    fn new(path: &'a Path, parts: mpsc::Receiver<Part>) -> Self {
        Self {
            path,
            parts,
            early: BTreeMap::new(),
            next: 0,
            part: Vec::new().into_iter(),
            count: 0,
            problem: None,
        }
    }

    /// The part whose turn it is; nothing after the last.
    fn next_part(&mut self) -> Option<Part> {
        loop {
            if let Some(part) = self.early.remove(&self.next) {
                self.next += 1;
                return Some(part);
            }
            let part = self.parts.recv().ok()?;
            self.early.insert(part.number, part);
        }
    }

    /// Whether these were all that the walk through the pages was to find.
    fn end(self, walked: Result<u64, StoreError>) -> Result<(), StoreError> {
        let Self { path, count, problem, .. } = self;
        problem.map_or(Ok(()), Err)?;
        match walked? {
            _ if count == 0 => Err(damaged(path, NO_INSTALLATION)),
            expected if expected != count => {
                Err(damaged(path, &format!("only {count} of its records can be found")))
            }
            _ => Ok(()),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            if let Some(record) = self.part.next() {
                self.count += 1;
                if self.count > 1 || matches!(record, Record::Installation(_)) {
                    return Some(record);
                }
                self.problem = Some(damaged(self.path, NO_INSTALLATION));
                self.part = Vec::new().into_iter();
            }
            if self.problem.is_some() {
                return None;
            }
            match self.next_part()?.records {
                Ok(records) => self.part = records.into_iter(),
                Err(error) => self.problem = Some(error),
            }
        }
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

/// Hands over all keys and values, and says how many there are to be.
fn walk_in_batches(
    path: &Path,
    database: &Database,
    batches: &mpsc::SyncSender<Batch>,
) -> Result<u64, StoreError> {
    let snapshot = Snapshot::of(path, database)?;
    let mut batch = Batch::new(0);
    let hand_over = |batch: &mut Batch| {
        let next = Batch::new(batch.number + 1);
        batches.send(std::mem::replace(batch, next)).map_err(|_| damaged(path, INTERRUPTED))
    };
    snapshot.walk(|key, value| {
        batch.push(key, value);
        if batch.bytes.len() >= BATCH_BYTES { hand_over(&mut batch) } else { Ok(()) }
    })?;
    hand_over(&mut batch)?;
    snapshot.len()
}

/// Makes records of batches until there are no more.
fn read_batches(path: &Path, queue: &Mutex<mpsc::Receiver<Batch>>, parts: &mpsc::Sender<Part>) {
    make_room(ROOM_BYTES);
    let mut reader = v1::Reader::default();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = next else { return };
        // What is collected into a result is not told how many there are, and would move all of it as it grows.
        let mut records = Vec::with_capacity(batch.ends.len());
        let mut each = batch.entries().map(|(key, value)| record(path, key, value, &mut reader));
        let outcome = each.try_for_each(|record| record.map(|record| records.push(record)));
        let part = Part { number: batch.number, records: outcome.map(|()| records) };
        if parts.send(part).is_err() {
            return;
        }
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
