//! The token that glab keeps, through glab's own command: `glab config get token --host HOST`, which reads its file or
//! the keyring of the system. Its files are not read: where they are and what is in them changes between versions.

#![expect(clippy::disallowed_methods, reason = "this is the one place where glab is started")]

use std::process::{Command, Stdio};

use super::{World, program};
use crate::instance::Instance;
use crate::secret::Secret;

/// Variables that glab would take for the answer, whatever host is asked for. GITLAB_HOST and its like would change which
/// host is meant.
const OVERRIDES: [&str; 9] = [
    "GITLAB_TOKEN",
    "GITLAB_ACCESS_TOKEN",
    "OAUTH_TOKEN",
    "GLAB_ENABLE_CI_AUTOLOGIN",
    "CI_JOB_TOKEN",
    "GITLAB_HOST",
    "GL_HOST",
    "GITLAB_URI",
    "GITLAB_API_HOST",
];

/// What glab keeps for `instance`; `None` where it is not there, does not know the host, or fails: it is one of several
/// sources. It is run in the home folder, so that no repository has a say in it.
#[must_use]
pub fn token(world: &World, instance: &Instance) -> Option<Secret> {
    let glab = program::find("glab", world.variables.path.as_deref())?;
    let mut command = Command::new(glab);
    command
        .args(["config", "get", "token", "--host", &instance.host()])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    if let Some(home) = &world.variables.home {
        command.current_dir(home);
    }
    for name in OVERRIDES {
        command.env_remove(name);
    }
    let output = command.output().ok()?;
    let text = Secret::new(String::from_utf8(output.stdout).ok()?);
    (output.status.success() && !text.trimmed().is_empty()).then_some(text)
}
