//! Options of `bootstrap`.

use clap::Args;

use super::WriteArgs;

/// Options of `bootstrap`.
#[derive(Args, Debug)]
#[command(after_help = "\
Finds or makes your age key, gets your own token for the environment, and puts it into a secrets file that you alone can \
read. What is there already is kept, so that it can be run again at any time.

A token to act with is looked for as everywhere (--token-file or --token-stdin, GITLAB_TOKEN, glab), then in your own \
secrets file. Where there is none, the personal token that you make in GitLab's form does both: it is asked for on the \
terminal, or given with --token-file or --token-stdin.")]
pub struct BootstrapArgs {
    /// The environment [default: the one whose secrets file has `recipients: self`]
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,

    /// Make an age key even where an SSH key could serve
    #[arg(long)]
    pub new_key: bool,

    /// Protect a new age key with a passphrase, which is asked for
    #[arg(long)]
    pub passphrase: bool,

    /// Ask to become a reader of these environments too, in a merge request
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub request_access: Vec<String>,

    /// What you are called in .sops.yaml then [default: your GitLab user name]
    #[arg(long, value_name = "NAME", requires = "request_access")]
    pub name: Option<String>,

    /// Options of every writer.
    #[command(flatten)]
    pub write: WriteArgs,
}
