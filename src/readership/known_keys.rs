//! Which data keys somebody may know: those of every version of a file that they could read. Whoever is taken out without a
//! new one goes on reading with it what is encrypted later.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::{Fact, History, Version};
use crate::sops::{KeyTrace, Reader, Wrapped};

/// The traces of data keys that somebody may know, by the path of the files that may have one of them.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys(BTreeMap<String, Arc<BTreeSet<KeyTrace>>>);

impl KnownKeys {
    /// Those that the file at `path` may have.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<&BTreeSet<KeyTrace>> {
        self.0.get(path).map(Arc::as_ref)
    }
}

impl History {
    /// The data keys of all versions that anybody of `who` could read. A copy of a file has its data key until it gets
    /// another one, so files count as one family that ever had the same wrapped key.
    #[must_use]
    pub fn keys_known_to(&self, who: &BTreeSet<Reader>) -> KnownKeys {
        let mut families = Families::default();
        let mut known: Vec<(usize, &KeyTrace)> = Vec::new();
        let mut seen = BTreeSet::new();
        let versions = self.moments.iter().flat_map(|moment| moment.files.iter());
        for version in versions.filter(|version| seen.insert(Rc::as_ptr(version))) {
            let Version { path, fact: Fact::Secrets { readers, trace, wrapped, .. }, .. } = &**version else {
                continue;
            };
            let family = families.of(path, wrapped);
            if readers.iter().any(|reader| who.contains(reader)) {
                known.push((family, trace));
            }
        }
        let mut traces: BTreeMap<usize, BTreeSet<KeyTrace>> = BTreeMap::new();
        for (family, trace) in known {
            traces.entry(families.root(family)).or_default().insert(trace.clone());
        }
        let traces: BTreeMap<usize, Arc<BTreeSet<KeyTrace>>> =
            traces.into_iter().map(|(family, traces)| (family, Arc::new(traces))).collect();
        let of = |(path, family): (&&str, &usize)| {
            Some(((*path).to_owned(), Arc::clone(traces.get(&families.root(*family))?)))
        };
        KnownKeys(families.of_paths.iter().filter_map(of).collect())
    }
}

/// Files that have something in common, merged as that is found.
#[derive(Default)]
struct Families<'h> {
    of_paths: HashMap<&'h str, usize>,
    of_wrapped: HashMap<&'h Wrapped, usize>,
    /// What each one is part of; itself where it is whole.
    parents: Vec<usize>,
}

impl<'h> Families<'h> {
    fn root(&self, mut family: usize) -> usize {
        while self.parents[family] != family {
            family = self.parents[family];
        }
        family
    }

    fn of(&mut self, path: &'h str, wrapped: &'h [Wrapped]) -> usize {
        let next = self.parents.len();
        let mut family = *self.of_paths.entry(path).or_insert(next);
        if family == next {
            self.parents.push(next);
        }
        for one in wrapped {
            let other = *self.of_wrapped.entry(one).or_insert(family);
            let (one, other) = (self.root(family), self.root(other));
            family = one.min(other);
            self.parents[one.max(other)] = family;
        }
        family
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::readership::Moment;
    use crate::sops::generate_identity;

    fn version(path: &str, readers: &[&Reader], wrapped: &[u8]) -> Rc<Version> {
        let readers = readers.iter().map(|reader| (*reader).clone()).collect();
        let wrapped = wrapped.iter().map(|&number| [number; 32]).collect();
        let fact = Fact::Secrets { readers, encrypted: Rc::default(), trace: KeyTrace::default(), wrapped };
        Rc::new(Version { path: path.to_owned(), content: String::new(), fact })
    }

    #[test]
    fn copies_and_renamed_files_may_have_a_key_that_somebody_knows_and_others_may_not() {
        let (ana, ben) = (Reader::from(generate_identity().1), Reader::from(generate_identity().1));
        let moments = [
            [version("copy", &[&ana], &[3]), version("other", &[&ana], &[9])],
            [version("copy", &[&ana], &[2, 7]), version("qa", &[&ana], &[8])],
            [version("qa", &[&ana, &ben], &[1, 2]), version("prod", &[&ana], &[5])],
        ];
        let moment = |files: [Rc<Version>; 2]| Moment {
            commit: String::new(),
            at: Timestamp::UNIX_EPOCH,
            files: Rc::new(files.into()),
        };
        let history = History { moments: moments.map(moment).into(), ..History::default() };
        let known = history.keys_known_to(&BTreeSet::from([ben]));
        let paths: Vec<&str> =
            ["copy", "other", "prod", "qa"].into_iter().filter(|path| known.of(path).is_some()).collect();
        assert_eq!(paths, ["copy", "qa"]);
    }
}
