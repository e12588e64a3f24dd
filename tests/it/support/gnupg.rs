//! A GnuPG home of its own with one key.

use std::process::Command;

pub(crate) struct GnuPg {
    folder: tempfile::TempDir,
    pub(crate) fingerprint: String,
}

impl GnuPg {
    fn empty() -> Self {
        // The path of the agent's socket must be short.
        let folder = tempfile::Builder::new().prefix("g").tempdir_in("/tmp").unwrap();
        Self { folder, fingerprint: String::new() }
    }

    /// A key without a passphrase, made by gpg itself.
    pub(crate) fn new() -> Self {
        let mut made = Self::empty();
        let user = "Ana <ana@example.com>";
        made.gpg(&["--quick-generate-key", user, "rsa2048", "sign,cert,encrypt", "never"]);
        let listed = made.gpg(&["--list-keys", "--with-colons"]);
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        made.fingerprint = line.split(':').nth(9).unwrap().to_owned();
        made
    }

    /// No key but the public ones of these.
    pub(crate) fn knowing(others: &[&Self]) -> Self {
        let made = Self::empty();
        for other in others {
            let exported = made.folder.path().join("exported");
            let exported = exported.to_str().unwrap();
            other.gpg(&["--yes", "--output", exported, "--export", &other.fingerprint]);
            made.gpg(&["--import", exported]);
        }
        made
    }

    pub(crate) fn home(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    fn gpg(&self, arguments: &[&str]) -> String {
        let output = self
            .command("gpg")
            .args(["--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("this test needs gpg: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("GNUPGHOME", self.folder.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }
}

/// The agent would outlive its folder.
impl Drop for GnuPg {
    fn drop(&mut self) {
        drop(self.command("gpgconf").args(["--kill", "all"]).output());
    }
}
