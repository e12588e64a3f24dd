//! Our pre-commit hook and our diff driver in the user's repository. Nobody's hook is overwritten.

use std::path::{Path, PathBuf};

use super::error::RepoError;
use super::{Repository, handover, program, write};

const NAME: &str = "pre-commit";

/// What tells our hook from others.
const MARK: &str = "# Installed by `provision hook install`, removed by `provision hook uninstall`.";

/// Who runs the hooks of this repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    /// Nobody: ours can be written to this path.
    Free(PathBuf),
    /// Ours is there.
    Ours(PathBuf),
    /// A script of somebody's at this path.
    Theirs(PathBuf),
    /// `core.hooksPath` or husky: this script, which may not exist yet.
    Elsewhere(PathBuf),
    /// The pre-commit framework, by its configuration file.
    Framework(PathBuf),
}

impl Repository {
    /// Who runs the pre-commit hooks here.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn hook_state(&self) -> Result<HookState, RepoError> {
        let configured = handover::configured_hooks(&self.git, self.users_root())?;
        let path = configured.as_ref().map_or_else(|| self.common_dir.join("hooks"), Clone::clone).join(NAME);
        if is_ours(&path) {
            return Ok(HookState::Ours(path));
        }
        if self.root.join(".pre-commit-config.yaml").is_file() {
            return Ok(HookState::Framework(self.root.join(".pre-commit-config.yaml")));
        }
        if self.root.join(".husky").is_dir() {
            return Ok(HookState::Elsewhere(self.root.join(".husky").join(NAME)));
        }
        if configured.is_some() {
            return Ok(HookState::Elsewhere(path));
        }
        let is_taken = path.symlink_metadata().is_ok();
        Ok(if is_taken { HookState::Theirs(path) } else { HookState::Free(path) })
    }

    /// Writes our hook, which runs `program check --staged` where no `provision` is on the PATH.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_hook(&self, path: &Path, program: &str) -> Result<(), RepoError> {
        let failed = |source| RepoError::Io { doing: "write", path: path.to_owned(), source };
        write::replace(path, script(program).as_bytes(), write::NewFile::Ordinary).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = path.metadata().map_err(failed)?.permissions().mode();
            // Whoever may read it may run it.
            let runnable = mode | ((mode & 0o444) >> 2);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(runnable)).map_err(failed)?;
        }
        Ok(())
    }

    /// Removes our hook.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_hook(&self, path: &Path) -> Result<(), RepoError> {
        write::remove_durable(path).map_err(|source| RepoError::Io {
            doing: "remove",
            path: path.to_owned(),
            source,
        })
    }

    /// Sets `diff.provision.textconv` in the configuration of this repository; `None` takes the whole section out.
    ///
    /// # Errors
    /// When there is no git, or it refuses.
    pub fn set_textconv(&self, command: Option<&str>) -> Result<(), RepoError> {
        let git = self.fresh()?;
        let config = git.config_snapshot();
        let is_set = config.string("diff.provision.textconv");
        match command {
            Some(command) if is_set.as_deref().is_some_and(|is| *is == command.as_bytes()) => Ok(()),
            Some(command) => program::config(self, &["--replace-all", "diff.provision.textconv", command]),
            None if !has_own_section(&config) => Ok(()),
            None => program::config(self, &["--remove-section", "diff.provision"]),
        }
    }

    /// Whether a program of this name is on the PATH.
    #[must_use]
    pub fn is_on_path(name: &str) -> bool {
        program::on_path(name).is_some()
    }
}

/// Whether `diff.provision` stands in the configuration file of this repository itself.
fn has_own_section(config: &gix::config::Snapshot<'_>) -> bool {
    let mut sections = config.plumbing().sections_by_name("diff").into_iter().flatten();
    sections.any(|section| {
        let (name, meta) = (section.header().subsection_name(), section.meta());
        name.is_some_and(|name| *name == "provision")
            && meta.source == gix::config::Source::Local
            && meta.level == 0
    })
}

fn is_ours(path: &Path) -> bool {
    super::read::text(path).is_ok_and(|text| text.lines().any(|line| line == MARK))
}

fn script(program: &str) -> String {
    let quoted = shlex::try_quote(program).unwrap_or_default();
    format!(
        "#!/bin/sh\n{MARK}\n\
         if command -v provision >/dev/null 2>&1; then\n    exec provision check --staged\nfi\n\
         exec {quoted} check --staged\n"
    )
}
