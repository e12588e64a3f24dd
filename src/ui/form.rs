//! Asking a person to make a personal token in GitLab's form, and to paste it.

use url::Url;

use super::{Ui, interrupt, prompt};
use crate::error::{Error, Kind, Result};
use crate::gitlab::credential::ValueError;
use crate::gitlab::routable::{Wholeness, wholeness};
use crate::secret::Secret;

/// What the person is asked for.
#[derive(Debug)]
pub struct Form {
    /// Key of the entry.
    pub key: String,
    /// The form of this version with its fields filled in; both forms where the version is not known, the newer first.
    pub addresses: Vec<Url>,
    /// The scopes that it has chosen.
    pub scopes: Vec<String>,
    /// The end to choose, in words: the form takes none.
    pub expires: String,
}

impl Form {
    /// Says what to do. `opened`: the form is in the browser already.
    pub fn show(&self, ui: Ui, opened: bool) {
        let ui = ui.before_question(true);
        let whole = if opened { "the form is open in your browser" } else { "open the form" };
        ui.say(&format!("{}: {whole}; name, description and scopes are filled in", self.key));
        for (address, of) in self.addresses.iter().zip(["", " (GitLab 18.8 and earlier)"]) {
            ui.say(&format!("  {address}{of}"));
        }
        ui.say(&format!("  scopes      {}", self.scopes.join(", ")));
        ui.say(&format!("  expiration  {}", self.expires));
        ui.say("create the token there, and copy it: GitLab shows it once");
    }

    /// Where to make it, for who cannot be asked.
    #[must_use]
    pub fn hint(&self) -> String {
        let addresses: Vec<&str> = self.addresses.iter().map(Url::as_str).collect();
        let addresses = addresses.join("\nor, at GitLab 18.8 and earlier, at ");
        format!("make it at {addresses}\nexpiration: {}", self.expires)
    }
}

/// Asks for the token, again and again until it is whole; nothing given is a no.
///
/// # Errors
/// Without a terminal, declined, or interrupted: before any effect.
pub fn paste(ui: Ui) -> Result<Secret> {
    loop {
        let pasted = prompt::secret(ui, "Paste the token here (it is not shown)").map_err(not_given)?;
        if pasted.trimmed().is_empty() {
            return Err(not_given(prompt::SecretError::NotGiven));
        }
        match whole(&pasted) {
            Ok(token) => return Ok(token),
            Err(error) => ui.error(&error),
        }
    }
}

fn not_given(error: prompt::SecretError) -> Error {
    match error {
        prompt::SecretError::NoTerminal => {
            Error::new(Kind::Usage, "a token has to be pasted, and there is no terminal to ask on")
        }
        prompt::SecretError::NotGiven => interrupt::error("no token was pasted"),
    }
}

/// The token without the white space around it.
///
/// # Errors
/// What can be told from the text alone: it is empty, no token, or not whole.
pub fn whole(pasted: &Secret) -> Result<Secret> {
    let token = pasted.trimmed();
    let text = token.expose();
    let problem = if text.is_empty() {
        Some(ValueError::Empty)
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some(ValueError::NotAToken)
    } else if wholeness(text) == Wholeness::Damaged {
        Some(ValueError::Damaged)
    } else {
        None
    };
    match problem {
        None => Ok(token),
        Some(problem) => Err(Error::new(Kind::Usage, "that is not a token")
            .because(problem.to_string())
            .hint("copy it again from where GitLab shows it, in one piece")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_without_the_white_space_around_it() {
        let token = whole(&Secret::new(" glpat-0123456789abcdefghij\n".to_owned())).unwrap();
        assert_eq!(token.expose(), "glpat-0123456789abcdefghij");
    }

    #[test]
    fn what_is_no_whole_token_is_refused_before_anybody_is_asked() {
        for text in ["", " \n", "two words", "glpat-AAECAwQFBgcICQoLDA0OD2M6MQpvOjEKdTo0bQw.01.131yhzfl"] {
            let error = whole(&Secret::new(text.to_owned())).unwrap_err();
            assert!(!error.message().contains("glpat"), "{text:?}");
        }
    }
}
