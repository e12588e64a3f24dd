//! A bare remote with a lab as one of its clones, and somebody else who pushes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::lab::{GIT_CONFIG, Lab, said};

pub(crate) struct Team {
    folder: tempfile::TempDir,
}

impl Team {
    /// A remote that takes push options, and a lab that has it as `origin` and follows its `main`.
    pub(crate) fn with_clone() -> (Self, Lab) {
        let lab = Lab::today();
        (Self::of(&lab), lab)
    }

    /// The same of a lab that is there.
    pub(crate) fn of(lab: &Lab) -> Self {
        let team = Self { folder: tempfile::tempdir_in(lab.everything().parent().unwrap()).unwrap() };
        fs::write(team.folder.path().join(".gitconfig"), GIT_CONFIG).unwrap();
        fs::create_dir(team.remote()).unwrap();
        team.git(["init", "-q", "--bare", "-b", "main"]);
        team.git(["config", "receive.advertisePushOptions", "true"]);
        team.hook(
            "post-receive",
            "n=0; : > options; while [ $n -lt ${GIT_PUSH_OPTION_COUNT:-0} ]; do eval echo \\\"\\$GIT_PUSH_OPTION_$n\\\" >> options; n=$((n+1)); done",
        );
        lab.git(["remote", "add", "origin", team.remote().to_str().unwrap()]);
        lab.git(["push", "-q", "-u", "origin", "main"]);
        lab.git(["remote", "set-head", "origin", "main"]);
        team
    }

    pub(crate) fn remote(&self) -> PathBuf {
        self.folder.path().join("remote.git")
    }

    fn command(&self, place: &Path) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(place);
        command
    }

    /// git in the remote.
    #[track_caller]
    pub(crate) fn git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        said(self.command(&self.remote()).args(args)).ok().out.trim_end().to_owned()
    }

    pub(crate) fn show(&self, branch: &str, path: &str) -> String {
        self.git(["show", &format!("{branch}:{path}")])
    }

    /// A hook of the remote's.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.remote().join("hooks").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The options of the last push.
    pub(crate) fn options(&self) -> Vec<String> {
        let text = fs::read_to_string(self.remote().join("options")).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// Work in a clone of somebody else's, which is pushed and gone.
    fn elsewhere(&self, work: impl FnOnce(&Path, &dyn Fn(&[&str]))) {
        let clone = tempfile::tempdir_in(self.folder.path()).unwrap();
        let git = |args: &[&str]| {
            said(self.command(clone.path()).args(args)).ok();
        };
        git(&["clone", "-q", self.remote().to_str().unwrap(), "."]);
        work(clone.path(), &git);
    }

    /// Somebody else adds a line to a file and pushes it to `main`.
    pub(crate) fn somebody_adds(&self, path: &str, line: &str) {
        self.elsewhere(|clone, git| {
            let old = fs::read_to_string(clone.join(path)).unwrap_or_default();
            fs::write(clone.join(path), format!("{old}{line}\n")).unwrap();
            git(&["add", path]);
            git(&["commit", "-q", "-m", line]);
            git(&["push", "-q", "origin", "main"]);
        });
    }

    /// The reviewer merges a branch as one commit, and leaves it there.
    pub(crate) fn squash(&self, branch: &str) {
        self.elsewhere(|_, git| {
            git(&["merge", "-q", "--squash", &format!("origin/{branch}")]);
            git(&["commit", "-q", "-m", "squashed"]);
            git(&["push", "-q", "origin", "main"]);
        });
    }
}
