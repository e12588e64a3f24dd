//! What there is to say where nothing at hand opens a file: who we are, who can open it, and what is missing.

use std::fmt;

use super::keys::{OutsideError, Recipient};
use super::names::Names;
use super::reader::Reader;

/// Readers of a file that are named one by one; more are counted.
const NAMED: usize = 6;

/// Why none of our identities opens a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedOut {
    /// Names of the texts that identities were read from.
    pub sources: Vec<String>,
    /// Our own public keys.
    pub own: Vec<Recipient>,
    /// Everybody who can read the file, by groups.
    pub groups: Vec<Vec<Reader>>,
    /// How many groups it takes.
    pub threshold: usize,
    /// How many of the groups we opened.
    pub opened: usize,
    /// Sources and identities that were seen and cannot be used.
    pub skipped: Vec<String>,
    /// Keys of other types that were tried, and why they did not open it.
    pub refused: Vec<(Reader, OutsideError)>,
}

impl LockedOut {
    /// All of it, with the names that a policy has for keys: who we are, for whom the file is, then what went wrong with
    /// each key that was tried.
    #[must_use]
    pub fn sentences(&self, names: &Names) -> Vec<String> {
        let from = self.sources.join(", ");
        let who = match self.own.as_slice() {
            [] if self.sources.is_empty() => "there is no age identity to open this file with".to_owned(),
            [] => format!("no identity opens this file: tried {from}"),
            own => {
                let own: Vec<String> = own.iter().map(|key| names.label(&key.clone().into())).collect();
                format!("no identity opens this file: you are {} (tried {from})", own.join(", "))
            }
        };
        let whose = match self.groups.as_slice() {
            [] => "it is for nobody".to_owned(),
            [only] => format!("it is for {}", labels(only, names)),
            groups => {
                let numbered = groups.iter().enumerate();
                let each = numbered.map(|(at, group)| format!("group {}: {}", at + 1, labels(group, names)));
                let each: Vec<String> = each.collect();
                let (threshold, all) = (self.threshold, groups.len());
                let opened = if self.opened == 0 { "none".to_owned() } else { self.opened.to_string() };
                format!(
                    "it is for {threshold} of {all} groups of keys, of which {opened} opened ({})",
                    each.join("; ")
                )
            }
        };
        let refused = self.refused.iter();
        let refused = refused.map(|(reader, error)| format!("{}: {error}", names.label(reader)));
        [who, whose].into_iter().chain(self.skipped.iter().cloned()).chain(refused).collect()
    }

    /// Whom to ask: names of readers, as far as they have one.
    #[must_use]
    pub fn people<'n>(&'n self, names: &'n Names) -> Vec<&'n str> {
        let mut people: Vec<&str> = Vec::new();
        for name in self.groups.iter().flatten().filter_map(|reader| names.of(reader)) {
            if !people.contains(&name) {
                people.push(name);
            }
        }
        people.truncate(NAMED);
        people
    }

    /// Whether a key was left alone because no policy has it.
    #[must_use]
    pub fn has_unknown_key(&self) -> bool {
        self.refused.iter().any(|(_, error)| *error == OutsideError::NotInPolicy)
    }

    /// The program that is missing, where one is.
    #[must_use]
    pub fn missing_program(&self) -> Option<&str> {
        self.refused.iter().find_map(|(_, error)| match error {
            OutsideError::NoProgram { program } => Some(program.as_str()),
            _ => None,
        })
    }
}

fn labels(readers: &[Reader], names: &Names) -> String {
    if readers.is_empty() {
        return "nobody".to_owned();
    }
    let mut labels: Vec<String> = readers.iter().take(NAMED).map(|reader| names.label(reader)).collect();
    if let Some(more @ 1..) = readers.len().checked_sub(NAMED) {
        labels.push(format!("{more} more"));
    }
    labels.join(", ")
}

/// Without names, on one line.
impl fmt::Display for LockedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences(&Names::default()).join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: &str = "age1h0fy9xvzweel2lyf8rr033e53jv6ayjuumpzxxpvmk2m29mplqjqp5tpms";
    const BEN: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    fn reader(key: &str) -> Reader {
        Reader::Age(key.parse().unwrap())
    }

    #[test]
    fn it_says_who_we_are_and_whom_to_ask() {
        let policy = format!("keys: [&ana {ANA}]\ncreation_rules:\n- age: [{ANA}]\n");
        let policy = super::super::Policy::parse(&policy).unwrap();
        let locked = LockedOut {
            sources: vec!["keys.txt".to_owned()],
            own: vec![BEN.parse().unwrap()],
            groups: vec![vec![reader(ANA)]],
            threshold: 1,
            ..LockedOut::default()
        };
        assert_eq!(
            locked.sentences(policy.names()).join("; "),
            "no identity opens this file: you are age1ql3z7hjy…aqmcac8p (tried keys.txt); it is for ana (age1h0fy9xvz…jqp5tpms)"
        );
        assert_eq!(locked.people(policy.names()), ["ana"]);
        assert!(locked.to_string().ends_with("it is for age1h0fy9xvz…jqp5tpms"));
    }

    #[test]
    fn groups_are_told_apart_and_many_readers_are_counted() {
        let locked = LockedOut {
            groups: vec![vec![reader(ANA); 8], vec![reader(BEN)]],
            threshold: 2,
            opened: 1,
            ..LockedOut::default()
        };
        let text = locked.to_string();
        assert!(text.contains("2 of 2 groups of keys, of which 1 opened (group 1: age1"), "{text}");
        assert!(text.contains(", 2 more; group 2: age1ql3z7hjy…aqmcac8p)"), "{text}");
    }
}
