//! A new developer: a clone, and a home with nothing in it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::lab::{GIT_CONFIG, Lab, Said};
use super::terminal::Terminal;

/// Their file in the shipped devmode.
pub(crate) const FILE: &str = "secrets/devmode/dev.sops.yaml";
pub(crate) const PASTE: &str = "Paste the token here (it is not shown)";

/// Somebody without a key, a token, or a variable that says anything.
pub(crate) struct Newcomer<'a> {
    lab: &'a Lab,
    pub(crate) home: PathBuf,
}

impl<'a> Newcomer<'a> {
    pub(crate) fn at(lab: &'a Lab) -> Self {
        let home = lab.everything().join("newcomer");
        fs::create_dir(&home).unwrap();
        fs::write(home.join(".gitconfig"), GIT_CONFIG).unwrap();
        Self { lab, home }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command(args);
        command.env_remove("GITLAB_TOKEN").env_remove("GITLAB_HOST").env("HOME", &self.home);
        command
    }

    pub(crate) fn says(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }

    /// Where the variable says that the GitLab is theirs.
    pub(crate) fn trusts(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).env("GITLAB_HOST", self.lab.gitlab.url()).output().unwrap())
    }

    pub(crate) fn sits_before(&self, args: &[&str]) -> Terminal {
        Terminal::start(self.command(args))
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.home.join(".config/sops/age/keys.txt")
    }

    pub(crate) fn token(&self) -> String {
        self.says(&["show", "--reveal", FILE, "GITLAB_TOKEN"]).ok().out
    }
}
