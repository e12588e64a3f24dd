//! Options of `rotate`.

use clap::Args;

use super::WriteArgs;

/// Options of `rotate`.
#[derive(Args, Debug)]
#[command(after_help = "\
A successor is minted, proved to work, encrypted and committed; the old token lives on for its
overlap after that is upstream, and a later run retires it. With `strategy: in-place` GitLab's
rotate makes the successor: its bot user stays, and the old value is dead at once.

  every night, in CI       provision rotate --all --due --yes
  somebody left            provision rotate --env qa
  a token leaked           provision rotate --leaked     (type, or pipe, the token into it)")]
pub struct RotateArgs {
    /// Environments whose tokens are rotated, such as qa or dev,qa
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', required_unless_present_any = ["all", "leaked"])]
    pub env: Vec<String>,

    /// All environments; without a terminal, all that are shared
    #[arg(long, conflicts_with = "env")]
    pub all: bool,

    /// Only these tokens, by their keys in the profile
    #[arg(short, long, value_name = "KEY", value_delimiter = ',', conflicts_with = "all")]
    pub token: Vec<String>,

    /// Only those that have ended or are due
    #[arg(long)]
    pub due: bool,

    /// The token whose value comes on standard input is in the wrong hands: replace it, and revoke it now
    #[arg(long, conflicts_with_all = ["token", "due", "overlap", "token_stdin"])]
    pub leaked: bool,

    /// How long replaced tokens live on, instead of what the profile says: 72h, P2D; 0s needs --push or --force
    #[arg(long, value_name = "DURATION")]
    pub overlap: Option<String>,

    /// Retire also what is still in use, or not replaced upstream; rotate again where an answer was lost
    #[arg(long)]
    pub force: bool,

    /// Options of every writer.
    #[command(flatten)]
    pub write: WriteArgs,
}
