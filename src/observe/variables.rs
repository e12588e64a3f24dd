//! Values of secrets files as the environment variables that a program gets.

use super::{environments, secrets};
use crate::cli::VariablesArgs;
use crate::environ::{self, Assignment, EnvironError, Listed, Mapping, Variable, Wish};
use crate::error::{Error, Kind, Result};
use crate::explain::cannot_open;
use crate::repo::Repository;
use crate::sops::Opened;
use crate::world::World;
use secrets::Secrets;

/// The files that are meant and the variables that their leaves become; nothing is opened.
pub struct Chosen {
    files: Vec<Secrets>,
    /// In the order of files and leaves.
    pub variables: Vec<Variable>,
}

impl Chosen {
    /// Names the variables of the files that `args` mean.
    ///
    /// # Errors
    /// A file or path that is not there, and names that are refused.
    pub fn of(args: &VariablesArgs, world: &World) -> Result<Self> {
        let wish = wish(args)?;
        let files = files(args, world)?;
        let listed: Vec<Listed<'_>> = files
            .iter()
            .map(|(file, environments)| Listed { name: &file.name, environments, file: &file.file })
            .collect();
        let variables = environ::variables(&listed, &wish)?;
        Ok(Self { files: files.into_iter().map(|(file, _)| file).collect(), variables })
    }

    /// Opens the files, verifies their MACs, and reads the values. A null has none and becomes no variable.
    ///
    /// # Errors
    /// A file that no identity opens or that was tampered with.
    pub fn open(self, world: &World) -> Result<Vec<Assignment>> {
        let identities = world.identities()?;
        let open = |file: Secrets| {
            let name = file.name;
            let opened = file.file.open(&identities);
            opened.map_err(|error| {
                cannot_open(error, &world.names_near()).context(format!("{name} cannot be opened"))
            })
        };
        let opened = self.files.into_iter().map(open).collect::<Result<Vec<Opened>>>()?;
        let mut values = Vec::new();
        for Variable { name, file, path } in self.variables {
            if let Some(value) = opened[file].raw(&path) {
                if value.contains(&0) {
                    return Err(EnvironError::Nul { name }.into());
                }
                values.push(Assignment { name, value });
            }
        }
        Ok(values)
    }
}

fn wish(args: &VariablesArgs) -> Result<Wish, EnvironError> {
    let maps = args.maps.iter().map(|text| text.parse()).collect::<Result<Vec<Mapping>, _>>()?;
    Ok(Wish { prefix: args.prefix.clone(), only: args.only.clone(), maps })
}

/// The files, and the environments that each was named by.
fn files(args: &VariablesArgs, world: &World) -> Result<Vec<(Secrets, Vec<String>)>> {
    let mut files: Vec<(Secrets, Vec<String>)> = Vec::new();
    if !args.env.is_empty() {
        let repo = Repository::discover(&world.directory)?;
        for name in &args.env {
            let environment = environments::read(&repo, name)?;
            let found = secrets::of_environment(&environment, &repo, || world.identities())?;
            // Environments may share a file; its values are wanted once.
            for file in found {
                match files.iter_mut().find(|(other, _)| other.name == file.name) {
                    Some((_, environments)) => environments.push(name.clone()),
                    None => files.push((file, vec![name.clone()])),
                }
            }
        }
    }
    for path in &args.files {
        let name = path.display().to_string();
        files.push((secrets::read(&name, &world.directory.join(path))?, Vec::new()));
    }
    if files.is_empty() {
        return Err(Error::new(Kind::Usage, "which file?")
            .hint("name an environment with --env, or a file with --file"));
    }
    Ok(files)
}
