//! Options of `exec` and `export`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Which values become environment variables, and under which names.
#[derive(Args, Debug)]
pub struct VariablesArgs {
    /// The secrets files of these environments, such as devmode or dev,qa
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', required_unless_present = "files")]
    pub env: Vec<String>,

    /// A secrets file; may be given several times
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Only the value at PATH, or the values below it; may be given several times
    #[arg(long, value_name = "PATH")]
    pub only: Vec<String>,

    /// The value at PATH as the variable NAME; may be given several times
    #[arg(long = "map", value_name = "NAME=PATH")]
    pub maps: Vec<String>,

    /// Put PREFIX before every name that --map does not give
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub prefix: String,
}

/// Options of `exec`.
#[derive(Args, Debug)]
#[command(override_usage = "provision exec [OPTIONS] --env <NAME> -- <COMMAND>...\n       \
                      provision exec [OPTIONS] --file <FILE> -- <COMMAND>...")]
#[command(after_help = "\
A key at the top of a file keeps its name. What is nested has its keys joined by _ in capitals: data.token becomes \
DATA_TOKEN, hosts.0.my-key HOSTS_0_MY_KEY. Two values of one name are refused, and so are names that change how \
programs start, what they load or whom they trust (PATH, HOME, LD_*, DYLD_*, GIT_*, PYTHON*, NODE_OPTIONS, BASH_ENV, \
*_PROXY, SSL_CERT_FILE and their like), unless --map gives them.

With several environments or files a PATH can begin with the one that is meant: --env dev,qa --only dev: \
--map QA_TOKEN=qa:GITLAB_TOKEN takes all of dev, and one value of qa under another name.

The command takes the place of provision: no shell, its signals and exit status are its own. It inherits the \
environment without SOPS_AGE_* and without GitLab tokens (GITLAB_TOKEN, GITLAB_ACCESS_TOKEN, OAUTH_TOKEN and their \
like) that no secrets file sets. Needs no network.

Exit codes of its own: 125 the values cannot be had, 126 the command cannot be started, 127 there is no such \
command.")]
pub struct ExecArgs {
    /// Which values.
    #[command(flatten)]
    pub variables: VariablesArgs,

    /// The program and its arguments
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Options of `export`.
#[derive(Args, Debug)]
#[command(after_help = "\
Names are made as for exec. For a shell: eval \"$(provision export --env devmode --reveal)\"

In dotenv, a value that its readers would not read alike is refused; sh and json take every text.")]
pub struct ExportArgs {
    /// Which values.
    #[command(flatten)]
    pub variables: VariablesArgs,

    /// For whom to write
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ExportFormat::Sh)]
    pub format: ExportFormat,

    /// Print the values in the clear; without it, the names alone
    #[arg(long)]
    pub reveal: bool,
}

/// For whom `export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// sh, dash, bash, zsh and ksh
    Sh,
    /// Readers of .env files
    Dotenv,
    /// One JSON object (the same as --json)
    Json,
}
