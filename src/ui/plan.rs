//! A plan as a person reads it before saying yes.

use std::collections::BTreeSet;
use std::fmt::Write;

use jiff::Timestamp;

use super::{Style, Ui};
use crate::plan::{Mint, Once, Plan, Reason, Retire, Revoke, Step, Why};
use crate::sops;
use crate::token::TokenId;

/// Width of the verb column.
const VERB: usize = 9;

/// The plan of one environment, a block of lines.
#[must_use]
pub fn text(ui: Ui, plan: &Plan) -> String {
    let heading = format!("{} at {}", plan.environment, plan.gitlab);
    let mut out = format!("{}\n", ui.paint(Style::Bold, &heading));
    let commits = plan.steps.iter().any(|step| matches!(step, Step::Commit { .. }));
    // The commit names the lock among its paths.
    let is_said = |step: &&Step| matches!(step, Step::Lock { .. }) && loses(plan, step).is_empty();
    let shown = plan.steps.iter().filter(|step| !commits || !is_said(step));
    let ending: BTreeSet<TokenId> = plan.at_once().map(|retire| retire.token.id).collect();
    for step in shown {
        let (verb, mut lines) = describe(step, &ending);
        lines.extend(loses(plan, step));
        for (index, line) in lines.iter().enumerate() {
            let verb = if index == 0 { verb } else { "" };
            let _ = writeln!(out, "  {}{line}", ui.paint(Style::Good, &format!("{verb:VERB$}")));
        }
    }
    for healthy in &plan.healthy {
        let expires = healthy.expires.map_or_else(|| "never expires".to_owned(), |d| format!("expires {d}"));
        let line = format!("{} is healthy: token {}, {expires}", healthy.key, healthy.id);
        let _ = writeln!(out, "  {:VERB$}{}", "", ui.paint(Style::Dim, &line));
    }
    out
}

/// What leaves the lock, and no other step says so.
fn loses(plan: &Plan, step: &Step) -> Vec<String> {
    let Step::Lock { forgotten, removed, .. } = step else { return Vec::new() };
    let is_revoked = |key: &&String| {
        plan.steps.iter().any(|step| matches!(step, Step::Revoke(revoke) if revoke.retire.key == **key))
    };
    let files = forgotten.iter().map(|file| format!("without {file}, which is gone"));
    let ended = removed.iter().filter(|key| !is_revoked(key));
    files.chain(ended.map(|key| format!("without {key}, whose token has ended"))).collect()
}

/// `ending`: the tokens that the plan revokes as soon as their successors are there, in steps of their own.
fn describe(step: &Step, ending: &BTreeSet<TokenId>) -> (&'static str, Vec<String>) {
    let superseded = |old: Option<TokenId>| {
        let old = old.filter(|id| !ending.contains(id));
        old.map(|id| format!("token {id} is superseded, and retired once its overlap is over"))
    };
    match step {
        Step::Mint(mint) if mint.rotates.is_some() => ("rotate", describe_mint(mint, None)),
        Step::Mint(mint) => ("mint", describe_mint(mint, superseded(living(mint)))),
        Step::Paste(mint) => {
            let mut lines = describe_mint(mint, superseded(living(mint)));
            lines.push("a person makes it in GitLab's form, and pastes it: no request makes it".to_owned());
            ("paste", lines)
        }
        Step::Withdraw { key, id, why, .. } => {
            ("withdraw", vec![format!("token {id}, made for {key} by an interrupted run: {why}")])
        }
        Step::Finish { key, record, takes_over, .. } => {
            let mut lines = vec![format!("{key} with token {}, made by an interrupted run", record.id)];
            lines.extend(superseded(takes_over.living()));
            ("finish", lines)
        }
        Step::Render { key, id, from } => (
            "render",
            vec![format!("{key} again with token {id}, whose value is in {} {}", from.file, from.path)],
        ),
        Step::Retire(retire) => (
            "retire",
            vec![format!(
                "{}: superseded token {}, {}{}",
                retire.key,
                retire.token.id,
                why(&retire.because),
                by_itself(retire)
            )],
        ),
        Step::RetireAtOnce(retire) => {
            let Retire { key, token, because } = retire;
            ("revoke", vec![format!("{key}: token {}, {}{}", token.id, why(because), by_itself(retire))])
        }
        Step::Revoke(Revoke { retire, .. }) => ("revoke", describe_revoke(retire)),
        Step::Move { from, to } => {
            ("rename", vec![format!("{from} is {to} in the profile now; its token stays")])
        }
        Step::Restore { path } => {
            ("restore", vec![format!("{path} as HEAD has it: an interrupted run had replaced it")])
        }
        Step::Write(write) if write.create => (
            "create",
            vec![format!("{} from {}, for {}", write.file, write.template, readers(write.readers.count()))],
        ),
        Step::Write(write) => {
            let listed =
                |leaves: &[sops::Path]| leaves.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let mut lines = Vec::new();
            if !write.leaves.is_empty() {
                lines.push(format!("{} in {}", listed(&write.leaves), write.file));
            }
            if !write.blank.is_empty() {
                lines.push(format!("{} in {} to nothing", listed(&write.blank), write.file));
            }
            ("set", lines)
        }
        Step::Lock { path, .. } => ("lock", vec![path.clone()]),
        Step::Commit { paths } => ("commit", vec![paths.join(", ")]),
        Step::Push { to, commits: 1 } => ("push", vec![format!("1 commit that is made already to {to}")]),
        Step::Push { to, commits } => {
            ("push", vec![format!("{commits} commits that are made already to {to}")])
        }
    }
}

/// The token that is replaced, where it lives on for a while.
fn living(mint: &Mint) -> Option<TokenId> {
    mint.replaces.filter(|_| !mint.because.iter().any(Reason::is_end))
}

fn describe_mint(mint: &Mint, superseded: Option<String>) -> Vec<String> {
    let owner = &mint.owner;
    let scopes = mint.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let role = mint.role.map(|role| format!("{role}; ")).unwrap_or_default();
    let until = match (mint.expires.date, mint.expires.or_earlier) {
        (Some(date), true) => format!("expires {date} (max)"),
        (Some(date), false) => format!("expires {date}"),
        (None, _) => "never expires".to_owned(),
    };
    let mut lines = vec![
        format!("{}: {} token \"{}\" of {}", mint.key, owner.kind, mint.name, owner.path),
        format!("{role}{scopes}; {until}"),
    ];
    lines.extend(mint.because.iter().map(|reason| format!("because {reason}")));
    match &mint.rotates {
        Some(old) => lines.push(format!(
            "token {} ends at once: until the new value is committed and delivered, nobody has one that works",
            old.id
        )),
        None => lines.extend(superseded),
    }
    lines
}

fn describe_revoke(retire: &Retire) -> Vec<String> {
    let Retire { key, token, because } = retire;
    let owner = &token.owner;
    vec![
        format!(
            "{key}: {} token {} \"{}\" of {}, {}{}",
            owner.kind,
            token.id,
            token.name,
            owner.path,
            why(because),
            by_itself(retire)
        ),
        "whoever uses it is locked out at once".to_owned(),
    ]
}

/// How a token without a mark ends.
fn by_itself(retire: &Retire) -> &'static str {
    match retire.token.mark {
        Some(_) => "",
        None => "; made by hand, it ends itself with its value",
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::OverlapOver { since } => format!("overlap over since {}", moment(*since)),
        Why::NoOverlap { once: Once::Committed } => {
            "as soon as its successor is committed, without an overlap".to_owned()
        }
        Why::NoOverlap { once: Once::Upstream } => {
            "as soon as its successor is upstream, without an overlap".to_owned()
        }
        Why::Asked => "as it was asked for".to_owned(),
        Why::NotInProfile => "as the profile no longer has it".to_owned(),
        Why::Orphan { created } => format!("made at {}, which no lock names", moment(*created)),
        Why::Leaked { last_used: Some(used) } => {
            format!("as it is in the wrong hands; last used at {}", moment(*used))
        }
        Why::Leaked { last_used: None } => "as it is in the wrong hands; never used".to_owned(),
    }
}

/// To the second: GitLab tells some moments to the millisecond.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `1 reader`, `3 readers`.
#[must_use]
pub fn readers(count: usize) -> String {
    if count == 1 { "1 reader".to_owned() } else { format!("{count} readers") }
}
