//! Checks of this machine: keys, proxy, certificates, programs, Windows.

use super::{Observed, Said, count};

pub(super) fn identities(observed: &Observed) -> Vec<Said> {
    let keys = match &observed.keys.read {
        Ok(keys) => keys,
        Err(error) => return vec![Said::of_error(error)],
    };
    let mut said: Vec<Said> = keys.unusable.iter().map(Said::note).collect();
    if keys.recipients.is_empty() {
        said.push(Said::warning(
            "there is no age key here: secrets files cannot be opened or made",
            first_key(observed),
        ));
        return said;
    }
    let sources = keys.sources.join(", ");
    said.push(Said::ok(format!(
        "{} from {sources}: {}",
        count(keys.recipients.len(), "identity"),
        keys.recipients.join(", ")
    )));
    said
}

/// What makes the first key, and what else is missing with it.
fn first_key(observed: &Observed) -> String {
    match (&observed.repository, &observed.keys.default) {
        (Ok(repository), _) if !repository.personal.is_empty() => {
            "provision bootstrap makes one, and your own secrets file".to_owned()
        }
        (Ok(repository), _) if repository.environments.is_empty() => {
            "provision init makes one, and the first files".to_owned()
        }
        (_, Some((path, _))) => format!("age-keygen -o {path} makes one"),
        (_, None) => "age-keygen makes one".to_owned(),
    }
}

/// sops writes nothing itself; whoever made the file may have left it open.
pub(super) fn key_file(observed: &Observed) -> Vec<Said> {
    let Some((path, mode)) = &observed.keys.default else { return Vec::new() };
    match mode {
        Some(mode) if mode & 0o077 != 0 => vec![Said::warning(
            format!("others on this machine may read {path} (mode {:03o})", mode & 0o777),
            format!("chmod 600 {path}"),
        )],
        Some(_) => vec![Said::ok(format!("{path} is for you alone"))],
        None => Vec::new(),
    }
}

pub(super) fn readable(observed: &Observed) -> Vec<Said> {
    let Ok(repository) = &observed.repository else { return Vec::new() };
    let (ours, others): (Vec<_>, Vec<_>) = repository.files.iter().partition(|file| file.ours);
    let mut said = Vec::new();
    let paths: Vec<&str> = ours.iter().map(|file| file.path.as_str()).collect();
    if !ours.is_empty() {
        said.push(Said::ok(format!("a key here opens {}", paths.join(", "))));
    }
    let team: Vec<_> = others.iter().filter(|file| !file.personal).collect();
    let own = observed.keys.read.as_ref().ok().and_then(|keys| keys.recipients.first());
    for file in &team {
        let environment = &file.environment;
        let mend = match own {
            Some(_) => format!("provision keys request --env {environment} --name YOU asks for it"),
            None => {
                format!("provision bootstrap --request-access {environment} makes a key, and asks for it")
            }
        };
        let readers = count(file.readers, "reader");
        said.push(Said {
            mend: Some(mend.into()),
            ..Said::note(format!("no key here opens {} ({readers})", file.path))
        });
    }
    let personal = others.len() - team.len();
    if personal > 0 {
        said.push(Said::note(format!("{} of other people", count(personal, "personal file"))));
    }
    said
}

pub(super) fn proxy(observed: &Observed) -> Vec<Said> {
    let set = observed.machine.proxies.iter().map(|(name, value)| Said::note(format!("{name} is {value}")));
    let said: Vec<Said> = set.collect();
    if said.is_empty() { vec![Said::ok("no proxy is set: GitLab is reached directly")] } else { said }
}

pub(super) fn certificates(observed: &Observed) -> Vec<Said> {
    if observed.machine.certificates.is_empty() {
        return vec![Said::ok("the system's certificates are trusted")];
    }
    let each = observed.machine.certificates.iter().map(|(by, path, unreadable)| match unreadable {
        None => Said::ok(format!("{by} names {path}")),
        Some(why) => Said::wrong(
            format!("{by} names {path}, which cannot be used: {why}"),
            format!("name a PEM file, or unset {by}"),
        ),
    });
    each.collect()
}

pub(super) fn programs(observed: &Observed) -> Vec<Said> {
    let machine = &observed.machine;
    let mut said = vec![match &machine.sops {
        Some((path, Some(version))) => Said::ok(format!("{path} is {version}")),
        Some((path, None)) => {
            Said::warning(format!("{path} does not say its version"), "is it the sops of getsops.io?")
        }
        None => {
            Said::note("there is no sops on the PATH; provision needs none, you may to edit a file by hand")
        }
    }];
    said.extend(machine.glab.as_ref().map(|path| Said::note(format!("glab is at {path}"))));
    said
}

/// Under `/mnt/c` Windows keeps the files: every file looks open to all, and `chmod` does nothing.
pub(super) fn wsl(observed: &Observed) -> Vec<Said> {
    if !observed.machine.wsl {
        return Vec::new();
    }
    let is_windows = |path: &str| {
        let drive = path.strip_prefix("/mnt/").map(str::as_bytes);
        drive.is_some_and(|rest| {
            rest[..].first().is_some_and(u8::is_ascii_alphabetic) && matches!(rest.get(1), None | Some(b'/'))
        })
    };
    let mut said = Vec::new();
    if let Ok(repository) = &observed.repository
        && is_windows(&repository.root)
    {
        said.push(Said::warning(
            format!("{} is on a Windows drive, which keeps no permissions and is slow", repository.root),
            "clone it under your Linux home, such as ~/src",
        ));
    }
    if let Some((path, Some(_))) = &observed.keys.default
        && is_windows(path)
    {
        said.push(Said::warning(
            format!("{path} is on a Windows drive: it cannot be kept for you alone"),
            "move it under your Linux home, and unset XDG_CONFIG_HOME",
        ));
    }
    said.push(match &observed.machine.browser {
        Some(program) => Said::ok(format!("Linux inside Windows; {program} opens pages")),
        None => Said::note(
            "Linux inside Windows, and no browser is known: addresses are printed to be opened by hand",
        ),
    });
    said
}
