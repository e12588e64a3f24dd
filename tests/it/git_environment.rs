//! What the programs that a commit starts see of our environment: neither the operator's credential nor an age identity.

use std::fs;

use super::repo_sandbox::{Repo, Road, both};
use crate::support::program::shell;

const CANARY: &str = "not-for-children";

/// A repository whose commits are made by a process that has secrets in its environment.
fn with_secrets(road: Road) -> Repo {
    let mut repo = Repo::new(road);
    for name in ["GITLAB_TOKEN", "SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD"] {
        repo.env.insert(name.to_owned(), CANARY.into());
    }
    repo.env.insert("KEPT".to_owned(), "kept".into());
    repo
}

/// A line of shell that writes down the environment.
fn note(repo: &Repo, who: &str) -> String {
    format!("env >> '{}'", repo.sandbox().path().join(who).display())
}

#[track_caller]
fn assert_saw_nothing(repo: &Repo, who: &str) {
    let seen = fs::read_to_string(repo.sandbox().path().join(who)).unwrap();
    assert!(seen.contains("KEPT=kept"), "{who} did not run with our environment: {seen}");
    assert!(!seen.contains(CANARY), "{who} saw a secret: {seen}");
}

fn commit(repo: &Repo, road: Road) {
    repo.write("s.yaml", "s: 2\n");
    assert_eq!(repo.preflight(&["s.yaml"]).value.to_string(), "{}");
    repo.commit(&["s.yaml"], "second").assert_made(road);
    repo.assert_sound();
}

#[test]
fn a_filter_sees_no_secret() {
    both(|road| {
        let repo = with_secrets(road);
        let filter = repo.sandbox().path().join("filter");
        shell(&filter, &format!("{}; cat", note(&repo, "clean")));
        repo.git(&["config", "filter.own.clean", &format!("{} %f", filter.display())]);
        fs::write(repo.path.join(".git/info/attributes"), "s.yaml filter=own\n").unwrap();
        commit(&repo, road);
        assert_saw_nothing(&repo, "clean");
    });
}

#[test]
fn a_filter_that_reads_a_commit_for_us_sees_no_secret() {
    let repo = with_secrets(Road::Gix);
    let filter = repo.sandbox().path().join("filter");
    shell(&filter, &format!("{}; cat", note(&repo, "smudge")));
    repo.git(&["config", "filter.own.smudge", filter.to_str().unwrap()]);
    fs::write(repo.path.join(".git/info/attributes"), "s.yaml filter=own\n").unwrap();
    assert_eq!(repo.look(&["s.yaml"])["files"][0]["at_head"], "s: 1\n");
    assert_saw_nothing(&repo, "smudge");
}

#[test]
fn a_hook_sees_no_secret() {
    let repo = with_secrets(Road::Git);
    let hooks = ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "reference-transaction"];
    for hook in hooks {
        repo.hook(hook, &note(&repo, hook));
    }
    commit(&repo, Road::Git);
    for hook in hooks {
        assert_saw_nothing(&repo, hook);
    }
}

#[test]
fn a_signing_program_sees_no_secret() {
    both(|road| {
        let repo = with_secrets(road);
        let signer = repo.sandbox().path().join("signer");
        let signs = "cat >/dev/null; echo '[GNUPG:] SIG_CREATED ' >&2\n\
            printf '%s\\n' '-----BEGIN PGP SIGNATURE-----' AA '-----END PGP SIGNATURE-----'";
        shell(&signer, &format!("{}\n{signs}", note(&repo, "gpg")));
        repo.git(&["config", "gpg.program", signer.to_str().unwrap()]);
        repo.git(&["config", "commit.gpgSign", "true"]);
        commit(&repo, road);
        assert_saw_nothing(&repo, "gpg");
    });
}

#[test]
fn the_command_that_names_the_signing_key_sees_no_secret() {
    both(|road| {
        let repo = with_secrets(road);
        let signer = repo.sandbox().path().join("signer");
        // `-Y sign -n git -f KEY BUFFER`: the signature is expected beside the buffer.
        let signs = "for last; do :; done; cp \"$last\" \"$last.sig\"";
        shell(&signer, &format!("{}\n{signs}", note(&repo, "ssh")));
        let tell = repo.sandbox().path().join("tell");
        shell(&tell, &format!("{}; echo key::ssh-ed25519 AAAA t", note(&repo, "tell")));
        repo.git(&["config", "gpg.format", "ssh"]);
        repo.git(&["config", "gpg.ssh.program", signer.to_str().unwrap()]);
        repo.git(&["config", "gpg.ssh.defaultKeyCommand", tell.to_str().unwrap()]);
        repo.git(&["config", "commit.gpgSign", "true"]);
        commit(&repo, road);
        assert_saw_nothing(&repo, "tell");
        assert_saw_nothing(&repo, "ssh");
    });
}
