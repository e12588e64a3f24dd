//! The messages of the protocol, in protobuf (protobuf.dev/programming-guides/encoding), and gRPC's frame around one
//! (grpc, PROTOCOL-HTTP2.md). Pure.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::sops::ServiceKey;

/// Longer messages are no keys.
pub(super) const MAX_MESSAGE: usize = 1024 * 1024;

/// What a request does with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Encrypt,
    Decrypt,
}

impl Call {
    pub(super) const ALL: [Self; 2] = [Self::Encrypt, Self::Decrypt];

    /// The proto file names no package.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Encrypt => "/KeyService/Encrypt",
            Self::Decrypt => "/KeyService/Decrypt",
        }
    }
}

/// A data key, or a share of one, wrapped or not.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// `EncryptRequest` and `DecryptRequest` have the same fields: the key, and the bytes.
pub(super) fn request(key: &ServiceKey, bytes: &[u8]) -> Bytes {
    let mut message = Bytes::default();
    field(&mut message, 1, &key_message(key));
    field(&mut message, 2, bytes);
    message
}

/// `EncryptResponse` and `DecryptResponse` have the same field: the bytes.
pub(super) fn response(bytes: &[u8]) -> Bytes {
    let mut message = Bytes::default();
    field(&mut message, 1, bytes);
    message
}

/// The bytes of a response.
pub(super) fn read_response(message: &[u8]) -> Option<Bytes> {
    let found = fields(message)?.into_iter().rev().find(|(number, _)| *number == 1);
    Some(Bytes::new(found.map(|(_, bytes)| bytes.to_vec()).unwrap_or_default()))
}

/// Key and bytes of a request.
pub(super) fn read_request(message: &[u8]) -> Option<(ServiceKey, Bytes)> {
    let fields = fields(message)?;
    let last = |wanted| fields.iter().rev().find(|(number, _)| *number == wanted).map(|(_, bytes)| *bytes);
    Some((read_key(last(1)?)?, Bytes::new(last(2).unwrap_or_default().to_vec())))
}

/// gRPC's frame: not compressed, the length in four bytes, the message.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut frame = Bytes::new(Vec::with_capacity(message.len() + 5));
    frame.push(0);
    frame.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// The only message of a stream.
pub(super) fn unframed(frame: &[u8]) -> Option<&[u8]> {
    let (head, message) = frame.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    (head[0] == 0 && usize::try_from(length).ok()? == message.len()).then_some(message)
}

/// `Key`, a oneof; the numbers are those of keyservice.proto.
fn key_message(key: &ServiceKey) -> Vec<u8> {
    let texts = |all: &[&str]| {
        let mut message = Bytes::default();
        all.iter().zip(1..).filter(|(text, _)| !text.is_empty()).for_each(|(text, number)| {
            field(&mut message, number, text.as_bytes());
        });
        message
    };
    let (number, inner) = match key {
        ServiceKey::Kms { arn, role, context, profile } => {
            let mut inner = texts(&[arn, role.as_deref().unwrap_or_default()]);
            for (name, value) in context {
                field(&mut inner, 3, &texts(&[name, value]));
            }
            if let Some(profile) = profile {
                field(&mut inner, 4, profile.as_bytes());
            }
            (1, inner)
        }
        ServiceKey::Pgp { fingerprint } => (2, texts(&[fingerprint])),
        ServiceKey::GcpKms { resource_id } => (3, texts(&[resource_id])),
        ServiceKey::AzureKeyVault { vault_url, name, version } => (4, texts(&[vault_url, name, version])),
        ServiceKey::Vault { address, engine, name } => (5, texts(&[address, engine, name])),
        ServiceKey::Age { recipient } => (6, texts(&[recipient])),
        ServiceKey::Hckms { key_id } => (7, texts(&[key_id])),
    };
    let mut message = Bytes::default();
    field(&mut message, number, &inner);
    message.to_vec()
}

fn read_key(message: &[u8]) -> Option<ServiceKey> {
    let (number, inner) = fields(message)?.into_iter().next_back()?;
    let inner = fields(inner)?;
    let text = |wanted: u64| -> Option<String> {
        let found = inner.iter().rev().find(|(number, _)| *number == wanted);
        found.map_or(Some(String::new()), |(_, bytes)| String::from_utf8(bytes.to_vec()).ok())
    };
    let some = |wanted| Some(text(wanted)?).filter(|text| !text.is_empty());
    Some(match number {
        1 => {
            let entries = inner.iter().filter(|(number, _)| *number == 3);
            let pair = |(_, entry): &(u64, &[u8])| {
                let fields = fields(entry)?;
                let text = |wanted: u64| {
                    let found = fields.iter().find(|(number, _)| *number == wanted);
                    String::from_utf8(found.map(|(_, bytes)| bytes.to_vec()).unwrap_or_default()).ok()
                };
                Some((text(1)?, text(2)?))
            };
            let context: Option<BTreeMap<String, String>> = entries.map(pair).collect();
            ServiceKey::Kms { arn: text(1)?, role: some(2), context: context?, profile: some(4) }
        }
        2 => ServiceKey::Pgp { fingerprint: text(1)? },
        3 => ServiceKey::GcpKms { resource_id: text(1)? },
        4 => ServiceKey::AzureKeyVault { vault_url: text(1)?, name: text(2)?, version: text(3)? },
        5 => ServiceKey::Vault { address: text(1)?, engine: text(2)?, name: text(3)? },
        6 => ServiceKey::Age { recipient: text(1)? },
        7 => ServiceKey::Hckms { key_id: text(1)? },
        _ => return None,
    })
}

/// A length-delimited field (wire type 2); the protocol has no others.
fn field(message: &mut Bytes, number: u64, bytes: &[u8]) {
    varint(message, number << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn varint(message: &mut Bytes, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// All length-delimited fields in order; fields of other types are passed over, as newer versions may have some.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = read_varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                read_varint(&mut message)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(read_varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (bytes, rest) = message.split_at_checked(length)?;
        if tag & 7 == 2 {
            fields.push((tag >> 3, bytes));
        }
        message = rest;
    }
    Some(fields)
}

fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_standard() {
        let key = ServiceKey::Pgp { fingerprint: "AB".to_owned() };
        assert_eq!(
            **request(&key, b"xyz"),
            [0x0a, 6, 0x12, 4, 0x0a, 2, b'A', b'B', 0x12, 3, b'x', b'y', b'z']
        );
        assert_eq!(**response(b"x"), [0x0a, 1, b'x']);
        assert_eq!(**framed(b"ab"), [0, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(unframed(&[0, 0, 0, 0, 2, b'a', b'b']), Some(&b"ab"[..]));
        for bad in [&[][..], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, b'a'], &[0, 0, 0]] {
            assert_eq!(unframed(bad), None);
        }
    }

    fn keys() -> impl Strategy<Value = ServiceKey> {
        let text = || "[ -~]{1,200}".prop_map(String::from);
        prop_oneof![
            text().prop_map(|fingerprint| ServiceKey::Pgp { fingerprint }),
            text().prop_map(|recipient| ServiceKey::Age { recipient }),
            text().prop_map(|resource_id| ServiceKey::GcpKms { resource_id }),
            text().prop_map(|key_id| ServiceKey::Hckms { key_id }),
            (text(), text(), "[a-z]{0,9}").prop_map(|(vault_url, name, version)| {
                ServiceKey::AzureKeyVault { vault_url, name, version }
            }),
            (text(), text(), text()).prop_map(|(address, engine, name)| ServiceKey::Vault {
                address,
                engine,
                name
            }),
            (
                text(),
                proptest::option::of(text()),
                proptest::collection::btree_map(text(), text(), 0..3),
                proptest::option::of(text())
            )
                .prop_map(|(arn, role, context, profile)| ServiceKey::Kms {
                    arn,
                    role,
                    context,
                    profile
                }),
        ]
    }

    proptest! {
        #[test]
        fn every_request_reads_back(key in keys(), bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let message = request(&key, &bytes);
            let frame = framed(&message);
            let (read, content) = read_request(unframed(&frame).unwrap()).unwrap();
            prop_assert_eq!(read, key);
            prop_assert_eq!(&*content, &bytes);
            prop_assert_eq!(&*read_response(&response(&bytes)).unwrap(), &bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read_request(&bytes), read_response(&bytes), unframed(&bytes));
        }
    }
}
