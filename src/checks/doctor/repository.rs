//! Checks of the repository: git, policy, environments.

use super::Grade;
use super::{Hook, Observed, Repository, Said, count};
use crate::checks::{Severity, State, hook};
use crate::error::Error;
use crate::hint::Hint;
use crate::plan::options::Options;

fn repository(observed: &Observed) -> Option<&Repository> {
    observed.repository.as_ref().ok()
}

pub(super) fn place(observed: &Observed) -> Vec<Said> {
    let repository = match &observed.repository {
        Ok(repository) => repository,
        Err(error) => return vec![Said::of_error(error)],
    };
    let root = &repository.root;
    if let Some(operation) = repository.in_progress {
        let mend = "finish it, or abort it; until then nothing is committed";
        return vec![Said::warning(format!("{root} is in the middle of {operation}"), mend)];
    }
    vec![match &repository.branch {
        Some(branch) => Said::ok(format!("{root} on {branch}, nothing in progress")),
        None => Said::note(format!("{root}, no branch checked out: a commit would be on no branch")),
    }]
}

pub(super) fn commit(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    vec![match &repository.commit {
        Ok(()) => Said::ok("a commit can be made: identity, index, hooks and signing program are there"),
        Err(error) => Said::of_error(error),
    }]
}

pub(super) fn upstream(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    vec![match &repository.upstream {
        Ok(Some(branch)) => Said::ok(format!("{branch} says when a token counts as replaced")),
        Ok(None) => Said::note("there is no remote: what is committed here counts as delivered"),
        Err((why, mend)) => Said::warning(format!("upstream is not known: {why}"), mend),
    }]
}

pub(super) fn own_files(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    if repository.uncommitted.is_empty() {
        return vec![Said::ok("policy, profiles, locks and secrets files are as HEAD has them")];
    }
    let differing = &repository.uncommitted;
    let mend = |error: &Error| error.hints().iter().cloned().reduce(Hint::or);
    differing
        .iter()
        .map(|error| Said { mend: mend(error), ..Said::new(Grade::Warning, error.message()) })
        .collect()
}

pub(super) fn hook(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    vec![match &repository.hook {
        Hook::Ours => Said::ok("provision check runs before each commit"),
        Hook::Other { path, checks: true, .. } => Said::ok(format!("{path} runs provision check")),
        Hook::None => Said {
            mend: Some("provision hook install".into()),
            ..Said::note("no hook looks for secrets in the clear before a commit")
        },
        Hook::Other { path, runner, checks: false } => Said {
            mend: Some(hook::advice(*runner, path).into()),
            ..Said::note(format!("{path} is the hook here and does not run provision check"))
        },
        Hook::Unknown(why) => Said::skipped(format!("the pre-commit hook: {why}")),
    }]
}

pub(super) fn policy(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    if repository.has_policy {
        return vec![Said::ok(".sops.yaml says who may read which file")];
    }
    let mend =
        Hint::from("provision init writes one; then git add ").path(".sops.yaml").then(" && git commit");
    vec![Said::wrong("there is no .sops.yaml: nobody is named to encrypt for", mend)]
}

pub(super) fn check(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    vec![match &repository.check {
        Ok((0, _)) => Said::ok("secrets files, policy, templates and locks agree"),
        Ok((number, first)) => {
            let first = first.as_deref().unwrap_or_default();
            Said::wrong(
                format!("{}, the first: {first}", count(*number, "finding")),
                "provision check lists them all",
            )
        }
        Err(error) => Said::of_error(error),
    }]
}

pub(super) fn profiles(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    if repository.environments.is_empty() {
        return vec![Said::wrong("there is no environment", "provision init")];
    }
    let mut said: Vec<Said> =
        repository.environments.iter().filter_map(|(_, error)| error.as_ref()).map(Said::of_error).collect();
    let well: Vec<&str> = repository
        .environments
        .iter()
        .filter(|(_, error)| error.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    if !well.is_empty() {
        said.insert(0, Said::ok(format!("{}: {}", count(well.len(), "environment"), well.join(", "))));
    }
    said
}

pub(super) fn tokens(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    let mut said = Vec::new();
    let healthy = repository.tokens.iter().filter(|row| row.state == State::Healthy).count();
    if healthy > 0 {
        said.push(Said::ok(format!("{} healthy, according to the locks", count(healthy, "token"))));
    }
    for row in repository.tokens.iter().filter(|row| row.state != State::Healthy) {
        let what = match &row.user {
            Some(user) => format!("{}/{user}: {} is {}", row.environment, row.key, row.state),
            None => format!("{}: {} is {}", row.environment, row.key, row.state),
        };
        let name = &row.environment;
        let has_profile = repository.environments.iter().any(|(of, _)| of == name);
        let mend: Hint = match &row.user {
            _ if !has_profile => {
                format!("write the profile back, or end it: provision revoke --env {name}").into()
            }
            Some(user) => match repository.own.get(&format!("{name}/{user}")) {
                Some(mend) => mend.clone(),
                None => format!("provision bootstrap --env {name}").into(),
            },
            None => format!("provision --env {}", row.environment).into(),
        };
        said.push(match row.state.severity() {
            _ if row.state == State::Missing => {
                Said { mend: Some(mend), ..Said::note(format!("{what}: it was never minted")) }
            }
            _ if row.state == State::Unlisted && !has_profile => {
                Said::warning(format!("{what}: environments/{name}.yaml is not there"), mend)
            }
            _ if row.state == State::Unlisted => Said::warning(
                format!("{what}: minted once, and no longer in the profile"),
                format!("write the entry back, or end it: provision --env {name} --prune"),
            ),
            Severity::Dead => Said::wrong(what, mend),
            Severity::Due | Severity::Fine => Said::warning(what, mend),
        });
    }
    said
}

/// A token that cannot do what its profile asks for: the profile has changed since, or somebody put another one there.
pub(super) fn scopes(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    let each = repository.lacking.iter().map(|token| {
        Said::warning(
            format!(
                "{}: {} lacks {}, which its profile asks for",
                token.environment,
                token.key,
                token.scopes.join(", ")
            ),
            format!("provision --env {}", token.environment),
        )
    });
    each.collect()
}

pub(super) fn interrupted(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    if repository.journals.is_empty() {
        return vec![Said::ok("no run was interrupted")];
    }
    let each = repository.journals.iter().map(|(environment, open)| match open {
        Ok(replay) => Said::warning(
            format!(
                "a run of {environment} was interrupted with {} open",
                count(replay.open.len(), "request")
            ),
            format!("{} goes on from there", Options::resume(replay.way()).command(environment)),
        ),
        Err(error) => Said::of_error(error),
    });
    each.collect()
}

/// Superseded tokens live until a later run retires them: something has to make that run.
pub(super) fn schedule(observed: &Observed) -> Vec<Said> {
    let Some(repository) = repository(observed) else { return Vec::new() };
    let waiting: usize = repository.tokens.iter().map(|row| row.superseded.len()).sum();
    vec![match (&repository.scheduled, waiting) {
        (Some(file), _) => {
            Said::ok(format!("{file} runs provision: replaced tokens are retired, due ones renewed"))
        }
        (None, 0) => Said {
            mend: Some("run provision rotate --all --due --yes in a scheduled pipeline; provision init --ci writes one".into()),
            ..Said::note("no pipeline here runs provision, so nobody renews tokens that come due")
        },
        (None, waiting) => Said::warning(
            format!(
                "{} still to be retired, and no pipeline here runs provision",
                count(waiting, "replaced token")
            ),
            "run provision --all once their overlap is over, or in a scheduled pipeline with --yes",
        ),
    }]
}
