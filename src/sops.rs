//! The SOPS engine: reads, edits and makes files that stock `sops` reads and edits. It knows nothing of GitLab, and no
//! clock, file or environment: bytes in, bytes out.
//!
//! ```text
//! bytes ── Encrypted::parse ──▶ Encrypted ── open(identities) ──▶ Opened ── set, remove ── seal ──▶ Sealed ──▶ bytes
//!                                                         └── rekey(rule), rotate_data_key(rule) ──▶ Sealed
//! text ─── Draft::parse ──────▶ Draft ────── set ───────────────────────────────────────── seal(rule) ──▶ Sealed
//! ```
//!
//! Only [`Sealed`] has bytes to write. What decides who reads and what is encrypted is the [`Policy`], never the file.
//!
//! An edit replaces the bytes of the values that change, of `lastmodified` and of `mac`; all others stay. That is why
//! documents are trees of spans ([`crate::yaml`]) and never values that are written out again.

mod change;
mod comments;
mod document;
mod dotenv;
mod draft;
mod edit;
mod encrypted;
mod flat;
mod format;
mod gcm;
mod go_yaml;
mod ini;
mod json;
mod keys;
mod locked;
mod mac;
mod marks;
mod metadata;
mod names;
mod open;
mod other;
mod outline;
mod path;
mod policy;
mod random;
mod re2;
mod reader;
mod readers;
mod rekey;
mod render;
mod reveal;
mod scalar;
mod seal;
mod selection;
mod shamir;
mod shape;
mod splice;
#[cfg(test)]
mod tests;
mod time;
mod unlock;
mod value;
mod value_sealer;
mod values;

pub use change::ChangeError;
pub use document::StructureError;
pub use draft::{Draft, DraftError};
pub use encrypted::{Difference, DocumentError, Encrypted};
pub use format::Format;
pub use keys::{
    Alone, Identities, IdentityError, IdentitySource, Outside, OutsideError, Recipient, RecipientError,
    Skipped, UnwrapError, generate_identity, with_passphrase,
};
pub use locked::LockedOut;
pub use metadata::MetadataError;
pub use names::Names;
pub use open::{OpenError, Opened};
pub use other::{OtherReader, ServiceKey};
pub use path::{Path, PathError, Segment};
pub use policy::{HiddenRule, KeyGroup, Policy, PolicyEdit, PolicyEditError, PolicyError, Problem, Rule};
pub use random::NoRandomness;
pub use re2::{Pattern, PatternError};
pub use reader::Reader;
pub use rekey::{RekeyError, RekeyPlan, Rekeyed};
pub use reveal::{Form, Leaf, LocateError, RevealError};
pub use scalar::ScalarError;
pub use seal::{SealError, Sealed};
pub use selection::{Selection, SelectionError};
pub use value::ValueError;
pub use value_sealer::{ValueSealer, value_path};
