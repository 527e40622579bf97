//! The store on a real disk: order, group commit, damage and ends without a close.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ekiden_model::input::WriteSeq;
use ekiden_model::record::SlotRecord;
use ekiden_model::{AppId, Incarnation, Slot};
use tokio::sync::{mpsc, watch};

use redb::backends::InMemoryBackend;
use redb::{ReadableDatabase, ReadableTableMetadata, StorageBackend};

use super::*;
use crate::store::writer::{self, Batch, Progress};

fn slot(number: u32) -> Write {
    let app = AppId::parse("/web").unwrap();
    Write::Put(Record::Slot(SlotRecord {
        app,
        slot: Slot(number),
        last: Incarnation::FIRST,
        instances: Vec::new(),
    }))
}

/// A disk that can run full, and counts how often it is flushed.
#[derive(Debug, Clone)]
struct Faulty {
    memory: Arc<InMemoryBackend>,
    full: Arc<AtomicBool>,
    flushes: Arc<AtomicUsize>,
}

impl Faulty {
    fn new() -> Self {
        let memory = Arc::new(InMemoryBackend::new());
        Self { memory, full: Arc::default(), flushes: Arc::default() }
    }

    fn disk(&self) -> Disk {
        Disk { path: "ekiden.db".into(), database: builder().create_with_backend(self.clone()).unwrap() }
    }

    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()?;
        self.flushes.fetch_add(1, Ordering::SeqCst);
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.memory.write(offset, data)
    }
}

/// Runs the writer over batches of one slot each, numbered from `first`.
fn write_all(disk: &Disk, seqs: std::ops::RangeInclusive<u64>) -> Progress {
    let (batches, queue) = mpsc::channel(1000);
    for seq in seqs {
        batches.try_send(Batch { seq: WriteSeq(seq), writes: vec![slot(seq as u32)] }).unwrap();
    }
    drop(batches);
    let (report, progress) = watch::channel(Ok(WriteSeq(0)));
    writer::run(disk, queue, &report);
    progress.borrow().clone()
}

fn stored(disk: &Disk) -> usize {
    let transaction = disk.database.begin_read().unwrap();
    transaction.open_table(RECORDS).map_or(0, |table| table.len().unwrap() as usize)
}

#[test]
fn a_full_disk_stops_the_store_with_what_was_stored() {
    let faulty = Faulty::new();
    let disk = faulty.disk();
    assert_eq!(write_all(&disk, 1..=3).unwrap(), WriteSeq(3));
    faulty.full.store(true, Ordering::SeqCst);
    let error = write_all(&disk, 4..=5).unwrap_err();
    assert!(matches!(*error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().starts_with("no space is left for `ekiden.db`: free some"), "{error}");
    // Even with room again, this one takes no more: what redb holds in memory is not what is on the disk.
    drop(disk);
    faulty.full.store(false, Ordering::SeqCst);
    assert_eq!(stored(&faulty.disk()), 3);
}

#[test]
fn batches_that_wait_together_are_flushed_together() {
    let faulty = Faulty::new();
    let disk = faulty.disk();
    let flushes = |seqs| {
        let before = faulty.flushes.load(Ordering::SeqCst);
        write_all(&disk, seqs).unwrap();
        faulty.flushes.load(Ordering::SeqCst) - before
    };
    let one = flushes(1..=1);
    assert!(one > 0);
    assert!(flushes(2..=1000) <= one * 2);
    assert_eq!(stored(&disk), 1000);
}

/// A store with one more value in it, put there by other means than ours.
fn opened_with(key: &str, value: Option<&[u8]>) -> Result<Vec<Record>, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ekiden.db");
    let (disk, _) = Disk::open(&path)?;
    let transaction = disk.database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(RECORDS).unwrap();
        match value {
            Some(value) => table.insert(key.as_bytes(), value).map(drop).unwrap(),
            None => table.remove(key.as_bytes()).map(drop).unwrap(),
        }
    }
    transaction.commit().unwrap();
    drop(disk);
    Disk::open(&path).map(|(_, records)| records)
}

#[test]
fn a_newer_record_is_refused_by_its_version() {
    let newer = format!("2 {:08x} {{}}", crc32fast::hash(b"2 /web {}"));
    let error = opened_with("/web", Some(newer.as_bytes())).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("was written by a newer ekiden"), "{error}");
}

#[test]
fn a_record_that_says_something_else_is_refused_by_its_key() {
    let sealed = |key: &str, json: &str| envelope::seal(key, json);
    let slot = r#"{"app":"/web","slot":1,"last":1,"instances":[]}"#;
    assert_eq!(opened_with("/web#0000000001", Some(sealed("/web#0000000001", slot).as_bytes())).unwrap().len(), 2);
    let cases = [
        ("/web#0000000001", sealed("/web#0000000002", slot), "its checksum does not match"),
        ("/web#0000000002", sealed("/web#0000000002", slot), "it is the record of `/web#0000000001`"),
        ("/web", sealed("/web", slot), "unknown field `app`"),
        ("/web", sealed("/web", "{}"), "missing field `id`"),
        ("/web", "{}".to_owned(), "it has no header"),
        ("#installation", sealed("#installation", r#"{"realm":1,"births":2,"more":3}"#), "unknown field `more`"),
    ];
    for (key, value, problem) in cases {
        let error = opened_with(key, Some(value.as_bytes())).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Record { .. }), "{error:?}");
        assert!(text.contains(problem) && text.contains(&format!("`{key}`")), "{text}");
    }
}

#[test]
fn a_store_without_an_installation_is_no_beginning() {
    let error = opened_with("#installation", None).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}
