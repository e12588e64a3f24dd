//! The type of a YAML scalar in the clear, exactly as go-yaml v3 sees it (resolve.go, decode.go): clear values go into
//! the MAC as the bytes of their parsed value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::yaml::{Kind, Node, Style};

use super::time::Time;
use super::value::{Plain, Type};

/// Why a scalar has no type that both sides agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScalarError {
    /// sops refuses integers from 2^63 up.
    #[error("is an integer that does not fit into 64 bits with sign, which sops refuses: quote it")]
    TooLarge,
    /// JSON has numbers of any size, sops has not.
    #[error("is a number that does not fit into a float of 64 bits: make it a text")]
    NumberTooLarge,
    /// An integer of JSON that sops up to 3.13.1 rounds, and later versions do not.
    #[error("is an integer in the clear that versions of sops read differently (above 2^53): make it a text")]
    Ambiguous,
    /// `!!int x`, `!!binary` that is not base64, a time that Go cannot write.
    #[error("does not fit its tag or has no exact form: quote it")]
    NotOfItsTag,
    /// A tag of somebody's own, which sops drops.
    #[error("has a tag that sops does not keep")]
    ForeignTag,
}

const CORE: &str = "tag:yaml.org,2002:";

/// The value of a scalar node; `None` for null.
pub(super) fn value(node: Node<'_>) -> Result<Option<Plain>, ScalarError> {
    let Kind::Scalar(text, style) = node.kind() else { return Err(ScalarError::ForeignTag) };
    let tag = match node.tag() {
        // `!` alone means: no tag.
        None | Some("!") => {
            if style != Style::Plain {
                return Ok(Some(Plain::str(text)));
            }
            ""
        }
        Some(tag) => tag.strip_prefix(CORE).ok_or(ScalarError::ForeignTag)?,
    };
    match tag {
        "str" => Ok(Some(Plain::str(text))),
        "binary" => {
            let encoded: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
            STANDARD
                .decode(encoded)
                .map(|bytes| Some(Plain::new(Type::Str, bytes)))
                .map_err(|_| ScalarError::NotOfItsTag)
        }
        "merge" if text == "<<" => Ok(Some(Plain::str(text))),
        "" | "bool" | "float" | "int" | "null" | "timestamp" => tagged(tag, text),
        _ => Err(ScalarError::ForeignTag),
    }
}

/// Whether a scalar node is a string. The usual key is found to be one without making its value.
pub(super) fn is_str(node: Node<'_>) -> bool {
    let is_word = |text: &str| {
        let is_letter = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        is_letter && text.len() > LONGEST_WORD
    };
    match node.kind() {
        Kind::Scalar(text, Style::Plain) if node.tag().is_none() && is_word(text) => true,
        _ => matches!(value(node), Ok(Some(plain)) if plain.kind == Type::Str),
    }
}

fn tagged(tag: &str, text: &str) -> Result<Option<Plain>, ScalarError> {
    let resolved = resolve(tag, text)?;
    let fits = match (&resolved, tag) {
        (_, "") => true,
        (None, _) => tag == "null",
        (Some(plain), _) => match plain.kind {
            Type::Bool => tag == "bool",
            Type::Float => tag == "float",
            Type::Int => tag == "int" || tag == "float",
            Type::Time => tag == "timestamp",
            _ => false,
        },
    };
    match (resolved, fits) {
        (Some(plain), true) if plain.kind == Type::Int && tag == "float" => {
            let number = str::from_utf8(&plain.bytes).ok().and_then(|text| text.parse().ok());
            Ok(Some(Plain::float(number.ok_or(ScalarError::NotOfItsTag)?)))
        }
        (resolved, true) => Ok(resolved),
        (_, false) => Err(ScalarError::NotOfItsTag),
    }
}

/// Length of `false`, the longest text that starts with a letter and is no string.
pub(super) const LONGEST_WORD: usize = 5;

/// go-yaml's `resolve` for a scalar without quotes.
fn resolve(tag: &str, text: &str) -> Result<Option<Plain>, ScalarError> {
    let plain = match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(None),
        "true" | "True" | "TRUE" => Plain::bool(true),
        "false" | "False" | "FALSE" => Plain::bool(false),
        ".nan" | ".NaN" | ".NAN" => Plain::float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Plain::float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Plain::float(f64::NEG_INFINITY),
        _ => match text.as_bytes().first() {
            Some(b'.') => fraction(text).map_or_else(|| Plain::str(text), Plain::float),
            Some(b'0'..=b'9' | b'+' | b'-') => number_or_time(tag, text)?,
            _ => Plain::str(text),
        },
    };
    Ok(Some(plain))
}

/// A number that starts with its point; `_` may stand between digits (Go's strconv.ParseFloat).
fn fraction(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let between_digits = |at: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    // Go accepts `1__0` only where underscores were taken out before; here each stands between two digits.
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'_' && !between_digits(at)) {
        return None;
    }
    decimal(&text.replace('_', ""))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, finite (`yamlStyleFloat` in resolve.go).
fn decimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits = digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty());
    let exponent_fits = exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    if !mantissa_fits || !exponent_fits {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn number_or_time(tag: &str, text: &str) -> Result<Plain, ScalarError> {
    if matches!(tag, "" | "timestamp")
        && let Some(time) = Time::parse_yaml(text)
    {
        let canonical = time.canonical().ok_or(ScalarError::NotOfItsTag)?;
        return Ok(Plain::new(Type::Time, canonical));
    }
    let digits = text.replace('_', "");
    match integer(&digits) {
        Integer::Fits(number) => return Ok(Plain::int(number)),
        Integer::Unsigned => return Err(ScalarError::TooLarge),
        Integer::No => {}
    }
    if let Some(number) = decimal(&digits) {
        return Ok(Plain::float(number));
    }
    match prefixed(&digits) {
        Integer::Fits(number) => Ok(Plain::int(number)),
        Integer::Unsigned => Err(ScalarError::TooLarge),
        Integer::No => Ok(Plain::str(text)),
    }
}

enum Integer {
    Fits(i64),
    /// Fits only without sign, which sops refuses.
    Unsigned,
    No,
}

fn in_base(text: &str, base: u32) -> Integer {
    match i64::from_str_radix(text, base) {
        Ok(number) => Integer::Fits(number),
        Err(_) if !text.starts_with(['+', '-']) && u64::from_str_radix(text, base).is_ok() => {
            Integer::Unsigned
        }
        Err(_) => Integer::No,
    }
}

/// Go's `strconv.ParseInt(text, 0, 64)`: 0b, 0o, 0x and a leading 0 choose the base.
fn integer(text: &str) -> Integer {
    let (sign, unsigned) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (&text[..1], rest),
        None => ("", text),
    };
    let bytes = unsigned.as_bytes();
    let (digits, base) = match bytes {
        [b'0', b'b' | b'B', _, ..] => (&unsigned[2..], 2),
        [b'0', b'o' | b'O', _, ..] => (&unsigned[2..], 8),
        [b'0', b'x' | b'X', _, ..] => (&unsigned[2..], 16),
        [b'0', _, ..] => (&unsigned[1..], 8),
        _ => (unsigned, 10),
    };
    if digits.starts_with(['+', '-']) {
        return Integer::No;
    }
    in_base(&format!("{sign}{digits}"), base)
}

/// The second look that go-yaml takes at `0b` and `0o`, which lets a sign stand behind the prefix.
fn prefixed(text: &str) -> Integer {
    for (prefix, base) in [("0b", 2), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return in_base(digits, base);
        }
        if let Some(digits) = text.strip_prefix('-').and_then(|rest| rest.strip_prefix(prefix)) {
            return in_base(&format!("-{digits}"), base);
        }
    }
    Integer::No
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Tree;

    fn typed(scalar: &str) -> String {
        let tree = Tree::parse(format!("k: {scalar}\n")).unwrap();
        match value(tree.root().unwrap().get("k").unwrap()) {
            Ok(Some(plain)) => format!("{:?} {}", plain.kind, String::from_utf8_lossy(&plain.bytes)),
            Ok(None) => "null".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    /// The table of the stock binary; `tests/it/sops/scalars.rs` holds it against the binary itself.
    #[test]
    fn scalars_have_the_types_of_go_yaml() {
        let rows = [
            ("yes", "Str yes"),
            ("True", "Bool True"),
            ("~", "null"),
            ("0777", "Int 511"),
            ("0o777", "Int 511"),
            ("0x1F", "Int 31"),
            ("0b101", "Int 5"),
            ("0b-1", "Int -1"),
            ("1_000", "Int 1000"),
            ("+5", "Int 5"),
            ("-0", "Int 0"),
            ("9223372036854775807", "Int 9223372036854775807"),
            ("9223372036854775808", "TooLarge"),
            ("18446744073709551616", "Float 18446744073709552000"),
            ("08", "Float 8"),
            ("1.", "Float 1"),
            (".5", "Float 0.5"),
            (".5_0", "Float 0.5"),
            ("._5", "Str ._5"),
            ("1E3", "Float 1000"),
            ("1_0.5", "Float 10.5"),
            ("1e400", "Str 1e400"),
            ("190:20:30", "Str 190:20:30"),
            ("-.Inf", "Float -Inf"),
            (".nan", "Float NaN"),
            ("1e-7", "Float 0.0000001"),
            ("!!str 5", "Str 5"),
            ("!!int \"5\"", "Int 5"),
            ("!!float 3", "Float 3"),
            ("!!bool yes", "NotOfItsTag"),
            ("!!binary aGVsbG8=", "Str hello"),
            ("!mine 5", "ForeignTag"),
            ("! 5", "Int 5"),
            ("\"5\"", "Str 5"),
            ("2001-1-4", "Time 2001-01-04T00:00:00Z"),
            ("<<", "Str <<"),
            ("0x1p-2", "Str 0x1p-2"),
        ];
        for (scalar, wanted) in rows {
            assert_eq!(typed(scalar), wanted, "{scalar}");
        }
    }
}
