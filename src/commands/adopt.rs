//! `provision adopt`: tokens and SOPS files that a team made by hand come under care. No secrets file is written.

use std::rc::Rc;

use super::Exit;
use super::connection::{Connections, need_yes};
use super::init::instance;
use super::writer;
use crate::apply::publish;
use crate::cli::AdoptArgs;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::hint::Hint;
use crate::instance::Instance;
use crate::observe::{self, Wish, adopt, environments, readership, taken};
use crate::plan::adopt::{self as plans, Adoption, Left, TakenOver, plan};
use crate::profile::Environment;
use crate::repo::{Head, RelPath, Repository};
use crate::token::Kind;
use crate::ui::{Ui, interrupt, prompt};
use crate::world::{Content, World};

/// Finds, asks GitLab, shows, and writes profiles, templates and locks in one commit.
///
/// # Errors
/// See the exit codes.
pub async fn run(args: &AdoptArgs, ui: Ui, world: &World) -> Result<Exit> {
    interrupt::before_any_effect();
    let repo = Rc::new(Repository::discover(&world.directory)?);
    let _lock = writer::lock(&repo, "adopt", args.lock_timeout, ui)?;
    let head = repo.head()?;
    let all = environments::all(&repo)?;
    let connections = Connections::new(&args.connection, ui, world)?;
    let of = gitlab(args, &all, world)?;
    let mut adoption = new_ones(args, &all, &of, &repo, &connections, ui, world).await?;
    let known =
        all.into_iter().filter(|one| args.files.is_empty() || args.files.iter().any(|file| names(one, file)));
    for environment in known {
        if args.gitlab.is_none() || environment.gitlab == of {
            known_one(environment, &of, &repo, &connections, world, &mut adoption).await?;
        } else if !args.files.is_empty() {
            let why = format!("it is of {}", environment.gitlab);
            adoption.left.push(Left { place: environment.name, why });
        }
    }
    listed(args, &of, &repo, &connections, &mut adoption).await?;
    report(&adoption, ui)?;
    let exit = if adoption.left.is_empty() { Exit::Done } else { Exit::Attention };
    if adoption.is_empty() || args.dry_run {
        return Ok(exit);
    }
    if !args.yes {
        need_yes(ui, args.yes)?;
        prompt::confirm(ui, "Go ahead?", "--yes")?;
    }
    interrupt::under_way();
    let commit = write(&adoption, head, &repo, world)?;
    ui.say(&format!("commit {}", commit.chars().take(10).collect::<String>()));
    let to_paste = adoption.environments.iter().filter_map(|one| Some((one, one.to_paste.as_ref()?)));
    for (environment, file) in to_paste {
        let keys: Vec<&str> = environment.lock.tokens.keys().map(String::as_str).collect();
        let values = format!(", with the values that you have: {}", keys.join(", "));
        let edit = Hint::from("next: sops edit ").path(file).then(values);
        ui.say(&edit.at(repo.here()).to_string());
        ui.say("then: commit it, and run provision adopt again");
    }
    ui.say("next: provision status");
    Ok(exit)
}

/// The instance that the tokens are of.
fn gitlab(args: &AdoptArgs, all: &[Environment], world: &World) -> Result<Instance> {
    match (&args.gitlab, all.first()) {
        (Some(url), _) => instance(url),
        (None, Some(environment)) => Ok(environment.gitlab.clone()),
        (None, None) => instance(super::init::default_gitlab(&world.variables)),
    }
}

/// Whether the profile of this environment names this secrets file.
fn names(environment: &Environment, file: &str) -> bool {
    environment.secrets.iter().any(|secrets| secrets.matches(file))
}

/// Environments for files that no profile names.
async fn new_ones(
    args: &AdoptArgs,
    all: &[Environment],
    gitlab: &Instance,
    repo: &Repository,
    connections: &Connections<'_>,
    ui: Ui,
    world: &World,
) -> Result<Adoption> {
    let files = adopt::files(repo, all)?;
    let files = if args.files.is_empty() { files } else { chosen(&args.files, all, &files)? };
    let search = adopt::search(&files, repo, world)?;
    if search.candidates.is_empty() {
        return Ok(Adoption { left: search.left, ..Adoption::default() });
    }
    let client = connections.client(gitlab)?;
    if !args.yes {
        let (count, files) = (search.candidates.len(), search.files().join(", "));
        ui.before_question(true).say(&format!("{count} values in {files} look like GitLab tokens"));
        prompt::confirm(ui, &format!("Show them to {gitlab}, to ask whose they are?"), "--yes")?;
    }
    let (found, mut left) = adopt::ask(search, repo, &client).await?;
    let (environments, more) = plan(&found, gitlab, &adopt::taken(repo)?);
    left.extend(more);
    Ok(Adoption { environments, taken_over: Vec::new(), left })
}

/// Those of `wanted` that no profile names.
fn chosen(wanted: &[String], all: &[Environment], files: &[String]) -> Result<Vec<String>> {
    let is_known = |file: &String| all.iter().any(|environment| names(environment, file));
    let wanted: Vec<String> = wanted.iter().filter(|file| !is_known(file)).cloned().collect();
    if let Some(other) = wanted.iter().find(|file| !files.contains(file)) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("{other} is not a SOPS file that can be taken over"),
        )
        .because("it has to be committed, and encrypted by sops; paths begin at the repository's root"));
    }
    Ok(wanted)
}

/// Environments for tokens that GitLab lists and whose values are not here.
async fn listed(
    args: &AdoptArgs,
    gitlab: &Instance,
    repo: &Repository,
    connections: &Connections<'_>,
    adoption: &mut Adoption,
) -> Result<()> {
    let groups = args.from_group.iter().map(|path| (Kind::Group, path));
    let owners: Vec<_> = groups.chain(args.from_project.iter().map(|path| (Kind::Project, path))).collect();
    if owners.is_empty() {
        return Ok(());
    }
    let policy = readership::policy(repo)?;
    let client = connections.client(gitlab)?;
    for (kind, path) in owners {
        let owner = client.resolve_owner(kind, path.trim_matches('/')).await?;
        let made = adoption.environments.iter().map(|one| &one.lock);
        let locks = made.chain(adoption.taken_over.iter().map(|one| &one.lock));
        let found = locks.flat_map(|lock| lock.current_at(gitlab)).collect();
        let records = adopt::unmanaged(&owner, &found, repo, &client).await?;
        let (records, left) = plans::made_by_hand(records, &owner);
        adoption.left.extend(left);
        let mut taken = adopt::taken(repo)?;
        taken.extend(adoption.environments.iter().map(|one| one.name.clone()));
        let adopted = plans::listed(records, &owner, gitlab, &taken).map_err(|why| {
            Error::new(ErrorKind::Failed, format!("no profile can be written for {path}")).because(why)
        })?;
        let Some(adopted) = adopted else { continue };
        if let Some(file) = &adopted.to_paste {
            policy.rule_for(file).map_err(|error| {
                Error::from_source(ErrorKind::Refused, &error)
                    .context(format!("{file} could not be encrypted"))
            })?;
        }
        adoption.environments.push(adopted);
    }
    Ok(())
}

/// Values that a person put into the slots of an environment that is there. One of another GitLab than `of` is left where
/// that cannot be asked.
async fn known_one(
    environment: Environment,
    of: &Instance,
    repo: &Rc<Repository>,
    connections: &Connections<'_>,
    world: &World,
    adoption: &mut Adoption,
) -> Result<()> {
    let name = environment.name.clone();
    let is_of = environment.gitlab == *of;
    let wish = Wish::default();
    let look = async {
        let client = connections.client(&environment.gitlab)?;
        let (ground, observed) =
            observe::environment(environment, Rc::clone(repo), client, world, wish).await?;
        let found = taken::look(&ground, &observed, world).await?;
        Ok::<_, Error>((ground.lock_path.to_string(), found))
    };
    match look.await {
        Ok((path, (lock, tokens, left))) => {
            adoption.left.extend(left);
            if !tokens.is_empty() {
                adoption.taken_over.push(TakenOver { environment: name, path, lock, tokens });
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
        Err(error) if is_of && matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::NotAllowed) => {
            Err(error)
        }
        Err(error) => {
            adoption.left.push(Left { place: name, why: error.message().to_owned() });
            Ok(())
        }
    }
}

fn report(adoption: &Adoption, ui: Ui) -> Result<()> {
    if ui.json() {
        return ui.result_json(adoption);
    }
    for line in adoption.lines() {
        ui.result(&format!("{line}\n"))?;
    }
    for left in &adoption.left {
        ui.note(true, &format!("left: {}: {}", left.place, left.why));
    }
    if adoption.is_empty() {
        ui.say("nothing to take over");
    }
    Ok(())
}

fn write(adoption: &Adoption, head: Head, repo: &Repository, world: &World) -> Result<String> {
    let texts = adoption.files();
    let files = texts.iter().map(|(path, text, is_lock)| {
        Ok((RelPath::new(path)?, if *is_lock { Content::Lock(text) } else { Content::Scaffold(text) }))
    });
    let files = files.collect::<Result<Vec<_>>>()?;
    let committed = publish(&files, adoption.message(), head, repo, world).map_err(|error| {
        let is_written = error.kind() == ErrorKind::HalfWay;
        let mend = "the files are written; mend that, then commit them with git";
        if is_written { error.hint(mend) } else { error }
    })?;
    Ok(committed.map(|committed| committed.id.to_string()).unwrap_or_default())
}
