//! Options of `resume`.

use clap::Args;

use super::WriteArgs;

/// Options of `resume`.
#[derive(Args, Debug)]
#[command(after_help = "\
Every writer does this by itself before its own work. What is there and works is used where all
is still as it was planned; what cannot be used is revoked; what GitLab has not answered is
watched for.")]
pub struct ResumeArgs {
    /// Only these environments; else all that have a journal
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub env: Vec<String>,

    /// Undo it: revoke what the interrupted run has made, and bring its files back to HEAD
    #[arg(long)]
    pub abandon: bool,

    /// Options of every writer.
    #[command(flatten)]
    pub write: WriteArgs,
}
