//! Options of `keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConnectionArgs, FileWriteArgs};

/// Options of `keys`.
#[derive(Args, Debug)]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Show who can read which secrets files
    List,
    /// Show who can read a file or a token, and who could before; needs the whole history
    Who {
        /// A secrets file; or a token as ENVIRONMENT/ENTRY, ENTRY or GitLab's number
        #[arg(value_name = "FILE|TOKEN")]
        what: String,
    },
    /// Let somebody read: their key into .sops.yaml, and all files that this concerns, in one commit
    Add(KeysAddArgs),
    /// Take somebody out: of .sops.yaml and of every file, with new data keys, in one commit
    Remove(KeysRemoveArgs),
    /// Ask to become a reader, in a merge request that changes .sops.yaml and no secret
    Request(KeysRequestArgs),
}

/// Options of `keys add`.
#[derive(Args, Debug)]
#[command(after_help = "\
Without --env and --file, they will read what any rule of .sops.yaml is for. A rule that is also for other files is not \
changed for one environment alone: split it, or name the others too.")]
pub struct KeysAddArgs {
    /// What people call them: letters, digits, - and _
    pub name: String,

    /// Their public key: age1… or ssh-ed25519 …
    #[arg(value_name = "RECIPIENT")]
    pub recipient: String,

    /// Only the secrets files of these environments, such as qa or dev,qa
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub env: Vec<String>,

    /// Only this secrets file; may be given several times
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Where a rule has several groups of keys: into this one, counted from 1
    #[arg(long, value_name = "NUMBER")]
    pub group: Option<usize>,

    /// What every command that changes files has.
    #[command(flatten)]
    pub write: FileWriteArgs,
}

/// Options of `keys remove`.
#[derive(Args, Debug)]
#[command(after_help = "\
Lists every token that they could ever read, according to the history of all branches in this clone; a shallow clone \
cannot tell, and is refused. What they could read stays readable to them in the history, so the secrets themselves have \
to be replaced: --rotate-tokens does so for tokens, once everything is encrypted for the others alone. Exits with 3 \
while such a token is still the one in use; one that has a successor ends with its overlap. After an interruption the \
same command goes on.")]
pub struct KeysRemoveArgs {
    /// What .sops.yaml calls them, or their public key
    pub name: String,

    /// Give every token that they could ever read, and that is still in use, a successor
    #[arg(long, conflicts_with = "no_commit")]
    pub rotate_tokens: bool,

    /// How long replaced tokens live on, instead of what the profile says: 72h, P2D; 0s needs --push or --force
    #[arg(long, value_name = "DURATION", requires = "rotate_tokens")]
    pub overlap: Option<String>,

    /// Retire also what is still in use, or not replaced upstream; rotate again where an answer was lost
    #[arg(long, requires = "rotate_tokens")]
    pub force: bool,

    /// What every command that changes files has.
    #[command(flatten)]
    pub write: FileWriteArgs,

    /// How to reach GitLab, with --rotate-tokens.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// Options of `keys request`.
#[derive(Args, Debug)]
#[command(after_help = "\
The key is your own; it need not open anything yet. Merging the request is the approval; the files open for you once they \
are rekeyed after that, which CI does where provision init --ci has set it up.")]
pub struct KeysRequestArgs {
    /// The environments whose secrets files you want to read
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', required = true)]
    pub env: Vec<String>,

    /// What .sops.yaml will call you: letters, digits, - and _
    #[arg(long, value_name = "NAME")]
    pub name: String,

    /// Open a merge request, which is what happens in any case
    #[arg(long, hide = true)]
    pub mr: bool,

    /// Go ahead without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Show the request and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Wait this long for another run in this clone, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub lock_timeout: jiff::SignedDuration,
}
