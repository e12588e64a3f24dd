//! One encrypted value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]` (aes/cipher.go).

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::consts::U32;
use aes_gcm::{AesGcm, Nonce, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::gcm;
use super::random::{NoRandomness, fill};
use super::time::Time;

/// Length of the nonce in bytes; sops uses 256 bits, for which GCM derives the counter by GHASH.
const NONCE: usize = 32;

/// Length of the authentication tag in bytes.
const TAG: usize = 16;

/// What a value was before it became bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Str,
    Int,
    Float,
    Bool,
    Time,
    /// Read, never written.
    Bytes,
    Comment,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Time => "time",
            Self::Bytes => "bytes",
            Self::Comment => "comment",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Str, Self::Int, Self::Float, Self::Bool, Self::Time, Self::Bytes, Self::Comment]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A value in the clear: its type, and the bytes that are encrypted and that go into the MAC.
pub(super) struct Plain {
    pub(super) kind: Type,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// The same, kept elsewhere.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct PlainRef<'v> {
    pub(super) kind: Type,
    pub(super) bytes: &'v [u8],
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Plain {
    pub(super) fn new(kind: Type, bytes: impl Into<Vec<u8>>) -> Self {
        Self { kind, bytes: Zeroizing::new(bytes.into()) }
    }

    pub(super) fn as_ref(&self) -> PlainRef<'_> {
        PlainRef { kind: self.kind, bytes: &self.bytes }
    }

    pub(super) fn str(text: &str) -> Self {
        Self::new(Type::Str, text)
    }

    pub(super) fn int(number: i64) -> Self {
        Self::new(Type::Int, number.to_string())
    }

    /// Shortest decimal that reads back as the same number, never with an exponent.
    pub(super) fn float(number: f64) -> Self {
        let text = match number {
            _ if number.is_nan() => "NaN".to_owned(),
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            _ => number.to_string(),
        };
        Self::new(Type::Float, text)
    }

    pub(super) fn bool(value: bool) -> Self {
        Self::new(Type::Bool, if value { "True" } else { "False" })
    }

    /// sops reads what it decrypted into a typed value and hashes that value's bytes; so must we.
    fn canonical(self) -> Result<Self, ValueError> {
        let text = || str::from_utf8(&self.bytes).map_err(|_| ValueError::NotOfItsType);
        let wrong = ValueError::NotOfItsType;
        match self.kind {
            Type::Int => text()?.parse().map(Self::int).map_err(|_| wrong),
            Type::Float => parse_float(text()?).map(Self::float).ok_or(wrong),
            Type::Bool => parse_bool(text()?).map(Self::bool).ok_or(wrong),
            Type::Time => {
                let time = Time::parse_rfc3339(text()?).and_then(|time| time.canonical()).ok_or(wrong)?;
                Ok(Self::new(Type::Time, time))
            }
            Type::Str | Type::Bytes | Type::Comment => Ok(self),
        }
    }
}

/// The spellings of Go's `strconv.ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A number as sops writes it; infinity only where it is spelled so.
fn parse_float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() || text.ends_with("Inf") || text == "NaN").then_some(number)
}

/// Why a stored value does not open, or a new one cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The text is not `ENC[…]`.
    #[error("is not encrypted, though the rules say that it is")]
    NotEncrypted,
    /// A field inside `ENC[…]` is missing, is not base64, or has the wrong length.
    #[error("is a damaged ENC[…]")]
    Damaged,
    /// A `type:` that sops does not write.
    #[error("has a type that is not known")]
    UnknownType,
    /// The authentication tag is wrong: other key, other path, or changed bytes.
    #[error("does not decrypt: it was changed, moved, or encrypted with another data key")]
    NotAuthentic,
    /// It decrypts, but not to what `type:` says.
    #[error("decrypts to something that is not of its type")]
    NotOfItsType,
    /// It decrypts to bytes that are no text.
    #[error("decrypts to bytes that are not text")]
    NotText,
    /// The operating system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The 256-bit key of one file, in one place: a value that moves leaves its bytes behind.
pub(super) struct DataKey(Box<Zeroizing<[u8; 32]>>);

impl DataKey {
    pub(super) fn generate() -> Result<Self, NoRandomness> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    fn copy(&self) -> Self {
        let mut copy = Box::new(Zeroizing::new([0; 32]));
        copy.copy_from_slice(self.as_bytes());
        Self(copy)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Encrypts and decrypts values under one data key, whose schedule is in one place too.
pub(super) struct Cipher {
    gcm: Box<AesGcm<Aes256, U32>>,
    /// For nonces of other lengths.
    key: DataKey,
}

impl Cipher {
    pub(super) fn new(key: &DataKey) -> Self {
        Self { gcm: Box::new(AesGcm::new((&**key.0).into())), key: key.copy() }
    }

    /// `ENC[…]`; nothing for an empty value, which sops never encrypts (aes/cipher.go:125).
    pub(super) fn encrypt(&self, plain: PlainRef<'_>, additional_data: &str) -> Result<String, ValueError> {
        if plain.bytes.is_empty() {
            return Ok(String::new());
        }
        let mut nonce = Nonce::<U32>::default();
        fill(&mut nonce)?;
        let mut data = Zeroizing::new(plain.bytes.to_owned());
        let tag = self
            .gcm
            .encrypt_inout_detached(&nonce, additional_data.as_bytes(), data.as_mut_slice().into())
            .map_err(|_| ValueError::Damaged)?;
        let (data, iv, tag) = (STANDARD.encode(&*data), STANDARD.encode(nonce), STANDARD.encode(tag));
        Ok(format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{}]", plain.kind.name()))
    }

    /// The value behind `text`; an empty text is an empty string.
    pub(super) fn decrypt(&self, text: &str, additional_data: &str) -> Result<Plain, ValueError> {
        if text.is_empty() {
            return Ok(Plain::str(""));
        }
        let [data, iv, tag, kind] = fields(text).ok_or(ValueError::NotEncrypted)?;
        let kind = Type::from_name(kind).ok_or(ValueError::UnknownType)?;
        let mut data = Zeroizing::new(STANDARD.decode(data).map_err(|_| ValueError::Damaged)?);
        let tag: [u8; TAG] = decoded(tag)?;
        let additional_data = additional_data.as_bytes();
        let is_authentic = match decoded::<NONCE>(iv) {
            Ok(nonce) => {
                let (nonce, tag) = (Nonce::<U32>::from(nonce), Tag::from(tag));
                let data = data.as_mut_slice().into();
                self.gcm.decrypt_inout_detached(&nonce, additional_data, data, &tag).is_ok()
            }
            Err(_) => {
                let nonce = STANDARD.decode(iv).ok().filter(|nonce| !nonce.is_empty());
                let nonce = nonce.ok_or(ValueError::Damaged)?;
                gcm::open(&self.key.0, &nonce, additional_data, &mut data, tag)
            }
        };
        if is_authentic { Plain { kind, bytes: data }.canonical() } else { Err(ValueError::NotAuthentic) }
    }
}

/// Exactly `N` bytes out of their base64.
fn decoded<const N: usize>(field: &str) -> Result<[u8; N], ValueError> {
    let mut bytes = [0; N];
    match STANDARD.decode_slice(field, &mut bytes) {
        Ok(length) if length == N => Ok(bytes),
        _ => Err(ValueError::Damaged),
    }
}

/// `data`, `iv`, `tag` and `type` of an `ENC[…]`.
fn fields(text: &str) -> Option<[&str; 4]> {
    let inner = text.strip_prefix("ENC[AES256_GCM,data:")?.strip_suffix(']')?;
    let fields = usual_fields(inner).or_else(|| {
        let (data, rest) = inner.split_once(",iv:")?;
        let (iv, rest) = rest.split_once(",tag:")?;
        let (tag, kind) = rest.split_once(",type:")?;
        Some([data, iv, tag, kind])
    });
    fields.filter(|fields| fields.iter().all(|field| !field.is_empty()))
}

/// The same for a nonce and a tag of the usual lengths, found from the end without a search.
fn usual_fields(inner: &str) -> Option<[&str; 4]> {
    let (rest, kind) = inner.split_at_checked(inner.rfind(',')?)?;
    let (rest, tag) = rest.split_at_checked(rest.len().checked_sub(",tag:".len() + base64_length(TAG))?)?;
    let (data, iv) = rest.split_at_checked(rest.len().checked_sub(",iv:".len() + base64_length(NONCE))?)?;
    Some([data, iv.strip_prefix(",iv:")?, tag.strip_prefix(",tag:")?, kind.strip_prefix(",type:")?])
}

/// Characters of so many bytes in base64.
const fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Whether a stored text has the form of an encrypted value.
pub(super) fn is_encrypted(text: &str) -> bool {
    fields(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher() -> Cipher {
        Cipher::new(&DataKey::from_slice(&[7; 32]).unwrap())
    }

    #[test]
    fn every_type_round_trips() {
        let cipher = cipher();
        let values = [
            Plain::str("glpat-é\n\0"),
            Plain::int(-42),
            Plain::float(1e21),
            Plain::float(f64::NEG_INFINITY),
            Plain::bool(true),
            Plain::new(Type::Time, "2001-12-14T21:59:43.1-05:00"),
            Plain::new(Type::Bytes, [0xff, 0]),
            Plain::new(Type::Comment, " note"),
        ];
        for plain in values {
            let text = cipher.encrypt(plain.as_ref(), "a:b:").unwrap();
            assert!(is_encrypted(&text));
            assert!(cipher.decrypt(&text, "a:b:").unwrap() == plain, "{text}");
        }
    }

    #[test]
    fn the_same_value_never_gives_the_same_text() {
        let cipher = cipher();
        let plain = Plain::str("x");
        assert_ne!(
            cipher.encrypt(plain.as_ref(), "a:").unwrap(),
            cipher.encrypt(plain.as_ref(), "a:").unwrap()
        );
    }

    #[test]
    fn an_empty_value_stays_empty() {
        assert_eq!(cipher().encrypt(Plain::str("").as_ref(), "a:").unwrap(), "");
        assert!(cipher().decrypt("", "a:").unwrap() == Plain::str(""));
    }

    #[test]
    fn another_path_or_key_does_not_open_it() {
        let text = cipher().encrypt(Plain::str("x").as_ref(), "a:").unwrap();
        assert_eq!(cipher().decrypt(&text, "b:").err(), Some(ValueError::NotAuthentic));
        let other = Cipher::new(&DataKey::from_slice(&[8; 32]).unwrap());
        assert_eq!(other.decrypt(&text, "a:").err(), Some(ValueError::NotAuthentic));
    }

    #[test]
    fn a_type_that_was_edited_is_noticed_when_the_bytes_do_not_fit() {
        let text = cipher().encrypt(Plain::str("x").as_ref(), "a:").unwrap().replace("type:str", "type:int");
        assert_eq!(cipher().decrypt(&text, "a:").err(), Some(ValueError::NotOfItsType));
        let unknown = text.replace("type:int", "type:uuid");
        assert_eq!(cipher().decrypt(&unknown, "a:").err(), Some(ValueError::UnknownType));
    }

    #[test]
    fn damaged_texts_are_errors() {
        let good = cipher().encrypt(Plain::str("x").as_ref(), "a:").unwrap();
        let rows = [
            ("plain", ValueError::NotEncrypted),
            ("ENC[AES256_GCM,data:,iv:,tag:,type:]", ValueError::NotEncrypted),
            ("ENC[AES256_GCM,data:!,iv:!,tag:!,type:str]", ValueError::Damaged),
            ("ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]", ValueError::Damaged),
        ];
        for (text, wanted) in rows {
            assert_eq!(cipher().decrypt(text, "a:").err(), Some(wanted), "{text}");
        }
        assert_eq!(cipher().decrypt(&format!("{good} "), "a:").err(), Some(ValueError::NotEncrypted));
    }

    #[test]
    fn floats_have_no_exponent() {
        let rows = [
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (1.0, "1"),
            (-0.0, "-0"),
            (123_456_789.123_456_79, "123456789.12345679"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ];
        for (number, wanted) in rows {
            assert_eq!(str::from_utf8(&Plain::float(number).bytes).unwrap(), wanted);
        }
    }
}
