//! Options of `rekey`, and of every command that changes files and asks nothing of GitLab.

use std::path::PathBuf;

use clap::Args;

use super::DeliveryArgs;

/// Options of `rekey`.
#[derive(Args, Debug)]
#[command(after_help = "\
Readers who are added get the data key that a file has, and only their lines are new. When somebody goes, everything in \
the file is encrypted anew under a data key that they have never seen. Who reads is what the committed .sops.yaml says, \
never what a file says.

Files that no key here opens are named with those who can open them; the rest is done. Exits with 3 then.")]
pub struct RekeyArgs {
    /// Only these files and folders
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Change nothing: list what is out of line, and exit with 3 if anything is; needs no key
    #[arg(long, conflicts_with_all = ["yes", "dry_run", "no_commit", "push", "mr"])]
    pub check: bool,

    /// With --check: write a GitLab Code Quality report to FILE, or to standard output for -
    #[arg(long, value_name = "FILE", requires = "check")]
    pub code_quality: Option<PathBuf>,

    /// What every such command has.
    #[command(flatten)]
    pub write: FileWriteArgs,
}

/// Options of every command that changes files and asks nothing of GitLab.
#[derive(Args, Clone, Copy, Debug)]
pub struct FileWriteArgs {
    /// Go ahead without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,

    /// With --dry-run: exit with 3 when there is something to do
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,

    /// Leave the files in the work tree, uncommitted
    #[arg(long, conflicts_with_all = ["push", "mr"])]
    pub no_commit: bool,

    /// Wait this long for another run in this clone, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub lock_timeout: jiff::SignedDuration,

    /// What becomes of the commit.
    #[command(flatten)]
    pub delivery: DeliveryArgs,
}
