//! `provision bootstrap`: a new developer's way from a clone to a working secrets file. Each step finds what is there
//! already, so that it can be run again at any time.

use std::rc::Rc;

use super::access::Consent;
use super::connection::Connections;
use super::paste::{self, Beforehand};
use super::writer::{self, Job};
use super::{Exit, access, own_key};
use crate::cli::BootstrapArgs;
use crate::error::{Error, Kind, Result};
use crate::gitlab::credential::Given;
use crate::observe::environments;
use crate::observe::own::{self, Own};
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
    if !own_key::own(wish, ui, world)? {
        return Ok(Exit::Done);
    }
    let name = environment.name.clone();
    let exit = token(args, environment.clone(), &repo, ui, world).await?;
    if args.write.run.dry_run {
        return Ok(exit);
    }
    if !wanted.is_empty() {
        interrupt::something_was_made();
        let own = own::find(&environment, &repo, world)?.map(|own| own.user.to_string());
        let called = args.name.clone().or(own).ok_or_else(|| {
            Error::new(Kind::Usage, "it is not known what you are called").hint("add --name NAME")
        })?;
        let consent =
            Consent { yes: args.write.run.yes, lock_timeout: args.write.run.lock_timeout, verb: "bootstrap" };
        access::request(&wanted, &called, consent, &repo, ui, world).await?;
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
    let mut made_now = false;
    let mut value = connections.given();
    if value.is_none() && connections.is_empty(&environment.gitlab) {
        value =
            without_credential(&connections, &environment, repo, args.write.run.dry_run, ui, world).await?;
        made_now = value.is_some();
    }
    let pasted = key.zip(value).map(|(key, value)| Beforehand { key: key.clone(), value });
    let options = Options { verb: Verb::Bootstrap, ..args.write.options() };
    let job = Job {
        verb: "bootstrap",
        environments: vec![environment],
        pasted,
        leaked: None,
        options: &|_| options.clone(),
    };
    let page = job.environments.first().map(|one| one.gitlab.page("-/user_settings/personal_access_tokens"));
    let done = writer::run_with(&job, Rc::clone(repo), &args.write, connections, ui, world).await;
    done.map_err(|error| match page {
        Some(page) if made_now && error.kind() == Kind::CannotDecrypt => {
            error.hint(format!("the token that you made just now is not used: revoke it at {page}"))
        }
        _ => error,
    })
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
    let personal = environment.tokens.iter().find(|token| token.kind == TokenKind::Personal);
    let own = own::find(environment, repo, world)?;
    if own.is_none() && (dry_run || !ui.interactive) {
        // Where no token is asked of a person, the connection's error says where one is looked for.
        return personal.map_or(Ok(None), |token| Err(paste::not_given(environment, token, world)));
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
    let Some(token) = personal else { return Ok(None) };
    let value = paste::without_plan(environment, token, ui, world)?;
    connections.act_with(Given { value: value.trimmed(), option: "the form".to_owned() });
    Ok(Some(value))
}
