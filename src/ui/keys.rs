//! Who can read what, who could, and what becomes of that when somebody leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use comfy_table::{Cell, Table, presets};
use serde::Serialize;

use super::{Style, Ui};
use crate::error::{Result, word};
use crate::hint::{Here, Hint};
use crate::plan::Plan as TokenPlan;
use crate::plan::message::Done as Rotated;
use crate::plan::rekey::{Done, Plan};
use crate::readership::listing::{Row, Together};
use crate::readership::succession::LeftBehind;
use crate::readership::{Former, Found, Readable, State, Token};
use crate::sops::{Path, Reader};

/// How many files are named in one cell; `--json` names all.
const NAMED: usize = 3;

#[derive(Serialize)]
struct Listing<'a> {
    readers: &'a [Row],
}

/// The table of `keys list`.
///
/// # Errors
/// When standard output cannot be written.
pub fn list(ui: Ui, rows: &[Row]) -> Result<()> {
    if ui.json() {
        return ui.result_json(&Listing { readers: rows });
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["NAME", "KEY", "KIND", "READS"]);
    for row in rows {
        let name = row.name.as_deref().unwrap_or("-");
        table.add_row([
            Cell::new(name),
            Cell::new(&row.short),
            Cell::new(&row.kind),
            Cell::new(files(&row.reads)),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    ui.result(&text)?;
    for row in rows {
        let who = row.name.as_deref().unwrap_or(&row.short);
        if !row.should_not_read.is_empty() {
            let what = format!("{who} reads {} and, by .sops.yaml, should not", files(&row.should_not_read));
            ui.note(true, &what);
        }
        if !row.will_read.is_empty() {
            ui.note(false, &format!("{who} will read {} after a rekey", files(&row.will_read)));
        }
    }
    Ok(())
}

fn files(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(NAMED);
    let first = paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (paths.len(), more) {
        (0, _) => "nothing".to_owned(),
        (_, 0) => first,
        _ => format!("{first} and {more} more"),
    }
}

/// The answer of `keys who`.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The token that was asked about; none where it was a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<AboutToken>,
    /// The file, or those that carry the token.
    pub files: Vec<FileReaders>,
    /// Files of which some version cannot be read.
    pub unreadable: Vec<String>,
}

/// A token.
#[derive(Debug, Serialize)]
pub struct AboutToken {
    entry: String,
    id: u64,
}

impl From<Found> for AboutToken {
    fn from(found: Found) -> Self {
        Self { entry: found.entry(), id: found.id.0 }
    }
}

/// Readers of one file.
#[derive(Debug, Serialize)]
pub struct FileReaders {
    file: String,
    readers: Vec<Person>,
    /// Where it takes keys of several groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    together: Option<Groups>,
    former: Vec<Person>,
}

/// The keys of several groups, and how many of the groups it takes.
#[derive(Debug, Serialize)]
struct Groups {
    needed: usize,
    groups: Vec<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Person {
    name: Option<String>,
    key: String,
    #[serde(skip)]
    short: String,
    /// The last commit in which they could, and its day.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
}

impl FileReaders {
    /// Who reads the file now, and who could before, with the names that `name_of` has.
    #[must_use]
    pub fn new(
        file: String,
        now: &[Reader],
        former: &[Former],
        name_of: impl Fn(&Reader) -> Option<String>,
    ) -> Self {
        let person = |reader: &Reader| Person {
            name: name_of(reader),
            key: reader.to_string(),
            short: reader.short(),
            until: None,
            commit: None,
        };
        let gone = |former: &Former| Person {
            until: Some(former.at.strftime("%Y-%m-%d").to_string()),
            commit: Some(former.commit.clone()),
            ..person(&former.reader)
        };
        let (readers, former) = (now.iter().map(person).collect(), former.iter().map(gone).collect());
        Self { file, readers, together: None, former }
    }

    /// The same, where none of them reads it alone.
    #[must_use]
    pub fn in_groups(mut self, together: Option<&Together>) -> Self {
        let keys = |group: &Vec<Reader>| group.iter().map(ToString::to_string).collect();
        self.together = together.map(|together| Groups {
            needed: together.threshold,
            groups: together.groups.iter().map(keys).collect(),
        });
        self
    }

    /// Lines with those who read it now.
    fn lines(&self) -> Vec<String> {
        let Some(together) = &self.together else {
            let head = if self.readers.is_empty() { "can read it: nobody" } else { "can read it:" };
            let readers = self.readers.iter().map(|person| format!("  {}", person.line()));
            return std::iter::once(head.to_owned()).chain(readers).collect();
        };
        let line = |key: &String| {
            let person = self.readers.iter().find(|person| person.key == *key);
            person.map_or_else(|| key.clone(), Person::line)
        };
        let group = |(at, keys): (usize, &Vec<String>)| {
            let members: Vec<String> = keys.iter().map(line).collect();
            format!("  group {}: {}", at + 1, members.join(", "))
        };
        let (needed, all) = (together.needed, together.groups.len());
        let head = if needed == all {
            format!("can read it, with a key of each of these {all} groups:")
        } else {
            format!("can read it, with keys of {needed} of these {all} groups:")
        };
        std::iter::once(head).chain(together.groups.iter().enumerate().map(group)).collect()
    }
}

/// Shows an [`Answer`].
///
/// # Errors
/// When standard output cannot be written.
pub fn who(ui: Ui, answer: &Answer) -> Result<()> {
    if ui.json() {
        return ui.result_json(answer);
    }
    let mut out = String::new();
    if let Some(token) = &answer.token {
        let _ = writeln!(out, "{} is token {}", token.entry, token.id);
    }
    for file in &answer.files {
        let _ = writeln!(out, "{}", ui.paint(Style::Bold, &file.file));
        for line in file.lines() {
            let _ = writeln!(out, "  {line}");
        }
        let _ = writeln!(
            out,
            "  could read it before:{}",
            if file.former.is_empty() { " nobody else" } else { "" }
        );
        for person in &file.former {
            let _ = writeln!(out, "    {}", person.line());
        }
    }
    ui.result(&out)?;
    unreadable(ui, &answer.unreadable.iter().cloned().collect());
    Ok(())
}

fn unreadable(ui: Ui, files: &BTreeSet<String>) {
    if !files.is_empty() {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let what =
            format!("some version of {} cannot be read, so whom it was for is not known", files.join(", "));
        ui.note(true, &what);
    }
}

impl Person {
    fn line(&self) -> String {
        let who = match &self.name {
            Some(name) => format!("{name} ({})", self.short),
            None => self.short.clone(),
        };
        match (&self.until, &self.commit) {
            (Some(day), Some(commit)) => format!("{who} until {day}, commit {}", short(commit)),
            _ => who,
        }
    }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// What becomes of somebody who leaves.
#[derive(Debug, Serialize)]
pub struct Leaving<'a> {
    /// What they are called.
    pub name: &'a str,
    /// Every key that was theirs.
    pub keys: Vec<String>,
    /// Every token that they could ever read.
    pub tokens: &'a BTreeSet<Token>,
    /// What else they could read, by file.
    pub others: &'a BTreeMap<String, BTreeSet<Path>>,
    /// Files of which some version cannot be read.
    pub unreadable: &'a BTreeSet<String>,
    /// Personal environments that nobody else can read.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub left_behind: &'a [LeftBehind],
    /// What was done; none after `--dry-run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<&'a Done>,
    /// Environments whose tokens got successors.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub rotated: &'a [Rotated],
    /// What would be done to policy and files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<&'a Plan>,
    /// What would be done to their tokens.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub rotation: &'a [TokenPlan],
}

impl<'a> Leaving<'a> {
    /// From what the history says.
    #[must_use]
    pub fn new(
        name: &'a str,
        keys: &BTreeSet<Reader>,
        readable: &'a Readable,
        unreadable: &'a BTreeSet<String>,
    ) -> Self {
        Self {
            name,
            keys: keys.iter().map(ToString::to_string).collect(),
            tokens: &readable.tokens,
            others: &readable.others,
            unreadable,
            left_behind: &[],
            done: None,
            rotated: &[],
            plan: None,
            rotation: &[],
        }
    }

    /// With what is of no use to anybody any more.
    #[must_use]
    pub fn leaves_behind(self, left_behind: &'a [LeftBehind]) -> Self {
        Self { left_behind, ..self }
    }

    /// With what would be done, after `--dry-run`.
    #[must_use]
    pub fn planned(self, plan: &'a Plan, rotation: &'a [TokenPlan]) -> Self {
        Self { plan: Some(plan), rotation, ..self }
    }

    /// With what was done to files, and to tokens.
    #[must_use]
    pub fn with(self, done: Option<&'a Done>, rotated: &'a [Rotated]) -> Self {
        Self { done, rotated, ..self }
    }
}

/// Says what was done, what they could ever read, and what is still to do.
///
/// # Errors
/// When standard output cannot be written.
pub fn left(ui: Ui, leaving: &Leaving<'_>, here: &Here) -> Result<()> {
    if ui.json() {
        return ui.result_json(leaving);
    }
    if let Some(plan) = leaving.plan {
        super::rekey::dry_run(ui, plan, &[], false)?;
    }
    for plan in leaving.rotation {
        ui.result(&super::plan::text(ui, plan))?;
    }
    super::report::notes(ui, &leaving.rotation.iter().collect::<Vec<_>>());
    if let Some(done) = leaving.done {
        super::rekey::done(ui, done)?;
    }
    if !leaving.rotated.is_empty() {
        super::report::done(ui, leaving.rotated, None, here)?;
    }
    let Leaving { name, tokens, others, .. } = leaving;
    let mut out = String::new();
    if !tokens.is_empty() {
        let _ = writeln!(out, "{name} could read these tokens:");
    }
    for token in *tokens {
        let _ = writeln!(out, "  {}", line(ui, token));
    }
    if !others.is_empty() {
        let _ = writeln!(out, "{name} could read these values, which no lock knows:");
    }
    for (file, leaves) in *others {
        let paths: Vec<String> = leaves.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "  {file}: {}", files(&paths));
    }
    if tokens.is_empty() && others.is_empty() {
        let _ = writeln!(out, "{name} could never read anything, according to the history of this clone");
    }
    ui.result(&out)?;
    unreadable(ui, leaving.unreadable);
    advise(ui, leaving, here);
    Ok(())
}

fn line(ui: Ui, token: &Token) -> String {
    let expires = token.expires.map_or_else(|| "never expires".to_owned(), |date| format!("expires {date}"));
    let state = match token.state {
        State::Current => ui.paint(Style::Warn, &format!("still in use, {expires}")),
        State::Superseded => format!("replaced, and not revoked yet; {expires}"),
        State::Gone => "no longer in use".to_owned(),
    };
    format!("{}/{}, token {} of {}: {state}", token.environment, token.key, token.id, token.owner)
}

/// `1 token has`, `3 tokens have`.
fn have(count: usize) -> String {
    if count == 1 { "1 token has".to_owned() } else { format!("{count} tokens have") }
}

/// What is left to do, plainly.
fn advise(ui: Ui, leaving: &Leaving<'_>, here: &Here) {
    if leaving.tokens.is_empty() && leaving.others.is_empty() {
        return;
    }
    let name = leaving.name;
    ui.note(
        true,
        &format!("whoever has a clone keeps its history: what {name} could read stays readable to {name}"),
    );
    let of = |state| leaving.tokens.iter().filter(move |token| token.state == state);
    let (personal, shared): (Vec<&Token>, Vec<&Token>) =
        of(State::Current).partition(|token| token.environment.contains('/'));
    let has_successor = |token: &Token| {
        let mut made = leaving.rotated.iter().filter(|done| done.environment == token.environment);
        made.any(|done| done.minted.iter().any(|new| new.key == token.key))
    };
    let (waiting, old): (Vec<&Token>, Vec<&Token>) =
        shared.into_iter().partition(|token| has_successor(token));
    if !waiting.is_empty() {
        ui.note(true, &format!("{} a successor that waits for its merge", have(waiting.len())));
    }
    if !old.is_empty() {
        let environments: BTreeSet<&str> = old.iter().map(|token| token.environment.as_str()).collect();
        let count = old.len();
        let tokens = if count == 1 { "1 token is".to_owned() } else { format!("{count} tokens are") };
        let names: Vec<&str> = environments.into_iter().collect();
        ui.note(true, &format!("{tokens} still the old one, in {}", names.join(", ")));
        if leaving.rotation.is_empty() {
            ui.say(&format!("replace what can be: provision keys remove {} --rotate-tokens", word(name)));
        }
    }
    let is_left =
        |token: &&&Token| leaving.left_behind.iter().any(|behind| behind.environment == token.environment);
    for token in personal.iter().filter(|token| !is_left(token)) {
        let (environment, person) = token.environment.split_once('/').unwrap_or_default();
        let what = format!("token {} is {person}'s own: {person} replaces it", token.id);
        ui.note(true, &format!("{what} with provision rotate --env {environment}"));
    }
    for behind in leaving.left_behind {
        left_behind(ui, name, behind, here);
    }
    let replaced = of(State::Superseded).count();
    if replaced > 0 {
        let tokens = match replaced {
            1 => "1 token is replaced and still works".to_owned(),
            _ => format!("{replaced} tokens are replaced and still work"),
        };
        let when = "until a run after the overlap, such as provision rotate --all --due";
        ui.note(true, &format!("{tokens} {when}"));
    }
    if !leaving.others.is_empty() {
        ui.note(true, "values that no lock knows have to be replaced where they come from");
    }
}

/// What nobody but the one who leaves could read is of no use here, and CI would report its end every night.
fn left_behind(ui: Ui, name: &str, behind: &LeftBehind, here: &Here) {
    let LeftBehind { environment, gitlab, tokens, paths } = behind;
    let (tokens, pronoun) = match tokens.as_slice() {
        [one] => (format!("token {one} is"), "it"),
        many => {
            let many: Vec<String> = many.iter().map(ToString::to_string).collect();
            (format!("tokens {} are", many.join(", ")), "them")
        }
    };
    ui.note(
        true,
        &format!(
            "{tokens} in {environment}, which nobody but {name} can read: no successor can be made here"
        ),
    );
    ui.say(&format!(
        "  an administrator of {gitlab} revokes {pronoun} (DELETE /api/v4/personal_access_tokens/ID), or blocks the account"
    ));
    let remove =
        Hint::from("  then take it out of the repository: git rm ").paths(paths).then(" && git commit");
    ui.say(&remove.at(here).to_string());
}
