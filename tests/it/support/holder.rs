//! People with keys of any type: what a policy calls them, and what gives their key to the stock sops and to us.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::gnupg::GnuPg;
use super::lab::{Lab, Said, said};
use super::plugin::{self, Plugin};
use super::sops;

/// Somebody with a key.
pub(crate) struct Holder {
    /// The list of a policy that the key belongs into, and the key.
    pub(crate) list: &'static str,
    pub(crate) key: String,
    environment: Vec<(&'static str, OsString)>,
    /// What the key lives in.
    gpg: Option<GnuPg>,
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/ssh").join(name)
}

impl Holder {
    fn of_age(key: &str, variable: &'static str, value: impl Into<OsString>) -> Self {
        Self { list: "age", key: key.to_owned(), environment: vec![(variable, value.into())], gpg: None }
    }

    pub(crate) fn native() -> Self {
        let (identity, recipient) = provision::sops::generate_identity();
        Self::of_age(recipient.as_str(), "SOPS_AGE_KEY", identity.expose())
    }

    /// The key of a lab's owner.
    pub(crate) fn owner_of(lab: &Lab) -> Self {
        Self::of_age(&lab.recipient, "SOPS_AGE_KEY", lab.identity())
    }

    /// An SSH key of the fixtures: `id_ed25519`, `id_rsa`.
    pub(crate) fn ssh(name: &str) -> Self {
        let public = std::fs::read_to_string(fixture(&format!("{name}.pub"))).unwrap();
        Self::of_age(public.trim(), "SOPS_AGE_SSH_PRIVATE_KEY_FILE", fixture(name))
    }

    /// Ana's key of the plugin for tests.
    pub(crate) fn plugin() -> Self {
        Self::of_age(plugin::ANA.0, "SOPS_AGE_KEY", plugin::ANA.1)
    }

    pub(crate) fn pgp() -> Self {
        let gpg = GnuPg::new();
        let environment = vec![("GNUPGHOME", gpg.home().into())];
        Self { list: "pgp", key: gpg.fingerprint.clone(), environment, gpg: Some(gpg) }
    }
}

/// A machine with the stock sops, the plugin, and everybody's public PGP key; and whoever sits before it.
pub(crate) struct Machine {
    pub(crate) plugin: Plugin,
    public: Option<GnuPg>,
    tools: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn for_all(holders: &[&Holder]) -> Self {
        let tools = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(sops::binary(), tools.path().join("sops")).unwrap();
        let pgp: Vec<&GnuPg> = holders.iter().filter_map(|holder| holder.gpg.as_ref()).collect();
        let public = (!pgp.is_empty()).then(|| GnuPg::knowing(&pgp));
        Self { plugin: Plugin::new(), public, tools }
    }

    pub(crate) fn path(&self) -> OsString {
        let own = [self.tools.path(), self.plugin.on_path()].map(Path::to_owned);
        let rest = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths(own.into_iter().chain(std::env::split_paths(&rest))).unwrap()
    }

    /// Gives the command the keys of these people and no others.
    pub(crate) fn seat(&self, command: &mut Command, people: &[&Holder]) {
        command.env("PATH", self.path()).env("XDG_CONFIG_HOME", "/nonexistent");
        if let Some(public) = &self.public {
            command.env("GNUPGHOME", public.home());
        }
        let mut native = OsString::new();
        for (name, value) in people.iter().flat_map(|one| &one.environment) {
            if *name == "SOPS_AGE_KEY" {
                native.push(value);
                native.push("\n");
            } else {
                command.env(name, value);
            }
        }
        if !native.is_empty() {
            command.env("SOPS_AGE_KEY", native);
        }
    }

    /// The stock sops with the keys of these people alone.
    pub(crate) fn stock(&self, lab: &Lab, people: &[&Holder], args: &[&str]) -> Said {
        let mut command = sops::command();
        self.seat(&mut command, people);
        said(command.env("HOME", "/nonexistent").current_dir(lab.repo()).args(args))
    }

    /// The program with the keys of these people alone.
    pub(crate) fn ours(&self, lab: &Lab, people: &[&Holder], args: &[&str]) -> Said {
        let mut command = lab.command(args);
        self.seat(&mut command, people);
        said(&mut command)
    }
}
