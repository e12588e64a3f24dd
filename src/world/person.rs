//! The person in front of the program, as a source of values that only a person can make.

use crate::error::Result;
use crate::instance::Instance;
use crate::secret::Secret;
use url::Url;

/// A personal token that a person is asked to make at GitLab and to hand over.
#[derive(Debug)]
pub struct Wanted {
    /// Where.
    pub gitlab: Instance,
    /// GitLab's forms with the fields filled in: the one of its version, or both where that is not known.
    pub forms: Vec<Url>,
    /// The name to give.
    pub name: String,
    /// The scopes to choose.
    pub scopes: Vec<String>,
    /// The end to choose, in words; the form takes no expiry.
    pub expires: String,
}

/// Somebody who can be asked.
pub trait Person {
    /// The token, without the white space around it.
    ///
    /// # Errors
    /// Where nobody is there, or the person declines: nothing was made as far as we know.
    fn personal_token(&self, wanted: &Wanted) -> Result<Secret>;

    /// Whether a token that may do more than was asked for is taken all the same.
    fn accepts_more(&self) -> bool;
}
