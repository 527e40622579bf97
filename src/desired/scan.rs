//! Reading the whole directory: every manifest, in order, within bounds.
//!
//! Nothing found here stops anything else: what cannot be read is a [`Diagnostic`], and the rest is read. What was not
//! seen is told apart from what is not there ([`Scan::may_hold`]), so that nobody takes the one for the other.
//!
//! Hidden files and folders (`.git`, editors' swap files) are no manifests, nor is what lacks one of the extensions
//! `.json`, `.yaml`, `.yml` (backups, lock files), nor the sides that a merge tool lays beside a file.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::Bounds;
use super::folder::{Contents, EntryKind, Folder, Stamp};
use crate::manifest::{self, Code, Diagnostic, Reading, SourceText};

/// Reads a directory again and again. Remembers what it has read, so that a file is parsed once per content.
#[derive(Debug)]
pub struct Scanner {
    bounds: Bounds,
    known: HashMap<Arc<str>, Known>,
    hasher: RandomState,
    hashes: Arc<BTreeMap<Arc<str>, Arc<str>>>,
}

/// A directory as it was found.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The manifests, by path.
    pub files: Vec<ScannedFile>,
    /// What could not be read, by path.
    pub problems: Vec<Diagnostic>,
    /// The folders that were looked into, as paths to watch.
    pub folders: Vec<PathBuf>,
    /// Whether the directory held still meanwhile, as far as could be seen.
    pub settled: bool,
    /// How many manifests had a content that was not known from the scan before.
    pub parsed: usize,
    /// Folders that could not be looked into, with a slash at the end.
    pub(super) unseen: Vec<String>,
    /// Whether the scan stopped at a bound.
    pub(super) cut_short: bool,
}

/// One manifest.
#[derive(Debug, Clone)]
pub struct ScannedFile {
    /// Relative to the directory.
    pub path: Arc<str>,
    /// What is in it.
    pub content: Content,
}

/// What is in a manifest.
#[derive(Debug, Clone)]
pub enum Content {
    /// What the parser makes of it. The same value as in the scan before while the content is the same.
    Read(Arc<Reading>),
    /// It could not be read; a problem says why.
    Unreadable,
}

#[derive(Debug)]
struct Known {
    /// The stamp under which the content need not be read again.
    stamp: Option<Stamp>,
    /// Length and hash. The hash is keyed at random, so nobody can make two files for one.
    content: (usize, u64),
    /// What others can make of the content, too, and compare: its SHA-256, in hexadecimal.
    hash: Arc<str>,
    reading: Arc<Reading>,
}

impl Scan {
    /// Whether a file that is not listed may be there all the same.
    pub fn may_hold(&self, path: &str) -> bool {
        self.cut_short || self.unseen.iter().any(|folder| path.starts_with(folder.as_str()))
    }

    /// All that is wrong, file by file in the order of their paths, and then `between` them.
    pub(super) fn diagnostics(&self, between: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let in_files = self.files.iter().flat_map(|file| match &file.content {
            Content::Read(reading) => reading.diagnostics.as_slice(),
            Content::Unreadable => &[],
        });
        let mut all: Vec<Diagnostic> = self.problems.iter().chain(in_files).cloned().collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.extend(between);
        all
    }

    /// Whether `other` found the same.
    pub fn same_as(&self, other: &Self) -> bool {
        let same = |a: &ScannedFile, b: &ScannedFile| {
            a.path == b.path
                && match (&a.content, &b.content) {
                    (Content::Read(a), Content::Read(b)) => Arc::ptr_eq(a, b),
                    (Content::Unreadable, Content::Unreadable) => true,
                    _ => false,
                }
        };
        self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(|(a, b)| same(a, b))
            && self.problems == other.problems
            && self.unseen == other.unseen
            && self.cut_short == other.cut_short
    }
}

impl Scanner {
    /// A scanner that knows nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, known: HashMap::new(), hasher: RandomState::new(), hashes: Arc::default() }
    }

    /// Reads the directory `root`. Blocks; how long is bounded by the bounds.
    ///
    /// The only error is that the directory itself cannot be read: then nothing at all is known.
    pub fn scan(&mut self, root: &Path) -> Result<Scan, Box<Diagnostic>> {
        let unreadable = |error: &io::Error| {
            let message = format!("the directory of manifests cannot be read: {error}");
            let hint = "check that it exists and that ekiden may read it; nothing is stopped meanwhile";
            Box::new(Diagnostic::whole_file(Code::Unreadable, &root.to_string_lossy().into(), message).hint(hint))
        };
        let folder = Folder::root(root).map_err(|error| unreadable(&error))?;
        // Asked at once, and not only when a link is met: if the root is swapped for another meanwhile, links of the
        // old one are refused.
        let real = root.canonicalize().map_err(|error| unreadable(&error))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        let scan = Scan { settled: true, ..Scan::default() };
        let mut walk = Walk { scanner: self, root, real: &real, top: &folder, now, entries: 0, bytes: 0, scan };
        walk.folder(&folder, "", 0).map_err(|error| unreadable(&error))?;
        let mut scan = walk.scan;
        scan.files.sort_by(|a, b| a.path.cmp(&b.path));
        scan.problems.sort_by(|a, b| a.path.cmp(&b.path));
        self.known.retain(|path, _| {
            scan.files.binary_search_by(|file| file.path.cmp(path)).is_ok() || scan.may_hold(path)
        });
        if scan.parsed > 0 || self.known.len() != self.hashes.len() {
            let hashes = self.known.iter().map(|(path, known)| (path.clone(), known.hash.clone()));
            self.hashes = Arc::new(hashes.collect());
        }
        Ok(scan)
    }

    /// The SHA-256 of each manifest's content, in hexadecimal, by its path.
    pub fn hashes(&self) -> Arc<BTreeMap<Arc<str>, Arc<str>>> {
        Arc::clone(&self.hashes)
    }

    /// What `bytes` say, parsed unless they are known.
    fn reading(&mut self, path: &Arc<str>, bytes: &[u8], stamp: Option<Stamp>) -> (Arc<Reading>, bool) {
        let content = (bytes.len(), self.hasher.hash_one(bytes));
        if let Some(known) = self.known.get_mut(path).filter(|known| known.content == content) {
            known.stamp = stamp;
            return (known.reading.clone(), false);
        }
        let reading = Arc::new(read_or_blame(path, bytes));
        let hash = format!("{:x}", Sha256::digest(bytes)).into();
        self.known.insert(path.clone(), Known { stamp, content, hash, reading: reading.clone() });
        (reading, true)
    }

    /// What a file said when it had this very stamp.
    fn known(&self, path: &str, stamp: Stamp) -> Option<&Known> {
        self.known.get(path).filter(|known| known.stamp == Some(stamp))
    }
}

/// What `bytes` say. A file that brings the parser down is a bug of the parser, and still must not keep anybody from
/// following all the others.
fn read_or_blame(path: &Arc<str>, bytes: &[u8]) -> Reading {
    std::panic::catch_unwind(|| manifest::read(&SourceText { path, bytes })).unwrap_or_else(|_| {
        let message = "ekiden failed to read this file; its last good version is followed";
        let hint = "this is a bug: please report it with the file";
        Reading {
            apps: Vec::new(),
            diagnostics: vec![Diagnostic::whole_file(Code::Syntax, path, message).hint(hint)],
        }
    })
}

/// One scan, under way.
struct Walk<'a> {
    scanner: &'a mut Scanner,
    root: &'a Path,
    /// The root without links.
    real: &'a Path,
    top: &'a Folder,
    /// Seconds since 1970.
    now: i64,
    entries: usize,
    bytes: u64,
    scan: Scan,
}

impl Walk<'_> {
    /// Reads all that is in `folder`, whose path is `prefix` (empty, or with a slash at the end).
    fn folder(&mut self, folder: &Folder, prefix: &str, depth: usize) -> io::Result<()> {
        let left = self.scanner.bounds.entries.saturating_sub(self.entries);
        let Some(entries) = folder.entries(left)? else {
            let most = self.scanner.bounds.entries;
            self.cut_short(prefix, format!("there are more than {most} files and folders in all"));
            return Ok(());
        };
        self.entries += entries.len();
        self.scan.folders.push(self.root.join(prefix));
        for entry in entries {
            if self.scan.cut_short {
                return Ok(());
            }
            let is_manifest = is_manifest(&entry.name);
            if is_hidden(&entry.name)
                || !(is_manifest || matches!(entry.kind, EntryKind::Folder | EntryKind::Link))
            {
                continue;
            }
            let Some(name) = entry.name.to_str() else {
                let path = format!("{prefix}{}", entry.name.to_string_lossy());
                let hint = "rename it: ids and messages need names that are text";
                self.problem(Code::NotText, &path, "its name is not UTF-8".to_owned(), hint);
                continue;
            };
            let path: Arc<str> = format!("{prefix}{name}").into();
            match entry.kind {
                EntryKind::Folder => self.subfolder(folder, &entry.name, &path, depth + 1),
                EntryKind::File => self.file(folder, &entry.name, path),
                EntryKind::Link => self.link(path, is_manifest),
                EntryKind::Special(what) => self.special(path, what),
            }
        }
        Ok(())
    }

    fn subfolder(&mut self, parent: &Folder, name: &OsStr, path: &str, depth: usize) {
        let most = self.scanner.bounds.depth;
        if depth > most {
            let hint = "move it up; the files in it are not read, and apps declared by them stay as they are";
            self.problem(
                Code::TooManyFiles,
                path,
                format!("the folder is nested deeper than {most} levels"),
                hint,
            );
            self.scan.unseen.push(format!("{path}/"));
            return;
        }
        let read = parent.folder(name).and_then(|folder| self.folder(&folder, &format!("{path}/"), depth));
        match read {
            Ok(()) => {}
            Err(error) if is_gone(&error) => self.scan.settled = false,
            Err(error) => {
                let hint = "let ekiden read it, or move it away; apps declared below it stay as they are";
                self.problem(Code::Unreadable, path, format!("the folder cannot be read: {error}"), hint);
                self.scan.unseen.push(format!("{path}/"));
            }
        }
    }

    fn file(&mut self, folder: &Folder, name: &OsStr, path: Arc<str>) {
        if !self.has_room_for_file(&path) {
            return;
        }
        if let Ok(stamp) = folder.stamp(name)
            && let Some(known) = self.scanner.known(&path, stamp)
        {
            let (reading, size) = (known.reading.clone(), known.content.0 as u64);
            self.found(path, reading, size);
            return;
        }
        let contents = folder.read(name, self.scanner.bounds.file_bytes);
        self.contents(path, contents);
    }

    /// A link counts as what it leads to, if that is a file in this directory (as in a mounted Kubernetes volume,
    /// whose files are links into a hidden folder).
    fn link(&mut self, path: Arc<str>, is_manifest: bool) {
        let target = match self.root.join(&*path).canonicalize() {
            Ok(target) => target,
            // Whatever else a dangling link may be, by its name it is no manifest.
            Err(_) if !is_manifest => return,
            Err(error) => {
                let hint = "remove the link, or let it lead to a file";
                self.unreadable(Code::Unreadable, path, format!("the link leads nowhere: {error}"), hint);
                return;
            }
        };
        if target.is_dir() {
            let hint = "links to folders are not followed; move the folder here, or link its files";
            self.problem(Code::NotAFile, &path, "it is a link to a folder".to_owned(), hint);
        } else if is_manifest && self.has_room_for_file(&path) {
            let Ok(below) = target.strip_prefix(self.real) else {
                let hint = "copy the file here; only what lies in the directory is read";
                let message = "the link leads out of the directory of manifests".to_owned();
                self.unreadable(Code::OutsideDirectory, path, message, hint);
                return;
            };
            let contents = self.top.read_below(below, self.scanner.bounds.file_bytes);
            self.contents(path, contents);
        }
    }

    fn contents(&mut self, path: Arc<str>, contents: io::Result<Contents>) {
        match contents {
            Ok(Contents::Whole { bytes, stamp }) => {
                let stamp = stamp.is_settled(self.now).then_some(stamp);
                let (reading, parsed) = self.scanner.reading(&path, &bytes, stamp);
                self.scan.parsed += usize::from(parsed);
                self.found(path, reading, bytes.len() as u64);
            }
            Ok(Contents::TooLarge) => {
                let most = self.scanner.bounds.file_bytes;
                let message = format!("the file has more than {most} bytes");
                let hint = "split it; until then the last version that could be read is followed";
                self.unreadable(Code::FileTooLarge, path, message, hint);
            }
            Ok(Contents::Special(what)) => self.special(path, what),
            Ok(Contents::Unsteady) => {
                self.scan.settled = false;
                self.scan.files.push(ScannedFile { path, content: Content::Unreadable });
            }
            Err(error) if is_gone(&error) => self.scan.settled = false,
            Err(error) => {
                let hint = "let ekiden read it; until then the last version that could be read is followed";
                self.unreadable(Code::Unreadable, path, format!("the file cannot be read: {error}"), hint);
            }
        }
    }

    fn found(&mut self, path: Arc<str>, reading: Arc<Reading>, size: u64) {
        self.bytes += size;
        if self.bytes > self.scanner.bounds.total_bytes {
            let most = self.scanner.bounds.total_bytes;
            self.cut_short(&path, format!("the manifests have more than {most} bytes in all"));
        } else {
            self.scan.files.push(ScannedFile { path, content: Content::Read(reading) });
        }
    }

    fn has_room_for_file(&mut self, path: &str) -> bool {
        let most = self.scanner.bounds.files;
        let has_room = self.scan.files.len() < most;
        if !has_room {
            self.cut_short(path, format!("there are more than {most} manifests"));
        }
        has_room
    }

    fn special(&mut self, path: Arc<str>, what: &str) {
        let hint = "remove it, or give it another name";
        self.unreadable(Code::NotAFile, path, format!("it is no file, but {what}"), hint);
    }

    fn cut_short(&mut self, at: &str, why: String) {
        let hint = "check that this is the directory you mean; what comes after is not read, and apps declared there \
                    stay as they are";
        let at = if at.is_empty() { "." } else { at };
        self.problem(Code::TooManyFiles, at, why, hint);
        self.scan.cut_short = true;
    }

    fn unreadable(&mut self, code: Code, path: Arc<str>, message: String, hint: &'static str) {
        self.problem(code, &path, message, hint);
        self.scan.files.push(ScannedFile { path, content: Content::Unreadable });
    }

    fn problem(&mut self, code: Code, path: &str, message: String, hint: &'static str) {
        self.scan.problems.push(Diagnostic::whole_file(code, &path.into(), message).hint(hint));
    }
}

/// What opening says of a name that is no longer what it was when it was listed: gone, or a link now.
fn is_gone(error: &io::Error) -> bool {
    let changed = [rustix::io::Errno::NOENT, rustix::io::Errno::LOOP, rustix::io::Errno::NOTDIR];
    changed.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

fn is_manifest(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    let (stem, extension) = (&name[..dot], &name[dot + 1..]);
    [b"json".as_slice(), b"yaml", b"yml"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        && !is_side_of_a_merge(stem)
}

/// `web_BASE_4711`, as git's merge tools name the versions they compare.
fn is_side_of_a_merge(stem: &[u8]) -> bool {
    let Some(underscore) = stem.iter().rposition(|byte| *byte == b'_') else { return false };
    let (before, number) = (&stem[..underscore], &stem[underscore + 1..]);
    !number.is_empty()
        && number.iter().all(u8::is_ascii_digit)
        && [b"_BACKUP".as_slice(), b"_BASE", b"_LOCAL", b"_REMOTE"].iter().any(|side| before.ends_with(side))
}
