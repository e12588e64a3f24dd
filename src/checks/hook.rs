//! What somebody adds to a pre-commit hook of their own, so that it stops a commit with a secret in the clear.

/// What the hook runs.
pub const COMMAND: &str = "provision check --staged";

/// The part of it that a hook is searched for: with which options is for its owner to choose.
const NAME: &str = "provision check";

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

/// What becomes of [`COMMAND`] in somebody's hook, as far as its text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It is not there.
    Missing,
    /// The hook has ended before.
    Unreached,
    /// It runs, and the commit goes on whatever it says.
    Unheeded,
    /// It runs, and stops the commit.
    Heeded,
}

/// Reads a hook. `strict`: it ends with its first command that fails, as husky runs them (`sh -e`). A hook in another language
/// than a shell's is not understood: what stands in it is taken to run.
#[must_use]
pub fn call(runner: Runner, text: &str, strict: bool) -> Call {
    let first = text.lines().next().filter(|line| line.starts_with("#!")).unwrap_or_default();
    let is_command = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let lines: Vec<&str> = text.lines().filter(is_command).collect();
    let Some(at) = lines.iter().position(|line| line.contains(NAME)) else { return Call::Missing };
    let is_shell = first.is_empty() || first.trim_end_matches(" -e").ends_with("sh");
    if runner == Runner::Framework || !is_shell {
        return Call::Heeded;
    }
    // What is indented belongs to a condition that nobody can know here.
    let ends = |line: &&str| ["exit", "exec"].contains(&line.split([' ', ';']).next().unwrap_or_default());
    if lines[..at].iter().any(ends) {
        return Call::Unreached;
    }
    let sets = |line: &&str| line.starts_with("set -e") || line.starts_with("set -o errexit");
    let strict = strict || first.ends_with(" -e") || lines[..at].iter().any(sets);
    let line = lines[at].trim();
    let is_plain = line.strip_prefix("exec ").unwrap_or(line).starts_with(NAME) && !line.contains(['|', '&']);
    let is_last = at + 1 == lines.len();
    if is_plain && !strict && !is_last && !line.starts_with("exec ") { Call::Unheeded } else { Call::Heeded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_a_hook_counts_where_it_is_reached_and_heeded() {
        let cases = [
            ("#!/bin/sh\nnpm test\n", Call::Missing),
            ("#!/bin/sh\n# provision check --staged\nnpm test\n", Call::Missing),
            ("#!/bin/sh\nprovision check --staged || exit 1\nnpm test\n", Call::Heeded),
            ("#!/bin/sh\nnpm test\nprovision check --staged\n", Call::Heeded),
            ("#!/bin/sh\nprovision check --staged\nnpm test\n", Call::Unheeded),
            ("#!/bin/sh\nset -eu\nprovision check --staged\nnpm test\n", Call::Heeded),
            ("#!/bin/sh -e\nprovision check --staged\nnpm test\n", Call::Heeded),
            ("#!/bin/sh\nif ! provision check --staged; then\n  exit 1\nfi\nnpm test\n", Call::Heeded),
            ("#!/bin/sh\nnpm test\nexit 0\nprovision check --staged || exit 1\n", Call::Unreached),
            ("#!/bin/bash\nexec npm test\nprovision check --staged || exit 1\n", Call::Unreached),
            ("#!/bin/sh\nif true; then\n  exit 0\nfi\nprovision check --staged\n", Call::Heeded),
            ("#!/bin/sh\nexecute\nexec provision check --staged\n", Call::Heeded),
            ("#!/usr/bin/env python3\nrun('provision check --staged')\nexit(0)\n", Call::Heeded),
        ];
        for (text, expected) in cases {
            assert_eq!(call(Runner::Script, text, false), expected, "{text}");
        }
        assert_eq!(call(Runner::Script, cases[4].0, true), Call::Heeded);
        let framework = "repos:\n- repo: local\n  hooks:\n  - entry: provision check --staged\n";
        assert_eq!(call(Runner::Framework, framework, false), Call::Heeded);
        assert_eq!(call(Runner::Framework, "# provision check\nrepos: []\n", false), Call::Missing);
    }
}
