//! Folders and files by descriptor, so that nothing is reached but what lies below the root.
//!
//! Every step goes from an open folder to one name in it and follows no link. A folder that somebody swaps for a link
//! between looking and opening is an error then, and not a way out. Nothing opened here can block: a pipe opens at
//! once and is recognised by what it is.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) kind: EntryKind,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EntryKind {
    File,
    Folder,
    Link,
    /// A pipe, device or socket.
    Special(&'static str),
}

/// Changes whenever a file's content does, up to the resolution of the system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file, read.
#[derive(Debug)]
pub(super) enum Contents {
    /// All of it.
    Whole { bytes: Vec<u8>, stamp: Stamp },
    /// More than asked for.
    TooLarge,
    /// It was written to meanwhile.
    Unsteady,
    /// No file after all.
    Special(&'static str),
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the root, which may be a link: whoever names it means what it leads to.
    pub(super) fn root(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, FOLDER, Mode::empty())?))
    }

    /// Opens a folder in this one.
    pub(super) fn folder(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// All names, sorted, or `None` when there are more than `most`.
    pub(super) fn entries(&self, most: usize) -> io::Result<Option<Vec<Entry>>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if name == "." || name == ".." {
                continue;
            }
            if entries.len() == most {
                return Ok(None);
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match statat(&self.0, &name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => kind_of(&stat),
                    // It is gone again.
                    Err(rustix::io::Errno::NOENT) => continue,
                    Err(error) => return Err(error.into()),
                },
                known => kind(known),
            };
            entries.push(Entry { name, kind });
        }
        entries.sort();
        Ok(Some(entries))
    }

    /// The stamp of a file in this folder.
    pub(super) fn stamp(&self, name: &OsStr) -> io::Result<Stamp> {
        Ok(Stamp::of(&statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Reads a file in this folder, unless it has more than `most` bytes.
    pub(super) fn read(&self, name: &OsStr, most: u64) -> io::Result<Contents> {
        let file = File::from(match openat(&self.0, name, FILE, Mode::empty()) {
            // What a socket answers.
            Err(rustix::io::Errno::NXIO) => return Ok(Contents::Special("a socket")),
            opened => opened?,
        });
        let before = fstat(&file)?;
        match kind_of(&before) {
            EntryKind::File => {}
            EntryKind::Special(what) => return Ok(Contents::Special(what)),
            EntryKind::Folder | EntryKind::Link => return Ok(Contents::Unsteady),
        }
        let stamp = Stamp::of(&before);
        if stamp.size > most {
            return Ok(Contents::TooLarge);
        }
        let mut bytes = Vec::with_capacity(stamp.size as usize);
        (&file).take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Ok(Contents::TooLarge);
        }
        if Stamp::of(&fstat(&file)?) != stamp {
            return Ok(Contents::Unsteady);
        }
        Ok(Contents::Whole { bytes, stamp })
    }

    /// Reads a file somewhere below this folder, by a path without links in it.
    pub(super) fn read_below(&self, path: &Path, most: u64) -> io::Result<Contents> {
        let mut names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let Some(file) = names.next_back() else { return Ok(Contents::Special("a folder")) };
        let Some(first) = names.next() else { return self.read(file, most) };
        let folder = names.try_fold(self.folder(first)?, |folder, name| folder.folder(name))?;
        folder.read(file, most)
    }
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size.unsigned_abs(),
            modified: (stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            changed: (stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
        }
    }

    /// Whether the last change lies at least two seconds before `now` (seconds since 1970). Only then does the same
    /// stamp mean the same content: a clock that ticks every few milliseconds (or, on some network file systems, every
    /// second) can give two writes one time. A user cannot set the time of change, unlike that of modification.
    pub(super) fn is_settled(&self, now: i64) -> bool {
        self.changed.0 + 2 <= now
    }
}

fn kind_of(stat: &Stat) -> EntryKind {
    kind(FileType::from_raw_mode(stat.st_mode))
}

fn kind(of: FileType) -> EntryKind {
    match of {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Folder,
        FileType::Symlink => EntryKind::Link,
        FileType::Fifo => EntryKind::Special("a pipe"),
        FileType::Socket => EntryKind::Special("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => EntryKind::Special("a device"),
        FileType::Unknown => EntryKind::Special("of a kind that the system does not name"),
    }
}
