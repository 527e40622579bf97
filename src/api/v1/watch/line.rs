//! How one thing that a watcher is told looks: a line of JSON, or a frame of an event stream.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

use crate::runtime::changes::WorldRevision;

/// As which a watcher wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `text/event-stream`.
    Frames,
    /// JSON, a value in each line.
    Lines,
}

impl Form {
    /// Its media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Frames => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// Appends what is told: its kind, how far the watcher has come when it has read this, and more members.
    pub(super) fn write(
        self,
        out: &mut BytesMut,
        kind: &str,
        come_to: Option<WorldRevision>,
        members: &[(&str, Bytes)],
    ) {
        let revision = come_to.map(|revision| revision.to_string());
        if self == Self::Frames {
            out.put_slice(format!("event: {kind}\r\n").as_bytes());
            if let Some(revision) = &revision {
                out.put_slice(format!("id: {revision}\r\n").as_bytes());
            }
            out.put_slice(b"data: ");
        }
        out.put_slice(format!("{{\"type\":\"{kind}\"").as_bytes());
        if let Some(revision) = &revision {
            out.put_slice(format!(",\"revision\":\"{revision}\"").as_bytes());
        }
        for (name, value) in members {
            out.put_slice(format!(",\"{name}\":").as_bytes());
            out.put_slice(value);
        }
        out.put_slice(match self {
            Self::Frames => b"}\r\n\r\n",
            Self::Lines => b"}\n",
        });
    }
}

/// A value as JSON text.
pub(super) fn text(value: &Value) -> Bytes {
    value.to_string().into()
}
