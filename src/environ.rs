//! The leaves of secrets files as environment variables of a program: names only, no values.
//!
//! A key at the top of a file keeps its name where that can be the name of a variable. Any other leaf gets its keys and
//! list positions (from 0) joined by `_`, upper-cased, with `_` for every character that a name cannot have:
//! `data.token` becomes `DATA_TOKEN`, `hosts[0].my-key` becomes `HOSTS_0_MY_KEY`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::sops::{Encrypted, Form, LocateError, Path, Segment};

pub mod guard;
pub mod quote;
#[cfg(test)]
mod tests;

/// Which leaves become variables, and under which names.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Put in front of every name that is not given by `maps`.
    pub prefix: String,
    /// Only these leaves, or what is below them; all where empty. Those of `maps` are taken in any case.
    pub only: Vec<String>,
    /// Names given on purpose.
    pub maps: Vec<Mapping>,
}

/// `NAME=PATH`: the leaf at PATH as the variable NAME. Where there are several files, PATH can begin with the environment or
/// the file that is meant: `QA_TOKEN=qa:GITLAB_TOKEN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The variable.
    pub name: String,
    /// As [`Encrypted::locate`] takes it, behind `ENVIRONMENT:` or `FILE:` or by itself.
    pub path: String,
}

/// A leaf and the variable that it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Name of the variable.
    pub name: String,
    /// Which of the files it is in, from 0.
    pub file: usize,
    /// Where in the file.
    pub path: Path,
}

/// A variable and its value, which is overwritten when it is dropped.
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Texts as they are, numbers in decimal, `true` and `false`, times as in RFC 3339. Never with a NUL byte.
    pub value: Zeroizing<Vec<u8>>,
}

/// A secrets file and what it is called in messages.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// Path as the user knows it.
    pub name: &'a str,
    /// The environments that it was named by.
    pub environments: &'a [String],
    /// The file.
    pub file: &'a Encrypted,
}

/// Why leaves do not become variables. Nothing is started or printed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironError {
    /// Not a name that a variable can have.
    #[error("`{text}` cannot be the name of a variable: letters, digits and _, not a digit first")]
    Name {
        /// As given.
        text: String,
    },
    /// A mapping without `=`.
    #[error("`{text}` is not NAME=PATH")]
    Mapping {
        /// As given.
        text: String,
    },
    /// Two leaves would be the same variable.
    #[error("{first} and {second} would both be {name}")]
    Collision {
        /// The variable.
        name: String,
        /// File and path of one.
        first: String,
        /// File and path of the other.
        second: String,
        /// Another name for the other, and what means it alone, where they are in two files: `QA_TOKEN`, `qa:GITLAB_TOKEN`.
        another: Option<(String, String)>,
    },
    /// Nothing is left of a key when it becomes a name.
    #[error("no name of a variable can be made from {leaf}")]
    Nameless {
        /// File and path.
        leaf: String,
    },
    /// A name that changes how programs start or what they trust.
    #[error("{leaf} would be {name}, and {name} {why}")]
    Dangerous {
        /// The variable.
        name: String,
        /// File and path.
        leaf: String,
        /// What it does.
        why: &'static str,
    },
    /// A path that no file has.
    #[error("there is no {path} in {files}")]
    Missing {
        /// As given.
        path: String,
        /// The files that were looked at.
        files: String,
    },
    /// A path that is in two files.
    #[error("{path} is in {first} and in {second}")]
    SeveralFiles {
        /// As given.
        path: String,
        /// One file.
        first: String,
        /// Another.
        second: String,
        /// What names the one and the other: `qa:GITLAB_TOKEN`.
        exactly: [String; 2],
    },
    /// A text that is a path and names a place in an environment or file.
    #[error("`{text}` is in {file} by that name, and can be read as a place in an environment or file too")]
    TwoMeanings {
        /// As given.
        text: String,
        /// The file that has it as a path.
        file: String,
    },
    /// A mapping that names a mapping or a list.
    #[error("{path} is not one value")]
    NotALeaf {
        /// File and path.
        path: String,
    },
    /// A leaf that no path leads to.
    #[error("{leaf} is not in the first document of its file, and a variable is a leaf of that one")]
    Document {
        /// File, document and path.
        leaf: String,
    },
    /// A value that no environment variable can have.
    #[error("the value of {name} has a NUL byte, which no environment variable can have")]
    Nul {
        /// The variable.
        name: String,
    },
    /// A path that can be read in two ways.
    #[error(transparent)]
    Locate(LocateError),
}

impl FromStr for Mapping {
    type Err = EnvironError;

    fn from_str(text: &str) -> Result<Self, EnvironError> {
        let not_one = || EnvironError::Mapping { text: text.to_owned() };
        let (name, path) = text.split_once('=').ok_or_else(not_one)?;
        if path.is_empty() {
            return Err(not_one());
        }
        Ok(Self { name: checked_name(name)?.to_owned(), path: path.to_owned() })
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.path)
    }
}

/// `text`, where a variable can have this name in every shell (POSIX XBD 8.1, lower case allowed).
///
/// # Errors
/// [`EnvironError::Name`]
pub fn checked_name(text: &str) -> Result<&str, EnvironError> {
    if is_name(text) { Ok(text) } else { Err(EnvironError::Name { text: text.to_owned() }) }
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(is_part) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// The variables of these files, in the order of files and leaves, mapped names behind the others.
///
/// # Errors
/// [`EnvironError`]: whatever would have to be guessed is refused.
pub fn variables(files: &[Listed<'_>], wish: &Wish) -> Result<Vec<Variable>, EnvironError> {
    let mapped = mapped(files, &wish.maps)?;
    let only = only(files, &wish.only)?;
    let mut variables = Vec::new();
    for (index, listed) in files.iter().enumerate() {
        for leaf in listed.file.leaves().filter(|leaf| leaf.form != Form::Encrypted("comment")) {
            let is_leaf = |variable: &Variable| variable.file == index && variable.path == leaf.path;
            let limited = !wish.only.is_empty();
            if leaf.document > 0 {
                if limited {
                    continue;
                }
                return Err(EnvironError::Document { leaf: format!("{} {}", listed.name, leaf.place()) });
            }
            if mapped.iter().any(is_leaf) || !is_wanted(&only, index, &leaf.path, limited) {
                continue;
            }
            let shown = place(listed, &leaf.path);
            let name = name(&leaf.path).ok_or_else(|| EnvironError::Nameless { leaf: shown.clone() })?;
            let name = checked_name(&format!("{}{name}", wish.prefix))?.to_owned();
            if let Some(why) = guard::danger(&name) {
                return Err(EnvironError::Dangerous { name, leaf: shown, why });
            }
            variables.push(Variable { name, file: index, path: leaf.path });
        }
    }
    variables.extend(mapped);
    refuse_collisions(files, &variables)?;
    Ok(variables)
}

/// The leaves that were given a name.
fn mapped(files: &[Listed<'_>], maps: &[Mapping]) -> Result<Vec<Variable>, EnvironError> {
    let variable = |mapping: &Mapping| {
        let mut found = located(files, &mapping.path)?.into_iter();
        let (Some((file, path)), second) = (found.next(), found.next()) else {
            return Err(missing(files, &mapping.path));
        };
        if let Some((other, at)) = second {
            let exactly = [exactly(files, file, &path), exactly(files, other, &at)];
            let (first, second) = (files[file].name.to_owned(), files[other].name.to_owned());
            return Err(EnvironError::SeveralFiles { path: mapping.path.clone(), first, second, exactly });
        }
        if files[file].file.leaf(&path).is_none() {
            return Err(EnvironError::NotALeaf { path: place(&files[file], &path) });
        }
        Ok(Variable { name: mapping.name.clone(), file, path })
    };
    maps.iter().map(variable).collect()
}

/// The places that were asked for, in whichever files have them.
fn only(files: &[Listed<'_>], texts: &[String]) -> Result<Vec<(usize, Path)>, EnvironError> {
    let mut places = Vec::new();
    for text in texts {
        let found = located(files, text)?;
        if found.is_empty() {
            return Err(missing(files, text));
        }
        places.extend(found);
    }
    Ok(places)
}

fn is_wanted(only: &[(usize, Path)], file: usize, path: &Path, limited: bool) -> bool {
    !limited || only.iter().any(|(index, start)| *index == file && path.0.starts_with(&start.0))
}

/// The places that `text` means: in all files; or, behind `ENVIRONMENT:` or `FILE:`, in those that are called so, where
/// nothing means the file as a whole. What is both is refused; a path in brackets begins with no name.
fn located(files: &[Listed<'_>], text: &str) -> Result<Vec<(usize, Path)>, EnvironError> {
    let everywhere = files.iter().enumerate().map(|(index, listed)| (index, listed, text));
    let by_path = located_in(everywhere)?;
    let named: Vec<_> = files
        .iter()
        .enumerate()
        .filter_map(|(index, listed)| Some((index, listed, listed.behind_its_name(text)?)))
        .collect();
    if named.is_empty() {
        return Ok(by_path);
    }
    if let Some((file, _)) = by_path.first() {
        return Err(EnvironError::TwoMeanings { text: text.to_owned(), file: files[*file].name.to_owned() });
    }
    located_in(named)
}

fn located_in<'a>(
    places: impl IntoIterator<Item = (usize, &'a Listed<'a>, &'a str)>,
) -> Result<Vec<(usize, Path)>, EnvironError> {
    let mut found = Vec::new();
    for (index, listed, text) in places {
        if text.is_empty() {
            found.push((index, Path(Vec::new())));
            continue;
        }
        match listed.file.locate(text) {
            Ok(path) => found.push((index, path)),
            Err(LocateError::Missing { .. }) => {}
            Err(error) => return Err(EnvironError::Locate(error)),
        }
    }
    Ok(found)
}

impl Listed<'_> {
    /// What stands behind `ENVIRONMENT:` or `FILE:`.
    fn behind_its_name<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut names = self.environments.iter().map(String::as_str).chain([self.name]);
        names.find_map(|name| text.strip_prefix(name)?.strip_prefix(':'))
    }
}

/// What a file is called where only one may be meant: its environment, unless that has several.
fn name_of<'a>(files: &'a [Listed<'a>], file: usize) -> (&'a str, bool) {
    let is_its_alone =
        |name: &&String| files.iter().filter(|listed| listed.environments.contains(name)).count() == 1;
    let environment = files[file].environments.iter().find(is_its_alone);
    environment.map_or((files[file].name, false), |name| (name, true))
}

/// A text that means this leaf of this file and nothing else.
fn exactly(files: &[Listed<'_>], file: usize, path: &Path) -> String {
    let path = match path.0.as_slice() {
        [Segment::Key(key)] if !key.contains('.') && !key.starts_with('[') => key.clone(),
        _ => path.to_string(),
    };
    format!("{}:{path}", name_of(files, file).0)
}

fn missing(files: &[Listed<'_>], path: &str) -> EnvironError {
    let meant = files.iter().filter(|listed| listed.behind_its_name(path).is_some());
    let (meant, all): (Vec<&str>, Vec<&str>) =
        (meant.map(|listed| listed.name).collect(), files.iter().map(|listed| listed.name).collect());
    let names = if meant.is_empty() { all } else { meant };
    EnvironError::Missing { path: path.to_owned(), files: names.join(", ") }
}

/// The name that a leaf has by itself; `None` where nothing of its keys can stand in one.
fn name(path: &Path) -> Option<String> {
    if let [Segment::Key(key)] = path.0.as_slice()
        && is_name(key)
    {
        return Some(key.clone());
    }
    let parts = path.0.iter().map(|segment| match segment {
        Segment::Key(key) => key.to_ascii_uppercase(),
        Segment::Index(index) => index.to_string(),
    });
    let joined = parts.collect::<Vec<_>>().join("_");
    let name: String =
        joined.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if !name.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    Some(if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name })
}

/// Programs on Windows, and people, take names that differ in case only for the same.
fn refuse_collisions(files: &[Listed<'_>], variables: &[Variable]) -> Result<(), EnvironError> {
    let mut seen: BTreeMap<String, &Variable> = BTreeMap::new();
    for variable in variables {
        let Some(first) = seen.insert(variable.name.to_ascii_uppercase(), variable) else { continue };
        let another = (first.file != variable.file).then(|| {
            let (source, is_environment) = name_of(files, variable.file);
            let source =
                if is_environment { source.to_ascii_uppercase().replace('-', "_") } else { "OTHER".into() };
            (format!("{source}_{}", variable.name), exactly(files, variable.file, &variable.path))
        });
        return Err(EnvironError::Collision {
            name: variable.name.clone(),
            first: place(&files[first.file], &first.path),
            second: place(&files[variable.file], &variable.path),
            another,
        });
    }
    Ok(())
}

/// A leaf in messages: `secrets/qa.sops.yaml ["data"]["token"]`.
fn place(listed: &Listed<'_>, path: &Path) -> String {
    format!("{} {path}", listed.name)
}
