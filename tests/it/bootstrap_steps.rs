//! The steps of `bootstrap` one by one: key, form, file, and what is said of each.

use std::fs;
use std::process::Command;

use crate::doctor::with_glab;
use crate::support::form::{DEV, Form, MAUDE};
use crate::support::holder::fixture;
use crate::support::lab::{Lab, Said};
use crate::support::newcomer::{FILE, Newcomer, PASTE};
use crate::support::plugin::{self, Plugin};
use crate::support::program::script;
use crate::support::team::Team;
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

#[test]
fn a_skipped_step_keeps_no_other_from_being_done_and_says_how_to_do_it_later() {
    let (team, lab) = Team::with_clone();
    let newcomer = Newcomer::at(&lab);
    let access = ["bootstrap", "--request-access", "qa", "--name", "dev"];
    let later = "provision bootstrap --env devmode";

    // Without a key there is nothing to ask for, and nothing that a token could be encrypted for.
    let mut terminal = newcomer.sits_before(&access);
    terminal.answer("Make it?", "n");
    let (status, said) = terminal.end();
    assert_eq!(status, 130, "{said}");
    let hint = format!(
        "your token for devmode is not made either: it would be encrypted for you alone; to do both later: {later} --request-access qa"
    );
    assert!(said.contains("declined; nothing was changed") && said.contains(&hint), "{said}");

    // Without the account, and then without the token: access is asked for.
    let mut terminal = newcomer.sits_before(&access);
    terminal.answer("Make it?", "y");
    terminal.answer("Is that where your account is?", "n");
    terminal.expect("token: skipped");
    terminal.answer("Ask for it in a merge request?", "y");
    let (status, said) = terminal.end();
    assert_eq!(status, 130, "{said}");
    assert!(said.contains("a maintainer merges it"), "{said}");
    let hint = format!("your token for devmode is not made; to do it later: {later}\r\n");
    assert!(said.contains("declined; nothing else was changed") && said.contains(&hint), "{said}");
    assert!(team.git(["branch", "--list"]).contains("provision/access-dev"));
    assert_eq!(lab.minted().len(), 0);

    // Later: the token; and access alone is skipped.
    let mut terminal = newcomer.sits_before(&["bootstrap", "--request-access", "dev", "--name", "dev-2"]);
    terminal.answer("Is that where your account is?", "y");
    terminal.expect("create the token there");
    let token = Form::in_text(terminal.all()).submit(&lab, DEV);
    terminal.expect(PASTE);
    terminal.paste(&token);
    terminal.answer("Go ahead?", "y");
    terminal.answer("Ask for it in a merge request?", "n");
    let (status, said) = terminal.end();
    assert_eq!(status, 130, "{said}");
    assert!(said.contains("next: provision exec --env devmode -- COMMAND"), "{said}");
    assert!(said.contains(&format!("to ask for it later: {later} --request-access dev")), "{said}");
    assert_eq!(newcomer.token(), token);
}

#[test]
fn what_is_for_the_team_is_made_for_who_skips_the_key() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let mut command = newcomer.command(&["bootstrap", "--env", "dev"]);
    command.env("GITLAB_HOST", lab.gitlab.url());
    command.env("GITLAB_TOKEN", lab.gitlab.operator_token().expose());
    let mut terminal = Terminal::start(command);
    terminal.answer("Make it?", "n");
    terminal.expect("key: skipped");
    terminal.answer("Go ahead?", "y");
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert_eq!(lab.minted().len(), 1);
    assert!(!newcomer.key_file().exists());
}

#[test]
fn the_token_that_glab_keeps_acts_once_the_person_says_so_and_who_has_none_reads_of_glab() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let without = newcomer.trusts(&["bootstrap", "--env", "dev", "--yes"]);
    without.refused(6, "or log in with glab auth login");
    let host = lab.gitlab.url().trim_start_matches("http://").to_owned();
    let path = with_glab(&lab, &host, lab.gitlab.operator_token().expose());
    let mut command = newcomer.command(&["bootstrap", "--env", "dev"]);
    command.env("PATH", &path);
    let mut terminal = Terminal::start(command);
    terminal.answer("Use the token from glab for", "y");
    terminal.answer("Go ahead?", "y");
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert_eq!(lab.minted().len(), 1);
}

/// A key in `keys.txt`, as the plugin's own tool writes it.
fn plugin_key(newcomer: &Newcomer<'_>, recipient: &str, identity: &str) {
    fs::create_dir_all(newcomer.key_file().parent().unwrap()).unwrap();
    fs::write(newcomer.key_file(), format!("#    Recipient: {recipient}\n{identity}\n")).unwrap();
}

#[test]
fn an_identity_of_a_plugin_serves() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let plugin = Plugin::new();
    plugin_key(&newcomer, plugin::ANA.0, plugin::ANA.1);
    let token = token_of(&newcomer, &lab, DEV);
    let path = format!("{}:{}", plugin.on_path().display(), std::env::var("PATH").unwrap());
    let run = |args: &[&str]| {
        let mut command = newcomer.command(args);
        Said::of(&command.env("PATH", &path).env("GITLAB_HOST", lab.gitlab.url()).output().unwrap())
    };
    let said = run(&["bootstrap", "--yes", "--token-file", &token]).ok();
    assert!(said.err.contains(&format!("key: {} from ", plugin::ANA.0)), "{said:?}");
    assert!(lab.read(FILE).contains(plugin::ANA.0));
    let shown = run(&["show", "--reveal", FILE, "GITLAB_TOKEN"]).ok();
    assert_eq!(shown.out, fs::read_to_string(&token).unwrap());
    run(&["bootstrap"]).ok();
}

#[test]
fn an_ssh_key_serves_with_and_without_a_passphrase() {
    for (key, passphrase) in [("id_ed25519", None), ("id_ed25519_locked", Some("swordfish"))] {
        let lab = Lab::new();
        let newcomer = Newcomer::at(&lab);
        fs::create_dir(newcomer.home.join(".ssh")).unwrap();
        fs::copy(fixture(key), newcomer.home.join(".ssh/id_ed25519")).unwrap();
        let token = token_of(&newcomer, &lab, DEV);
        let mut command = newcomer.command(&["bootstrap", "--token-file", &token]);
        let mut terminal = Terminal::start({
            command.env("GITLAB_HOST", lab.gitlab.url());
            command
        });
        terminal.answer("Use your SSH key ssh-ed25519", "y");
        terminal.answer("Go ahead?", "y");
        let (status, said) = terminal.end();
        assert_eq!(status, 0, "{said}");
        assert!(lab.read(FILE).contains("ssh-ed25519") && !newcomer.key_file().exists());
        let mut terminal = newcomer.sits_before(&["show", "--reveal", FILE, "GITLAB_TOKEN"]);
        if let Some(passphrase) = passphrase {
            terminal.expect("Passphrase of the SSH key");
            terminal.paste(passphrase);
        }
        let (status, said) = terminal.end();
        assert!(status == 0 && said.contains(&fs::read_to_string(&token).unwrap()), "{said}");
    }
}
