//! Version 1 of the records' form.
//!
//! The structs here are frozen once released: a change of form is a `v2` beside this, and a conversion. They refuse
//! unknown fields, so that a form which grew without a new version is noticed at once. Times are milliseconds since
//! 1970, durations nanoseconds. A declaration is kept as the canonical Marathon JSON that the API shows, and read by
//! the rules for manifests: a rule that becomes stricter needs a new version here, too, with a conversion for what was
//! good before.
//!
//! Apps, their versions and slots, of which there may be a hundred thousand to be read before anything is answered, are
//! packed in [postcard]: the same form without names. All else is JSON, and so is everything in an export.
//!
//! [postcard]: https://postcard.jamesmunns.com

mod app;
mod health;
mod history;
mod instance;
mod names;
mod shelf;

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::history::Definition;
use ekiden_model::record::{self, Record, RecordKey};
use ekiden_model::{Agent, App, AppId, AppKey, FrameworkId, Port, Role, Slot, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::manifest;

const INSTALLATION: &str = "#installation";
const DEPLOYMENT: &str = "$deployment/";
const GROUP: &str = "$group/";
const POD: &str = "$pod/";

/// As many as the largest number has, so that keys sort as numbers do.
const SLOT_DIGITS: usize = 10;

/// Milliseconds since 1970 have 13 digits until the year 2286, and 16 for long after.
const VERSION_DIGITS: usize = 16;

/// The key of a record: see [`super::disk`].
pub(super) fn key(record: &Record) -> String {
    match record {
        Record::Installation(_) => INSTALLATION.to_owned(),
        Record::App(app) => app.id.to_string(),
        Record::Slot(slot) => format!("{}#{:0SLOT_DIGITS$}", slot.app, slot.slot.0),
        Record::Version(app, version) => name_of(&RecordKey::Version(app.clone(), version.at)),
        Record::Deployment(deployment) => name_of(&RecordKey::Deployment(deployment.id)),
        Record::Group(group) => name_of(&RecordKey::Group(group.id.clone())),
        Record::Pod(pod) => name_of(&RecordKey::Pod(pod.id.clone())),
    }
}

/// The key of a record that goes by itself.
pub(super) fn name_of(key: &RecordKey) -> String {
    match key {
        RecordKey::Version(app, at) => format!("{app}!{:0VERSION_DIGITS$}", at.as_millis()),
        RecordKey::Deployment(id) => format!("{DEPLOYMENT}{id}"),
        RecordKey::Group(id) => format!("{GROUP}{id}"),
        RecordKey::Pod(id) => format!("{POD}{id}"),
    }
}

/// What is stored of a record.
pub(super) fn body(record: &Record) -> Result<Vec<u8>, String> {
    match record {
        Record::App(app) => packed(&app::AppRecord::of(app, app::text_of)),
        Record::Slot(slot) => instance::pack(slot),
        Record::Version(app, version) => packed(&history::Version::of(app, version, history::text_of)),
        other => Ok(json(other)?.into_bytes()),
    }
}

/// The JSON of a record.
fn json(record: &Record) -> Result<String, String> {
    let written = match record {
        Record::Installation(installation) => serde_json::to_string(&Installation::of(installation)),
        Record::App(app) => serde_json::to_string(&app::AppRecord::of(app, manifest::app_to_json)),
        Record::Slot(slot) => serde_json::to_string(&instance::SlotRecord::of(slot)),
        Record::Version(app, version) => {
            serde_json::to_string(&history::Version::of(app, version, history::value_of))
        }
        Record::Deployment(deployment) => serde_json::to_string(&history::Deployment::of(deployment)),
        Record::Group(group) => serde_json::to_string(&shelf::Group::of(group)),
        Record::Pod(pod) => serde_json::to_string(&shelf::Pod::of(pod)),
    };
    written.map_err(|error| error.to_string())
}

/// Reads records. What many of them share is kept once: an agent, an app's id, and its definition.
#[derive(Default)]
pub(super) struct Reader {
    shared: Shared,
}

impl Reader {
    /// Reads one record as it is stored; the text of an error is a fragment for people.
    pub(super) fn read(&mut self, record_key: &str, body: &[u8]) -> Result<Record, String> {
        let record = match Form::of(record_key) {
            Form::Slot(app, slot) => {
                let app = self.shared.app(app)?;
                return instance::unpack(app, slot, body, &mut self.shared).map(Record::Slot);
            }
            Form::App => {
                let app = unpacked::<app::AppRecord<&str>>(body)?.read(&mut self.shared)?;
                Record::App(Box::new(app))
            }
            Form::Version => {
                let (app, version) = unpacked::<history::Version<&str>>(body)?.read(&mut self.shared)?;
                Record::Version(app, Box::new(version))
            }
            Form::Json => return self.read_json(record_key, text(body)?),
        };
        checked(record_key, record)
    }

    /// The JSON of a record that is stored.
    pub(super) fn show<'a>(&mut self, record_key: &str, body: &'a [u8]) -> Result<Cow<'a, str>, String> {
        match Form::of(record_key) {
            Form::Json => text(body).map(Cow::Borrowed),
            _ => json(&self.read(record_key, body)?).map(Cow::Owned),
        }
    }

    /// Reads one record of its JSON.
    pub(super) fn read_json(&mut self, record_key: &str, json: &str) -> Result<Record, String> {
        let record = if record_key == INSTALLATION {
            Record::Installation(Box::new(parse::<Installation>(json)?.read()?))
        } else if record_key.starts_with(DEPLOYMENT) {
            let deployment = parse::<history::Deployment<_>>(json)?.read(&mut self.shared)?;
            Record::Deployment(Box::new(deployment))
        } else if record_key.starts_with(GROUP) {
            Record::Group(parse::<shelf::Group>(json)?.read()?)
        } else if record_key.starts_with(POD) {
            Record::Pod(parse::<shelf::Pod>(json)?.read()?)
        } else if record_key.contains('!') {
            let (app, version) = parse::<history::Version<&RawValue>>(json)?.read(&mut self.shared)?;
            Record::Version(app, Box::new(version))
        } else if record_key.contains('#') {
            Record::Slot(parse::<instance::SlotRecord>(json)?.read(&mut self.shared)?)
        } else {
            Record::App(Box::new(parse::<app::AppRecord<&RawValue>>(json)?.read(&mut self.shared)?))
        };
        checked(record_key, record)
    }
}

/// In which form the record with a key is stored.
enum Form<'a> {
    App,
    Version,
    Slot(&'a str, Slot),
    Json,
}

impl<'a> Form<'a> {
    fn of(record_key: &'a str) -> Self {
        if let Some((app, slot)) = slot_of(record_key) {
            Self::Slot(app, slot)
        } else if record_key.starts_with(['#', '$']) || record_key.contains('#') {
            Self::Json
        } else if record_key.contains('!') {
            Self::Version
        } else {
            Self::App
        }
    }
}

/// The record, if the key is its own.
fn checked(record_key: &str, record: Record) -> Result<Record, String> {
    if !is_key_of(record_key, &record) {
        return Err(format!("it is the record of `{}`", key(&record)));
    }
    Ok(record)
}

/// Whether `text` is the record's [`key`]; nothing is put together for it where there are many.
fn is_key_of(text: &str, record: &Record) -> bool {
    match record {
        Record::Installation(_) => text == INSTALLATION,
        Record::App(app) => text == app.id.as_str(),
        Record::Slot(slot) => slot_of(text) == Some((slot.app.as_str(), slot.slot)),
        Record::Version(..) | Record::Deployment(_) | Record::Group(_) | Record::Pod(_) => text == key(record),
    }
}

/// The app's id and the slot, if it is the key of a slot.
fn slot_of(key: &str) -> Option<(&str, Slot)> {
    let (app, number) = key.split_once('#').filter(|(app, _)| !app.is_empty())?;
    let digits = number.len() == SLOT_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((app, Slot(number.parse().ok().filter(|_| digits)?)))
}

fn text(body: &[u8]) -> Result<&str, String> {
    str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())
}

/// Values that many records hold, by the very bytes in which they are written.
#[derive(Default)]
struct Shared {
    agents: HashMap<Box<[u8]>, Arc<Agent>>,
    /// The last app id that was read: records of one app come together.
    app: Option<AppId>,
    /// The last role that was read.
    role: Option<Role>,
    /// The last definition that was read: an app's revisions and its declaration are often one.
    definition: Option<(Box<str>, Arc<App>)>,
}

impl Shared {
    fn app(&mut self, text: &str) -> Result<AppId, String> {
        if let Some(known) = self.app.as_ref().filter(|known| known.as_str() == text) {
            return Ok(known.clone());
        }
        let app = AppId::parse(text).map_err(|error| error.to_string())?;
        self.app = Some(app.clone());
        Ok(app)
    }

    /// A definition of the past: not read, unless it is the one at hand.
    fn definition(&self, written: &str) -> Definition {
        match &self.definition {
            Some((known, app)) if **known == *written => Definition::Known(app.clone()),
            _ => Definition::Written(written.into()),
        }
    }

    fn role(&mut self, text: &str) -> Role {
        if let Some(known) = self.role.as_ref().filter(|known| known.as_str() == text) {
            return known.clone();
        }
        let role = Role::new(text);
        self.role = Some(role.clone());
        role
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Installation {
    realm: u64,
    births: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    framework: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    life: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    predecessors: Vec<Key>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disowned_framework: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    disowned: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    listeners: Vec<Arc<str>>,
}

/// An app's key, in hexadecimal: JSON's numbers have too few digits for it.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Key(String);

impl Key {
    fn of(key: AppKey) -> Self {
        Self(format!("{:032x}", key.to_bits()))
    }

    fn read(self) -> Result<AppKey, String> {
        let bits =
            u128::from_str_radix(&self.0, 16).map_err(|error| format!("`{}` is no key: {error}", self.0))?;
        Ok(AppKey::from_bits(bits))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Installation {
    fn of(installation: &record::Installation) -> Self {
        let record::Installation {
            realm,
            births,
            framework,
            life,
            predecessors,
            disowned_framework,
            disowned,
            listeners,
        } = installation;
        Self {
            realm: *realm,
            births: *births,
            framework: framework.as_ref().map(ToString::to_string),
            life: *life,
            predecessors: predecessors.iter().copied().map(Key::of).collect(),
            disowned_framework: disowned_framework.as_ref().map(ToString::to_string),
            disowned: disowned.iter().map(ToString::to_string).collect(),
            listeners: listeners.iter().cloned().collect(),
        }
    }

    fn read(self) -> Result<record::Installation, String> {
        let Self { realm, births, framework, life, predecessors, disowned_framework, disowned, listeners } = self;
        Ok(record::Installation {
            realm,
            births,
            framework: framework.map(FrameworkId::new),
            life,
            predecessors: predecessors.into_iter().map(Key::read).collect::<Result<_, _>>()?,
            disowned_framework: disowned_framework.map(FrameworkId::new),
            disowned: disowned.into_iter().map(TaskId::new).collect(),
            listeners: listeners.into_iter().collect(),
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn packed(value: &impl Serialize) -> Result<Vec<u8>, String> {
    postcard::to_stdvec(value).map_err(|error| error.to_string())
}

fn unpacked<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("it goes on for {} bytes after its end", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

fn ports(ports: &[Option<Port>]) -> Vec<Option<NonZeroU16>> {
    ports.iter().map(|port| port.and_then(|port| NonZeroU16::new(port.get()))).collect()
}

fn read_ports(ports: &[Option<NonZeroU16>]) -> Vec<Option<Port>> {
    ports.iter().map(|port| port.and_then(|port| Port::new(port.get()))).collect()
}

/// Nanoseconds; 584 years of them fit.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
