//! A profile that comes to name another GitLab: no value of the first one's tokens is sent there, and none of its tokens is
//! touched by a number that both have.

use provision::gitlab::emulator::Running;

use crate::support::gitlab;
use crate::support::lab::{Lab, Said};

const SECRETS: &str = "secrets/qa.sops.yaml";

/// The profile names another GitLab from now on, for which the operator has a token too.
fn moves(lab: &Lab) -> Running {
    let other = gitlab::start("");
    let profile = lab.read("environments/qa.yaml");
    lab.write("environments/qa.yaml", &profile.replace(lab.gitlab.url(), other.url()));
    lab.commit_all("another GitLab");
    other
}

fn run(lab: &Lab, other: &Running, args: &[&str]) -> Said {
    let mut command = lab.command(args);
    command.env("GITLAB_HOST", other.url()).env("GITLAB_TOKEN", other.operator_token().expose());
    Said::of(&command.output().unwrap())
}

#[track_caller]
fn was_asked_nothing(other: &Running) {
    assert_eq!(other.state()["requests"].as_array().unwrap().len(), 0, "{:?}", other.state()["requests"]);
}

const WRITERS: [&[&str]; 4] = [
    &["--env", "qa", "--yes"],
    &["rotate", "--env", "qa", "--yes"],
    &["revoke", "--env", "qa", "--yes"],
    &["resume", "--env", "qa", "--yes"],
];

#[test]
fn gets_no_value_of_a_token_that_the_lock_has_of_the_first_one() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    // Put there once more by hand, so that it has to be asked whose it is.
    let value = lab.value(SECRETS, "GITLAB_TOKEN");
    lab.sops(["set", SECRETS, r#"["GITLAB_TOKEN"]"#, &format!("\"{value}\"")]).ok();
    lab.commit_all("by hand");
    let other = moves(&lab);
    for args in WRITERS {
        let said = run(&lab, &other, args).refused(5, "is of");
        assert!(said.err.contains("backstage") && said.err.contains(lab.gitlab.url()), "{}", said.err);
        was_asked_nothing(&other);
    }
    assert_eq!(lab.minted().iter().filter(|token| token["active"] == true).count(), 1);
}

#[test]
fn gets_no_value_that_an_interrupted_run_recorded() {
    let lab = Lab::new();
    lab.gitlab.add_fault("GET /personal_access_tokens/self x1 500".parse().unwrap());
    lab.provision(["--env", "qa", "--yes"]).refused(4, "could not be verified");
    let other = moves(&lab);
    for args in WRITERS {
        run(&lab, &other, args).refused(5, "is of");
        was_asked_nothing(&other);
    }
}
