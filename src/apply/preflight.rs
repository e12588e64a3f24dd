//! Everything that can fail without GitLab, made to fail before GitLab is asked for anything.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

use super::files::{self, Fact};
use crate::error::{Error, Kind, Result};
use crate::observe::files::GroundFile;
use crate::observe::{Ground, edited};
use crate::plan::observed::Slot;
use crate::plan::{Plan, Proof, Readers, Revoke, Step, Write};
use crate::profile::Environment;
use crate::repo::{RelPath, Repository, read};
use crate::secret::Secret;
use crate::sops::{Draft, Encrypted, Format, Opened, Outside, Rule, Sealed, ValueSealer, value_path};
use crate::token::TokenId;
use crate::world::World;

/// Stands for a value that is not there yet.
const PLACEHOLDER: &str = "placeholder";

/// What the plan's later steps need, opened and tried out.
pub(super) struct Prepared {
    /// The files to be written, by path.
    pub(super) writers: BTreeMap<String, Writer>,
    /// Values that an interrupted run recorded, by mark.
    recorded: BTreeMap<String, Secret>,
    /// Values read from a slot that still has them, by entry.
    pub(super) rendered: BTreeMap<String, Secret>,
    /// Values of tokens that will be revoked, to be tried afterwards.
    pub(super) revoked: BTreeMap<TokenId, Secret>,
    /// What seals a new value into the journal, by entry.
    sealers: BTreeMap<String, Rc<ValueSealer>>,
}

impl Prepared {
    /// A value that an interrupted run recorded.
    ///
    /// # Errors
    /// Where it was not opened: no step asked for it.
    pub(super) fn take_recorded(&mut self, mark: &str) -> Result<Secret> {
        self.recorded.remove(mark).ok_or_else(lost)
    }

    /// A value as a sealed one-leaf document, for the readers of the first file that takes it. Nobody is asked anything: what
    /// GitLab answered is not lost for want of a program.
    pub(super) fn seal_for(&self, key: &str, value: &Secret, now: Timestamp) -> Result<String> {
        let sealer = self.sealers.get(key).ok_or_else(|| nothing_takes(key))?;
        Ok(String::from_utf8_lossy(sealer.seal(value, now)?.bytes()).into_owned())
    }
}

fn nothing_takes(key: &str) -> Error {
    Error::new(Kind::Failed, format!("no secrets file takes the value of {key}"))
}

/// A document that will be sealed into a file.
pub(super) enum Writer {
    /// Made from the template.
    New(Box<Draft>, Rule, Arc<dyn Outside>),
    /// An existing one, opened.
    Edit(Box<Opened>),
}

impl Writer {
    pub(super) fn open(file: &GroundFile, world: &World) -> Result<Self> {
        if file.content.is_none() {
            return Ok(Self::New(
                Box::new(Draft::parse(Format::of_path(file.path.as_str()), file.template.text())?),
                file.rule.clone(),
                Arc::clone(world.outside()),
            ));
        }
        let identities = world.identities()?;
        match file.open(&identities)? {
            Some(opened) => Ok(Self::Edit(Box::new(opened))),
            None => Err(Error::new(Kind::Failed, format!("{} has disappeared", file.path))),
        }
    }

    pub(super) fn set(&mut self, path: &crate::sops::Path, value: Secret) -> Result<()> {
        match self {
            Self::New(draft, ..) => draft.set(path, value).map_err(Error::from),
            Self::Edit(opened) => opened.set(path, &value).map_err(Error::from),
        }
    }

    pub(super) fn seal(self, now: Timestamp, must_be_encrypted: &[crate::sops::Path]) -> Result<Sealed> {
        match self {
            Self::New(draft, rule, outside) => {
                draft.seal(&rule, &*outside, now, must_be_encrypted).map_err(Error::from)
            }
            Self::Edit(opened) => opened.seal(now, must_be_encrypted).map_err(Error::from),
        }
    }
}

/// Opens and rehearses.
///
/// # Errors
/// Whatever would fail later without GitLab: a changed HEAD or file, a file that does not open, a MAC that is wrong, a
/// slot that would stay in the clear, a commit that git would refuse.
pub(super) fn prepare(plan: &Plan, ground: &Ground, world: &World) -> Result<Prepared> {
    ground.repo.settle_interrupted_commit()?;
    still_the_same(plan, ground)?;
    let mut prepared = Prepared {
        writers: BTreeMap::new(),
        recorded: BTreeMap::new(),
        rendered: BTreeMap::new(),
        revoked: BTreeMap::new(),
        sealers: BTreeMap::new(),
    };
    for step in &plan.steps {
        match step {
            Step::Write(write) => {
                let file = file(ground, &write.file)?;
                rehearse(write, file, ground, world)?;
                prepared.writers.insert(write.file.clone(), Writer::open(file, world)?);
            }
            Step::Commit { paths } => {
                let paths = paths.iter().map(|path| RelPath::new(path)).collect::<Result<Vec<_>, _>>()?;
                ground.repo.preflight(&paths)?;
            }
            Step::Finish { mark, .. } | Step::Withdraw { mark, proof: Proof::Value, .. } => {
                prepared.recorded.insert(mark.clone(), recorded(mark, ground, world)?);
            }
            Step::Render { key, from, .. } => {
                prepared.rendered.insert(key.clone(), value_in(from, ground, world)?);
            }
            Step::Revoke(Revoke { retire, value: Some(from) }) => {
                prepared.revoked.insert(retire.token.id, value_in(from, ground, world)?);
            }
            _ => {}
        }
    }
    prepared.sealers = sealers(plan, ground, world)?;
    if let Some(delivery) =
        ground.delivery.as_ref().filter(|_| plan.mints().chain(plan.pastes()).next().is_some())
    {
        delivery.rehearse(world)?;
    }
    Ok(prepared)
}

fn value_in(slot: &Slot, ground: &Ground, world: &World) -> Result<Secret> {
    let opened = file(ground, &slot.file)?.open(&*world.identities()?)?;
    let value = opened.map(|opened| opened.get(&slot.path)).transpose()?.flatten();
    value.ok_or_else(|| Error::new(Kind::Failed, format!("{} {} has no value", slot.file, slot.path)))
}

/// HEAD and the files are looked at again: time has passed since they were observed.
fn still_the_same(plan: &Plan, ground: &Ground) -> Result<()> {
    let changed = |what: &str| {
        Err(Error::new(Kind::Refused, format!("{what} has changed since the plan was made"))
            .hint("run the same command again and look at the new plan"))
    };
    if ground.repo.head()? != ground.head {
        return changed("HEAD");
    }
    for step in &plan.steps {
        let (Step::Restore { path } | Step::Lock { path, .. }) = step else { continue };
        if edited(&ground.repo, &RelPath::new(path)?, &ground.replay)?.is_some() {
            return changed(path);
        }
    }
    for write in plan.writes() {
        let file = file(ground, &write.file)?;
        let bytes = read::bytes(&ground.repo.resolve(&file.path)?.below(ground.repo.root())).ok();
        let ours = bytes.as_deref().is_some_and(|bytes| {
            let digest = crate::observe::interrupted::content_digest(bytes);
            ground.replay.wrote(file.path.as_str(), &digest)
        });
        if bytes != file.content && !ours {
            return changed(file.path.as_str());
        }
    }
    Ok(())
}

fn file<'a>(ground: &'a Ground, path: &str) -> Result<&'a GroundFile> {
    ground.file(path).ok_or_else(|| Error::new(Kind::Failed, format!("{path} is not in the profile")))
}

/// Seals the file once with placeholders in memory: what the engine would refuse, it refuses now.
fn rehearse(write: &Write, file: &GroundFile, ground: &Ground, world: &World) -> Result<()> {
    try_to_seal(write, file, &ground.environment, ground.now(world), world)
}

/// Tries what can be tried before anything is known of the person: whether a new file could be sealed for its readers, and
/// whether git would take a commit with this lock here.
///
/// # Errors
/// Why not; nothing is done.
pub(super) fn before_a_token(
    environment: &Environment,
    files: &[GroundFile],
    lock: Option<RelPath>,
    repo: &Repository,
    world: &World,
) -> Result<()> {
    repo.settle_interrupted_commit()?;
    for file in files.iter().filter(|file| file.content.is_none()) {
        let write = Write {
            file: file.path.to_string(),
            template: file.template.path().to_owned(),
            create: true,
            leaves: Vec::new(),
            blank: Vec::new(),
            readers: Readers { groups: Vec::new(), threshold: 0 },
        };
        try_to_seal(&write, file, environment, world.effects().now(), world)?;
    }
    let Some(lock) = lock else { return Ok(()) };
    let committed = files.iter().filter(|file| file.commit).map(|file| file.path.clone());
    Ok(repo.preflight(&committed.chain([lock]).collect::<Vec<_>>())?)
}

fn try_to_seal(
    write: &Write,
    file: &GroundFile,
    environment: &Environment,
    now: Timestamp,
    world: &World,
) -> Result<()> {
    let placeholder = Secret::new(PLACEHOLDER.to_owned());
    let values = environment.tokens.iter().map(|token| (token.key.as_str(), &placeholder)).collect();
    let fact = |name: &str| Fact { id: TokenId(0), name: name.to_owned(), expires: None };
    let facts = environment.tokens.iter().map(|token| (token.key.clone(), fact(&token.name))).collect();
    let mut writer = Writer::open(file, world)?;
    files::fill(&mut writer, write, file, environment, &values, &facts)?;
    files::seal(writer, write, file, now)
        .map(drop)
        .map_err(|error| error.context(format!("{} cannot be written", file.path)))
}

fn lost() -> Error {
    Error::new(Kind::HalfWay, "the value that an interrupted run recorded cannot be read")
}

fn recorded(mark: &str, ground: &Ground, world: &World) -> Result<Secret> {
    let open = ground.replay.open.iter().find(|open| open.intent.mark == mark).ok_or_else(lost)?;
    let (_, sealed) = open.minted.as_ref().ok_or_else(lost)?;
    let opened = Encrypted::parse(Format::Yaml, sealed.as_bytes())?.open(&*world.identities()?)?;
    opened.get(&value_path())?.ok_or_else(lost)
}

/// For every value that is going to be made. It is wrapped for its readers here, which takes programs and services of theirs.
fn sealers(plan: &Plan, ground: &Ground, world: &World) -> Result<BTreeMap<String, Rc<ValueSealer>>> {
    let now = ground.now(world);
    let mut by_file: BTreeMap<&RelPath, Rc<ValueSealer>> = BTreeMap::new();
    let mut sealers = BTreeMap::new();
    for mint in plan.mints().chain(plan.pastes()) {
        let takes = |file: &&GroundFile| file.template.slots().any(|leaf| leaf.values.contains(&mint.key));
        let file = ground.files.iter().find(takes).ok_or_else(|| nothing_takes(&mint.key))?;
        let sealer = match by_file.get(&file.path) {
            Some(sealer) => Rc::clone(sealer),
            None => Rc::new(ValueSealer::new(&file.rule, &**world.outside(), now).map_err(|error| {
                Error::from(error)
                    .context(format!("new values cannot be sealed for the readers of {}", file.path))
            })?),
        };
        by_file.insert(&file.path, Rc::clone(&sealer));
        sealers.insert(mint.key.clone(), sealer);
    }
    Ok(sealers)
}
