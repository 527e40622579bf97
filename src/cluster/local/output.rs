//! What a task writes: files of its sandbox that do not grow without end.
//!
//! Tasks write to the files themselves, so that nothing is lost and nobody waits when Ekiden is busy or gone.
//! Therefore a file can only be cut where it is: its end is copied to `stdout.1`, and it begins anew. What a task
//! writes in the moment between the two is lost.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::OFlags;

/// A file longer than this is cut. Enough for weeks of a server that logs its requests while somebody develops it;
/// a hundred chatty tasks with both files full take 20 GiB.
const LONGEST: u64 = 100 << 20;
/// How much of its end is kept then: what somebody reads who comes to look, copied in a few milliseconds.
const KEPT: u64 = 10 << 20;
/// How often the length is looked at. Between two looks a task that writes as fast as it can, some GiB/s, can
/// exceed the bound; it costs one `fstat` per file.
pub(super) const TRIM_INTERVAL: Duration = Duration::from_secs(5);

/// One output of a task.
pub(super) struct Output {
    path: PathBuf,
    file: File,
}

impl Output {
    /// Opens the file at `path` to append to it. A link is refused: the sandbox is the task's, the file's target
    /// might not be.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let no_links = OFlags::NOFOLLOW.bits().cast_signed();
        let file = File::options().read(true).append(true).create(true).custom_flags(no_links).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// For a process to write to.
    pub(super) fn stdio(&self) -> io::Result<Stdio> {
        self.file.try_clone().map(Stdio::from)
    }

    /// Cuts the file if it has become too long.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        self.trim_to(LONGEST, KEPT)
    }

    fn trim_to(&mut self, longest: u64, kept: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length <= longest {
            return Ok(());
        }
        let mut older = self.path.clone().into_os_string();
        older.push(".1");
        match fs::remove_file(&older) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut older = File::create_new(&older)?;
        self.file.seek(SeekFrom::Start(length - kept.min(length)))?;
        io::copy(&mut io::Read::take(&self.file, kept), &mut older)?;
        self.file.set_len(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_long_file_keeps_its_end_beside_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("stdout");
        let mut output = Output::open(&path).expect("opened");
        let mut writer = output.file.try_clone().expect("cloned");
        writer.write_all(b"0123456789").expect("written");
        output.trim_to(10, 4).expect("not too long");
        assert_eq!(fs::read(&path).expect("there"), b"0123456789");
        writer.write_all(b"a").expect("written");
        output.trim_to(10, 4).expect("cut");
        writer.write_all(b"b").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"b");
        assert_eq!(fs::read(dir.path().join("stdout.1")).expect("there"), b"789a");
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("stdout");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).expect("made");
        assert!(Output::open(&path).is_err());
    }
}
