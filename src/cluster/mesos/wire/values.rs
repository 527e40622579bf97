//! The small forms of Mesos' JSON that occur everywhere: `{"value": …}`, labels, times, amounts.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use ekiden_model::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as DeserializeDerive, Serialize};

/// Mesos wraps ids, texts and numbers: `{"value": "S1"}`.
#[derive(Debug, Clone, PartialEq, Serialize, DeserializeDerive)]
pub(super) struct Value<T> {
    pub(super) value: T,
}

/// Text that is borrowed from the frame where it holds no escapes.
#[derive(Debug, PartialEq, DeserializeDerive)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// An id, to be sent.
pub(super) fn id(text: &str) -> Value<&str> {
    Value { value: text }
}

/// A list of labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, DeserializeDerive)]
pub(super) struct Labels {
    #[serde(default)]
    pub(super) labels: Vec<Label>,
}

/// One label. A key may stand alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeserializeDerive)]
pub(super) struct Label {
    pub(super) key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
}

impl Labels {
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The value of the first label of this name.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|label| label.key == key)?.value.as_deref()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        let label = |(key, value): (K, V)| Label { key: key.into(), value: Some(value.into()) };
        Self { labels: pairs.into_iter().map(label).collect() }
    }
}

/// `TimeInfo` and `DurationInfo`: `{"nanoseconds": …}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, DeserializeDerive)]
pub(super) struct Nanoseconds {
    pub(super) nanoseconds: i64,
}

impl Nanoseconds {
    pub(super) fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(self.nanoseconds.div_euclid(1_000_000))
    }

    pub(super) fn duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanoseconds).unwrap_or(0))
    }
}

impl From<Duration> for Nanoseconds {
    /// Saturates after 292 years.
    fn from(duration: Duration) -> Self {
        Self { nanoseconds: i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX) }
    }
}

/// `Unavailability`: when an agent is to go into maintenance, and for how long.
#[derive(Debug, Clone, Copy, DeserializeDerive)]
pub(super) struct Unavailability {
    start: Nanoseconds,
    duration: Option<Nanoseconds>,
}

impl Unavailability {
    pub(super) fn window(self) -> (Timestamp, Option<Duration>) {
        (self.start.timestamp(), self.duration.map(Nanoseconds::duration))
    }
}

/// The point so many seconds after the epoch.
pub(super) fn at_seconds(seconds: Number) -> Timestamp {
    // `as` saturates and takes NaN to 0.
    Timestamp::from_millis((seconds.0 * 1000.0) as i64)
}

/// A number. Mesos writes those that JSON has no digits for as texts, `"Infinity"` and `"NaN"`; whatever else stands in
/// its place is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_str<E>(self, value: &str) -> Result<Number, E> {
        Ok(Number(value.parse().unwrap_or(0.0)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
        Ok(Number(0.0))
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(0.0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number(0.0))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number(0.0))
    }
}
