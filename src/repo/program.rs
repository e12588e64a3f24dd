//! The user's `git`, started: where it is, in which environment, and what is done when a signal comes meanwhile.
//!
//! What a child gets of our environment is decided here, for git and with it for every hook, filter and helper that git
//! starts (docs/decisions/0010). Age identities (`SOPS_AGE_*`) never leave this process. The operator's GITLAB_TOKEN
//! goes only to a git that talks to a remote over HTTP, where a credential helper may be what reads it.
#![expect(clippy::disallowed_methods, reason = "the place where git is started, and looked for on the PATH")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::error::{CommitError, RepoError};
use super::{Repository, handover, lock, signals};

/// Variables with the operator's credential for GitLab.
const OPERATOR: [&str; 1] = ["GITLAB_TOKEN"];

/// Variables that begin so say where age identities are, or are one.
const IDENTITIES: &str = "SOPS_AGE_";

/// The user's `git` on the PATH.
pub(super) fn find() -> Option<PathBuf> {
    on_path("git")
}

/// A program by its name on the PATH, or by its path.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    let path = std::env::var_os("PATH")?;
    let suffix = std::env::consts::EXE_SUFFIX;
    std::env::split_paths(&path).map(|dir| dir.join(format!("{name}{suffix}"))).find(|path| is_program(path))
}

pub(super) fn is_program(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    metadata.is_file()
}

/// The variables of our environment that are, or name, the operator's credential or an age identity.
pub(super) fn secrets() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        OPERATOR.contains(&&*name) || name.starts_with(IDENTITIES)
    })
}

/// `git config --local` with these arguments.
pub(super) fn config(repo: &Repository, arguments: &[&str]) -> Result<(), RepoError> {
    let failed = |why: String| RepoError::Git { doing: "change the configuration".to_owned(), why };
    let mut command = git(repo)?;
    command.args(["config", "--local"]).args(arguments);
    let status = command.status().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(describe(status))) }
}

/// `git` in the worktree's root, for work in this repository. Its output, and that of its hooks, goes to stderr: stdout
/// is for our results.
pub(super) fn git(repo: &Repository) -> Result<Command, RepoError> {
    let mut command = with_operator(repo)?;
    for name in OPERATOR {
        command.env_remove(name);
    }
    Ok(command)
}

/// The same with the operator's credential left in its environment: for a remote that is reached over HTTP.
pub(super) fn with_operator(repo: &Repository) -> Result<Command, RepoError> {
    let program = find().ok_or_else(|| RepoError::NeedsGit { why: "the hand-over".to_owned() })?;
    let mut command = Command::new(program);
    command.current_dir(repo.root()).stdin(lock::for_child(repo.common_dir())).stdout(to_stderr());
    // The default flushes neither loose objects nor references; a git that does not know the key ignores it.
    command.args(["-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(IDENTITIES)) {
        command.env_remove(name);
    }
    if repo.linked.is_some()
        && let Some(hooks) = handover::configured_hooks(&repo.git, repo.users_root())?
    {
        let mut setting = OsString::from("core.hooksPath=");
        setting.push(hooks);
        command.arg("-c").arg(setting);
    }
    for magic in ["LITERAL", "GLOB", "NOGLOB", "ICASE"] {
        command.env_remove(format!("GIT_{magic}_PATHSPECS"));
    }
    if repo.from_environment {
        command.env("GIT_DIR", repo.git_dir()).env("GIT_WORK_TREE", repo.root());
    }
    if std::env::var_os("GIT_INDEX_FILE").is_some() {
        command.env("GIT_INDEX_FILE", absolute(&repo.git.index_path())?);
    }
    Ok(command)
}

fn absolute(path: &Path) -> Result<OsString, RepoError> {
    std::path::absolute(path).map(PathBuf::into_os_string).map_err(|source| RepoError::Io {
        doing: "find",
        path: path.to_owned(),
        source,
    })
}

#[cfg(unix)]
fn to_stderr() -> Stdio {
    use std::os::fd::AsFd;
    std::io::stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

#[cfg(windows)]
fn to_stderr() -> Stdio {
    use std::os::windows::io::AsHandle;
    std::io::stderr().as_handle().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

pub(super) fn run(mut command: Command, name: &'static str) -> Result<(), CommitError> {
    let failed = |status: String| CommitError::GitFailed { command: name, status };
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let _forwarding = signals::forward_to(child.id());
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(describe(status))) }
}

/// Like [`run`], but no signal is sent on: what is done here is what a signal waits for.
pub(super) fn undo(mut command: Command, name: &'static str) -> Result<(), CommitError> {
    let failed = |status: String| CommitError::GitFailed { command: name, status };
    let status = command.status().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(describe(status))) }
}

pub(super) fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

/// Runs git where nothing but success will do.
pub(super) fn done(mut command: Command, name: &'static str) -> Result<(), RepoError> {
    let failed = |why: String| RepoError::Git { doing: format!("run git {name}"), why };
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let _forwarding = signals::forward_to(child.id());
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(describe(status))) }
}

/// The same where a failure is expected, and what git says about it is of no use.
pub(super) fn quietly(mut command: Command, name: &'static str) -> Result<(), RepoError> {
    command.stderr(Stdio::null());
    done(command, name)
}

/// What git prints; `None` where it fails. What it says meanwhile is of no interest.
pub(super) fn printed(mut command: Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).stdout(Stdio::piped()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A line of git's for the person who runs us.
pub(super) fn pass_on(line: &str) {
    use std::io::Write as _;
    // There is nobody left to tell when stderr is closed.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
