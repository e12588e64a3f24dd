//! What must be so in the user's work tree before a run that delivers, which works elsewhere and would pass it over.

use super::{POLICY, interrupted};
use crate::error::{Error, Kind, Result, word};
use crate::plan::deliver::Way;
use crate::profile::Environment;
use crate::repo::{RelPath, Repository};

/// Refuses what a run in a worktree of its own would not see: profile, templates and policy that are not committed, files
/// that git does not keep, and what an interrupted run left here.
///
/// # Errors
/// With the way out.
pub fn check(repo: &Repository, environment: &Environment, way: Way) -> Result<()> {
    let option = way.option();
    if let Some(secrets) = environment.secrets.iter().find(|secrets| !secrets.commit) {
        let what = format!("{} is kept out of git, so there is nothing of it to deliver", secrets.file);
        return Err(Error::new(Kind::Usage, what)
            .because("the profile says `commit: false`".to_owned())
            .hint(format!("run without {option}")));
    }
    let named = environment.secrets.iter().filter(|_| !environment.is_unlisted());
    let templates = named.map(|secrets| format!("templates/{}", secrets.template));
    for path in templates.chain([environment.path.clone(), POLICY.to_owned()]) {
        if repo.differs_from_head(&RelPath::new(&path)?)?.is_some() {
            return Err(Error::new(Kind::Refused, format!("{path} has changes that are not committed"))
                .because(format!("{option} delivers what is committed"))
                .hint(format!("commit it, and it goes along: git add {} && git commit", word(&path))));
        }
    }
    let replay = interrupted::replay(repo, &environment.name)?;
    let left = interrupted::left(&replay, repo, &[])?;
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::HalfWay, format!("an interrupted run left {} in this work tree", left.join(", ")))
        .because(format!("{option} works elsewhere"))
        .hint(format!("run without {option} first: it goes on from there")))
}
