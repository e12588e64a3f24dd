//! Who can read what, and who could: made from all versions of policy, secrets files and locks that git has.
//!
//! It answers too much rather than too little: a token counts as readable where its lock and a version of its file that
//! somebody could read are together in any commit.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::instance::Instance;
use crate::lock::{Entry, Lock};
use crate::sops::{KeyTrace, Names, Path, Reader, Wrapped};
use crate::token::TokenId;

pub mod admission;
pub mod known_keys;
pub mod leaving;
pub mod listing;
pub mod succession;

/// What one version of a file says.
#[derive(Debug)]
pub enum Fact {
    /// A secrets file.
    Secrets {
        /// Who can read it.
        readers: Rc<[Reader]>,
        /// Its encrypted leaves.
        encrypted: Rc<[Path]>,
        /// The trace of its data key.
        trace: KeyTrace,
        /// What its readers open.
        wrapped: Rc<[Wrapped]>,
    },
    /// A lock.
    Lock(Lock),
    /// What the policy called its readers.
    Policy(Names),
    /// A secrets file or a lock that cannot be read, so that nobody knows whom it was for.
    Unreadable,
}

/// One version of a file.
#[derive(Debug)]
pub struct Version {
    /// Relative to the root.
    pub path: String,
    /// The same for the same content.
    pub content: String,
    /// What it says.
    pub fact: Fact,
}

/// The repository as a commit has it.
#[derive(Debug)]
pub struct Moment {
    /// The commit.
    pub commit: String,
    /// When it was committed.
    pub at: Timestamp,
    /// What is of interest in it.
    pub files: Rc<Vec<Rc<Version>>>,
}

/// All commits, the newest first.
#[derive(Debug, Default)]
pub struct History {
    /// Of all branches.
    pub moments: Vec<Moment>,
    /// The locks as HEAD has them, by path.
    pub locks: BTreeMap<String, Lock>,
}

impl Moment {
    fn locks(&self) -> impl Iterator<Item = (&str, &Lock)> {
        self.files.iter().filter_map(|version| match &version.fact {
            Fact::Lock(lock) => Some((version.path.as_str(), lock)),
            _ => None,
        })
    }

    fn lock(&self, path: &str) -> Option<&Lock> {
        self.locks().find(|(name, _)| *name == path).map(|(_, lock)| lock)
    }
}

/// A token that somebody named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path of its lock.
    pub lock: String,
    /// The entry.
    pub key: String,
    /// GitLab's number.
    pub id: TokenId,
    /// The GitLab that gave it.
    pub gitlab: Instance,
    /// The secrets files that carry it.
    pub files: Vec<String>,
}

impl Found {
    /// `qa/backstage`.
    #[must_use]
    pub fn entry(&self) -> String {
        format!("{}/{}", environment(&self.lock), self.key)
    }
}

/// Somebody who could read a file and no longer can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Who.
    pub reader: Reader,
    /// The last commit in which they could.
    pub commit: String,
    /// When that was made.
    pub at: Timestamp,
}

/// A token that somebody could read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Token {
    /// Its environment; of a personal one with the person: `devmode/ana`.
    pub environment: String,
    /// The entry of the profile.
    pub key: String,
    /// GitLab's number.
    pub id: TokenId,
    /// Whose it is: the full path of a group, for one.
    pub owner: String,
    /// First day on which it no longer works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
    /// What HEAD's lock says of it.
    pub state: State,
}

/// What HEAD's lock says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is the entry's token: whoever could read it still has it.
    Current,
    /// It has a successor, and has not been retired yet.
    Superseded,
    /// The lock no longer has it.
    Gone,
}

/// What somebody could ever read.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readable {
    /// Tokens that locks know.
    pub tokens: BTreeSet<Token>,
    /// Everything else that was encrypted, by file.
    pub others: BTreeMap<String, BTreeSet<Path>>,
}

impl Readable {
    /// Whether a token that they could read is still the one in use.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.tokens.iter().any(|token| token.state == State::Current)
    }
}

impl History {
    /// Keys that any policy called `name`.
    #[must_use]
    pub fn keys_of(&self, name: &str) -> BTreeSet<Reader> {
        self.names().flat_map(|names| names.named(name)).collect()
    }

    /// What the newest policy that has a name for `reader` calls them.
    #[must_use]
    pub fn name_of(&self, reader: &Reader) -> Option<String> {
        self.names().find_map(|names| names.of(reader).map(str::to_owned))
    }

    fn names(&self) -> impl Iterator<Item = &Names> {
        let mut seen = BTreeSet::new();
        let versions = self.moments.iter().flat_map(|moment| moment.files.iter());
        versions.filter_map(move |version| match &version.fact {
            Fact::Policy(names) if seen.insert(&version.content) => Some(names),
            _ => None,
        })
    }

    /// Who could read the file at `path` and is not among `now`. What the same content was called before counts too.
    #[must_use]
    pub fn former_readers(&self, path: &str, now: &[Reader]) -> Vec<Former> {
        let paths = self.names_of_file(path);
        self.former(now, |_, version| paths.contains(version.path.as_str()))
    }

    /// Who could read this token and is not among `now`: its lock and a file that they could read were together.
    #[must_use]
    pub fn former_readers_of(&self, token: &Found, now: &[Reader]) -> Vec<Former> {
        self.former(now, |moment, version| {
            let entry = moment.lock(&token.lock).and_then(|lock| lock.tokens.get(&token.key));
            let is_it = |entry: &Entry| entry.token() == (&token.gitlab, token.id);
            entry.is_some_and(|entry| is_it(entry) && entry.slots.contains_key(&version.path))
        })
    }

    fn former(&self, now: &[Reader], counts: impl Fn(&Moment, &Version) -> bool) -> Vec<Former> {
        let mut former: Vec<Former> = Vec::new();
        for moment in &self.moments {
            for version in moment.files.iter() {
                let Fact::Secrets { readers, .. } = &version.fact else { continue };
                let is_new = |reader: &&Reader| {
                    !now.contains(reader) && !former.iter().any(|known| known.reader == **reader)
                };
                let new: Vec<&Reader> = readers.iter().filter(is_new).collect();
                if !new.is_empty() && counts(moment, version) {
                    let of = |reader: &Reader| Former {
                        reader: reader.clone(),
                        commit: moment.commit.clone(),
                        at: moment.at,
                    };
                    let new: Vec<Former> = new.into_iter().map(of).collect();
                    former.extend(new);
                }
            }
        }
        former
    }

    /// The token that `text` means: `qa/backstage`, `backstage`, or a number, also of one that was replaced.
    ///
    /// # Errors
    /// The environments, where several have such an entry; empty where none has.
    pub fn find(&self, text: &str) -> Result<Found, Vec<String>> {
        let mut found: Vec<Found> = Vec::new();
        let now = self.locks.iter().map(|(path, lock)| (path.as_str(), lock));
        let then = self.moments.iter().flat_map(Moment::locks);
        let by_number = text.parse().map(TokenId).ok();
        let all: Vec<_> = if by_number.is_some() { now.chain(then).collect() } else { now.collect() };
        for (path, lock) in all {
            for (key, entry) in &lock.tokens {
                let whole = format!("{}/{key}", environment(path));
                if by_number.map_or(text == key || text == whole, |id| id == entry.id)
                    && !found.iter().any(|known| known.lock == path && known.key == *key)
                {
                    let files = entry.slots.keys().cloned().collect();
                    found.push(Found {
                        lock: path.to_owned(),
                        key: key.clone(),
                        id: entry.id,
                        gitlab: entry.gitlab.clone(),
                        files,
                    });
                }
            }
        }
        match found.len() {
            1 => found.pop().ok_or_else(Vec::new),
            _ => Err(found.iter().map(Found::entry).collect()),
        }
    }

    /// Whether a secrets file ever had this name.
    #[must_use]
    pub fn has_secrets(&self, path: &str) -> bool {
        let mut versions = self.moments.iter().flat_map(|moment| moment.files.iter());
        versions.any(|version| version.path == path && matches!(version.fact, Fact::Secrets { .. }))
    }

    /// The names that the file has had, as far as its content tells.
    fn names_of_file<'h>(&'h self, path: &'h str) -> BTreeSet<&'h str> {
        let versions: BTreeSet<(&str, &str)> = self
            .moments
            .iter()
            .flat_map(|moment| moment.files.iter())
            .filter(|version| matches!(version.fact, Fact::Secrets { .. }))
            .map(|version| (version.path.as_str(), version.content.as_str()))
            .collect();
        let mut names = BTreeSet::from([path]);
        loop {
            let contents: BTreeSet<&str> = versions
                .iter()
                .filter(|(name, _)| names.contains(name))
                .map(|(_, content)| *content)
                .collect();
            let more =
                versions.iter().filter(|(_, content)| contents.contains(content)).map(|(name, _)| *name);
            let known = names.len();
            names.extend(more);
            if names.len() == known {
                return names;
            }
        }
    }

    /// Everything that anybody of `who` could ever read.
    #[must_use]
    pub fn readable_by(&self, who: &BTreeSet<Reader>) -> Readable {
        let mut readable = Readable::default();
        let mut seen = BTreeSet::new();
        for moment in &self.moments {
            let files: Vec<(&str, &[Path])> = moment.files.iter().filter_map(|one| read(one, who)).collect();
            if files.is_empty() {
                continue;
            }
            let mut known: BTreeSet<(&str, &Path)> = BTreeSet::new();
            for (lock_path, lock) in moment.locks() {
                for (key, entry) in &lock.tokens {
                    for (file, slots) in &entry.slots {
                        known.extend(slots.keys().map(|path| (file.as_str(), path)));
                        if files.iter().any(|(name, _)| name == file)
                            && seen.insert((lock_path, entry.token()))
                        {
                            readable.tokens.insert(Token {
                                environment: environment(lock_path),
                                key: key.clone(),
                                id: entry.id,
                                owner: entry.owner.path.clone(),
                                expires: entry.expires,
                                state: self.state(lock_path, entry.token()),
                            });
                        }
                    }
                }
            }
            for (file, leaves) in files {
                let others = leaves.iter().filter(|path| !known.contains(&(file, *path))).cloned();
                readable.others.entry(file.to_owned()).or_default().extend(others);
            }
        }
        readable.others.retain(|_, leaves| !leaves.is_empty());
        readable
    }

    fn state(&self, lock: &str, token: (&Instance, TokenId)) -> State {
        let entries = self.locks.get(lock).map(|lock| lock.tokens.values()).into_iter().flatten();
        let mut state = State::Gone;
        for entry in entries {
            if entry.token() == token {
                return State::Current;
            }
            if entry.supersedes(token) {
                state = State::Superseded;
            }
        }
        state
    }

    /// Files of which some version cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> BTreeSet<&str> {
        let versions = self.moments.iter().flat_map(|moment| moment.files.iter());
        versions
            .filter(|version| matches!(version.fact, Fact::Unreadable))
            .map(|version| version.path.as_str())
            .collect()
    }
}

/// The file, where somebody of `who` could read it.
fn read<'v>(version: &'v Version, who: &BTreeSet<Reader>) -> Option<(&'v str, &'v [Path])> {
    match &version.fact {
        Fact::Secrets { readers, encrypted, .. } if readers.iter().any(|reader| who.contains(reader)) => {
            Some((&version.path, encrypted))
        }
        _ => None,
    }
}

/// `environments/locks/qa.yaml` → `qa`.
fn environment(lock: &str) -> String {
    let name = lock.strip_prefix("environments/locks/").unwrap_or(lock);
    name.strip_suffix(".yaml").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Entry;
    use crate::sops::generate_identity;
    use crate::token::{Kind, Owner};

    fn reader() -> Reader {
        generate_identity().1.into()
    }

    fn secrets(path: &str, content: &str, readers: &[&Reader], leaves: &[&str]) -> Rc<Version> {
        let encrypted: Rc<[Path]> = leaves.iter().map(|&leaf| Path::of_keys([leaf])).collect();
        let readers: Rc<[Reader]> = readers.iter().map(|reader| (*reader).clone()).collect();
        let (path, content) = (path.to_owned(), content.to_owned());
        let (trace, wrapped) = (KeyTrace::default(), Rc::default());
        Rc::new(Version { path, content, fact: Fact::Secrets { readers, encrypted, trace, wrapped } })
    }

    fn lock(id: u64) -> Lock {
        let slots = BTreeMap::from([(Path::of_keys(["TOKEN"]), "digest".to_owned())]);
        let entry = Entry {
            id: TokenId(id),
            gitlab: "https://gitlab.com".parse().unwrap(),
            owner: Owner { kind: Kind::Group, id: 1, path: "g".to_owned() },
            name: "n".to_owned(),
            role: None,
            scopes: ["api"].map(str::to_owned).into(),
            accepted: [].into(),
            created: Timestamp::UNIX_EPOCH,
            expires: None,
            requested: "never".to_owned(),
            mark: None,
            slots: BTreeMap::from([("s.yaml".to_owned(), slots)]),
            superseded: Vec::new(),
        };
        Lock { tokens: BTreeMap::from([("t".to_owned(), entry)]) }
    }

    fn version(id: u64) -> Rc<Version> {
        let path = "environments/locks/qa.yaml".to_owned();
        Rc::new(Version { path, content: format!("lock {id}"), fact: Fact::Lock(lock(id)) })
    }

    fn moment(number: i64, files: &[Rc<Version>]) -> Moment {
        let at = Timestamp::from_second(number).unwrap();
        Moment { commit: number.to_string(), at, files: Rc::new(files.to_vec()) }
    }

    /// Newest first: token 2 for ana alone; token 1 for ana and ben; token 1 for all three.
    fn history(ana: &Reader, ben: &Reader, eva: &Reader) -> History {
        let moments = vec![
            moment(3, &[secrets("s.yaml", "c", &[ana], &["TOKEN", "other"]), version(2)]),
            moment(2, &[secrets("s.yaml", "b", &[ana, ben], &["TOKEN", "other"]), version(1)]),
            moment(1, &[secrets("s.yaml", "a", &[ana, ben, eva], &["TOKEN"]), version(1)]),
            moment(0, &[secrets("old.yaml", "a", &[eva], &["TOKEN"])]),
        ];
        History { moments, locks: [("environments/locks/qa.yaml".to_owned(), lock(2))].into() }
    }

    #[test]
    fn what_somebody_could_read_is_every_token_beside_a_file_of_theirs_and_every_other_value() {
        let (ana, ben, eva) = (reader(), reader(), reader());
        let history = history(&ana, &ben, &eva);
        let of = |who: &Reader| {
            let readable = history.readable_by(&BTreeSet::from([who.clone()]));
            let tokens: Vec<(u64, State)> = readable.tokens.iter().map(|one| (one.id.0, one.state)).collect();
            let others: Vec<String> = readable
                .others
                .iter()
                .flat_map(|(file, paths)| paths.iter().map(move |path| format!("{file} {path}")))
                .collect();
            (tokens, others)
        };
        let other = "s.yaml [\"other\"]".to_owned();
        assert_eq!(of(&ana), (vec![(1, State::Gone), (2, State::Current)], vec![other.clone()]));
        assert_eq!(of(&ben), (vec![(1, State::Gone)], vec![other]));
        assert_eq!(of(&eva), (vec![(1, State::Gone)], vec!["old.yaml [\"TOKEN\"]".to_owned()]));
        assert_eq!(of(&reader()), (vec![], vec![]));
    }

    #[test]
    fn former_readers_have_the_last_commit_in_which_they_could_also_under_another_name() {
        let (ana, ben, eva) = (reader(), reader(), reader());
        let history = history(&ana, &ben, &eva);
        let former = |path: &str| -> Vec<(Reader, String)> {
            let former = history.former_readers(path, std::slice::from_ref(&ana));
            former.into_iter().map(|one| (one.reader, one.commit)).collect()
        };
        assert_eq!(former("s.yaml"), [(ben.clone(), "2".to_owned()), (eva.clone(), "1".to_owned())]);
        assert_eq!(former("old.yaml"), former("s.yaml"));
        assert_eq!(former("none.yaml"), []);
        let token = history.find("qa/t").unwrap();
        assert_eq!(history.former_readers_of(&token, std::slice::from_ref(&ana)), []);
        let old = history.find("1").unwrap();
        let of_old = history.former_readers_of(&old, std::slice::from_ref(&ana));
        assert_eq!(of_old.into_iter().map(|one| one.reader).collect::<Vec<_>>(), [ben, eva]);
    }
}
