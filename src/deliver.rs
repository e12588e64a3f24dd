//! From a commit to the team: `--push` and `--mr`, for every writer.
//!
//! A run that delivers works in a linked worktree of its own (`repo::linked`), on a commit that the remote has or that
//! follows what the remote has; `plan::deliver` says which. The user's work tree, index and branch are never touched
//! half-way: at the end of a push their branch is moved on where that loses nothing. Why it is so:
//! docs/decisions/0010-delivery.md.
//!
//! Two ways to use it:
//!
//! - Writers that make tokens keep a journal, which may end only when the commit has arrived. They take [`Delivery`]
//!   apart: [`Delivery::begin`], observe and plan in [`Delivery::repo`], [`Delivery::push`] what was committed there;
//!   when somebody else was faster, begin anew (`apply::arrive` does that); [`Delivery::move_on`], [`Delivery::close`].
//! - Writers that only change files (`rekey`, `keys`, `bootstrap --request-access`) give [`deliver`] the work as a
//!   closure that reads, writes and commits in the repository it is handed, and says what the reviewer should read. It
//!   is called again, on the new state, when somebody else was faster. Without `--push` and `--mr` it is called once,
//!   with the user's own repository:
//!
//! ```ignore
//! let done = deliver(world, &repo, way, &Topic::of("keys"), async |bench| {
//!     // … observe, plan and show in `bench.repo`, then commit there
//!     Ok(Some(Change { commit, text: RequestText { title, lines } }))
//! })
//! .await?;
//! ```

use std::rc::Rc;

use crate::error::{Error, Kind, Result};
use crate::gitlab::client::Client;
use crate::observe::at_gitlab;
use crate::plan::Note;
use crate::plan::deliver::{On, Request, Stand, Topic, Waiting, Way, base};
use crate::plan::request::RequestText;
use crate::repo::{ObjectId, PushRequest, Pushed, RemoteError, Repository, Upstream};
use crate::world::World;

mod look;
mod waiting;

use look::{Place, Seen, look, refused};

/// How often a run starts anew because somebody else was faster.
pub const ATTEMPTS: usize = 50;

/// A worktree of ours, and where its commits go.
#[derive(Debug)]
pub struct Delivery {
    way: Way,
    topic: Topic,
    user: Rc<Repository>,
    repo: Rc<Repository>,
    stand: Stand,
    base: ObjectId,
    on: On,
    target: Option<ObjectId>,
    replaces: Option<ObjectId>,
    ours: Option<ObjectId>,
    notes: Vec<Note>,
}

/// How a push ended.
#[derive(Debug)]
pub enum Arrival {
    /// It arrived.
    Pushed(Pushed),
    /// Somebody else was faster, and nothing arrived.
    Overtaken,
}

/// Where a writer works.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The user's repository, or a worktree of ours.
    pub repo: &'a Rc<Repository>,
    /// What a person should know before saying yes.
    pub notes: &'a [Note],
    /// The branch that is delivered to in the end, as it is at the remote, whatever our own branch has already.
    pub target: Option<ObjectId>,
}

/// What a writer committed, and what a reviewer should read about it.
#[derive(Debug)]
pub struct Change {
    /// The commit.
    pub commit: ObjectId,
    /// The merge request's text.
    pub text: RequestText,
}

/// What became of a writer's work.
#[derive(Debug, Default)]
pub struct Delivered {
    /// The commit; `None` where there was nothing to change.
    pub commit: Option<ObjectId>,
    /// Where it went: `main at origin`.
    pub to: Option<String>,
    /// Address of the merge request, where the remote said it.
    pub merge_request: Option<String>,
    /// What a person should know or do now.
    pub notes: Vec<String>,
}

/// Does `work` in the user's repository, or, where a way to deliver was chosen, in a worktree of ours, and pushes what it
/// committed. `topic` names the branch of a merge request: `provision/<topic>`. The caller holds the repository lock.
///
/// # Errors
/// Those of `work`; where the remote cannot be reached or does not take the push; where what is there now does not go
/// together with HEAD.
pub async fn deliver<W>(
    world: &World,
    repo: &Rc<Repository>,
    way: Option<Way>,
    topic: &Topic,
    work: W,
) -> Result<Delivered>
where
    W: AsyncFnMut(Bench<'_>) -> Result<Option<Change>>,
{
    deliver_all(world, repo, way, topic, work, |_| Ok(None)).await
}

/// The same; and where `work` finds nothing to change, but HEAD has what an earlier run committed and did not push, `agree`
/// says whether that is pushed, and what the reviewer should read.
///
/// # Errors
/// As [`deliver`]; those of `agree`.
pub async fn deliver_all<W>(
    world: &World,
    repo: &Rc<Repository>,
    way: Option<Way>,
    topic: &Topic,
    mut work: W,
    mut agree: impl FnMut(&Waiting) -> Result<Option<RequestText>>,
) -> Result<Delivered>
where
    W: AsyncFnMut(Bench<'_>) -> Result<Option<Change>>,
{
    let Some(way) = way else {
        let change = work(Bench { repo, notes: &[], target: None }).await?;
        return Ok(Delivered { commit: change.map(|change| change.commit), ..Delivered::default() });
    };
    let mut delivery = Delivery::begin(world, repo, way, topic, None).await?;
    let outcome = attempts(world, &mut delivery, &mut work, &mut agree).await;
    let closed = delivery.close(world);
    let mut delivered = outcome?;
    if let Some(commit) = delivered.commit {
        delivered.notes.extend(delivery.move_on(world, Some(commit)));
    }
    delivered.notes.extend(closed);
    Ok(delivered)
}

/// Looks at the repository that a run which delivers so would work in, with all that the remote has; without a way it is the
/// user's own. The caller holds the repository lock.
///
/// # Errors
/// Those of `look`, and of [`Delivery::begin`].
pub fn look_at<T>(
    world: &World,
    repo: &Rc<Repository>,
    way: Option<Way>,
    topic: &Topic,
    look: impl FnOnce(&Repository) -> Result<T>,
) -> Result<T> {
    let Some(way) = way else { return look(repo) };
    let seen = look::look(world, repo, way, topic)?;
    let delivery = Delivery::on(world, repo, way, topic, seen, Request::Unknown)?;
    let found = look(&delivery.repo);
    delivery.close(world);
    found
}

async fn attempts<W>(
    world: &World,
    delivery: &mut Delivery,
    work: &mut W,
    agree: &mut impl FnMut(&Waiting) -> Result<Option<RequestText>>,
) -> Result<Delivered>
where
    W: AsyncFnMut(Bench<'_>) -> Result<Option<Change>>,
{
    for _ in 0..ATTEMPTS {
        let bench = Bench { repo: &delivery.repo, notes: &delivery.notes, target: delivery.target };
        let change = match work(bench).await? {
            Some(change) => Some(change),
            None => match delivery.waiting_files()? {
                Some(waiting) => agree(&waiting)?.map(|text| Change { commit: delivery.base, text }),
                None => None,
            },
        };
        let Some(Change { commit, text }) = change else {
            return Ok(Delivered {
                notes: delivery.unmerged().into_iter().collect(),
                ..Delivered::default()
            });
        };
        match delivery.push(world, commit, &text)? {
            Arrival::Pushed(pushed) => {
                return Ok(Delivered {
                    commit: Some(commit),
                    to: Some(delivery.destination()),
                    merge_request: pushed.merge_request,
                    notes: Vec::new(),
                });
            }
            Arrival::Overtaken => delivery.again(world).await?,
        }
    }
    Err(Error::new(Kind::Unreachable, format!("{} moves on faster than this run", delivery.destination()))
        .because(format!("{ATTEMPTS} pushes came too late"))
        .hint("run the same command again"))
}

impl Delivery {
    /// Looks at the remote and makes the worktree. `gitlab` is asked for the merge request of our branch, where that
    /// branch exists and the remote is a project there.
    ///
    /// # Errors
    /// Where there is no remote, it cannot be reached, or nothing could be pushed to it as things are.
    pub async fn begin(
        world: &World,
        repo: &Rc<Repository>,
        way: Way,
        topic: &Topic,
        gitlab: Option<&Client>,
    ) -> Result<Self> {
        let (place, seen) = look(world, repo, way, topic)?;
        let request = match (gitlab, seen.ours) {
            (Some(client), Some(tip)) => {
                at_gitlab::request(client, repo, &place.remote, &place.branch, tip).await?
            }
            _ => Request::Unknown,
        };
        Self::on(world, repo, way, topic, (place, seen), request)
    }

    /// Makes the worktree on what was seen.
    fn on(
        world: &World,
        repo: &Rc<Repository>,
        way: Way,
        topic: &Topic,
        (place, seen): (Place, Seen),
        request: Request,
    ) -> Result<Self> {
        let stand = place.compared(repo, &seen, request)?;
        let decided = base(way, &stand).map_err(|error| refused(error, repo, &seen, topic))?;
        let commit = seen.commit(decided.on);
        let linked = world.effects().open_worktree(repo, topic.as_str(), commit, &stand.remote)?;
        Ok(Self {
            way,
            topic: topic.clone(),
            user: Rc::clone(repo),
            repo: Rc::new(linked),
            base: commit,
            on: decided.on,
            target: seen.target,
            replaces: seen.ours.filter(|_| decided.replaces_ours),
            ours: seen.ours,
            notes: decided.notes,
            stand,
        })
    }

    /// Starts anew after somebody else was faster: on what the remote has now.
    ///
    /// # Errors
    /// As [`Delivery::begin`].
    async fn again(&mut self, world: &World) -> Result<()> {
        *self = Self::begin(world, &self.user, self.way, &self.topic, None).await?;
        Ok(())
    }

    /// The repository to work in. Its HEAD is detached.
    #[must_use]
    pub fn repo(&self) -> &Rc<Repository> {
        &self.repo
    }

    /// What a person should know before saying yes.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The way that was chosen.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// The remote and the branch there that is pushed to.
    #[must_use]
    pub fn pushes_to(&self) -> (&str, &str) {
        let branch = match self.way {
            Way::Push => &self.stand.target,
            Way::MergeRequest => &self.stand.branch,
        };
        (&self.stand.remote, branch)
    }

    /// The same for a person: `main at origin`.
    #[must_use]
    pub fn destination(&self) -> String {
        let (remote, branch) = self.pushes_to();
        format!("{branch} at {remote}")
    }

    /// Whether what is pushed is upstream as soon as it has arrived: on the remote's default branch.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn arrives_upstream(&self) -> Result<bool> {
        let (remote, branch) = self.pushes_to();
        Ok(match self.user.upstream()? {
            Upstream::RemoteBranch { reference, .. } => {
                reference == format!("refs/remotes/{remote}/{branch}")
            }
            Upstream::Head | Upstream::Unknown { .. } => false,
        })
    }

    /// The branch that is delivered to in the end, as it is at the remote; `None` where it does not exist yet.
    #[must_use]
    pub fn target_commit(&self) -> Option<ObjectId> {
        self.target
    }

    /// The branch of merge requests about this.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.stand.branch
    }

    /// Whether that branch exists at the remote.
    #[must_use]
    pub fn has_branch(&self) -> bool {
        self.ours.is_some()
    }

    /// What a person should know where nothing was to be done: it waits for a review.
    fn unmerged(&self) -> Option<String> {
        let is_so = self.way == Way::MergeRequest && self.ours.is_some() && self.replaces.is_none();
        let Stand { remote, branch, target, .. } = &self.stand;
        is_so.then(|| format!("it is so on {branch} at {remote}, which is not merged into {target} yet"))
    }

    /// Tries a push without pushing: whether the remote can be reached, knows us, and lets us write.
    ///
    /// # Errors
    /// Where it would fail. A race that is lost meanwhile is not an error: the push itself finds that out.
    pub fn rehearse(&self, world: &World) -> Result<()> {
        let options = match self.way {
            Way::Push => Vec::new(),
            Way::MergeRequest => vec!["merge_request.create".to_owned()],
        };
        match world.effects().rehearse_push(&self.repo, &self.request(self.base, options)) {
            Ok(()) | Err(RemoteError::Overtaken { .. }) => Ok(()),
            Err(error) => Err(self.not_pushed(error)),
        }
    }

    fn request(&self, commit: ObjectId, options: Vec<String>) -> PushRequest {
        let (remote, branch) = self.pushes_to();
        PushRequest {
            remote: remote.to_owned(),
            commit,
            branch: branch.to_owned(),
            replaces: self.replaces,
            options,
        }
    }

    /// Pushes a commit that was made in [`Delivery::repo`].
    ///
    /// # Errors
    /// With kind "half-way" where it is not known whether it arrived; "refused" where the remote, or a hook, said no.
    pub fn push(&self, world: &World, commit: ObjectId, text: &RequestText) -> Result<Arrival> {
        let options = match self.way {
            Way::Push => Vec::new(),
            Way::MergeRequest => text.options(&self.stand.target),
        };
        match world.effects().push(&self.repo, &self.request(commit, options)) {
            Ok(pushed) => Ok(Arrival::Pushed(pushed)),
            Err(RemoteError::Overtaken { .. }) => Ok(Arrival::Overtaken),
            Err(error) => Err(self.not_pushed(error)),
        }
    }

    fn not_pushed(&self, error: RemoteError) -> Error {
        let declined = matches!(error, RemoteError::Declined { .. });
        let error = Error::from(error);
        match self.way {
            Way::Push if declined => {
                error.hint(format!("where {} is protected, run again with --mr", self.stand.target))
            }
            _ => error,
        }
    }

    /// Removes the worktree. Returns what went wrong with that.
    pub fn close(&self, world: &World) -> Option<String> {
        let closed = world.effects().close_worktree(&self.user, self.topic.as_str());
        closed.err().map(|error| format!("the worktree of this run was not removed: {error}"))
    }

    /// After a push, moves the user's branch on to what the remote has now, where that loses nothing. `pushed` is our
    /// commit; `None`: it was not needed, because what is there does what it was to do: somebody else's commit, or ours of
    /// a run that was killed before it came to this. Returns what is left to do by hand.
    ///
    /// Only the branch that follows the one that was pushed to is moved on.
    pub fn move_on(&self, world: &World, pushed: Option<ObjectId>) -> Option<String> {
        if self.way != Way::Push || (pushed.is_none() && self.on != On::Target) {
            return None;
        }
        let tip = pushed.unwrap_or(self.base);
        let (remote, target) = self.pushes_to();
        let head = self.user.head().ok()?;
        let own = head.branch.as_deref()?.strip_prefix("refs/heads/")?.to_owned();
        let followed = self.user.followed_branch().ok().flatten().unwrap_or_else(|| own.clone());
        if followed != target || head.commit == Some(tip) {
            return None;
        }
        match world.effects().fast_forward(&self.user, self.target, tip) {
            Ok(()) => None,
            Err(_) => Some(format!(
                "{own} here is behind {target} at {remote}: git pull brings it up to date, or says what stands in the way"
            )),
        }
    }
}
