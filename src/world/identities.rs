//! Where age identities are: the places that stock sops looks in, all of them, each read once a run
//! (sops `age/keysource.go`, loadIdentities).

use std::io;
use std::path::{Path, PathBuf};

use super::Variables;
use crate::secret::Secret;

/// A text with identities, and where it is from (for messages).
#[derive(Debug)]
pub struct Source {
    /// Such as `SOPS_AGE_KEY_FILE (/home/ana/key.txt)`.
    pub name: String,
    /// Lines as in a `keys.txt`.
    pub text: Secret,
}

/// A source that was named and could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file could not be read.
    #[error("cannot read {name}")]
    File {
        /// Which source.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The command could not be run, or failed.
    #[error("SOPS_AGE_KEY_CMD: {why}")]
    Command {
        /// Why; never what it printed.
        why: String,
    },
}

/// Reads SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD and the default `keys.txt`. The default file is read even
/// where variables are set, as stock sops does; it need not exist.
///
/// # Errors
/// Where a source that was named on purpose cannot be read.
pub fn read(variables: &Variables) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::new();
    if let Some(key) = &variables.sops_age_key {
        sources.push(Source { name: "SOPS_AGE_KEY".to_owned(), text: Secret::new(key.expose().to_owned()) });
    }
    if let Some(path) = &variables.sops_age_key_file {
        let name = format!("SOPS_AGE_KEY_FILE ({})", path.display());
        sources.push(file(name, path)?);
    }
    if let Some(command) = &variables.sops_age_key_cmd {
        sources.push(Source { name: "SOPS_AGE_KEY_CMD".to_owned(), text: run(command)? });
    }
    if let Some(path) = default_file(variables).filter(|path| path.exists()) {
        sources.push(file(path.display().to_string(), &path)?);
    }
    Ok(sources)
}

/// `sops/age/keys.txt` under the user's configuration directory: XDG_CONFIG_HOME where set; else `~/.config`, or
/// `~/Library/Application Support` on macOS (sops `age/keysource.go`, getUserConfigDir).
#[must_use]
pub fn default_file(variables: &Variables) -> Option<PathBuf> {
    let home = || variables.home.as_ref();
    let base = match &variables.xdg_config_home {
        Some(base) => base.clone(),
        None if cfg!(target_os = "macos") => home()?.join("Library/Application Support"),
        None => home()?.join(".config"),
    };
    Some(base.join("sops/age/keys.txt"))
}

fn file(name: String, path: &Path) -> Result<Source, SourceError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Source { name, text: Secret::new(text) }),
        Err(source) => Err(SourceError::File { name, source }),
    }
}

/// Runs the command without a shell; its standard error and input stay the user's, so that it can ask.
#[expect(clippy::disallowed_methods, reason = "the key command is started here and nowhere else")]
fn run(command: &str) -> Result<Secret, SourceError> {
    let failed = |why: String| SourceError::Command { why };
    let words = shlex::split(command).ok_or_else(|| failed("its quotes are not closed".to_owned()))?;
    let (program, arguments) = words.split_first().ok_or_else(|| failed("it names no program".to_owned()))?;
    let output = std::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::inherit())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| failed(format!("cannot start {program}: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("{program} ended with {}", output.status)));
    }
    String::from_utf8(output.stdout).map(Secret::new).map_err(|error| {
        drop(zeroize::Zeroizing::new(error.into_bytes()));
        failed(format!("{program} printed something that is not text"))
    })
}
