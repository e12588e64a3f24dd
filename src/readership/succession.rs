//! What is to be done about the tokens that somebody who left could read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::listing::Present;
use super::{History, Readable, State, Token, environment};
use crate::profile::Environment;
use crate::sops::Reader;
use crate::token::TokenId;

/// Tokens that are still in use, by what can be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Succession {
    /// Entries that get a successor, by environment.
    pub chosen: BTreeMap<String, BTreeSet<String>>,
    /// Tokens that get none here, and what to do instead.
    pub others: Vec<(Token, String)>,
}

/// Decides. A token of one person's own file has a successor only from that person, and one that no profile has is only
/// good to be revoked.
#[must_use]
pub fn succession(readable: &Readable, environments: &[Environment]) -> Succession {
    let mut succession = Succession::default();
    for token in readable.tokens.iter().filter(|token| token.state == State::Current) {
        let mut other = |what: String| succession.others.push((token.clone(), what));
        if let Some((environment, person)) = token.environment.split_once('/') {
            other(format!(
                "it is {person}'s own: {person} replaces it with provision bootstrap --env {environment}"
            ));
            continue;
        }
        let environment = environments.iter().find(|environment| environment.name == token.environment);
        let entry = environment.and_then(|environment| {
            let mut tokens = environment.tokens.iter();
            tokens.find(|one| one.key == token.key || one.moved_from.as_ref() == Some(&token.key))
        });
        match entry {
            Some(entry) => {
                let keys = succession.chosen.entry(token.environment.clone()).or_default();
                keys.insert(entry.key.clone());
            }
            None if environment.is_some() => {
                let revoke = format!("provision revoke --env {} --token {}", token.environment, token.key);
                other(format!("no profile has it any more: {revoke}"));
            }
            None => other("its environment has no profile any more: revoke it at GitLab".to_owned()),
        }
    }
    succession
}

/// What somebody who left has left behind for nobody: a personal environment whose file only they can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftBehind {
    /// With the person: `devmode/ben`.
    pub environment: String,
    /// Address of the tokens' GitLab.
    pub gitlab: String,
    /// Its tokens by GitLab's numbers. Nobody here can replace them, or revoke them.
    pub tokens: Vec<TokenId>,
    /// Secrets files and lock that HEAD still has of it.
    pub paths: Vec<String>,
}

/// Finds it: somebody with a key of `theirs` reads the file, and nobody whom the policy has (`others`).
#[must_use]
pub fn left_behind(
    history: &History,
    present: &[Present],
    theirs: &BTreeSet<Reader>,
    others: &BTreeSet<Reader>,
) -> Vec<LeftBehind> {
    let mut found = Vec::new();
    for (path, lock) in &history.locks {
        let name = environment(path);
        let slots: BTreeSet<&String> = lock.tokens.values().flat_map(|entry| entry.slots.keys()).collect();
        let files: Vec<&Present> = present.iter().filter(|file| slots.contains(&file.path)).collect();
        let is_theirs = |file: &&Present| {
            let readers = file.readers.as_deref().unwrap_or_default();
            file.personal
                && readers.iter().any(|reader| theirs.contains(reader))
                && !readers.iter().any(|reader| others.contains(reader) && !theirs.contains(reader))
        };
        if !name.contains('/') || files.is_empty() || !files.iter().all(is_theirs) {
            continue;
        }
        let gitlab = lock.tokens.values().next().map(|entry| entry.gitlab.to_string()).unwrap_or_default();
        let tokens = lock.tokens.values().map(|entry| entry.id).collect();
        let paths = files.iter().map(|file| file.path.clone()).chain([path.clone()]).collect();
        found.push(LeftBehind { environment: name, gitlab, tokens, paths });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(environment: &str, key: &str, state: State) -> Token {
        let (environment, key) = (environment.to_owned(), key.to_owned());
        Token { environment, key, id: TokenId(1), owner: "g".to_owned(), expires: None, state }
    }

    fn qa() -> Environment {
        let text = "gitlab: https://gitlab.com\nsecrets: { file: s.yaml, template: t.yaml }\ntokens:\n  a: { kind: group, \
                    group: g, name: a, role: developer, scopes: [api] }\n  b: { kind: group, group: g, name: b, role: \
                    developer, scopes: [api], moved_from: old }\n";
        Environment::read("qa", "environments/qa.yaml", text).unwrap()
    }

    #[test]
    fn what_is_in_use_and_in_a_profile_gets_a_successor_and_the_rest_is_named() {
        let tokens = [
            token("qa", "a", State::Current),
            token("qa", "old", State::Current),
            token("qa", "gone", State::Current),
            token("qa", "superseded", State::Superseded),
            token("devmode/ana", "a", State::Current),
            token("dev", "a", State::Current),
        ];
        let readable = Readable { tokens: tokens.into(), ..Readable::default() };
        let found = succession(&readable, &[qa()]);
        let keys = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        assert_eq!(found.chosen, BTreeMap::from([("qa".to_owned(), keys)]));
        let others: Vec<(&str, &str)> =
            found.others.iter().map(|(token, _)| (token.environment.as_str(), token.key.as_str())).collect();
        assert_eq!(others, [("dev", "a"), ("devmode/ana", "a"), ("qa", "gone")]);
        assert!(found.others[1].1.contains("ana replaces it"), "{:?}", found.others);
        assert!(found.others[2].1.contains("provision revoke --env qa --token gone"), "{:?}", found.others);
    }
}
