//! A bare remote with a lab as one of its clones, and somebody else who pushes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::lab::{GIT_CONFIG, Lab, said};
use super::program;

/// The project of [`Team::is_a_project`].
pub(crate) const PROJECT: &str = "alithya-csna/backstage";

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

    /// From now on the lab reaches the remote as a project of its GitLab, over something that stands for ssh, which runs
    /// `before` first (a line of shell).
    pub(crate) fn is_a_project(&self, lab: &Lab, before: &str) {
        use std::os::unix::fs::PermissionsExt;
        let ssh = self.folder.path().join("ssh");
        // ssh [-o …] user@host "git-receive-pack '/path'"
        let script = format!(
            "#!/bin/sh\nfor last; do :; done\nset -- $last\n{before}\nexec git \"${{1#git-}}\" '{}'\n",
            self.remote().display()
        );
        fs::write(&ssh, script).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        lab.git(["config", "core.sshCommand", ssh.to_str().unwrap()]);
        lab.git(["config", "ssh.variant", "ssh"]);
        lab.git(["remote", "set-url", "origin", &format!("ssh://git@127.0.0.1/{PROJECT}.git")]);
        self.told(lab, "main");
    }

    /// Tells GitLab what a branch of the remote is now, which a real one sees by itself.
    pub(crate) fn told(&self, lab: &Lab, branch: &str) {
        let tip =
            self.command(&self.remote()).args(["rev-parse", "--verify", "-q", branch]).output().unwrap();
        let tip = String::from_utf8(tip.stdout).unwrap();
        let tip = Some(tip.trim()).filter(|tip| !tip.is_empty());
        lab.gitlab.pushed(PROJECT, branch, tip).unwrap();
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

    /// The same, byte by byte; `None` where there is none.
    pub(crate) fn content(&self, branch: &str, path: &str) -> Option<Vec<u8>> {
        let output =
            self.command(&self.remote()).args(["show", &format!("{branch}:{path}")]).output().unwrap();
        output.status.success().then_some(output.stdout)
    }

    /// A hook of the remote's.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        let path = self.remote().join("hooks").join(name);
        program::shell(&path, script);
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

    /// The reviewer merges a branch, and GitLab deletes it.
    pub(crate) fn merge(&self, branch: &str) {
        self.elsewhere(|_, git| {
            git(&["merge", "-q", "--no-ff", "-m", "merged", &format!("origin/{branch}")]);
            git(&["push", "-q", "origin", "main", &format!(":{branch}")]);
        });
    }

    /// One more clone, of a colleague with the same key.
    pub(crate) fn another_clone(&self, name: &str) -> Clone {
        let folder = self.folder.path().join(name);
        let remote = self.remote();
        said(
            self.command(self.folder.path())
                .args([OsStr::new("clone"), OsStr::new("-q")])
                .arg(remote)
                .arg(&folder),
        )
        .ok();
        Clone { folder }
    }
}

pub(crate) struct Clone {
    folder: PathBuf,
}

impl Clone {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The program in this clone.
    pub(crate) fn command(&self, lab: &Lab, args: &[&str]) -> Command {
        let mut command = lab.command(args);
        command.current_dir(&self.folder);
        command
    }

    #[track_caller]
    pub(crate) fn git(&self, lab: &Lab, args: &[&str]) -> String {
        let folder = self.folder.to_str().unwrap();
        lab.git([&["-C", folder], args].concat())
    }

    /// The next push is held in its hook until what this returns is dropped.
    pub(crate) fn hold_next_push(&self, lab: &Lab) -> Held {
        Held::in_hook(lab, &self.folder, "pre-push")
    }
}

/// A hook that says over one named pipe that it runs, and waits at another; once.
pub(crate) struct Held {
    begun: PathBuf,
    /// While this is open the hook waits.
    go: Option<fs::File>,
}

impl Held {
    pub(crate) fn in_hook(lab: &Lab, repo: &Path, name: &str) -> Self {
        let pipes = tempfile::tempdir_in(lab.everything()).unwrap().keep();
        for pipe in ["begun", "go"] {
            assert!(Command::new("mkfifo").arg(pipes.join(pipe)).status().unwrap().success());
        }
        let go = fs::File::options().read(true).write(true).open(pipes.join("go")).unwrap();
        let script = "#!/bin/sh\n[ -e DIR/once ] && exit 0\n: > DIR/once\nexec 3<DIR/go; echo begun >DIR/begun; cat <&3\n";
        let hook = repo.join(".git/hooks").join(name);
        program::script(&hook, &script.replace("DIR", pipes.to_str().unwrap()));
        Self { begun: pipes.join("begun"), go: Some(go) }
    }

    /// Returns once the hook runs.
    pub(crate) fn wait(&self) {
        assert_eq!(fs::read_to_string(&self.begun).unwrap(), "begun\n");
    }

    pub(crate) fn let_go(&mut self) {
        self.go = None;
    }
}
