//! A user's desk: a repository made by real git, a home of its own, an age key, and an embedded GitLab with a frozen
//! clock. Commands are the built program with nothing of the caller's environment.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use provision::gitlab::emulator::{Config, Emulator, Running, Seed, Time};
use provision::sops::generate_identity;
use provision::world::Variables;
use serde_json::Value;

use super::sops;

/// When every lab begins.
pub(crate) const NOW: &str = "2026-11-21T08:00:00Z";

/// Whose desk it is, for git.
pub(crate) const GIT_CONFIG: &str =
    "[user]\n\tname = Ana\n\temail = ana@example.com\n[init]\n\tdefaultBranch = main\n";

pub(crate) struct Lab {
    pub(crate) gitlab: Running,
    folder: tempfile::TempDir,
    pub(crate) recipient: String,
    identity: String,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts that it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}{}", self.out, self.err);
        self
    }

    /// Asserts that it ended with this status and says this somewhere on stderr.
    #[track_caller]
    pub(crate) fn refused(self, status: i32, says: &str) -> Self {
        assert_eq!(self.status, status, "{}{}", self.out, self.err);
        assert!(self.err.contains(says), "{:?} is not in: {}", says, self.err);
        self
    }
}

impl Lab {
    /// The shipped environments against the embedded GitLab, committed.
    pub(crate) fn new() -> Self {
        Self::with_seed(None)
    }

    pub(crate) fn with_seed(seed: Option<&str>) -> Self {
        Self::furnished(Self::bare(seed))
    }

    /// The same, beginning at this moment: commits made in this process have its time, and GitLab must agree.
    pub(crate) fn today() -> Self {
        Self::furnished(Self::bare_today())
    }

    /// A repository with nothing in it, beginning at this moment.
    pub(crate) fn bare_today() -> Self {
        // Earlier than every commit, however fast this machine is: an overlap of nothing is never over by itself.
        let begin = Timestamp::now() - SignedDuration::from_secs(2);
        let lab = Self::bare_at(None, begin, in_memory());
        // What the user's configuration says must not count in this process either.
        let path = lab.repo().join(".git/config");
        let own = "[user]\n\tname = Ana\n\temail = ana@example.com\n[commit]\n\tgpgSign = false\n[maintenance]\n\tauto = false\n[core]\n\thooksPath = .git/hooks\n";
        fs::write(&path, fs::read_to_string(&path).unwrap() + own).unwrap();
        lab
    }

    fn furnished(lab: Self) -> Self {
        let policy = format!(
            "creation_rules:\n  - path_regex: ^secrets/[^/]+\\.sops\\.yaml$\n    age: {}\n",
            lab.recipient
        );
        lab.write(".sops.yaml", &policy);
        for name in ["devmode", "dev", "qa"] {
            let shipped = format!("{}/environments/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
            let text = fs::read_to_string(shipped).unwrap();
            lab.write(
                &format!("environments/{name}.yaml"),
                &text.replace("https://gitlab.com", lab.gitlab.url()),
            );
        }
        for name in ["backstage", "kubernetes-secret"] {
            let shipped = format!("{}/templates/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
            lab.write(&format!("templates/{name}.yaml"), &fs::read_to_string(shipped).unwrap());
        }
        lab.commit_all("base");
        lab
    }

    /// A repository with nothing in it.
    pub(crate) fn bare(seed: Option<&str>) -> Self {
        Self::bare_at(seed, NOW.parse().unwrap(), tempfile::tempdir().unwrap())
    }

    fn bare_at(seed: Option<&str>, now: Timestamp, folder: tempfile::TempDir) -> Self {
        let (identity, recipient) = generate_identity();
        let time = Time::Frozen(now);
        let seed = seed.map(|text| Seed::parse(text).unwrap());
        let gitlab = Emulator::start(Config { seed, time, ..Config::default() }).unwrap();
        let lab =
            Self { gitlab, folder, recipient: recipient.to_string(), identity: identity.expose().to_owned() };
        fs::create_dir_all(lab.home().join(".config/sops/age")).unwrap();
        fs::write(lab.home().join(".config/sops/age/keys.txt"), format!("{}\n", lab.identity)).unwrap();
        fs::write(lab.home().join(".gitconfig"), GIT_CONFIG).unwrap();
        fs::create_dir(lab.repo()).unwrap();
        lab.git(["init", "-q"]);
        lab
    }

    /// The date at GitLab in so many days.
    pub(crate) fn in_days(&self, days: i64) -> Date {
        (self.gitlab.now() + SignedDuration::from_hours(24 * days)).to_zoned(TimeZone::UTC).date()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Everything that the lab has on disk: home, repository, and whatever was put beside them.
    pub(crate) fn everything(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.repo().join(path)).unwrap()
    }

    pub(crate) fn commit_all(&self, message: &str) {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "-m", message]);
    }

    fn hermetic(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("TZ", "UTC")
            .current_dir(self.repo())
            .stdin(Stdio::null());
        command
    }

    /// The program, with the operator's credential in its environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.hermetic(Command::new(env!("CARGO_BIN_EXE_provision")));
        command
            .env("GITLAB_TOKEN", self.gitlab.operator_token().expose())
            .env("GITLAB_HOST", self.gitlab.url())
            .args(args);
        command
    }

    pub(crate) fn provision<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        said(&mut self.command(args))
    }

    /// As the administrator.
    pub(crate) fn provision_as_admin<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        said(self.command(args).env("GITLAB_TOKEN", self.gitlab.admin_token().expose()))
    }

    /// `git`, whose standard output is returned without its last newline. Panics when it fails.
    #[track_caller]
    pub(crate) fn git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let mut command = self.hermetic(Command::new("git"));
        command.args(args);
        said(&mut command).ok().out.trim_end().to_owned()
    }

    /// The stock sops with the lab's key.
    pub(crate) fn sops<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        let mut command = sops::command();
        command.env("HOME", self.home()).current_dir(self.repo()).args(args);
        said(&mut command)
    }

    /// One value of a secrets file, as stock sops reads it.
    #[track_caller]
    pub(crate) fn value(&self, file: &str, key: &str) -> String {
        let path = format!("[\"{key}\"]");
        self.sops(["decrypt", "--extract", &path, file]).ok().out
    }

    /// The tokens that the embedded GitLab has beside those it was seeded with, oldest first.
    pub(crate) fn minted(&self) -> Vec<Value> {
        let state = self.gitlab.state();
        let tokens = state["tokens"].as_array().unwrap().iter();
        tokens
            .filter(|token| token["description"].as_str().is_some_and(|text| text.starts_with("provision ")))
            .cloned()
            .collect()
    }

    /// Asks the embedded GitLab's API as the operator, and returns what it answers. Panics when it refuses.
    #[track_caller]
    pub(crate) fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/v4{path}", self.gitlab.url());
        let token = self.gitlab.operator_token();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (status, text) = runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request =
                client.request(method.parse().unwrap(), url).header("PRIVATE-TOKEN", token.expose());
            let request = request.header("content-type", "application/json").body(body.to_string());
            let reply = request.send().await.unwrap();
            (reply.status(), reply.text().await.unwrap())
        });
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The requests since the last call of [`Lab::mark_requests`], as `METHOD path status`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let state = self.gitlab.state();
        let requests = state["requests"].as_array().unwrap().iter();
        requests
            .map(|request| {
                format!(
                    "{} {} {}",
                    request["method"].as_str().unwrap_or_default(),
                    request["path"].as_str().unwrap_or_default(),
                    request["status"]
                )
            })
            .collect()
    }

    /// The environment variables, for a world in this process.
    pub(crate) fn variables(&self) -> Variables {
        Variables { home: Some(self.home()), ..Variables::default() }
    }

    /// The age identity that opens the lab's files, as text.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn head(&self) -> String {
        self.git(["rev-parse", "HEAD"])
    }
}

/// Where there is a file system in memory: hundreds of labs that sync every effect would wait for the disk.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn said(command: &mut Command) -> Said {
    Said::of(&command.output().unwrap())
}
