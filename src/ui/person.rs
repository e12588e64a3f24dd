//! Asking a person for a token that only a person can make.

use super::{Ui, prompt};
use crate::error::{Error, Kind, Result};
use crate::gitlab::routable::{Wholeness, wholeness};
use crate::secret::Secret;
use crate::world::person::{Person, Wanted};
use crate::world::{Variables, browser};

/// A person at a terminal, or a token that was given beforehand.
pub struct Desk {
    ui: Ui,
    given: Option<Secret>,
    accepts_more: bool,
    browser: Variables,
}

impl Desk {
    /// `given` is the answer of who is not asked. `accepts_more`: see [`Person::accepts_more`].
    #[must_use]
    pub fn new(ui: Ui, given: Option<Secret>, accepts_more: bool, variables: &Variables) -> Self {
        Self { ui, given, accepts_more, browser: variables.for_browser() }
    }
}

impl Person for Desk {
    fn personal_token(&self, wanted: &Wanted) -> Result<Secret> {
        if let Some(given) = &self.given {
            return whole(given.trimmed());
        }
        if !self.ui.interactive {
            return Err(Error::new(
                Kind::Usage,
                "a personal token is made by hand, and there is no terminal to ask on",
            )
            .because(format!("{} makes them by API for administrators only", wanted.gitlab))
            .hint(format!("make it at {}", shown(wanted)))
            .hint("then: provision bootstrap --token-stdin < FILE, or paste it there on a terminal"));
        }
        self.ui.say(&format!("make the token at {}:", wanted.gitlab));
        self.ui.say(&format!("  name     {}", wanted.name));
        self.ui.say(&format!("  scopes   {}", wanted.scopes.join(", ")));
        self.ui.say(&format!("  expires  {}", wanted.expires));
        let opened = wanted.forms.first().is_some_and(|form| browser::open(&self.browser, form));
        self.ui.say(if opened { "the form opens in your browser; its address:" } else { "open the form:" });
        for (form, of) in wanted.forms.iter().zip(["", " (GitLab 18.8 and earlier)"]) {
            self.ui.say(&format!("  {form}{of}"));
        }
        loop {
            let token = prompt::hidden(self.ui, "Paste the token", "--token-stdin")?;
            match whole(token.trimmed()) {
                Ok(token) => return Ok(token),
                Err(error) => self.ui.error(&error),
            }
        }
    }

    fn accepts_more(&self) -> bool {
        self.accepts_more
    }
}

fn shown(wanted: &Wanted) -> String {
    wanted.forms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// What can be told from the text alone, before anybody is asked.
fn whole(token: Secret) -> Result<Secret> {
    let damaged = |why: &str| {
        Error::new(Kind::Usage, "that is not a whole token")
            .because(why.to_owned())
            .hint("copy it again from where it was shown, in one piece; GitLab shows a token once")
    };
    let text = token.expose();
    if text.is_empty() {
        return Err(damaged("it is empty"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(damaged("it contains white space or characters that no token has"));
    }
    match wholeness(text) {
        Wholeness::Damaged => Err(damaged("its checksum does not match")),
        Wholeness::Whole | Wholeness::Unknown => Ok(token),
    }
}
