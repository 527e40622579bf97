//! Durable records: the only thing that Ekiden remembers across a restart.
//!
//! Owns the file behind `--state`, the form of every record in it, and the one thread that writes. It does not know what
//! a record means, never decides to drop one, and never replays anything: what is loaded is what was last put.
//!
//! ```text
//!  Effect::Persist ─► persist() ─► queue ─► writer thread ─► one redb transaction for all that queued ─► Stored(seq)
//! ```
//!
//! # Guarantees
//! - A [`WriteSeq`] is reported only after all its writes, and those of every earlier batch, survive a power cut; a batch
//!   is stored whole or not at all.
//! - Opening reads every page and every record and checks their checksums *before* the file is touched. A damaged file,
//!   a record that cannot be read, a file of a newer Ekiden: each is an error, and the file stays as it was. A store
//!   that exists is never replaced by an empty one.
//! - One process at a time; the second one is told so.
//! - After a failed write nothing more is written and nothing more is reported: the caller stops, and a restart finds
//!   what was durable.
//!
//! # Who reads what
//!
//! Each record names its version in front of its body, and the structs of a version never change once released: a new
//! field is a new version. So an old writer cannot silently drop what a newer one wrote, which is how most stores lose
//! data on a downgrade.
//!
//! |                      | read by this Ekiden (v1)             | read by a newer one (v2)                   |
//! |----------------------|--------------------------------------|--------------------------------------------|
//! | written by this (v1) | as it is                             | converted on load; v2 at its next `Put`    |
//! | written by newer (v2)| refused: [`StoreError::Newer`]; nothing is written | as it is                     |
//! | v1 beside v2 records | refused as above: one newer record is enough | each by its own version            |
//! | v1, with a field in an app's definition that came later | refused: [`StoreError::Record`] names the field; nothing is written | as it is |

mod disk;
mod dump;
mod envelope;
mod error;
mod load;
mod summary;
mod untouched;
mod v1;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use ekiden_model::input::WriteSeq;
use ekiden_model::record::{Installation, Record, Write};
use tokio::sync::{mpsc, watch};

pub use dump::{DumpError, ExportError};
pub use error::StoreError;
pub use summary::Summary;

use disk::Disk;
use writer::{Batch, Progress};

/// How many batches wait for the writer before [`Store::persist`] waits, too. A batch is the outcome of one step; at a
/// few milliseconds per commit, which takes all that wait, 256 of them are more than a step loop makes meanwhile.
const QUEUED_BATCHES: usize = 256;

/// An open store: takes writes. Dropping it blocks until everything taken is durable and the file is closed; use
/// [`Store::close`] where blocking is not welcome.
#[derive(Debug)]
pub struct Store {
    kept: Kept,
}

/// What opening gives.
#[derive(Debug)]
pub struct Opened<T = Vec<Record>> {
    /// Takes writes.
    pub store: Store,
    /// All records, first the installation, then apps and slots in the order of their ids; or what was made of them.
    pub records: T,
    /// Says what is durable.
    pub stored: Stored,
}

/// Says up to which batch writes are durable.
#[derive(Debug)]
pub struct Stored(watch::Receiver<Progress>);

#[derive(Debug)]
enum Kept {
    OnDisk(OnDisk),
    InMemory(watch::Sender<Progress>),
}

/// Reads what a store holds while it is open, beside the one that writes.
#[derive(Debug, Clone)]
pub struct Export(Arc<Disk>);

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// The state is there now.
    Placed(Summary),
    /// It was there already.
    Same(Summary),
}

/// Why nothing was imported. What was there before is there still, and nothing else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The export is not to be trusted.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The store is not to be had.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
struct OnDisk {
    disk: Arc<Disk>,
    /// Taken away to end the writer.
    batches: Option<mpsc::Sender<Batch>>,
    writer: Option<JoinHandle<()>>,
    progress: watch::Receiver<Progress>,
}

impl Store {
    /// Opens the store in the file at `path`, or makes it when there is no such file. Reads the whole file; blocks
    /// meanwhile.
    ///
    /// A new store gets an [`Installation`] with a realm drawn at random.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        Self::open_into(path, |records| records.collect())
    }

    /// The same, with the records handed to `take_up` while they are being read: first the installation, then each app and
    /// what is of it, in the order of their ids. They end early where the store turns out to be damaged.
    pub fn open_into<T>(
        path: &Path,
        take_up: impl FnOnce(&mut dyn Iterator<Item = Record>) -> T,
    ) -> Result<Opened<T>, StoreError> {
        let (disk, records) = Disk::open(path, take_up)?;
        let disk = Arc::new(disk);
        let written = disk.clone();
        let (batches, queue) = mpsc::channel(QUEUED_BATCHES);
        let (report, progress) = watch::channel(Ok(WriteSeq::default()));
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&written, queue, &report))
            .map_err(|source| StoreError::Thread { source })?;
        let stored = Stored(progress.clone());
        let on_disk = OnDisk { disk, batches: Some(batches), writer: Some(writer), progress };
        Ok(Opened { store: Self { kept: Kept::OnDisk(on_disk) }, records, stored })
    }

    /// A store that keeps nothing beyond this process: every write is reported as stored at once.
    pub fn in_memory() -> Result<Opened, StoreError> {
        let installation = new_installation()?;
        let (progress, stored) = watch::channel(Ok(WriteSeq::default()));
        Ok(Opened {
            store: Self { kept: Kept::InMemory(progress) },
            records: vec![Record::Installation(Box::new(installation))],
            stored: Stored(stored),
        })
    }

    /// Takes a batch to be made durable after all earlier ones. Waits only while the queue is full; that the batch is
    /// durable is what [`Stored`] says.
    pub async fn persist(&self, seq: WriteSeq, writes: Vec<Write>) -> Result<(), Arc<StoreError>> {
        match &self.kept {
            Kept::InMemory(progress) => {
                progress.send_modify(|progress| *progress = Ok(seq));
                Ok(())
            }
            Kept::OnDisk(on_disk) => {
                let Some(batches) = &on_disk.batches else { return Err(on_disk.why_stopped()) };
                batches.send(Batch { seq, writes }).await.map_err(|_| on_disk.why_stopped())
            }
        }
    }

    /// Reads what is stored; nothing when nothing is kept beyond this process.
    pub fn export(&self) -> Option<Export> {
        match &self.kept {
            Kept::OnDisk(on_disk) => Some(Export(on_disk.disk.clone())),
            Kept::InMemory(_) => None,
        }
    }

    /// Waits until everything taken is durable, and closes the file.
    pub async fn close(self) -> Result<(), Arc<StoreError>> {
        let Kept::OnDisk(on_disk) = self.kept else { return Ok(()) };
        let progress = on_disk.progress.clone();
        match tokio::task::spawn_blocking(move || drop(on_disk)).await {
            Ok(()) => progress.borrow().clone().map(drop),
            Err(_) => Err(Arc::new(StoreError::Stopped)),
        }
    }
}

impl OnDisk {
    fn why_stopped(&self) -> Arc<StoreError> {
        self.progress.borrow().clone().err().unwrap_or_else(|| Arc::new(StoreError::Stopped))
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(writer) = self.writer.take() {
            // It reports its errors; what it could not report is that it panicked, and then it has said so itself.
            let _ = writer.join();
        }
    }
}

impl Stored {
    /// Waits until more is durable than was said before, and says up to which batch, earlier ones included (so numbers
    /// may be left out). After an error there is nothing more to wait for: nothing further will be stored.
    ///
    /// Losing the wait loses nothing: what became durable meanwhile is said the next time.
    pub async fn next(&mut self) -> Result<WriteSeq, Arc<StoreError>> {
        match self.0.changed().await {
            Ok(()) => self.0.borrow_and_update().clone(),
            Err(_) => Err(self.0.borrow().clone().err().unwrap_or_else(|| Arc::new(StoreError::Stopped))),
        }
    }
}

impl Export {
    /// Writes all that is durable at this moment as JSON lines. Blocks; meanwhile the store takes writes as ever.
    pub fn write(&self, out: impl io::Write) -> Result<(), ExportError> {
        dump::write(self.0.path(), self.0.database(), out)
    }
}

/// Verifies the store in the file at `path`, which no other process may have open, and says what is in it.
pub fn check(path: &Path) -> Result<Summary, StoreError> {
    let file = disk::take(path)?;
    Ok(load::load(path, &file, |records| Summary::of(records))?.made)
}

/// Writes the store in the file at `path`, which no other process may have open, as JSON lines.
pub fn export(path: &Path, out: impl io::Write) -> Result<Summary, ExportError> {
    let file = disk::take(path)?;
    let loaded = load::load(path, &file, |records| Summary::of(records))?;
    dump::write(path, &loaded.database, out)?;
    Ok(loaded.made)
}

/// Reads what [`export`] or [`Export::write`] wrote, without storing it anywhere.
pub fn check_export(input: impl io::BufRead) -> Result<Summary, DumpError> {
    Ok(Summary::of(&dump::read(input)?))
}

/// Makes a store in the file at `path` of what [`export`] wrote. There must be none yet, or one in which nothing was
/// ever declared. All of it is read and checked before anything is written, and the file is there whole or not at all.
pub fn import(path: &Path, input: impl io::BufRead) -> Result<Imported, ImportError> {
    let records = dump::read(input)?;
    let summary = Summary::of(&records);
    let empty = match disk::take(path) {
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
        Ok(file) => {
            let there = load::load(path, &file, |records| records.collect::<Vec<_>>())?.made;
            if there == records {
                return Ok(Imported::Same(summary));
            }
            if !summary::are_unused(&there) {
                let held = Summary::of(&there).to_string();
                return Err(StoreError::NotEmpty { path: path.to_owned(), held }.into());
            }
            Some(file)
        }
    };
    disk::place(path, records, empty)?;
    Ok(Imported::Placed(summary))
}

/// The installation of a store that is just being made.
fn new_installation() -> Result<Installation, StoreError> {
    let realm = getrandom::u64().map_err(|error| StoreError::Entropy { reason: error.to_string() })?;
    Ok(Installation::new(realm))
}
