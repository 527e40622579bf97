//! A disk that runs full: by the real kernel's word, under the store and under the whole program.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ekiden::store::{self, Opened, Store, StoreError};
use ekiden_model::input::WriteSeq;
use ekiden_model::record::{Record, SlotRecord};
use ekiden_model::{AppId, Incarnation, Slot};

use crate::reopen;
use crate::small_disk::SmallDisk;

/// A loaded machine may take its time, a broken build for ever.
const PATIENCE: Duration = Duration::from_secs(60);

fn batch(seq: u64) -> Vec<ekiden_model::record::Write> {
    let app = AppId::parse("/web").unwrap();
    let slots = (0..100).map(|slot| seq as u32 * 100 + slot);
    let record =
        |slot| SlotRecord { app: app.clone(), slot: Slot(slot), last: Incarnation::FIRST, instances: Vec::new() };
    slots.map(|slot| ekiden_model::record::Write::Put(Record::Slot(record(slot)))).collect()
}

fn slots(records: &[Record]) -> u64 {
    records.len() as u64 - 1
}

#[tokio::test]
async fn a_disk_that_runs_full_ends_the_store_with_all_that_was_reported_and_it_goes_on_when_there_is_space() {
    let disk = SmallDisk::of_megabytes(12);
    let path = disk.root().join("ekiden.redb");
    disk.take(4 << 20).unwrap();
    let Opened { store, mut stored, .. } = Store::open(&path).unwrap();
    let mut reported = 0;
    let error = loop {
        let next = reported + 1;
        assert!(next < 100_000, "it never ran full");
        if let Err(error) = store.persist(WriteSeq(next), batch(next)).await {
            break error;
        }
        match tokio::time::timeout(PATIENCE, stored.next()).await.unwrap() {
            Ok(seq) => reported = seq.0,
            Err(error) => break error,
        }
    };
    assert!(matches!(*error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("free some and start ekiden again; what was stored is kept"), "{error}");
    assert!(reported > 0, "it was full from the start");

    // As a process leaves it that is killed now; and as one that has time to close it.
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("ekiden.redb");
    std::fs::copy(&path, &copy).unwrap();
    let found = slots(&reopen(&copy).unwrap());
    assert!(found == reported * 100 || found == (reported + 1) * 100, "{found} slots of {reported} batches");
    assert!(store.close().await.is_err());

    // Still full: it may say so, and may not do worse.
    match reopen(&path) {
        Ok(records) => assert_eq!(slots(&records), found),
        Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error:?}"),
    }
    disk.free();
    let Opened { store, records, .. } = Store::open(&path).unwrap();
    assert_eq!(slots(&records), found);
    store.persist(WriteSeq(1), batch(200_000)).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(slots(&reopen(&path).unwrap()), found + 100);
}

#[tokio::test]
async fn where_there_is_no_space_for_a_store_none_is_made_and_it_is_said() {
    let disk = SmallDisk::of_megabytes(1);
    disk.fill();
    let path = disk.root().join("ekiden.redb");
    let error = reopen(&path).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    let left: Vec<_> = std::fs::read_dir(disk.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["ballast"], "half of a store is left");
}

/// A process that a failed test does not leave behind.
struct Running(Child);

impl Running {
    fn until_it_ends(&mut self) -> ExitStatus {
        until("it ends", || self.0.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails for a process that has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `ekiden dev` in the folder, with files of at most so many bytes where a limit is given.
fn ekiden(folder: &Path, limit: Option<u64>) -> Running {
    // Writing more fails as on a full disk, since the signal that comes with it is ignored.
    let limit = limit.map_or_else(|| "unlimited".to_owned(), |bytes| (bytes / 512).to_string());
    let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"");
    let process = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_ekiden"), "dev", "manifests", "--state", "state"])
        .args(["--http", "127.0.0.1:0", "--resources", "cpus:4;mem:1024;disk:1000;ports:[41960-41969]"])
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    Running(process)
}

#[expect(clippy::disallowed_methods, reason = "no runtime is at hand here, and processes are looked at")]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ekiden_stops_when_the_disk_is_full_having_done_nothing_that_it_could_not_store() {
    let folder = tempfile::tempdir().unwrap();
    let (state, started) = (folder.path().join("state"), folder.path().join("started"));
    let store = state.join("ekiden.redb");
    std::fs::create_dir_all(folder.path().join("manifests")).unwrap();
    std::fs::create_dir_all(&state).unwrap();
    reopen(&store).unwrap();
    // The store is as large as its file may be, and this needs more.
    let limit = std::fs::metadata(&store).unwrap().len();
    let large = "x".repeat(100_000);
    let labels: Vec<String> = (0..=limit / 100_000).map(|number| format!("l{number}: {large}")).collect();
    let (started_file, labels) = (started.display(), labels.join(", "));
    let manifest =
        format!("id: /web\ncmd: echo started >> {started_file}; exec sleep 1000\nlabels: {{{labels}}}\n");
    std::fs::write(folder.path().join("manifests/web.yaml"), manifest).unwrap();

    let mut process = ekiden(folder.path(), Some(limit));
    let ended = process.until_it_ends();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(ended.code(), Some(74), "{log}");
    assert!(log.contains("no space is left for `state/ekiden.redb`: free some and start ekiden again"), "{log}");
    assert!(!started.exists(), "a task was started that is stored nowhere");
    assert_eq!(store::check(&store).unwrap().apps, 0);

    let mut process = ekiden(folder.path(), None);
    until("the app runs", || std::fs::read_to_string(&started).ok().filter(|text| !text.is_empty()));
    Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status().unwrap();
    process.until_it_ends();
    let summary = store::check(&store).unwrap();
    assert_eq!((summary.apps, summary.slots), (1, 1));
    assert_eq!(std::fs::read_to_string(&started).unwrap(), "started\n", "once");
}

#[test]
fn whatever_is_wrong_with_the_state_directory_is_told_with_its_exit_code_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("manifests")).unwrap();
    std::fs::create_dir_all(folder.path().join("state")).unwrap();
    let store = folder.path().join("state/ekiden.redb");
    reopen(&store).unwrap();
    let good = std::fs::read(&store).unwrap();
    let run = || {
        let mut process = ekiden(folder.path(), None);
        let ended = process.until_it_ends();
        (ended.code(), std::fs::read_to_string(folder.path().join("log")).unwrap())
    };
    let foreign = b"SQLite format 3\0 and whatever follows".repeat(200);
    let mut flipped = good.clone();
    let realm = flipped.windows(8).rposition(|bytes| bytes == b"{\"realm\"").unwrap();
    flipped[realm + 3] ^= 1;
    for (bytes, problem) in [
        (b"".as_slice(), "is damaged (it is empty): it was left untouched; restore it from a backup"),
        (&good[..good.len() / 2], "is damaged"),
        (&foreign, "is damaged"),
        (&flipped, "left untouched; restore it from a backup"),
    ] {
        std::fs::write(&store, bytes).unwrap();
        let (code, log) = run();
        assert_eq!(code, Some(73), "{log}");
        assert!(log.contains(problem) && log.contains("state/ekiden.redb"), "{problem}: {log}");
        assert_eq!(std::fs::read(&store).unwrap(), bytes, "the file was touched");
    }
    std::fs::write(&store, &good).unwrap();
    let Opened { store: open, .. } = Store::open(&store).unwrap();
    let (code, log) = run();
    assert_eq!(code, Some(75), "{log}");
    assert!(log.contains("is in use by another ekiden"), "{log}");
    drop(open);

    std::fs::remove_file(&store).unwrap();
    std::fs::create_dir(&store).unwrap();
    let (code, log) = run();
    assert_eq!(code, Some(73), "{log}");
    assert!(log.contains("cannot open") && log.contains("it is no regular file"), "{log}");
}

#[test]
fn a_state_directory_that_may_not_be_written_is_told_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    // Who may do everything is not stopped by permissions, but by a file system that has none to give.
    let all_powerful = File::create(folder.path().join("probe")).is_ok();
    let folder = if all_powerful { PathBuf::from("/proc/self") } else { folder.path().to_owned() };
    let error = reopen(&folder.join("ekiden.redb")).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    assert!(
        error.to_string().contains("check that it, and the folder it is in, may be read and written"),
        "{error}"
    );
}
