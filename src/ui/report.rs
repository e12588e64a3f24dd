//! What a run is going to do, and what it did.

use std::fmt::Write;

use serde::Serialize;

use super::{Style, Ui};
use crate::error::{Result, word};
use crate::hint::{Here, Hint};
use crate::plan::access::Requested;
use crate::plan::message::{Done, Proof, Refusal, Refused};
use crate::plan::{Note, Plan};

/// Shows plans before they are confirmed.
pub fn plans(ui: Ui, plans: &[&Plan]) {
    for plan in plans {
        ui.say(&super::plan::text(ui, plan));
    }
    notes(ui, plans);
}

/// Shows what a person should know beside the plan.
pub fn notes(ui: Ui, plans: &[&Plan]) {
    for plan in plans {
        for note in &plan.notes {
            ui.note(note.attention, &format!("{}: {}", plan.environment, note.text));
        }
    }
}

#[derive(Serialize)]
struct Planned<'a> {
    plans: &'a [Plan],
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'a Requested>,
}

/// Shows what a run would do.
///
/// # Errors
/// When standard output cannot be written.
pub fn planned(ui: Ui, plans: &[Plan], access: Option<&Requested>) -> Result<()> {
    if ui.json() {
        return ui.result_json(&Planned { plans, access });
    }
    for plan in plans {
        ui.result(&super::plan::text(ui, plan))?;
    }
    notes(ui, &plans.iter().collect::<Vec<_>>());
    Ok(())
}

#[derive(Serialize)]
struct Report<'a> {
    environments: Vec<Reported<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'a Requested>,
}

#[derive(Serialize)]
struct Reported<'a> {
    #[serde(flatten)]
    done: &'a Done,
    notes: Vec<Note>,
}

/// Says what was done, `access` being what was asked for beside it: file, commit, token id and expiry, never a value.
///
/// # Errors
/// When standard output cannot be written.
pub fn done(ui: Ui, all: &[Done], access: Option<&Requested>, here: &Here) -> Result<()> {
    if ui.json() {
        let environments = all.iter().map(|done| Reported { done, notes: done.all_notes() }).collect();
        return ui.result_json(&Report { environments, access });
    }
    let mut out = String::new();
    for done in all {
        let name = ui.paint(Style::Bold, &done.environment);
        for line in lines(done) {
            let _ = writeln!(out, "{name}: {line}");
        }
    }
    ui.result(&out)?;
    for done in all {
        for token in &done.unrevoked {
            let what = format!("superseded token {} is not revoked: {}", token.id, token.why);
            ui.note(true, &format!("{}: {what}", done.environment));
        }
        for note in &done.notes {
            ui.note(false, &format!("{}: {note}", done.environment));
        }
    }
    if let Some(example) = all.iter().find_map(|done| done.example.as_ref()) {
        let read = Hint::from(format!("read it: sops decrypt --extract {} ", word(&example.path)));
        ui.say(&read.path(&example.file).at(here).to_string());
    }
    Ok(())
}

fn lines(done: &Done) -> Vec<String> {
    let mut lines = Vec::new();
    for new in &done.minted {
        let token = &new.token;
        let expires =
            token.expires_at.map_or_else(|| "never expires".to_owned(), |date| format!("expires {date}"));
        let replaces = new.replaces.map(|id| format!(", in place of {id}")).unwrap_or_default();
        lines.push(format!("{} is {} token {}, {expires}{replaces}", new.key, new.owner.kind, token.id));
    }
    lines.extend(done.rendered.iter().map(|(key, id)| format!("{key} was rendered again from token {id}")));
    lines.extend(done.retired.iter().map(|id| format!("superseded token {id} is revoked")));
    lines.extend(done.revoked.iter().map(|revoked| {
        let proof = match revoked.proof {
            Proof::Itself => "GitLab refuses its value",
            Proof::Record => "GitLab says so",
        };
        format!("{}: token {} is revoked; {proof}", revoked.key, revoked.id)
    }));
    lines.extend(done.moved.iter().map(|(from, to)| format!("{from} is {to} now")));
    lines.extend(done.restored.iter().map(|path| format!("{path} is again as HEAD has it")));
    lines.extend(done.withdrawn.iter().map(|id| format!("token {id} of an interrupted run is revoked")));
    lines.extend(done.refused.iter().map(|Refused { key, why, what }| match what {
        Refusal::Mint | Refusal::Revocation => format!("{key} is as it was: {why}"),
        Refusal::Rest { ended } => {
            format!(
                "{key} is not finished: token {ended} has ended, and its successor waits in the journal: {why}"
            )
        }
    }));
    lines.extend(done.healthy.iter().map(|healthy| {
        let expires =
            healthy.expires.map_or_else(|| "never expires".to_owned(), |date| format!("expires {date}"));
        format!("{} is healthy: token {}, {expires}", healthy.key, healthy.id)
    }));
    if let Some(commit) = &done.commit {
        let short: String = commit.chars().take(10).collect();
        let files = done.files.join(", ");
        lines.push(if files.is_empty() {
            format!("commit {short}")
        } else {
            format!("commit {short} with {files}")
        });
    } else if !done.files.is_empty() {
        lines.push(format!("wrote {}, not committed", done.files.join(", ")));
    }
    if !done.kept_out.is_empty() {
        lines.push(format!("wrote {}, kept out of git", done.kept_out.join(", ")));
    }
    if let Some(place) = &done.pushed {
        lines.push(match &done.merge_request {
            Some(url) => format!("pushed to {place}, merge request {url}"),
            None => format!("pushed to {place}"),
        });
    }
    lines
}
