//! What GitLab answers once must not be lost for want of a program: whatever its seal takes is tried before it is asked for.

use std::process::Command;

use crate::support::form::{Form, MAUDE};
use crate::support::key_service::KeyService;
use crate::support::lab::{Lab, said};
use crate::support::terminal::Terminal;

const PGP: &str = "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4";
const ROTATE: [&str; 5] = ["rotate", "--env", "qa", "--yes", "--quiet"];

/// A lab whose files have a reader besides, for whom a key service wraps.
fn lab() -> Lab {
    let lab = Lab::new();
    let policy =
        format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {}\n    pgp: {PGP}\n", lab.recipient);
    lab.write(".sops.yaml", &policy);
    lab.commit_all("a reader with PGP");
    lab
}

fn with(lab: &Lab, service: &KeyService, args: &[&str]) -> Command {
    let mut command = lab.command(args);
    command.env("SOPS_KEYSERVICE", service.address()).env("SOPS_ENABLE_LOCAL_KEYSERVICE", "false");
    command
}

/// Where nobody wraps for PGP.
fn without(lab: &Lab, args: &[&str]) -> Command {
    let mut command = lab.command(args);
    command.env("SOPS_ENABLE_LOCAL_KEYSERVICE", "false");
    command
}

#[test]
fn a_token_whose_value_could_not_be_sealed_is_neither_minted_nor_rotated() {
    for strategy in ["replace", "in-place"] {
        let (lab, service) = (lab(), KeyService::start());
        let profile = lab.read("environments/qa.yaml");
        lab.write("environments/qa.yaml", &format!("{profile}    strategy: {strategy}\n"));
        lab.commit_all("strategy");
        said(&mut with(&lab, &service, &["--env", "qa", "--yes"])).ok();
        let made = lab.made_and_living();

        let text = lab.refusal(&mut without(&lab, &ROTATE));
        assert!(text.starts_with("exit 5\nerror: new values cannot be sealed for the readers of"), "{text}");
        assert!(text.contains(PGP), "{text}");
        assert_eq!(lab.made_and_living(), made);
        assert!(!lab.repo().join(".git/provision/qa.journal").exists());

        said(&mut with(&lab, &service, &ROTATE)).ok();
        assert_eq!(lab.made_and_living().0, made.0 + 1);
    }
}

#[test]
fn the_key_of_the_seal_is_wrapped_once_whatever_is_minted_under_it() {
    let (lab, service) = (lab(), KeyService::start());
    let second =
        "  mirror: { kind: group, group: alithya-csna, name: Mirror, role: reporter, scopes: [read_api] }\n";
    lab.write("environments/qa.yaml", &(lab.read("environments/qa.yaml") + second));
    lab.write(
        "templates/backstage.yaml",
        &(lab.read("templates/backstage.yaml") + "MIRROR: \"{{ tokens.mirror }}\"\n"),
    );
    lab.commit_all("two tokens");
    said(&mut with(&lab, &service, &["--env", "qa", "--yes"])).ok();
    service.asked();
    said(&mut with(&lab, &service, &ROTATE)).ok();
    let calls: Vec<String> = service.asked().into_iter().map(|(call, _)| call).collect();
    assert_eq!(calls, ["Encrypt"]);
}

#[test]
fn a_person_is_not_asked_to_make_a_token_whose_value_could_not_be_sealed() {
    let (lab, service) = (lab(), KeyService::start());
    let profile = lab.read("environments/devmode.yaml");
    let profile = profile.replace("  recipients: self\n", "").replace("devmode/{user}", "shared");
    lab.write("environments/devmode.yaml", &profile);
    lab.commit_all("by the policy");
    let mut terminal = Terminal::start(with(&lab, &service, &["--env", "devmode", "--yes"]));
    terminal.expect("create the token there");
    let form = Form::in_text(terminal.all());
    terminal.expect("Paste the token here");
    terminal.paste(&form.submit(&lab, MAUDE));
    let (status, text) = terminal.end();
    assert_eq!(status, 0, "{text}");

    lab.write("environments/devmode.yaml", &profile.replace("(localhost)", "(laptop)"));
    lab.commit_all("rename");
    let text = lab.refusal(&mut without(&lab, &["--env", "devmode", "--yes", "--quiet"]));
    assert!(text.starts_with("exit 5\nerror: new values cannot be sealed for the readers of"), "{text}");
}
