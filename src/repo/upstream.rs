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
        /// Why, and what would tell.
        why: String,
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
        let remotes: Vec<String> = self.git.remote_names().iter().map(ToString::to_string).collect();
        let configured = self.configured_remote()?;
        let remote = match (configured, remotes.as_slice()) {
            (_, []) => return Ok(Upstream::Head),
            (Some(remote), _) if remotes.contains(&remote) => remote,
            (_, remotes) if remotes.iter().any(|name| name == "origin") => "origin".to_owned(),
            (_, [only]) => only.clone(),
            (_, several) => {
                let names = several.join(", ");
                return Ok(Upstream::Unknown {
                    why: format!(
                        "there are several remotes ({names}), none is origin, and the branch has none"
                    ),
                });
            }
        };
        self.default_branch(remote)
    }

    /// The address of the remote `origin`, as its configuration has it.
    #[must_use]
    pub fn remote_address(&self) -> Option<String> {
        self.git.config_snapshot().string("remote.origin.url").map(|url| url.to_string())
    }

    fn configured_remote(&self) -> Result<Option<String>, RepoError> {
        let Some(branch) = self.head()?.branch else { return Ok(None) };
        let Some(short) = branch.strip_prefix("refs/heads/") else { return Ok(None) };
        let config = self.git.config_snapshot();
        let key = format!("branch.{short}.remote");
        Ok(config.string(key.as_str()).map(|name| name.to_str_lossy().into_owned()))
    }

    fn default_branch(&self, remote: String) -> Result<Upstream, RepoError> {
        let below = format!("refs/remotes/{remote}/");
        let symbolic =
            self.git.try_find_reference(format!("{below}HEAD").as_str()).doing("read the remote's HEAD")?;
        if let Some(symbolic) = symbolic
            && let Some(target) = symbolic.target().try_name()
            && let Some(commit) = self.commit_of(target.as_bstr().to_str_lossy().as_ref())?
        {
            return Ok(Upstream::RemoteBranch { remote, reference: target.as_bstr().to_string(), commit });
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
            _ => Ok(Upstream::Unknown { why: unknown(&remote, known) }),
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
}

fn unknown(remote: &str, known: usize) -> String {
    let branches =
        if known == 0 { "neither main nor master was fetched" } else { "main and master both exist" };
    format!(
        "{remote} has no known default branch and {branches}; git remote set-head {remote} --auto finds it"
    )
}
