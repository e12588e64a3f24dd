//! Options of `revoke`.

use clap::Args;
use jiff::SignedDuration;

use super::WriteArgs;

/// Options of `revoke`.
#[derive(Args, Debug)]
#[command(after_help = "\
Tokens are revoked and proved to be: GitLab's record says so, and where the value can be read here,
GitLab refuses it. Then slots and lock entries are blanked and committed. An entry that stays in its
profile gets a new token from the next provision --env.

  a token, or all of an environment     provision revoke --env qa --token backstage
  what a vanished CI job left behind    provision revoke --all --orphans")]
pub struct RevokeArgs {
    /// Environments whose tokens are revoked, such as qa or dev,qa
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', required_unless_present = "all")]
    pub env: Vec<String>,

    /// All environments; with --orphans only
    #[arg(long, conflicts_with = "env", requires = "orphans")]
    pub all: bool,

    /// Only these tokens, by their keys in the lock
    #[arg(short, long, value_name = "KEY", value_delimiter = ',', conflicts_with = "orphans")]
    pub token: Vec<String>,

    /// Revoke tokens with our mark that no lock names, here or on any branch of the remote
    #[arg(long)]
    pub orphans: bool,

    /// With --orphans: only those at least this old, such as 2h or 30m
    #[arg(long, value_name = "DURATION", default_value = "24h", requires = "orphans")]
    pub older_than: SignedDuration,

    /// With --orphans: also those that somebody has used
    #[arg(long, requires = "orphans")]
    pub force: bool,

    /// Options of every writer.
    #[command(flatten)]
    pub write: WriteArgs,
}
