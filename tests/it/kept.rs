//! What a run keeps for the next one, and what becomes of it when it cannot be used; and what a person does in the meantime.

use std::fs;

use jiff::SignedDuration;
use serde_json::Value;

use crate::going_on::kept_out_of_git;
use crate::support::form::{Form, MAUDE};
use crate::support::lab::{Lab, said};
use crate::support::program;
use crate::support::team::Team;
use crate::support::terminal::Terminal;
use crate::support::watch::{LOCK, SECRETS};

/// The active tokens with this name.
fn active(lab: &Lab, name: &str) -> Vec<u64> {
    let state = lab.gitlab.state();
    let tokens = state["tokens"].as_array().unwrap().iter();
    let named = |token: &&Value| token["active"] == true && token["name"] == name;
    tokens.filter(named).map(|token| token["id"].as_u64().unwrap()).collect()
}

fn journal(lab: &Lab, environment: &str) -> bool {
    lab.repo().join(format!(".git/provision/{environment}.journal")).exists()
}

/// Every commit fails until it is taken away.
fn hook(lab: &Lab) -> std::path::PathBuf {
    let hook = lab.repo().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    program::script(&hook, "#!/bin/sh\nexit 1\n");
    hook
}

const SHARED: &str = "\
secrets:
  - { file: secrets/qa.sops.yaml, template: shared.yaml }
  - { file: secrets/c.sops.yaml, template: c.yaml }
tokens:
  a: { kind: group, group: alithya-csna, name: A, role: developer, scopes: [read_api], strategy: in-place, overlap: 1h }
  b: { kind: group, group: alithya-csna, name: B, role: developer, scopes: [read_api], overlap: 1h }
  c: { kind: group, group: toccoag, name: C, role: developer, scopes: [read_api], overlap: 1h }
";

/// GitLab's rotate has ended the old token of `a`, and the run that retires an older one of it may not forget the new one.
#[test]
fn a_rotated_token_that_waits_for_another_is_used_by_the_next_run() {
    let lab = Lab::today();
    let profile = format!("gitlab: {}\n{SHARED}", lab.gitlab.url());
    lab.write("templates/shared.yaml", "A: \"{{ tokens.a }}\"\nBOTH: \"{{ tokens.a }}:{{ tokens.b }}\"\n");
    lab.write("templates/c.yaml", "C: \"{{ tokens.c }}\"\n");
    lab.write("environments/qa.yaml", &profile);
    lab.commit_all("three");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.write("environments/qa.yaml", &profile.replacen("[read_api]", "[read_api, read_repository]", 1));
    lab.commit_all("scopes");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.gitlab.advance(SignedDuration::from_hours(2));
    let before = active(&lab, "A");
    assert_eq!(before.len(), 2);

    lab.fault("POST /groups/101/access_tokens x1 403");
    let said = lab.provision(["rotate", "--env", "qa", "--yes"]).refused(4, "tokens were not made");
    assert!(said.out.contains(&format!("a is not finished: token {} has ended", before[1])), "{}", said.out);
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(!journal(&lab, "qa"), "{}{}", said.out, said.err);
    let [living] = active(&lab, "A")[..] else { panic!("{}", said.out) };
    assert!(!before.contains(&living));
    let value = lab.value(SECRETS, "A");
    assert!(lab.value(SECRETS, "BOTH").starts_with(&value));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(active(&lab, "A"), [living]);
}

/// GitLab 17.5 keeps no descriptions, so nothing but its value proves a token.
#[test]
fn a_token_without_a_mark_that_cannot_be_used_ends_itself() {
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/src/gitlab/emulator/default_seed.yaml");
    let seed = format!("settings: {{ version: 17.5.0 }}\n{}", fs::read_to_string(built_in).unwrap());
    for (args, living) in [(&["--env", "qa", "--yes"][..], 1), (&["resume", "--abandon", "--yes"], 0)] {
        let lab = Lab::with_seed(Some(&seed));
        lab.fault("GET /personal_access_tokens/self x1 500");
        lab.provision(["--env", "qa", "--yes"]).refused(4, "could not be verified");
        let name = "Backstage (qa.alithya-mws.com)";
        let [first] = active(&lab, name)[..] else { panic!() };
        let profile = lab.read("environments/qa.yaml").replace("[read_api, ", "[");
        lab.write("environments/qa.yaml", &profile);
        lab.commit_all("fewer scopes");
        lab.provision(args).ok();
        let now = active(&lab, name);
        assert!(now.len() == living && !now.contains(&first), "{args:?}: {now:?}");
        assert!(!journal(&lab, "qa"));
    }
}

#[test]
fn a_persons_own_token_without_a_mark_is_left_to_them_and_named() {
    let lab = Lab::new();
    let hook = hook(&lab);
    let mut terminal = Terminal::start(lab.command(["--env", "devmode", "--yes"]));
    terminal.expect("create the token there");
    let form = Form::in_text(terminal.all()).with("description", "");
    terminal.expect("Paste the token here");
    terminal.paste(&form.submit(&lab, MAUDE));
    let (status, said) = terminal.end();
    assert_eq!(status, 4, "{said}");
    fs::remove_file(hook).unwrap();
    lab.git(["checkout", "-q", "-b", "another"]);
    let [own] = active(&lab, "Backstage (localhost)")[..] else { panic!() };
    let said = lab.provision(["resume", "--abandon", "--yes"]).refused(3, "it is your own");
    assert!(said.err.contains(&format!("token {own}")), "{}", said.err);
    assert_eq!(active(&lab, "Backstage (localhost)"), [own]);
    assert!(!journal(&lab, "devmode"));
}

#[test]
fn what_is_edited_while_the_question_waits_is_not_overwritten() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let hook = hook(&lab);
    lab.provision(["rotate", "--env", "qa", "--yes"]).refused(4, "");
    fs::remove_file(hook).unwrap();
    let edited = format!("{}# mine\n", lab.read(SECRETS));
    let answered = |args: &[&str], path: &str, text: &str| {
        let mut terminal = Terminal::start(lab.command(args));
        terminal.expect("Go ahead?");
        lab.write(path, text);
        terminal.type_line("y");
        let (status, said) = terminal.end();
        assert_eq!(status, 5, "{said}");
        assert!(said.contains(&format!("{path} has changed since the plan was made")), "{said}");
        assert_eq!(lab.read(path), text);
    };
    answered(&["resume", "--abandon"], SECRETS, &edited);
    lab.git(["checkout", "-q", "."]);
    lab.provision(["resume", "--abandon", "--yes"]).ok();
    let edited = format!("{}# mine\n", lab.read(LOCK));
    answered(&["rotate", "--env", "qa"], LOCK, &edited);
}

/// Each of two machines would end what the other one uses.
#[test]
fn a_file_that_git_does_not_keep_is_not_made_twice() {
    let lab = kept_out_of_git();
    let team = Team::of(&lab);
    let ben = team.another_clone("ben");
    let run = |args: &[&str]| said(&mut ben.command(&lab, args));
    for args in [&["--env", "qa", "--yes"][..], &["--env", "qa", "--dry-run"]] {
        let said = run(args).refused(5, "secrets/qa.sops.yaml, which git does not keep, is not here");
        assert!(said.err.contains("bring secrets/qa.sops.yaml here"), "{}", said.err);
        assert!(said.err.contains("provision rotate --env qa --token backstage"), "{}", said.err);
    }
    let status = run(&["status", "--env", "qa"]).ok();
    assert!(status.err.contains("secrets/qa.sops.yaml is not here"), "{}", status.err);
    assert_eq!(lab.minted().len(), 1);

    // The same where it was deleted.
    let file = lab.repo().join(SECRETS);
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    lab.provision(["--env", "qa", "--yes"]).refused(5, "bring secrets/qa.sops.yaml here");
    fs::write(&file, bytes).unwrap();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 1);

    run(&["rotate", "--env", "qa", "--token", "backstage", "--yes"]).ok();
    run(&["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 2);
    // What has ended is nobody's to bring.
    let other = team.another_clone("eva");
    let id = lab.minted()[0]["id"].as_u64().unwrap();
    lab.api("DELETE", &format!("/groups/alithya-csna/access_tokens/{id}"), &Value::Null);
    said(&mut other.command(&lab, &["--env", "qa", "--yes"])).ok();
    assert_eq!(lab.minted().len(), 3);
}
