//! Where the team's truth is: the remote's default branch.

use gix::ObjectId;
use gix::bstr::ByteSlice;

use super::Repository;
use super::error::{Doing, RepoError};

/// What counts as delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// There is no remote: HEAD itself.
    Head,
    /// The remote's default branch, as last fetched.
    RemoteBranch {
        /// The remote's name.
        remote: String,
        /// Its full name here: `refs/remotes/origin/main`.
        reference: String,
        /// The commit it names.
        commit: ObjectId,
    },
    /// There is a remote, but which branch is its default cannot be told.
    Unknown {
        /// Why.
        why: String,
        /// The command that tells.
        mend: String,
    },
}

/// The remote that a repository works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// There is none.
    None,
    /// This one.
    One(String),
    /// There are several, and which is meant cannot be told.
    Unknown {
        /// Why.
        why: String,
        /// The command that tells.
        mend: String,
    },
}

impl Repository {
    /// The default branch of the remote that the current branch is configured with, else of `origin`, else of
    /// the only remote.
    ///
    /// The default branch is what `refs/remotes/<remote>/HEAD` says, else `main` or `master` when exactly one
    /// of them exists there.
    ///
    /// # Errors
    /// When HEAD or the references cannot be read.
    pub fn upstream(&self) -> Result<Upstream, RepoError> {
        match self.remote()? {
            Chosen::None => Ok(Upstream::Head),
            Chosen::One(remote) => self.default_branch(remote),
            Chosen::Unknown { why, mend } => Ok(Upstream::Unknown { why, mend }),
        }
    }

    /// The names of all remotes.
    #[must_use]
    pub fn remotes(&self) -> Vec<String> {
        self.git.remote_names().iter().map(ToString::to_string).collect()
    }

    /// The remote that the current branch is configured with, else `origin`, else the only one.
    ///
    /// # Errors
    /// When HEAD cannot be read.
    pub fn remote(&self) -> Result<Chosen, RepoError> {
        let remotes = self.remotes();
        let configured = self.configured_remote()?;
        Ok(match (configured, remotes.as_slice()) {
            (_, []) => Chosen::None,
            (Some(remote), _) if remotes.contains(&remote) => Chosen::One(remote),
            (_, remotes) if remotes.iter().any(|name| name == "origin") => Chosen::One("origin".to_owned()),
            (_, [only]) => Chosen::One(only.clone()),
            (_, several) => Chosen::Unknown {
                why: format!(
                    "there are several remotes ({}), none is origin, and the branch has none",
                    several.join(", ")
                ),
                mend: "git branch --set-upstream-to=REMOTE/BRANCH".to_owned(),
            },
        })
    }

    /// The branch at the chosen remote, without `refs/heads/`, that the current branch is configured to follow
    /// (`branch.<name>.merge`); `None` where it follows none, one of this clone (`branch.<name>.remote` is `.`), or one of
    /// another repository.
    ///
    /// # Errors
    /// When HEAD cannot be read.
    pub fn followed_branch(&self) -> Result<Option<String>, RepoError> {
        let Chosen::One(remote) = self.remote()? else { return Ok(None) };
        if self.configured_remote()? != Some(remote) {
            return Ok(None);
        }
        let Some(branch) = self.branch()? else { return Ok(None) };
        let merge = self.git.config_snapshot().string(format!("branch.{branch}.merge").as_str());
        Ok(merge.and_then(|name| name.to_str_lossy().strip_prefix("refs/heads/").map(ToOwned::to_owned)))
    }

    /// The setting by which `git push` goes elsewhere than to `remote`: `branch.<name>.pushRemote`, `remote.pushDefault` or
    /// `branch.<name>.remote` (git-config(1), in this order). Its value may be an address with a password. `.`, this repository itself, is not meant:
    /// such a branch follows none at a remote.
    ///
    /// # Errors
    /// When HEAD cannot be read.
    pub fn pushes_elsewhere(&self, remote: &str) -> Result<Option<String>, RepoError> {
        let branch = self.branch()?;
        let of_branch = |what: &str| branch.as_ref().map(|branch| format!("branch.{branch}.{what}"));
        let keys = [of_branch("pushRemote"), Some("remote.pushDefault".to_owned()), of_branch("remote")];
        let config = self.git.config_snapshot();
        let mut set = keys.into_iter().flatten().filter_map(|key| Some((config.string(key.as_str())?, key)));
        let set = set.next().filter(|(value, _)| ![remote.as_bytes(), b"."].contains(&value.as_slice()));
        Ok(set.map(|(_, key)| key))
    }

    /// The current branch without `refs/heads/`.
    fn branch(&self) -> Result<Option<String>, RepoError> {
        let branch = self.head()?.branch;
        Ok(branch.and_then(|branch| branch.strip_prefix("refs/heads/").map(ToOwned::to_owned)))
    }

    /// The remote's default branch as it is remembered here (`refs/remotes/<remote>/HEAD`), without the remote's name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn remembered_default(&self, remote: &str) -> Result<Option<String>, RepoError> {
        let below = format!("refs/remotes/{remote}/");
        let symbolic =
            self.git.try_find_reference(format!("{below}HEAD").as_str()).doing("read the remote's HEAD")?;
        let target =
            symbolic.as_ref().and_then(|symbolic| symbolic.target().try_name().map(ToOwned::to_owned));
        Ok(target.and_then(|name| name.as_bstr().to_str_lossy().strip_prefix(&below).map(ToOwned::to_owned)))
    }

    /// The address of the remote `origin`, as its configuration has it.
    #[must_use]
    pub fn remote_address(&self) -> Option<String> {
        self.git.config_snapshot().string("remote.origin.url").map(|url| url.to_string())
    }

    fn configured_remote(&self) -> Result<Option<String>, RepoError> {
        if let Some(linked) = &self.linked {
            return Ok(Some(linked.remote.clone()));
        }
        let Some(branch) = self.branch()? else { return Ok(None) };
        let config = self.git.config_snapshot();
        let key = format!("branch.{branch}.remote");
        Ok(config.string(key.as_str()).map(|name| name.to_str_lossy().into_owned()))
    }

    fn default_branch(&self, remote: String) -> Result<Upstream, RepoError> {
        let below = format!("refs/remotes/{remote}/");
        if let Some(branch) = self.remembered_default(&remote)?
            && let reference = format!("{below}{branch}")
            && let Some(commit) = self.commit_of(&reference)?
        {
            return Ok(Upstream::RemoteBranch { remote, reference, commit });
        }
        let mut found = Vec::new();
        for name in ["main", "master"] {
            let reference = format!("{below}{name}");
            if let Some(commit) = self.commit_of(&reference)? {
                found.push((reference, commit));
            }
        }
        let known = found.len();
        match (known, found.pop()) {
            (1, Some((reference, commit))) => Ok(Upstream::RemoteBranch { remote, reference, commit }),
            _ => Ok(Upstream::Unknown {
                why: unknown(&remote, known),
                mend: format!("git remote set-head {remote} --auto"),
            }),
        }
    }

    /// The commit that a reference (`refs/heads/main`) names; `None` where there is no such reference.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn commit_of(&self, reference: &str) -> Result<Option<ObjectId>, RepoError> {
        let doing = || format!("read {reference}");
        let Some(mut reference) = self.git.try_find_reference(reference).doing(doing())? else {
            return Ok(None);
        };
        reference.peel_to_commit().doing(doing()).map(|commit| Some(commit.id))
    }

    /// What a reference has named in this clone, newest first, and since when (seconds since 1970); from its reflog, so
    /// empty where none is kept. Commits may be gone from here.
    ///
    /// # Errors
    /// When the reflog cannot be read.
    pub fn seen(&self, reference: &str) -> Result<Vec<(ObjectId, i64)>, RepoError> {
        let doing = || format!("read the reflog of {reference}");
        let Some(reference) = self.git.try_find_reference(reference).doing(doing())? else {
            return Ok(Vec::new());
        };
        let mut log = reference.log_iter();
        let Some(lines) = log.all().map_err(gix::Error::from_error).doing(doing())? else {
            return Ok(Vec::new());
        };
        let mut seen = Vec::new();
        for line in lines {
            let line = line.doing(doing())?;
            let time = line.signature.time().doing(doing())?;
            seen.push((line.new_oid(), time.seconds));
        }
        seen.reverse();
        Ok(seen)
    }
}

fn unknown(remote: &str, known: usize) -> String {
    let branches =
        if known == 0 { "neither main nor master was fetched" } else { "main and master both exist" };
    format!("{remote} has no known default branch and {branches}")
}
