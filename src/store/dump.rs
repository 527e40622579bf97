//! A store as text: JSON lines, to be kept elsewhere, looked into, or taken to another machine.
//!
//! ```text
//! {"ekiden":"state","format":1,"realm":"00c0ffee00c0ffee","records":3}
//! {"key":"#installation","version":1,"checksum":"8f1c4a55","record":{"realm":…}}
//! {"key":"/web","version":1,"checksum":"0b7e6f11","record":{"id":"/web",…}}
//! {"key":"/web#0000000000","version":1,"checksum":"51a0c9d2","record":{"app":"/web",…}}
//! {"end":"state","records":3,"checksum":"77aa13f0"}
//! ```
//!
//! A record's checksum is made as in the store, of the JSON that stands here. The last line's is over all lines before it,
//! so that a file which was cut, or put together of two, is noticed. Nothing of it is believed before all of it has been
//! read.

use std::collections::HashSet;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use ekiden_model::AppId;
use ekiden_model::record::Record;
use redb::Database;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::{self, Broken};
use super::load::Snapshot;
use super::{StoreError, v1};

/// The form of the lines; that of the records is told by each.
const FORMAT: u32 = 1;

const STATE: &str = "state";

/// Longest line that is read. The largest record is an app's, with a definition for each of its revisions.
const LINE_MAX_BYTES: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    ekiden: String,
    format: u32,
    realm: String,
    records: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    key: String,
    version: u32,
    checksum: String,
    #[serde(borrow)]
    record: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    end: String,
    records: u64,
    checksum: String,
}

/// Why an export cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lines cannot be written.
    #[error("the export cannot be written")]
    Write(#[from] io::Error),
}

/// Why an export cannot be taken in. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// It is something else.
    #[error("this is no export of ekiden's state ({problem}): give the file that `ekiden state export` wrote")]
    Foreign {
        /// What is wrong.
        problem: String,
    },
    /// A newer Ekiden wrote it.
    #[error(
        "line {line} was written by a newer ekiden (version {found}; this one reads up to {known}): use that one"
    )]
    Newer {
        /// Where, from 1.
        line: u64,
        /// The version found.
        found: u32,
        /// The newest that is read here.
        known: u32,
    },
    /// It ends before its last line.
    #[error("the export is cut off after {lines} lines: copy it again, or take another one")]
    Cut {
        /// How many lines there are.
        lines: u64,
    },
    /// A line is not as it was written.
    #[error("line {line} of the export is damaged ({problem}): copy it again, or take another one")]
    Damaged {
        /// Where, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be read.
    #[error("the export cannot be read")]
    Read(#[from] io::Error),
}

/// Writes all records of a store: what is durable at this moment.
pub(super) fn write(path: &Path, database: &Database, out: impl Write) -> Result<(), ExportError> {
    let snapshot = Snapshot::of(path, database)?;
    let realm = snapshot.installation()?.realm;
    let mut writer = Writer::begin(io::BufWriter::new(out), realm, snapshot.len()?)?;
    snapshot.each(|key, json| Ok::<_, ExportError>(writer.record(key, json)?))?;
    Ok(writer.end()?)
}

/// Writes lines, one record after the other.
struct Writer<W> {
    out: W,
    sum: crc32fast::Hasher,
    records: u64,
}

impl<W: Write> Writer<W> {
    /// Begins with the header; there have to follow `records` records.
    fn begin(out: W, realm: u64, records: u64) -> io::Result<Self> {
        let mut writer = Self { out, sum: crc32fast::Hasher::new(), records };
        writer.line(&Header { ekiden: STATE.to_owned(), format: FORMAT, realm: hex(realm), records })?;
        Ok(writer)
    }

    fn record(&mut self, key: &str, json: &str) -> io::Result<()> {
        let checksum = format!("{:08x}", envelope::checksum_of(key, json.as_bytes()));
        let record = serde_json::from_str(json)?;
        self.line(&Line { key: key.to_owned(), version: envelope::VERSION, checksum, record })
    }

    /// Ends with the footer.
    fn end(mut self) -> io::Result<()> {
        let checksum = format!("{:08x}", self.sum.clone().finalize());
        self.line(&Footer { end: STATE.to_owned(), records: self.records, checksum })?;
        self.out.flush()
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.sum.update(&text);
        self.out.write_all(&text)
    }
}

/// Reads all records, the installation first, and believes none before the last line.
pub(super) fn read(input: impl BufRead) -> Result<Vec<Record>, DumpError> {
    let mut lines = Lines { input, number: 0, sum: crc32fast::Hasher::new(), sum_before: 0 };
    let header = header(&mut lines)?;
    let mut checked = Checked::default();
    loop {
        let text = lines.next()?.ok_or(DumpError::Cut { lines: lines.number })?;
        if text.starts_with("{\"end\"") {
            footer(&lines, &text, checked.records.len() as u64)?;
            break;
        }
        checked.take(lines.number, &text)?;
    }
    if lines.next()?.is_some() {
        return Err(lines.damaged("there is something after the end"));
    }
    match checked.records.first() {
        Some(Record::Installation(installation)) if hex(installation.realm) == header.realm => {}
        _ => return Err(lines.damaged("the installation's record is missing, or another's")),
    }
    if checked.records.len() as u64 != header.records {
        return Err(lines.damaged(&format!("{} records were announced", header.records)));
    }
    Ok(checked.records)
}

/// Text, line by line, with its checksum.
struct Lines<R> {
    input: R,
    number: u64,
    sum: crc32fast::Hasher,
    /// Over all lines before the last one read.
    sum_before: u32,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end; nothing after the last. A line without an end was cut.
    fn next(&mut self) -> Result<Option<String>, DumpError> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.last() != Some(&b'\n') {
            if bytes.len() as u64 == LINE_MAX_BYTES {
                self.number += 1;
                return Err(self.damaged("it is too long"));
            }
            return Err(DumpError::Cut { lines: self.number });
        }
        self.number += 1;
        self.sum_before = self.sum.clone().finalize();
        self.sum.update(&bytes);
        bytes.pop();
        let text = String::from_utf8(bytes).map_err(|_| self.damaged("it is not UTF-8"))?;
        Ok(Some(text))
    }

    fn damaged(&self, problem: &str) -> DumpError {
        DumpError::Damaged { line: self.number, problem: problem.to_owned() }
    }
}

fn header(lines: &mut Lines<impl BufRead>) -> Result<Header, DumpError> {
    let foreign = |problem: &str| DumpError::Foreign { problem: problem.to_owned() };
    let text = match lines.next() {
        Ok(Some(text)) => text,
        Ok(None) => return Err(foreign("it is empty")),
        Err(DumpError::Read(error)) => return Err(error.into()),
        Err(_) => return Err(foreign("its first line is none of ekiden's")),
    };
    // The format is looked at first: a newer header may have more to say.
    let format = serde_json::from_str::<serde_json::Value>(&text).ok();
    let format = format.filter(|header| header["ekiden"] == STATE).and_then(|header| header["format"].as_u64());
    match format.map(u32::try_from) {
        None => Err(foreign("its first line is none of ekiden's")),
        Some(Ok(FORMAT)) => serde_json::from_str(&text).map_err(|error| foreign(&error.to_string())),
        Some(found) => Err(DumpError::Newer { line: 1, found: found.unwrap_or(u32::MAX), known: FORMAT }),
    }
}

fn footer(lines: &Lines<impl BufRead>, text: &str, records: u64) -> Result<(), DumpError> {
    let footer: Footer = serde_json::from_str(text).map_err(|error| lines.damaged(&error.to_string()))?;
    if footer.end != STATE || footer.records != records {
        return Err(lines.damaged(&format!("it speaks of {} records and there are {records}", footer.records)));
    }
    if footer.checksum != format!("{:08x}", lines.sum_before) {
        return Err(lines.damaged("the lines before it are not those that were written"));
    }
    Ok(())
}

/// Records that are good, and fit each other.
#[derive(Default)]
struct Checked {
    reader: v1::Reader,
    records: Vec<Record>,
    apps: HashSet<AppId>,
    last_key: String,
}

impl Checked {
    fn take(&mut self, line: u64, text: &str) -> Result<(), DumpError> {
        let damaged = |problem: String| DumpError::Damaged { line, problem };
        let Line { key, version, checksum, record } =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let sealed = format!("{version} {checksum} {}", record.get());
        envelope::open(&key, sealed.as_bytes()).map_err(|broken| match broken {
            Broken::Newer(found) => DumpError::Newer { line, found, known: envelope::VERSION },
            Broken::Damaged(problem) => damaged(format!("the record of `{key}`: {problem}")),
        })?;
        let read = self
            .reader
            .read_json(&key, record.get())
            .map_err(|problem| damaged(format!("the record of `{key}`: {problem}")))?;
        if key <= self.last_key {
            return Err(damaged(format!("the record of `{key}` is there twice, or out of order")));
        }
        match &read {
            Record::Installation(_)
            | Record::Version(..)
            | Record::Deployment(_)
            | Record::Group(_)
            | Record::Pod(_) => {}
            Record::App(app) => _ = self.apps.insert(app.id.clone()),
            Record::Slot(slot) if self.apps.contains(&slot.app) => {}
            Record::Slot(slot) => {
                return Err(damaged(format!("instances of {}, but not the app itself", slot.app)));
            }
        }
        self.records.push(read);
        self.last_key = key;
        Ok(())
    }
}

fn hex(realm: u64) -> String {
    format!("{realm:016x}")
}
