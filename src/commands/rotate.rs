//! `provision rotate`: successors for tokens, whether they are due or not.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::Exit;
use super::chosen;
use super::connection::Connections;
use super::writer::{self, BY_HAND, Job};
use crate::cli::RotateArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::Leaked;
use crate::observe::environments;
use crate::observe::leaked::{Answer, find, still_works};
use crate::plan::deliver::Way;
use crate::plan::invocation::Verb;
use crate::plan::options::{Chosen, End, Options, Overlap, Renew};
use crate::profile::{Environment, expiry};
use crate::repo::Repository;
use crate::secret::Secret;
use crate::ui::{Ui, form, interrupt, prompt};
use crate::world::World;

/// Observes, plans, shows, asks, applies, reports.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &RotateArgs, ui: Ui, world: &World) -> Result<Exit> {
    interrupt::before_any_effect();
    let repo = Rc::new(Repository::discover(&world.directory)?);
    if args.leaked {
        let any = if args.env.is_empty() { environments::names(&repo)? } else { args.env.clone() };
        return leaked(args, &chosen::named(&any, &repo)?, repo, ui, world).await;
    }
    let way = args.write.run.delivery.way();
    let chosen = chosen::these_or_all(&args.env, args.all, way, ui, &repo)?;
    let options = options(args, renew(args), &chosen)?;
    rotate(args, chosen, options, None, repo, ui, world).await
}

async fn rotate(
    args: &RotateArgs,
    environments: Vec<Environment>,
    options: Options,
    leaked: Option<Leaked>,
    repo: Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<Exit> {
    let job =
        Job { verb: "provision rotate", environments, pasted: None, leaked, options: &|_| options.clone() };
    writer::run(&job, repo, &args.write, ui, world).await
}

/// Finds the entry of a token that is in the wrong hands, and rotates that.
async fn leaked(
    args: &RotateArgs,
    environments: &[Environment],
    repo: Rc<Repository>,
    ui: Ui,
    world: &World,
) -> Result<Exit> {
    let value = leaked_value(ui, world)?;
    let instances: BTreeSet<_> = environments.iter().map(|environment| &environment.gitlab).collect();
    let [instance] = instances.into_iter().collect::<Vec<_>>()[..] else {
        return Err(Error::new(Kind::Usage, "the environments are of several GitLabs")
            .because("a token is sent to its own GitLab only, and it does not say which that is")
            .hint("name an environment of the token's GitLab with --env"));
    };
    let client = Connections::new(&args.write.connection, ui, world)?.client(instance)?;
    match find(&value, environments, &repo, &client).await? {
        Answer::Ended { how } => {
            ui.say(&format!("{instance} says that this token {how}: nobody can use it any more"));
            Ok(Exit::Done)
        }
        Answer::Lives { environment, id, key, last_used } => {
            let environments = chosen::named(std::slice::from_ref(&environment), &repo)?;
            let options = options(args, Renew::Leaked { id, last_used }, &environments)?;
            let again = options.command(&environment).to_string();
            let value = Rc::new(value);
            let leaked = Leaked { id, value: Rc::clone(&value) };
            let outcome = rotate(args, environments, options, Some(leaked), repo, ui, world).await;
            if args.write.run.dry_run || matches!(outcome, Ok(Exit::Done)) {
                return outcome;
            }
            let Some(how) = still_works(&value, &client).await else { return outcome };
            let what = format!("token {id} leaked, and {how}");
            Err(match outcome {
                Ok(_) => Error::new(Kind::HalfWay, what)
                    .hint(format!("run it again, with the same token: {again}"))
                    .hint(BY_HAND),
                Err(error) => still_leaked(error, what, &environment, key),
            })
        }
    }
}

/// An error that leaves a token in the wrong hands, with the ways to end it. Half-way, another one may be the current token
/// of the entry.
fn still_leaked(error: Error, what: String, environment: &str, key: Option<String>) -> Error {
    let error = error.because(what);
    let current = key.filter(|_| error.kind() != Kind::HalfWay);
    let error = current.into_iter().fold(error, |error, key| {
        let end = End::These(Chosen::from_iter([key]));
        let revoke = Options { verb: Verb::Revoke, renew: Renew::Nothing, end, ..Options::default() };
        error.hint(format!("without a successor, it ends with: {}", revoke.command(environment)))
    });
    if error.hints().contains(&BY_HAND.into()) { error } else { error.hint(BY_HAND) }
}

fn leaked_value(ui: Ui, world: &World) -> Result<Secret> {
    if !ui.interactive {
        return form::whole(&world.read_secret_stdin()?);
    }
    let given = prompt::secret(ui, "The token that leaked")
        .map_err(|_| Error::new(Kind::Interrupted, "no token was given; nothing was changed"))?;
    form::whole(&given)
}

fn renew(args: &RotateArgs) -> Renew {
    let chosen = Chosen::named(&args.token);
    if args.due { Renew::Due(chosen) } else { Renew::Now(chosen) }
}

fn options(args: &RotateArgs, renew: Renew, environments: &[Environment]) -> Result<Options> {
    let options = Options { verb: Verb::Rotate, renew, force: args.force, ..args.write.options() };
    with_overlap(args.overlap.as_deref(), options, environments)
}

/// The same with the choice that `--overlap` makes, for these environments, as far as they are known.
///
/// # Errors
/// An overlap that is none, or one of nothing where nobody would have the successors.
pub(super) fn with_overlap(
    written: Option<&str>,
    options: Options,
    environments: &[Environment],
) -> Result<Options> {
    let options = Options { overlap: written.map(overlap).transpose()?, ..options };
    if options.at_once() && !options.force && options.way != Some(Way::Push) {
        let what = "--overlap 0s would revoke tokens whose successors nobody has yet";
        let how = match options.way {
            Some(way) => format!("instead of {}", way.option()),
            None => "as well".to_owned(),
        };
        let push = format!("--push {how}: they are revoked once their successors are upstream");
        let force = "--force as well: they are revoked as soon as their successors are committed";
        let error = Error::new(Kind::Usage, what);
        let is_in_git = environments.iter().all(|environment| environment.outside_git().is_none());
        return Err(if is_in_git { error.hint(push).hint(format!("or {force}")) } else { error.hint(force) });
    }
    Ok(options)
}

fn overlap(text: &str) -> Result<Overlap> {
    let span = expiry::fixed(text).map_err(|error| Error::new(Kind::Usage, format!("--overlap: {error}")))?;
    Ok(Overlap { written: text.to_owned(), span })
}
