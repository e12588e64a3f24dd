//! Repositories made by the real git in a directory of the test's own, with its own HOME and configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::repo_driver;
use crate::support::program::shell;

/// Which of the two ways a commit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    /// gix, on a PATH without git: whatever it does, it does alone.
    Gix,
    /// The user's git, because a hook is enabled.
    Git,
}

/// Runs a case on both roads.
pub(crate) fn both(case: impl Fn(Road)) {
    for road in [Road::Gix, Road::Git] {
        eprintln!("-- road: {road:?}");
        case(road);
    }
}

/// A directory with a HOME, gone when the last repository in it is.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

/// A repository in a sandbox, and the environment its programs get.
#[derive(Clone)]
pub(crate) struct Repo {
    sandbox: Arc<Sandbox>,
    pub(crate) path: PathBuf,
    pub(crate) env: BTreeMap<String, OsString>,
}

/// What the driver answered.
pub(crate) struct Answer {
    pub(crate) value: Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

const CONFIG: &str = "[user]\n\tname = T\n\temail = t@example.com\n[init]\n\tdefaultBranch = main\n\
    [maintenance]\n\tauto = false\n[gc]\n\tauto = 0\n[protocol \"file\"]\n\tallow = always\n\
    [advice]\n\tsparseIndexExpanded = false\n";

impl Sandbox {
    pub(crate) fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("home")).unwrap();
        fs::write(dir.path().join("home/.gitconfig"), CONFIG).unwrap();
        Arc::new(Self { dir })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }
}

impl Repo {
    /// A repository in a new sandbox with `a`, `b`, `c`, `s.yaml` and `d/e/x` in one commit.
    pub(crate) fn new(road: Road) -> Self {
        Self::with(road, &[])
    }

    /// The same, with arguments for `git init`.
    pub(crate) fn with(road: Road, init: &[&str]) -> Self {
        let repo = Self::empty_with(&Sandbox::new(), "repo", init);
        repo.fill();
        repo.on(road)
    }

    /// A repository without a commit.
    pub(crate) fn empty(sandbox: &Arc<Sandbox>, name: &str) -> Self {
        Self::empty_with(sandbox, name, &[])
    }

    fn empty_with(sandbox: &Arc<Sandbox>, name: &str, init: &[&str]) -> Self {
        let repo = Self::at(sandbox, name);
        fs::create_dir_all(&repo.path).unwrap();
        let mut arguments = vec!["init", "-q"];
        arguments.extend(init);
        repo.git(&arguments);
        repo
    }

    /// A directory of the sandbox, whatever is in it.
    pub(crate) fn at(sandbox: &Arc<Sandbox>, name: &str) -> Self {
        let mut env = BTreeMap::new();
        env.insert("HOME".to_owned(), sandbox.path().join("home").into());
        env.insert("PATH".to_owned(), std::env::var_os("PATH").unwrap());
        env.insert("GIT_CONFIG_NOSYSTEM".to_owned(), "1".into());
        env.insert("GIT_TERMINAL_PROMPT".to_owned(), "0".into());
        env.insert("LC_ALL".to_owned(), "C".into());
        Self { sandbox: sandbox.clone(), path: sandbox.path().join(name), env }
    }

    /// A new repository beside this one, on the same road.
    pub(crate) fn beside(&self, name: &str) -> Self {
        let path = self.sandbox.path().join(name);
        Self { sandbox: self.sandbox.clone(), path, env: self.env.clone() }
    }

    pub(crate) fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    pub(crate) fn fill(&self) {
        for (name, content) in
            [("a", "a\n"), ("b", "b\n"), ("c", "c\n"), ("s.yaml", "s: 1\n"), ("d/e/x", "x\n")]
        {
            self.write(name, content);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "base"]);
    }

    /// Takes the road: git off the PATH of what is tested, or a hook that does nothing.
    pub(crate) fn on(mut self, road: Road) -> Self {
        match road {
            Road::Gix => {
                self.env.insert("PATH".to_owned(), programs_without_git().into());
            }
            Road::Git => self.hook("post-commit", "exit 0"),
        }
        self
    }

    pub(crate) fn hook(&self, name: &str, script: &str) {
        let hooks = PathBuf::from(self.git(&["rev-parse", "--git-common-dir"])).join("hooks");
        shell(&self.path.join(hooks).join(name), script);
    }

    pub(crate) fn git_command(&self) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(&self.env).env("PATH", std::env::var_os("PATH").unwrap());
        command.current_dir(&self.path);
        command
    }

    pub(crate) fn git_output(&self, arguments: &[&str]) -> Output {
        self.git_command().args(arguments).output().unwrap()
    }

    /// What git says on stdout, without the last line feed; it must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.git_output(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn status(&self) -> String {
        self.git(&["status", "--porcelain"])
    }

    /// The full state of the index against HEAD and the worktree, without the lines of `except`.
    pub(crate) fn full_status(&self, except: &str) -> String {
        let all = self.git(&["status", "--porcelain=v2"]);
        all.lines().filter(|line| except.is_empty() || !line.ends_with(except)).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn subject(&self) -> String {
        self.git(&["log", "-1", "--format=%s"])
    }

    /// Names and kinds of what the last commit changed.
    pub(crate) fn changed(&self) -> String {
        self.git(&["-c", "core.quotePath=false", "log", "-1", "--format=", "--name-status", "--no-renames"])
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// `git fsck --strict` finds nothing, and no lock or temporary file of ours is left.
    pub(crate) fn assert_sound(&self) {
        let output = self.git_output(&["fsck", "--strict"]);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let harmless = |line: &&str| !line.starts_with("dangling") && !line.starts_with("Checking");
        let found: Vec<&str> =
            text.lines().filter(harmless).filter(|line| !line.starts_with("notice:")).collect();
        assert!(output.status.success() && found.is_empty(), "fsck: {found:?}");
        self.assert_nothing_left();
    }

    pub(crate) fn assert_nothing_left(&self) {
        let git_dir = self.path.join(self.git(&["rev-parse", "--git-common-dir"]));
        for directory in [git_dir, self.path.clone()] {
            let left = files_below(&directory).into_iter().find(|file| {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                name.ends_with(".lock") || name.starts_with(".tmp") || name.ends_with(".tmp")
            });
            assert_eq!(left, None);
        }
    }

    pub(crate) fn request(&self, op: &str, paths: &[&str]) -> Value {
        json!({ "op": op, "dir": self.path, "paths": paths, "message": "m" })
    }

    /// The driver's process, not yet started: in the repository's directory, with its environment alone.
    pub(crate) fn driver(&self, request: &Value) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["repo_driver::driver", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env_clear().envs(&self.env).current_dir(&self.path);
        command.env(repo_driver::REQUEST, request.to_string());
        command.env(repo_driver::ANSWER, self.answer_file(request));
        command.stdin(Stdio::null());
        command
    }

    fn answer_file(&self, request: &Value) -> PathBuf {
        let name = request["name"].as_str().unwrap_or("answer");
        self.sandbox.path().join(name)
    }

    pub(crate) fn start(&self, request: &Value) -> Child {
        self.driver(request).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn finish(&self, request: &Value, child: Child) -> Answer {
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "the driver failed:\n{stdout}\n{stderr}");
        let answer = fs::read_to_string(self.answer_file(request)).unwrap();
        Answer { value: serde_json::from_str(&answer).unwrap(), stdout, stderr }
    }

    pub(crate) fn ask(&self, request: &Value) -> Answer {
        let child = self.start(request);
        self.finish(request, child)
    }

    pub(crate) fn commit(&self, paths: &[&str], message: &str) -> Answer {
        let mut request = self.request("commit", paths);
        request["message"] = message.into();
        self.ask(&request)
    }

    pub(crate) fn preflight(&self, paths: &[&str]) -> Answer {
        self.ask(&self.request("preflight", paths))
    }

    pub(crate) fn look(&self, paths: &[&str]) -> Value {
        self.ask(&self.request("look", paths)).value
    }

    /// Preflight and commit refuse with this text, and HEAD, index and references are as before.
    pub(crate) fn assert_refused(&self, paths: &[&str], text: &str) {
        let before = self.visible_state();
        self.preflight(paths).assert_refused(text);
        self.commit(paths, "never").assert_refused(text);
        assert_eq!(self.visible_state(), before);
    }

    fn visible_state(&self) -> Vec<String> {
        let heads = self.git_output(&["for-each-ref"]).stdout;
        let head = self.git_output(&["rev-parse", "HEAD"]).stdout;
        let index = self.git_output(&["ls-files", "--stage", "-t"]).stdout;
        let status = self.git_output(&["status", "--porcelain=v2"]).stdout;
        [heads, head, index, status].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).to_vec()
    }
}

impl Answer {
    /// A commit was made, on this road.
    pub(crate) fn assert_made(&self, road: Road) {
        let by = self.value["by"].as_str();
        assert_eq!(by, Some(format!("{road:?}").as_str()), "{}\n{}", self.value, self.stderr);
    }

    pub(crate) fn assert_refused(&self, text: &str) {
        let error = self.value["error"].as_str();
        assert!(error.is_some_and(|error| error.contains(text)), "{text}: {}\n{}", self.value, self.stderr);
    }

    pub(crate) fn hint(&self) -> &str {
        self.value["hint"].as_str().unwrap_or_default()
    }
}

pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(files_below(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A directory of links to every program on the PATH but git, made once.
fn programs_without_git() -> &'static Path {
    static LINKS: OnceLock<PathBuf> = OnceLock::new();
    LINKS.get_or_init(|| {
        let links = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs-without-git");
        fs::create_dir_all(&links).unwrap();
        for dir in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if !name.to_string_lossy().starts_with("git") {
                    // There already: from an earlier run, or from a directory that comes first.
                    let _ = symlink(entry.path(), links.join(name));
                }
            }
        }
        links
    })
}
