//! What an error of the SOPS engine means for a person.

use crate::error::{Error, Kind};
use crate::sops::{
    ChangeError, DocumentError, DraftError, IdentityError, LockedOut, Names, OpenError, OutsideError,
    PolicyEditError, SealError,
};

impl From<PolicyEditError> for Error {
    fn from(error: PolicyEditError) -> Self {
        let start = match error.to_string() {
            text if text.starts_with(|first: char| first.is_ascii_digit()) => {
                Self::new(Kind::Refused, format!(".sops.yaml:{text}"))
            }
            text => Self::new(Kind::Refused, text),
        };
        match &error {
            PolicyEditError::Name { .. } | PolicyEditError::Unknown { .. } => start.of_kind(Kind::Usage),
            PolicyEditError::LastRecipient { .. } => {
                start.hint("add somebody else first, or take the rule and its files out")
            }
            PolicyEditError::LastInList { .. } => start.hint(
                "take the line out by hand, then run provision rekey --with-policy: it commits both, under new data keys",
            ),
            PolicyEditError::NameTaken { .. } => start.hint("choose another name"),
            PolicyEditError::SeveralGroups { .. } | PolicyEditError::NoGroup { .. } => start.hint(
                "provision keys add … --group NUMBER says into which one; --env and --file choose the rules",
            ),
            PolicyEditError::NoAge { .. }
            | PolicyEditError::Layout { .. }
            | PolicyEditError::Names
            | PolicyEditError::Reach => {
                start.hint("edit it by hand, then run provision rekey --with-policy: it commits both")
            }
            PolicyEditError::Policy(_) | PolicyEditError::NoRule { .. } => start,
        }
    }
}

impl From<OutsideError> for Error {
    fn from(error: OutsideError) -> Self {
        with_outside_hint(Self::from_source(Kind::CannotDecrypt, &error), &error)
    }
}

/// What helps where a key needs a person or a program.
fn with_outside_hint(refused: Error, error: &OutsideError) -> Error {
    match error {
        OutsideError::NoTerminal { .. } => refused.hint(
            "run it in a terminal, or give a key without a passphrase in SOPS_AGE_KEY or SOPS_AGE_KEY_FILE",
        ),
        OutsideError::NoProgram { program } => {
            refused.hint(format!("install {program}, and have it on the PATH"))
        }
        OutsideError::NotInPolicy => refused.hint(UNKNOWN_KEY),
        OutsideError::Failed { reason } if reason.contains("No public key") => {
            refused.hint("import their public key: gpg --import FILE")
        }
        OutsideError::Failed { .. } => refused,
    }
}

impl From<IdentityError> for Error {
    fn from(error: IdentityError) -> Self {
        let of = |error| Self::from_source(Kind::CannotDecrypt, error);
        match &error {
            IdentityError::NotAnIdentity { .. } => of(&error)
                .hint("an age identity is one line that begins with AGE-SECRET-KEY-1; age-keygen makes one"),
            IdentityError::Unreadable { source_name, reason } => {
                let hint = if source_name.starts_with("SOPS_") {
                    "name the file of your own age identities, or unset the variable"
                } else {
                    "make it a file that you can read, or name another in SOPS_AGE_KEY_FILE"
                };
                let refused = Self::new(Kind::CannotDecrypt, format!("cannot read {source_name}"));
                refused.because(reason.clone()).hint(hint)
            }
            IdentityError::IsKey { .. } => of(&error).hint(
                "a key itself goes into SOPS_AGE_KEY; in GitLab, a variable of the type File is a path",
            ),
        }
    }
}

impl From<DocumentError> for Error {
    fn from(error: DocumentError) -> Self {
        Self::from_source(Kind::Refused, &error)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        cannot_open(error, &Names::default())
    }
}

/// A file that does not open, with the names that a policy has for its readers.
#[must_use]
pub(crate) fn cannot_open(error: OpenError, names: &Names) -> Error {
    match error {
        OpenError::LockedOut(locked) => locked_out(&locked, names),
        OpenError::Outside { error: ref cause, .. } => {
            with_outside_hint(Error::new(Kind::CannotDecrypt, error.sentence(names)), cause)
        }
        OpenError::Unwrap { .. }
        | OpenError::Shares { .. }
        | OpenError::Value { .. }
        | OpenError::Scalar { .. }
        | OpenError::NoMac
        | OpenError::Mac { .. }
        | OpenError::MacMismatch => Error::new(Kind::Refused, error.sentence(names)),
    }
}

/// The way away from a key that the policy lost longer ago.
const UNKNOWN_KEY: &str = "if the key is yours: put it back into .sops.yaml beside the others and commit that, run provision rekey, then take it out again";

fn locked_out(locked: &LockedOut, names: &Names) -> Error {
    let mut sentences = locked.sentences(names).into_iter();
    let start = Error::new(Kind::CannotDecrypt, sentences.next().unwrap_or_default());
    let start = sentences.fold(start, Error::because);
    if locked.has_unknown_key() {
        return start.hint(UNKNOWN_KEY);
    }
    if let Some(program) = locked.missing_program() {
        return start.hint(format!("install {program}, and have it on the PATH"));
    }
    let whom = match locked.people(names).as_slice() {
        [] => "one of its readers".to_owned(),
        people => people.join(" or "),
    };
    let key = locked.own.iter().find(|own| !own.is_ssh()).map(|own| format!(" ({own})")).unwrap_or_default();
    let has_none = locked.own.is_empty() && locked.sources.is_empty() && locked.skipped.is_empty();
    let start =
        if has_none { start.hint("provision bootstrap makes a key, where you have none yet") } else { start };
    start
        .hint("give a key that opens it in SOPS_AGE_KEY_FILE")
        .hint(format!("or ask {whom} to add you{key} to .sops.yaml and run provision rekey"))
}

impl From<ChangeError> for Error {
    fn from(error: ChangeError) -> Self {
        Self::from_source(Kind::Refused, &error)
    }
}

impl From<DraftError> for Error {
    fn from(error: DraftError) -> Self {
        Self::from_source(Kind::Refused, &error)
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        let hint = match &error {
            SealError::LeftClear { .. } | SealError::NothingEncrypted { .. } => {
                "make the rule in .sops.yaml select every slot, and commit it"
            }
            SealError::Empty { .. } => "give it a value in the template",
            SealError::Wrap { error: cause, .. } => {
                return with_outside_hint(Self::from_source(Kind::Refused, &error), cause);
            }
            _ => return Self::from_source(Kind::Refused, &error),
        };
        Self::from_source(Kind::Refused, &error).hint(hint)
    }
}
