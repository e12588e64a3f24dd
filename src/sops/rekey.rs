//! Bringing a file into line with its rule. Readers that are only added get the data key that the file has, and nothing
//! but their lines is touched. A reader who goes may have kept the data key, so every value is encrypted anew under
//! another one. Stock `sops updatekeys` keeps the data key and leaves selection rules as they are
//! (cmd/sops/subcommand/updatekeys), and `sops rotate` trusts the readers that stand in the file.

mod block;
mod flat;
#[cfg(test)]
mod group_tests;
mod leaves;
mod list;
#[cfg(test)]
mod tests;

use std::ops::Range;

use jiff::Timestamp;

use super::comments::{self, remarks};
use super::document::{Document, METADATA};
use super::edit::Edits;
use super::encrypted::{Difference, Encrypted};
use super::format::Format;
use super::keys::Recipient;
use super::marks::Marks;
use super::open::{OpenError, Opened};
use super::other::OtherReader;
use super::path::Path;
use super::policy::{KeyGroup, Rule};
use super::readers::{Group, Readers, Share};
use super::reveal::Form;
use super::seal::{SealError, Sealed, check_encrypted, last_modified, refuse_clear, renewed};
use super::selection::Selection;
use super::value::{Cipher, DataKey, PlainRef, Type};
use super::values::Values;
use crate::yaml::{Mapping, Node, Position};

/// What a rekey does to a file. It can be told without a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RekeyPlan {
    /// Who will be able to read the file and now is not.
    pub added: Vec<Recipient>,
    /// The same, for keys of other types.
    pub added_others: Vec<OtherReader>,
    /// Who can read the file and no longer will.
    pub removed: Vec<Recipient>,
    /// The same, for keys of other types.
    pub removed_others: Vec<OtherReader>,
    /// Whether it will take other groups of keys, or more or fewer of them.
    pub groups: bool,
    /// Whether other leaves will be encrypted.
    pub selection: bool,
    /// Whether the MAC will cover other leaves.
    pub mac_scope: bool,
    /// Whether every value is encrypted anew under a new data key.
    pub new_data_key: bool,
}

impl RekeyPlan {
    /// Whether the file is as the rule wants it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether values, and so the MAC, change.
    fn changes_values(&self) -> bool {
        self.new_data_key || self.selection || self.mac_scope
    }
}

/// A file that is in line with its rule, and what that took.
#[derive(Debug)]
pub struct Rekeyed {
    /// The file to write; the bytes that were opened where the plan is empty.
    pub sealed: Sealed,
    /// What was done.
    pub plan: RekeyPlan,
}

/// Why a file is not rekeyed. Nothing may be written then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RekeyError {
    /// Changes to values wait for [`Opened::seal`].
    #[error("changes to values are waiting: they are sealed first")]
    ChangesWait,
    /// The new selection rule leaves a value in the clear that cannot stand there.
    #[error("{position}: {path} cannot be put in the clear as the rule wants it")]
    CannotClear {
        /// Where in the file.
        position: Position,
        /// The leaf.
        path: Path,
    },
    /// The list of readers has a form that we do not edit.
    #[error("{position}: the list of readers has a layout that cannot be edited line by line")]
    Layout {
        /// Where in the file.
        position: Position,
    },
    /// The result could not be made, or is not what it should be.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Encrypted {
    /// What [`Opened::rekey`] would do under `rule`; empty exactly where [`Encrypted::differences`] is.
    ///
    /// # Errors
    /// The rule names nobody.
    pub fn rekey_plan(&self, rule: &Rule) -> Result<RekeyPlan, RekeyError> {
        self.plan(rule, false)
    }

    fn plan(&self, rule: &Rule, new_data_key: bool) -> Result<RekeyPlan, RekeyError> {
        let mut plan = RekeyPlan { new_data_key, ..RekeyPlan::default() };
        for difference in self.differences(rule) {
            match difference {
                Difference::Missing(recipient) => plan.added.push(recipient),
                Difference::Extra(recipient) => plan.removed.push(recipient),
                Difference::MissingReader(reader) => plan.added_others.push(reader),
                Difference::ExtraReader(reader) => plan.removed_others.push(reader),
                Difference::Threshold { .. } | Difference::Groups => plan.groups = true,
                Difference::Selection { .. } => plan.selection = true,
                Difference::MacOnlyEncrypted { .. } => plan.mac_scope = true,
            }
        }
        if rule.groups().iter().any(|group| group.readers().is_empty()) {
            return Err(SealError::NoRecipient.into());
        }
        let readers = &self.metadata.readers;
        // Who leaves a group has its share, also where another group takes them in.
        let loses = |(group, wanted): (&Group, &KeyGroup)| group.beyond(wanted).next().is_some();
        plan.new_data_key |=
            !readers.has_shape_of(rule) || readers.groups.iter().zip(rule.groups()).any(loses);
        Ok(plan)
    }
}

impl Opened {
    /// The file as `rule` wants it: its readers, what is encrypted, what the MAC covers. Every path of
    /// `must_be_encrypted` is in the result, and encrypted. `now` becomes `lastmodified` where values change, which is
    /// not so where readers are only added.
    ///
    /// # Errors
    /// [`RekeyError`]: a reader for whom nothing can be encrypted, a value that the rule would leave in the clear and must
    /// not.
    pub fn rekey(
        &self,
        rule: &Rule,
        now: Timestamp,
        must_be_encrypted: &[Path],
    ) -> Result<Rekeyed, RekeyError> {
        self.rekey_by(self.file().plan(rule, false)?, rule, now, must_be_encrypted)
    }

    /// Like [`Opened::rekey`], with a new data key in any case.
    ///
    /// # Errors
    /// As for [`Opened::rekey`].
    pub fn rotate_data_key(
        &self,
        rule: &Rule,
        now: Timestamp,
        must_be_encrypted: &[Path],
    ) -> Result<Rekeyed, RekeyError> {
        self.rekey_by(self.file().plan(rule, true)?, rule, now, must_be_encrypted)
    }

    /// Whether `after` is what a rekey of this file under `rule` may have led to: the same values, everything as the rule
    /// wants it, and another data key where somebody has gone, or where `new_data_key` says so.
    #[must_use]
    pub fn may_have_become(&self, after: &Self, rule: &Rule, new_data_key: bool) -> bool {
        let Ok(plan) = self.file.plan(rule, new_data_key) else { return false };
        let same_key = self.key.as_bytes() == after.key.as_bytes();
        let (had, has) = (&self.file.metadata.readers, &after.file.metadata.readers);
        // Shares may have been cut anew, an entry by itself is never touched.
        let kept = had.entries().all(|entry| has.entries().any(|one| one == entry));
        self.check_content(&after.file, &after.values, &after.cipher, rule).is_ok()
            && plan.new_data_key != same_key
            && (kept || plan.new_data_key || had.groups.len() > 1)
    }

    fn rekey_by(
        &self,
        plan: RekeyPlan,
        rule: &Rule,
        now: Timestamp,
        must_be_encrypted: &[Path],
    ) -> Result<Rekeyed, RekeyError> {
        if !self.changes.is_empty() {
            return Err(RekeyError::ChangesWait);
        }
        refuse_clear(self.selection_after(&plan, rule), must_be_encrypted)?;
        let new_key =
            if plan.new_data_key { Some(DataKey::generate().map_err(SealError::from)?) } else { None };
        let key = new_key.as_ref().unwrap_or(&self.key);
        let cipher = Cipher::new(key);
        // Under another data key nothing is known that was not read from the new file.
        let known = (!plan.new_data_key).then_some((&self.file, &self.values));
        let readers = self.readers_after(&plan, rule, key, now)?;
        let rewritten = self.rewritten(&plan, rule, &readers, &cipher)?;
        let unsound = |error: OpenError| SealError::unsound(error.to_string());
        let (sealed, values) = if plan.changes_values() {
            let values = Values::of(&rewritten, &cipher, known).map_err(unsound)?;
            let text = renewed(&rewritten, &values.mac(&rewritten), &cipher, now)?;
            let sealed = self.file.with_text(text).map_err(SealError::from)?;
            let values = sealed.verify(&cipher, Some((&rewritten, &values))).map_err(unsound)?;
            (sealed, values)
        } else {
            let values = rewritten.verify(&cipher, known).map_err(unsound)?;
            (rewritten, values)
        };
        self.check_still_encrypted(&sealed, must_be_encrypted)?;
        self.check_content(&sealed, &values, &cipher, rule)?;
        if !sealed.metadata.readers.says_the_same(&readers) {
            return Err(SealError::unsound("the entry of a reader is not what it should be").into());
        }
        Ok(Rekeyed { sealed: Sealed::of_verified(sealed), plan })
    }

    /// The readers that the file will have. Where nobody loses anything, who is added gets what the group has; else
    /// everybody gets a new key, or a new share.
    fn readers_after(
        &self,
        plan: &RekeyPlan,
        rule: &Rule,
        key: &DataKey,
        now: Timestamp,
    ) -> Result<Readers, SealError> {
        let readers = &self.file.metadata.readers;
        let (outside, now) = (&*self.outside, last_modified(now));
        if !plan.new_data_key {
            let known = |((group, wanted), share): ((&Group, &KeyGroup), &Option<Share>)| {
                share.clone().or_else(|| group.lacks(wanted).next().is_none().then(Share::default))
            };
            let groups = readers.groups.iter().zip(rule.groups()).zip(&self.shares);
            if let Some(shares) = groups.map(known).collect::<Option<Vec<Share>>>() {
                return readers.extended(rule, &shares, outside, &now);
            }
        }
        readers.rewrapped(key, rule, outside, &now)
    }

    /// The file with its new readers, rules and values; `lastmodified` and `mac` are still the old ones.
    fn rewritten(
        &self,
        plan: &RekeyPlan,
        rule: &Rule,
        readers: &Readers,
        cipher: &Cipher,
    ) -> Result<Encrypted, RekeyError> {
        let document = &self.file.document;
        let selection = self.selection_after(plan, rule);
        let mut edits = Edits::default();
        if plan.new_data_key || plan.selection {
            let stored = remarks(document);
            let plain = comments::opened(document, &self.cipher, &stored);
            let will = Marks::with_remarks(document, selection, &plain);
            self.reencrypt(&mut edits, cipher, &will, plan.new_data_key)?;
            let was = Marks::with_remarks(document, self.file.selection(), &stored);
            let rekeyed = comments::Rekeyed { stored, plain, was, will };
            rekeyed.edit(&mut edits, document, cipher, selection, plan.new_data_key)?;
        }
        let block = Block::of(document).ok_or_else(|| SealError::unsound("no metadata"))?;
        block.edit_rules(&mut edits, plan, rule)?;
        let text = edits.apply(self.file.text()).map_err(|_| SealError::unsound("changes that overlap"))?;
        let text = self.with_readers(text, readers)?;
        let rewritten = self.file.with_text(text).map_err(SealError::from)?;
        match with_equal_blocks(&rewritten)? {
            Some(text) => Ok(self.file.with_text(text).map_err(SealError::from)?),
            None => Ok(rewritten),
        }
    }

    /// The text with these readers in its first block. Where lists come or go, that takes several steps.
    fn with_readers(&self, mut text: String, readers: &Readers) -> Result<String, RekeyError> {
        loop {
            let document = self.reread(&text)?;
            let block = Block::of(&document).ok_or_else(|| SealError::unsound("no metadata"))?;
            let mut edits = Edits::default();
            let step = block.edit_readers(&mut edits, readers)?;
            let next = edits.apply(&text).map_err(|_| SealError::unsound("changes that overlap"))?;
            match step {
                Step::Done => return Ok(next),
                Step::More if next == text => return Err(SealError::unsound("readers that stay").into()),
                Step::More => text = next,
            }
        }
    }

    /// What is encrypted in the end. What the rule says of it does not concern a binary file.
    fn selection_after<'r>(&'r self, plan: &RekeyPlan, rule: &'r Rule) -> &'r Selection {
        if plan.selection { rule.selection() } else { &self.file.metadata.selection }
    }

    /// Like [`check_encrypted`], but a file that never had anything to encrypt may go on without.
    fn check_still_encrypted(&self, sealed: &Encrypted, must_be_encrypted: &[Path]) -> Result<(), SealError> {
        let had_nothing = || !self.file.leaves().any(|leaf| matches!(leaf.form, Form::Encrypted(_)));
        let is_clear = || sealed.leaves().any(|leaf| leaf.selected && leaf.form == Form::Clear);
        match check_encrypted(sealed, must_be_encrypted) {
            Err(SealError::NothingEncrypted { .. }) if had_nothing() && !is_clear() => Ok(()),
            checked => checked,
        }
    }

    /// Every value and comment is what it was, and everything else as the rule wants it.
    fn check_content(
        &self,
        sealed: &Encrypted,
        values: &Values,
        cipher: &Cipher,
        rule: &Rule,
    ) -> Result<(), SealError> {
        let paths = sealed.document.paths();
        if !self.file.document.paths().eq(paths.clone()) {
            return Err(SealError::unsound("other keys than the file had"));
        }
        for (path, (before, after)) in paths.zip(self.values.iter().zip(values.iter())) {
            if !is_same(self.file.format(), before, after) {
                return Err(SealError::unsound(format!("{path} has changed")));
            }
        }
        let before = comments::plain(&self.file.document, &self.cipher);
        if before != comments::plain(&sealed.document, cipher) {
            return Err(SealError::unsound("a comment has changed"));
        }
        if !sealed.differences(rule).is_empty() {
            return Err(SealError::unsound("not as the rule wants it"));
        }
        Ok(())
    }
}

/// The text of the file with the block of the first document in every document that has one: sops reads the first and
/// writes the same into all. `None` where there is but one.
fn with_equal_blocks(file: &Encrypted) -> Result<Option<String>, SealError> {
    let text = file.text();
    let blocks: Vec<Range<usize>> = file.document.roots().filter_map(block_range).collect();
    let Some((first, others)) = blocks.split_first() else { return Err(SealError::unsound("no metadata")) };
    if others.is_empty() {
        return Ok(None);
    }
    let range = |block: &Range<usize>| block.start..block.start + text[block.clone()].trim_end().len();
    let mut edits = Edits::default();
    for other in others {
        edits.replace(range(other), &text[range(first)]);
    }
    edits.apply(text).map(Some).map_err(|_| SealError::unsound("changes that overlap"))
}

fn block_range(root: Mapping<'_>) -> Option<Range<usize>> {
    let entry = root.entry(METADATA)?;
    Some(entry.key_node.full_span().start..entry.value.span().end)
}

/// The `sops` block in the way that the file's format writes it.
enum Block<'t> {
    Nested(block::Block<'t>),
    Flat(flat::Block<'t>),
}

impl<'t> Block<'t> {
    fn of(document: &'t Document) -> Option<Self> {
        let mapping = metadata_block(document)?;
        Some(match document.format() {
            Format::Yaml | Format::Json | Format::Binary => {
                Self::Nested(block::Block::new(document, mapping))
            }
            Format::Dotenv | Format::Ini => Self::Flat(flat::Block::new(document, mapping)),
        })
    }

    fn edit_readers(&self, edits: &mut Edits, readers: &Readers) -> Result<Step, RekeyError> {
        match self {
            Self::Nested(block) => block.edit_readers(edits, readers),
            Self::Flat(block) => {
                block.edit_readers(edits, readers);
                Ok(Step::Done)
            }
        }
    }

    fn edit_rules(&self, edits: &mut Edits, plan: &RekeyPlan, rule: &Rule) -> Result<(), RekeyError> {
        match self {
            Self::Nested(block) => {
                if plan.selection {
                    block.set_selection(edits, rule.selection());
                }
                if plan.mac_scope {
                    block.set_mac_scope(edits, rule.mac_only_encrypted())?;
                }
            }
            Self::Flat(block) => {
                if plan.selection {
                    block.set_selection(edits, rule.selection());
                }
                if plan.mac_scope {
                    block.set_mac_scope(edits, rule.mac_only_encrypted());
                }
            }
        }
        Ok(())
    }
}

/// Whether the readers of a text are edited, or the result has to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done,
    More,
}

/// Whether a value has survived. JSON has one type of numbers; what type an encrypted one has depends on the version of
/// sops.
fn is_same(format: Format, before: Option<PlainRef<'_>>, after: Option<PlainRef<'_>>) -> bool {
    let is_number = |plain: PlainRef<'_>| matches!(plain.kind, Type::Int | Type::Float);
    match (before, after) {
        (Some(one), Some(two)) if format == Format::Json && is_number(one) && is_number(two) => {
            one.bytes == two.bytes
        }
        _ => before == after,
    }
}

/// The `sops` block.
fn metadata_block(document: &Document) -> Option<Mapping<'_>> {
    document.root()?.get(METADATA).and_then(Node::as_mapping)
}
