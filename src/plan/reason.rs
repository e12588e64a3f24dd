//! Why a token is made.

use std::fmt;

use jiff::civil::Date;
use serde::Serialize;

use super::observed;

/// Why a token is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// There is none yet.
    New,
    /// GitLab no longer knows the current one.
    Gone,
    /// The current one was revoked.
    Revoked,
    /// The current one has come to its end.
    Expired {
        /// First day on which it no longer worked.
        on: Date,
    },
    /// The current one comes to its end soon.
    Due {
        /// Its end.
        expires: Date,
        /// Since when it counts as due.
        since: Date,
    },
    /// The profile asks for something else than was minted.
    Changed {
        /// Which field.
        field: &'static str,
        /// What was minted.
        was: String,
        /// What the profile asks for.
        wanted: String,
    },
    /// A new one was asked for.
    Asked,
    /// Its value is in the wrong hands.
    Leaked,
    /// A slot holds no value of this token, and no other slot does.
    ValueLost {
        /// The slot.
        slot: observed::Slot,
    },
}

impl Reason {
    /// Whether the current token has ended.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Gone | Self::Revoked | Self::Expired { .. })
    }

    /// Whether the current token is at its end, or near it.
    #[must_use]
    pub fn is_end_of_life(&self) -> bool {
        matches!(self, Self::Gone | Self::Revoked | Self::Expired { .. } | Self::Due { .. })
    }

    /// Whether a successor that GitLab's rotate makes of the living token would do: it has a new value and a new
    /// expiry, and everything else as it was.
    pub(super) fn is_met_by_rotating(&self) -> bool {
        matches!(
            self,
            Self::Due { .. }
                | Self::Asked
                | Self::Leaked
                | Self::ValueLost { .. }
                | Self::Changed { field: "expires", .. }
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("it does not exist yet"),
            Self::Gone => f.write_str("GitLab no longer knows the current one"),
            Self::Revoked => f.write_str("the current one was revoked"),
            Self::Expired { on } => write!(f, "the current one expired on {on}"),
            Self::Due { expires, since } => {
                write!(f, "the current one expires on {expires} and is due since {since}")
            }
            Self::Changed { field, was, wanted } => {
                write!(f, "{field} changes from {was} to {wanted}")
            }
            Self::Asked => f.write_str("a new one was asked for"),
            Self::Leaked => f.write_str("the current one is in the wrong hands"),
            Self::ValueLost { slot } => {
                write!(f, "its value is no longer in {} {}", slot.file, slot.path)
            }
        }
    }
}
