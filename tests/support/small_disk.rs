//! A disk that can run full: a file system of a few megabytes that only this test sees.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Ways to a place where one may mount: as anybody, where the kernel lets anybody have a user namespace; as root, with a
/// mount namespace alone.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];

/// Mounts a tmpfs of `$1` megabytes on `$0`, and holds it until its input ends.
const HOLD: &str = r#"mount -t tmpfs -o "size=$1m,mode=700" none "$0" && echo mounted && exec cat"#;

/// A tmpfs in a mount namespace of its own, which is seen through the process that holds it, and goes with it.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    holder: Child,
    root: PathBuf,
    _mounted_on: TempDir,
}

impl SmallDisk {
    /// An empty one. Where nobody lets us mount anything the test fails: what it shows cannot be shown otherwise.
    pub(crate) fn of_megabytes(size: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut refusals = Vec::new();
        for way in WAYS {
            match mounted(way, folder.path(), size) {
                Ok(holder) => return Self::held_by(holder, folder),
                Err(refusal) => refusals.push(refusal),
            }
        }
        panic!(
            "a full disk cannot be shown here, since nothing may be mounted. Run the tests with util-linux installed, and as \
             root with CAP_SYS_ADMIN or where user namespaces are allowed:\n{}",
            refusals.join("\n")
        );
    }

    fn held_by(holder: Child, mounted_on: TempDir) -> Self {
        let inside = mounted_on.path().strip_prefix("/").expect("an absolute path");
        let root = PathBuf::from(format!("/proc/{}/root", holder.id())).join(inside);
        Self { holder, root, _mounted_on: mounted_on }
    }

    /// Where it is seen.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Uses up so much of it, if there is so much.
    pub(crate) fn take(&self, bytes: usize) -> std::io::Result<()> {
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.ballast())?;
        ballast.write_all(&vec![1; bytes])
    }

    /// Uses up what is left of it, to the last page.
    pub(crate) fn fill(&self) {
        while self.take(4096).is_ok() {}
    }

    /// Makes space again where it was used up.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("removed");
    }

    fn ballast(&self) -> PathBuf {
        self.root.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It fails for a process that has ended, which is as well.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The process that holds the mount, or what the system said.
fn mounted(way: &[&str], on: &Path, size: u32) -> Result<Child, String> {
    let command = format!("unshare {}", way.join(" "));
    let mut holder = Command::new("unshare")
        .args(way)
        .args(["sh", "-c", HOLD])
        .arg(on)
        .arg(size.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command}: {error}"))?;
    let mut said = String::new();
    // One that says nothing has ended.
    let _ = BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said);
    if said == "mounted\n" {
        return Ok(holder);
    }
    let mut why = String::new();
    let _ = holder.stderr.take().expect("piped").read_to_string(&mut why);
    let _ = holder.wait();
    Err(format!("{command}: {}", why.trim()))
}
