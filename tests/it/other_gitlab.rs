//! A profile that comes to name another GitLab: no value of the first one's tokens is sent there, and none of its tokens is
//! touched by a number that both have. And environments of two GitLabs in one repository.

use std::process::Command;

use jiff::SignedDuration;
use provision::gitlab::emulator::Running;

use super::adopt::by_hand;
use crate::support::gitlab;
use crate::support::lab::{Lab, Said};
use crate::support::team::Team;

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
    Said::of(&command(lab, other, args).output().unwrap())
}

fn command(lab: &Lab, other: &Running, args: &[&str]) -> Command {
    let mut command = lab.command(args);
    command.env("GITLAB_HOST", other.url()).env("GITLAB_TOKEN", other.operator_token().expose());
    command
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
fn what_was_to_be_revoked_at_the_first_one_is_not_forgotten() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.fault("DELETE * 500");
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--force", "--yes"]).refused(4, "not revoked");
    lab.provision(["resume", "--env", "qa", "--yes"]).refused(4, "not revoked");
    lab.gitlab.clear_faults();
    std::fs::remove_file(lab.repo().join("environments/locks/qa.yaml")).unwrap();
    let other = moves(&lab);
    for args in WRITERS {
        let said = run(&lab, &other, args)
            .refused(5, "which an interrupted run was about to revoke, of backstage is of");
        assert!(said.err.contains("give the profile its old gitlab: back"), "{}", said.err);
        was_asked_nothing(&other);
    }
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

const STAG: &str = "secrets/stag.sops.yaml";

/// `stag` beside the lab's environments, of a GitLab of its own.
fn two() -> (Lab, Running) {
    let lab = Lab::today();
    let other = gitlab::start_at(lab.gitlab.now());
    let profile = lab.read("environments/qa.yaml").replace(lab.gitlab.url(), other.url());
    lab.write("environments/stag.yaml", &profile.replace("secrets/qa.", "secrets/stag."));
    lab.commit_all("stag");
    (lab, other)
}

/// The numbers of the tokens that were minted there and live.
fn live(gitlab: &Running) -> Vec<u64> {
    let state = gitlab.state();
    let is_live = |token: &&serde_json::Value| {
        token["active"] == true
            && token["description"].as_str().is_some_and(|text| text.starts_with("provision "))
    };
    let tokens = state["tokens"].as_array().unwrap().iter().filter(is_live);
    tokens.map(|token| token["id"].as_u64().unwrap()).collect()
}

#[test]
fn the_same_number_at_another_gitlab_is_another_token() {
    let ends: [fn(&Lab, &Running); 3] = [
        |lab, other| {
            let leaked = lab.value(STAG, "GITLAB_TOKEN");
            let args = ["rotate", "--leaked", "--env", "stag", "--push", "--yes"];
            super::rotate::fed(command(lab, other, &args), &leaked).ok();
        },
        |lab, other| {
            run(lab, other, &["revoke", "--env", "stag", "--yes"]).ok();
        },
        |lab, other| {
            // The clone that made it is gone.
            lab.git(["reset", "-q", "--hard", "HEAD~1"]);
            lab.git(["push", "-q", "--force"]);
            other.advance(SignedDuration::from_hours(1));
            let args = ["revoke", "--env", "stag", "--orphans", "--older-than", "0s", "--yes"];
            run(lab, other, &args).ok();
        },
    ];
    for end in ends {
        let (lab, other) = two();
        let _team = Team::of(&lab);
        lab.provision(["--env", "qa", "--push", "--yes"]).ok();
        run(&lab, &other, &["--env", "stag", "--push", "--yes"]).ok();
        let number = live(&lab.gitlab);
        assert_eq!(live(&other), number);
        end(&lab, &other);
        assert!(!live(&other).contains(&number[0]), "{:?}", live(&other));
        assert_eq!(live(&lab.gitlab), number);
    }
}

#[test]
fn adopt_takes_over_at_the_gitlab_it_can_ask() {
    let (lab, other) = two();
    lab.provision(["--env", "qa", "--yes"]).ok();
    run(&lab, &other, &["--env", "stag", "--yes"]).ok();
    let paste = |name: &str| {
        let quoted = format!("\"{}\"", by_hand(&lab, name, 300));
        lab.sops(["set", SECRETS, "[\"GITLAB_TOKEN\"]", &quoted]).ok();
        lab.commit_all("by hand");
    };
    let has = |name: &str| lab.read("environments/locks/qa.yaml").contains(&format!("name: {name}\n"));
    paste("First");
    lab.provision(["adopt", "--yes", "--gitlab", lab.gitlab.url()]).ok();
    assert!(has("First"));

    // Without the option, all that can be asked: the other one is named, and not sent what is not its own.
    paste("Second");
    let before = other.state()["requests"].as_array().unwrap().len();
    lab.provision(["adopt", "--yes"]).refused(3, "left: stag: ");
    assert!(has("Second"));
    assert_eq!(other.state()["requests"].as_array().unwrap().len(), before);

    paste("Third");
    lab.provision(["adopt", "--yes", STAG]).refused(3, "left: stag: ");
    assert!(!has("Third"));
    lab.provision(["adopt", "--yes", SECRETS]).ok();
    assert!(has("Third"));
}
