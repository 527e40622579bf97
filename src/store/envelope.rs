//! The envelope of a record's value: its version, its checksum, then its body.
//!
//! `1 3f2a9c01 {"realm":…}`. The checksum covers version, key and body: a value under the wrong key is found as well, and
//! a flipped bit in the version is not taken for a newer Ekiden's. It is CRC-32 (as in gzip): a guard against accidents,
//! not against forgers. This frame is the same in every version, so that any Ekiden can tell the two apart; what the body
//! is written in, the version says.

use crc32fast::Hasher;

/// The version that this Ekiden writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

/// Why a value cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is not what was written.
    Damaged(&'static str),
    /// It is of a version that is not known here.
    Newer(u32),
}

/// Puts `body` into an envelope for `key`.
pub(super) fn seal(key: &str, body: &[u8]) -> Vec<u8> {
    frame(VERSION, key, body)
}

fn frame(version: u32, key: &str, body: &[u8]) -> Vec<u8> {
    let mut value = format!("{version} {:08x} ", checksum(&version.to_string(), key, body)).into_bytes();
    value.extend_from_slice(body);
    value
}

/// The checksum in the envelope of `body` for `key`.
pub(super) fn checksum_of(key: &str, body: &[u8]) -> u32 {
    checksum(&VERSION.to_string(), key, body)
}

fn checksum(version: &str, key: &str, body: &[u8]) -> u32 {
    let mut sum = Hasher::new();
    for part in [version.as_bytes(), b" ", key.as_bytes(), b" ", body] {
        sum.update(part);
    }
    sum.finalize()
}

/// Takes the body out of the envelope for `key`.
pub(super) fn open<'a>(key: &str, value: &'a [u8]) -> Result<&'a [u8], Broken> {
    let mut parts = value.splitn(3, |byte| *byte == b' ');
    let (Some(version), Some(checksum_text), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Broken::Damaged("it has no header"));
    };
    let is_text = |_| Broken::Damaged("its header is no text");
    let (version, checksum_text) =
        (str::from_utf8(version).map_err(is_text)?, str::from_utf8(checksum_text).map_err(is_text)?);
    let written =
        u32::from_str_radix(checksum_text, 16).map_err(|_| Broken::Damaged("its checksum is no number"))?;
    if written != checksum(version, key, body) {
        return Err(Broken::Damaged("its checksum does not match"));
    }
    let version: u32 = version.parse().map_err(|_| Broken::Damaged("its version is no number"))?;
    match version {
        VERSION => Ok(body),
        0 => Err(Broken::Damaged("there is no version 0")),
        newer => Err(Broken::Newer(newer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_under_its_own_key_only() {
        let value = seal("/web", br#"{"a":"b c"}"#);
        assert_eq!(value, br#"1 0fa72e5a {"a":"b c"}"#);
        assert_eq!(open("/web", &value), Ok(br#"{"a":"b c"}"#.as_slice()));
        assert_eq!(open("/web", &seal("/web", b"\xff \x00")), Ok(b"\xff \x00".as_slice()));
        assert_eq!(open("/wef", &value), Err(Broken::Damaged("its checksum does not match")));
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let value = seal("/web", br#"{"a":1}"#);
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A hex digit's case is all that may differ.
            if flipped.eq_ignore_ascii_case(&value) && flipped[11..] == value[11..] {
                continue;
            }
            let opened = open("/web", &flipped);
            assert!(matches!(opened, Err(Broken::Damaged(_))), "bit {bit}: {opened:?}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        assert_eq!(open("/web", &frame(2, "/web", b"{}")), Err(Broken::Newer(2)));
        assert_eq!(open("/web", &frame(0, "/web", b"{}")), Err(Broken::Damaged("there is no version 0")));
        assert_eq!(open("/web", b""), Err(Broken::Damaged("it has no header")));
        assert_eq!(open("/web", b"1 zz {}"), Err(Broken::Damaged("its checksum is no number")));
    }
}
