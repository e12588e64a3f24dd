//! Why the repository cannot be used, or a commit not made.

use std::path::PathBuf;

use gix::ObjectId;

use super::path::{BadPath, RelPath};
use crate::error::word;
use crate::hint::Hint;

/// Something about the repository stands in the way. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// No repository at or above a directory.
    #[error("no git repository at {} or above it", dir.display())]
    NotARepository {
        /// Where the search began.
        dir: PathBuf,
    },
    /// A repository without a worktree.
    #[error("{} is a bare repository: there is no worktree to write files in", git_dir.display())]
    Bare {
        /// Its git directory.
        git_dir: PathBuf,
    },
    /// Another user owns it, and `safe.directory` does not name it.
    #[error("the repository {} belongs to another user", git_dir.display())]
    NotOwned {
        /// Its git directory.
        git_dir: PathBuf,
    },
    /// Its references are stored as reftable.
    #[error("the repository {} keeps its references as reftable, which is not supported", git_dir.display())]
    Reftable {
        /// Its git directory.
        git_dir: PathBuf,
    },
    /// It could not be opened.
    #[error("cannot open the git repository at {}: {why}", dir.display())]
    Open {
        /// Where the search began.
        dir: PathBuf,
        /// What was wrong.
        why: String,
    },
    /// A merge, rebase, cherry-pick, revert or am is not finished.
    #[error("{what} is in progress in this repository")]
    InProgress {
        /// Which.
        what: &'static str,
    },
    /// A name that no file in the repository can have.
    #[error(transparent)]
    BadPath(#[from] BadPath),
    /// A path of the user's that is not below the worktree's root.
    #[error("{} is outside the repository {}", path.display(), root.display())]
    OutsideRepository {
        /// The path, links followed.
        path: PathBuf,
        /// The worktree's root.
        root: PathBuf,
    },
    /// A symlink on the way leads out.
    #[error("{path} leaves the repository through a symlink, to {}", target.display())]
    LeavesRepository {
        /// The path.
        path: RelPath,
        /// Where it leads.
        target: PathBuf,
    },
    /// Two of the paths are the same file.
    #[error("{first} and another of the paths are the same file, {second}")]
    SameFile {
        /// One of the names.
        first: RelPath,
        /// The file.
        second: RelPath,
    },
    /// Something other than a regular file has this name.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// The path.
        path: RelPath,
    },
    /// Unmerged.
    #[error("{path} has merge conflicts")]
    Conflicted {
        /// The path.
        path: RelPath,
    },
    /// Untracked, and an ignore rule matches.
    #[error("{path} is ignored by git")]
    Ignored {
        /// The path.
        path: RelPath,
    },
    /// The sparse checkout leaves it out.
    #[error("{path} is outside the sparse checkout")]
    OutsideSparse {
        /// The path.
        path: RelPath,
    },
    /// Marked by hand as not to be looked at.
    #[error("{path} is marked skip-worktree, so git does not look at it")]
    Skipped {
        /// The path.
        path: RelPath,
    },
    /// The environment names another repository or worktree than the one around the directory.
    #[error("GIT_DIR or GIT_WORK_TREE is set, and --push and --mr work in a worktree beside this one")]
    FromEnvironment,
    /// It belongs to another repository below this one.
    #[error("{path} is inside {other}, a repository of its own (a submodule)")]
    InOtherRepository {
        /// The path.
        path: RelPath,
        /// The other repository's directory.
        other: String,
    },
    /// No name or address to commit with.
    #[error("git does not know who the {who} is")]
    NoIdentity {
        /// `author` or `committer`.
        who: &'static str,
    },
    /// Commits are to be signed, and cannot be.
    #[error("commits are signed here (commit.gpgSign), but {why}")]
    Signing {
        /// What is missing.
        why: String,
        /// The setting that names the program: `gpg.program`, or that of another format.
        setting: &'static str,
    },
    /// Another git process holds the index or the branch, or one has died with it.
    #[error("the repository is locked by {}", lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// The git directory cannot be written.
    #[error("cannot write in {}: {source}", dir.display())]
    NotWritable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Only the `git` program can make this commit, and there is none.
    #[error("this commit needs the git program, because of {why}, and it is not on the PATH")]
    NeedsGit {
        /// What needs it.
        why: String,
    },
    /// A filter program of .gitattributes failed.
    #[error("the git filter for {path} failed: {why}")]
    Filter {
        /// The path.
        path: RelPath,
        /// What it said.
        why: String,
    },
    /// Git data could not be read or written.
    #[error("cannot {doing}: {why}")]
    Git {
        /// The work, as a verb.
        doing: String,
        /// What git's data or configuration said.
        why: String,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The work, as a verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl RepoError {
    /// What helps, where something does.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        Some(Hint::from(match self {
            Self::Conflicted { path } => return Some(Hint::from("resolve it, then git add ").path(path)),
            Self::Ignored { path } => {
                return Some(Hint::from("git check-ignore -v ").path(path).then(" shows the rule"));
            }
            Self::OutsideSparse { path } => {
                let directory = path.directories().last().unwrap_or(".");
                return Some(Hint::from("git sparse-checkout add ").path(directory));
            }
            Self::Skipped { path } => {
                return Some(Hint::from("git update-index --no-skip-worktree ").path(path));
            }
            Self::NotARepository { .. } => "git init, or -C DIR to name another directory".to_owned(),
            Self::Bare { .. } => "git worktree add DIR, and run there".to_owned(),
            Self::NotOwned { git_dir } => {
                let shown = git_dir.parent().filter(|_| git_dir.ends_with(".git")).unwrap_or(git_dir);
                format!("if you trust it: git config --global --add safe.directory {}", word(shown.display()))
            }
            Self::Reftable { .. } => "git refs migrate --ref-format=files".to_owned(),
            Self::InProgress { what } => in_progress_hint(what),
            Self::FromEnvironment => {
                "unset GIT_DIR GIT_WORK_TREE, and name the worktree: -C DIR; or run without --push and --mr".to_owned()
            }
            Self::NoIdentity { .. } => "git config user.name NAME; git config user.email ADDRESS".to_owned(),
            Self::Locked { lock } => {
                format!("wait for the other git; when none runs, remove {}", lock.display())
            }
            Self::NeedsGit { .. } => "install git".to_owned(),
            Self::LeavesRepository { .. } => {
                "secrets files stay in the repository: put a file, or a folder, of its own in the symlink's place".to_owned()
            }
            Self::InOtherRepository { other, .. } => {
                format!("name a file of this repository in the profile, or run in {other}")
            }
            Self::Signing { setting, .. } => {
                format!("mend {setting} and user.signingKey, or git config commit.gpgSign false")
            }
            _ => return None,
        }))
    }
}

fn in_progress_hint(what: &str) -> String {
    let verb = what.split_whitespace().last().unwrap_or(what);
    format!("git {verb} --continue or git {verb} --abort, then run again")
}

/// Why there is no commit, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something about the repository stands in the way. Nothing was committed.
    #[error(transparent)]
    Refused(#[from] RepoError),
    /// HEAD is not where it was when the work was planned. Nothing was committed.
    #[error("HEAD has moved since the plan was made: it was {was}, it is {is}")]
    HeadMoved {
        /// What the plan saw.
        was: String,
        /// What is there now.
        is: String,
    },
    /// A file is not what was written. Nothing was committed.
    #[error("{path} changed while it was being committed")]
    Changed {
        /// The path.
        path: RelPath,
    },
    /// The user's `git` refused, or one of the hooks it ran. Nothing was committed.
    #[error("git {command} failed ({status})")]
    GitFailed {
        /// The subcommand.
        command: &'static str,
        /// Its exit status.
        status: String,
    },
    /// A hook moved HEAD on.
    #[error("a hook moved HEAD to {commit}, which does not follow the commit that was planned on")]
    HistoryChanged {
        /// What HEAD names.
        commit: ObjectId,
    },
    /// The commit exists, but a hook made it hold something else.
    #[error("commit {commit} was made, but a hook changed what it holds at {path}")]
    Altered {
        /// The commit.
        commit: ObjectId,
        /// The first path that differs.
        path: String,
    },
    /// The commit exists and HEAD names it, but the index still has the old entries.
    #[error("commit {commit} was made and HEAD moved to it, but the index could not be replaced: {why}")]
    IndexNotReplaced {
        /// The commit.
        commit: ObjectId,
        /// Why.
        why: String,
    },
    /// The commit exists and HEAD names it, but it is not known to be whole and on the disk.
    #[error("commit {commit} was made, but it could not be read back and flushed to the disk: {why}")]
    NotDurable {
        /// The commit.
        commit: ObjectId,
        /// Why.
        why: String,
    },
}

impl CommitError {
    /// The commit that exists in spite of the error.
    #[must_use]
    pub fn commit(&self) -> Option<ObjectId> {
        match self {
            Self::Altered { commit, .. }
            | Self::HistoryChanged { commit }
            | Self::IndexNotReplaced { commit, .. }
            | Self::NotDurable { commit, .. } => Some(*commit),
            _ => None,
        }
    }

    /// What helps, where something does.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Refused(error) => error.hint(),
            Self::HeadMoved { .. } => Some("run again: the plan is made anew".into()),
            Self::GitFailed { .. } => Some("the hook's or git's own message is above".into()),
            Self::Altered { commit, path } => Some(Hint::from(format!("git show {commit} -- ")).path(path)),
            Self::IndexNotReplaced { .. } => {
                Some("git reset -q HEAD -- the committed paths, to refresh the index".into())
            }
            _ => None,
        }
    }
}

/// An error of gix with everything below it, as one line.
pub(super) fn why(error: &gix::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !text.is_empty() && !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    texts.join(": ").replace('\n', " ")
}

/// Says what could not be done when gix fails.
pub(super) trait Doing<T> {
    fn doing(self, doing: impl Into<String>) -> Result<T, RepoError>;
}

impl<T> Doing<T> for Result<T, gix::Error> {
    fn doing(self, doing: impl Into<String>) -> Result<T, RepoError> {
        self.map_err(|error| RepoError::Git { doing: doing.into(), why: why(&error) })
    }
}
