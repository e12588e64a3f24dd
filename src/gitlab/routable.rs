//! Whether a pasted routable token is whole: its last seven characters are a checksum of the rest.
//!
//! The format is that of GitLab's `routable_token.rb`: `<prefix><payload>[.<version>].<length><crc>`, length and
//! CRC-32 in base 36, the CRC over everything before it, prefix included. Classic tokens carry no checksum.

/// What a look at the text of a token says, without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wholeness {
    /// A routable token whose checksum matches.
    Whole,
    /// A routable token whose checksum does not match, or whose end is missing.
    Damaged,
    /// Not a routable token: nothing can be said.
    Unknown,
}

const CRC_LENGTH: usize = 7;
const TAIL_LENGTH: usize = 9;
/// The shortest payload: 16 random bytes, `o:1` and one length byte, in base64url.
const PAYLOAD_MINIMUM: usize = 27;

/// Looks at `token` alone. Only the form is judged: a whole token may still be revoked.
#[must_use]
pub fn wholeness(token: &str) -> Wholeness {
    if !token.is_ascii() {
        return Wholeness::Unknown;
    }
    match form(token) {
        Form::Other => Wholeness::Unknown,
        Form::Cut => Wholeness::Damaged,
        Form::Complete => {
            let (covered, crc) = token.split_at(token.len() - CRC_LENGTH);
            match u64::from_str_radix(crc, 36) {
                Ok(expected) if expected == u64::from(crc32(covered.as_bytes())) => Wholeness::Whole,
                _ => Wholeness::Damaged,
            }
        }
    }
}

enum Form {
    Complete,
    Cut,
    Other,
}

/// Versions other than `01` are left alone: their rules are not known here.
fn form(token: &str) -> Form {
    let parts: Vec<&str> = token.split('.').collect();
    let (payload, tail) = match parts.as_slice() {
        [payload, tail] | [payload, "01", tail] => (*payload, *tail),
        _ => return Form::Other,
    };
    let is_payload = payload.len() >= PAYLOAD_MINIMUM
        && payload.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is_payload || !tail.bytes().all(is_base36) {
        return Form::Other;
    }
    match tail.len() {
        TAIL_LENGTH => Form::Complete,
        // No classic token has a dot, so one with GitLab's own prefix and a short end lost a part.
        0..TAIL_LENGTH if token.starts_with("glpat-") => Form::Cut,
        _ => Form::Other,
    }
}

fn is_base36(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_lowercase()
}

/// CRC-32 as in zlib (reflected polynomial 0xEDB88320), bit by bit: tokens are short.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitLab's format with fixed bytes instead of random ones; it belongs to nobody.
    const EXAMPLE: &str = "glpat-AAECAwQFBgcICQoLDA0OD2M6MQpvOjEKdTo0bQw.01.131yhzflx";

    #[test]
    fn crc32_agrees_with_the_check_value_of_its_definition() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_worked_example_is_whole() {
        assert_eq!(wholeness(EXAMPLE), Wholeness::Whole);
    }

    #[test]
    fn every_cut_after_the_payload_and_every_changed_character_is_seen() {
        let dot = EXAMPLE.find('.').unwrap();
        for end in dot + 1..EXAMPLE.len() {
            assert_eq!(wholeness(&EXAMPLE[..end]), Wholeness::Damaged, "cut at {end}");
        }
        for at in (6..EXAMPLE.len()).filter(|at| EXAMPLE.as_bytes()[*at] != b'.') {
            let mut changed = EXAMPLE.as_bytes().to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let version = dot + 1..dot + 3;
            if version.contains(&at) {
                continue;
            }
            assert_eq!(
                wholeness(std::str::from_utf8(&changed).unwrap()),
                Wholeness::Damaged,
                "changed at {at}"
            );
        }
    }

    #[test]
    fn a_classic_token_and_a_foreign_prefix_cannot_be_judged() {
        assert_eq!(wholeness("glpat-abcdefghij0123456789"), Wholeness::Unknown);
        assert_eq!(wholeness("company.abc"), Wholeness::Unknown);
        assert_eq!(wholeness(""), Wholeness::Unknown);
        assert_eq!(wholeness("glpat-é.01.131yhzflx"), Wholeness::Unknown);
        assert_eq!(wholeness(&EXAMPLE.replace(".01.", ".02.")), Wholeness::Unknown);
    }

    #[test]
    fn an_instance_prefix_is_covered_by_the_checksum() {
        assert_eq!(wholeness(&format!("corp-{EXAMPLE}")), Wholeness::Damaged);
    }
}
