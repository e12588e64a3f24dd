//! Options of `adopt`.

use clap::Args;

use super::ConnectionArgs;

/// Options of `adopt`.
#[derive(Args, Debug)]
#[command(after_help = "\
Looks into the committed SOPS files that no profile names for values that look like GitLab tokens, and asks their GitLab \
about each with the token itself. For those of groups and projects it writes profiles, templates and locks; the secrets files \
stay where they are, byte for byte. What a person put into a slot by hand (sops edit) is taken over into the lock. Exits with \
3 when something was left.

GitLab tells nobody a token's value again. With --from-group and --from-project the tokens that it lists get a profile, a \
template and a lock all the same: put each value that you have into its place with sops edit, commit, and run adopt again. \
Until then provision reports such a token, and does not replace it before it is due.")]
pub struct AdoptArgs {
    /// Only these secrets files
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,

    /// Also write entries for this group's tokens that people made; their values are pasted later
    #[arg(long, value_name = "PATH")]
    pub from_group: Vec<String>,

    /// The same for a project's tokens
    #[arg(long, value_name = "PATH")]
    pub from_project: Vec<String>,

    /// The GitLab that the tokens are of; where given, only its environments are looked at [default: that of the profiles, GITLAB_HOST, CI_SERVER_URL or https://gitlab.com]
    #[arg(long, value_name = "URL")]
    pub gitlab: Option<String>,

    /// Go ahead without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Show what would be taken over, and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Wait this long for another run in this clone, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub lock_timeout: jiff::SignedDuration,

    /// How to reach GitLab.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}
