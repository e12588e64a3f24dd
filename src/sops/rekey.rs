//! Bringing a file into line with its rule. Readers that are only added get the data key that the file has, and nothing
//! but their lines is touched. A reader who goes may have kept the data key, so every value is encrypted anew under
//! another one. Stock `sops updatekeys` keeps the data key and leaves selection rules as they are
//! (cmd/sops/subcommand/updatekeys), and `sops rotate` trusts the readers that stand in the file.

mod block;
mod leaves;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::comments;
use super::document::METADATA;
use super::edit::Edits;
use super::encrypted::{Difference, Encrypted};
use super::format::Format;
use super::keys::{Outside, Recipient};
use super::metadata::OtherReader;
use super::open::Opened;
use super::path::Path;
use super::policy::Rule;
use super::seal::{SealError, Sealed, check_encrypted, refuse_clear, renewed};
use super::value::{Cipher, DataKey};
use crate::yaml::{Mapping, Node, Position};

/// What a rekey does to a file. It can be told without a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RekeyPlan {
    /// Who will be able to read the file and now is not.
    pub added: Vec<Recipient>,
    /// Who can read the file and no longer will.
    pub removed: Vec<Recipient>,
    /// The same, for keys of other types.
    pub removed_others: Vec<OtherReader>,
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
    /// The data key has to be encrypted for somebody with a key of a type that is not supported yet.
    #[error(
        "the data key cannot be encrypted for {} yet, and the rule wants them to read the file",
        list(readers)
    )]
    CannotWrap {
        /// Who they are.
        readers: Vec<OtherReader>,
    },
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
    /// Only YAML files of one document so far.
    #[error("rekeying {format} files, or files of several documents, is not supported yet")]
    Format {
        /// How the file is written down.
        format: Format,
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

fn list(readers: &[OtherReader]) -> String {
    readers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Encrypted {
    /// What [`Opened::rekey`] would do under `rule`; empty exactly where [`Encrypted::differences`] is.
    ///
    /// # Errors
    /// [`RekeyError::CannotWrap`].
    pub fn rekey_plan(&self, rule: &Rule) -> Result<RekeyPlan, RekeyError> {
        self.plan(rule, false)
    }

    fn plan(&self, rule: &Rule, new_data_key: bool) -> Result<RekeyPlan, RekeyError> {
        let mut plan = RekeyPlan { new_data_key, ..RekeyPlan::default() };
        let mut cannot = Vec::new();
        for difference in self.differences(rule) {
            match difference {
                Difference::Missing(recipient) => plan.added.push(recipient),
                Difference::Extra(recipient) => plan.removed.push(recipient),
                Difference::MissingReader(reader) => cannot.push(reader),
                Difference::ExtraReader(reader) => plan.removed_others.push(reader),
                Difference::Selection { .. } => plan.selection = true,
                Difference::MacOnlyEncrypted { .. } => plan.mac_scope = true,
            }
        }
        plan.new_data_key |= !(plan.removed.is_empty() && plan.removed_others.is_empty());
        if plan.new_data_key {
            let is_removed = |reader: &&OtherReader| plan.removed_others.contains(*reader);
            cannot.extend(self.other_readers().iter().filter(|reader| !is_removed(reader)).cloned());
        }
        if rule.recipients().is_empty() {
            return Err(SealError::NoRecipient.into());
        }
        if cannot.is_empty() { Ok(plan) } else { Err(RekeyError::CannotWrap { readers: cannot }) }
    }
}

impl Opened {
    /// The file as `rule` wants it: its readers, what is encrypted, what the MAC covers. Every path of
    /// `must_be_encrypted` is in the result, and encrypted. `now` becomes `lastmodified` where values change, which is
    /// not so where readers are only added.
    ///
    /// # Errors
    /// [`RekeyError`]: a reader that we cannot encrypt for, a value that the rule would leave in the clear and must not.
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
        if self.file.format() != Format::Yaml || self.file.document.roots().count() > 1 {
            return Err(RekeyError::Format { format: self.file.format() });
        }
        refuse_clear(rule.selection(), must_be_encrypted)?;
        let new_key =
            if plan.new_data_key { Some(DataKey::generate().map_err(SealError::from)?) } else { None };
        let key = new_key.as_ref().unwrap_or(&self.key);
        let cipher = Cipher::new(key);
        let mut sealed = self.rewritten(&plan, rule, key, &cipher)?;
        if plan.changes_values() {
            sealed = renewed(&sealed, sealed.text(), &cipher, now)?;
        }
        check_encrypted(&sealed, must_be_encrypted)?;
        sealed.verify(&cipher).map_err(|error| SealError::unsound(error.to_string()))?;
        self.check_rekeyed(&sealed, &cipher, rule, &plan)?;
        Ok(Rekeyed { sealed: Sealed::of_verified(sealed), plan })
    }

    /// The file with its new readers, rules and values; `lastmodified` and `mac` are still the old ones.
    fn rewritten(
        &self,
        plan: &RekeyPlan,
        rule: &Rule,
        key: &DataKey,
        cipher: &Cipher,
    ) -> Result<Encrypted, RekeyError> {
        let document = &self.file.document;
        let mut edits = Edits::default();
        if plan.new_data_key || plan.selection {
            self.reencrypt(&mut edits, cipher, rule.selection(), plan.new_data_key)?;
            let old = (&self.cipher, &self.file.metadata.selection);
            comments::rekey(&mut edits, document, old, (cipher, rule.selection()), plan.new_data_key)?;
        }
        let wanted = if plan.new_data_key { rule.recipients() } else { &plan.added };
        let wrapped = wrap(key, wanted, &*self.outside)?;
        let metadata = block::Block::of(document).ok_or_else(|| SealError::unsound("no metadata"))?;
        metadata.edit_readers(&mut edits, &wrapped, plan)?;
        if plan.selection {
            metadata.set_selection(&mut edits, rule.selection());
        }
        if plan.mac_scope {
            metadata.set_mac_scope(&mut edits, rule.mac_only_encrypted());
        }
        let text = edits.apply(self.file.text()).map_err(|_| SealError::unsound("changes that overlap"))?;
        Ok(self.file.with_text(&text).map_err(SealError::from)?)
    }

    /// Every value and comment is what it was, every reader is as the rule wants it, and no entry of another type has
    /// changed.
    fn check_rekeyed(
        &self,
        sealed: &Encrypted,
        cipher: &Cipher,
        rule: &Rule,
        plan: &RekeyPlan,
    ) -> Result<(), SealError> {
        if !self.file.leaf_paths().eq(sealed.leaf_paths()) {
            return Err(SealError::unsound("other keys than the file had"));
        }
        for ((path, before), (_, after)) in self.file.document.leaves().zip(sealed.document.leaves()) {
            if self.file.value(&self.cipher, path, before)? != sealed.value(cipher, path, after)? {
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
        let is_kept = |entry: &block::Foreign<'_>| !plan.removed_others.contains(&entry.reader);
        let before = block::foreign(&self.file.document).into_iter().filter(is_kept);
        if !before
            .map(|entry| entry.source)
            .eq(block::foreign(&sealed.document).into_iter().map(|entry| entry.source))
        {
            return Err(SealError::unsound("the entry of another reader has changed"));
        }
        Ok(())
    }
}

/// The data key for each of these recipients.
fn wrap(
    key: &DataKey,
    recipients: &[Recipient],
    outside: &dyn Outside,
) -> Result<Vec<(Recipient, String)>, SealError> {
    let wrapped = recipients.iter().map(|recipient| match recipient.wrap(key.as_bytes(), outside) {
        Ok(wrapped) => Ok((recipient.clone(), wrapped)),
        Err(error) => Err(SealError::Wrap { recipient: recipient.to_string(), error }),
    });
    wrapped.collect()
}

/// The `sops` block.
fn metadata_block(document: &super::document::Document) -> Option<Mapping<'_>> {
    document.root()?.get(METADATA).and_then(Node::as_mapping)
}
