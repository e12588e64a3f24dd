//! What a program that gix starts for us inherits: our environment without credentials and identities.
//!
//! gix cannot take a variable out of a child's environment, and this program may not change its own. A signing program
//! is given the variables empty. What gix hands to a shell (a filter of git's attributes, the command that names an SSH
//! key) is given to it with an `unset` before it.

use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::config::tree::{User, gpg};
use gix::objs::signature::sign::Options;

use super::error::{Doing, RepoError};
use super::program;

/// How a commit here is to be signed; `None`: not at all. May run `gpg.ssh.defaultKeyCommand`.
pub(super) fn signing(git: &gix::Repository) -> gix::Result<Option<Options>> {
    let mut git = git.clone();
    hide_from_key_command(&mut git)?;
    let mut options = git.commit_signing_options_if_enabled()?;
    if let Some(options) = &mut options {
        options.environment.extend(program::secrets().map(|name| (name, "".into())));
    }
    Ok(options)
}

/// The setting that names the program, by `gpg.format`.
pub(super) fn signing_program(git: &gix::Repository) -> &'static str {
    match git.config_snapshot().string("gpg.format").as_deref().map(|format| format.as_bytes()) {
        Some(b"ssh") => "gpg.ssh.program",
        Some(b"x509") => "gpg.x509.program",
        _ => "gpg.program",
    }
}

/// The command is asked for a key only where none is configured; one that git does not trust is never run.
fn hide_from_key_command(git: &mut gix::Repository) -> gix::Result<()> {
    let config = git.config_snapshot();
    let has_key = config.string(User::SIGNING_KEY).is_some_and(|key| !key.is_empty());
    let command = config.trusted_program(gpg::Ssh::DEFAULT_KEY_COMMAND)?;
    let Some(command) = command.filter(|_| !has_key) else { return Ok(()) };
    let hidden = without_secrets(gix::path::os_str_into_bstr(&command)?);
    let mut config = git.config_snapshot_mut();
    config.set_value(&gpg::Ssh::DEFAULT_KEY_COMMAND, hidden.as_bstr())?;
    config.commit()?;
    Ok(())
}

/// The filters between worktree and objects, which see none of our secrets, and the attributes that choose among them.
pub(super) fn filters(
    git: &gix::Repository,
) -> Result<(gix::filter::plumbing::Pipeline, gix::worktree::Stack), RepoError> {
    let (pipeline, _) = git.filter_pipeline(None).doing("read the git attributes")?;
    let (mut pipeline, attributes) = pipeline.into_parts();
    for driver in &mut pipeline.options_mut().drivers {
        for command in [&mut driver.clean, &mut driver.smudge, &mut driver.process].into_iter().flatten() {
            *command = without_secrets(command.as_bstr());
        }
    }
    Ok((pipeline, attributes))
}

/// A line for the shell that first forgets our secrets.
fn without_secrets(command: &BStr) -> BString {
    let is_name = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let names: Vec<String> =
        program::secrets().filter_map(|name| name.into_string().ok()).filter(is_name).collect();
    if names.is_empty() {
        return command.to_owned();
    }
    let mut line = BString::from(format!("unset {}; ", names.join(" ")));
    line.extend_from_slice(command);
    line
}
