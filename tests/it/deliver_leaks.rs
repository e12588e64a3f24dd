//! What git and the programs that it starts see when a run delivers: no age identity ever, and the operator's token only
//! where a credential helper may have to answer with it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::support::canaries::Canaries;
use crate::support::lab::{Lab, Said};
use crate::support::team::Team;

/// A line of shell that writes down environment and arguments.
fn notes(place: &Path) -> String {
    format!("{{ env; echo \"arguments: $*\"; }} >> '{}'", place.display())
}

fn hook(lab: &Lab, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let hook = lab.repo().join(".git/hooks").join(name);
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

/// With the identity in the environment, where it is easily passed on.
fn run(lab: &Lab, way: &str) -> Said {
    let mut command = lab.command(["-vv", "--env", "qa", "--yes", way]);
    command.env("SOPS_AGE_KEY", lab.identity()).env("KEPT", "kept");
    Said::of(&command.output().unwrap())
}

#[track_caller]
fn seen(place: &Path) -> String {
    let seen = fs::read_to_string(place).unwrap();
    assert!(seen.contains("KEPT=kept"), "{} did not run with our environment", place.display());
    seen
}

#[test]
fn over_ssh_neither_ssh_nor_a_hook_sees_a_secret_and_none_is_in_an_argument() {
    for way in ["--push", "--mr"] {
        let lab = Lab::new();
        let team = Team::of(&lab);
        // Outside of what is searched for values on disk: what is written there is looked at by itself.
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| -> PathBuf { folder.path().join(name) };
        team.is_a_project(&lab, &notes(&place("ssh")));
        let hooks = ["pre-commit", "post-commit", "reference-transaction", "pre-push"];
        for name in hooks {
            hook(&lab, name, &notes(&place(name)));
        }
        team.hook("pre-receive", &notes(&place("pre-receive")));
        let said = run(&lab, way).ok();
        let canaries = Canaries::of(&lab, [lab_value(&lab, &team, way)]);
        for name in hooks.into_iter().chain(["ssh", "pre-receive"]) {
            assert!(!canaries.are_in(seen(&place(name)).as_bytes()), "{name} sees a secret");
        }
        assert!(!canaries.are_in(said.out.as_bytes()) && !canaries.are_in(said.err.as_bytes()));
        canaries.are_nowhere_in(&lab);
    }
}

/// The value that was delivered, as stock sops reads it.
fn lab_value(lab: &Lab, team: &Team, way: &str) -> String {
    let branch = if way == "--push" { "main" } else { "provision/qa" };
    let copy = lab.everything().join("copy.yaml");
    fs::write(&copy, team.content(branch, "secrets/qa.sops.yaml").unwrap()).unwrap();
    lab.value(copy.to_str().unwrap(), "GITLAB_TOKEN")
}

/// Says 401 to whatever comes, until it is dropped with the test.
fn asks_for_a_password() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut bytes = [0; 4096];
            let _ = client.read(&mut bytes);
            let reply = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"GitLab\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = client.write_all(reply.as_bytes());
        }
    });
    url
}

#[test]
fn over_http_a_credential_helper_may_answer_with_the_operators_token_and_sees_no_identity() {
    let lab = Lab::new();
    let _team = Team::of(&lab);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("helper");
    let helper =
        format!("!f() {{ {}; echo username=oauth2; echo \"password=$GITLAB_TOKEN\"; }}; f", notes(&place));
    lab.git(["config", "credential.helper", &helper]);
    lab.git(["remote", "set-url", "origin", &format!("{}/a/b.git", asks_for_a_password())]);
    let said = run(&lab, "--push").refused(6, "origin does not allow git ls-remote");
    let seen = seen(&place);
    assert!(seen.contains(&format!("GITLAB_TOKEN={}", lab.gitlab.operator_token().expose())), "{seen}");
    assert!(!seen.contains(lab.identity()) && !seen.contains("SOPS_AGE"), "the helper sees the identity");
    let canaries = Canaries::of(&lab, Vec::new());
    assert!(!canaries.are_in(said.out.as_bytes()) && !canaries.are_in(said.err.as_bytes()), "{}", said.err);
    assert_eq!(lab.minted().len(), 0);
}
