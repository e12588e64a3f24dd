//! What a rekey is going to do, and what it did.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Style, Ui};
use crate::commands::Exit;
use crate::error::Result;
use crate::plan::Note;
use crate::plan::rekey::{Change, Done, Plan, Wanted};

/// Width of the verb column.
const VERB: usize = 9;

/// How many files of one kind are named; `--json` names all.
const NAMED: usize = 5;

/// Shows a plan before it is confirmed.
pub fn show(ui: Ui, plan: &Plan, notes: &[Note]) {
    ui.say(&text(ui, plan));
    for note in plan.notes().iter().chain(notes) {
        ui.note(note.attention, &note.text);
    }
}

/// The plan as the result of `--dry-run`.
///
/// # Errors
/// When standard output cannot be written.
pub fn dry_run(ui: Ui, plan: &Plan, notes: &[Note], exit_code: bool) -> Result<Exit> {
    if ui.json() {
        ui.result_json(plan)?;
    } else {
        ui.result(&text(ui, plan))?;
        for note in plan.notes().iter().chain(notes) {
            ui.note(note.attention, &note.text);
        }
    }
    let something = !plan.is_empty() || plan.needs_attention() || plan.pushes.is_some();
    Ok(if exit_code && something { Exit::Attention } else { Exit::Done })
}

/// What an earlier run committed, and is to be pushed.
pub fn push(ui: Ui, pushes: &str) {
    ui.say(&push_line(ui, pushes));
}

fn push_line(ui: Ui, pushes: &str) -> String {
    format!("  {}{pushes}", ui.paint(Style::Good, &format!("{:VERB$}", "push")))
}

fn text(ui: Ui, plan: &Plan) -> String {
    let mut out = String::new();
    let mut line = |verb: &str, text: &str| {
        let _ = writeln!(out, "  {}{text}", ui.paint(Style::Good, &format!("{verb:VERB$}")));
    };
    if plan.new_policy {
        line("write", ".sops.yaml");
    }
    for (wanted, changes) in plan.groups() {
        line("rekey", &names(changes.iter().map(|change| change.file.as_str())));
        for what in effects(wanted) {
            line("", &what);
        }
        let done = changes.iter().filter(|change| change.done).count();
        if done > 0 {
            line("", &format!("{done} of them {} so already, and not committed", verb(done)));
        }
    }
    if let Some(pushes) = &plan.pushes {
        let _ = writeln!(out, "{}", push_line(ui, pushes));
    }
    if plan.in_line > 0 {
        let in_line = format!("{} as .sops.yaml says", are(plan.in_line));
        let _ = writeln!(out, "  {:VERB$}{}", "", ui.paint(Style::Dim, &in_line));
    }
    out
}

fn verb(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// `1 file is`, `3 files are`.
fn are(count: usize) -> String {
    if count == 1 { "1 file is".to_owned() } else { format!("{count} files are") }
}

fn names<'n>(mut names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first: Vec<&str> = names.by_ref().take(NAMED).collect();
    let first = first.join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

fn effects(wanted: &Wanted) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(wanted.added.iter().map(|reader| format!("{} will read", reader.full())));
    lines.extend(wanted.removed.iter().map(|reader| format!("{} will no longer read", reader.full())));
    if wanted.groups {
        lines.push("it will take the groups of keys that the rule says to open it".to_owned());
    }
    if wanted.selection {
        lines.push("other values will be encrypted, as the rule says".to_owned());
    }
    if wanted.mac_scope {
        lines.push("the MAC will cover other values, as the rule says".to_owned());
    }
    if wanted.new_data_key {
        lines.push("everything is encrypted anew under a new data key".to_owned());
    }
    lines
}

/// Says what was done, and what was not.
///
/// # Errors
/// When standard output cannot be written.
pub fn done(ui: Ui, done: &Done) -> Result<()> {
    if ui.json() {
        return ui.result_json(done);
    }
    let mut out = String::new();
    for line in lines(done) {
        let _ = writeln!(out, "{line}");
    }
    ui.result(&out)?;
    for file in done.skipped.iter().skip(done.announced) {
        ui.note(true, &format!("{} was left as it is: {}", file.file, file.why));
    }
    // A plan that has something to do says it before.
    let is_new = done.rekeyed.is_empty() && !done.new_policy;
    for file in done.elsewhere.iter().filter(|_| is_new) {
        ui.note(false, &file.to_string());
    }
    let hints: BTreeSet<String> =
        done.skipped.iter().flat_map(|file| file.why.hints()).map(ToString::to_string).collect();
    for hint in hints {
        ui.note(false, &hint);
    }
    for note in &done.notes {
        ui.note(false, note);
    }
    Ok(())
}

fn lines(done: &Done) -> Vec<String> {
    let mut lines = Vec::new();
    if done.rekeyed.is_empty() && done.skipped.is_empty() && !done.new_policy {
        let in_line = format!("{} as .sops.yaml says", are(done.in_line));
        if done.pushed.is_none() {
            return vec![format!("{in_line}: nothing to do")];
        }
        lines.push(in_line);
    }
    if !done.rekeyed.is_empty() {
        let files = names(done.rekeyed.iter().map(|change: &Change| change.file.as_str()));
        lines.push(format!("{} as .sops.yaml says now: {files}", are(done.rekeyed.len())));
    }
    match &done.commit {
        Some(commit) => lines.push(format!("commit {}", commit.chars().take(10).collect::<String>())),
        None if !done.rekeyed.is_empty() || done.new_policy => lines.push("not committed".to_owned()),
        None => {}
    }
    if let Some(place) = &done.pushed {
        lines.push(match &done.merge_request {
            Some(url) => format!("pushed to {place}, merge request {url}"),
            None => format!("pushed to {place}"),
        });
    }
    lines
}
