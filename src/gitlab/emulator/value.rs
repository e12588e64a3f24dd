//! Token values: the versioned routable format, as `lib/authn/token_field/routable_token.rb` of GitLab writes it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// SHA-256 of a token value: all that the emulator keeps of it, as GitLab does (`token_digest`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(value: &str) -> Self {
        Self(Sha256::digest(value.as_bytes()).into())
    }

    /// Lower-case hexadecimal, 64 digits.
    pub(super) fn to_hex(self) -> String {
        hex(&self.0)
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `<prefix><base64url payload>.01.<length, 2 digits base 36><CRC-32, 7 digits base 36>`.
///
/// The payload is `random`, then the routing keys as lines `k:v` sorted by key, then one byte with the length of
/// those lines. The CRC covers everything before it, the prefix included.
pub(super) fn routable(prefix: &str, random: &[u8; 16], routing: &[(char, u64)]) -> Secret {
    let mut keys = routing.to_vec();
    keys.sort_unstable();
    let lines = keys.iter().map(|(key, number)| format!("{key}:{}", base36(*number, 1)));
    let lines = lines.collect::<Vec<_>>().join("\n");
    let mut payload = Zeroizing::new(random.to_vec());
    payload.extend_from_slice(lines.as_bytes());
    payload.push(lines.len() as u8);
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(payload.as_slice()));
    let mut value = format!("{prefix}{}.01.{}", encoded.as_str(), base36(encoded.len() as u64, 2));
    let checksum = crc32fast::hash(value.as_bytes());
    value.push_str(&base36(u64::from(checksum), 7));
    Secret::new(value)
}

/// `number` in base 36, lower case, with zeros in front up to `width` digits.
fn base36(mut number: u64, width: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    while number > 0 || digits.len() < width {
        digits.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_comes_out_exactly() {
        let random: [u8; 16] = std::array::from_fn(|index| index as u8);
        let value = routable("glpat-", &random, &[('u', 166), ('c', 1), ('o', 1)]);
        assert_eq!(value.expose(), "glpat-AAECAwQFBgcICQoLDA0OD2M6MQpvOjEKdTo0bQw.01.131yhzflx");
    }

    #[test]
    fn base_36_is_padded_on_the_left() {
        assert_eq!(base36(0, 2), "00");
        assert_eq!(base36(35, 1), "z");
        assert_eq!(base36(166, 1), "4m");
        assert_eq!(base36(u64::from(u32::MAX), 7), "1z141z3");
    }

    #[test]
    fn the_checksum_depends_on_the_prefix() {
        let one = routable("glpat-", &[7; 16], &[('o', 1)]);
        let two = routable("corp-", &[7; 16], &[('o', 1)]);
        assert_ne!(one.expose()[one.expose().len() - 7..], two.expose()[two.expose().len() - 7..]);
    }
}
