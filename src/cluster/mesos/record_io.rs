//! `RecordIO`: how Mesos puts one event after the other into an HTTP body that does not end. Each is its length in
//! decimal digits, a line feed, and so many bytes (Mesos: `docs/scheduler-http-api.md`).

use bytes::{Buf, Bytes, BytesMut};

/// The longest record. 2,000 agents offered at once take 4 MB; a length beyond this is none.
pub(super) const LONGEST_RECORD: usize = 64 << 20;

/// Digits of the longest length that can be told, in `u64`.
const MOST_DIGITS: usize = 20;

/// Cuts a stream of bytes into records.
#[derive(Debug)]
pub(super) struct RecordIo {
    buffer: BytesMut,
    /// The length of the record that comes next, once it has been read.
    length: Option<usize>,
    longest: usize,
}

/// What is no `RecordIO`. Nothing after it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    /// Something else than a length.
    #[error("the stream of events is garbled: no length where one must be")]
    Length,
    /// A record that nobody would send.
    #[error("an event of {0} bytes is announced; more than {LONGEST_RECORD} are not taken")]
    TooLong(usize),
}

impl Default for RecordIo {
    fn default() -> Self {
        Self::bounded(LONGEST_RECORD)
    }
}

impl RecordIo {
    fn bounded(longest: usize) -> Self {
        Self { buffer: BytesMut::new(), length: None, longest }
    }

    /// Takes in what came.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record, if it has come in full.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, RecordError> {
        let length = match self.length {
            Some(length) => length,
            None => match self.read_length()? {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        if self.buffer.len() < length {
            self.length = Some(length);
            return Ok(None);
        }
        self.length = None;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// Whether the stream may end here: no record has been begun.
    pub(super) fn is_between_records(&self) -> bool {
        self.length.is_none() && self.buffer.is_empty()
    }

    fn read_length(&mut self) -> Result<Option<usize>, RecordError> {
        let begin = &self.buffer[..self.buffer.len().min(MOST_DIGITS + 1)];
        let Some(end) = begin.iter().position(|byte| *byte == b'\n') else {
            let fits = begin.len() <= MOST_DIGITS && begin.iter().all(u8::is_ascii_digit);
            return if fits { Ok(None) } else { Err(RecordError::Length) };
        };
        let digits = &begin[..end];
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(RecordError::Length);
        }
        let digits = std::str::from_utf8(digits).map_err(|_| RecordError::Length)?;
        let length: usize = digits.parse().map_err(|_| RecordError::Length)?;
        if length > self.longest {
            return Err(RecordError::TooLong(length));
        }
        self.buffer.advance(end + 1);
        self.buffer.reserve(length.saturating_sub(self.buffer.len()));
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(records: &mut RecordIo) -> Vec<Bytes> {
        std::iter::from_fn(|| records.next().expect("good records")).collect()
    }

    #[test]
    fn records_come_out_as_they_went_in_however_the_bytes_were_cut() {
        let stream = b"5\nhello0\n11\n\n10\nlines\n\n3\nend";
        for cut in 1..=stream.len() {
            let mut records = RecordIo::default();
            let mut found = Vec::new();
            for part in stream.chunks(cut) {
                records.extend(part);
                found.extend(all(&mut records));
            }
            assert_eq!(found, ["hello", "", "\n10\nlines\n\n", "end"]);
            assert!(records.is_between_records());
        }
    }

    #[test]
    fn a_cut_record_is_known_by_what_is_left() {
        let mut records = RecordIo::default();
        records.extend(b"5\nhel");
        assert_eq!(records.next(), Ok(None));
        assert!(!records.is_between_records());
    }

    #[test]
    fn garbage_is_an_error_and_not_a_wait() {
        for garbage in ["{}", "5x\n", "\n", "-1\n", "+1\n", " 5\n", "HTTP/1.1", "999999999999999999999999"] {
            let mut records = RecordIo::default();
            records.extend(garbage.as_bytes());
            assert_eq!(records.next(), Err(RecordError::Length), "{garbage:?}");
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_refused_before_its_bytes_come() {
        let mut records = RecordIo::bounded(10);
        records.extend(b"10\n0123456789");
        assert_eq!(all(&mut records), [&b"0123456789"[..]]);
        records.extend(b"11\n");
        assert_eq!(records.next(), Err(RecordError::TooLong(11)));
    }
}
