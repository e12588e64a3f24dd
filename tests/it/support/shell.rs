//! A person at a shell in a real terminal, with a home of their own, who types what a guide says and answers what is asked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::form::{DEV, Form};
use super::lab::{GIT_CONFIG, Lab};
use super::terminal::Terminal;
use super::{program, sops};

/// What the shell says when it waits, with the exit status of the last line.
const PROMPT: &str = "<ended with ";

pub(crate) struct Shell<'a> {
    lab: &'a Lab,
    terminal: Terminal,
    /// Where the last line begins in what was said.
    last: usize,
    home: PathBuf,
    /// Who fills in GitLab's form.
    user: &'static str,
    /// What this person types or pastes where it is not shown.
    pub(crate) secret: String,
}

/// What a line led to.
#[derive(Debug)]
pub(crate) struct Led {
    pub(crate) status: i32,
    /// All that stood on the terminal, answers included.
    pub(crate) said: String,
}

impl<'a> Shell<'a> {
    /// Somebody with an empty home, in a folder. `yarn dev` is a program that prints the token that it got.
    pub(crate) fn of(lab: &'a Lab, name: &str, folder: &Path) -> Self {
        let home = lab.everything().join(name);
        fs::create_dir(&home).unwrap();
        fs::write(home.join(".gitconfig"), GIT_CONFIG).unwrap();
        let tools = home.join("tools");
        fs::create_dir(&tools).unwrap();
        symlink(env!("CARGO_BIN_EXE_provision"), tools.join("provision")).unwrap();
        symlink(sops::binary(), tools.join("sops")).unwrap();
        program::shell(&tools.join("yarn"), r#"printf 'started with %s\n' "$GITLAB_TOKEN""#);
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command
            .args(["--norc", "--noprofile", "--noediting", "-i"])
            .env("PATH", path)
            .env("HOME", &home)
            .env("PS1", format!("{PROMPT}$?> "))
            .env("TERM", "dumb")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("SOPS_DISABLE_VERSION_CHECK", "1")
            .current_dir(folder);
        let mut terminal = Terminal::with_columns(&command, 200);
        terminal.expect(PROMPT);
        terminal.expect("> ");
        Self { lab, terminal, last: 0, home, user: DEV, secret: String::new() }
    }

    /// From now on GitLab's form is filled in by this user.
    pub(crate) fn acts_as(&mut self, user: &'static str) {
        self.user = user;
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Types a line, says yes to every question, and waits for the shell.
    #[track_caller]
    pub(crate) fn line(&mut self, line: &str) -> Led {
        let start = self.terminal.seen();
        self.last = start;
        self.terminal.type_line(line);
        if line.contains("read -rs") {
            let secret = self.secret.clone();
            self.terminal.paste(&secret);
        }
        loop {
            match self.terminal.expect_any(&[PROMPT, "[y/N] ", "(it is not shown): ", "that leaked: "]) {
                0 => break,
                1 => self.terminal.type_line("yes"),
                2 => {
                    let form = Form::in_text(&self.terminal.all()[start..]);
                    self.terminal.paste(&form.submit(self.lab, self.user));
                }
                _ => {
                    let secret = self.secret.clone();
                    self.terminal.paste(&secret);
                }
            }
        }
        let end = self.terminal.seen() - PROMPT.len();
        self.terminal.expect("> ");
        let all = self.terminal.all();
        let (_, said) = all[start..end].split_once('\n').unwrap_or_default();
        let status = all[end + PROMPT.len()..self.terminal.seen() - 2].parse().unwrap();
        Led { status, said: said.replace('\r', "") }
    }

    /// Waits until something that the last line left running has said a line that begins so; that line.
    #[track_caller]
    pub(crate) fn hears(&mut self, start: &str) -> String {
        self.terminal.line_with(self.last, start)
    }

    /// The same for a line that has to work.
    #[track_caller]
    pub(crate) fn does(&mut self, line: &str) -> String {
        let led = self.line(line);
        assert_eq!(led.status, 0, "{line}\n{}", led.said);
        led.said
    }
}

impl Drop for Shell<'_> {
    fn drop(&mut self) {
        self.terminal.hang_up();
    }
}
