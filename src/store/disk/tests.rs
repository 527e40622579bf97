//! The store on a real disk: order, group commit, damage and ends without a close.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ekiden_model::input::WriteSeq;
use ekiden_model::record::{Installation, SlotRecord};
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
    /// How much may still be done before it is full.
    left: Arc<AtomicUsize>,
    flushes: Arc<AtomicUsize>,
}

impl Faulty {
    fn new() -> Self {
        let memory = Arc::new(InMemoryBackend::new());
        Self { memory, left: Arc::new(AtomicUsize::new(usize::MAX)), flushes: Arc::default() }
    }

    fn disk(&self) -> Disk {
        Disk { path: "ekiden.db".into(), database: builder().create_with_backend(self.clone()).unwrap() }
    }

    fn room(&self) -> io::Result<()> {
        let take = |left: usize| Some(if left == usize::MAX { left } else { left.checked_sub(1)? });
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
    }

    fn full_after(&self, operations: usize) {
        self.left.store(operations, Ordering::SeqCst);
    }

    /// What a process that is killed now leaves.
    fn file(&self, path: &Path) -> File {
        let mut bytes = vec![0; self.memory.len().unwrap() as usize];
        self.memory.read(0, &mut bytes).unwrap();
        std::fs::write(path, &bytes).unwrap();
        File::open(path).unwrap()
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
        if let Err(full) = self.room() {
            // What still found room is written.
            self.memory.write(offset, &data[..data.len() / 2])?;
            return Err(full);
        }
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
    faulty.full_after(0);
    let error = write_all(&disk, 4..=5).unwrap_err();
    assert!(matches!(*error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().starts_with("no space is left for `ekiden.db`: free some"), "{error}");
    // Even with room again, this one takes no more: what redb holds in memory is not what is on the disk.
    drop(disk);
    faulty.full_after(usize::MAX);
    assert_eq!(stored(&faulty.disk()), 3);
}

#[test]
fn wherever_a_commit_runs_out_of_space_all_that_was_stored_is_there_and_of_the_rest_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ekiden.db");
    let batch = |slots: std::ops::Range<u32>| -> Vec<Write> {
        let installation =
            Write::Put(Record::Installation(Box::new(Installation { births: 1, ..Installation::new(7) })));
        std::iter::once(installation).chain(slots.map(slot)).collect()
    };
    let (mut operations, mut kept) = (0, Vec::new());
    loop {
        let faulty = Faulty::new();
        let disk = faulty.disk();
        disk.commit(batch(0..50).iter()).unwrap();
        faulty.full_after(operations);
        // Many pages, so that some are written before the commit and some with it.
        let stored = disk.commit(batch(50..3000).iter());
        let records = load(&path, &faulty.file(&path), |records| records.count()).unwrap().made;
        match stored {
            Ok(()) => {
                assert_eq!(records, 3001);
                break;
            }
            Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{operations}: {error:?}"),
        }
        assert!(records == 51 || records == 3001, "{operations}: {records} records");
        kept.push(records);
        // It takes no more; and once there is space, a new process goes on from where it was.
        faulty.full_after(usize::MAX);
        assert!(disk.commit(batch(0..1).iter()).is_err(), "{operations}");
        drop(disk);
        let (again, found) = open(&path).unwrap();
        assert_eq!(found.len(), records, "{operations}");
        again.commit(batch(20_000..20_001).iter()).unwrap();
        drop(again);
        assert_eq!(open(&path).unwrap().1.len(), records + 1, "{operations}");
        // Every one at first, then one in twenty of those so far: late ones are all alike.
        operations += 1 + operations / 20;
    }
    assert!(operations > 5, "only {operations} operations");
    assert!(kept.contains(&51), "{kept:?}");
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

fn open(path: &Path) -> Result<(Disk, Vec<Record>), StoreError> {
    Disk::open(path, |records| records.collect())
}

/// A store with one more value in it, put there by other means than ours.
fn opened_with(key: &str, value: Option<&[u8]>) -> Result<Vec<Record>, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ekiden.db");
    let (disk, _) = open(&path)?;
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
    open(&path).map(|(_, records)| records)
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
    let sealed = |key: &str, body: &[u8]| envelope::seal(key, body);
    // The last incarnation is the first, and there are no instances.
    let slot = [1, 0].as_slice();
    assert_eq!(opened_with("/web#0000000001", Some(&sealed("/web#0000000001", slot))).unwrap().len(), 2);
    // Its id and birth; nothing is declared, chosen or known to have failed.
    let app = b"\x04/app\x01\0\0\0\0\0\0\0\0\0\0\0\0".as_slice();
    assert_eq!(opened_with("/app", Some(&sealed("/app", app))).unwrap().len(), 2);
    let cases = [
        ("/web#0000000001", sealed("/web#0000000002", slot), "its checksum does not match"),
        ("/web#0000000001", sealed("/web#0000000001", &[1]), "end of buffer"),
        ("/web#0000000001", sealed("/web#0000000001", &[1, 0, 7, 7]), "goes on for 2 bytes after its end"),
        ("/web#0000000001", sealed("/web#0000000001", b"{}"), "end of buffer"),
        ("/web#1", sealed("/web#1", slot), "expected value"),
        ("/web", sealed("/web", br#"{"id":"/web"}"#), "end of buffer"),
        ("/web", sealed("/web", app), "it is the record of `/app`"),
        ("/app", sealed("/app", &[app, &[0]].concat()), "goes on for 1 bytes after its end"),
        ("/app!0000000000000001", sealed("/app!0000000000000001", app), "after its end"),
        ("$group//a", sealed("$group//a", br#"{"app":"/web"}"#), "unknown field `app`"),
        ("$group//a", sealed("$group//a", b"{}"), "missing field `id`"),
        ("$group//a", sealed("$group//a", &[0xff]), "it is not UTF-8"),
        ("/web", br#"{"id":"/web"}"#.to_vec(), "it has no header"),
        ("#installation", sealed("#installation", br#"{"realm":1,"births":2,"more":3}"#), "unknown field `more`"),
    ];
    for (key, value, problem) in cases {
        let error = opened_with(key, Some(value.as_slice())).unwrap_err();
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
