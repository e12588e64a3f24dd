//! Readers whose keys SOPS's key service works with: PGP, the key management of clouds, Vault. What such a key is known
//! by, so that a policy and a file can be compared (`ToString` of the key sources of sops), and its fields.

use std::collections::BTreeMap;
use std::fmt;

use crate::yaml::{Mapping, Node};

use super::readers::{Field, Item};

/// Lists of such keys in a file, in the order of stock sops 3.11.
pub(super) const OTHER_KEYS: [&str; 6] = ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp"];

/// Somebody who may read a file and is not an age recipient that we encrypt for by ourselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherReader {
    /// The name of sops's list: `pgp`, `kms`; `age` for recipients of a type that age here does not know.
    pub kind: String,
    /// Fingerprint, ARN, recipient: what the entry is known by.
    pub id: String,
    key: Option<ServiceKey>,
}

impl fmt::Display for OtherReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// A key that the key service of stock sops encrypts with (keyservice/keyservice.proto).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKey {
    /// AWS KMS.
    Kms {
        /// The key.
        arn: String,
        /// A role to take on first.
        role: Option<String>,
        /// The encryption context.
        context: BTreeMap<String, String>,
        /// A profile of the AWS configuration.
        profile: Option<String>,
    },
    /// GCP KMS.
    GcpKms {
        /// `projects/…/cryptoKeys/…`.
        resource_id: String,
    },
    /// HuaweiCloud KMS.
    Hckms {
        /// `region:uuid`.
        key_id: String,
    },
    /// Azure Key Vault.
    AzureKeyVault {
        /// `https://NAME.vault.azure.net`.
        vault_url: String,
        /// The key.
        name: String,
        /// Its version; empty where a policy names none.
        version: String,
    },
    /// HashiCorp Vault's transit engine.
    Vault {
        /// Scheme, host and port.
        address: String,
        /// Where the engine is mounted.
        engine: String,
        /// The key.
        name: String,
    },
    /// An age recipient of a type that only newer versions of sops know.
    Age {
        /// `age1pq1…`.
        recipient: String,
    },
    /// PGP.
    Pgp {
        /// The fingerprint.
        fingerprint: String,
    },
}

impl ServiceKey {
    /// A key as a policy writes it in a text; `None` where the text is not of that kind.
    pub(super) fn parse(kind: &str, text: &str, profile: Option<&str>) -> Option<Self> {
        let owned = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match kind {
            "pgp" => Some(Self::Pgp { fingerprint: owned(&text.replace(' ', ""))? }),
            "gcp_kms" => Some(Self::GcpKms { resource_id: owned(text)? }),
            "hckms" => Some(Self::Hckms { key_id: owned(text)? }),
            "kms" => {
                let (arn, role) = match text.find("+arn:") {
                    Some(at) => (&text[..at], owned(&text[at + 1..])),
                    None => match text.split_once('+') {
                        Some((arn, role)) => (arn, owned(role)),
                        None => (text, None),
                    },
                };
                let profile = profile.and_then(owned);
                Some(Self::Kms { arn: owned(arn)?, role, context: BTreeMap::new(), profile })
            }
            "azure_kv" => {
                let (vault_url, rest) = text.split_once("/keys/")?;
                let (name, version) = rest.trim_end_matches('/').split_once('/').unwrap_or((rest, ""));
                let is_address = vault_url.starts_with("https://") && !version.contains('/');
                let (vault_url, name) = (vault_url.to_owned(), owned(name.trim_end_matches('/'))?);
                is_address.then(|| Self::AzureKeyVault { vault_url, name, version: version.to_owned() })
            }
            "hc_vault" => {
                let (scheme, rest) = text.split_once("://")?;
                let (host, path) = rest.split_once("/v1/")?;
                let (engine, name) = path.trim_end_matches('/').rsplit_once("/keys/")?;
                let is_address = matches!(scheme, "http" | "https") && !host.is_empty();
                let (engine, name) = (owned(engine.trim_matches('/'))?, owned(name)?);
                is_address.then(|| Self::Vault { address: format!("{scheme}://{host}"), engine, name })
            }
            _ => None,
        }
    }

    /// The name of the list in a file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.names().0
    }

    /// What people call keys of this kind.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.names().1
    }

    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Kms { .. } => ("kms", "AWS KMS"),
            Self::GcpKms { .. } => ("gcp_kms", "GCP KMS"),
            Self::Hckms { .. } => ("hckms", "HuaweiCloud KMS"),
            Self::AzureKeyVault { .. } => ("azure_kv", "Azure Key Vault"),
            Self::Vault { .. } => ("hc_vault", "HashiCorp Vault"),
            Self::Age { .. } => ("age", "age"),
            Self::Pgp { .. } => ("pgp", "PGP"),
        }
    }

    /// `arn+role|name:value,…` (kms/keysource.go), the addresses of Azure and Vault (azkv and hcvault/keysource.go), else
    /// the only field.
    fn id(&self) -> String {
        match self {
            Self::Kms { arn, role, context, .. } => {
                let role = role.as_ref().map(|role| format!("+{role}")).unwrap_or_default();
                let pairs: Vec<String> =
                    context.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                let bar = if pairs.is_empty() { "" } else { "|" };
                format!("{arn}{role}{bar}{}", pairs.join(","))
            }
            Self::GcpKms { resource_id: id }
            | Self::Hckms { key_id: id }
            | Self::Pgp { fingerprint: id }
            | Self::Age { recipient: id } => id.clone(),
            Self::AzureKeyVault { vault_url, name, version } => {
                let slash = if version.is_empty() { "" } else { "/" };
                format!("{}/keys/{name}{slash}{version}", vault_url.trim_end_matches('/'))
            }
            Self::Vault { address, engine, name } => {
                format!("{}/v1/{}/keys/{name}", address.trim_end_matches('/'), engine.trim_matches('/'))
            }
        }
    }
}

/// As the reader whose key it is.
impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}

impl From<ServiceKey> for OtherReader {
    fn from(key: ServiceKey) -> Self {
        Self { kind: key.kind().to_owned(), id: key.id(), key: Some(key) }
    }
}

impl OtherReader {
    /// A reader of whom nothing more is known than this.
    pub(super) fn unknown(kind: &str, id: &str) -> Self {
        Self { kind: kind.to_owned(), id: id.to_owned(), key: None }
    }

    /// An age recipient of a type that is not known here.
    pub(super) fn age(recipient: &str) -> Self {
        let recipient = recipient.trim();
        let is_one = recipient.starts_with("age1") && !recipient.contains(char::is_whitespace);
        let key = is_one.then(|| ServiceKey::Age { recipient: recipient.to_owned() });
        Self { kind: "age".to_owned(), id: recipient.to_owned(), key }
    }

    /// What people call keys of this kind.
    #[must_use]
    pub fn family(&self) -> &str {
        match &self.key {
            Some(key) => key.family(),
            None => &self.kind,
        }
    }

    /// The fields of its entry in a file that say which key it is, in the order of stock sops 3.11 (stores/stores.go).
    pub(super) fn fields(&self) -> Vec<Field> {
        let text = |name: &str, text: &str| (name.to_owned(), Item::Text(text.to_owned()));
        match &self.key {
            None => Vec::new(),
            Some(ServiceKey::Kms { arn, role, context, profile }) => {
                let mut fields = vec![text("arn", arn)];
                fields.extend(role.as_ref().map(|role| text("role", role)));
                if !context.is_empty() {
                    let pairs = context.iter().map(|(name, value)| text(name, value)).collect();
                    fields.push(("context".to_owned(), Item::Map(pairs)));
                }
                fields.push(text("aws_profile", profile.as_deref().unwrap_or_default()));
                fields
            }
            Some(ServiceKey::GcpKms { resource_id }) => vec![text("resource_id", resource_id)],
            Some(ServiceKey::Hckms { key_id }) => vec![text("key_id", key_id)],
            Some(ServiceKey::AzureKeyVault { vault_url, name, version }) => {
                vec![text("vault_url", vault_url), text("name", name), text("version", version)]
            }
            Some(ServiceKey::Vault { address, engine, name }) => {
                vec![text("vault_address", address), text("engine_path", engine), text("key_name", name)]
            }
            Some(ServiceKey::Age { recipient }) => vec![text("recipient", recipient)],
            Some(ServiceKey::Pgp { fingerprint }) => vec![text("fp", fingerprint)],
        }
    }

    /// The key to be sent to a key service; `None` for what no key service knows.
    #[must_use]
    pub fn service_key(&self) -> Option<&ServiceKey> {
        self.key.as_ref()
    }

    /// The reader that an entry in the list `kind` of a file's `sops` block stands for.
    pub(super) fn of_entry(kind: &str, entry: Mapping<'_>) -> Self {
        let text = |name: &str| entry.get(name).and_then(Node::as_str).filter(|text| !text.is_empty());
        let owned = |name: &str| text(name).map(str::to_owned);
        let key = match kind {
            "kms" => owned("arn").map(|arn| ServiceKey::Kms {
                arn,
                role: owned("role"),
                context: entry.get("context").map(context).unwrap_or_default(),
                profile: owned("aws_profile"),
            }),
            "gcp_kms" => owned("resource_id").map(|resource_id| ServiceKey::GcpKms { resource_id }),
            "hckms" => owned("key_id").map(|key_id| ServiceKey::Hckms { key_id }),
            "azure_kv" => owned("vault_url").map(|vault_url| ServiceKey::AzureKeyVault {
                vault_url,
                name: owned("name").unwrap_or_default(),
                version: owned("version").unwrap_or_default(),
            }),
            "hc_vault" => owned("vault_address").map(|address| ServiceKey::Vault {
                address,
                engine: owned("engine_path").unwrap_or_default(),
                name: owned("key_name").unwrap_or_default(),
            }),
            _ => owned("fp").map(|fingerprint| ServiceKey::Pgp { fingerprint }),
        };
        key.map_or_else(|| Self::unknown(kind, "without a name"), Self::from)
    }

    /// Whether it names one version of a key.
    pub(super) fn has_version(&self) -> bool {
        matches!(&self.key, Some(ServiceKey::AzureKeyVault { version, .. }) if !version.is_empty())
    }

    /// Whether both stand for the same key. Fingerprints are equal whatever their case and blanks; a key of Azure without
    /// a version stands for each of its versions.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        let (one, two) = (self.canonical(), other.canonical());
        let is_version_of = |long: &str, short: &str| {
            let version = long.strip_prefix(short).and_then(|rest| rest.strip_prefix('/'));
            version.is_some_and(|version| !version.contains('/'))
        };
        self.kind == other.kind
            && (one == two
                || self.kind == "azure_kv" && (is_version_of(&one, &two) || is_version_of(&two, &one)))
    }

    fn canonical(&self) -> String {
        match self.kind.as_str() {
            "pgp" => self.id.replace(' ', "").to_ascii_uppercase(),
            "age" => self.id.trim().to_ascii_lowercase(),
            _ => self.id.trim_end_matches('/').to_owned(),
        }
    }
}

/// The encryption context of a key of AWS.
pub(super) fn context(node: Node<'_>) -> BTreeMap<String, String> {
    let pair = |entry: crate::yaml::Entry<'_>| {
        (entry.key.to_owned(), entry.value.as_str().unwrap_or_default().to_owned())
    };
    node.as_mapping().map(|mapping| mapping.entries().map(pair).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(kind: &str, id: &str) -> OtherReader {
        OtherReader::unknown(kind, id)
    }

    #[test]
    fn keys_are_the_same_whatever_their_spelling() {
        let rows = [
            ("pgp", "ab cd", "ABCD", true),
            ("pgp", "ABCE", "ABCD", false),
            ("azure_kv", "https://v/keys/k", "https://v/keys/k/1", true),
            ("azure_kv", "https://v/keys/k/2", "https://v/keys/k/1", false),
            ("azure_kv", "https://v/keys/k", "https://v/keys/kk/1", false),
            ("hc_vault", "https://v/v1/e/keys/k", "https://v/v1/e/keys/k/", true),
        ];
        for (kind, one, two, same) in rows {
            assert_eq!(reader(kind, one).is_same_key(&reader(kind, two)), same, "{one} {two}");
            assert_eq!(reader(kind, two).is_same_key(&reader(kind, one)), same, "{one} {two}");
        }
        assert!(!reader("pgp", "A").is_same_key(&reader("kms", "A")));
    }

    #[test]
    fn a_text_of_a_policy_says_which_key_it_is() {
        let rows = [
            ("pgp", "AB CD", "ABCD"),
            (
                "kms",
                "arn:aws:kms:x:1:key/k+arn:aws:iam::1:role/r",
                "arn:aws:kms:x:1:key/k+arn:aws:iam::1:role/r",
            ),
            ("gcp_kms", "projects/p/cryptoKeys/k", "projects/p/cryptoKeys/k"),
            ("hckms", "r:1", "r:1"),
            ("azure_kv", "https://v.vault.azure.net/keys/k/1", "https://v.vault.azure.net/keys/k/1"),
            ("azure_kv", "https://v.vault.azure.net/keys/k", "https://v.vault.azure.net/keys/k"),
            ("hc_vault", "https://v:8200/v1/a/transit/keys/k/", "https://v:8200/v1/a/transit/keys/k"),
        ];
        for (kind, text, id) in rows {
            let reader = OtherReader::from(ServiceKey::parse(kind, text, None).unwrap());
            assert_eq!((reader.kind.as_str(), reader.id.as_str()), (kind, id));
        }
        for (kind, text) in [
            ("azure_kv", "k"),
            ("azure_kv", "http://v/keys/k"),
            ("hc_vault", "v/transit/keys/k"),
            ("hc_vault", "https://v/v1/keys/k"),
            ("pgp", ""),
        ] {
            assert_eq!(ServiceKey::parse(kind, text, None), None, "{text}");
        }
    }
}
