//! The envelope of a record's value: its version, its checksum, then JSON.
//!
//! `1 3f2a9c01 {"realm":…}`: text throughout, so that a value can be read, and if need be repaired, by a person. The
//! checksum covers version, key and JSON: a value under the wrong key is found as well, and a flipped bit in the version is
//! not taken for a newer Ekiden's. It is CRC-32 (as in gzip): a guard against accidents, not against forgers. This frame is the same in every version, so that any Ekiden can tell the two apart.

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

/// Puts `json` into an envelope for `key`.
pub(super) fn seal(key: &str, json: &str) -> String {
    frame(VERSION, key, json)
}

fn frame(version: u32, key: &str, json: &str) -> String {
    format!("{version} {:08x} {json}", checksum(&version.to_string(), key, json))
}

/// The checksum in the envelope of `json` for `key`.
pub(super) fn checksum_of(key: &str, json: &str) -> u32 {
    checksum(&VERSION.to_string(), key, json)
}

fn checksum(version: &str, key: &str, json: &str) -> u32 {
    let mut sum = Hasher::new();
    for part in [version, " ", key, " ", json] {
        sum.update(part.as_bytes());
    }
    sum.finalize()
}

/// Takes the JSON out of the envelope for `key`.
pub(super) fn open<'a>(key: &str, value: &'a [u8]) -> Result<&'a str, Broken> {
    let text = std::str::from_utf8(value).map_err(|_| Broken::Damaged("it is not UTF-8"))?;
    let mut parts = text.splitn(3, ' ');
    let (Some(version), Some(checksum_text), Some(json)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Broken::Damaged("it has no header"));
    };
    let written =
        u32::from_str_radix(checksum_text, 16).map_err(|_| Broken::Damaged("its checksum is no number"))?;
    if written != checksum(version, key, json) {
        return Err(Broken::Damaged("its checksum does not match"));
    }
    let version: u32 = version.parse().map_err(|_| Broken::Damaged("its version is no number"))?;
    match version {
        VERSION => Ok(json),
        0 => Err(Broken::Damaged("there is no version 0")),
        newer => Err(Broken::Newer(newer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_under_its_own_key_only() {
        let value = seal("/web", r#"{"a":"b c"}"#);
        assert_eq!(value, r#"1 0fa72e5a {"a":"b c"}"#);
        assert_eq!(open("/web", value.as_bytes()), Ok(r#"{"a":"b c"}"#));
        assert_eq!(open("/wef", value.as_bytes()), Err(Broken::Damaged("its checksum does not match")));
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let value = seal("/web", r#"{"a":1}"#).into_bytes();
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
        assert_eq!(open("/web", frame(2, "/web", "{}").as_bytes()), Err(Broken::Newer(2)));
        assert_eq!(open("/web", frame(0, "/web", "{}").as_bytes()), Err(Broken::Damaged("there is no version 0")));
        assert_eq!(open("/web", b""), Err(Broken::Damaged("it has no header")));
        assert_eq!(open("/web", b"1 zz {}"), Err(Broken::Damaged("its checksum is no number")));
    }
}
