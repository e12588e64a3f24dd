//! `provision bootstrap`: a new developer's way from a clone to a working secrets file. Each step finds what is there
//! already, so that it can be run again at any time.

use std::rc::Rc;

use super::connection::{Connections, need_yes};
use super::paste::{self, Beforehand};
use super::writer::{self, Job};
use super::{Exit, access};
use crate::cli::BootstrapArgs;
use crate::error::{Error, Kind, Result};
use crate::gitlab::credential::Given;
use crate::observe::own::{self, Own};
use crate::observe::{Wish, environments};
use crate::plan::provision::{Options, plan};
use crate::profile::Environment;
use crate::repo::Repository;
use crate::secret::Secret;
use crate::sops::{Recipient, generate_identity, with_passphrase};
use crate::token::Kind as TokenKind;
use crate::ui::{Ui, interrupt, prompt};
use crate::world::{World, identities};

/// Key, token, file, and where it was asked for, the request to read more.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &BootstrapArgs, ui: Ui, world: &World) -> Result<Exit> {
    interrupt::before_any_effect();
    let repo = Rc::new(Repository::discover(&world.directory)?);
    let environment = environment(args, &repo)?;
    let wanted: Vec<Environment> =
        args.request_access.iter().map(|name| environments::read(&repo, name)).collect::<Result<_>>()?;
    if !key(args, ui, world)? {
        return Ok(Exit::Done);
    }
    let name = environment.name.clone();
    let exit = token(args, environment.clone(), &repo, ui, world).await?;
    if args.write.dry_run {
        return Ok(exit);
    }
    if !wanted.is_empty() {
        let own = own::find(&environment, &repo, world)?.map(|own| own.user.to_string());
        let called = args.name.clone().or(own).ok_or_else(|| {
            Error::new(Kind::Usage, "it is not known what you are called").hint("add --name NAME")
        })?;
        access::request(&wanted, &called, &args.write, &repo, ui, world).await?;
    }
    ui.say(&format!("next: provision exec --env {name} -- COMMAND"));
    if wanted.is_empty() && environments::names(&repo)?.len() > 1 {
        ui.say("to read more: provision bootstrap --request-access NAME asks a maintainer for it");
    }
    Ok(exit)
}

/// The one that was named, else the only one that is for each person alone.
fn environment(args: &BootstrapArgs, repo: &Repository) -> Result<Environment> {
    if let Some(name) = &args.env {
        return environments::read(repo, name);
    }
    let names = environments::names(repo)?;
    let all = names.iter().map(|name| environments::read(repo, name)).collect::<Result<Vec<_>>>()?;
    let (mut personal, shared): (Vec<_>, Vec<_>) = all.into_iter().partition(Environment::is_personal);
    match (personal.len(), personal.pop()) {
        (1, Some(environment)) => Ok(environment),
        (0, _) => Err(Error::new(Kind::Usage, "there is no environment for one developer alone")
            .because("no profile has a secrets file with `recipients: self`")
            .hint(match shared.first() {
                Some(one) => format!("name the one that you want: --env {}", one.name),
                None => "run provision init to make the first ones".to_owned(),
            })),
        (_, last) => {
            personal.extend(last);
            let names: Vec<&str> = personal.iter().map(|one| one.name.as_str()).collect();
            Err(Error::new(Kind::Usage, "there are several environments for one developer alone")
                .hint(format!("name the one that you want: --env {}", names.join(" or --env "))))
        }
    }
}

/// Finds the person's own key, or makes one. Whether there is one now.
fn key(args: &BootstrapArgs, ui: Ui, world: &World) -> Result<bool> {
    let identities = world.identities()?;
    let own = identities.own_recipients()?;
    if let Some(first) = own.first() {
        let is_ssh = own.iter().all(Recipient::is_ssh);
        if !is_ssh || !another_key(args, first, ui)? {
            let sources: Vec<&str> = identities.sources(is_ssh).collect();
            ui.say(&format!("key: {} from {}", short(first), sources.join(", ")));
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
    ui.say(&format!("key: none yet; a new age key goes to {}", path.display()));
    if args.write.dry_run {
        return Ok(false);
    }
    need_yes(ui, args.write.yes)?;
    if !args.write.yes {
        prompt::confirm(ui, "Make it?", "--yes")?;
    }
    let (identity, recipient) = generate_identity();
    let created = world.effects().now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let text =
        Secret::new(format!("# created: {created}\n# public key: {recipient}\n{}\n", identity.expose()));
    let text = if args.passphrase {
        with_passphrase(&text, &passphrase(ui)?).map_err(|error| {
            Error::new(Kind::Failed, "the key cannot be encrypted").because(error.to_string())
        })?
    } else {
        text
    };
    world.make_key_file(&path, &text)?;
    ui.say(&format!("key: {recipient}, in {} for you alone", path.display()));
    ui.say("     keep a copy where it cannot get lost (a password manager): nothing else opens what is for you alone");
    Ok(true)
}

/// Whether an age key is wanted although an SSH key could serve.
fn another_key(args: &BootstrapArgs, ssh: &Recipient, ui: Ui) -> Result<bool> {
    if args.new_key || !ui.interactive || args.write.yes || args.write.dry_run {
        return Ok(args.new_key);
    }
    let question = format!("Use your SSH key {}, or make an age key?", short(ssh));
    match prompt::choose(ui, &question, "use it", "make one") {
        Some(uses) => Ok(!uses),
        None => Err(Error::new(Kind::Interrupted, "declined; nothing was changed")),
    }
}

fn passphrase(ui: Ui) -> Result<Secret> {
    let ask = |question| {
        prompt::secret(ui, question).map_err(|error| match error {
            prompt::SecretError::NoTerminal => Error::new(
                Kind::Usage,
                "a passphrase has to be asked for, and there is no terminal to ask on",
            ),
            prompt::SecretError::NotGiven => {
                Error::new(Kind::Interrupted, "no passphrase; nothing was changed")
            }
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

/// Makes the environment true for this person.
async fn token(
    args: &BootstrapArgs,
    environment: Environment,
    repo: &Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<Exit> {
    let connections = Connections::new(&args.write.connection, ui, world)?;
    let key =
        environment.tokens.iter().find(|token| token.kind == TokenKind::Personal).map(|token| &token.key);
    let mut value = connections.given();
    if value.is_none() && connections.is_empty(&environment.gitlab) {
        value = without_credential(&connections, &environment, repo, args.write.dry_run, ui, world).await?;
    }
    let pasted = key.zip(value).map(|(key, value)| Beforehand { key: key.clone(), value });
    let options = Options { commit: true };
    let job = Job {
        verb: "bootstrap",
        environments: vec![environment],
        wish: Wish { sync_template: false },
        pasted,
        plan: &|environment, observed| plan(environment, observed, options).map_err(Error::from),
    };
    writer::run_with(&job, Rc::clone(repo), &args.write, connections, ui, world).await
}

/// The token in the person's own file where it still works, else one that is made now. It acts for itself; returns the one
/// that was made.
async fn without_credential(
    connections: &Connections<'_>,
    environment: &Environment,
    repo: &Repository,
    dry_run: bool,
    ui: Ui,
    world: &World,
) -> Result<Option<Secret>> {
    let own = own::find(environment, repo, world)?;
    if own.is_none() && (dry_run || !ui.interactive) {
        // The error says where a token is looked for.
        return Ok(None);
    }
    connections.approve(&environment.gitlab)?;
    if let Some(Own { value, file, .. }) = own {
        connections.act_with(Given { value, option: file.clone() });
        match connections.client(&environment.gitlab)?.own_token().await {
            Ok(_) => return Ok(None),
            Err(error) if error.condemns_credential() => {
                ui.say(&format!("token: GitLab no longer takes the one in {file}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let Some(token) = environment.tokens.iter().find(|token| token.kind == TokenKind::Personal) else {
        return Ok(None);
    };
    let value = paste::without_plan(environment, token, ui, world)?;
    connections.act_with(Given { value: value.trimmed(), option: "the form".to_owned() });
    Ok(Some(value))
}
