//! Several environments may keep their tokens in one secrets file, as long as no leaf has two masters.

use std::collections::{BTreeMap, BTreeSet};

use super::Template;
use crate::profile::{Environment, SecretsFile};
use crate::sops::Path;

/// An environment with the templates of its secrets files, in the order of [`Environment::secrets`].
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// The environment.
    pub environment: &'a Environment,
    /// One per secrets file.
    pub templates: &'a [&'a Template],
}

/// Why two environments cannot share a secrets file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverlapError {
    /// Both write the same leaf, or one writes below a leaf of the other.
    #[error(
        "{first} and {second} both write the leaf {slot} of {file}; give each environment its own leaf or its own file"
    )]
    Slot {
        /// Path of the profile that comes first.
        first: String,
        /// Path of the other profile.
        second: String,
        /// The file that they share.
        file: String,
        /// The leaf.
        slot: Path,
    },
    /// They do not agree on who can read the file, or on whether it is in git.
    #[error("{first} and {second} share {file} but differ in `{key}`; write the same in both")]
    Settings {
        /// Path of the profile that comes first.
        first: String,
        /// Path of the other profile.
        second: String,
        /// The file that they share.
        file: String,
        /// `recipients` or `commit`.
        key: &'static str,
    },
}

/// Checks that no slot of a shared secrets file belongs to two environments, and that environments which share a file
/// agree about it.
///
/// # Errors
/// The first two environments that do not fit together.
pub fn check_disjoint(shapes: &[Shape<'_>]) -> Result<(), OverlapError> {
    let mut claims: BTreeMap<&str, Vec<Claim<'_>>> = BTreeMap::new();
    for shape in shapes {
        for (secrets, template) in shape.environment.secrets.iter().zip(shape.templates) {
            let slots = template.slots().map(|leaf| &leaf.path).collect();
            let claim = Claim { profile: &shape.environment.path, secrets, slots };
            let others = claims.entry(&secrets.file).or_default();
            others.iter().try_for_each(|other| other.check(&claim))?;
            others.push(claim);
        }
    }
    Ok(())
}

struct Claim<'a> {
    profile: &'a str,
    secrets: &'a SecretsFile,
    slots: BTreeSet<&'a Path>,
}

impl Claim<'_> {
    fn check(&self, other: &Self) -> Result<(), OverlapError> {
        let (first, second) = (self.profile.to_owned(), other.profile.to_owned());
        let file = self.secrets.file.clone();
        let differs = [
            ("recipients", self.secrets.recipients != other.secrets.recipients),
            ("commit", self.secrets.commit != other.secrets.commit),
        ];
        if let Some((key, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            return Err(OverlapError::Settings { first, second, file, key });
        }
        let clash = other.slots.iter().find(|slot| self.slots.iter().any(|own| nested(own, slot)));
        match clash {
            Some(slot) => Err(OverlapError::Slot { first, second, file, slot: (*slot).clone() }),
            None => Ok(()),
        }
    }
}

/// Whether one path is the other or leads to it.
fn nested(one: &Path, other: &Path) -> bool {
    one.0.starts_with(&other.0) || other.0.starts_with(&one.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, settings: &str) -> Environment {
        let text = format!(
            "secrets: {{ file: secrets/all.sops.yaml, template: x.yaml{settings} }}\n\
             tokens: {{ t: {{ kind: personal, name: T, scopes: [api] }} }}\n"
        );
        Environment::read(name, &format!("environments/{name}.yaml"), &text).unwrap()
    }

    fn check(one: (&str, &str), other: (&str, &str)) -> Result<(), String> {
        let environments = [environment("dev", one.0), environment("qa", other.0)];
        let templates = [one.1, other.1].map(|text| Template::parse("x.yaml", text).unwrap());
        let shapes = [0, 1].map(|at| (&environments[at], [&templates[at]]));
        let shapes = shapes.each_ref().map(|(environment, templates)| Shape { environment, templates });
        check_disjoint(&shapes).map_err(|error| error.to_string())
    }

    #[test]
    fn environments_share_a_file_when_their_slots_differ() {
        let dev = "dev: { token: '{{ tokens.t }}' }\nhost: '{{ gitlab.host }}'\n";
        let qa = "qa: { token: '{{ tokens.t }}' }\nhost: '{{ gitlab.host }}'\n";
        assert_eq!(check(("", dev), ("", qa)), Ok(()));
    }

    #[test]
    fn a_leaf_with_two_masters_is_refused() {
        let one = "list: ['{{ tokens.t }}']\n";
        assert_eq!(
            check(("", one), ("", "list: [{ a: '{{ tokens.t }}' }]\n")).unwrap_err(),
            "environments/dev.yaml and environments/qa.yaml both write the leaf [\"list\"][0][\"a\"] of \
             secrets/all.sops.yaml; give each environment its own leaf or its own file"
        );
        assert!(check(("", one), ("", one)).is_err());
    }

    #[test]
    fn environments_that_share_a_file_agree_about_it() {
        let (dev, qa) = ("a: '{{ tokens.t }}'\n", "b: '{{ tokens.t }}'\n");
        let error = check((", commit: false", dev), ("", qa)).unwrap_err();
        assert!(
            error.ends_with("share secrets/all.sops.yaml but differ in `commit`; write the same in both"),
            "{error}"
        );
        assert!(check((", recipients: self", dev), ("", qa)).unwrap_err().contains("`recipients`"));
    }
}
