//! Fingerprints: 64 bits that stand for a value, where keeping or comparing the value itself would cost too much.
//!
//! Not a defence against anybody: whoever writes the values could make two that collide. Two that meet by accident
//! would make a changed check pass for unchanged, once in 10^19 edits.

use std::fmt::{self, Write as _};

/// 64 bits that stand for a value: FNV-1a of its text. The same on every platform and in every version, so it may be
/// stored; the standard hasher promises neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a text, which is not kept: `Fingerprint::of(format_args!("{a}/{b}"))`.
    pub fn of(text: fmt::Arguments<'_>) -> Self {
        let mut fnv = Fnv(0xcbf2_9ce4_8422_2325);
        // Writing into a number cannot fail; a `Display` that gives up halfway has said the same as ever till there.
        let _ = fnv.write_fmt(text);
        Self(fnv.0)
    }

    /// As it was stored.
    pub const fn from_u64(bits: u64) -> Self {
        Self(bits)
    }

    /// To be stored.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a_whatever_pieces_the_text_comes_in() {
        // The published test vectors of FNV-1a, 64 bits.
        assert_eq!(Fingerprint::of(format_args!("")).as_u64(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fingerprint::of(format_args!("foobar")).as_u64(), 0x8594_4171_f739_67e8);
        assert_eq!(Fingerprint::of(format_args!("{}{}", "foo", "bar")), Fingerprint::of(format_args!("foobar")));
    }
}
