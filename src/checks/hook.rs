//! What somebody adds to a pre-commit hook of their own, so that it stops a commit with a secret in the clear.

/// What the hook runs.
pub const COMMAND: &str = "provision check --staged";

/// Who runs the hook, by what has to be written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// A shell script, whose last command says how it ends.
    Script,
    /// The pre-commit framework, by its configuration.
    Framework,
}

/// What to add to the file at `path`, and how.
#[must_use]
pub fn advice(runner: Runner, path: &str) -> String {
    match runner {
        Runner::Script => format!("add this line to {path}: {COMMAND} || exit 1"),
        Runner::Framework => format!(
            "add this to `repos` in {path}:\n- repo: local\n  hooks:\n    - id: provision-check\n      name: provision check\n      entry: {COMMAND}\n      language: system\n      pass_filenames: false"
        ),
    }
}
