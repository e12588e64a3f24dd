//! A person's own key: found where stock sops looks for it, or made there.

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::sops::{Recipient, generate_identity, with_passphrase};
use crate::ui::{Ui, interrupt, prompt};
use crate::world::{World, identities};

/// What the person chose beforehand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// An age key even where an SSH key could serve.
    pub(super) new: bool,
    /// A passphrase for a new key.
    pub(super) passphrase: bool,
    /// Go ahead without asking.
    pub(super) yes: bool,
    /// Make nothing.
    pub(super) dry_run: bool,
}

/// Finds the person's own key, or makes one. Whether there is one now.
pub(super) fn own(wish: Wish, ui: Ui, world: &World) -> Result<bool> {
    let identities = world.identities()?;
    let own = identities.own_recipients()?;
    if let Some(first) = own.first() {
        let is_ssh = own.iter().all(Recipient::is_ssh);
        if !is_ssh || !another(wish, first, ui)? {
            let sources: Vec<&str> = identities.sources(is_ssh).collect();
            ui.say(&format!("key: {} from {}", short(first), sources.join(", ")));
            if wish.passphrase {
                ui.say("     it stays as it is: --passphrase is for a new key");
            }
            return Ok(true);
        }
    }
    let Some(path) = identities::default_file(&world.variables) else {
        return Err(Error::new(Kind::Usage, "there is no place for an age key").because("HOME is not set"));
    };
    if path.exists() {
        return Err(Error::new(
            Kind::Refused,
            format!("{} is there, and holds no key of yours", path.display()),
        )
        .because("a key file is never overwritten")
        .hint("look at it, and move it away if it is of no use"));
    }
    let asking = ui.before_question(!wish.yes && !wish.dry_run);
    asking.say(&format!("key: none yet; a new age key goes to {}", path.display()));
    if wish.dry_run {
        return Ok(false);
    }
    if !wish.yes {
        prompt::confirm(ui, "Make it?", "--yes").map_err(|error| match error.kind() {
            Kind::Interrupted => error.hint(
                "without a key nothing can be encrypted for you alone; give one that you have in SOPS_AGE_KEY_FILE",
            ),
            _ => error,
        })?;
    }
    let (identity, recipient) = generate_identity();
    let created = world.effects().now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let text =
        Secret::new(format!("# created: {created}\n# public key: {recipient}\n{}\n", identity.expose()));
    let text = if wish.passphrase {
        with_passphrase(&text, &passphrase(ui)?).map_err(|error| {
            Error::new(Kind::Failed, "the key cannot be encrypted").because(error.to_string())
        })?
    } else {
        text
    };
    world.make_key_file(&path, &text)?;
    interrupt::something_was_made();
    ui.say(&format!("key: {recipient}, in {} for you alone", path.display()));
    ui.say("     keep a copy (in a password manager): nothing else opens what is for you alone");
    Ok(true)
}

/// Whether an age key is wanted although an SSH key could serve.
fn another(wish: Wish, ssh: &Recipient, ui: Ui) -> Result<bool> {
    if wish.new || !ui.interactive || wish.yes || wish.dry_run {
        return Ok(wish.new);
    }
    let question = format!("Use your SSH key {}, or make an age key?", short(ssh));
    match prompt::choose(ui, &question, "use it", "make one") {
        Some(uses) => Ok(!uses),
        None => Err(interrupt::error("declined")),
    }
}

fn passphrase(ui: Ui) -> Result<Secret> {
    let ask = |question| {
        prompt::secret(ui, question).map_err(|error| match error {
            prompt::SecretError::NoTerminal => Error::new(
                Kind::Usage,
                "a passphrase has to be asked for, and there is no terminal to ask on",
            )
            .hint("run the same on a terminal, or leave out --passphrase"),
            prompt::SecretError::NotGiven => interrupt::error("no passphrase"),
        })
    };
    loop {
        let first = ask("Passphrase of the new key")?;
        if first.is_empty() {
            ui.say("an empty passphrase protects nothing");
        } else if ask("The same again")?.expose() == first.expose() {
            return Ok(first);
        } else {
            ui.say("they are not the same");
        }
    }
}

/// An SSH key is long, and its beginning is that of all.
fn short(recipient: &Recipient) -> String {
    let text = recipient.to_string();
    if !recipient.is_ssh() || text.len() < 60 {
        return text;
    }
    let kind = text.split(' ').next().unwrap_or_default();
    format!("{kind} …{}", &text[text.len() - 24..])
}
