//! Signed commits, by the programs that git itself uses. They need ssh-keygen and ssh-agent (OpenSSH) and, in
//! tests of their own, gpg and gpgconf (GnuPG).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::repo_sandbox::{Repo, Road, both};
use crate::support::program::shell;

fn run(repo: &Repo, command: &[&str]) -> String {
    let (name, arguments) = command.split_first().unwrap();
    let output = Command::new(name)
        .args(arguments)
        .env_clear()
        .envs(&repo.env)
        .current_dir(&repo.path)
        .output()
        .unwrap_or_else(|error| panic!("this test needs {name}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn home(repo: &Repo) -> PathBuf {
    repo.sandbox().path().join("home")
}

/// A repository that signs with ssh, and a key pair at `~/k`.
fn with_ssh(road: Road, init: &[&str]) -> Repo {
    let repo = Repo::with(road, init);
    let key = home(&repo).join("k");
    run(
        &repo,
        &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "t@example.com", "-f", key.to_str().unwrap()],
    );
    let public = fs::read_to_string(home(&repo).join("k.pub")).unwrap();
    let allowed = home(&repo).join("allowed");
    fs::write(&allowed, format!("t@example.com namespaces=\"git\" {public}")).unwrap();
    repo.git(&["config", "gpg.format", "ssh"]);
    repo.git(&["config", "commit.gpgSign", "true"]);
    repo.git(&["config", "gpg.ssh.allowedSignersFile", allowed.to_str().unwrap()]);
    repo
}

fn commit_signed(repo: &Repo, road: Road) {
    repo.write("s.yaml", "s: signed\n");
    assert_eq!(repo.preflight(&["s.yaml"]).value.to_string(), "{}");
    repo.commit(&["s.yaml"], "signed").assert_made(road);
    repo.assert_sound();
    assert_eq!(repo.status(), "");
}

fn assert_good(repo: &Repo) {
    assert_eq!(repo.git(&["log", "-1", "--format=%G?"]), "G");
    repo.git(&["verify-commit", "HEAD"]);
}

#[test]
fn ssh_with_a_key_file_signs() {
    both(|road| {
        for key in ["k.pub", "k"] {
            let repo = with_ssh(road, &[]);
            repo.git(&["config", "user.signingKey", home(&repo).join(key).to_str().unwrap()]);
            commit_signed(&repo, road);
            assert_good(&repo);
        }
    });
}

#[test]
fn ssh_with_a_path_from_home_signs() {
    both(|road| {
        let repo = with_ssh(road, &[]);
        repo.git(&["config", "user.signingKey", "~/k"]);
        commit_signed(&repo, road);
        assert_good(&repo);
    });
}

#[test]
fn ssh_signs_in_a_sha256_repository_with_its_own_header() {
    both(|road| {
        let repo = with_ssh(road, &["--object-format=sha256"]);
        repo.git(&["config", "user.signingKey", "~/k"]);
        commit_signed(&repo, road);
        assert_good(&repo);
        assert!(repo.git(&["cat-file", "commit", "HEAD"]).contains("\ngpgsig-sha256 "));
    });
}

/// An ssh-agent with the key of [`with_ssh`], ended when this is dropped.
struct Agent {
    repo: Repo,
}

impl Agent {
    fn start(mut repo: Repo) -> Self {
        let socket = repo.sandbox().path().join("agent");
        let told = run(&repo, &["ssh-agent", "-s", "-a", socket.to_str().unwrap()]);
        let pid = told.split("SSH_AGENT_PID=").nth(1).unwrap().split(';').next().unwrap();
        repo.env.insert("SSH_AUTH_SOCK".to_owned(), socket.into());
        repo.env.insert("SSH_AGENT_PID".to_owned(), pid.into());
        run(&repo, &["ssh-add", "-q", home(&repo).join("k").to_str().unwrap()]);
        // Only the agent has the private key now.
        fs::remove_file(home(&repo).join("k")).unwrap();
        Self { repo }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        run(&self.repo, &["ssh-agent", "-k"]);
    }
}

#[test]
fn ssh_with_a_literal_key_in_the_agent_signs() {
    both(|road| {
        let agent = Agent::start(with_ssh(road, &[]));
        let public = fs::read_to_string(home(&agent.repo).join("k.pub")).unwrap();
        agent.repo.git(&["config", "user.signingKey", &format!("key::{}", public.trim())]);
        commit_signed(&agent.repo, road);
        assert_good(&agent.repo);
    });
}

#[test]
fn ssh_with_a_default_key_command_signs() {
    both(|road| {
        let agent = Agent::start(with_ssh(road, &[]));
        let tell = home(&agent.repo).join("tell-key");
        shell(&tell, "printf 'key::'; cat \"$HOME/k.pub\"");
        agent.repo.git(&["config", "gpg.ssh.defaultKeyCommand", tell.to_str().unwrap()]);
        commit_signed(&agent.repo, road);
        assert_good(&agent.repo);
    });
}

/// A key of GnuPG's in a home of its own; its agent is ended when this is dropped.
struct Gpg {
    repo: Repo,
}

impl Gpg {
    fn new(road: Road) -> Self {
        let mut repo = Repo::new(road);
        let keys = home(&repo).join("g");
        fs::create_dir(&keys).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
        repo.env.insert("GNUPGHOME".to_owned(), keys.into());
        let make = ["--quick-gen-key", "T <t@example.com>", "ed25519", "sign", "never"];
        run(&repo, &[&["gpg", "--batch", "-q", "--passphrase", ""], &make[..]].concat());
        repo.git(&["config", "commit.gpgSign", "true"]);
        Self { repo }
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        run(&self.repo, &["gpgconf", "--kill", "gpg-agent"]);
    }
}

#[test]
fn gpg_signs_with_the_committers_key() {
    both(|road| {
        let gpg = Gpg::new(road);
        commit_signed(&gpg.repo, road);
        assert_good(&gpg.repo);
    });
}

#[test]
fn gpg_program_is_the_program_that_signs() {
    both(|road| {
        let gpg = Gpg::new(road);
        let wrapper = home(&gpg.repo).join("my gpg");
        shell(&wrapper, "echo wrapped >>\"$HOME/wrapped\"\nexec gpg \"$@\"");
        gpg.repo.git(&["config", "gpg.program", wrapper.to_str().unwrap()]);
        commit_signed(&gpg.repo, road);
        assert!(home(&gpg.repo).join("wrapped").exists());
        assert_good(&gpg.repo);
    });
}

#[test]
fn x509_runs_its_program_and_keeps_what_it_says() {
    // A stand-in: what is tested is the header, not the cryptography of gpgsm.
    both(|road| {
        let repo = Repo::new(road);
        let signer = home(&repo).join("gpgsm");
        let script = "cat >/dev/null; echo '[GNUPG:] SIG_CREATED ' >&2\n\
            printf '%s\\n' '-----BEGIN SIGNED MESSAGE-----' AA '-----END SIGNED MESSAGE-----'";
        shell(&signer, script);
        repo.git(&["config", "gpg.format", "x509"]);
        repo.git(&["config", "gpg.x509.program", signer.to_str().unwrap()]);
        repo.git(&["config", "commit.gpgSign", "true"]);
        commit_signed(&repo, road);
        let commit = repo.git(&["cat-file", "commit", "HEAD"]);
        let header = "\ngpgsig -----BEGIN SIGNED MESSAGE-----\n AA\n -----END SIGNED MESSAGE-----\n";
        assert!(commit.contains(header), "{commit}");
    });
}

#[test]
fn a_signer_that_fails_leaves_everything_as_it_was() {
    both(|road| {
        let repo = Repo::new(road);
        repo.git(&["config", "gpg.program", "false"]);
        repo.git(&["config", "commit.gpgSign", "true"]);
        repo.write("s.yaml", "s: 2\n");
        repo.write("new", "n\n");
        let before = (repo.head(), repo.full_status(""));
        let answer = repo.commit(&["s.yaml", "new"], "never");
        match road {
            Road::Gix => answer.assert_refused("commits are signed here"),
            Road::Git => answer.assert_refused("git commit failed"),
        }
        assert!(answer.value["made"].is_null());
        assert_eq!((repo.head(), repo.full_status("")), before);
        repo.assert_sound();
    });
}

#[test]
fn a_signing_program_or_key_that_is_missing_is_refused_beforehand() {
    both(|road| {
        let repo = Repo::new(road);
        repo.git(&["config", "commit.gpgSign", "true"]);
        repo.git(&["config", "gpg.program", "/no/such/gpg"]);
        repo.preflight(&["s.yaml"]).assert_refused("the signing program /no/such/gpg was not found");
        repo.git(&["config", "gpg.format", "ssh"]);
        repo.preflight(&["s.yaml"]).assert_refused("user.signingKey");
    });
}
