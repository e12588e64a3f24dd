//! Personal tokens that a person makes in GitLab's form and pastes on a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::canaries::Canaries;
use crate::support::form::{DEV, Form, MAUDE};
use crate::support::lab::{Lab, said};
use crate::support::newcomer::Newcomer;
use crate::support::terminal::Terminal;

const FILE: &str = "secrets/devmode/maude.sops.yaml";
const LOCK: &str = "environments/locks/devmode/maude.yaml";
const PASTE: &str = "Paste the token here (it is not shown)";

fn asks(lab: &Lab, args: &[&str]) -> (Terminal, Form) {
    let args = ["--env", "devmode", "--yes"].iter().chain(args);
    let mut terminal = Terminal::start(lab.command(args));
    terminal.expect("create the token there");
    let form = Form::in_text(terminal.all());
    terminal.expect(PASTE);
    (terminal, form)
}

#[test]
fn a_pasted_token_is_proved_sealed_committed_and_never_shown() {
    let lab = Lab::new();
    let (mut terminal, form) = asks(&lab, &[]);
    let token = form.submit(&lab, MAUDE);
    terminal.paste(&token);
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    let canaries = Canaries::of(&lab, [token.clone()]);
    assert!(!canaries.are_in(said.as_bytes()), "{said}");
    canaries.are_nowhere_in(&lab);
    assert_eq!(lab.value(FILE, "GITLAB_TOKEN"), token);
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    let lock = lab.read(LOCK);
    assert!(lock.contains("mark: pv-") && !lock.contains("accepted"), "{lock}");
    let again = lab.provision(["--env", "devmode"]).ok();
    assert!(again.out.contains("is healthy"), "{again:?}");
}

#[test]
fn a_token_that_will_not_do_is_asked_for_again() {
    let lab = Lab::new();
    let head = lab.head();
    let (mut terminal, form) = asks(&lab, &[]);
    let token = form.submit(&lab, MAUDE);
    let wrong = [
        (token[..token.len() - 3].to_owned(), "its checksum does not match"),
        (form.submit(&lab, DEV), "it belongs to user 3, and maude is user 2"),
        (form.with("name", "My token").submit(&lab, MAUDE), "its name is \"My token\""),
        (form.with("scopes", "read_user").submit(&lab, MAUDE), "it lacks read_api, read_repository"),
        (
            form.with("scopes", "read_user,read_api,read_repository,write_repository,api")
                .submit(&lab, MAUDE),
            "it also has api",
        ),
        (lab.gitlab.operator_token().expose().to_owned(), "its name is"),
    ];
    for (token, why) in wrong {
        terminal.paste(&token);
        terminal.expect(why);
        terminal.expect(PASTE);
    }
    assert_eq!(lab.head(), head);
    terminal.paste(&token);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(lab.value(FILE, "GITLAB_TOKEN"), token);
}

#[test]
fn more_than_was_asked_for_is_taken_only_where_a_person_accepts_it_and_only_that() {
    let lab = Lab::new();
    let (mut terminal, form) = asks(&lab, &["--accept-more"]);
    let more = form.with("scopes", "read_user,read_api,read_repository,write_repository,api");
    terminal.paste(&more.submit(&lab, MAUDE));
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert!(lab.read(LOCK).contains("accepted:\n    - api\n"), "{}", lab.read(LOCK));
    lab.provision(["--env", "devmode"]).ok();
    let profile = lab.read("environments/devmode.yaml").replace(", write_repository]", "]");
    lab.write("environments/devmode.yaml", &profile);
    let plan = lab.provision(["--env", "devmode", "--dry-run"]).ok();
    assert!(plan.out.contains("because scopes changes"), "{plan:?}");
}

#[test]
fn ctrl_c_at_the_prompt_changes_nothing_and_gives_the_terminal_back() {
    let lab = Lab::new();
    let head = lab.head();
    let (mut terminal, _) = asks(&lab, &[]);
    terminal.wait_until_hidden();
    terminal.interrupt();
    let (status, said, restored) = terminal.end_and_modes();
    assert_eq!(status, 130, "{said}");
    assert!(said.contains("interrupted; nothing was changed"), "{said}");
    assert!(restored, "what is typed stays hidden");
    assert_eq!((lab.head(), lab.git(["status", "--porcelain"])), (head, String::new()));
    assert!(!lab.repo().join(".git/provision/devmode.journal").exists());
}

#[test]
fn an_empty_answer_declines() {
    let lab = Lab::new();
    let (mut terminal, _) = asks(&lab, &[]);
    terminal.paste("");
    let (status, said) = terminal.end();
    assert_eq!(status, 130, "{said}");
    assert!(said.contains("no token was pasted; nothing was changed"), "{said}");
}

#[test]
fn what_was_pasted_is_under_seal_in_the_journal_and_not_asked_for_again() {
    let lab = Lab::new();
    let hook = lab.repo().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let (mut terminal, form) = asks(&lab, &[]);
    let token = form.submit(&lab, MAUDE);
    terminal.paste(&token);
    let (status, said) = terminal.end();
    assert_eq!(status, 4, "{said}");
    Canaries::of(&lab, [token.clone()]).are_nowhere_in(&lab);
    fs::remove_file(hook).unwrap();
    lab.provision(["--env", "devmode", "--yes"]).ok();
    assert_eq!(lab.value(FILE, "GITLAB_TOKEN"), token);
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn without_a_terminal_the_form_is_named_and_nothing_is_done() {
    let lab = Lab::new();
    let said = lab.provision(["--env", "devmode", "--yes"]);
    let said = said.refused(2, "there is no terminal to paste it on");
    assert!(!Form::in_text(&said.err).submit(&lab, MAUDE).is_empty());
}

#[test]
fn a_pasted_token_is_never_written_where_the_rule_leaves_its_slot_in_the_clear() {
    let lab = Lab::new();
    let profile = "secrets: { file: secrets/mine.sops.yaml, template: mine.yaml }\n\
        tokens:\n  me: { kind: personal, name: Mine, scopes: [read_user] }\n";
    lab.write("environments/mine.yaml", &format!("gitlab: {}\n{profile}", lab.gitlab.url()));
    lab.write("templates/mine.yaml", "token: \"{{ tokens.me }}\"\npassword: secret\n");
    let policy = lab.read(".sops.yaml").replace("    age:", "    encrypted_regex: ^password$\n    age:");
    lab.write(".sops.yaml", &policy);
    lab.commit_all("mine");
    // Nobody is asked for a token that would have no place.
    let mut terminal = Terminal::start(lab.command(["--env", "mine", "--yes"]));
    terminal.expect("[\"token\"] would be written in the clear");
    let (status, said) = terminal.end();
    assert_eq!(status, 5, "{said}");
    assert!(!said.contains(PASTE), "{said}");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn a_renewed_token_supersedes_the_old_one() {
    let lab = Lab::new();
    let (mut terminal, form) = asks(&lab, &[]);
    terminal.paste(&form.submit(&lab, MAUDE));
    assert_eq!(terminal.end().0, 0);
    let old = lab.read(LOCK).lines().find(|line| line.contains(" id: ")).unwrap().to_owned();
    let profile = lab.read("environments/devmode.yaml").replace("(localhost)", "(laptop)");
    lab.write("environments/devmode.yaml", &profile);
    lab.commit_all("rename");
    let (mut terminal, form) = asks(&lab, &[]);
    terminal.paste(&form.submit(&lab, MAUDE));
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    let lock = lab.read(LOCK);
    let superseded = &lock[lock.find("superseded:").unwrap()..];
    assert!(superseded.contains(old.trim()), "{old:?} in {lock}");
}

/// GitLab tells of a personal token only its user and administrators.
#[test]
fn a_colleagues_own_token_stands_in_nobodys_way() {
    let lab = Lab::new();
    let colleague = Newcomer::at(&lab);
    let file = colleague.home.join("token");
    fs::write(&file, Form::by_heart().submit(&lab, DEV)).unwrap();
    let mut bootstrap = colleague.command(&["bootstrap", "--yes", "--token-file", file.to_str().unwrap()]);
    said(bootstrap.env("GITLAB_HOST", lab.gitlab.url())).ok();
    lab.provision(["--env", "qa,dev", "--yes"]).ok();

    let live = lab.provision(["status", "--live"]).ok();
    assert!(live.out.contains("unseen"), "{}", live.out);
    assert!(!lab.provision_as_admin(["status", "--live"]).ok().out.contains("unseen"));
    for args in [["adopt", "--yes", "--quiet"], ["revoke", "--all", "--orphans"]] {
        let said = lab.provision(args);
        assert!([0, 3].contains(&said.status), "{args:?}: {said:?}");
    }
    let old = lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN");
    let mut terminal = Terminal::start(lab.command(["rotate", "--leaked", "--yes"]));
    terminal.expect("The token that leaked");
    terminal.paste(&old);
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert_ne!(lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN"), old);
}
