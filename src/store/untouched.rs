//! A file as a place where redb may write without the file being touched.
//!
//! redb repairs what it can while it opens and checks, which may mean going back to an older commit. Over an
//! [`Untouched`] the same check tells damage without hiding it from the next look: what redb writes is kept in memory,
//! page by page, and read back from there; all else is read from the file, and only as far as it is asked for.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::StorageBackend;

/// What is kept together; redb's own pages are of this size or multiples of it, so few of them are kept in parts.
const PAGE: usize = 4096;

/// A file, and what was written since, which is not in it.
#[derive(Debug)]
pub(super) struct Untouched {
    file: File,
    written: RwLock<Written>,
}

#[derive(Debug)]
struct Written {
    /// How long all is by now.
    len: u64,
    /// How much of the file still shows: less than there is once it was cut.
    shows: u64,
    pages: HashMap<u64, Box<[u8; PAGE]>>,
}

impl Untouched {
    /// What `file` is now.
    pub(super) fn new(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let len = file.metadata()?.len();
        Ok(Self { file, written: RwLock::new(Written { len, shows: len, pages: HashMap::new() }) })
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.written().len == 0
    }

    fn written(&self) -> RwLockReadGuard<'_, Written> {
        self.written.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn to_write(&self) -> RwLockWriteGuard<'_, Written> {
        self.written.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the file as far as it shows; zeros beyond.
    fn read_file(&self, shows: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(shows.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (of_file, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        self.file.read_exact_at(of_file, offset)
    }
}

impl StorageBackend for Untouched {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        within(&written, offset, out.len())?;
        self.read_file(written.shows, offset, out)?;
        if written.pages.is_empty() {
            return Ok(());
        }
        for part in parts(offset, out.len()) {
            if let Some(page) = written.pages.get(&part.page) {
                out[part.outside].copy_from_slice(&page[part.inside]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.to_write();
        written.len = len;
        written.shows = written.shows.min(len);
        // What lies beyond is gone, also when there is a beyond again.
        let whole = len / PAGE as u64;
        written.pages.retain(|page, _| *page <= whole);
        if let Some(last) = written.pages.get_mut(&whole) {
            last[(len % PAGE as u64) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.to_write();
        within(&written, offset, data.len())?;
        let shows = written.shows;
        for part in parts(offset, data.len()) {
            if let std::collections::hash_map::Entry::Vacant(e) = written.pages.entry(part.page) {
                let mut page = Box::new([0; PAGE]);
                self.read_file(shows, part.page * PAGE as u64, page.as_mut_slice())?;
                e.insert(page);
            }
            if let Some(page) = written.pages.get_mut(&part.page) {
                page[part.inside].copy_from_slice(&data[part.outside]);
            }
        }
        Ok(())
    }
}

/// A stretch that lies in one page.
struct Part {
    page: u64,
    inside: std::ops::Range<usize>,
    outside: std::ops::Range<usize>,
}

/// The parts of a stretch, page by page.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = Part> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let begin = (at % PAGE as u64) as usize;
        let size = (PAGE - begin).min(len - done);
        let outside = done..done + size;
        done += size;
        (size > 0).then_some(Part { page: at / PAGE as u64, inside: begin..begin + size, outside })
    })
}

fn within(written: &Written, offset: u64, len: usize) -> io::Result<()> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= written.len => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(over: &Untouched, offset: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0xee; len];
        over.read(offset, &mut out).unwrap();
        out
    }

    #[test]
    fn what_is_written_is_read_back_and_the_file_stays_as_it_was() {
        let mut file = tempfile::tempfile().unwrap();
        let before: Vec<u8> = (0..3 * PAGE + 100).map(|at| (at % 251) as u8).collect();
        file.write_all(&before).unwrap();
        let over = Untouched::new(&file).unwrap();
        let mut expected = before.clone();
        for (at, len) in [(0, 1), (PAGE - 3, 7), (10, 2 * PAGE), (3 * PAGE + 90, 10)] {
            let data = vec![0xaa; len];
            over.write(at as u64, &data).unwrap();
            expected[at..at + len].copy_from_slice(&data);
            assert_eq!(read(&over, 0, expected.len()), expected, "after {len} bytes at {at}");
        }
        assert_eq!(read(&over, PAGE as u64 - 1, 5), expected[PAGE - 1..PAGE + 4]);
        let mut now = vec![0; before.len()];
        file.read_exact_at(&mut now, 0).unwrap();
        assert_eq!(now, before);
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 2 * PAGE]).unwrap();
        let over = Untouched::new(&file).unwrap();
        over.write(PAGE as u64 + 10, &[2; 10]).unwrap();
        over.set_len(PAGE as u64 + 12).unwrap();
        over.set_len(3 * PAGE as u64).unwrap();
        let tail = read(&over, PAGE as u64, 2 * PAGE);
        assert_eq!((&tail[..10], &tail[10..12]), ([1; 10].as_slice(), [2; 2].as_slice()));
        assert!(tail[12..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn beyond_the_end_there_is_nothing() {
        let over = Untouched::new(&tempfile::tempfile().unwrap()).unwrap();
        assert_eq!(over.read(0, &mut [0]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(over.write(u64::MAX, &[0]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        over.read(0, &mut []).unwrap();
    }
}
