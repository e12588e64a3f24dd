//! Which keys go when somebody leaves: by the name, and by what the name stood for.

use std::collections::BTreeSet;

use crate::sops::{Policy, Reader, Recipient};

/// A key that was theirs and that the policy has under another name now. Whether they have been renamed, or somebody else
/// has got what was theirs, cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The key.
    pub reader: Reader,
    /// What it is called now.
    pub name: String,
    /// The keys that are surely theirs.
    pub theirs: BTreeSet<Reader>,
}

/// The keys of `name` that the policy has: those that it calls so, and of those that were `past` ones of that name what it
/// calls nothing. A public key is the name of that key alone.
///
/// # Errors
/// A past one has another name now: they may go on reading with it.
pub fn keys_in(
    policy: &Policy,
    name: &str,
    past: &BTreeSet<Reader>,
) -> Result<BTreeSet<Reader>, Box<Renamed>> {
    if let Ok(recipient) = name.parse::<Recipient>() {
        return Ok(BTreeSet::from([Reader::Age(recipient)]));
    }
    let names = policy.names();
    let readers = policy.readers();
    let called = readers.iter().filter(|one| names.of(one) == Some(name)).cloned();
    let mut theirs: BTreeSet<Reader> = names.named(name).chain(called).collect();
    let is_theirs = |one: &Reader| past.iter().any(|key| key.is_same_key(one));
    let others: Vec<&Reader> =
        readers.iter().filter(|one| !theirs.contains(*one) && is_theirs(one)).collect();
    theirs.extend(others.iter().filter(|one| names.all_of(one).next().is_none()).map(|one| (*one).clone()));
    let renamed = others.into_iter().find_map(|one| Some((one, names.all_of(one).next()?)));
    match renamed {
        Some((reader, name)) => {
            Err(Box::new(Renamed { reader: reader.clone(), name: name.to_owned(), theirs }))
        }
        None => Ok(theirs),
    }
}

/// Whether a policy still lets them read: by the name, or with a key that was theirs.
#[must_use]
pub fn reads_by(policy: &Policy, name: &str, past: &BTreeSet<Reader>) -> bool {
    let readers = policy.readers();
    let is_reader = |key: &Reader| readers.iter().any(|reader| reader.is_same_key(key));
    match keys_in(policy, name, past) {
        Ok(theirs) => theirs.iter().any(is_reader),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::generate_identity;

    #[test]
    fn a_key_that_lost_its_name_goes_and_one_that_has_another_is_not_guessed_at() {
        let [old, new, other]: [Recipient; 3] = std::array::from_fn(|_| generate_identity().1);
        let rows = |lines: &str| Policy::parse(&format!("creation_rules:\n- age:\n{lines}")).unwrap();
        let past = BTreeSet::from([Reader::Age(old.clone())]);
        let of =
            |keys: &[&Recipient]| keys.iter().map(|key| Reader::Age((*key).clone())).collect::<BTreeSet<_>>();
        let policy = rows(&format!("  - {old}\n  - {new} # ana\n  - {other} # ben\n"));
        assert_eq!(keys_in(&policy, "ana", &past), Ok(of(&[&old, &new])));
        assert_eq!(keys_in(&policy, "ana", &BTreeSet::new()), Ok(of(&[&new])));
        let renamed = rows(&format!("  - {old} # anna\n  - {new} # ana\n"));
        let error = keys_in(&renamed, "ana", &past).unwrap_err();
        assert_eq!((error.name.as_str(), error.theirs), ("anna", of(&[&new])));
        assert_eq!(keys_in(&renamed, &new.to_string(), &past), Ok(of(&[&new])));
        assert!(reads_by(&renamed, "ana", &past));
        let gone = rows(&format!("  - {other} # ben\n"));
        assert_eq!(keys_in(&gone, "ana", &past), Ok(BTreeSet::new()));
        assert!(!reads_by(&gone, "ana", &past) && reads_by(&gone, "ben", &past));
    }
}
