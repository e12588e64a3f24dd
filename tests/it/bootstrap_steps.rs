//! The steps of `bootstrap` one by one: key, form, file, and what is said of each.

use std::fs;
use std::process::Command;

use crate::support::form::{DEV, Form, MAUDE};
use crate::support::holder::fixture;
use crate::support::lab::Lab;
use crate::support::newcomer::{FILE, Newcomer, PASTE};
use crate::support::program::script;
use crate::support::terminal::Terminal;

/// The person's token in a file.
fn token_of(newcomer: &Newcomer<'_>, lab: &Lab, user: &str) -> String {
    let file = newcomer.home.join(format!("token-{user}"));
    fs::write(&file, Form::by_heart().submit(lab, user)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn what_is_kept_out_of_git_is_not_said_to_be_committed() {
    let lab = Lab::new();
    let profile = lab.read("environments/devmode.yaml");
    lab.write(
        "environments/devmode.yaml",
        &profile.replace("recipients: self", "recipients: self\n  commit: false"),
    );
    lab.write(".gitignore", "/secrets/devmode/*.sops.yaml\n");
    lab.commit_all("kept out");
    let newcomer = Newcomer::at(&lab);
    let token = token_of(&newcomer, &lab, DEV);
    let said = newcomer.trusts(&["bootstrap", "--yes", "--token-file", &token]).ok();
    assert!(said.out.contains(&format!("wrote {FILE}, kept out of git")), "{said:?}");
    assert!(!said.out.contains(&format!("with {FILE}")), "{said:?}");
    let committed = lab.git(["show", "--name-only", "--format=", "HEAD"]);
    assert_eq!(committed, "environments/locks/devmode/dev.yaml");
    assert_eq!(newcomer.token(), fs::read_to_string(token).unwrap());
}

#[test]
fn two_files_of_ones_own_are_both_named() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    for user in [DEV, MAUDE] {
        let token = token_of(&newcomer, &lab, user);
        newcomer.trusts(&["bootstrap", "--yes", "--token-file", &token]).ok();
    }
    let exec = |source: &[&str]| newcomer.says(&[&["exec"], source, &["--", "true"]].concat());
    let said = exec(&["--env", "devmode"]).refused(125, "are all for a key of yours");
    assert!(said.err.contains("such as secrets/devmode/dev.sops.yaml"), "{said:?}");
    exec(&["--file", "secrets/devmode/dev.sops.yaml"]).ok();
    fs::remove_file(newcomer.key_file()).unwrap();
    exec(&["--env", "devmode"]).refused(125, "are other people's: no key here is among their readers");
}

#[test]
fn a_key_that_is_there_stays_as_it_is() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let token = token_of(&newcomer, &lab, DEV);
    let first = newcomer.trusts(&["bootstrap", "--yes", "--token-file", &token]).ok();
    assert!(first.err.contains("keep a copy (in a password manager)"), "{first:?}");
    let key = fs::read(newcomer.key_file()).unwrap();
    let again = newcomer.trusts(&["bootstrap", "--passphrase"]).ok();
    assert!(again.err.contains("it stays as it is: --passphrase is for a new key"), "{again:?}");
    assert_eq!(fs::read(newcomer.key_file()).unwrap(), key);
}

#[test]
fn the_browser_opens_the_form_with_its_fields_filled_in() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let (pipe, browser) = (newcomer.home.join("opened"), newcomer.home.join("browser"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    script(&browser, &format!("#!/bin/sh\necho \"$1\" > '{}'\n", pipe.display()));
    let mut command = newcomer.command(&["bootstrap", "--yes"]);
    command.env("GITLAB_HOST", lab.gitlab.url()).env("BROWSER", &browser);
    let mut terminal = Terminal::start(command);
    terminal.expect("the form is open in your browser");
    let opened = fs::read_to_string(&pipe).unwrap();
    let token = Form::in_text(&opened).submit(&lab, DEV);
    terminal.expect("create the token there");
    assert!(terminal.all().contains(opened.trim()), "the address is printed too: {}", terminal.all());
    terminal.expect(PASTE);
    terminal.paste(&token);
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert_eq!(newcomer.token(), token);
}

#[test]
fn an_ssh_key_serves_or_an_age_key_is_made_as_the_person_says() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    fs::create_dir(newcomer.home.join(".ssh")).unwrap();
    fs::copy(fixture("id_ed25519"), newcomer.home.join(".ssh/id_ed25519")).unwrap();
    let question = "Use your SSH key ssh-ed25519";

    let mut terminal = newcomer.sits_before(&["bootstrap"]);
    terminal.expect(question);
    terminal.interrupt();
    let (status, said) = terminal.end();
    assert!(status == 130 && said.contains("interrupted; nothing was changed"), "{status}: {said}");

    let mut terminal = newcomer.sits_before(&["bootstrap"]);
    terminal.answer(question, "n");
    terminal.answer("Make it?", "n");
    let (status, said) = terminal.end();
    assert_eq!(status, 130, "{said}");
    assert!(said.contains("declined; nothing was changed") && said.contains("SOPS_AGE_KEY_FILE"), "{said}");
    assert!(!newcomer.key_file().exists());

    let mut terminal = newcomer.sits_before(&["bootstrap"]);
    terminal.answer(question, "y");
    terminal.expect(".ssh/id_ed25519");
    terminal.answer("Is that where your account is?", "n");
    assert_eq!(terminal.end().0, 130);
    assert!(!newcomer.key_file().exists());
}

#[test]
fn a_token_that_has_ended_is_not_said_to_live_on() {
    let lab = Lab::new();
    lab.provision(["--env", "dev", "--yes"]).ok();
    let id = lab.minted()[0]["id"].as_u64().unwrap();
    let path = format!("/groups/alithya-csna/access_tokens/{id}");
    lab.api("DELETE", &path, &serde_json::Value::Null);
    let plan = lab.provision(["--env", "dev", "--dry-run"]).ok();
    assert!(plan.out.contains("because the current one was revoked"), "{plan:?}");
    assert!(!plan.out.contains("is superseded"), "{plan:?}");
}
