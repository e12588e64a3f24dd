//! Options that commands share: how a plan is carried out, and how GitLab is reached.

use std::path::PathBuf;

use clap::Args;

use crate::plan::deliver::Way;
use crate::plan::options::Options;

/// Options of every command that makes or revokes tokens.
#[derive(Args, Debug)]
pub struct WriteArgs {
    /// Take a pasted personal token that may do more, or lives longer, than the profile asks for
    #[arg(long)]
    pub accept_more: bool,

    /// How the plan is carried out.
    #[command(flatten)]
    pub run: RunArgs,

    /// How to reach GitLab.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

impl WriteArgs {
    /// What they choose for the plan; the rest is as it is for `provision --env`.
    #[must_use]
    pub fn options(&self) -> Options {
        Options { accept_more: self.accept_more, way: self.run.delivery.way(), ..Options::default() }
    }
}

/// Options of every command that changes files and asks nothing of GitLab.
#[derive(Args, Clone, Copy, Debug)]
pub struct FileWriteArgs {
    /// Leave the files in the work tree, uncommitted
    #[arg(long, conflicts_with_all = ["push", "mr"])]
    pub no_commit: bool,

    /// How the plan is carried out.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Whether a plan is carried out, when, and what becomes of its commit.
#[derive(Args, Clone, Copy, Debug)]
pub struct RunArgs {
    /// Go ahead without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,

    /// With --dry-run: exit with 3 when there is something to do
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,

    /// Wait this long for another run in this clone, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub lock_timeout: jiff::SignedDuration,

    /// What becomes of the commit.
    #[command(flatten)]
    pub delivery: DeliveryArgs,
}

/// What becomes of the commit.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct DeliveryArgs {
    /// Push the commit to the branch that the current one follows
    #[arg(long, conflicts_with = "mr")]
    pub push: bool,

    /// Push it to provision/NAME, and open a merge request
    #[arg(long)]
    pub mr: bool,
}

impl DeliveryArgs {
    /// The way that was chosen; none: the commit stays here.
    #[must_use]
    pub fn way(self) -> Option<Way> {
        match (self.push, self.mr) {
            (true, _) => Some(Way::Push),
            (false, true) => Some(Way::MergeRequest),
            (false, false) => None,
        }
    }
}

/// Where the operator credential comes from and how GitLab is reached.
#[derive(Args, Debug, Default)]
pub struct ConnectionArgs {
    /// Read the operator token from FILE
    #[arg(long, value_name = "FILE", conflicts_with = "token_stdin", help_heading = "GitLab")]
    pub token_file: Option<PathBuf>,

    /// Read the operator token from standard input
    #[arg(long, help_heading = "GitLab")]
    pub token_stdin: bool,

    /// Trust the certificates in FILE (PEM) besides the system's
    #[arg(long, value_name = "FILE", help_heading = "GitLab")]
    pub ca_file: Option<PathBuf>,
}
