//! Which GitLab a person lets a repository use: `provision trust`, remembered for this user alone.
//!
//! One line of JSON for each approval, in `provision/approvals` under the user's state directory (XDG_STATE_HOME, else
//! `~/.local/state`). An approval is of one clone: its git directory and the address of its remote, so that another
//! repository in the same place has none.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Variables, World};
use crate::error::{Error, Kind, Result};
use crate::repo::{RepoError, Repository, read};

/// The approvals of this user, seen from one clone.
#[derive(Debug)]
pub struct Approvals {
    file: PathBuf,
    git_dir: String,
    remote: Option<String>,
    all: Vec<Approval>,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Approval {
    git_dir: String,
    remote: Option<String>,
    origin: String,
}

impl Approvals {
    /// Reads them; `None` outside a repository, or where this user has no home.
    ///
    /// # Errors
    /// Where the file cannot be read, others may write it, or a line is none of ours.
    pub fn read(world: &World) -> Result<Option<Self>> {
        let Some(file) = file(&world.variables) else { return Ok(None) };
        let repo = match Repository::discover(&world.directory) {
            Ok(repo) => repo,
            Err(RepoError::NotARepository { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let all = approvals(&file)?;
        let git_dir = repo.common_dir().display().to_string();
        Ok(Some(Self { file, git_dir, remote: repo.remote_address(), all }))
    }

    /// Where they are kept.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The origins that are approved for this clone.
    #[must_use]
    pub fn origins(&self) -> Vec<String> {
        self.all.iter().filter(|one| self.is_here(one)).map(|one| one.origin.clone()).collect()
    }

    /// Approves these origins for this clone as well.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn add(&self, origins: &[String], world: &World) -> Result<()> {
        // Another run may have added some meanwhile.
        let mut all = approvals(&self.file)?;
        for origin in origins {
            let one = Approval {
                git_dir: self.git_dir.clone(),
                remote: self.remote.clone(),
                origin: origin.clone(),
            };
            if !all.contains(&one) {
                all.push(one);
            }
        }
        self.write(&all, world)
    }

    /// Takes all approvals of this clone back; how many there were.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn forget(&self, world: &World) -> Result<usize> {
        let mut all = approvals(&self.file)?;
        let before = all.len();
        all.retain(|one| !self.is_here(one));
        if all.len() < before {
            self.write(&all, world)?;
        }
        Ok(before - all.len())
    }

    fn is_here(&self, one: &Approval) -> bool {
        one.git_dir == self.git_dir && one.remote == self.remote
    }

    fn write(&self, all: &[Approval], world: &World) -> Result<()> {
        let lines = all.iter().map(|one| serde_json::to_string(one).unwrap_or_default() + "\n");
        let text: String = lines.collect();
        world.effects().remember(&self.file, &text).map_err(|error| {
            Error::new(Kind::Failed, format!("cannot write {}", self.file.display()))
                .because(error.to_string())
        })
    }
}

fn file(variables: &Variables) -> Option<PathBuf> {
    let state = match (&variables.xdg_state_home, &variables.home) {
        (Some(state), _) => state.clone(),
        (None, Some(home)) => home.join(".local/state"),
        (None, None) => return None,
    };
    Some(state.join("provision/approvals"))
}

fn approvals(file: &Path) -> Result<Vec<Approval>> {
    let cannot =
        |why: String| Error::new(Kind::Failed, format!("cannot read {}", file.display())).because(why);
    let text = match read::text(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot(error.to_string())),
    };
    refuse_shared(file)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|error| cannot(error.to_string()).hint("remove the file; provision trust writes it anew"))
}

/// Whoever may write the file may approve in this user's name.
#[cfg(unix)]
fn refuse_shared(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map(|metadata| metadata.permissions().mode()).unwrap_or_default();
    if mode & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, format!("others may write {}", file.display()))
        .because("it says which GitLab your token may be sent to")
        .hint(format!("look at it, then chmod 600 {}", file.display())))
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path) -> Result<()> {
    Ok(())
}
