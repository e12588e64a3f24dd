//! What a rekey looks at: every secrets file that is committed or tracked, the policy, and the locks that remember leaves of such files.
//! Thousands of files are read on all cores, and none is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::checks::nested::NestedPolicies;
use crate::cores;
use crate::error::{Error, Kind, Result};
use crate::lock::{self, Lock};
use crate::plan::rekey::{Elsewhere, File, Observed, Reader, Wanted};
use crate::profile::{Recipients, SecretsFile};
use crate::readership::known_keys::KnownKeys;
use crate::repo::{Difference, Fingerprint, Head, RelPath, Repository, Standing, Upstream};
use crate::sops::{Encrypted, Identities, Names, Opened, Path, Policy};
use crate::world::World;

use super::uncommitted::{InTheWay, refuse};
use super::{POLICY, environments, inspect, interrupted, readership, secrets, uncommitted, unusable_policy};

/// What `apply` stands on.
pub struct Ground {
    /// The repository.
    pub repo: Rc<Repository>,
    /// HEAD when it was looked at.
    pub head: Head,
    /// What is known of each file, by path.
    pub files: BTreeMap<String, GroundFile>,
    /// The locks at HEAD.
    pub locks: Vec<GroundLock>,
    /// What the files are to be brought into line with.
    pub policy: Policy,
    /// What this policy calls readers, and what the one before it called those who go.
    pub names: Vec<Names>,
    /// The text of a policy that is to be written, and committed with the files.
    pub new_policy: Option<String>,
}

/// One secrets file.
#[derive(Debug)]
pub struct GroundFile {
    /// Relative to the repository root.
    pub path: RelPath,
    /// What was looked at in the work tree.
    pub content: Fingerprint,
    /// The leaves that locks remember, as they were at HEAD: path and digest.
    pub leaves: BTreeMap<Path, String>,
}

/// One lock.
#[derive(Debug)]
pub struct GroundLock {
    /// Where it is.
    pub path: RelPath,
    /// What HEAD has there.
    pub lock: Lock,
}

/// What to look at.
#[derive(Debug, Default)]
pub struct Wish {
    /// Only these files and folders, relative to the root; empty means everything.
    pub within: Vec<String>,
    /// The policy as it is to be; `None` means HEAD's.
    pub policy: Option<String>,
    /// The data keys that somebody who leaves may know: a file that may have one of them gets another.
    pub known_keys: KnownKeys,
}

/// Looks at everything.
///
/// # Errors
/// Where something cannot be read; where the policy is not HEAD's, or wrong.
pub fn observe(repo: &Rc<Repository>, world: &World, wish: Wish) -> Result<(Ground, Observed)> {
    let head = repo.head()?;
    let policy = policy(repo, wish.policy.as_deref())?;
    let locks = locks(repo)?;
    let personal = personal(repo)?;
    let awaited = awaited(repo, &locks)?;
    let is_secret = |file: &Standing| {
        let path = file.path.as_str();
        (wish.within.is_empty() || secrets::is_within(path, &wish.within))
            && !inspect::is_clear_by_design(path)
            && !personal.iter().any(|secrets| secrets.matches(path))
    };
    let standing = repo.standing()?;
    let nested = NestedPolicies::among(standing.iter().map(|file| file.path.as_str()));
    let standing: Vec<Standing> = standing.into_iter().filter(is_secret).collect();
    let identities = world.identities()?;
    let names = names(repo, &head, &policy, wish.policy.as_deref())?;
    let (left, standing): (Vec<_>, Vec<_>) =
        standing.into_iter().partition(|file| nested.over(file.path.as_str()).is_some());
    let look = Looking {
        policy: &policy,
        names: &names,
        remembered: &remembered(&locks),
        known_keys: &wish.known_keys,
        identities: &identities,
    };
    let read = repo.reader();
    let looked = cores::on_all(standing.len(), |number| {
        let file = &standing[number];
        look.at(file, read(&file.path)?)
    });
    let mut observed = Observed {
        files: Vec::new(),
        elsewhere: elsewhere(&left, &nested, &names, repo)?,
        in_line: 0,
        new_readers: new_readers(repo, &policy, &names)?,
        new_policy: wish.policy.is_some(),
    };
    let (mut files, mut in_the_way) = (BTreeMap::new(), Vec::new());
    for (file, seen) in standing.into_iter().zip(looked) {
        let Some(seen) = seen? else {
            match look.away(&file, repo)? {
                Away::NoSecrets => {}
                Away::InLine => observed.in_line += 1,
                Away::Unknown(why) => {
                    observed.files.push(unknown(file.path.to_string(), why));
                }
            }
            continue;
        };
        let awaits = awaited.get(file.path.as_str()).cloned();
        let Judged { file: seen, kept, why } = look.judge(file.path.clone(), seen, repo)?;
        if seen.wanted.as_ref().is_ok_and(Wanted::is_nothing) {
            observed.in_line += 1;
            continue;
        }
        if seen.wanted.is_ok() && awaits.is_none() {
            in_the_way.extend(why.map(|why| (file.path, why)));
        }
        observed.files.push(File { awaits, ..seen });
        files.extend(kept.map(|kept| (kept.path.to_string(), kept)));
    }
    refuse(&in_the_way)?;
    let ground = Ground { repo: Rc::clone(repo), head, files, locks, policy, names, new_policy: wish.policy };
    Ok((ground, observed))
}

/// Secrets files that are left to a nearer policy.
fn elsewhere(
    left: &[Standing],
    nested: &NestedPolicies,
    names: &[Names],
    repo: &Repository,
) -> Result<Vec<Elsewhere>> {
    let read = repo.reader();
    let mut files = Vec::new();
    for file in left {
        let path = file.path.as_str();
        let (Some(bytes), Some(policy)) = (read(&file.path)?, nested.over(path)) else { continue };
        if inspect::is_secrets_file(path, &bytes) {
            let readers = secrets::parse(path, &bytes).map(|file| readers(&file, names)).unwrap_or_default();
            files.push(Elsewhere { file: path.to_owned(), policy: policy.to_owned(), readers });
        }
    }
    Ok(files)
}

/// The policy, which must be the committed one (or the one that is to be committed with the files), without a mistake.
fn policy(repo: &Repository, wanted: Option<&str>) -> Result<Policy> {
    let path = RelPath::new(POLICY)?;
    if let Some(difference) = repo.differs_from_head(&path)? {
        let there = repo.work_tree_content(&path)?;
        if wanted.is_none() || there.as_deref() != wanted.map(str::as_bytes) {
            let error = uncommitted(&path, difference);
            let is_edited = matches!(
                difference,
                Difference::Staged | Difference::Unstaged | Difference::StagedAndUnstaged
            );
            let with = "or commit it together with the files that follow it: provision rekey --with-policy";
            return Err(if is_edited { error.hint(with) } else { error });
        }
    }
    let text = match wanted {
        Some(text) => text.to_owned(),
        None => policy_at_head(repo)?,
    };
    sound(&text)
}

/// The policy with this text, which has no mistake in any rule.
///
/// # Errors
/// Where it is none, or has one.
pub fn sound(text: &str) -> Result<Policy> {
    let policy = Policy::parse(text).map_err(|error| unusable_policy(&error).hint(super::MEND_POLICY))?;
    check(&policy)?;
    Ok(policy)
}

/// What the policy calls its readers, and what the last other one called them: who goes has no name in the new one.
fn names(repo: &Repository, head: &Head, policy: &Policy, wanted: Option<&str>) -> Result<Vec<Names>> {
    let mut names = vec![policy.names().clone()];
    let Some(commit) = head.commit else { return Ok(names) };
    let wanted = wanted.map(|text| text.as_bytes().to_vec());
    if let Some(before) = repo.content_before(commit, &RelPath::new(POLICY)?, wanted)? {
        names.extend(Policy::parse(&String::from_utf8_lossy(&before)).ok().map(|it| it.names().clone()));
    }
    Ok(names)
}

/// The text of the policy at HEAD.
///
/// # Errors
/// Where there is none, or it is no text.
pub fn policy_at_head(repo: &Repository) -> Result<String> {
    let path = RelPath::new(POLICY)?;
    let Some(bytes) = repo.content_at_head(&path)? else {
        if let Some(difference) = repo.differs_from_head(&path)? {
            return Err(uncommitted(&path, difference));
        }
        return Err(Error::new(Kind::Refused, format!("there is no {POLICY} at the repository's root"))
            .because("it names the recipients that secrets files are encrypted for")
            .hint("run provision init, and commit what it writes"));
    };
    String::from_utf8(bytes).map_err(|_| Error::new(Kind::Refused, format!("{POLICY} is not text")))
}

/// Refuses a policy with a mistake in any rule, whether a file is there for it or not.
///
/// # Errors
/// The first mistake, with its place.
pub fn check(policy: &Policy) -> Result<()> {
    if let Some(error) = policy.problems().next() {
        return Err(unusable_policy(error).hint(super::MEND_POLICY));
    }
    if let Some(hidden) = policy.hidden_rules().first() {
        let what = format!("{POLICY}:{}: no file ever reaches this rule", hidden.position);
        return Err(Error::new(Kind::Refused, what)
            .because(format!("the rule in line {} takes all of its files first", hidden.by.line))
            .hint("move it up or remove it, and commit the policy"));
    }
    Ok(())
}

/// All locks at HEAD; they must be committed, unless what stands there is the work of an interrupted run.
fn locks(repo: &Repository) -> Result<Vec<GroundLock>> {
    let mut locks = Vec::new();
    for file in repo.tracked()? {
        let path = file.path;
        if lock::owner(path.as_str()).is_none() {
            continue;
        }
        locks.push(GroundLock { lock: super::lock_at_head(repo, &path)?, path });
    }
    Ok(locks)
}

/// The secrets files that belong to one person each; the policy says nothing about them.
pub(super) fn personal(repo: &Repository) -> Result<Vec<SecretsFile>> {
    let mut personal = Vec::new();
    for name in environments::names(repo)? {
        let environment = environments::read(repo, &name)?;
        personal.extend(environment.secrets.into_iter().filter(|one| one.recipients == Recipients::Own));
    }
    Ok(personal)
}

/// Files of environments whose interrupted run is not finished: it stands on the lock, and finishes only on the one that
/// it was planned on.
fn awaited(repo: &Repository, locks: &[GroundLock]) -> Result<BTreeMap<String, String>> {
    let mut awaited = BTreeMap::new();
    for name in environments::names(repo)? {
        let replay = interrupted::replay(repo, &name)?;
        if replay.open.is_empty() && replay.written.is_empty() {
            continue;
        }
        let is_own = |path: &str| lock::owner(path).is_some_and(|(of, _)| of == name);
        let own = locks.iter().filter(|lock| is_own(lock.path.as_str()));
        let entries = own.flat_map(|lock| lock.lock.tokens.values());
        let files = entries.flat_map(|entry| entry.slots.keys().cloned());
        let files = files.chain(replay.written.iter().map(|written| written.path.clone()));
        awaited.extend(files.map(|file| (file, name.clone())));
    }
    Ok(awaited)
}

/// The leaves that locks remember, by file.
fn remembered(locks: &[GroundLock]) -> BTreeMap<String, BTreeSet<Path>> {
    let mut remembered: BTreeMap<String, BTreeSet<Path>> = BTreeMap::new();
    for entry in locks.iter().flat_map(|lock| lock.lock.tokens.values()) {
        for (file, slots) in &entry.slots {
            remembered.entry(file.clone()).or_default().extend(slots.keys().cloned());
        }
    }
    remembered
}

/// What files are looked at with.
struct Looking<'a> {
    policy: &'a Policy,
    names: &'a [Names],
    remembered: &'a BTreeMap<String, BTreeSet<Path>>,
    known_keys: &'a KnownKeys,
    identities: &'a Identities,
}

/// What one file of the work tree looks like.
struct Look {
    /// Whether it plainly is as HEAD has it.
    is_plain: bool,
    content: Fingerprint,
    facts: Result<Facts, String>,
}

/// What is made of one file.
struct Judged {
    /// As the planner sees it.
    file: File,
    /// What `apply` needs of it.
    kept: Option<GroundFile>,
    /// Why it cannot be written, where that is so.
    why: Option<InTheWay>,
}

/// What became of a file that HEAD has otherwise.
#[derive(Default)]
struct Trial {
    /// It is what a rekey of HEAD's leads to: our own work, or as good.
    is_rekeyed: bool,
    /// It has HEAD's data key, though it was to get another.
    keeps_data_key: bool,
}

/// What HEAD has of a file that the work tree has not.
enum Away {
    /// No secrets file.
    NoSecrets,
    /// It is as it should be.
    InLine,
    /// Why that cannot be told.
    Unknown(String),
}

/// A file of which it cannot be told how it should be.
fn unknown(path: String, why: String) -> File {
    File { path, wanted: Err(why), is_rekeyed: false, readers: Vec::new(), opens: false, awaits: None }
}

/// What is in a file, as far as it matters; of one that is as it should be only that.
struct Facts {
    wanted: Result<Wanted, String>,
    readers: Vec<Reader>,
    opens: bool,
    leaves: BTreeMap<Path, String>,
}

impl Facts {
    fn is_in_line(&self) -> bool {
        self.wanted.as_ref().is_ok_and(Wanted::is_nothing)
    }
}

impl Looking<'_> {
    fn at(&self, file: &Standing, bytes: Option<Vec<u8>>) -> Result<Option<Look>> {
        let path = file.path.as_str();
        let Some(bytes) = bytes.filter(|bytes| inspect::is_secrets_file(path, bytes)) else {
            return Ok(None);
        };
        Ok(Some(Look {
            is_plain: file.is_plainly(&bytes),
            content: Fingerprint::of(&bytes),
            facts: self.facts(path, &bytes),
        }))
    }

    fn facts(&self, path: &str, bytes: &[u8]) -> Result<Facts, String> {
        let file = secrets::parse(path, bytes).map_err(|error| format!("cannot be read: {error}"))?;
        let rule = self.policy.rule_for(path).map_err(|error| error.to_string())?;
        let wanted = file.rekey_plan(rule).map(|plan| Wanted::of(&plan, self.names));
        let mut facts = Facts {
            wanted: wanted.map_err(|error| error.to_string()),
            readers: Vec::new(),
            opens: file.may_be_opened_by(self.identities),
            leaves: BTreeMap::new(),
        };
        if let Ok(wanted) = &mut facts.wanted {
            wanted.new_data_key = wanted.new_data_key || self.may_have_known_key(path, bytes, facts.opens);
        }
        if !facts.is_in_line() {
            facts.leaves = leaves(&file, self.remembered.get(path));
        }
        if !facts.opens {
            facts.readers = readers(&file, self.names);
        }
        Ok(facts)
    }

    /// Whether the file may have a data key that somebody who leaves knows. What does not open may.
    fn may_have_known_key(&self, path: &str, bytes: &[u8], opens: bool) -> bool {
        let Some(known) = self.known_keys.of(path) else { return false };
        let open = || secrets::parse(path, bytes).ok()?.open(self.identities).ok();
        let Some(opened) = opens.then(open).flatten() else { return true };
        known.iter().any(|trace| opened.may_share_data_key(trace))
    }

    /// A file that the work tree has not. Nothing can be written in its place, so HEAD's must be as it should be.
    fn away(&self, file: &Standing, repo: &Repository) -> Result<Away> {
        let name = file.path.as_str();
        let bytes = match repo.content_standing(file)? {
            // A partial clone fetches it only where it is a secrets file by what policy or locks say.
            None if self.policy.rule_for(name).is_ok() || self.remembered.contains_key(name) => {
                repo.content_at_head(&file.path)?
            }
            bytes => bytes,
        };
        let Some(bytes) = bytes.filter(|bytes| inspect::is_secrets_file(name, bytes)) else {
            return Ok(Away::NoSecrets);
        };
        match self.facts(name, &bytes) {
            Ok(facts) if facts.is_in_line() => Ok(Away::InLine),
            Ok(_) => Err(uncommitted(
                &file.path,
                repo.differs_from_head(&file.path)?.unwrap_or(Difference::Missing),
            )),
            Err(why) => Ok(Away::Unknown(why)),
        }
    }

    /// Of a file that differs from HEAD's, HEAD's is what counts, where that one is not as it should be.
    fn judge(&self, path: RelPath, look: Look, repo: &Repository) -> Result<Judged> {
        let name = path.to_string();
        let mut facts = look.facts;
        let (mut is_rekeyed, mut why) = (false, None);
        if !look.is_plain
            && let Some(difference) = repo.differs_from_head(&path)?
        {
            let at_head = repo.content_at_head(&path)?.unwrap_or_default();
            why = Some(InTheWay::Differs(difference));
            if let Ok(before) = self.facts(&name, &at_head)
                && let Ok(wanted) = &before.wanted
                && !wanted.is_nothing()
            {
                let trial = self.trial(&path, &at_head, wanted.new_data_key, repo)?;
                if difference == Difference::Unstaged && trial.is_rekeyed {
                    (is_rekeyed, why) = (true, None);
                } else if trial.keeps_data_key && facts.as_ref().is_ok_and(Facts::is_in_line) {
                    why = Some(InTheWay::KeepsDataKey);
                }
                facts = Ok(before);
            }
        }
        let facts = match facts {
            Ok(facts) => facts,
            Err(why) => return Ok(Judged { file: unknown(name, why), kept: None, why: None }),
        };
        let Facts { wanted, readers, opens, leaves } = facts;
        let kept = Some(GroundFile { path, content: look.content, leaves });
        let file = File { path: name, wanted, is_rekeyed, readers, opens, awaits: None };
        Ok(Judged { file, kept, why })
    }

    /// What became of HEAD's file in the work tree.
    fn trial(&self, path: &RelPath, at_head: &[u8], new_data_key: bool, repo: &Repository) -> Result<Trial> {
        let Some(now) = repo.work_tree_content(path)? else { return Ok(Trial::default()) };
        let Ok(rule) = self.policy.rule_for(path.as_str()) else { return Ok(Trial::default()) };
        let open = |bytes: &[u8]| -> Option<Opened> {
            secrets::parse(path.as_str(), bytes).ok()?.open(self.identities).ok()
        };
        let (Some(before), Some(after)) = (open(at_head), open(&now)) else { return Ok(Trial::default()) };
        Ok(Trial {
            is_rekeyed: before.may_have_become(&after, rule, new_data_key),
            keeps_data_key: new_data_key && after.may_share_data_key(&before.file().key_trace()),
        })
    }
}

/// Everybody who can read a file, with names.
pub(crate) fn readers(file: &Encrypted, names: &[Names]) -> Vec<Reader> {
    readership::readers(file).iter().map(|one| Reader::of(one, names)).collect()
}

/// The digests of those leaves that are there.
pub(crate) fn leaves<'p>(
    file: &Encrypted,
    paths: impl IntoIterator<Item = impl IntoIterator<Item = &'p Path>>,
) -> BTreeMap<Path, String> {
    let paths = paths.into_iter().flatten();
    paths.filter_map(|path| Some((path.clone(), lock::digest(file.leaf(path)?)))).collect()
}

/// Readers of any rule whom upstream's policy does not have in any.
fn new_readers(repo: &Repository, policy: &Policy, names: &[Names]) -> Result<Vec<Reader>> {
    let commit = match repo.upstream()? {
        Upstream::Head => repo.head()?.commit,
        Upstream::RemoteBranch { commit, .. } => Some(commit),
        Upstream::Unknown { .. } => None,
    };
    let Some(commit) = commit else { return Ok(Vec::new()) };
    let bytes = repo.content_at(commit, &RelPath::new(POLICY)?)?.unwrap_or_default();
    let Ok(there) = Policy::parse(&String::from_utf8_lossy(&bytes)) else { return Ok(Vec::new()) };
    let (known, named) = (there.readers(), policy.readers());
    let new = named.iter().filter(|reader| !known.contains(reader));
    Ok(new.map(|reader| Reader::of(reader, names)).collect())
}
