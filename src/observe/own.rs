//! A person's own token: the one that their own secrets file holds.

use crate::error::{Error, Kind, Result};
use crate::hint::Hint;
use crate::profile::{Environment, Recipients, UserName};
use crate::repo::{RelPath, Repository, read};
use crate::secret::Secret;
use crate::sops::{Encrypted, Format};
use crate::world::{World, identities};

use super::environments;

/// What was found.
#[derive(Debug)]
pub struct Own {
    /// Whose file it is, by its lock.
    pub user: UserName,
    /// The file.
    pub file: String,
    /// The value of the first slot that holds a token of this instance.
    pub value: Secret,
}

/// Looks through the locks of a personal environment for a file that an identity here opens. A lock names the slot, and the
/// slot's ENC string has to be the one that it remembers. The value may only be sent where the person has approved it: the
/// lock that says whose it is comes from the repository.
///
/// # Errors
/// Where the repository or the identities cannot be read. A file that does not open is somebody else's.
pub fn find(environment: &Environment, repo: &Repository, world: &World) -> Result<Option<Own>> {
    let identities = world.identities()?;
    for (name, user, lock) in environments::locks(repo)? {
        let Some(user) = user.and_then(|user| user.parse::<UserName>().ok()) else { continue };
        if name != environment.name {
            continue;
        }
        let personal = environment.secrets.iter().filter(|secrets| secrets.recipients == Recipients::Own);
        for file in personal.filter_map(|secrets| secrets.path_for(Some(&user))) {
            let real = repo.resolve(&RelPath::new(&file)?)?.below(repo.root());
            let Ok(bytes) = read::bytes(&real) else { continue };
            let Ok(encrypted) = Encrypted::parse(Format::of_path(&file), &bytes) else { continue };
            let here = lock.tokens.values().filter(|entry| entry.gitlab == environment.gitlab);
            let slots = here.filter_map(|entry| entry.slots.get(&file)).flatten();
            let path = slots.filter(|(path, digest)| {
                encrypted.leaf(path).is_some_and(|enc| crate::lock::digest(enc) == **digest)
            });
            let Some((path, _)) = path.into_iter().next() else { continue };
            let Ok(opened) = encrypted.open(&identities) else { continue };
            if let Some(value) = opened.get(path)? {
                return Ok(Some(Own { user, file, value }));
            }
        }
    }
    Ok(None)
}

/// Refuses a person's own file that is for a key which they have elsewhere: what is in it can be neither read nor kept here.
///
/// # Errors
/// Where no identity here is among its readers.
pub fn is_for_a_key_here(path: &RelPath, content: Option<&[u8]>, world: &World) -> Result<()> {
    // What is no SOPS file is refused where it is read.
    let encrypted = content.and_then(|bytes| Encrypted::parse(Format::of_path(path.as_str()), bytes).ok());
    let Some(encrypted) = encrypted else { return Ok(()) };
    let readers = encrypted.recipients();
    if readers.is_empty() {
        return Ok(());
    }
    let identities = world.identities()?;
    if identities.recipients().any(|own| readers.contains(&own)) {
        return Ok(());
    }
    let readers: Vec<String> = readers.iter().map(ToString::to_string).collect();
    let place = identities::default_file(&world.variables);
    let place = place.map_or_else(|| "your age keys".to_owned(), |file| file.display().to_string());
    let refused = Error::new(Kind::CannotDecrypt, format!("{path} is yours, and no key here opens it"))
        .because(format!("it is for {}", readers.join(", ")));
    Err(identities
        .unusable(false)
        .fold(refused, Error::because)
        .hint(format!("add that key to {place}, from your other machine or your copy of it, and run the same command again"))
        .hint(
            Hint::from("where that key is lost: git rm ")
                .path(path)
                .then(" && git commit, then provision bootstrap makes a new token"),
        ))
}
