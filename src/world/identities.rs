//! Where age identities are: the places that stock sops looks in, all of them, each read once a run
//! (sops `age/keysource.go`, loadIdentities; `age/ssh_parse.go`).

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Variables;
use crate::repo::read;
use crate::sops::{IdentityError, IdentitySource};

/// SSH keys first: SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, `~/.ssh/id_ed25519`, `~/.ssh/id_rsa`;
/// then SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD and the default `keys.txt`. What stands at a default place is
/// read even where variables are set, as stock sops does; it need not exist. The commands are not run here.
#[must_use]
pub fn read(variables: &Variables) -> Vec<IdentitySource> {
    let mut sources = Vec::new();
    let command = |name: &str, command: &String| IdentitySource::Command {
        name: name.to_owned(),
        command: command.clone(),
    };
    if let Some(path) = &variables.sops_age_ssh_private_key_file {
        sources.push(named("SOPS_AGE_SSH_PRIVATE_KEY_FILE", path));
    }
    if let Some(line) = &variables.sops_age_ssh_private_key_cmd {
        sources.push(command("SOPS_AGE_SSH_PRIVATE_KEY_CMD", line));
    }
    for name in ["id_ed25519", "id_rsa"] {
        let path = variables.home.as_ref().map(|home| home.join(".ssh").join(name));
        // A key that cannot be read is as good as none: nobody has named it.
        let key = path.map(|path| file(path.display().to_string(), &path));
        sources.extend(key.filter(|key| matches!(key, IdentitySource::Text { .. })));
    }
    if let Some(key) = &variables.sops_age_key {
        let bytes = Zeroizing::new(key.expose().as_bytes().to_vec());
        sources.push(IdentitySource::Text { name: "SOPS_AGE_KEY".to_owned(), bytes });
    }
    if let Some(path) = &variables.sops_age_key_file {
        sources.push(named("SOPS_AGE_KEY_FILE", path));
    }
    if let Some(line) = &variables.sops_age_key_cmd {
        sources.push(command("SOPS_AGE_KEY_CMD", line));
    }
    let is_missing =
        |path: &PathBuf| path.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    if let Some(path) = default_file(variables).filter(|path| !is_missing(path)) {
        sources.push(file(path.display().to_string(), &path));
    }
    sources
}

/// `sops/age/keys.txt` under the user's configuration directory: XDG_CONFIG_HOME where set; else `~/.config`, or
/// `~/Library/Application Support` on macOS (sops `age/keysource.go`, getUserConfigDir).
#[must_use]
pub fn default_file(variables: &Variables) -> Option<PathBuf> {
    let base = match &variables.xdg_config_home {
        Some(base) => base.clone(),
        None => variables.home.as_ref()?.join(in_home(cfg!(target_os = "macos"))),
    };
    Some(base.join("sops/age/keys.txt"))
}

/// Where configuration is kept in a home.
fn in_home(is_macos: bool) -> &'static str {
    if is_macos { "Library/Application Support" } else { ".config" }
}

fn named(variable: &'static str, path: &Path) -> IdentitySource {
    if is_key(&path.to_string_lossy()) {
        return IdentitySource::Broken(IdentityError::IsKey { variable });
    }
    file(format!("{variable} ({})", path.display()), path)
}

/// Whether what should be a path, or the name of a program, is a secret key: it is not to be repeated.
pub(super) fn is_key(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    text.contains('\n') || ["AGE-SECRET-KEY-1", "PRIVATE KEY-----"].iter().any(|mark| text.contains(mark))
}

fn file(name: String, path: &Path) -> IdentitySource {
    match read::from_owner(path) {
        Ok(bytes) => IdentitySource::Text { name, bytes: Zeroizing::new(bytes) },
        Err(error) => {
            IdentitySource::Broken(IdentityError::Unreadable { source_name: name, reason: error.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_where_stock_sops_has_it_on_each_platform() {
        assert_eq!(in_home(true), "Library/Application Support");
        assert_eq!(in_home(false), ".config");
        let home = Variables { home: Some("/home/ana".into()), ..Variables::default() };
        let here = Path::new("/home/ana").join(in_home(cfg!(target_os = "macos")));
        assert_eq!(default_file(&home), Some(here.join("sops/age/keys.txt")));
        let configured = Variables { xdg_config_home: Some("/elsewhere".into()), ..home };
        assert_eq!(default_file(&configured), Some("/elsewhere/sops/age/keys.txt".into()));
        assert_eq!(default_file(&Variables::default()), None);
    }
}
