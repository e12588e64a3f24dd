//! Looks at everything that `doctor` judges. Nothing is opened, minted or asked of a person; what cannot be read is part
//! of the result.

use std::collections::BTreeMap;
use std::path::Path;

use url::Url;

use super::{POLICY, environments, inspect, interrupted, secrets, uncommitted, unlisted};
use crate::checks::doctor::{File, Hook, Keys, Lacking, Machine, Observed, ReadKeys, Repository as Facts};
use crate::checks::hook::Runner;
use crate::checks::{Row, of_a_person, status};
use crate::error::{Error, Result};
use crate::hint::Hint;
use crate::journal::Replay;
use crate::lock::{self, Lock};
use crate::plan::pasted::missing;
use crate::profile::{Environment, Recipients};
use crate::repo::{Difference, HookState, RelPath, Repository, Upstream, read};
use crate::sops::Identities;
use crate::world::{World, identities, program};

/// What the repository and this machine say, without GitLab, and the environments that could be read.
#[must_use]
pub fn here(world: &World) -> (Observed, Vec<Environment>) {
    let keys = world.identities();
    let mut read = Vec::new();
    let repository = Repository::discover(&world.directory)
        .map_err(Error::from)
        .and_then(|repo| facts(&repo, keys.as_deref().ok(), world, &mut read));
    let observed = Observed {
        now: world.effects().now(),
        repository,
        keys: Keys { read: keys.map(|keys| read_keys(&keys)), default: default_key_file(world) },
        instances: Vec::new(),
        approvals: Ok(Vec::new()),
        machine: machine(world),
    };
    (observed, read)
}

fn facts(
    repo: &Repository,
    identities: Option<&Identities>,
    world: &World,
    read: &mut Vec<Environment>,
) -> Result<Facts> {
    let mut named = Vec::new();
    for name in environments::names(repo)? {
        match environments::read(repo, &name) {
            Ok(environment) => {
                read.push(environment);
                named.push((name, None));
            }
            Err(error) => named.push((name, Some(error))),
        }
    }
    let head = repo.head()?;
    Ok(Facts {
        root: repo.root().display().to_string(),
        branch: head.branch.map(|branch| branch.trim_start_matches("refs/heads/").to_owned()),
        in_progress: repo.state(),
        upstream: upstream(repo)?,
        commit: repo.preflight(&[RelPath::new(POLICY)?]).map_err(Error::from),
        uncommitted: differing(repo, read)?,
        own: own(repo, read),
        hook: hook(repo),
        has_policy: repo.root().join(POLICY).is_file(),
        check: check(repo),
        environments: named,
        personal: read.iter().filter(|one| one.is_personal()).map(|one| one.name.clone()).collect(),
        files: files(repo, identities, read),
        tokens: tokens(repo, world, read),
        lacking: lacking(repo, read),
        journals: journals(repo)?,
        scheduled: scheduled(repo)?,
    })
}

fn upstream(repo: &Repository) -> Result<Result<Option<String>, (String, String)>> {
    Ok(match repo.upstream()? {
        Upstream::Head => Ok(None),
        Upstream::RemoteBranch { reference, .. } => {
            Ok(Some(reference.trim_start_matches("refs/remotes/").to_owned()))
        }
        Upstream::Unknown { why, mend } => Err((why, mend)),
    })
}

/// Our own files that differ from HEAD: what a writer would refuse for. What a sparse checkout leaves out does not differ.
fn differing(repo: &Repository, environments: &[Environment]) -> Result<Vec<Error>> {
    let mut paths = vec![POLICY.to_owned()];
    for environment in environments {
        paths.push(environment.path.clone());
        for file in environment.secrets.iter().filter(|file| file.commit) {
            paths.push(format!("templates/{}", file.template));
            paths.extend(file.path_for(None));
        }
    }
    paths.extend(
        inspect::Files::of(repo, inspect::Of::WorkTree)?
            .names()
            .filter(|name| lock::owner(name).is_some())
            .map(str::to_owned),
    );
    paths.sort();
    paths.dedup();
    let mut differing = Vec::new();
    for path in paths {
        let path = RelPath::new(&path)?;
        // A path that leads out of the repository is for the checks of the files to report.
        match repo.differs_from_head(&path) {
            Ok(None | Some(Difference::OutsideSparse)) | Err(_) => {}
            Ok(Some(difference)) => differing.push(uncommitted(&path, difference)),
        }
    }
    Ok(differing)
}

fn hook(repo: &Repository) -> Hook {
    let other = |runner, path: &Path| {
        let checks = read::text(path).is_ok_and(|text| text.contains("provision check"));
        Hook::Other { path: path.display().to_string(), runner, checks }
    };
    match repo.hook_state() {
        Ok(HookState::Ours(_)) => Hook::Ours,
        Ok(HookState::Free(_)) => Hook::None,
        Ok(HookState::Theirs(path) | HookState::Elsewhere(path)) => other(Runner::Script, &path),
        Ok(HookState::Framework(path)) => other(Runner::Framework, &path),
        Err(error) => Hook::Unknown(error.to_string()),
    }
}

fn check(repo: &Repository) -> Result<(usize, Option<String>)> {
    let files = inspect::Files::of(repo, inspect::Of::WorkTree)?;
    let found = inspect::inspect(&files)?.findings;
    Ok((found.len(), found.first().map(ToString::to_string)))
}

fn files(repo: &Repository, identities: Option<&Identities>, environments: &[Environment]) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for environment in environments {
        for wanted in &environment.secrets {
            // What cannot be read is reported by the checks of the files.
            for found in secrets::existing(wanted, repo).unwrap_or_default() {
                let recipients = found.file.recipients();
                let is_ours = |own: &Identities| own.recipients().any(|own| recipients.contains(&own));
                let ours = identities.is_some_and(is_ours);
                let readers = recipients.len() + found.file.other_readers().len();
                let personal = wanted.recipients == Recipients::Own;
                if !files.iter().any(|file| file.path == found.name) {
                    let environment = environment.name.clone();
                    files.push(File { environment, path: found.name, ours, readers, personal });
                }
            }
        }
    }
    files
}

fn tokens(repo: &Repository, world: &World, read: &[Environment]) -> Vec<Row> {
    let today = world.effects().now().to_zoned(jiff::tz::TimeZone::UTC).date();
    // A lock that cannot be read is reported by the checks of the files.
    let locks = environments::locks(repo).unwrap_or_default();
    let mut rows = Vec::new();
    for environment in read {
        let own = locks.iter().filter(|(name, ..)| *name == environment.name);
        let own: Vec<_> = own.map(|(_, user, lock)| (user.as_deref(), lock)).collect();
        for (user, lock) in &own {
            rows.extend(status(environment, *user, lock, None, today));
        }
        if own.is_empty() && !environment.is_personal() {
            rows.extend(status(environment, None, &Lock::default(), None, today));
        }
    }
    for name in unlisted::names(repo).unwrap_or_default() {
        let Ok(Some(environment)) = unlisted::find(repo, &name) else { continue };
        for (_, user, lock) in locks.iter().filter(|(of, ..)| *of == name) {
            rows.extend(status(&environment, user.as_deref(), lock, None, today));
        }
    }
    rows
}

/// What helps with the tokens of each person who has a lock.
fn own(repo: &Repository, read: &[Environment]) -> BTreeMap<String, Hint> {
    let mut own = BTreeMap::new();
    for (name, user, _) in environments::locks(repo).unwrap_or_default() {
        let (Some(user), Some(environment)) = (user, read.iter().find(|one| one.name == name)) else {
            continue;
        };
        let mend = of_a_person(environment, &user, |path| repo.root().join(path).exists());
        own.extend(mend.map(|mend| (format!("{name}/{user}"), mend)));
    }
    own
}

fn lacking(repo: &Repository, read: &[Environment]) -> Vec<Lacking> {
    // A lock that cannot be read is reported by the checks of the files.
    let locks = environments::locks(repo).unwrap_or_default();
    let mut lacking = Vec::new();
    for (name, _, lock) in &locks {
        let Some(environment) = read.iter().find(|environment| environment.name == *name) else { continue };
        for token in &environment.tokens {
            let Some(entry) = lock.tokens.get(&token.key) else { continue };
            let scopes: Vec<String> = missing(&token.scopes, &entry.scopes).into_iter().collect();
            if !scopes.is_empty() {
                lacking.push(Lacking { environment: name.clone(), key: token.key.clone(), scopes });
            }
        }
    }
    lacking
}

/// Journals that are there, of environments that have a profile and of others.
fn journals(repo: &Repository) -> Result<Vec<(String, Result<Replay>)>> {
    let names = interrupted::environments(repo)?.into_iter();
    Ok(names.map(|name| (name.clone(), interrupted::replay(repo, &name))).collect())
}

/// A pipeline file that runs `provision` as a writer: without one nobody comes back for tokens that were replaced.
fn scheduled(repo: &Repository) -> Result<Option<String>> {
    let files = inspect::Files::of(repo, inspect::Of::WorkTree)?;
    let is_pipeline = |name: &&str| {
        let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
        is_yaml && (*name == ".gitlab-ci.yml" || name.starts_with(".gitlab/") || name.starts_with("ci/"))
    };
    for name in files.names().filter(is_pipeline) {
        let Ok(Some(bytes)) = files.content(name) else { continue };
        if String::from_utf8_lossy(&bytes).lines().any(runs_provision) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// `provision --env …`, `provision --all` or `provision rotate` somewhere in a line that is no comment.
fn runs_provision(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default();
    let is_comment = line.trim_start().starts_with('#');
    !is_comment
        && ["provision --env", "provision --all", "provision rotate"].iter().any(|text| line.contains(text))
}

fn read_keys(identities: &Identities) -> ReadKeys {
    ReadKeys {
        sources: identities.sources(true).map(ToOwned::to_owned).collect(),
        recipients: identities.recipients().map(ToString::to_string).collect(),
        unusable: identities.unusable(true).collect(),
    }
}

fn default_key_file(world: &World) -> Option<(String, Option<u32>)> {
    let path = identities::default_file(&world.variables)?;
    Some((path.display().to_string(), mode(&path)))
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::fs::Metadata;
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().ok().filter(Metadata::is_file).map(|metadata| metadata.permissions().mode())
}

/// Permissions elsewhere than on Unix are not bits.
#[cfg(not(unix))]
fn mode(_: &Path) -> Option<u32> {
    None
}

fn machine(world: &World) -> Machine {
    let variables = &world.variables;
    let path = variables.path.as_deref();
    let named = [
        ("SSL_CERT_FILE", variables.ssl_cert_file.as_ref()),
        ("CI_SERVER_TLS_CA_FILE", variables.ci_server_tls_ca_file.as_ref()),
    ];
    let certificates = named.into_iter().filter_map(|(name, file)| {
        let file = file?;
        let unreadable = match read::text(file) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => None,
            Ok(_) => Some("it holds no certificate in PEM form".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        Some((name.to_owned(), file.display().to_string(), unreadable))
    });
    Machine {
        sops: program::find("sops", path).map(|sops| {
            let version = program::version(&sops, &["--version", "--disable-version-check"]);
            (sops.display().to_string(), version)
        }),
        glab: program::find("glab", path).map(|glab| glab.display().to_string()),
        wsl: variables.wsl,
        proxies: variables
            .proxies
            .iter()
            .map(|(name, value)| ((*name).to_owned(), without_userinfo(value)))
            .collect(),
        certificates: certificates.collect(),
        browser: crate::world::browser::find(variables).map(|program| program.display().to_string()),
    }
}

/// A proxy's address may hold a password.
fn without_userinfo(value: &str) -> String {
    let Ok(mut url) = Url::parse(value) else {
        return value.rsplit('@').next().unwrap_or_default().to_owned();
    };
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return value.rsplit('@').next().unwrap_or_default().to_owned();
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_proxy_is_not_shown() {
        assert_eq!(without_userinfo("http://ana:canary@proxy.example:3128"), "http://proxy.example:3128/");
        assert_eq!(without_userinfo("ana:canary@proxy.example:3128"), "proxy.example:3128");
        assert_eq!(without_userinfo("localhost,.example.com"), "localhost,.example.com");
    }

    #[test]
    fn a_pipeline_that_only_checks_renews_nothing() {
        for line in [
            "  script: provision --all --yes",
            "- provision rotate --due --yes --mr",
            "provision --env qa --yes",
        ] {
            assert!(runs_provision(line), "{line}");
        }
        for line in
            ["- provision check", "# provision --all", "- echo # provision --all", "- provision status"]
        {
            assert!(!runs_provision(line), "{line}");
        }
    }
}
