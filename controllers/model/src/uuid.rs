//! Names in the form of a uuid whose bits are ours: version 8, free use (RFC 9562).
//!
//! It owns the form and the hash that spreads what a name is made from. Nothing here is random.

use std::fmt;
use std::str::FromStr;

/// Version 8 and the variant of RFC 9562.
pub(crate) const MARKS: u128 = 0x0000_0000_0000_8000_8000_0000_0000_0000;

/// The bits that are free.
pub(crate) const FREE: u128 = 0xffff_ffff_ffff_0fff_3fff_ffff_ffff_ffff;

/// Bits that look random, of what a name is made from.
///
/// FNV-1a, 128 bits wide: stable across versions and platforms, which the standard hasher does not promise.
pub(crate) fn hash(bytes: impl IntoIterator<Item = u8>) -> u128 {
    let basis: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let step =
        |hash: u128, byte| (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    bytes.into_iter().fold(basis, step)
}

/// How long the 8-4-4-4-12 form is.
const LENGTH: usize = 36;

/// Where its hyphens are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Bits in the 8-4-4-4-12 form.
pub(crate) struct Uuid(pub(crate) u128);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

/// The text is none.
pub(crate) struct UuidError;

impl FromStr for Uuid {
    type Err = UuidError;

    /// Reads the 8-4-4-4-12 form, in capitals or not, and no other.
    fn from_str(text: &str) -> Result<Self, UuidError> {
        // Nothing is put together for it: every status names its task by one.
        let digit = |byte| char::from(byte).to_digit(16).map(u128::from);
        let read = text.bytes().enumerate().try_fold(0, |bits, (at, byte)| match (HYPHENS.contains(&at), byte) {
            (true, b'-') => Some(bits),
            (true, _) => None,
            (false, byte) => Some(bits << 4 | digit(byte)?),
        });
        read.filter(|_| text.len() == LENGTH).map(Self).ok_or(UuidError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_uuid_of_version_8() {
        // The published offset basis: the hash of nothing.
        assert_eq!(hash([]), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        let text = Uuid(hash(*b"a") & FREE | MARKS).to_string();
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(text[14..].starts_with('8') && "89ab".contains(&text[19..20]), "{text}");
    }
    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let text = "6c62272e-07bb-8142-a2b8-21756295c58d";
        let read = |text: &str| text.parse::<Uuid>().map(|uuid| uuid.to_string()).ok();
        assert_eq!(read(text).as_deref(), Some(text));
        assert_eq!(read(&text.to_ascii_uppercase()).as_deref(), Some(text));
        let hyphens_elsewhere = "6c62272-e07bb-8142-a2b8-21756295c58d";
        let longer = format!("{text}0");
        for other in [
            "",
            "6c62272e07bb8142a2b821756295c58d",
            "+c62272e-07bb-8142-a2b8-21756295c58d",
            hyphens_elsewhere,
            &longer,
            &text[1..],
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
