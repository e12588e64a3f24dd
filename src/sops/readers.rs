//! Who can open a file: the data key, or a share of it for each group, wrapped for every reader. In memory, and as the
//! lists of the `sops` block.

use crate::yaml::{Mapping, Node};

use super::keys::Outside;
use super::metadata::{MetadataError, entries, wrong};
use super::other::{OTHER_KEYS, OtherReader};
use super::policy::{KeyGroup, Rule};
use super::reader::Reader;
use super::seal::SealError;
use super::shamir;
use super::value::DataKey;

/// The field of groups.
pub(super) const GROUPS: &str = "key_groups";

/// The field of the number of groups that are needed.
pub(super) const THRESHOLD: &str = "shamir_threshold";

/// The list of age recipients.
pub(super) const AGE: &str = "age";

/// Lists of keys in the order in which stock sops 3.11 writes them.
pub(super) fn lists() -> impl Iterator<Item = &'static str> {
    OTHER_KEYS.into_iter().filter(|kind| *kind != "pgp").chain([AGE, "pgp"])
}

/// Everybody who can open a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Readers {
    /// One where no secret sharing is used.
    pub(super) groups: Vec<Group>,
    /// How many groups it takes.
    pub(super) threshold: usize,
}

/// Readers of whom each can open the same: the data key, or one share of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
}

/// What one reader opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) reader: Reader,
    pub(super) wrapped: String,
    /// When it was wrapped; age entries do not say.
    pub(super) created_at: String,
}

impl Entry {
    /// The list that it stands in.
    pub(super) fn list(&self) -> &str {
        match &self.reader {
            Reader::Age(_) => AGE,
            Reader::Other(reader) => &reader.kind,
        }
    }

    /// What an entry of the list `kind` says.
    pub(super) fn read(kind: &str, entry: Mapping<'_>) -> Result<Self, MetadataError> {
        let text = |field: &str| entry.get(field).and_then(Node::as_str);
        let reader = match (kind, text("recipient")) {
            (AGE, None) => return Err(wrong(entry.node(), AGE, "a list of recipients")),
            (AGE, Some(recipient)) => match recipient.parse() {
                Ok(recipient) => Reader::Age(recipient),
                Err(_) => Reader::Other(OtherReader::age(recipient)),
            },
            _ => Reader::Other(OtherReader::of_entry(kind, entry)),
        };
        let owned = |field: &str| text(field).unwrap_or_default().to_owned();
        Ok(Self { reader, wrapped: owned("enc"), created_at: owned("created_at") })
    }
}

impl Group {
    fn read(block: Mapping<'_>) -> Result<Self, MetadataError> {
        let mut group = Self::default();
        for kind in lists() {
            for entry in entries(block, kind)? {
                group.entries.push(Entry::read(kind, entry)?);
            }
        }
        Ok(group)
    }

    /// The entries of one list.
    pub(super) fn of_list<'g>(&'g self, kind: &'g str) -> impl Iterator<Item = &'g Entry> {
        self.entries.iter().filter(move |entry| entry.list() == kind)
    }

    pub(super) fn has(&self, reader: &Reader) -> bool {
        self.entries.iter().any(|entry| entry.reader.is_same_key(reader))
    }

    /// Whether its readers are those that a rule names.
    pub(super) fn is(&self, wanted: &KeyGroup) -> bool {
        self.lacks(wanted).next().is_none() && self.beyond(wanted).next().is_none()
    }

    /// The readers that a rule names: those whom the group has first, in its order, each once.
    fn in_place<'r>(&'r self, wanted: &'r KeyGroup) -> Vec<&'r Reader> {
        let mut readers: Vec<&Reader> = Vec::new();
        for entry in &self.entries {
            let named = wanted.readers().iter().find(|reader| reader.is_same_key(&entry.reader));
            let Some(named) = named.filter(|named| !readers.iter().any(|known| known.is_same_key(named)))
            else {
                continue;
            };
            // A rule may leave the version of a key open, which the file has to say.
            readers.push(if entry.reader.is_version_of(named) { &entry.reader } else { named });
        }
        readers.extend(self.lacks(wanted));
        readers
    }

    /// Whom a rule names and the group has not.
    pub(super) fn lacks<'r>(&'r self, wanted: &'r KeyGroup) -> impl Iterator<Item = &'r Reader> {
        wanted.readers().iter().filter(|reader| !self.has(reader))
    }

    /// Whom the group has and the rule does not name.
    pub(super) fn beyond<'r>(&'r self, wanted: &'r KeyGroup) -> impl Iterator<Item = &'r Reader> {
        self.entries.iter().map(|entry| &entry.reader).filter(|reader| !wanted.has(reader))
    }
}

impl Readers {
    /// Reads the lists of a block. Lists that stand in it directly count, and groups only where these are empty
    /// (stores/stores.go).
    pub(super) fn read(block: Mapping<'_>) -> Result<Self, MetadataError> {
        let flat = Group::read(block)?;
        if !flat.entries.is_empty() {
            return Ok(Self { groups: vec![flat], threshold: 1 });
        }
        let groups: Vec<Group> =
            entries(block, GROUPS)?.into_iter().map(Group::read).collect::<Result<_, _>>()?;
        if groups.iter().all(|group| group.entries.is_empty()) {
            return Err(MetadataError::NoKeys { position: block.node().position() });
        }
        if groups.len() > shamir::MAX_SHARES {
            return Err(wrong(block.node(), GROUPS, "a list of at most 255 groups"));
        }
        let number = |node: Node<'_>| match node.as_str().map(str::trim) {
            None | Some("") => Ok(0),
            Some(text) => text.parse().map_err(|_| wrong(node, THRESHOLD, "a number")),
        };
        let threshold: usize = block.get(THRESHOLD).map_or(Ok(0), number)?;
        let threshold = match (groups.len(), threshold) {
            (1, _) => 1,
            (all, 0) => all,
            (_, some) => some,
        };
        Ok(Self { groups, threshold })
    }

    /// Whether both have the same entries, list by list.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let texts = |entry: &Entry| (entry.wrapped.trim_end().to_owned(), entry.created_at.clone());
        let is_same = |one: &Group, two: &Group| {
            lists().all(|kind| {
                let (one, two) = (one.of_list(kind), two.of_list(kind));
                one.map(|entry| (&entry.reader, texts(entry)))
                    .eq(two.map(|entry| (&entry.reader, texts(entry))))
            })
        };
        self.threshold == other.threshold
            && self.groups.len() == other.groups.len()
            && self.groups.iter().zip(&other.groups).all(|(one, two)| is_same(one, two))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.groups.iter().flat_map(|group| &group.entries)
    }

    /// Whether it takes as many groups to open the file as the rule wants.
    pub(super) fn has_shape_of(&self, rule: &Rule) -> bool {
        self.groups.len() == rule.groups().len() && self.threshold == rule.threshold()
    }

    /// `key` for the readers of `rule`: cut into shares where they are in several groups.
    pub(super) fn wrap(
        key: &DataKey,
        rule: &Rule,
        outside: &dyn Outside,
        now: &str,
    ) -> Result<Self, SealError> {
        Self { groups: Vec::new(), threshold: 0 }.rewrapped(key, rule, outside, now)
    }

    /// The same for a file that has these readers: who stays keeps the place.
    pub(super) fn rewrapped(
        &self,
        key: &DataKey,
        rule: &Rule,
        outside: &dyn Outside,
        now: &str,
    ) -> Result<Self, SealError> {
        let shares = shares(key, rule)?;
        let none = Group::default();
        let same = self.groups.len() == rule.groups().len();
        let groups = rule.groups().iter().zip(&shares).enumerate().map(|(index, (wanted, share))| {
            let had = self.groups.get(index).filter(|_| same).unwrap_or(&none);
            let readers = had.in_place(wanted);
            let entries = readers.into_iter().map(|reader| wrap(share, reader, outside, now));
            Ok(Group { entries: entries.collect::<Result<_, SealError>>()? })
        });
        Ok(Self { groups: groups.collect::<Result<_, SealError>>()?, threshold: rule.threshold() })
    }

    /// These readers and, in the same groups, those whom the rule names besides; `shares` is what each group opens.
    /// Nothing that is there changes.
    pub(super) fn extended(
        &self,
        rule: &Rule,
        shares: &[Share],
        outside: &dyn Outside,
        now: &str,
    ) -> Result<Self, SealError> {
        let mut extended = self.clone();
        for ((group, wanted), share) in extended.groups.iter_mut().zip(rule.groups()).zip(shares) {
            let new: Vec<Entry> = group
                .lacks(wanted)
                .map(|reader| wrap(share, reader, outside, now))
                .collect::<Result<_, _>>()?;
            group.entries.extend(new);
        }
        Ok(extended)
    }
}

/// What one group opens: a share of the data key, or all of it.
pub(super) type Share = zeroize::Zeroizing<Vec<u8>>;

/// What each group of the rule shall open.
fn shares(key: &DataKey, rule: &Rule) -> Result<Vec<Share>, SealError> {
    if rule.groups().iter().any(|group| group.readers().is_empty()) || rule.groups().is_empty() {
        return Err(SealError::NoRecipient);
    }
    match rule.groups().len() {
        1 => Ok(vec![Share::new(key.as_bytes().to_vec())]),
        groups => shamir::split(key.as_bytes(), groups, rule.threshold()).map_err(|error| match error {
            shamir::ShamirError::NoRandomness(error) => error.into(),
            error => SealError::unsound(error.to_string()),
        }),
    }
}

fn wrap(share: &[u8], reader: &Reader, outside: &dyn Outside, now: &str) -> Result<Entry, SealError> {
    let (wrapped, created_at) = match reader {
        Reader::Age(recipient) => (recipient.wrap(share, outside), String::new()),
        Reader::Other(other) => match other.service_key() {
            // Entries of age do not say when they were made, whoever made them.
            Some(key) if other.kind == AGE => (outside.service_encrypt(key, share), String::new()),
            Some(key) => (outside.service_encrypt(key, share), now.to_owned()),
            None => return Err(SealError::unsound(format!("{other}, which is no key"))),
        },
    };
    let wrapped = wrapped.map_err(|error| SealError::Wrap { recipient: reader.to_string(), error })?;
    Ok(Entry { reader: reader.clone(), wrapped, created_at })
}

/// What is written into a block.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A text.
    Text(String),
    /// A number: a text that never has quotes.
    Bare(String),
    List(Vec<Item>),
    Map(Vec<Field>),
}

/// A name and what it is.
pub(super) type Field = (String, Item);

impl Readers {
    /// The fields of a block, those before `lastmodified` first and then those behind `mac`, as stock sops 3.11 has them.
    pub(super) fn fields(&self) -> [Vec<Field>; 2] {
        if let [only] = self.groups.as_slice() {
            let (pgp, others) = only.fields().into_iter().partition(|(name, _)| name == "pgp");
            return [others, pgp];
        }
        let groups = self.groups.iter().map(|group| Item::Map(group.fields())).collect();
        let threshold = Item::Bare(self.threshold.to_string());
        [vec![(THRESHOLD.to_owned(), threshold), (GROUPS.to_owned(), Item::List(groups))], Vec::new()]
    }
}

impl Group {
    /// Its lists; none that is empty.
    pub(super) fn fields(&self) -> Vec<Field> {
        let all = lists().map(|kind| {
            let items: Vec<Item> = self.of_list(kind).map(|entry| Item::Map(entry.fields())).collect();
            (kind.to_owned(), Item::List(items))
        });
        all.filter(|(_, list)| !matches!(list, Item::List(items) if items.is_empty())).collect()
    }
}

impl Entry {
    /// Its fields in the order of stock sops 3.11 (stores/stores.go).
    pub(super) fn fields(&self) -> Vec<Field> {
        let text = |name: &str, text: &str| (name.to_owned(), Item::Text(text.to_owned()));
        let enc = text("enc", &self.wrapped);
        let mut fields = match &self.reader {
            Reader::Age(recipient) => return vec![text("recipient", &recipient.to_string()), enc],
            Reader::Other(reader) => reader.fields(),
        };
        if self.list() == AGE {
            fields.push(enc);
            return fields;
        }
        let own = [text("created_at", &self.created_at), enc];
        match self.list() {
            "pgp" => {
                fields.splice(0..0, own);
            }
            "kms" => {
                let at = fields.iter().position(|(name, _)| name == "aws_profile").unwrap_or(fields.len());
                fields.splice(at..at, own);
            }
            _ => fields.extend(own),
        }
        fields
    }
}
