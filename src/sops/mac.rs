//! The message authentication code of a file: SHA-512 over the bytes of its values in order (sops.go:523-645). No keys
//! and no separators go into it; keys are bound by the additional data of encrypted values.

use sha2::{Digest as _, Sha512};

use super::value::{PlainRef, Type};

/// What the hash starts with when it covers encrypted values only (sops.go:93): SHA-256 of `sops`.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b,
    0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Takes the values of a file in order.
pub(super) struct Mac {
    /// In one place, as it holds the end of the last value.
    hash: Box<Sha512>,
    only_encrypted: bool,
}

impl Mac {
    pub(super) fn new(only_encrypted: bool) -> Self {
        let mut hash = Box::new(Sha512::new());
        if only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        Self { hash, only_encrypted }
    }

    /// A value, and whether it is encrypted in the file. Comments that stock sops keeps as list elements do not count.
    pub(super) fn add(&mut self, value: PlainRef<'_>, encrypted: bool) {
        if value.kind != Type::Comment && (encrypted || !self.only_encrypted) {
            self.hash.update(value.bytes);
        }
    }

    /// The digest as it is stored: 128 hexadecimal digits in upper case.
    pub(super) fn finish(mut self) -> String {
        self.hash.finalize_reset().iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use sha2::Sha256;

    use super::super::value::Plain;
    use super::*;

    #[test]
    fn the_start_of_the_narrow_mac_is_the_digest_of_the_word_sops() {
        assert_eq!(Sha256::digest("sops").as_slice(), ONLY_ENCRYPTED);
    }

    #[test]
    fn comments_do_not_count() {
        let mut with = Mac::new(false);
        with.add(Plain::new(Type::Comment, "c").as_ref(), true);
        assert_eq!(with.finish(), Mac::new(false).finish());
    }

    #[test]
    fn clear_values_count_only_in_the_wide_mac() {
        let digest = |only, encrypted| {
            let mut mac = Mac::new(only);
            mac.add(Plain::str("x").as_ref(), encrypted);
            mac.finish()
        };
        assert_eq!(digest(false, true), digest(false, false));
        assert_eq!(digest(true, false), Mac::new(true).finish());
        assert_ne!(digest(true, true), digest(true, false));
    }
}
