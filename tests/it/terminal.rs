//! Questions in a real terminal: what each of them leaves behind when it is not answered, and how they look on terminals
//! that are narrow, dumb or without colour.

use std::fs;
use std::process::Command;
use std::time::Duration;

use provision::repo::lock::{Holder, RepoLock};

use crate::adopt::by_hand;
use crate::support::form::{DEV, Form};
use crate::support::lab::{Lab, Said};
use crate::support::newcomer::{Newcomer, PASTE};
use crate::support::refusal::State;
use crate::support::team::Team;
use crate::support::terminal::Terminal;

/// Presses Ctrl-C: the program ends with this, the terminal is as it was.
#[track_caller]
fn interrupted(mut terminal: Terminal, says: &str) {
    terminal.interrupt();
    let (status, said, restored) = terminal.end_and_modes();
    assert_eq!(status, 130, "{said}");
    assert!(said.contains(says), "{said}");
    assert!(restored, "the terminal is not as it was: {said}");
}

const NOTHING: &str = "interrupted; nothing was changed";
const NOTHING_ELSE: &str = "interrupted; nothing else was changed";
/// Of a token that lives, and that nothing keeps.
const NOT_USED: &str = "the token that you made for devmode/backstage is not used: revoke it at";

#[test]
fn ctrl_c_at_each_question_of_bootstrap_leaves_nothing_half_made() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let untouched = State::of(&lab);
    let sits = || newcomer.sits_before(&["bootstrap"]);

    let mut terminal = sits();
    terminal.expect("Make it?");
    interrupted(terminal, NOTHING);
    assert!(!newcomer.key_file().exists());

    let mut terminal = sits();
    terminal.answer("Make it?", "y");
    terminal.expect("Is that where your account is?");
    interrupted(terminal, NOTHING_ELSE);
    let key = fs::read(newcomer.key_file()).unwrap();

    let mut terminal = sits();
    terminal.answer("Is that where your account is?", "y");
    terminal.expect(PASTE);
    terminal.wait_until_hidden();
    interrupted(terminal, NOTHING);

    let mut terminal = sits();
    terminal.expect("create the token there");
    let token = Form::in_text(terminal.all()).submit(&lab, DEV);
    terminal.expect(PASTE);
    terminal.paste(&token);
    terminal.expect("Go ahead?");
    interrupted(terminal, NOT_USED);

    let mut terminal = sits();
    terminal.expect(PASTE);
    terminal.paste(&token);
    terminal.answer("Go ahead?", "n");
    let (status, said) = terminal.end();
    assert_eq!(status, 130, "{said}");
    assert!(said.contains("declined; nothing was changed") && said.contains(NOT_USED), "{said}");

    assert_eq!(fs::read(newcomer.key_file()).unwrap(), key);
    let after = State::of(&lab);
    assert!(after.differs_by_tokens_only(&untouched), "{after:?}");
}

#[test]
fn ctrl_c_at_the_question_for_access_leaves_the_policy_and_the_remote_alone() {
    let (team, lab) = Team::with_clone();
    let newcomer = Newcomer::at(&lab);
    let file = newcomer.home.join("token");
    fs::write(&file, Form::by_heart().submit(&lab, DEV)).unwrap();
    let args = ["bootstrap", "--token-file", file.to_str().unwrap(), "--request-access", "qa"];
    let mut command = newcomer.command(&args);
    command.env("GITLAB_HOST", lab.gitlab.url());
    let mut terminal = Terminal::start(command);
    terminal.answer("Make it?", "y");
    terminal.answer("Go ahead?", "y");
    terminal.expect("Ask for it in a merge request?");
    interrupted(terminal, NOTHING_ELSE);
    assert_eq!(team.git(["branch", "--list"]), "* main");
    assert_eq!(lab.git(["worktree", "list"]).lines().count(), 1);
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn ctrl_c_at_each_question_of_init_writes_no_file() {
    let lab = Lab::bare(None);
    fs::remove_dir_all(lab.home().join(".config")).unwrap();
    let desk = || lab.git(["status", "--porcelain", "--ignored"]);
    let questions = [
        ("GitLab [", lab.gitlab.url()),
        ("Group whose tokens are minted (full path): ", "alithya-csna"),
        ("Make it?", "y"),
        ("Go ahead?", "y"),
    ];
    for (index, (question, _)) in questions.iter().enumerate() {
        // The key of the last round is there.
        let _ = fs::remove_dir_all(lab.home().join(".config"));
        let mut terminal = Terminal::start(lab.command(["init"]));
        for (before, answer) in &questions[..index] {
            terminal.answer(before, answer);
        }
        terminal.expect(question);
        interrupted(terminal, if index == 3 { NOTHING_ELSE } else { NOTHING });
        assert_eq!(desk(), "", "{question}");
    }
    let mut terminal = Terminal::start(lab.command(["init"]));
    for (question, answer) in questions.iter().filter(|(question, _)| *question != "Make it?") {
        terminal.answer(question, answer);
    }
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert!(lab.read(".sops.yaml").contains("age1"));
}

#[test]
fn ctrl_c_at_each_question_of_adopt_writes_nothing() {
    let lab = Lab::bare(None);
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    lab.write("secrets/qa.yaml", &format!("token: {}\n", by_hand(&lab, "By hand", 300)));
    lab.sops(["encrypt", "--in-place", "secrets/qa.yaml"]).ok();
    lab.commit_all("by hand");
    let host = lab.gitlab.url().to_owned();
    let sits = || {
        let mut command = lab.command(["adopt", "--gitlab", &host]);
        command.env_remove("GITLAB_HOST");
        Terminal::start(command)
    };
    let state = || (lab.head(), lab.git(["status", "--porcelain", "--ignored"]), lab.requests().len());
    let untouched = state();
    let (bound, shown, ahead) = ("Use the token from GITLAB_TOKEN", "to ask whose they are?", "Go ahead?");

    let mut terminal = sits();
    terminal.expect(bound);
    interrupted(terminal, NOTHING);
    assert_eq!(state(), untouched);

    let mut terminal = sits();
    terminal.answer(bound, "y");
    terminal.expect(shown);
    interrupted(terminal, NOTHING);
    assert_eq!(state(), untouched, "nothing was shown to anybody");

    let mut terminal = sits();
    terminal.answer(shown, "y");
    terminal.expect(ahead);
    interrupted(terminal, NOTHING);
    assert_eq!((state().0, state().1), (untouched.0, untouched.1));

    let mut terminal = sits();
    terminal.answer(shown, "y");
    terminal.answer(ahead, "y");
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
}

/// A command that asks before it writes, on a desk where there is something to do.
fn asking() -> (Lab, Vec<(Vec<&'static str>, &'static str)>) {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let (_, other) = provision::sops::generate_identity();
    let policy = lab.read(".sops.yaml").replace("age: ", &format!("age: {other},"));
    lab.write(".sops.yaml", &policy);
    lab.commit_all("reader");
    let commands = vec![
        (vec!["--env", "dev"], "Go ahead?"),
        (vec!["rekey"], "Go ahead?"),
        (vec!["trust"], "May this repository use your tokens of it?"),
    ];
    (lab, commands)
}

#[test]
fn every_other_yes_can_be_refused_in_all_ways_and_nothing_is_changed() {
    let (lab, commands) = asking();
    let before = State::of(&lab);
    for (args, question) in commands {
        let at_question = || {
            let mut terminal = Terminal::start(lab.command(&args));
            terminal.expect(question);
            terminal
        };
        interrupted(at_question(), NOTHING);
        for decline in ["", "n", "NO", "maybe\r"] {
            let mut terminal = at_question();
            terminal.type_line(decline);
            let (status, said, restored) = terminal.end_and_modes();
            assert!(status == 130 && restored, "{decline:?}: {status}: {said}");
            assert!(said.contains("declined; nothing was changed"), "{said}");
        }
        let mut terminal = at_question();
        terminal.end_input();
        assert_eq!(terminal.end().0, 130, "{args:?}");
        let alone = Said::of(&lab.command(&args).output().unwrap());
        alone.refused(2, "--yes");
    }
    assert_eq!(State::of(&lab), before);
    assert!(!lab.home().join(".local/state/provision/approvals").exists());
}

/// What is said on a terminal of so many columns, and yes to it.
fn on_a_terminal(lab: &Lab, columns: u16, variables: &[(&str, &str)]) -> String {
    let mut command: Command = lab.command(["--env", "qa"]);
    command.envs(variables.iter().copied());
    let mut terminal = Terminal::with_columns(&command, columns);
    terminal.answer("Go ahead?", "yes");
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    said
}

/// Without the escape sequences for colours, what a spinner drew, and what differs from run to run.
fn text(said: &str, lab: &Lab) -> String {
    let plain = console::strip_ansi_codes(said).replace(lab.gitlab.url(), "GITLAB");
    // What stands behind the last return to the beginning of a line is what stays.
    let lines = plain.lines().filter_map(|line| line.split('\r').rfind(|part| !part.is_empty()));
    let is_drawn = |line: &&str| line.contains('\u{280b}') || line.contains("looking at");
    let lines = lines.filter(|line| !line.contains("commit") && !is_drawn(line)).map(str::trim_end);
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn narrow_dumb_and_colourless_terminals_say_the_same() {
    let wide = Lab::new();
    let expected = text(&on_a_terminal(&wide, 80, &[]), &wide);
    assert!(expected.contains("mint     backstage: group token") && expected.contains("Go ahead? [y/N] yes"));

    let narrow = Lab::new();
    assert_eq!(text(&on_a_terminal(&narrow, 40, &[]), &narrow), expected);

    let colourless = Lab::new();
    let said = on_a_terminal(&colourless, 80, &[("NO_COLOR", "1")]);
    assert!(!said.contains("\x1b[1m") && !said.contains("\x1b[32m"), "{said:?}");
    assert_eq!(text(&said, &colourless), expected);

    let dumb = Lab::new();
    let said = on_a_terminal(&dumb, 80, &[("TERM", "dumb")]);
    assert!(!said.contains('\x1b'), "{said:?}");
    assert_eq!(text(&said, &dumb), expected);
}

/// The lines that a command says on a terminal of 50 columns, whatever the terminal makes of them.
fn lines_on_a_narrow_one(lab: &Lab, args: &[&str]) -> Vec<String> {
    let (_, said) = Terminal::with_columns(&lab.command(args), 50).end();
    console::strip_ansi_codes(&said).lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_row_of_the_status_is_one_line_however_narrow_the_terminal_is() {
    let lab = Lab::new();
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    let wide = lab.provision(["status"]).out;
    let narrow = lines_on_a_narrow_one(&lab, &["status"]);
    assert!(wide.lines().any(|row| row.len() > 50), "{wide}");
    for row in wide.lines() {
        assert!(narrow.iter().any(|line| line == row), "{row:?} is not one of {narrow:?}");
    }
}

#[test]
fn a_command_that_mends_can_be_copied_from_a_narrow_terminal() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.write(".sops.yaml", &format!("{}# edited\n", lab.read(".sops.yaml")));
    let said = lab.provision(["doctor", "--offline"]).out;
    let commands = |text: &[&str]| -> Vec<String> {
        let mends = text.iter().filter_map(|line| line.trim().strip_prefix("-> "));
        mends.map(str::to_owned).collect()
    };
    let narrow = lines_on_a_narrow_one(&lab, &["doctor", "--offline"]);
    let narrow: Vec<&str> = narrow.iter().map(String::as_str).collect();
    let wide = commands(&said.lines().collect::<Vec<_>>());
    assert!(wide.iter().any(|command| command.len() > 50 && command.contains("git restore")), "{wide:?}");
    assert_eq!(commands(&narrow), wide);
    for line in narrow.iter().filter(|line| line.chars().count() > 50 && !line.contains("-> ")) {
        let text: String = line.chars().skip(11).collect();
        assert!(!text.contains(' '), "{line:?} could be broken between words");
    }
}

#[test]
fn the_form_and_the_hidden_prompt_work_on_a_narrow_dumb_terminal() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let mut command = newcomer.command(&["bootstrap"]);
    command.env("TERM", "dumb").env("NO_COLOR", "1");
    let mut terminal = Terminal::with_columns(&command, 40);
    terminal.answer("Make it?", "yes");
    terminal.answer("Is that where your account is?", "yes");
    terminal.expect("create the token there");
    // The address is in one piece, whatever the width: it is to be copied.
    let token = Form::in_text(terminal.all()).submit(&lab, DEV);
    terminal.expect(PASTE);
    terminal.paste(&token);
    terminal.answer("Go ahead?", "yes");
    let (status, said, restored) = terminal.end_and_modes();
    assert!(status == 0 && restored, "{said}");
    assert!(!said.contains('\x1b') && !said.contains(&token), "{said:?}");
}

#[test]
fn a_passphrase_that_is_interrupted_gives_the_terminal_back() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let mut terminal = newcomer.sits_before(&["bootstrap", "--yes", "--passphrase"]);
    terminal.expect("Passphrase of the new key");
    terminal.wait_until_hidden();
    interrupted(terminal, NOTHING);
    assert!(!newcomer.key_file().exists());
}

#[test]
fn an_enter_too_many_behind_a_paste_answers_nothing() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let mut command = newcomer.command(&["bootstrap"]);
    command.env("GITLAB_HOST", lab.gitlab.url());
    let mut terminal = Terminal::start(command);
    terminal.answer("Make it?", "y");
    terminal.expect("create the token there");
    let token = Form::in_text(terminal.all()).submit(&lab, DEV);
    terminal.expect(PASTE);
    // Another run holds it up, so that the second Enter surely comes before the question.
    let other = Holder { pid: None, host: "here".to_owned(), command: "another".to_owned() };
    let other = RepoLock::acquire(&lab.repo().join(".git"), &other, Duration::ZERO, |_| {}).unwrap();
    terminal.paste(&token);
    terminal.expect("waiting for another run");
    terminal.type_line("");
    terminal.expect("\r\n\r\n");
    drop(other);
    terminal.answer("Go ahead?", "y");
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
}

#[test]
fn the_end_of_input_at_a_passphrase_is_no_empty_passphrase() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let mut terminal = newcomer.sits_before(&["bootstrap", "--yes", "--passphrase"]);
    terminal.expect("Passphrase of the new key");
    terminal.wait_until_hidden();
    terminal.end_input();
    let (status, said) = terminal.end();
    assert_eq!(status, 130, "{said}");
    assert!(said.contains("no passphrase; nothing was changed"), "{said}");
    assert!(!newcomer.key_file().exists());
}

#[test]
fn what_a_question_is_about_is_never_quiet() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let mut command = newcomer.command(&["bootstrap", "--quiet"]);
    command.env("GITLAB_HOST", lab.gitlab.url());
    let mut terminal = Terminal::start(command);
    terminal.expect("a new age key goes to");
    terminal.answer("Make it?", "y");
    terminal.expect("create the token there");
    let token = Form::in_text(terminal.all()).submit(&lab, DEV);
    terminal.expect(PASTE);
    terminal.paste(&token);
    terminal.expect("secrets/devmode/dev.sops.yaml from templates/backstage.yaml");
    terminal.answer("Go ahead?", "y");
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
}
