//! What a rekey does: each secrets file that is not as the policy says is brought into line with it, as far as the
//! identities at hand open it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Note;
use crate::hint::Hint;
use crate::sops::{self, Names, OtherReader, Recipient, RekeyPlan};

mod message;

pub use message::Done;

/// Somebody who reads, as people know them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reader {
    /// What the policy calls them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The recipient, or what else their key is known by.
    pub key: String,
}

/// The name where there is one, else the key.
impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or(&self.key))
    }
}

impl Reader {
    /// A reader with the name of the first policy that has one for them.
    #[must_use]
    pub fn of(reader: &sops::Reader, names: &[Names]) -> Self {
        let name = names.iter().find_map(|names| names.of(reader));
        Self { name: name.map(str::to_owned), key: reader.to_string() }
    }

    /// Name and key.
    #[must_use]
    pub fn full(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.key),
            None => self.key.clone(),
        }
    }
}

/// Everything that the plan is made from.
#[derive(Debug, Default)]
pub struct Observed {
    /// The secrets files that are not as the policy says.
    pub files: Vec<File>,
    /// Those that another policy decides on.
    pub elsewhere: Vec<Elsewhere>,
    /// How many are.
    pub in_line: usize,
    /// Readers whom this policy has and upstream's has not.
    pub new_readers: Vec<Reader>,
    /// Whether the policy itself changes with the files.
    pub new_policy: bool,
}

/// A secrets file that lies below a policy other than the one at the root. Stock sops follows that one for it, where it is
/// started there.
#[derive(Clone, Debug, Serialize)]
pub struct Elsewhere {
    /// Relative to the repository root.
    pub file: String,
    /// The policy, too.
    pub policy: String,
    /// Who reads it.
    pub readers: Vec<Reader>,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is left to {}, which is nearer to it", self.file, self.policy)
    }
}

/// One secrets file as it is.
#[derive(Debug)]
pub struct File {
    /// Relative to the repository root.
    pub path: String,
    /// What its rule asks for; or why that cannot be done, or even told.
    pub wanted: Result<Wanted, String>,
    /// How the file in the work tree stands to HEAD's.
    pub state: State,
    /// Who reads it now, where it does not open.
    pub readers: Vec<Reader>,
    /// Whether one of the identities at hand may open it.
    pub opens: bool,
    /// An environment whose interrupted run is not finished, and has to do with this file.
    pub awaits: Option<String>,
}

/// What the rule of a file asks for, with names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wanted {
    /// Who will read it and now does not.
    pub added: Vec<Reader>,
    /// Who reads it and no longer will.
    pub removed: Vec<Reader>,
    /// Whether it will take other groups of keys, or more or fewer of them.
    pub groups: bool,
    /// Whether other leaves will be encrypted.
    pub selection: bool,
    /// Whether the MAC will cover other leaves.
    pub mac_scope: bool,
    /// Whether everything is encrypted anew under a new data key.
    pub new_data_key: bool,
}

impl Wanted {
    /// The engine's plan with these names.
    #[must_use]
    pub fn of(plan: &RekeyPlan, names: &[Names]) -> Self {
        let named = |list: &[Recipient]| -> Vec<Reader> {
            list.iter().map(|one| Reader::of(&one.clone().into(), names)).collect()
        };
        let others = |list: &[OtherReader]| -> Vec<Reader> {
            list.iter().map(|one| Reader::of(&one.clone().into(), names)).collect()
        };
        Self {
            added: [named(&plan.added), others(&plan.added_others)].concat(),
            removed: [named(&plan.removed), others(&plan.removed_others)].concat(),
            groups: plan.groups,
            selection: plan.selection,
            mac_scope: plan.mac_scope,
            new_data_key: plan.new_data_key,
        }
    }

    /// Whether the file is as its rule asks.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// How a file in the work tree stands to HEAD's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The same.
    Committed,
    /// What a rekey of HEAD's leads to: an earlier run was interrupted, or did not commit.
    Rekeyed,
    /// Something else.
    Edited,
}

/// What is going to be done.
#[derive(Debug, Default, Serialize)]
pub struct Plan {
    /// Whether the policy is written and committed too.
    pub new_policy: bool,
    /// Files that change.
    pub changes: Vec<Change>,
    /// Files that should change and do not.
    pub skipped: Vec<Skipped>,
    /// Files that another policy decides on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
    /// How many files are as they should be.
    pub in_line: usize,
    /// Readers whom upstream's policy does not have.
    pub new_readers: Vec<Reader>,
    /// What an earlier run committed, and only has to be pushed, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushes: Option<String>,
}

/// One file that changes.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Relative to the repository root.
    pub file: String,
    /// How.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// Whether an earlier run did it already, so that it only has to be committed.
    pub done: bool,
}

/// One file that should change and does not.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Relative to the repository root.
    pub file: String,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
}

/// Why a file is left as it is.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// None of the identities at hand opens it.
    CannotOpen {
        /// Who does.
        readers: Vec<Reader>,
    },
    /// The run of an environment was interrupted and has to be finished first.
    Awaits {
        /// Which environment.
        environment: String,
    },
    /// A key that was tried did not open it.
    DoesNotOpen {
        /// In a sentence.
        reason: String,
        /// What helps.
        hints: Vec<Hint>,
    },
    /// Something else.
    Because {
        /// In a sentence.
        reason: String,
    },
}

impl Why {
    /// What helps, where that can be said.
    #[must_use]
    pub fn hints(&self) -> &[Hint] {
        match self {
            Self::DoesNotOpen { hints, .. } => hints,
            Self::CannotOpen { .. } | Self::Awaits { .. } | Self::Because { .. } => &[],
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotOpen { readers } if readers.is_empty() => f.write_str("nobody can open it"),
            Self::CannotOpen { readers } => {
                let names: Vec<String> = readers.iter().map(ToString::to_string).collect();
                write!(f, "no key here opens it; it is for {}", names.join(", "))
            }
            Self::Awaits { environment } => write!(
                f,
                "an interrupted run for {environment} is not finished: provision --env {environment} finishes it"
            ),
            Self::DoesNotOpen { reason, .. } | Self::Because { reason } => f.write_str(reason),
        }
    }
}

/// Files that should change and have changes of somebody else in them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {} changes that are not committed", paths.join(", "), if paths.len() == 1 { "has" } else { "have" })]
pub struct EditedFiles {
    /// Which.
    pub paths: Vec<String>,
}

/// Decides.
///
/// # Errors
/// [`EditedFiles`]: nothing may be written over them, and nothing of theirs committed.
pub fn plan(observed: Observed) -> Result<Plan, EditedFiles> {
    let Observed { files, elsewhere, in_line, new_readers, new_policy } = observed;
    let mut plan = Plan { new_policy, elsewhere, in_line, new_readers, ..Plan::default() };
    let mut edited = Vec::new();
    for file in files {
        let path = file.path;
        let skip = |why| Skipped { file: path.clone(), why };
        match file.wanted {
            Err(reason) => plan.skipped.push(skip(Why::Because { reason })),
            Ok(_) if file.awaits.is_some() => {
                let environment = file.awaits.unwrap_or_default();
                plan.skipped.push(skip(Why::Awaits { environment }));
            }
            Ok(_) if file.state == State::Edited => edited.push(path),
            Ok(_) if !file.opens => plan.skipped.push(skip(Why::CannotOpen { readers: file.readers })),
            Ok(wanted) => {
                plan.changes.push(Change { file: path, wanted, done: file.state == State::Rekeyed });
            }
        }
    }
    if edited.is_empty() { Ok(plan) } else { Err(EditedFiles { paths: edited }) }
}

impl Plan {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.new_policy
    }

    /// Whether something should change that does not.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        !self.skipped.is_empty()
    }

    /// What a person agrees to, comparable with that of another plan.
    #[must_use]
    pub fn agreement(&self) -> String {
        let changes = self.changes.iter().map(|change| (&change.file, &change.wanted));
        serde_json::to_string(&(self.new_policy, changes.collect::<Vec<_>>())).unwrap_or_default()
    }

    /// Files that change in the same way, in the order of the first of each.
    #[must_use]
    pub fn groups(&self) -> Vec<(&Wanted, Vec<&Change>)> {
        let mut groups: Vec<(&Wanted, Vec<&Change>)> = Vec::new();
        let mut known: BTreeMap<&Wanted, usize> = BTreeMap::new();
        for change in &self.changes {
            let index = *known.entry(&change.wanted).or_insert_with(|| {
                groups.push((&change.wanted, Vec::new()));
                groups.len() - 1
            });
            groups[index].1.push(change);
        }
        groups
    }

    /// What a person should know besides.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if !self.new_readers.is_empty() {
            let names: Vec<String> = self.new_readers.iter().map(ToString::to_string).collect();
            let who = names.join(", ");
            notes.push(Note::info(format!("upstream's policy does not have these readers: {who}")));
        }
        notes.extend(self.elsewhere.iter().map(|file| Note::info(file.to_string())));
        notes.extend(
            self.skipped
                .iter()
                .map(|file| Note::attention(format!("{} is left as it is: {}", file.file, file.why))),
        );
        notes
    }
}
