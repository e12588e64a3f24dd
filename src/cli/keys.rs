//! Options of `keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::FileWriteArgs;

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

    /// What every command that changes files has.
    #[command(flatten)]
    pub write: FileWriteArgs,
}

/// Options of `keys remove`.
#[derive(Args, Debug)]
#[command(after_help = "\
Lists every token that they could ever read, according to the history of all branches in this clone; a shallow clone \
cannot tell, and is refused. What they could read stays readable to them in the history, so the secrets themselves have \
to be replaced. Exits with 3 while such a token is still in use.")]
pub struct KeysRemoveArgs {
    /// What .sops.yaml calls them, or their public key
    pub name: String,

    /// What every command that changes files has.
    #[command(flatten)]
    pub write: FileWriteArgs,
}
