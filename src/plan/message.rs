//! What a run did, as data, and the commit message that says it.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;

use super::observed::Slot;
use super::{Healthy, Note};
use crate::hint::Hint;
use crate::token::{Owner, Record, TokenId};

/// What a run did to one environment.
#[derive(Debug, Default, Serialize)]
pub struct Done {
    /// The environment.
    pub environment: String,
    /// Tokens that are current since this run.
    pub minted: Vec<New>,
    /// Entries whose slots were rendered again, and the token that they hold.
    pub rendered: Vec<(String, TokenId)>,
    /// Superseded tokens that were revoked.
    pub retired: Vec<TokenId>,
    /// Superseded tokens that were to be revoked, and are not: the lock still has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unrevoked: Vec<Unrevoked>,
    /// Tokens that were to be revoked without waiting, and are not: the journal has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still_to_revoke: Vec<Unrevoked>,
    /// Superseded tokens that had ended by themselves.
    pub ended: Vec<TokenId>,
    /// Tokens of entries that ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Revoked>,
    /// Entries that have another key now: the old and the new one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<(String, String)>,
    /// Entries that left the lock.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Files that are gone and left the lock.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub forgotten: BTreeSet<String>,
    /// Tokens of an interrupted run that were revoked.
    pub withdrawn: Vec<TokenId>,
    /// Files of an interrupted run that were brought back to what HEAD has.
    pub restored: Vec<String>,
    /// The secrets files that were written, and committed where there is a commit.
    pub files: Vec<String>,
    /// Those that were written and are kept out of git, as the profile wants it.
    pub kept_out: Vec<String>,
    /// One slot to read back, where there is one.
    pub example: Option<Slot>,
    /// The commit, where one was made.
    pub commit: Option<String>,
    /// Where the commit was pushed to: `main at origin`.
    pub pushed: Option<String>,
    /// Address of the merge request, where the remote said it.
    pub merge_request: Option<String>,
    /// What was not done, because GitLab refused it or a token that the same file takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// Entries that needed nothing.
    pub healthy: Vec<Healthy>,
    /// What the plan had for a person to know.
    #[serde(skip)]
    pub planned: Vec<Note>,
    /// What a person should know besides.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// A token that is current since this run.
#[derive(Debug, Serialize)]
pub struct New {
    /// Key of its entry.
    pub key: String,
    /// Whose it is.
    pub owner: Owner,
    /// GitLab's facts of it.
    pub token: Record,
    /// The token that it takes the place of.
    pub replaces: Option<TokenId>,
}

/// A token that was revoked for good.
#[derive(Debug, Serialize)]
pub struct Revoked {
    /// Key of its entry.
    pub key: String,
    /// GitLab's number.
    pub id: TokenId,
    /// How that is known.
    pub proof: Proof,
}

/// A token with a successor that could not be revoked.
#[derive(Debug, Serialize)]
pub struct Unrevoked {
    /// Key of its entry.
    pub key: String,
    /// GitLab's number.
    pub id: TokenId,
    /// Why not.
    pub why: String,
    /// What a person can do about that.
    #[serde(skip)]
    pub hints: Vec<Hint>,
}

/// How it is known that a token is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// GitLab's record says so.
    Record,
    /// And GitLab refuses the value as that of a revoked token.
    Itself,
}

/// A token that was not made, or not revoked, while others of its environment were.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// Key of its entry.
    pub key: String,
    /// Why.
    pub why: String,
    /// What GitLab did not do.
    #[serde(flatten)]
    pub what: Refusal,
}

/// What GitLab did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "refused", rename_all = "snake_case")]
pub enum Refusal {
    /// The entry has the token that it had, or none.
    Mint,
    /// GitLab's rotate has ended the entry's token already: the successor waits in the journal.
    Rest {
        /// That token.
        ended: TokenId,
    },
    /// A token of an entry that was to end lives on.
    Revocation,
}

impl Done {
    /// Whether nothing was changed, neither at GitLab nor here.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.minted.is_empty()
            && self.retired.is_empty()
            && self.revoked.is_empty()
            && self.withdrawn.is_empty()
            && self.restored.is_empty()
            && self.files.is_empty()
            && self.commit.is_none()
            && self.pushed.is_none()
    }

    /// Whether this run has seen the token end.
    #[must_use]
    pub fn has_ended(&self, id: TokenId) -> bool {
        self.retired.contains(&id) || self.revoked.iter().any(|revoked| revoked.id == id)
    }

    /// All that a person should know, as the plan tells it.
    #[must_use]
    pub fn all_notes(&self) -> Vec<Note> {
        let own = self.notes.iter().map(|text| Note::info(text.as_str()));
        self.planned.iter().cloned().chain(own).collect()
    }

    /// What of it is so whatever comes of the rest, where the run did not come to its end: tokens that are revoked. What was
    /// made is in the journal, and told by the run that finishes it.
    #[must_use]
    pub fn for_good(self) -> Self {
        let Self { environment, retired, unrevoked, still_to_revoke, revoked, withdrawn, .. } = self;
        Self { environment, retired, unrevoked, still_to_revoke, revoked, withdrawn, ..Self::default() }
    }

    /// Both runs as one: what the first made and could not deliver, the second has finished or withdrawn.
    #[must_use]
    pub fn then(self, mut next: Self) -> Self {
        next.retired.splice(
            0..0,
            self.retired.into_iter().filter(|id| !next.retired.contains(id)).collect::<Vec<_>>(),
        );
        next.withdrawn.splice(0..0, self.withdrawn);
        next.revoked.splice(0..0, self.revoked);
        next
    }

    /// The commit message: a subject that says it all where one thing was done, a body otherwise, and trailers.
    #[must_use]
    pub fn commit_message(&self) -> String {
        let sentences = self.sentences();
        let mut message = format!("provision({}): ", self.environment);
        match sentences.as_slice() {
            [] => message += "write the template's leaves again",
            [only] => message += &only.text,
            several => {
                message += &summary(several);
                message += "\n\n";
                for sentence in several {
                    let _ = writeln!(message, "- {}", sentence.text);
                }
                message.truncate(message.trim_end().len());
            }
        }
        let _ = write!(message, "\n\nProvision-Environment: {}\n", self.environment);
        for new in &self.minted {
            let _ = writeln!(message, "Provision-Token: {} {}", new.key, new.token.id);
        }
        for id in self.retired.iter().chain(self.revoked.iter().map(|revoked| &revoked.id)) {
            let _ = writeln!(message, "Provision-Retired: {id}");
        }
        message
    }

    fn sentences(&self) -> Vec<Sentence> {
        let minted = self.minted.iter().map(|new| {
            let verb = if new.replaces.is_some() { "replace" } else { "mint" };
            let old = new.replaces.map(|id| format!(" {id}")).unwrap_or_default();
            let by = if new.replaces.is_some() { " by" } else { " as" };
            let expires =
                new.token.expires_at.map_or_else(|| "never expires".to_owned(), |d| format!("expires {d}"));
            let name = &new.token.name;
            let text = format!("{verb} {name}{old}{by} {} token {}, {expires}", new.owner.kind, new.token.id);
            (("mint", "token", "tokens"), text)
        });
        let rendered = self
            .rendered
            .iter()
            .map(|(key, id)| (("render", "entry", "entries"), format!("render {key} again from token {id}")));
        let retired =
            self.retired.iter().map(|id| (("retire", "token", "tokens"), format!("retire token {id}")));
        let ended = self.ended.iter().map(|id| {
            let text = format!("forget superseded token {id}, which has ended");
            (("forget", "ended token", "ended tokens"), text)
        });
        let revoked = self.revoked.iter().map(|revoked| {
            (("revoke", "token", "tokens"), format!("revoke token {} of {}", revoked.id, revoked.key))
        });
        let is_told = |key: &&String| !self.revoked.iter().any(|revoked| revoked.key == **key);
        let removed = self
            .removed
            .iter()
            .filter(is_told)
            .map(|key| (("forget", "entry", "entries"), format!("forget {key}, whose token has ended")));
        let moved =
            self.moved.iter().map(|(from, to)| (("rename", "entry", "entries"), format!("call {from} {to}")));
        let forgotten = self
            .forgotten
            .iter()
            .map(|file| (("forget", "file", "files"), format!("forget {file}, which is gone")));
        let ended = ended.chain(revoked).chain(removed).chain(moved).chain(forgotten);
        let all = minted.chain(rendered).chain(retired).chain(ended);
        all.map(|(kind, text)| Sentence { kind, text }).collect()
    }
}

/// One thing that was done.
struct Sentence {
    /// How such things are counted: verb, noun, and the noun for several.
    kind: (&'static str, &'static str, &'static str),
    /// What was done.
    text: String,
}

/// What was done in one line: `mint 2 tokens, retire 1 token`.
fn summary(sentences: &[Sentence]) -> String {
    let mut counts: Vec<((&str, &str, &str), usize)> = Vec::new();
    for sentence in sentences {
        match counts.iter_mut().find(|(kind, _)| *kind == sentence.kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((sentence.kind, 1)),
        }
    }
    let counted = counts.iter().map(|((verb, one, several), count)| match count {
        1 => format!("{verb} 1 {one}"),
        _ => format!("{verb} {count} {several}"),
    });
    counted.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_forgotten_entries_have_a_subject() {
        let done = Done {
            environment: "qa".to_owned(),
            removed: vec!["one".to_owned(), "other".to_owned()],
            moved: vec![("a".to_owned(), "b".to_owned())],
            ..Done::default()
        };
        let message = done.commit_message();
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines[0], "provision(qa): forget 2 entries, rename 1 entry");
        assert_eq!(lines[2], "- forget one, whose token has ended");
    }
}
