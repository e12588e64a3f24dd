//! `provision bootstrap`: a new developer's way from a clone to a working secrets file. Each step finds what is there
//! already, so that it can be run again at any time; one that the person skips keeps no other from being done.

use std::rc::Rc;

use super::access::Consent;
use super::connection::Connections;
use super::paste::{self, Beforehand, Pasting};
use super::writer::{self, Carried, Job};
use super::{Exit, access, own_key};
use crate::apply;
use crate::cli::{BootstrapArgs, RunArgs, WriteArgs};
use crate::error::{Error, Kind, Result, word};
use crate::gitlab::credential::Given;
use crate::observe::environments;
use crate::observe::own::{self, Own};
use crate::plan::access::Requested;
use crate::plan::invocation::Verb;
use crate::plan::options::Options;
use crate::profile::Environment;
use crate::repo::Repository;
use crate::secret::Secret;
use crate::token::Kind as TokenKind;
use crate::ui::{Ui, interrupt};
use crate::world::World;

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
    let wish = own_key::Wish {
        new: args.new_key,
        passphrase: args.passphrase,
        yes: args.write.run.yes,
        dry_run: args.write.run.dry_run,
    };
    let again = Again { environment: &environment.name, wanted: &args.request_access };
    match own_key::own(wish, ui, world) {
        Ok(true) => {}
        Ok(false) => return Ok(Exit::Done),
        // What is for the team can be made without a key of one's own.
        Err(error) if is_skipped(&error) && !environment.is_personal() => ui.say("key: skipped"),
        Err(error) if is_skipped(&error) => return Err(again.after_key(error)),
        Err(error) => return Err(error),
    }
    let carried = token(args, environment.clone(), &repo, ui, world).await?;
    if !ui.json() {
        carried.report(ui, None)?;
    }
    let skipped = carried.outcome.as_ref().is_err_and(is_skipped);
    let asked = if wanted.is_empty() || (carried.outcome.is_err() && !skipped) {
        Ok(None)
    } else {
        if skipped {
            ui.say("token: skipped");
        } else if !args.write.run.dry_run {
            interrupt::something_was_made();
        }
        ask_for_access(args, &wanted, &environment, &repo, ui, world).await.map(Some)
    };
    if ui.json() {
        carried.report(ui, asked.as_ref().ok().and_then(Option::as_ref))?;
    }
    let exit = match carried.outcome {
        Err(error) if skipped => {
            return Err(again.after_token(match asked {
                Ok(None) => error,
                Ok(Some(_)) => interrupt::error("declined"),
                Err(error) if is_skipped(&error) => again.after_access(error),
                Err(error) => error,
            }));
        }
        outcome => outcome?,
    };
    if !args.write.run.dry_run {
        next(&environment, &wanted, &repo, ui)?;
    }
    match asked {
        Err(error) if is_skipped(&error) => Err(again.after_access(error)),
        asked => asked.map(|_| exit),
    }
}

fn next(environment: &Environment, wanted: &[Environment], repo: &Repository, ui: Ui) -> Result<()> {
    ui.say(&format!("next: provision exec --env {} -- COMMAND", environment.name));
    if wanted.is_empty() && environments::names(repo)?.len() > 1 {
        ui.say("to read more: provision bootstrap --request-access NAME asks a maintainer for it");
    }
    Ok(())
}

/// Whether the person said no to a step. The others have their turn all the same.
fn is_skipped(error: &Error) -> bool {
    error.kind() == Kind::Interrupted
}

/// The command that does later what was skipped.
struct Again<'a> {
    environment: &'a str,
    /// To read more.
    wanted: &'a [String],
}

impl Again<'_> {
    fn command(&self, with_access: bool) -> String {
        let command = format!("provision bootstrap --env {}", word(self.environment));
        if with_access && !self.wanted.is_empty() {
            return format!("{command} --request-access {}", word(self.wanted.join(",")));
        }
        command
    }

    fn after_key(&self, error: Error) -> Error {
        error.hint(format!(
            "your token for {} is not made either: it would be encrypted for you alone; to do both later: {}",
            self.environment,
            self.command(true)
        ))
    }

    fn after_token(&self, error: Error) -> Error {
        error.hint(format!(
            "your token for {} is not made; to do it later: {}",
            self.environment,
            self.command(false)
        ))
    }

    fn after_access(&self, error: Error) -> Error {
        error.hint(format!("to ask for it later: {}", self.command(true)))
    }
}

async fn ask_for_access(
    args: &BootstrapArgs,
    wanted: &[Environment],
    environment: &Environment,
    repo: &Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<Requested> {
    let RunArgs { yes, dry_run, lock_timeout, .. } = args.write.run;
    let own = own::find(environment, repo, world)?.map(|own| own.user.to_string());
    let called = args.name.clone().or(own).ok_or_else(|| {
        Error::new(Kind::Usage, "it is not known what you are called").hint("add --name NAME")
    })?;
    let consent = Consent { yes, dry_run, lock_timeout, verb: "bootstrap" };
    let requested = access::request(wanted, &called, consent, repo, ui, world).await?;
    if matches!(requested, Requested::Open { .. }) {
        interrupt::something_was_made();
    }
    Ok(requested)
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

/// Makes the environment true for this person.
async fn token(
    args: &BootstrapArgs,
    environment: Environment,
    repo: &Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<Carried> {
    let connections = Connections::new(&args.write.connection, ui, world)?;
    let key =
        environment.tokens.iter().find(|token| token.kind == TokenKind::Personal).map(|token| &token.key);
    let given = connections.given();
    let made_now = given.is_none() && connections.is_empty(&environment.gitlab);
    let value = if made_now {
        match without_credential(&connections, &environment, repo, &args.write, ui, world).await {
            Ok(value) => value,
            Err(error) => return Ok(Carried::stopped(error, repo)),
        }
    } else {
        given
    };
    let pasted = key.zip(value).map(|(key, value)| Beforehand { key: key.clone(), value, made_now });
    let options = Options { verb: Verb::Bootstrap, ..args.write.options() };
    let job = Job {
        verb: "bootstrap",
        environments: vec![environment],
        pasted,
        leaked: None,
        options: &|_| options.clone(),
    };
    Ok(writer::carry_out(&job, Rc::clone(repo), &args.write, &connections, &[], ui, world).await)
}

/// The token in the person's own file where it still works, else one that is made now. It acts for itself; returns the one
/// that was made.
async fn without_credential(
    connections: &Connections<'_>,
    environment: &Environment,
    repo: &Repository,
    args: &WriteArgs,
    ui: Ui,
    world: &World,
) -> Result<Option<Secret>> {
    let personal = environment.tokens.iter().find(|token| token.kind == TokenKind::Personal);
    let own = own::find(environment, repo, world)?;
    let user = own.as_ref().map(|own| own.user.clone());
    if let Some(Own { value, file, .. }) = own {
        connections.approve(&environment.gitlab)?;
        connections.act_with(Given { value, option: file.clone() });
        match connections.client(&environment.gitlab)?.own_token().await {
            Ok(_) => return Ok(None),
            Err(error) if error.condemns_credential() => {
                ui.say(&format!("token: GitLab no longer takes the one in {file}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Where no token is asked of a person, the connection's error says where one is looked for.
    let Some(token) = personal else { return Ok(None) };
    if args.run.dry_run || !ui.interactive {
        return Err(paste::not_given(environment, token, world));
    }
    // All that can fail without GitLab fails before a person makes a token there.
    apply::rehearse_before_a_token(environment, user.as_ref(), args.run.delivery.way(), repo, world)?;
    connections.approve(&environment.gitlab)?;
    let pasting = Pasting { accepts_more: args.accept_more, beforehand: None };
    let value = pasting.without_plan(environment, token, repo, ui, world).await?;
    connections.act_with(Given { value: value.trimmed(), option: "the form".to_owned() });
    Ok(Some(value))
}
