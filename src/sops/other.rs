//! Readers of types that we do not encrypt for: what a key is known by, so that a policy and a file can be compared
//! (`ToString` of the key sources of sops).

use crate::yaml::{Mapping, Node};

use super::metadata::OtherReader;

impl OtherReader {
    /// `arn+role|name:value,…`, as far as they are there (kms/keysource.go).
    pub(super) fn kms_id(arn: &str, role: Option<&str>, context: Option<Node<'_>>) -> String {
        let role = role.map(|role| format!("+{role}")).unwrap_or_default();
        let context = context.and_then(Node::as_mapping).map(pairs).unwrap_or_default();
        let context = if context.is_empty() { context } else { format!("|{context}") };
        format!("{arn}{role}{context}")
    }

    /// The address of the key (azkv/keysource.go).
    pub(super) fn azure_id(vault: &str, name: &str, version: Option<&str>) -> String {
        let version = version.map(|version| format!("/{version}")).unwrap_or_default();
        format!("{}/keys/{name}{version}", vault.trim_end_matches('/'))
    }

    /// The address of the key (hcvault/keysource.go).
    fn vault_id(address: &str, engine: &str, key: &str) -> String {
        format!("{}/v1/{}/keys/{key}", address.trim_end_matches('/'), engine.trim_matches('/'))
    }

    /// The reader that an entry in the list `kind` of a file's `sops` block stands for.
    pub(super) fn of_entry(kind: &str, entry: Mapping<'_>) -> Self {
        let text = |name: &str| entry.get(name).and_then(Node::as_str).filter(|text| !text.is_empty());
        let id = match kind {
            "kms" => text("arn").map(|arn| Self::kms_id(arn, text("role"), entry.get("context"))),
            "gcp_kms" => text("resource_id").map(str::to_owned),
            "hckms" => text("key_id").map(str::to_owned),
            "azure_kv" => {
                let name = text("name").unwrap_or_default();
                text("vault_url").map(|vault| Self::azure_id(vault, name, text("version")))
            }
            "hc_vault" => {
                let (engine, key) = (text("engine_path").unwrap_or(""), text("key_name").unwrap_or(""));
                text("vault_address").map(|address| Self::vault_id(address, engine, key))
            }
            _ => text("fp").map(str::to_owned),
        };
        let id = id.unwrap_or_else(|| "without a name".to_owned());
        Self { kind: kind.to_owned(), id }
    }

    /// What people call keys of this kind.
    #[must_use]
    pub fn family(&self) -> &str {
        match self.kind.as_str() {
            "pgp" => "PGP",
            "kms" => "AWS KMS",
            "gcp_kms" => "GCP KMS",
            "hckms" => "HuaweiCloud KMS",
            "azure_kv" => "Azure Key Vault",
            "hc_vault" => "HashiCorp Vault",
            other => other,
        }
    }

    /// Whether both stand for the same key. Fingerprints are equal whatever their case and blanks, SSH keys whatever
    /// their comment; a key of Azure without a version stands for each of its versions.
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
            "age" if self.id.starts_with("ssh-") => {
                self.id.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
            }
            "age" => self.id.trim().to_ascii_lowercase(),
            _ => self.id.trim_end_matches('/').to_owned(),
        }
    }
}

fn pairs(context: Mapping<'_>) -> String {
    let mut pairs: Vec<String> = context
        .entries()
        .map(|entry| format!("{}:{}", entry.key, entry.value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(kind: &str, id: &str) -> OtherReader {
        OtherReader { kind: kind.to_owned(), id: id.to_owned() }
    }

    #[test]
    fn keys_are_the_same_whatever_their_spelling() {
        let rows = [
            ("pgp", "ab cd", "ABCD", true),
            ("pgp", "ABCE", "ABCD", false),
            ("age", "ssh-ed25519 AAAA ana", "ssh-ed25519 AAAA ben", true),
            ("age", "ssh-ed25519 AAAA ana", "ssh-ed25519 AAAB ana", false),
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
}
