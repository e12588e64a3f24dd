//! Checks of the files that say what the secrets files should be: policy, profiles, templates, locks.

use std::collections::{BTreeMap, BTreeSet};

use crate::hint::Hint;
use crate::lock::{self, Lock, LockError};
use crate::problem::Problems;
use crate::sops::{HiddenRule, PolicyError, Problem};
use crate::template::{Template, TemplateError, check_all};

use super::clear_tokens;
use super::finding::{Spot, line_of};
use super::repository::{Judged, Own, Source};

const POLICY_MEND: &str = "sops would ignore it or fail: mend the policy";

fn policy_mend(error: &PolicyError) -> &'static str {
    match error {
        PolicyError::At { problem: Problem::MergeKey, .. } => "sops follows it: mend the policy for both",
        _ => POLICY_MEND,
    }
}

/// The policy as a whole, and the rules that files need.
pub(super) fn policy(own: &Own, files: &[Judged]) -> Vec<Spot> {
    let Some(source) = &own.policy else { return Vec::new() };
    let policy = match &source.read {
        Ok(policy) => policy,
        Err(error) => return vec![Spot::of_error(&source.path, &error.to_string(), policy_mend(error))],
    };
    let needed = files.iter().filter(|file| !file.personal && file.nested.is_none());
    let errors: BTreeSet<String> = needed
        .filter_map(|file| policy.rule_for(&file.path).err())
        .filter(|error| !matches!(error, PolicyError::NoRule { .. }))
        .map(|error| error.to_string())
        .collect();
    errors.iter().map(|error| Spot::of_error(&source.path, error, POLICY_MEND)).collect()
}

/// Policies below the root, where there are secrets files below them.
pub(super) fn nested(_own: &Own, files: &[Judged]) -> Vec<Spot> {
    let mut below: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.personal) {
        if let Some(policy) = &file.nested {
            below.entry(policy).or_default().push(&file.path);
        }
    }
    let spot = |(policy, files): (&str, Vec<&str>)| {
        let count = match files.len() {
            1 => "1 secrets file lies".to_owned(),
            many => format!("{many} secrets files lie"),
        };
        let what = format!(
            "{count} below this policy, and only the one at the root is followed here: nothing says who may read {}",
            files.first().copied().unwrap_or_default()
        );
        Spot::new(
            policy,
            1,
            what,
            "move its rules to the root's .sops.yaml, or look after its files with sops",
        )
    };
    below.into_iter().map(spot).collect()
}

pub(super) fn hidden_rules(own: &Own, _files: &[Judged]) -> Vec<Spot> {
    let Some(source) = &own.policy else { return Vec::new() };
    let Ok(policy) = &source.read else { return Vec::new() };
    let spot = |rule: &HiddenRule| {
        let what =
            format!("no file reaches this rule: the one in line {} takes them all first", rule.by.line);
        Spot::new(&source.path, rule.position.line, what, "move it up, or remove it")
    };
    policy.hidden_rules().iter().map(spot).collect()
}

fn of_problems(problems: &Problems, mend: &str) -> Vec<Spot> {
    let spot = |problem: &crate::problem::Problem| {
        Spot::new(problems.path(), problem.position.line, problem.message.clone(), mend)
    };
    problems.list().iter().map(spot).collect()
}

pub(super) fn profiles(own: &Own, _files: &[Judged]) -> Vec<Spot> {
    let mut spots = Vec::new();
    for source in &own.profiles {
        let environment = match &source.read {
            Ok(environment) => environment,
            Err(problems) => {
                spots.extend(of_problems(problems, "mend the profile"));
                continue;
            }
        };
        for secrets in &environment.secrets {
            let path = format!("templates/{}", secrets.template);
            if !own.templates.iter().any(|template| template.path == path) {
                let line = source.text.find(&secrets.template).map_or(1, |at| line_of(&source.text, at));
                let what = format!("there is no template {path}");
                spots.push(Spot::new(&source.path, line, what, "add it, and let git track it"));
            }
        }
    }
    spots
}

pub(super) fn templates(own: &Own, _files: &[Judged]) -> Vec<Spot> {
    let mut spots = Vec::new();
    for source in &own.templates {
        if let Err(error) = &source.read {
            spots.extend(of_template(error, &source.path));
        }
    }
    for profile in &own.profiles {
        let Ok(environment) = &profile.read else { continue };
        let wanted = environment.secrets.iter().map(|secrets| format!("templates/{}", secrets.template));
        let templates: Option<Vec<&Template>> = wanted.map(|path| template(own, &path)).collect();
        if let Some(Err(error)) = templates.map(|templates| check_all(environment, &templates)) {
            spots.extend(of_template(&error, &profile.path));
        }
    }
    spots
}

fn template<'o>(own: &'o Own, path: &str) -> Option<&'o Template> {
    own.templates.iter().find(|source| source.path == path)?.read.as_ref().ok()
}

fn of_template(error: &TemplateError, path: &str) -> Vec<Spot> {
    const MEND: &str = "mend the template or the profile";
    match error {
        TemplateError::Invalid(problems) => of_problems(problems, MEND),
        other => vec![Spot::new(path, 1, other.to_string(), MEND)],
    }
}

pub(super) fn locks(own: &Own, _files: &[Judged]) -> Vec<Spot> {
    let mut spots = Vec::new();
    for source in &own.locks {
        if let Err(error) = &source.read {
            let mend = error.hint().unwrap_or_else(|| "update provision".to_owned());
            let text = error.to_string();
            let text = text.strip_prefix(&format!("{}:", source.path)).unwrap_or(&text);
            spots.push(Spot::of_error(&source.path, text.trim_start(), mend));
        }
    }
    spots
}

/// The environment of a lock that has no profile, and whose tokens nothing looks after.
fn unlisted<'s>(own: &Own, source: &'s Source<Result<Lock, LockError>>) -> Option<&'s str> {
    let (environment, _) = lock::owner(&source.path)?;
    let profile = format!("environments/{environment}.yaml");
    (!own.profiles.iter().any(|source| source.path == profile)).then_some(environment)
}

pub(super) fn unlisted_locks(own: &Own, _files: &[Judged]) -> Vec<Spot> {
    let mut spots = Vec::new();
    for source in &own.locks {
        let (Some(environment), Ok(lock)) = (unlisted(own, source), &source.read) else { continue };
        let tokens: Vec<String> =
            lock.tokens.iter().map(|(key, entry)| format!("token {} ({key})", entry.id)).collect();
        if tokens.is_empty() {
            continue;
        }
        let what = format!(
            "there is no environments/{environment}.yaml, so nothing looks after {}",
            tokens.join(", ")
        );
        let folder = lock::FOLDER;
        let ending =
            if lock::owner(&source.path).is_some_and(|(_, user)| user.is_some()) { "" } else { ".yaml" };
        let mend = Hint::from(format!(
            "to end its tokens: provision revoke --env {environment}; where it was renamed, its lock goes along: git mv "
        ))
        .paths([format!("{folder}/{environment}{ending}"), format!("{folder}/NEW{ending}")]);
        spots.push(Spot::new(&source.path, 1, what, mend));
    }
    spots
}

/// Each slot of each lock: its file is there, has the leaf, and the leaf is the one that was written.
pub(super) fn slots(own: &Own, files: &[Judged]) -> Vec<Spot> {
    let judged: BTreeMap<&str, &Judged> = files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut spots = Vec::new();
    for source in &own.locks {
        let Ok(lock) = &source.read else { continue };
        if unlisted(own, source).is_some() {
            continue;
        }
        for (key, entry) in &lock.tokens {
            for (file, slots) in &entry.slots {
                for (path, digest) in slots {
                    if let Some((what, mend)) =
                        disagreement(own, judged.get(file.as_str()).copied(), file, path, digest)
                    {
                        let line = source.text.find(digest).map_or(1, |at| line_of(&source.text, at));
                        let what = format!("{what}, so it is not known to hold token {} ({key})", entry.id);
                        spots.push(Spot::new(&source.path, line, what, mend));
                    }
                }
            }
        }
    }
    spots
}

/// What is wrong with a slot, and what helps.
fn disagreement(
    own: &Own,
    file: Option<&Judged>,
    path: &str,
    leaf: &crate::sops::Path,
    digest: &str,
) -> Option<(String, &'static str)> {
    const GONE: &str = "bring file and lock back to one commit, or run provision for its environment";
    const CHANGED: &str = "a token that somebody put there, with sops edit say, is taken over once it is committed: \
         provision adopt; else bring file and lock back to one commit; provision for its environment would put a new token there";
    let Some(file) = file else {
        return (!is_kept_out(own, path)).then(|| (format!("{path} is not there"), GONE));
    };
    // One that cannot be read is a finding of its own.
    match file.leaves.as_ref()?.get(leaf) {
        None => Some((format!("{path} has no {leaf}"), GONE)),
        Some(stored) if stored != digest => {
            Some((format!("{leaf} of {path} is not what was written"), CHANGED))
        }
        Some(_) => None,
    }
}

/// Whether a profile keeps the file out of git, so that it need not be here.
fn is_kept_out(own: &Own, path: &str) -> bool {
    let environments = own.profiles.iter().filter_map(|source| source.read.as_ref().ok());
    let mut files = environments.flat_map(|environment| &environment.secrets);
    files.any(|secrets| !secrets.commit && secrets.matches(path))
}

pub(super) fn clear_tokens(own: &Own, _files: &[Judged]) -> Vec<Spot> {
    fn of<T>(source: &Source<T>) -> (&str, &str) {
        (&source.path, &source.text)
    }
    let texts = own.policy.iter().map(of).chain(own.profiles.iter().map(of));
    let texts = texts.chain(own.templates.iter().map(of)).chain(own.locks.iter().map(of));
    texts.flat_map(|(path, text)| clear_tokens::spots(path, text)).collect()
}
