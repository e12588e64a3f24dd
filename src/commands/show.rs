//! `provision show`: what is in a secrets file; its values only when that is asked for.

use serde::Serialize;

use crate::cli::ShowArgs;
use crate::error::{Error, Kind, Result};
use crate::explain::cannot_open;
use crate::hint::Hint;
use crate::observe::environments;
use crate::observe::secrets::{self, Secrets};
use crate::repo::Repository;
use crate::sops::{LocateError, Opened, Path, RevealError};
use crate::ui::{Ui, listing};
use crate::world::World;

#[derive(Serialize)]
struct Report<'a> {
    files: Vec<listing::File<'a>>,
}

/// Prints the keys; with `--reveal` one value or the whole document, once the MAC was verified.
///
/// # Errors
/// A file or path that is not there, one value without `--reveal`, a file that no identity opens or that was
/// tampered with.
pub fn run(args: &ShowArgs, ui: Ui, world: &World) -> Result<()> {
    let (mut files, wanted) = chosen(args, world)?;
    if let Some(text) = &wanted {
        let path = narrow(&mut files, text)?;
        if !args.reveal {
            return Err(Error::new(Kind::Usage, format!("{path} is shown only when asked to"))
                .hint("add --reveal to print it"));
        }
        return reveal_one(files, &path, ui, world);
    }
    if args.reveal {
        return reveal_all(files, ui, world);
    }
    if ui.json() {
        let files = files.iter().map(|file| listing::File::of(&file.name, &file.file)).collect();
        return ui.result_json(&Report { files });
    }
    for file in &files {
        if files.len() > 1 {
            ui.result(&format!("{}:\n", file.name))?;
        }
        ui.result(&listing::keys(&file.file))?;
    }
    ui.say("--reveal prints the values");
    Ok(())
}

/// The files that are meant, and what of them.
fn chosen(args: &ShowArgs, world: &World) -> Result<(Vec<Secrets>, Option<String>)> {
    match (&args.env, args.operands.as_slice()) {
        (Some(name), [] | [_]) => {
            let repo = Repository::discover(&world.directory)?;
            let environment = environments::read(&repo, name)?;
            let files = secrets::of_environment(&environment, &repo, || world.identities())?;
            Ok((files, args.operands.first().cloned()))
        }
        (None, [file, rest @ ..]) => {
            Ok((vec![secrets::read(file, &world.directory.join(file))?], rest.first().cloned()))
        }
        (Some(_), _) => Err(Error::new(Kind::Usage, "--env and FILE are two ways to name a file: give one")),
        (None, []) => Err(Error::new(Kind::Usage, "which file?")
            .hint("name a file, or --env and an environment: provision show --env qa")),
    }
}

/// Leaves the one file that has it.
fn narrow(files: &mut Vec<Secrets>, text: &str) -> Result<Path> {
    let mut found = Vec::new();
    let mut missing = None;
    for (at, file) in files.iter().enumerate() {
        match file.file.locate(text) {
            Ok(path) => found.push((at, path)),
            Err(error @ LocateError::Missing { .. }) => {
                missing = Some(Error::from_source(Kind::Usage, &error).context(file.name.clone()));
            }
            Err(error) => return Err(Error::from_source(Kind::Usage, &error)),
        }
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some((at, path)), None) => {
            *files = vec![files.swap_remove(at)];
            Ok(path)
        }
        (Some((one, _)), Some((two, _))) => Err(Error::new(
            Kind::Usage,
            format!("{text} is in {} and in {}", files[one].name, files[two].name),
        )
        .hint("name the file instead of --env")),
        (None, _) => {
            let error = missing.unwrap_or_else(|| Error::new(Kind::Usage, format!("there is no {text}")));
            Err(error.hint("provision show FILE, without a path, lists the keys"))
        }
    }
}

fn reveal_one(files: Vec<Secrets>, path: &Path, ui: Ui, world: &World) -> Result<()> {
    for file in files {
        let opened = open(file, world)?;
        if ui.json() {
            return ui.secret_json(&opened.json(path).map_err(shown)?);
        }
        if opened.file().leaf(path).is_none() {
            return Err(Error::new(Kind::Usage, format!("{path} is a mapping or a list, not one value"))
                .hint("add --json to print all of it, or name one of the values in it"));
        }
        let value = opened.raw(path);
        ui.secret(value.as_deref().map_or(&[], Vec::as_slice))?;
    }
    Ok(())
}

fn reveal_all(files: Vec<Secrets>, ui: Ui, world: &World) -> Result<()> {
    if let [one, two, ..] = files.as_slice() {
        return Err(Error::new(Kind::Usage, "there are several files, and each is a document of its own")
            .because(format!("{}, {}", one.name, two.name))
            .hint(Hint::from("name one: provision show ").path(&one.name).then(" --reveal")));
    }
    for file in files {
        let opened = open(file, world)?;
        if ui.json() {
            ui.secret_json(&opened.json(&Path::default()).map_err(shown)?)?;
        } else {
            ui.secret(&opened.document().map_err(shown)?)?;
        }
    }
    Ok(())
}

fn open(file: Secrets, world: &World) -> Result<Opened> {
    let identities = world.identities()?;
    let name = file.name;
    file.file
        .open(&identities)
        .map_err(|error| cannot_open(error, &world.names_near()).context(format!("{name} cannot be opened")))
}

fn shown(error: RevealError) -> Error {
    match error {
        RevealError::Value(error) => error.into(),
        RevealError::Layout => {
            Error::from_source(Kind::Failed, &error).hint("--json prints the values without the layout")
        }
    }
}
