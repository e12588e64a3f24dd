//! Looks at everything that a plan depends on: GitLab, the repository, the journal. Changes nothing.
//!
//! The result has two halves: `Observed`, values and handles left out, is what the planner decides on; [`Ground`] is
//! what `apply` stands on when it does what was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use crate::checks::nested::NestedPolicies;
use crate::deliver::Delivery;
use crate::error::{Error, Kind, Result, word};
use crate::gitlab::client::Client;
use crate::gitlab::errors::ErrorKind;
use crate::hint::Hint;
use crate::journal::Replay;
use crate::lock::{self, Lock};
use crate::plan::observed::Observed;
use crate::plan::options::{End, Options};
use crate::profile::{Environment, NameError, Recipients, SecretsFile, Strategy, USER, UserName};
use crate::repo::{Head, RelPath, Repository, read};
use crate::secret::Secret;
use crate::sops::{Policy, PolicyError, Rule};
use crate::template::{Context, Template, check_all};
use crate::token::{Kind as TokenKind, Record, TokenId};
use crate::world::World;

pub mod adopt;
pub mod at_gitlab;
pub mod before_a_token;
pub mod deliverable;
pub mod doctor;
pub mod elsewhere;
pub mod environments;
mod every_lock;
pub mod files;
pub mod former;
pub mod inspect;
pub mod interrupted;
pub mod leaked;
pub mod live;
mod one_gitlab;
pub mod orphans;
pub mod own;
pub mod owners;
pub mod readership;
pub mod rekey;
pub mod secrets;
pub mod taken;
mod uncommitted;
pub mod unlisted;
pub mod upstream;
pub mod variables;

use files::GroundFile;
pub use uncommitted::edited;
use uncommitted::own_file;
pub(crate) use uncommitted::uncommitted;

/// The policy file, at the repository root as stock sops finds it from there.
pub const POLICY: &str = ".sops.yaml";

const MEND_POLICY: &str = "mend it and commit it: what counts is the committed policy";

/// What `apply` stands on.
pub struct Ground {
    /// What is wanted.
    pub environment: Environment,
    /// The repository.
    pub repo: Rc<Repository>,
    /// HEAD when it was looked at.
    pub head: Head,
    /// GitLab, with the operator credential.
    pub client: Client,
    /// The operator credential's own id, where it was asked.
    pub operator: Option<TokenId>,
    /// The lock at HEAD.
    pub lock: Lock,
    /// Where it is.
    pub lock_path: RelPath,
    /// The secrets files, in the order of the profile.
    pub files: Vec<GroundFile>,
    /// Where the journal is.
    pub journal: PathBuf,
    /// What it says.
    pub replay: Replay,
    /// The lock's tokens that live, or cannot be known not to.
    pub active: BTreeSet<TokenId>,
    /// Personal tokens that a person has made and pasted for this plan.
    pub pasted: Vec<Pasted>,
    /// The token that leaked, where that is what the run is for.
    pub leaked: Option<Leaked>,
    /// Where the commit goes: `repo` is a worktree of the delivery's then.
    pub delivery: Option<Rc<Delivery>>,
}

/// A personal token that a person has made by hand, proved to be what the plan asks for.
#[derive(Debug)]
pub struct Pasted {
    /// Key of the entry.
    pub key: String,
    /// What GitLab said of it.
    pub record: Record,
    /// Its value.
    pub value: Secret,
}

/// A token that somebody has in wrong hands, as GitLab says by its value.
#[derive(Clone, Debug)]
pub struct Leaked {
    /// GitLab's number.
    pub id: TokenId,
    /// Its value, as it was given.
    pub value: Rc<Secret>,
}

impl Ground {
    /// Identifies the lock entry that a mint is planned on.
    #[must_use]
    pub fn planned_on(&self, key: &str) -> Option<String> {
        interrupted::entry_digest(&self.lock, key)
    }

    /// The secrets file at this path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&GroundFile> {
        self.files.iter().find(|file| file.path.as_str() == path)
    }
}

/// What to look at besides what is always looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Compare the template's other leaves too.
    pub sync_template: bool,
    /// Current tokens may be revoked: the one that we act with must be known.
    pub revokes: bool,
    /// Find a slot for the value of every entry, not only where one is lost.
    pub values: bool,
    /// Look for tokens of the environment that no lock names.
    pub orphans: bool,
    /// What is committed will be upstream when the run ends.
    pub arrives_upstream: bool,
}

impl Wish {
    /// What a plan that follows these options needs to know.
    #[must_use]
    pub fn of(options: &Options) -> Self {
        Self {
            sync_template: options.sync_template,
            revokes: options.revokes(),
            values: options.end != End::Nothing,
            orphans: options.orphans.is_some(),
            arrives_upstream: false,
        }
    }
}

/// Looks at one environment.
///
/// # Errors
/// Where anything cannot be read, GitLab refuses, or the user's own files are not as they must be.
pub async fn environment(
    environment: Environment,
    repo: Rc<Repository>,
    client: Client,
    world: &World,
    wish: Wish,
) -> Result<(Ground, Observed)> {
    let user = user(&environment, &client).await?;
    let head = repo.head()?;
    let replay = interrupted::replay(&repo, &environment.name)?;
    interrupted::left_elsewhere(&replay, &repo, &environment.name)?;
    let user_name = user.as_ref().map(|user| &user.name);
    let lock_path = lock::path(&environment, user_name)
        .ok_or_else(|| Error::new(Kind::Failed, "a personal environment needs a user"))?;
    let lock_path = RelPath::new(&lock_path)?;
    let policy_path = RelPath::new(POLICY)?;
    own_file(&repo, &lock_path, &replay)?;
    let mut lock = lock_at_head(&repo, &lock_path)?;
    one_gitlab::check(&environment, &lock, &lock_path, &replay)?;
    let moved = moved(&mut lock, &environment);
    let files = secrets_files(&environment, user_name, &repo, &policy_path, &replay, world)?;
    unlisted::check(&environment, &files, &repo)?;
    // An owner that is gone may be one that the profile has left; where it is not, asking for it by its path says so.
    let is_gone = |error: &ErrorKind| *error == ErrorKind::NotFound;
    let live = live::records(&client, &lock, &replay.retiring, is_gone).await?;
    let owners = owners::look(&environment, user.as_ref(), &lock, &live, &client).await?;
    let view = upstream::look(&repo, &lock_path, &policy_path, &environment.gitlab)?;
    let mut states =
        files.iter().map(|file| files::state(file, &lock, &environment)).collect::<Result<Vec<_>>>()?;
    if wish.sync_template {
        let (name, gitlab) = (&environment.name, &environment.gitlab);
        let context = Context { environment: name, gitlab, tokens: BTreeMap::new() };
        for (file, state) in files.iter().zip(&mut states) {
            state.stale = files::stale(file, &context, world)?;
        }
    }
    let at_hand = files::at_hand(&environment, (&files, &states), &lock, &client, world, wish.values).await?;
    let (pending, branches) =
        interrupted::pending(&replay, &client, &repo, &head, (&lock_path, &lock), world).await?;
    let left = interrupted::left(&replay, &repo, &files)?;
    let touches_old = wish.revokes
        || !pending.is_empty()
        || !replay.retiring.is_empty()
        || lock.tokens.values().any(|entry| !entry.superseded.is_empty())
        || environment.tokens.iter().any(|token| token.strategy == Strategy::InPlace);
    let operator = if touches_old { Some(client.own_token().await?.id) } else { None };
    let orphans = if wish.orphans {
        orphans::find(&environment.name, &owners, &lock, &client, &repo, world).await?
    } else {
        Vec::new()
    };
    let gone = files::gone(&lock, &files, &repo);
    let active = live.iter().filter(|(_, live)| live.may_live()).map(|(id, _)| *id).collect();
    let current_elsewhere = upstream::current_elsewhere(&repo, &lock_path, &environment.gitlab, view.others)?;
    let mut current_anywhere: BTreeSet<TokenId> = current_elsewhere.keys().copied().collect();
    current_anywhere.extend(lock.current_at(&environment.gitlab));
    current_anywhere.extend(environments::current_ids(&repo, &environment.gitlab)?);
    current_anywhere.extend(view.lock.current_at(&environment.gitlab));
    let mut observed = Observed {
        by_value: BTreeSet::new(),
        minted_elsewhere: elsewhere::minted(&environment.name, &lock_path, &live, &repo, &head)?,
        now: client.server_time().unwrap_or_else(|| world.effects().now()),
        operator,
        lock: lock.clone(),
        lock_path: lock_path.to_string(),
        moved,
        gone,
        orphans,
        owners,
        live,
        files: states,
        at_hand,
        pending,
        left,
        upstream: view.lock,
        superseded_since: view.superseded_since,
        upstream_unknown: view.unknown,
        current_anywhere,
        current_elsewhere,
        retiring: replay.retiring.clone(),
        branches,
        personal_by_api: user.as_ref().is_some_and(|user| user.is_admin),
        new_readers: new_readers(&files, view.policy.as_deref()),
        arrives_upstream: wish.arrives_upstream,
    };
    let journal = interrupted::journal_path(&repo, &environment.name);
    let ground = Ground {
        environment,
        repo,
        head,
        client,
        operator,
        lock,
        lock_path,
        files,
        journal,
        replay,
        active,
        pasted: Vec::new(),
        leaked: None,
        delivery: None,
    };
    observed.by_value = former::with_value(&ground, wish.revokes, world)?;
    Ok((ground, observed))
}

/// Who we act as.
struct Me {
    id: u64,
    name: UserName,
    is_admin: bool,
}

/// Gives entries of the lock the keys that the profile has for them now. Returns the old and the new ones.
fn moved(lock: &mut Lock, environment: &Environment) -> Vec<(String, String)> {
    let mut moved = Vec::new();
    for token in &environment.tokens {
        let Some(from) = &token.moved_from else { continue };
        if !lock.tokens.contains_key(&token.key)
            && let Some(entry) = lock.tokens.remove(from)
        {
            lock.tokens.insert(token.key.clone(), entry);
            moved.push((from.clone(), token.key.clone()));
        }
    }
    moved
}

/// Who we act as, where a path or a personal token needs it.
async fn user(environment: &Environment, client: &Client) -> Result<Option<Me>> {
    let personal = environment.tokens.iter().any(|token| token.kind == TokenKind::Personal);
    if !personal && !environment.is_personal() {
        return Ok(None);
    }
    let user = client.whoami().await?;
    let name = user.username.ok_or_else(|| {
        Error::new(Kind::NotAllowed, "GitLab does not tell this token whose it is")
            .because("a personal environment is kept in a file named after its user")
            .hint("use a token with the scope read_user, read_api or api")
    })?;
    let name = name.parse().map_err(|error: NameError| Error::from_source(Kind::Refused, &error))?;
    Ok(Some(Me { id: user.id, name, is_admin: user.is_admin == Some(true) }))
}

/// Where a shallow clone does not tell something.
pub(crate) fn cut_off(because: &str) -> Error {
    Error::new(Kind::Refused, "this clone does not have the whole history")
        .because(because.to_owned())
        .hint("git fetch --unshallow; in GitLab CI, GIT_DEPTH: 0")
}

fn lock_at_head(repo: &Repository, path: &RelPath) -> Result<Lock> {
    let Some(bytes) = repo.content_at_head(path)? else { return Ok(Lock::default()) };
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::new(Kind::Refused, format!("{path} is not text; restore it from git")))?;
    Ok(Lock::read(path.as_str(), &text)?)
}

fn secrets_files(
    environment: &Environment,
    user: Option<&UserName>,
    repo: &Repository,
    policy_path: &RelPath,
    replay: &Replay,
    world: &World,
) -> Result<Vec<GroundFile>> {
    let mut policy: Option<Policy> = None;
    let mut files = Vec::new();
    for secrets in &environment.secrets {
        // Before GitLab has said whose file it will be, it is called as the profile has it, and no rule can be found for it.
        if user.is_none() && secrets.file.contains(USER) && secrets.recipients == Recipients::Policy {
            continue;
        }
        let path = secrets.path_for(user).unwrap_or_else(|| secrets.file.clone());
        let path = RelPath::new(&path)?;
        environments::refuse_link(repo, &path, &environment.path)?;
        let rule = match secrets.recipients {
            Recipients::Own => own_rule(world)?,
            Recipients::Policy => {
                if policy.is_none() {
                    policy = Some(read_policy(repo, policy_path, replay)?);
                }
                refuse_nested(repo, &path)?;
                policy_rule(policy.as_ref(), &path)?
            }
        };
        let content = content(repo, &path, secrets, replay)?;
        if secrets.recipients == Recipients::Own {
            own::is_for_a_key_here(&path, content.as_deref(), world)?;
        }
        let template = environments::template(repo, secrets, environment)?;
        let names = policy.as_ref().map(|policy| policy.names().clone()).unwrap_or_default();
        let names = Rc::new(names);
        files.push(GroundFile { path, template, rule, content, commit: secrets.commit, names });
    }
    let templates: Vec<&Template> = files.iter().map(|file| &file.template).collect();
    check_all(environment, &templates)?;
    Ok(files)
}

/// Which policy would count for a file is not guessed at.
fn refuse_nested(repo: &Repository, path: &RelPath) -> Result<()> {
    let tracked = repo.tracked()?;
    let nested = NestedPolicies::among(tracked.iter().map(|file| file.path.as_str()));
    let Some(over) = nested.over(path.as_str()) else { return Ok(()) };
    Err(Error::new(Kind::Refused, format!("{path} lies below {over}"))
        .because(format!("stock sops may follow that one for it, and only the root's {POLICY} counts here"))
        .hint(format!(
            "move the rules of {over} into {POLICY} and remove it, or let the profile name another file"
        )))
}

fn policy_rule(policy: Option<&Policy>, path: &RelPath) -> Result<Rule> {
    let Some(policy) = policy else { return Err(Error::new(Kind::Failed, "there is no policy")) };
    let rule = policy.rule_for(path.as_str()).map_err(|error| match error {
        PolicyError::NoRule { .. } => unusable_policy(&error)
            .hint(format!("add a creation rule whose path_regex matches {path}, and commit it")),
        _ => unusable_policy(&error).because(format!("this rule is for {path}")).hint(MEND_POLICY),
    })?;
    Ok(rule.clone())
}

/// The policy's errors begin with line and column, where they have a place.
fn unusable_policy(error: &PolicyError) -> Error {
    let separator =
        if matches!(error, PolicyError::NotAPolicy | PolicyError::NoRule { .. }) { ": " } else { ":" };
    Error::new(Kind::Refused, format!("{POLICY}{separator}{error}"))
}

/// The policy, which must be the committed one.
fn read_policy(repo: &Repository, path: &RelPath, replay: &Replay) -> Result<Policy> {
    own_file(repo, path, replay)?;
    let Some(bytes) = repo.content_at_head(path)? else {
        return Err(Error::new(Kind::Refused, format!("there is no {POLICY} at the repository's root"))
            .because("it names the recipients that secrets files are encrypted for")
            .hint("run provision init, and commit what it writes"));
    };
    let text =
        String::from_utf8(bytes).map_err(|_| Error::new(Kind::Refused, format!("{POLICY} is not text")))?;
    Policy::parse(&text).map_err(|error| unusable_policy(&error).hint(MEND_POLICY))
}

fn own_rule(world: &World) -> Result<Rule> {
    let own = world.identities()?.own_recipients()?;
    if own.is_empty() {
        return Err(Error::new(Kind::CannotDecrypt, "there is no age key of your own to encrypt for")
            .because("the profile says `recipients: self`")
            .hint("provision bootstrap makes one"));
    }
    Ok(Rule::own(own))
}

fn content(
    repo: &Repository,
    path: &RelPath,
    secrets: &SecretsFile,
    replay: &Replay,
) -> Result<Option<Vec<u8>>> {
    if secrets.commit {
        if repo.is_ignored(path)? && repo.content_at_head(path)?.is_none() {
            return Err(Error::new(Kind::Refused, format!("{path} is ignored by git"))
                .hint("take it out of .gitignore, or write `commit: false` beside it in the profile"));
        }
        own_file(repo, path, replay)?;
        return Ok(repo.content_at_head(path)?);
    }
    if !repo.is_ignored(path)? {
        return Err(Error::new(Kind::Refused, format!("{path} is not ignored by git"))
            .because("the profile says `commit: false`")
            .hint(
                Hint::from(format!("echo {} >> ", word(format!("/{}", secrets.file.replace(USER, "*")))))
                    .path(".gitignore"),
            ));
    }
    let real = repo.resolve(path)?.below(repo.root());
    match read::bytes(&real) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(Kind::Failed, format!("cannot read {path}")).because(error.to_string())),
    }
}

/// Readers that this policy has and upstream's has not, for the files at hand.
fn new_readers(files: &[GroundFile], upstream: Option<&str>) -> Vec<String> {
    let Some(upstream) = upstream.and_then(|text| Policy::parse(text).ok()) else { return Vec::new() };
    let mut new = BTreeSet::new();
    for file in files {
        let Ok(rule) = upstream.rule_for(file.path.as_str()) else { continue };
        let there = rule.recipients();
        new.extend(file.rule.recipients().iter().filter(|r| !there.contains(r)).map(ToString::to_string));
    }
    new.into_iter().collect()
}
