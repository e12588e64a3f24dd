//! Options of `rekey`.

use std::path::PathBuf;

use clap::Args;

use super::FileWriteArgs;

/// Options of `rekey`.
#[derive(Args, Debug)]
#[command(after_help = "\
Readers who are added get the data key that a file has, and only their lines are new. When somebody goes, everything in \
the file is encrypted anew under a data key that they have never seen. Who reads is what the committed .sops.yaml says, \
never what a file says. Who edits .sops.yaml by hand commits it and all files in one go: provision rekey --with-policy

Files that no key here opens are named with those who can open them; the rest is done. Exits with 3 then.")]
pub struct RekeyArgs {
    /// Only these files and folders
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Change nothing: list what is out of line, and exit with 3 if anything is; needs no key
    #[arg(long, conflicts_with_all = ["yes", "dry_run", "no_commit", "push", "mr"])]
    pub check: bool,

    /// Take .sops.yaml as it is in the work tree, and commit it together with the files that follow it
    #[arg(long, conflicts_with_all = ["paths", "check", "push", "mr"])]
    pub with_policy: bool,

    /// With --check: write a GitLab Code Quality report to FILE, or to standard output for -
    #[arg(long, value_name = "FILE", requires = "check")]
    pub code_quality: Option<PathBuf>,

    /// What every such command has.
    #[command(flatten)]
    pub write: FileWriteArgs,
}
