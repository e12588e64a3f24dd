//! The write-ahead journal of one environment: what cannot be found out again after a crash.
//!
//! One file per environment under the common git directory, one JSON record a line, each line fsynced before the
//! effect that it announces (`World::append_journal`). It is removed when the run is over. Reading and replaying are
//! pure. It never holds a value in the clear: a token's value stands in it as a one-leaf SOPS document, sealed for the
//! readers of the file that it is meant for and for nobody else.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::instance::Instance;
use crate::plan::deliver::Way;
use crate::plan::{Once, Why};
use crate::token::{Known, Owner, Record, Scopes, TokenId};

/// How long a request without a reply is watched for: GitLab may still commit it.
pub const WATCH: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Line {
    /// Before a POST that mints or rotates.
    Intent(Box<Intent>),
    /// GitLab refused it: nothing was made.
    Refused {
        /// Which one.
        mark: String,
    },
    /// The reply came: the public facts, and the value under seal.
    Minted {
        /// Which one.
        mark: String,
        /// What GitLab answered, without the value.
        token: Record,
        /// A SOPS document whose leaf `["value"]` is the token.
        sealed: String,
    },
    /// The token was withdrawn again, or is proved not to exist.
    Withdrawn {
        /// Which one.
        mark: String,
    },
    /// A person gave up a rotation that had no answer. Should it arrive after all, what it made is withdrawn.
    GivenUp {
        /// Which one.
        mark: String,
    },
    /// Before the commit after which a token is revoked.
    Retiring(Retiring),
    /// Before files in the work tree are replaced.
    Writing {
        /// What will stand there: path and SHA-256 of the new content.
        files: Vec<Written>,
    },
    /// Before a commit is pushed.
    Pushing(Push),
}

/// A token that is to be revoked as soon as its successor is where the person wanted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    /// Key of its entry.
    pub key: String,
    /// Its GitLab; `None`: a version wrote the line that did not note it, and it is that of the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gitlab: Option<Instance>,
    /// The token.
    pub token: Known,
    /// The token that takes its place; `None`: it is not made yet, or a version wrote the line that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<TokenId>,
    /// Why, and with that, where the successor has to be. Where it is not noted, the place that is reached last.
    #[serde(default = "after_a_push")]
    pub because: Why,
}

fn after_a_push() -> Why {
    Why::NoOverlap { once: Once::Upstream }
}

/// A push whose end the run did not live to see, or did not learn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The remote's name.
    pub remote: String,
    /// Digest of its address, by which it is found under another name; `None`: from before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The branch there.
    pub branch: String,
    /// The commit, hexadecimal.
    pub commit: String,
}

/// What a run is about to mint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Random, public, and in the token's description: the only thing by which a lost token is recognised as ours.
    pub mark: String,
    /// When, by GitLab's clock.
    pub at: Timestamp,
    /// Key of the entry in the profile.
    pub key: String,
    /// Where: neither its number nor its value means anything to another one.
    pub gitlab: Instance,
    /// Whose token.
    pub owner: Owner,
    /// As asked.
    pub name: String,
    /// As asked.
    pub scopes: Scopes,
    /// As asked, numeric.
    pub access_level: Option<u8>,
    /// `expires` as it stands in the profile.
    pub requested: String,
    /// What the request asked for besides. `None`: a person makes the token in GitLab's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    /// The linked worktree that the run worked in; `None`: the main one.
    pub worktree: Option<String>,
    /// The branch that HEAD was on; `None` when detached.
    pub branch: Option<String>,
    /// How the run delivers its commit; `None`: not at all, or a journal from before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Digest of the lock entry that it was planned on; `None` where there was none.
    pub planned_on: Option<String>,
    /// `--overlap` as it was given, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// The token that GitLab's rotate is asked to make it out of: it ends with that, and its description, mark
    /// included, goes over to the new one. `None`: it is made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotates: Option<Known>,
}

/// A request that mints or rotates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// First day (UTC) on which the token is not to work; `None`: it never expires.
    pub expires_at: Option<Date>,
}

/// A file that a run replaced in the work tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Relative to the repository root.
    pub path: String,
    /// SHA-256 of the content, hexadecimal.
    pub sha256: String,
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the journal {path} cannot be read: {why}")]
pub struct JournalError {
    /// Where it is.
    pub path: String,
    /// 1-based.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// What a journal says when read to its end.
#[derive(Debug, Default)]
pub struct Replay {
    /// Whether there is a journal at all; one that says nothing is still to be removed.
    pub exists: bool,
    /// Mints without an end, in the order in which they began.
    pub open: Vec<Open>,
    /// Files that the run replaced, or was about to.
    pub written: Vec<Written>,
    /// Tokens that were to be revoked.
    pub retiring: Vec<Retiring>,
    /// What the run pushed, or was about to.
    pub pushes: Vec<Push>,
}

/// A mint without an end.
#[derive(Debug)]
pub struct Open {
    /// What was about to be minted.
    pub intent: Intent,
    /// The reply, where it came.
    pub minted: Option<(Record, String)>,
    /// Whether a person gave it up.
    pub given_up: bool,
}

impl Retiring {
    /// Whether its value is in the wrong hands.
    #[must_use]
    pub fn is_leaked(&self) -> bool {
        matches!(self.because, Why::Leaked { .. })
    }
}

impl Line {
    /// The mint that it is about.
    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        match self {
            Self::Intent(intent) => Some(&intent.mark),
            Self::Refused { mark }
            | Self::Minted { mark, .. }
            | Self::Withdrawn { mark }
            | Self::GivenUp { mark } => Some(mark),
            Self::Retiring(_) | Self::Writing { .. } | Self::Pushing(_) => None,
        }
    }

    /// The line as it is appended, with its newline.
    #[must_use]
    pub fn to_text(&self) -> String {
        // A struct of strings, numbers and lists always serialises.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl Replay {
    /// Reads a journal. A line that breaks off was torn by a crash or a full disk, before its effect began: it is
    /// ignored, also where a later line was appended behind it.
    ///
    /// # Errors
    /// When any other line is not a record of this version: somebody else wrote it, and nothing may be guessed.
    pub fn read(path: &str, text: &str) -> Result<Self, JournalError> {
        let mut replay = Self { exists: true, ..Self::default() };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (index, line) in whole.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(record) => replay.take(record),
                Err(error) if error.is_eof() => {}
                Err(error) => {
                    let why = error.to_string();
                    return Err(JournalError { path: path.to_owned(), line: index + 1, why });
                }
            }
        }
        Ok(replay)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Intent(intent) => self.open.push(Open { intent: *intent, minted: None, given_up: false }),
            Line::Minted { mark, token, sealed } => {
                if let Some(open) = self.open.iter_mut().find(|open| open.intent.mark == mark) {
                    open.minted = Some((token, sealed));
                }
            }
            Line::GivenUp { mark } => {
                for open in self.open.iter_mut().filter(|open| open.intent.mark == mark) {
                    open.given_up = true;
                }
            }
            Line::Refused { mark } | Line::Withdrawn { mark } => {
                self.open.retain(|open| open.intent.mark != mark);
            }
            Line::Retiring(retiring) => {
                self.retiring.retain(|earlier| earlier.token.id != retiring.token.id);
                self.retiring.push(retiring);
            }
            // What an earlier run wrote stands there until it is written again.
            Line::Writing { files } => self.written.extend(files),
            Line::Pushing(push) => self.pushes.push(push),
        }
    }

    /// How the interrupted run was to deliver its commit.
    #[must_use]
    pub fn way(&self) -> Option<Way> {
        self.open.iter().find_map(|open| open.intent.way)
    }

    /// Whether the file at `path` with this content hash is what the interrupted run wrote.
    #[must_use]
    pub fn wrote(&self, path: &str, sha256: &str) -> bool {
        self.written.iter().any(|written| written.path == path && written.sha256 == sha256)
    }
}

/// The description that a minted token carries, so that it can be recognised: `provision qa/backstage <mark>`.
#[must_use]
pub fn description(environment: &str, key: &str, mark: &str) -> String {
    format!("provision {environment}/{key} {mark}")
}

/// The mark in a description, where it has one of ours.
#[must_use]
pub fn mark_in(description: &str) -> Option<&str> {
    let is_mark = |word: &&str| {
        word.strip_prefix("pv-").is_some_and(|digits| {
            digits.len() == 20 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    description.split_whitespace().find(is_mark)
}

/// What a token was minted for (`qa/backstage`), where its description has a mark of ours: some run of `provision` made it,
/// here or elsewhere.
#[must_use]
pub fn minted_for(description: &str) -> Option<&str> {
    mark_in(description)?;
    let entry = description.strip_prefix("provision ").and_then(|rest| rest.split(' ').next());
    Some(entry.unwrap_or(description))
}

/// The environment that a token was minted for, where its description is as we write it.
#[must_use]
pub fn environment_in(description: &str) -> Option<&str> {
    description.strip_prefix("provision ")?;
    minted_for(description)?.split_once('/').map(|(environment, _)| environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Kind, TokenId};

    fn intent(mark: &str) -> Intent {
        Intent {
            mark: mark.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            key: "backstage".to_owned(),
            gitlab: "https://gitlab.com".parse().unwrap(),
            owner: Owner { kind: Kind::Group, id: 7, path: "alithya-csna".to_owned() },
            name: "Backstage".to_owned(),
            scopes: Scopes::from(["read_api".to_owned()]),
            access_level: Some(30),
            requested: "max".to_owned(),
            sent: None,
            worktree: None,
            branch: Some("refs/heads/main".to_owned()),
            way: None,
            planned_on: None,
            overlap: None,
            rotates: None,
        }
    }

    fn record() -> Record {
        Record {
            id: TokenId(42),
            name: "Backstage".to_owned(),
            description: None,
            scopes: Scopes::new(),
            user_id: 1,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            last_used_at: None,
            active: true,
            revoked: false,
            access_level: Some(30),
        }
    }

    #[test]
    fn the_mark_of_a_description_is_found_and_nothing_else_is_taken_for_one() {
        let mark = "pv-0123456789abcdef0123";
        assert_eq!(mark_in(&description("qa", "backstage", mark)), Some(mark));
        for other in ["", "pv-", "pv-0123456789abcdef012", "pv-0123456789ABCDEF0123", "my token"] {
            assert_eq!(mark_in(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_description_with_a_mark_says_what_its_token_was_minted_for() {
        let mark = "pv-0123456789abcdef0123";
        assert_eq!(minted_for(&description("qa", "backstage", mark)), Some("qa/backstage"));
        assert_eq!(minted_for(mark), Some(mark));
        assert_eq!(environment_in(&description("qa", "backstage", mark)), Some("qa"));
        assert_eq!(environment_in(&format!("a/b {mark}")), None);
        assert_eq!(minted_for("provision qa/backstage"), None);
    }

    #[test]
    fn an_intent_without_an_end_is_open_and_one_with_an_end_is_not() {
        let mut text = Line::Intent(Box::new(intent("a"))).to_text();
        text += &Line::Intent(Box::new(intent("b"))).to_text();
        text += &Line::Refused { mark: "a".to_owned() }.to_text();
        text += &Line::Minted { mark: "b".to_owned(), token: record(), sealed: "value: ENC".to_owned() }
            .to_text();
        let replay = Replay::read("journal", &text).unwrap();
        assert_eq!(replay.open.len(), 1);
        assert_eq!(replay.open[0].intent, intent("b"));
        assert_eq!(replay.open[0].minted.as_ref().unwrap().0.id, TokenId(42));
    }

    #[test]
    fn the_way_of_an_interrupted_run_is_known_and_older_journals_say_nothing_of_it() {
        let delivered = Line::Intent(Box::new(Intent { way: Some(Way::Push), ..intent("a") })).to_text();
        assert_eq!(Replay::read("journal", &delivered).unwrap().way(), Some(Way::Push));
        let older = Line::Intent(Box::new(intent("b"))).to_text();
        assert!(!older.contains("way"), "{older}");
        assert_eq!(Replay::read("journal", &older).unwrap().way(), None);
    }

    #[test]
    fn a_torn_line_never_took_effect() {
        let text = Line::Intent(Box::new(intent("a"))).to_text();
        let torn = &text[..text.len() - 9];
        assert!(Replay::read("journal", torn).unwrap().open.is_empty());
        let before_a_whole_one = format!("{torn}\n{text}");
        assert_eq!(Replay::read("journal", &before_a_whole_one).unwrap().open.len(), 1);
        let after_a_whole_one = format!("{text}{torn}");
        assert_eq!(Replay::read("journal", &after_a_whole_one).unwrap().open.len(), 1);
    }

    #[test]
    fn a_token_that_is_to_be_revoked_keeps_its_successor_and_the_choice() {
        let token: Known = serde_json::from_value(serde_json::json!({
            "id": 42, "owner": intent("a").owner, "name": "Backstage",
            "created": "2026-11-21T08:00:00Z", "mark": "pv-1",
        }))
        .unwrap();
        let because = Why::Leaked { last_used: Some(Timestamp::UNIX_EPOCH) };
        let (key, successor) = ("backstage".to_owned(), Some(TokenId(50)));
        let gitlab = Some(intent("a").gitlab);
        let line = Retiring { key, gitlab, token, successor, because };
        let read = |text: &str| Replay::read("journal", text).unwrap().retiring;
        assert_eq!(read(&Line::Retiring(line.clone()).to_text()), std::slice::from_ref(&line));
        // Earlier versions wrote neither.
        let mut old: serde_json::Value =
            serde_json::from_str(&Line::Retiring(line.clone()).to_text()).unwrap();
        old.as_object_mut().unwrap().retain(|name, _| ["record", "key", "token"].contains(&name.as_str()));
        let careful = Why::NoOverlap { once: Once::Upstream };
        assert_eq!(
            read(&format!("{old}\n")),
            [Retiring { gitlab: None, successor: None, because: careful, ..line }]
        );
    }

    #[test]
    fn a_line_of_somebody_else_is_an_error_with_its_number() {
        let text = format!("{}{{\"record\":\"dance\"}}\n", Line::Intent(Box::new(intent("a"))).to_text());
        let error = Replay::read(".git/provision/qa.journal", &text).unwrap_err();
        assert_eq!(error.line, 2);
    }

    #[test]
    fn what_it_wrote_is_recognised_by_content() {
        let files = vec![Written { path: "secrets/qa.sops.yaml".to_owned(), sha256: "ab".to_owned() }];
        let replay = Replay::read("journal", &Line::Writing { files }.to_text()).unwrap();
        assert!(replay.wrote("secrets/qa.sops.yaml", "ab"));
        assert!(!replay.wrote("secrets/qa.sops.yaml", "cd"));
    }

    #[test]
    fn what_an_earlier_run_wrote_is_recognised_until_it_is_replaced() {
        let written = |sha256: &str| {
            let files = vec![Written { path: "secrets/qa.sops.yaml".to_owned(), sha256: sha256.to_owned() }];
            Line::Writing { files }.to_text()
        };
        let replay = Replay::read("journal", &(written("ab") + &written("cd"))).unwrap();
        assert!(replay.wrote("secrets/qa.sops.yaml", "ab") && replay.wrote("secrets/qa.sops.yaml", "cd"));
    }
}
